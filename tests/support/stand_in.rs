//! An ad platform that is not there, by what its template's folder says of it and not by what we make of that: its
//! schema, how it is called and signed in to, the most events of a request, where they are in it, and the answers of its
//! stories.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use postbridge::template::destination::schema::EventSchema;
use serde_json::Value;

use crate::support::confirm_answers::ConfirmAnswers;
use crate::support::expected_request::ExpectedRequest;
use crate::support::platform::{Act, Platform, Received};
use crate::support::platform_answers::{PlatformAnswers, RowsAt};
use crate::support::token_server::TokenServer;

/// A running stand-in of one platform.
pub struct StandIn {
    pub name: String,
    pub platform: Platform,
    /// Where the account signs in, if it does.
    pub tokens: Option<Arc<TokenServer>>,
    shared: Arc<Mutex<Ledger>>,
    rate: Option<f64>,
}

/// What it was sent.
#[derive(Default)]
struct Ledger {
    /// Every event that it took, in order.
    taken: Vec<Taking>,
    /// The text of those that it refused for ever.
    refused: Vec<String>,
    /// What was wrong with a request.
    faults: BTreeSet<String>,
    /// The most events that a request carried.
    most_events: usize,
    /// How many requests it answered with a row for every event, some refused and some taken.
    by_rows: usize,
    /// The events whose request it did not answer as it should, each once.
    failed: BTreeSet<String>,
    /// The events of each request of which it says later what became of them; its name is its place.
    accepted: Vec<Vec<String>>,
    /// How often it said so.
    confirmed: usize,
    /// When how much of what its rate counts was received.
    arrivals: Vec<(Instant, usize)>,
}

/// An event that was taken.
struct Taking {
    text: String,
    /// Which run of the program sent it.
    run: usize,
    /// Whether the answer was lost.
    is_lost: bool,
}

/// How it fails.
struct Failing {
    /// Of a hundred requests that it sees for the first time.
    of_hundred: u64,
    seed: u64,
}

/// What the folder of a template says.
struct PlatformFolder {
    schema: EventSchema,
    most_events: usize,
    request: ExpectedRequest,
    /// How much a second it takes, and whether that is events.
    rate: Option<(f64, bool)>,
    answers: PlatformAnswers,
    tokens: Option<Arc<TokenServer>>,
    /// `None`: its answer is all that it ever says.
    confirms: Option<ConfirmAnswers>,
    failing: Failing,
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

impl PlatformFolder {
    fn read(name: &str, settings: &BTreeMap<String, String>, failing: Failing) -> PlatformFolder {
        let folder = repository().join("templates/destinations").join(name);
        let text = |file: &str| std::fs::read_to_string(folder.join(file));
        let toml: toml::Table = text("destination.toml").unwrap().parse().unwrap();
        let most = toml.get("batch").and_then(|batch| batch.get("max")).and_then(toml::Value::as_integer);
        let schema = EventSchema::parse("schema.json", &text("schema.json").unwrap()).unwrap();
        let rate = toml.get("rate").map(|rate| {
            let number = rate["max_per_second"].as_integer().unwrap();
            (number as f64, rate.get("counts").and_then(toml::Value::as_str) == Some("events"))
        });
        let by_each = |batch: &toml::Value| batch.get("verdict").is_some_and(|v| v.as_str() == Some("each"));
        let rows = toml.get("batch").and_then(|batch| Some((batch.get("rows")?, by_each(batch))));
        let rows = rows.filter(|(rows, _)| rows.get("pattern").is_none());
        let rows = rows.map(|(rows, by_each)| RowsAt {
            at: rows["at"].as_str().unwrap().to_owned(),
            index: rows.get("index").and_then(toml::Value::as_str).map(str::to_owned),
            by_each,
        });
        let rows = rows.filter(|rows| !rows.at.contains('*'));
        let stories = repository().join("fixtures/destinations").join(name);
        let auth = toml["request"].get("auth").and_then(toml::Value::as_array).into_iter().flatten();
        let mut signs_in = auth.filter(|auth| auth["kind"].as_str() == Some("oauth2-refresh"));
        let tokens = signs_in.next().map(|auth| Arc::new(TokenServer::start(auth, settings)));
        PlatformFolder {
            schema,
            most_events: most.map_or(1, |most| usize::try_from(most).unwrap()),
            request: ExpectedRequest::read(&toml, text("envelope.json.hbs").ok().as_deref(), settings),
            rate,
            answers: PlatformAnswers::of_stories(&stories, rows),
            tokens,
            confirms: toml.get("confirm").map(|confirm| ConfirmAnswers::read(confirm, &stories)),
            failing,
        }
    }

    /// The events of a request, and what is wrong with it.
    fn events_of(&self, request: &Received, path: &str) -> (Vec<Value>, Vec<String>) {
        let mut faults = self.request.faults(request, path);
        let shown = request.header("authorization");
        if self.tokens.as_ref().is_some_and(|tokens| !tokens.gave(shown)) {
            faults.push(format!("the token is {shown:?}, which was never given"));
        }
        let events = self.request.events_of(request);
        if events.is_empty() || events.len() > self.most_events {
            faults.push(format!("{} events in a request", events.len()));
        }
        if (1..events.len()).any(|n| events[..n].contains(&events[n])) {
            faults.push("an event twice in a request".to_owned());
        }
        for event in &events {
            let wrong = self.schema.faults(event);
            faults.extend(wrong.into_iter().map(|fault| format!("{}: {}", fault.at, fault.what)));
        }
        (events, faults)
    }
}

/// The same number for the same text, for chance that can be repeated.
fn chance(text: &str, seed: u64) -> u64 {
    let mut hash = seed ^ 0xcbf2_9ce4_8422_2325;
    for byte in text.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash ^ (hash >> 29)
}

impl StandIn {
    /// Starts one that goes by the folder of this template, for an account with these settings. Of a hundred requests with
    /// events that it sees for the first time it fails about `failing`, in one of the platform's own shapes or on the way;
    /// a quarter as many events it refuses for ever, with every request that has one of them; where its answers have a
    /// row for every event half as many, mostly alone.
    pub fn start(name: &str, settings: &BTreeMap<String, String>, failing: u64, seed: u64) -> StandIn {
        let folder = PlatformFolder::read(name, settings, Failing { of_hundred: failing, seed });
        let (rate, tokens) = (folder.rate.map(|(rate, _)| rate), folder.tokens.clone());
        let shared: Arc<Mutex<Ledger>> = Arc::default();
        let ledger = Arc::clone(&shared);
        let platform = Platform::start(move |request| folder.answer(request, &mut ledger.lock()));
        StandIn { name: name.to_owned(), platform, tokens, shared, rate }
    }

    /// The endpoint for a run of the program: what it sends is known by it.
    pub fn endpoint(&self, run: usize) -> String {
        self.platform.url(&format!("/run-{run}"))
    }

    /// How often it took an event that holds this text.
    pub fn taken(&self, text: &str) -> usize {
        self.shared.lock().taken.iter().filter(|taking| taking.text.contains(text)).count()
    }

    /// In how many runs it took such an event.
    pub fn runs(&self, text: &str) -> usize {
        let ledger = self.shared.lock();
        let runs = ledger.taken.iter().filter(|taking| taking.text.contains(text)).map(|taking| taking.run);
        runs.collect::<BTreeSet<_>>().len()
    }

    /// The runs in which it took such an event more often than answers about it were lost, and once.
    pub fn repeated_without_need(&self, text: &str) -> Vec<usize> {
        let ledger = self.shared.lock();
        let mut spare = BTreeMap::<usize, i64>::new();
        for taking in ledger.taken.iter().filter(|taking| taking.text.contains(text)) {
            *spare.entry(taking.run).or_insert(1) -= i64::from(!taking.is_lost);
        }
        spare.into_iter().filter(|(_, spare)| *spare < 0).map(|(run, _)| run).collect()
    }

    /// Whether it refused such an event for ever.
    pub fn refused(&self, text: &str) -> bool {
        self.shared.lock().refused.iter().any(|event| event.contains(text))
    }

    /// The most events that one request carried.
    pub fn most_events(&self) -> usize {
        self.shared.lock().most_events
    }

    /// What was wrong with what it was sent.
    pub fn faults(&self) -> Vec<String> {
        let ledger = self.shared.lock();
        let of_tokens = self.tokens.iter().flat_map(|tokens| tokens.faults());
        let too_fast = self.rate.and_then(|rate| ledger.too_fast(rate));
        ledger.faults.iter().cloned().chain(of_tokens).chain(too_fast).collect()
    }

    /// How many requests it took without the bad ones.
    pub fn by_rows(&self) -> usize {
        self.shared.lock().by_rows
    }

    /// How often it said later what became of a request.
    pub fn confirmed(&self) -> usize {
        self.shared.lock().confirmed
    }

    /// How many events it did not answer as it should.
    pub fn failed(&self) -> usize {
        self.shared.lock().failed.len()
    }
}

impl Ledger {
    /// The first time in which more was received than is a platform's rate, and a second's worth more.
    fn too_fast(&self, rate: f64) -> Option<String> {
        let too_many = |from: usize| {
            let mut sum = 0;
            self.arrivals[from..].iter().find_map(|(at, many)| {
                sum += many;
                let seconds = at.duration_since(self.arrivals[from].0).as_secs_f64();
                (sum as f64 > rate * (seconds + 1.0))
                    .then(|| format!("{sum} in {seconds} s, of at most {rate} a second"))
            })
        };
        (0..self.arrivals.len()).find_map(too_many)
    }
}

/// What it makes of a request.
struct Outcome {
    taken: Vec<String>,
    refused: Vec<String>,
    act: Act,
}

impl PlatformFolder {
    fn answer(&self, request: &Received, ledger: &mut Ledger) -> Act {
        let path = request.target.split('?').next().unwrap();
        let (run, path) = path.strip_prefix("/run-").and_then(|rest| rest.split_once('/')).unwrap();
        if let Some(answer) = self.said_later(request, &format!("/{path}"), ledger) {
            return answer;
        }
        let (events, faults) = self.events_of(request, &format!("/{path}"));
        ledger.faults.extend(faults);
        ledger.most_events = ledger.most_events.max(events.len());
        let counted = if self.rate.is_some_and(|(_, is_events)| is_events) { events.len() } else { 1 };
        ledger.arrivals.push((Instant::now(), counted));
        if self.tokens.as_ref().is_some_and(|tokens| !tokens.is_good(request.header("authorization"))) {
            return Act::status(401, "{}");
        }
        let texts: Vec<String> = events.iter().map(Value::to_string).collect();
        let drawn = chance(&texts.concat(), self.failing.seed);
        let is_lost = if drawn % 100 < self.failing.of_hundred
            && texts.iter().all(|text| !ledger.failed.contains(text))
        {
            ledger.failed.extend(texts.iter().cloned());
            match drawn / 100 % 10 {
                // The platform did as ever, and the answer is lost.
                0 | 1 => true,
                2 => return Act::Reset,
                _ => return self.answers.retry(drawn / 1_000),
            }
        } else {
            false
        };
        let mut outcome = self.outcome(texts);
        if let Some(confirms) = self.confirms.as_ref().filter(|_| !outcome.taken.is_empty()) {
            let id = format!("request {}", ledger.accepted.len());
            outcome.act = confirms.accepted_as(outcome.act, &id);
            ledger.accepted.push(outcome.taken.clone());
        }
        ledger.by_rows += usize::from(!outcome.taken.is_empty() && !outcome.refused.is_empty());
        let run = run.parse().unwrap();
        ledger.taken.extend(outcome.taken.into_iter().map(|text| Taking { text, run, is_lost }));
        ledger.refused.extend(outcome.refused);
        if is_lost { Act::BreakOff } else { outcome.act }
    }

    /// What it says later of a request that it accepted, where it is asked: some events it refuses all the same.
    fn said_later(&self, request: &Received, path: &str, ledger: &mut Ledger) -> Option<Act> {
        let confirms = self.confirms.as_ref()?;
        let id = confirms.asked(request, path)?;
        let shown = request.header("authorization");
        if self.tokens.as_ref().is_some_and(|tokens| !tokens.is_good(shown)) {
            return Some(Act::status(401, "{}"));
        }
        let number = id.strip_prefix("request ").and_then(|number| number.parse::<usize>().ok());
        let Some(texts) = number.and_then(|number| ledger.accepted.get(number)).cloned() else {
            ledger.faults.insert(format!("it was asked about {id:?}, which it does not know"));
            return Some(Act::status(404, "{}"));
        };
        let seed = self.failing.seed.rotate_left(21);
        let is_bad = |text: &String| chance(text, seed) % 100 < self.failing.of_hundred / 2;
        let is_bad: Vec<bool> = texts.iter().map(is_bad).collect();
        let bad = texts.iter().zip(&is_bad).filter(|(_, bad)| **bad);
        ledger.refused.extend(bad.map(|(text, _)| text.clone()));
        ledger.confirmed += 1;
        Some(confirms.of(&is_bad))
    }

    fn outcome(&self, texts: Vec<String>) -> Outcome {
        let seed = self.failing.seed;
        let share = self.failing.of_hundred / if self.answers.has_rows() { 2 } else { 4 };
        // One that it never takes, whatever it is sent with.
        let is_bad: Vec<bool> = texts.iter().map(|text| chance(text, !seed) % 100 < share).collect();
        let (several, drawn) = (texts.len() > 1, chance(&texts.concat(), seed.rotate_left(7)));
        let refusal = is_bad.iter().position(|bad| *bad).and_then(|index| {
            let in_part = self.answers.takes_the_others() || (several && drawn % 4 > 0);
            let by_rows = self.answers.by_rows(&is_bad).filter(|_| in_part);
            let whole = || Some((false, self.answers.refuse(chance(&texts[index], seed), index)?));
            by_rows.map(|act| (true, act)).or_else(whole)
        });
        let Some((takes_the_others, act)) = refusal else {
            let act = self.answers.accept(texts.len() as u64);
            return Outcome { taken: texts, refused: Vec::new(), act };
        };
        let (bad, good): (Vec<_>, Vec<_>) = texts.into_iter().zip(is_bad).partition(|(_, bad)| *bad);
        let of = |events: Vec<(String, bool)>| events.into_iter().map(|(text, _)| text).collect();
        Outcome { taken: if takes_the_others { of(good) } else { Vec::new() }, refused: of(bad), act }
    }
}
