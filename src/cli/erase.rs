//! `postbridge erase`: shows what is kept of a person and who was sent it, and erases it.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use crate::cli::remote::{Remote, ServerReply, refusal};
use crate::cli::{Failure, print, print_json, run_to_end};
use crate::clock::Clock;
use crate::config::configuration::Config;
use crate::domain::code::{CodedReason, ReasonCode};
use crate::domain::erasure::subject::{SubjectKind, SubjectRefused};
use crate::domain::error_code::ErrorCode;
use crate::ops::erasure::{self, ErasureError};
use crate::store::contract::Store;
use crate::store::contract::error::StoreError;
use crate::store::embedded::Embedded;
use crate::template::diagnostic::Problem;
use crate::view::erasure::ErasureView;
use crate::web::api::erasures::looked_at;

/// How long it waits until it asks again how far the relay is.
const ASK_EVERY: Duration = Duration::from_millis(500);
/// How often it is looked at most what is left to be done of the files.
const STEPS: usize = 8;

/// Of `-` the value is read from standard input: there no other user of the machine sees it.
#[derive(Args)]
#[group(id = "subject", required = true, multiple = false, args = ["email", "phone", "click_id", "transaction_id"])]
pub struct Erase {
    /// The person's e-mail address; `-` reads it from standard input.
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// The person's phone number with its country's calling code; `-` reads it from standard input.
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    phone: Option<String>,
    /// The id of a click of the person.
    #[arg(long, value_name = "ID")]
    click_id: Option<String>,
    /// The number of an order of the person.
    #[arg(long, value_name = "ID")]
    transaction_id: Option<String>,
    /// Erase also where it is the data of more than one person.
    #[arg(long)]
    yes: bool,
    /// Only show what would be erased.
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Print one JSON document, that of /api/v1/erasures.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: Remote,
}

impl Erase {
    pub fn run(self) -> Result<(), Failure> {
        let config = self.remote.load()?;
        let (kind, text) = self.subject()?;
        run_to_end(async move {
            let look = json!({ kind.as_str(): text });
            match self.begin(&config, &look).await? {
                ServerReply::Answered(202, begun) => self.by_relay(&config, begun).await,
                ServerReply::Answered(status, document) => Err(refusal(status, &document)),
                ServerReply::NotThere { server, reason } if self.remote.is_named() => {
                    Err(gone(&server, &reason))
                }
                ServerReply::NotThere { server, .. } => self.in_folder(&config, kind, &text, &server).await,
            }
        })
    }

    /// By a relay that looks for it.
    async fn by_relay(&self, config: &Config, begun: Value) -> Result<(), Failure> {
        let found = self.ended(config, begun).await?;
        let preview = found.get("erasure").cloned().unwrap_or_default();
        if !self.json {
            print(&in_words(&preview))?;
        }
        if self.is_over(&preview)? {
            return Ok(());
        }
        let apply = json!({ "work": found.get("id"), "apply": true, "confirm": self.yes });
        let kept = match self.begin(config, &apply).await? {
            ServerReply::Answered(202, begun) => self.ended(config, begun).await?,
            ServerReply::Answered(status, document) => return Err(refusal(status, &document)),
            ServerReply::NotThere { server, reason } => return Err(gone(&server, &reason)),
        };
        let done = self.wait(config, kept.get("erasure").cloned().unwrap_or_default()).await?;
        self.show_done(&done)
    }

    /// Begins to look, or to erase what was found; waits while others do.
    async fn begin(&self, config: &Config, wish: &Value) -> Result<ServerReply, Failure> {
        loop {
            let body = wish.to_string().into_bytes();
            match self.remote.ask(config, "POST", "/api/v1/erasures", body).await? {
                ServerReply::Answered(409, document) if is_busy(&document) => {
                    tokio::time::sleep(ASK_EVERY).await;
                }
                reply => return Ok(reply),
            }
        }
    }

    /// The work once it has ended, as it should.
    async fn ended(&self, config: &Config, begun: Value) -> Result<Value, Failure> {
        let mut document = begun;
        let id = document.pointer("/work/id").cloned();
        loop {
            let work = document.get("work").cloned().unwrap_or_default();
            let text = |name: &str| work.get(name).and_then(Value::as_str).unwrap_or_default();
            if work.get("id") != id.as_ref() {
                let what = "another has looked for what would be erased meanwhile";
                return Err(Failure::running(Problem::new(what, "nothing was erased: begin again")));
            }
            match text("state") {
                "looking" => {}
                "refused" | "failed" => {
                    return Err(Failure::running(Problem::new(text("reason"), text("hint"))));
                }
                _ => return Ok(work),
            }
            tokio::time::sleep(ASK_EVERY).await;
            document = match self.remote.ask(config, "GET", "/api/v1/erasures/work", Vec::new()).await? {
                ServerReply::Answered(200, document) => document,
                ServerReply::Answered(status, document) => return Err(refusal(status, &document)),
                ServerReply::NotThere { server, reason } => return Err(gone(&server, &reason)),
            };
        }
    }

    fn subject(&self) -> Result<(SubjectKind, String), Failure> {
        let values = [&self.email, &self.phone, &self.click_id, &self.transaction_id];
        let mut given =
            SubjectKind::ALL.into_iter().zip(values).filter_map(|(kind, text)| Some((kind, text.clone()?)));
        let (kind, text) = given.next().ok_or_else(|| refused(SubjectRefused::Empty))?;
        if text != "-" {
            return Ok((kind, text));
        }
        let mut read = String::new();
        std::io::stdin().read_to_string(&mut read).map_err(|error| {
            let what = format!("the value cannot be read from standard input: {error}");
            Failure::running(Problem::new(what, "write it behind the option"))
        })?;
        Ok((kind, read.trim().to_owned()))
    }

    /// Whether nothing is to be done after what was shown.
    fn is_over(&self, preview: &Value) -> Result<bool, Failure> {
        let number = |pointer: &str| preview.pointer(pointer).and_then(Value::as_u64).unwrap_or_default();
        let is_nothing = records(preview, "found") == 0;
        if (is_nothing || self.dry_run) && self.json {
            print_json(preview)?;
        }
        if is_nothing || self.dry_run {
            return Ok(true);
        }
        let persons = number("/persons");
        if persons > 1 && !self.yes {
            return Err(refused(SubjectRefused::SeveralPersons { persons }));
        }
        Ok(false)
    }

    /// Until the relay has looked at every record.
    async fn wait(&self, config: &Config, mut kept: Value) -> Result<Value, Failure> {
        let id = kept.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        let path = format!("/api/v1/erasures/{id}");
        while kept.get("state").and_then(Value::as_str) == Some("working") {
            tokio::time::sleep(ASK_EVERY).await;
            kept = match self.remote.ask(config, "GET", &path, Vec::new()).await? {
                ServerReply::Answered(200, document) => document,
                ServerReply::Answered(status, document) => return Err(refusal(status, &document)),
                ServerReply::NotThere { server, reason } => {
                    let what = format!("{server} does not answer any more ({reason})");
                    let hint =
                        format!("the erasure {id} is kept, and goes on when the relay is started again");
                    return Err(Failure::running(Problem::new(what, hint)));
                }
            };
        }
        Ok(kept)
    }

    fn show_done(&self, document: &Value) -> Result<(), Failure> {
        if self.json {
            return print_json(document);
        }
        let id = document.get("id").and_then(Value::as_str).unwrap_or_default();
        let mut text =
            format!("erasure {id} is done: {} records were changed\n", records(document, "erased"));
        let unreadable = document.get("unreadable").and_then(Value::as_u64).unwrap_or_default();
        if unreadable > 0 {
            text.push_str(&format!("could not be erased: {unreadable} records cannot be read\n"));
        }
        text.push_str("what was sent to others is theirs to erase\n");
        text.push_str(&elsewhere(document));
        print(&text)
    }

    /// Where no relay runs the folder is this command's own for a while.
    async fn in_folder(
        &self,
        config: &Config,
        kind: SubjectKind,
        text: &str,
        server: &str,
    ) -> Result<(), Failure> {
        let failed = |what: String| {
            let hint = "name its address: --server URL";
            Failure::running(Problem::new(format!("no relay answers at {server}, and {what}"), hint))
        };
        let path = &config.store.path;
        if !path.exists() {
            return Err(failed(format!("there is no data folder {}", path.display())));
        }
        let rules = Arc::new(config.ruleset());
        let store = Embedded::open_sled(path, rules).map_err(|error| failed(error.to_string()))?;
        let done = self.with_store(&store, kind, text).await;
        store.close().await.map_err(|error| failed(error.to_string()))?;
        done
    }

    async fn with_store(&self, store: &dyn Store, kind: SubjectKind, text: &str) -> Result<(), Failure> {
        let clock = Clock::system();
        let facts = store.operator_facts().await.map_err(not_done)?;
        clock.go_by(facts.clock, facts.newest);
        let subject = erasure::subject(kind, text).map_err(refused)?;
        let plan = erasure::look(store, &subject, clock.now()).await.map_err(not_erased)?;
        let preview = document(&ErasureView::preview(&looked_at(&plan)))?;
        if !self.json {
            print(&in_words(&preview))?;
        }
        if self.is_over(&preview)? {
            return Ok(());
        }
        let kept = erasure::carry_out(store, plan, ("erase", self.yes)).await.map_err(not_erased)?;
        erasure::finish(store, clock.now()).await.map_err(not_done)?;
        rewrite_files(store, kept.id, &clock).await?;
        let done = store.erasure(kept.id).await.map_err(not_done)?.unwrap_or(kept);
        self.show_done(&document(&ErasureView::of(&done))?)
    }
}

/// Takes what was erased out of the journal too, and out of the index: no relay runs that would do it in time.
async fn rewrite_files(store: &dyn Store, id: u64, clock: &Clock) -> Result<(), Failure> {
    let Some(folder) = store.folder() else { return Ok(()) };
    let failed = |what: String| {
        let hint = "the erasure is kept, and journal and index are rewritten once the relay runs";
        Failure::running(Problem::new(what, hint))
    };
    // What is to go is noted, the journal is rewritten, that is noted, and the index is made anew. Something of it may be
    // going on in the background already.
    store.erase_step(clock.now()).await.map_err(not_done)?;
    for _ in 0..STEPS {
        store.erase_step(clock.now()).await.map_err(not_done)?;
        let kept = store.erasure(id).await.map_err(not_done)?;
        if kept.is_some_and(|kept| kept.journal.index_renewed_at.is_some()) {
            break;
        }
        let folder = Arc::clone(&folder);
        match tokio::task::spawn_blocking(move || folder.tidy()).await {
            Ok(done) => done.map_err(|error| failed(error.to_string()))?,
            Err(error) => return Err(failed(error.to_string())),
        }
    }
    Ok(())
}

/// Where the data still is, for people.
fn elsewhere(document: &Value) -> String {
    let journal = document.get("journal").unwrap_or(&Value::Null);
    let text = |name: &str| journal.get(name).and_then(Value::as_str);
    let names = |name: &str| {
        let all = journal.get(name).and_then(Value::as_array).into_iter().flatten();
        all.filter_map(Value::as_str).map(str::to_owned).collect::<Vec<String>>()
    };
    let mut words = match text("rewritten_at") {
        Some(at) => format!("the journal was rewritten without it: {at}\n"),
        None => "the journal's files have it until they are rewritten, within the hour\n".to_owned(),
    };
    if text("index_renewed_at").is_none() {
        words
            .push_str("the index may have bytes of it in its free space until it is made anew, after that\n");
    }
    for (name, what) in [
        ("backups", "backups that are known and hold it"),
        ("unreached", "known backups that could not be given the erasure"),
        ("files", "set aside in the data folder, and may hold it"),
    ] {
        let named = names(name);
        if !named.is_empty() {
            words.push_str(&format!("{what}: {}\n", named.join(", ")));
        }
    }
    words
}

fn document(view: &ErasureView<'_>) -> Result<Value, Failure> {
    serde_json::to_value(view)
        .map_err(|error| Failure::running(Problem::new(format!("it cannot be shown: {error}"), "")))
}

/// Whether others look for what would be erased.
fn is_busy(document: &Value) -> bool {
    let code = document.pointer("/error/code").and_then(Value::as_str);
    code == Some(ErrorCode::ErasureBusy.as_str())
}

fn gone(server: &str, reason: &str) -> Failure {
    let what = format!("no relay answers at {server}: {reason}");
    Failure::running(Problem::new(what, "start it, or name another: --server URL"))
}

fn refused(why: SubjectRefused) -> Failure {
    let problem = Problem::new(why.sentence(), why.hint());
    match why {
        SubjectRefused::SeveralPersons { .. }
        | SubjectRefused::TooMany { .. }
        | SubjectRefused::NothingFound => Failure::running(problem),
        _ => Failure::usage(vec![problem]),
    }
}

fn not_done(error: StoreError) -> Failure {
    Failure::running(Problem::new(error.to_string(), "start it again: an erasure that is kept goes on"))
}

fn not_erased(error: ErasureError) -> Failure {
    match error {
        ErasureError::Refused(why) => refused(why),
        ErasureError::Store(error) => not_done(error),
    }
}

/// How many records of all kinds are under a member.
fn records(document: &Value, member: &str) -> u64 {
    let counts = document.get(member).and_then(Value::as_object);
    counts.into_iter().flatten().filter_map(|(_, count)| count.as_u64()).sum()
}

/// What was found, for people.
fn in_words(preview: &Value) -> String {
    let text =
        |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    if records(preview, "found") == 0 {
        return format!("no record is kept of a person with this {}\n", text(preview, "subject"));
    }
    let persons = preview.get("persons").and_then(Value::as_u64).unwrap_or_default();
    let mut shown = format!("records with data of {persons} person(s):\n");
    for (kind, count) in preview.get("found").and_then(Value::as_object).into_iter().flatten() {
        if count.as_u64().is_some_and(|count| count > 0) {
            shown.push_str(&format!("  {kind:<12} {count}\n"));
        }
    }
    let sent = preview.get("sent").and_then(Value::as_array);
    for one in sent.into_iter().flatten() {
        let fields: Vec<&str> = one
            .get("fields")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let with = if fields.is_empty() { String::new() } else { format!(", with {}", fields.join(", ")) };
        let (outcome, to) = (text(one, "outcome"), text(one, "destination"));
        let (event, at) = (text(one, "event"), text(one, "at"));
        shown.push_str(&format!("{outcome} to {to} at {at}: {event}{with}\n"));
    }
    if let Some(more) = preview.get("sent_more").and_then(Value::as_u64).filter(|more| *more > 0) {
        shown.push_str(&format!("and {more} more\n"));
    }
    shown
}
