//! The program `postbridge`: reads its command line and ends with 0 (fine), 1 (failed) or 2 (bad usage).

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use postbridge::cli::{self, Cli, stderr};

/// Many small, short-lived texts on several threads: what the system's allocator is slowest at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return stderr::usage(&error),
    };
    match cli::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.problems.iter().for_each(stderr::problem);
            ExitCode::from(failure.code)
        }
    }
}
