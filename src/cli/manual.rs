//! What packages install in addition to the program, made from the definition of the command line: man pages and
//! the completions of shells.

use std::path::PathBuf;

use clap::{Args, CommandFactory, ValueEnum};
use clap_complete::Shell;

use crate::cli::{Cli, Failure, print};
use crate::template::diagnostic::Problem;

/// The arguments of `postbridge man`.
#[derive(Args)]
pub struct Man {
    /// The folder into which the pages are written: postbridge.1, and one for each command.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// The arguments of `postbridge completions`.
#[derive(Args)]
pub struct Completions {
    /// The shell; its completions are printed.
    #[arg(value_enum, value_name = "SHELL")]
    shell: ShellName,
}

/// The shells whose completions packages install.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ShellName {
    Bash,
    Fish,
    Zsh,
}

impl Man {
    /// # Errors
    /// The folder cannot be written to.
    pub fn run(self) -> Result<(), Failure> {
        let written = std::fs::create_dir_all(&self.folder)
            .and_then(|()| clap_mangen::generate_to(Cli::command(), &self.folder));
        written.map_err(|error| {
            let what = format!("the man pages cannot be written to {}: {error}", self.folder.display());
            Failure::running(Problem::new(what, "name a folder of yours"))
        })
    }
}

impl Completions {
    /// # Errors
    /// Standard output cannot be written to.
    pub fn run(self) -> Result<(), Failure> {
        let shell = match self.shell {
            ShellName::Bash => Shell::Bash,
            ShellName::Fish => Shell::Fish,
            ShellName::Zsh => Shell::Zsh,
        };
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "postbridge", &mut text);
        print(&String::from_utf8_lossy(&text))
    }
}
