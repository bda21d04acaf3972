//! The command line: what may be typed, and which file does it. No rule of the business is here.

/// Writes a line to standard output. A reader that has gone away (`| head`) is no fault.
macro_rules! say {
    ($($text:tt)*) => { $crate::cli::print_line(&format!($($text)*)) };
}

mod backup;
pub(crate) mod check;
mod confirm_clock;
mod demo;
mod erase;
pub(crate) mod init;
mod link;
mod listing;
mod manual;
mod pasted_request;
pub(crate) mod preview;
mod progress;
mod remote;
mod restore;
mod salvage;
mod send_test;
mod serve;
mod service_manager;
pub mod stderr;
mod store_work;
pub(crate) mod templates;
pub(crate) mod url;
mod verify;

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::Serialize;

use crate::config::configuration::Config;
use crate::config::part::PartlyRead;
use crate::template::diagnostic::Problem;

/// Self-hosted, bidirectional postback relay and attribution bridge.
#[derive(Parser)]
#[command(name = "postbridge", version, about, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write a commented postbridge.toml to start from.
    Init(init::Init),
    /// Name every problem of the configuration and the templates, with its line and the fix.
    Check(check::Check),
    /// Print the postback URL to paste at the network, macros in place.
    Url(url::Url),
    /// Print a campaign's tracking link.
    Link(link::LinkCommand),
    /// Show what a postback would become and what would be sent; sends and stores nothing.
    Preview(preview::PreviewArgs),
    /// Have the running relay send one test event to a destination, and show request, answer and verdict.
    SendTest(send_test::SendTest),
    /// List the templates, or run the stories of your own.
    #[command(subcommand)]
    Templates(templates::Templates),
    /// Run the relay.
    Serve(Serve),
    /// Say that the machine's clock is right, so that retention goes on that is paused because it jumped.
    ConfirmClock(confirm_clock::ConfirmClock),
    /// Erase a person's data: shows what would be erased, and erases it with --yes or once it was confirmed.
    Erase(erase::Erase),
    /// Look through the whole store: every checksum, every record, every reference; of a relay that runs or not.
    Verify(verify::Verify),
    /// Make a consistent copy of the store, also while the relay runs: only what is new is copied.
    Backup(backup::Backup),
    /// Take a backup back into a data folder that has nothing.
    Restore(restore::Restore),
    /// Read what can be read out of a damaged data folder, or a damaged backup, into a new one.
    Salvage(salvage::SalvageCommand),
    /// Show the main job end to end, on a relay in a temporary folder and a stand-in platform.
    Demo(Demo),
    /// Write man pages, for packages.
    #[command(hide = true)]
    Man(manual::Man),
    /// Print the completions of a shell, for packages.
    #[command(hide = true)]
    Completions(manual::Completions),
}

/// The arguments of `postbridge serve`.
#[derive(Args)]
pub struct Serve {
    /// The configuration that the relay runs by.
    #[command(flatten)]
    pub config: ConfigPath,
    /// How log lines are written; RUST_LOG says which.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// Go on without what is lost: the word that the refusal of this very damage gave.
    #[arg(long, value_name = "WORD")]
    pub accept_loss: Option<String>,
}

/// For people or for machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// A readable line, for a terminal.
    Text,
    /// One JSON document a line.
    Json,
}

/// The arguments of `postbridge demo`.
#[derive(Args)]
pub struct Demo {
    /// End after the journey: with 0, or with 1 if any step failed.
    #[arg(long)]
    pub once: bool,
}

/// Which configuration a command reads.
#[derive(Args)]
pub struct ConfigPath {
    /// The configuration file [default: $POSTBRIDGE_CONFIG, else ./postbridge.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ConfigPath {
    /// `--config`, else `$POSTBRIDGE_CONFIG`, else `postbridge.toml` here.
    pub fn path(&self) -> PathBuf {
        let from_env = || std::env::var_os("POSTBRIDGE_CONFIG").filter(|path| !path.is_empty());
        let chosen = self.config.clone().or_else(|| from_env().map(PathBuf::from));
        chosen.unwrap_or_else(|| PathBuf::from("postbridge.toml"))
    }

    /// Whether the command line or the environment names the file.
    pub fn is_given(&self) -> bool {
        self.config.is_some() || std::env::var_os("POSTBRIDGE_CONFIG").is_some_and(|path| !path.is_empty())
    }

    /// The configuration, or all its problems as bad usage.
    pub fn load(&self) -> Result<Config, Failure> {
        Config::load(&self.path()).map_err(Failure::usage)
    }

    /// What can be read of the configuration, for a command that needs only a part of it.
    pub fn load_part(&self) -> Result<PartlyRead, Failure> {
        PartlyRead::load(&self.path()).map_err(Failure::usage)
    }
}

/// Why a command ends with another code than 0.
#[derive(Debug)]
pub struct Failure {
    /// 1: failed while running. 2: bad usage or configuration.
    pub code: u8,
    /// What to print on standard error; empty where the command has said it all.
    pub problems: Vec<Problem>,
}

impl Failure {
    /// The command line or the configuration is wrong.
    pub fn usage(problems: Vec<Problem>) -> Failure {
        Failure { code: 2, problems }
    }

    /// Something failed while the command ran.
    pub fn running(problem: Problem) -> Failure {
        Failure { code: 1, problems: vec![problem] }
    }
}

/// Does what was typed.
///
/// # Errors
/// With what to print on standard error, and the exit code.
pub fn run(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        Command::Init(command) => command.run(),
        Command::Check(command) => command.run(),
        Command::Url(command) => command.run(),
        Command::Link(command) => command.run(),
        Command::Preview(command) => command.run(),
        Command::SendTest(command) => command.run(),
        Command::Templates(command) => command.run(),
        Command::ConfirmClock(command) => command.run(),
        Command::Erase(command) => command.run(),
        Command::Verify(command) => command.run(),
        Command::Backup(command) => command.run(),
        Command::Restore(command) => command.run(),
        Command::Salvage(command) => command.run(),
        Command::Man(command) => command.run(),
        Command::Completions(command) => command.run(),
        Command::Serve(command) => {
            stderr::start_log(command.log_format, "info");
            run_to_end(serve::run(&command.config.path(), command.accept_loss))
        }
        Command::Demo(command) => {
            // The demo logs its steps itself; only what is wrong is logged.
            stderr::start_log(LogFormat::Text, "warn");
            let after = if command.once { demo::AfterDemo::Exit } else { demo::AfterDemo::Serve };
            run_to_end(async { demo::run(after).await.map_err(Failure::running) })
        }
    }
}

/// Runs on a runtime of its own. What still hangs at the end, as a look-up at a dead name server, is
/// not waited for.
fn run_to_end(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| {
        let what = format!("cannot start threads: {error}");
        Failure::running(Problem::new(what, "raise the limit of processes"))
    })?;
    let outcome = runtime.block_on(work);
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}

/// Writes a command's result to standard output. A reader that has gone away (`| head`) is no fault.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::running(Problem::new(format!("cannot write the result: {error}"), "")))
        }
        _ => Ok(()),
    }
}

/// Writes a line to standard output while a command goes on; that no one reads it does not stop the command.
pub fn print_line(line: &str) {
    if let Err(failure) = print(&format!("{line}\n")) {
        failure.problems.iter().for_each(stderr::problem);
    }
}

/// Writes one JSON document to standard output.
pub fn print_json(document: &impl Serialize) -> Result<(), Failure> {
    let document = serde_json::to_value(document).map_err(|error| {
        let what = format!("the document could not be written: {error}");
        Failure::running(Problem::new(what, "report this with the command that you typed"))
    })?;
    print(&format!("{document:#}\n"))
}

/// Says, next to a result, that the configuration has problems that do not concern it.
pub fn note_other_problems(part: &PartlyRead) {
    if part.count_problems() > 0 {
        let problems = count(part.count_problems(), "problem", "problems");
        stderr::say(&format!("the configuration has {problems} elsewhere: `postbridge check` names them"));
    }
}

/// A number of things, in words: `1 source`, `2 sources`.
pub fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
