//! Work on the store that a running relay does: begun over its API, and looked at until it has ended.

use std::time::Duration;

use serde_json::Value;

use crate::cli::Failure;
use crate::cli::progress::WorkBar;
use crate::cli::remote::{Remote, ServerReply, refusal};
use crate::config::configuration::Config;
use crate::template::diagnostic::Problem;

/// How often one looks how far it is.
const LOOK: Duration = Duration::from_millis(250);

/// Has the relay do it. Answers the document that it ends with.
///
/// # Errors
/// It is refused, fails, or no relay answers.
pub async fn carry_out(
    remote: &Remote,
    config: &Config,
    (path, body): (&str, Vec<u8>),
    progress: &WorkBar,
) -> Result<Value, Failure> {
    let mut document = ask(remote, config, ("POST", path), body).await?;
    loop {
        let at = |pointer: &str| document.pointer(pointer);
        let number = |pointer: &str| at(pointer).and_then(Value::as_u64).unwrap_or_default();
        match at("/work/state").and_then(Value::as_str) {
            Some("running") => progress.at(number("/work/done"), number("/work/all")),
            Some("failed") => {
                let reason = at("/work/reason").and_then(Value::as_str).unwrap_or_default();
                return Err(Failure::running(Problem::new(reason, "")));
            }
            _ => return Ok(document),
        }
        tokio::time::sleep(LOOK).await;
        document = ask(remote, config, ("GET", path), Vec::new()).await?;
    }
}

async fn ask(remote: &Remote, config: &Config, call: (&str, &str), body: Vec<u8>) -> Result<Value, Failure> {
    match remote.ask(config, call.0, call.1, body).await? {
        ServerReply::Answered(200, document) => Ok(document),
        ServerReply::Answered(status, document) => Err(refusal(status, &document)),
        ServerReply::NotThere { server, reason } => {
            let what = format!("the data folder is in use, and no relay answers at {server}: {reason}");
            Err(Failure::running(Problem::new(what, "name its address: --server URL")))
        }
    }
}
