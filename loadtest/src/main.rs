//! Will run real load tools against portico and its peers; its first scenarios are on their way.

fn main() {}
