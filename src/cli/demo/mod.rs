//! `postbridge demo`: the main job before your eyes, on real sockets and the real store.

mod stand_in;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use data_encoding::HEXLOWER;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};

use crate::app::App;
use crate::clock::{self, Clock};
use crate::config::configuration::Config;
use crate::domain::ids::ClickId;
use crate::domain::time::Time;
use crate::template::diagnostic::Problem;

use stand_in::StandIn;

const CONFIG: &str = include_str!("postbridge.toml");
const STORY: &str = include_str!("story.toml");
/// How long the demo waits for the payload before it calls the journey failed.
const PATIENCE: Duration = Duration::from_secs(15);

/// Whether to stop after the journey.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterDemo {
    Serve,
    Exit,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DemoStory {
    source: String,
    network: String,
    platform: String,
    reply: String,
    click: String,
    query: String,
    /// Where the payload says when it happened, in seconds: the one thing that is not known before.
    time_at: String,
    payload: String,
}

/// The texts that differ in every run.
struct VaryingTexts {
    clicked_at: Time,
    click_id: String,
    transaction_id: String,
    token: String,
    key: String,
    access_token: String,
}

/// Runs the demo. The folder is deleted when it ends.
///
/// # Errors
/// The step that failed, and what to look at.
pub async fn run(after: AfterDemo) -> Result<(), Problem> {
    let folder = tempfile::tempdir().map_err(|error| failed("make a temporary folder", error))?;
    let story: DemoStory = toml::from_str(STORY).map_err(|error| failed("read the demo's story", error))?;
    let names = VaryingTexts::fresh()?;
    let stand_in =
        StandIn::start(story.reply.clone()).await.map_err(|error| failed("start the stand-in", error))?;
    let text = names.fill(CONFIG, folder.path(), stand_in.address);
    let config = Config::parse("demo", &text, &|_| None).map_err(first)?;
    let app = App::start(config, Clock::system()).await?;
    say!("Postbridge demo: the relay listens on http://{}", app.address());
    say!("A stand-in for {} listens on http://{}\n", story.platform, stand_in.address);
    let journey = journey(&story, &names, app.address(), &stand_in).await;
    let ended = match (&journey, after) {
        (Ok(()), AfterDemo::Serve) => serve_until_interrupted(&app).await,
        _ => Ok(()),
    };
    let stopped = app.stop().await;
    journey.and(ended).and(stopped)
}

async fn journey(
    story: &DemoStory,
    names: &VaryingTexts,
    relay: SocketAddr,
    stand_in: &StandIn,
) -> Result<(), Problem> {
    say!("1. A visitor clicks an ad and lands on the shop. The shop's server records the click:");
    let click = names.replace(&story.click);
    say!("   POST /api/v1/clicks {}", compact(&click));
    let asked = format!(
        "POST /api/v1/clicks HTTP/1.1\r\nHost: demo\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{click}",
        names.token,
        click.len()
    );
    let answer = exchange(relay, &asked).await?;
    say!("   → {answer}\n");

    say!("2. The visitor buys. {} fires its postback:", story.network);
    let query = names.replace(&story.query);
    say!("   GET /***/collect/{}?{query}", story.source);
    let asked = format!(
        "GET /{}/collect/{}?{query} HTTP/1.1\r\nHost: demo\r\nConnection: close\r\n\r\n",
        names.key, story.source
    );
    let answer = exchange(relay, &asked).await?;
    say!("   → {answer}   (durable before it was answered)\n");
    let receipt: Value =
        serde_json::from_str(&answer).map_err(|error| failed("read the relay's answer", error))?;
    expect("the postback's status", receipt.get("status"), "accepted")?;
    expect("the postback's attribution", receipt.get("attribution"), "matched")?;

    say!("3. Postbridge joined the two and sent {} this:", story.platform);
    let payload = tokio::time::timeout(PATIENCE, stand_in.payload())
        .await
        .map_err(|_| Problem::new("nothing arrived at the stand-in", "run it again with RUST_LOG=debug"))?;
    let payload: Value = serde_json::from_str(&payload).map_err(|error| failed("read the payload", error))?;
    let pretty = serde_json::to_string_pretty(&payload).unwrap_or_default();
    say!(
        "{}\n",
        pretty.lines().map(|line| format!("   {line}\n")).collect::<String>().trim_end_matches('\n')
    );
    let event_id = text_of(receipt.get("event_id"));
    compare(&payload, &wanted(story, names, &payload, &event_id)?)?;
    say!("It was compared with what must arrive, member by member. The journey is complete.");
    Ok(())
}

/// The payload that must arrive. Its time is taken from the one that was received, if that is just now.
fn wanted(
    story: &DemoStory,
    names: &VaryingTexts,
    received: &Value,
    event_id: &str,
) -> Result<Value, Problem> {
    let now = Clock::system().now().as_seconds();
    let time = received
        .pointer(&story.time_at)
        .and_then(Value::as_i64)
        .filter(|time| (now - 60..=now).contains(time));
    let time =
        time.ok_or_else(|| failed("compare the payload", format!("{} is not just now", story.time_at)))?;
    let text = names
        .replace(&story.payload)
        .replace("{event_time}", &time.to_string())
        .replace("{event_id}", event_id)
        .replace("{click_id_sha256}", &HEXLOWER.encode(&Sha256::digest(names.click_id.as_bytes())));
    serde_json::from_str(&text).map_err(|error| failed("read the demo's story", error))
}

fn compare(received: &Value, wanted: &Value) -> Result<(), Problem> {
    if received == wanted {
        return Ok(());
    }
    let what = format!("the payload is not what must arrive, which is\n{wanted:#}");
    Err(Problem::new(what, "this is a fault of Postbridge: please report it"))
}

async fn serve_until_interrupted(app: &App) -> Result<(), Problem> {
    say!("\nLook around: http://{}{}", app.address(), app.sign_in_path());
    say!("(the link signs you in once; Ctrl-C ends the demo and deletes its folder)");
    let mut terminate =
        signal(SignalKind::terminate()).map_err(|error| failed("listen for signals", error))?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted.map_err(|error| failed("wait for Ctrl-C", error)),
        _ = terminate.recv() => Ok(()),
        reason = app.failed() => Err(Problem::new(reason, "look at the log above")),
    }
}

impl VaryingTexts {
    fn fresh() -> Result<VaryingTexts, Problem> {
        let random = || clock::entropy::<16>().map_err(|error| failed("draw random bytes", error));
        let word = |bytes: [u8; 16]| HEXLOWER.encode(&bytes);
        let now = Clock::system().now();
        Ok(VaryingTexts {
            clicked_at: now,
            click_id: ClickId::mint(now.as_millis(), random()?).as_str().to_owned(),
            transaction_id: word(random()?),
            token: word(random()?),
            key: word(random()?),
            access_token: word(random()?),
        })
    }

    fn fill(&self, text: &str, folder: &Path, stand_in: SocketAddr) -> String {
        self.replace(text)
            .replace("{folder}", &folder.join("data").display().to_string())
            .replace("{stand_in}", &stand_in.to_string())
    }

    fn replace(&self, text: &str) -> String {
        text.replace("{clicked_at}", &self.clicked_at.to_string())
            .replace("{clicked_at_ms}", &self.clicked_at.as_millis().to_string())
            .replace("{click_id}", &self.click_id)
            .replace("{transaction_id}", &self.transaction_id)
            .replace("{token}", &self.token)
            .replace("{key}", &self.key)
            .replace("{access_token}", &self.access_token)
    }
}

/// Sends a whole request and answers the body of a 200.
async fn exchange(relay: SocketAddr, request: &str) -> Result<String, Problem> {
    let talk = async {
        let mut stream = TcpStream::connect(relay).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = talk.await.map_err(|error| failed("talk to the relay", error))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    if !head.starts_with("HTTP/1.1 200") {
        return Err(Problem::new(
            format!("the relay answered: {answer}"),
            "run it again with RUST_LOG=debug",
        ));
    }
    Ok(body.to_owned())
}

fn text_of(value: Option<&Value>) -> String {
    match value {
        None => "nothing".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

fn expect(what: &str, received: Option<&Value>, wanted: &str) -> Result<(), Problem> {
    let received = text_of(received);
    if received == wanted {
        return Ok(());
    }
    Err(Problem::new(
        format!("{what} is `{received}`, not `{wanted}`"),
        "this is a fault of Postbridge: please report it",
    ))
}

fn compact(json: &str) -> String {
    serde_json::from_str::<Value>(json).map_or_else(|_| json.to_owned(), |value| value.to_string())
}

fn failed(doing: &str, error: impl std::fmt::Display) -> Problem {
    Problem::new(format!("could not {doing}: {error}"), "see the message above")
}

fn first(problems: Vec<Problem>) -> Problem {
    problems
        .into_iter()
        .next()
        .unwrap_or_else(|| Problem::new("the demo's configuration is wrong", "please report it"))
}
