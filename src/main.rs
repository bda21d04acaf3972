//! The program `postbridge`: reads its command line and ends with 0 (fine), 1 (failed) or 2 (bad usage).

use std::process::ExitCode;

use clap::Parser;
use postbridge::cli::{self, Cli};

/// Many small, short-lived texts on several threads: what the system's allocator is slowest at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match cli::run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            for problem in &failure.problems {
                eprintln!("{problem}");
            }
            ExitCode::from(failure.code)
        }
    }
}
