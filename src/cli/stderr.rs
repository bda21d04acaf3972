//! What is printed on standard error, logs too, in the form that was asked for. That no one reads it is never a failure.

use std::io::{IsTerminal, Write};
use std::panic::PanicHookInfo;
use std::process::ExitCode;
use std::sync::OnceLock;

use serde::Serialize;
use tracing_subscriber::EnvFilter;

use crate::cli::LogFormat;
use crate::clock::Clock;
use crate::template::diagnostic::Problem;

/// How this process writes on standard error.
static FORMAT: OnceLock<LogFormat> = OnceLock::new();

/// From now on everything is written in this format, panics too. The first one holds.
pub fn set_format(format: LogFormat) {
    if *FORMAT.get_or_init(|| format) == LogFormat::Json {
        std::panic::set_hook(Box::new(|panic| emit(&panicked(panic))));
    }
}

/// A line for people, whatever the format.
pub fn say(line: &str) {
    write(format!("{line}\n"));
}

/// A problem that ends the command, or keeps it from starting.
pub fn problem(problem: &Problem) {
    match FORMAT.get() {
        Some(LogFormat::Json) => emit(&LogFields {
            message: problem.what.clone(),
            at: Some(problem.at.clone()).filter(|at| !at.is_empty()),
            hint: Some(problem.hint.clone()).filter(|hint| !hint.is_empty()),
        }),
        _ => say(&problem.to_string()),
    }
}

/// What is wrong with the command line, or the help that was asked for.
pub fn usage(error: &clap::Error) -> ExitCode {
    if error.use_stderr() && asks_for_json(std::env::args_os()) {
        emit(&LogFields { message: error.to_string(), at: None, hint: None });
    } else {
        // There is no one to report it to.
        let _unread = error.print();
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

/// Whether a command line that cannot be read asks for JSON all the same.
fn asks_for_json(arguments: impl Iterator<Item = std::ffi::OsString>) -> bool {
    let mut is_value = false;
    for argument in arguments {
        if argument == "--log-format=json" || is_value && argument == "json" {
            return true;
        }
        is_value = argument == "--log-format";
    }
    false
}

/// One line, as the log writes its own.
#[derive(Serialize)]
struct LogLine<'a> {
    timestamp: String,
    level: &'static str,
    fields: &'a LogFields,
    target: &'static str,
}

#[derive(Serialize)]
struct LogFields {
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

fn panicked(panic: &PanicHookInfo<'_>) -> LogFields {
    let payload = panic.payload();
    let text = payload.downcast_ref::<&str>().copied();
    let words = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let words = words.unwrap_or("without a word");
    LogFields {
        message: format!("a thread panicked: {words}"),
        at: panic.location().map(ToString::to_string),
        hint: Some("this is a fault of Postbridge: please report it".to_owned()),
    }
}

fn emit(fields: &LogFields) {
    let timestamp = Clock::system().now().to_string();
    let line = LogLine { timestamp, level: "ERROR", fields, target: "postbridge" };
    if let Ok(mut line) = serde_json::to_string(&line) {
        line.push('\n');
        write(line);
    }
}

fn write(line: String) {
    // In one piece, so that lines of other threads do not fall into it. There is no one to report a failure to.
    let _unread = std::io::stderr().lock().write_all(line.as_bytes());
}

/// Starts logging: at `level` where `RUST_LOG` says nothing.
pub fn start_log(format: LogFormat, level: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    set_format(format);
    // A line that no one can read is no reason to fail: reporting it on the same standard error would be one.
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    // A second start_log (tests run several relays in one process) keeps the first.
    let _already = match format {
        LogFormat::Json => builder.json().try_init(),
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init(),
    };
}
