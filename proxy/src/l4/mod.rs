//! L4: TCP fronts of Services.
