//! The binary: reads the command line, runs one command, ends with its exit code.

use std::process::ExitCode;

use clap::Parser;
use portico::{cli::Cli, command};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    command::dispatch(Cli::parse()).into()
}
