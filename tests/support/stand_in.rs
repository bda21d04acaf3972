//! An ad platform that is not there, by what its template's folder says of it and not by what we make of that: its
//! schema, how it is called and signed in to, the most events of a request, where they are in it, and the answers of its
//! stories.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use crate::support::platform::{Act, Platform, Received};
use crate::support::platform_folder::{Failing, PlatformFolder, ReadEvent, ReadRequest};
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
    /// Those that it refused for ever.
    refused: Vec<ReadEvent>,
    /// Every change that it was sent, whatever it answered, and how many events it had taken before.
    changes: Vec<(String, usize)>,
    /// What was wrong with a request.
    faults: BTreeSet<String>,
    /// How many events it was sent as what is late is.
    late: usize,
    /// The most events that a request carried.
    most_events: usize,
    /// How many requests it answered with a row for every event, some refused and some taken.
    by_rows: usize,
    /// The events whose request it did not answer as it should, each once.
    failed: BTreeSet<String>,
    /// Those of them of which the connection was reset.
    broken_off: BTreeSet<String>,
    /// The events of each request of which it says later what became of them; its name is its place.
    accepted: Vec<AcceptedRequest>,
    /// How often it was asked, and how often it had nothing to say yet.
    confirmed: usize,
    unsettled: usize,
    /// How often it said that it took some events of a request and not others.
    said_in_part: usize,
    /// When how much of what its rate counts was received.
    arrivals: Vec<(Instant, usize)>,
}

/// An event that was taken.
#[derive(Debug, Clone)]
pub struct Taking {
    pub event: ReadEvent,
    /// Which run of the program sent it.
    pub run: usize,
    /// Whether the answer was lost.
    pub is_lost: bool,
}

/// A request of which the platform says later what became of it.
struct AcceptedRequest {
    events: Vec<ReadEvent>,
    word: Word,
    /// How often it was asked.
    asked: usize,
}

/// When a platform says what became of what it accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LaterWord {
    /// The first time that it is asked.
    AtOnce,
    /// Of some requests the first time, of some the second, and of some never.
    InTime,
}

impl LaterWord {
    /// That of a request with these events, by those that were accepted before it.
    fn of_request(self, events: &[ReadEvent], before: &[AcceptedRequest]) -> Word {
        let several = before.iter().filter(|request| request.events.len() > 1).count();
        match (self, before.len() % 3) {
            (LaterWord::AtOnce, _) => Word::Soon,
            _ if events.len() > 1 && several % 4 == 0 => Word::InPart,
            (LaterWord::InTime, 0) => Word::Soon,
            (LaterWord::InTime, 1) => Word::Late,
            (LaterWord::InTime, _) => Word::Never,
        }
    }
}

/// What becomes of one request's later word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// At the first asking.
    Soon,
    /// At the second.
    Late,
    /// It is not said.
    Never,
    /// At the first, and that one of several events was not taken.
    InPart,
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
        StandIn::start_that_says(LaterWord::AtOnce, name, settings, Failing { of_hundred: failing, seed })
    }

    /// The same, where the platform says what became of what it accepted at once or in time.
    pub fn start_that_says(
        later: LaterWord,
        name: &str,
        settings: &BTreeMap<String, String>,
        failing: Failing,
    ) -> StandIn {
        let folder = PlatformFolder::read(name, settings, (failing, false));
        StandIn::by(name, folder, move |folder, request, ledger| folder.answer(request, ledger, later))
    }

    /// One that is sent test events alone, and takes them, or answers this whatever it is sent.
    pub fn start_for_tests(name: &str, settings: &BTreeMap<String, String>, refusal: Option<Act>) -> StandIn {
        let folder = PlatformFolder::read(name, settings, (Failing { of_hundred: 0, seed: 1 }, true));
        StandIn::by(name, folder, move |folder, request, ledger| {
            let answer = folder.answer(request, ledger, LaterWord::AtOnce);
            refusal.clone().unwrap_or(answer)
        })
    }

    fn by(
        name: &str,
        folder: PlatformFolder,
        answer: impl Fn(&PlatformFolder, &Received, &mut Ledger) -> Act + Send + Sync + 'static,
    ) -> StandIn {
        let (rate, tokens) = (folder.rate.map(|(rate, _)| rate), folder.tokens.clone());
        let shared: Arc<Mutex<Ledger>> = Arc::default();
        let ledger = Arc::clone(&shared);
        let platform = Platform::start(move |request| answer(&folder, request, &mut ledger.lock()));
        StandIn { name: name.to_owned(), platform, tokens, shared, rate }
    }

    /// The endpoint for a run of the program: what it sends is known by it.
    pub fn endpoint(&self, run: usize) -> String {
        self.platform.url(&format!("/run-{run}"))
    }

    /// Every event with this text that it took, in order.
    pub fn takings(&self, text: &str) -> Vec<Taking> {
        let ledger = self.shared.lock();
        ledger.taken.iter().filter(|taking| taking.event.text.contains(text)).cloned().collect()
    }

    /// The events with this text that it refused for ever.
    pub fn refusals(&self, text: &str) -> Vec<ReadEvent> {
        self.shared.lock().refused.iter().filter(|event| event.text.contains(text)).cloned().collect()
    }

    /// Whether it was sent anything with this text that it took or refused.
    pub fn knows(&self, text: &str) -> bool {
        let ledger = self.shared.lock();
        let mut taken = ledger.taken.iter().map(|taking| &taking.event);
        taken.any(|event| event.text.contains(text))
            || ledger.refused.iter().any(|event| event.text.contains(text))
    }

    /// Whether the connection of a request with this text was reset.
    pub fn has_broken_off(&self, text: &str) -> bool {
        self.shared.lock().broken_off.iter().any(|event| event.contains(text))
    }

    /// The changes with this text that it was sent before it took an event with it, whatever it answered.
    pub fn changes_before_their_first(&self, text: &str) -> Vec<String> {
        let ledger = self.shared.lock();
        let is_first =
            |taking: &Taking| taking.event.text.contains(text) && taking.event.is_change != Some(true);
        let first = ledger.taken.iter().position(is_first).unwrap_or(usize::MAX);
        let of_text = ledger.changes.iter().filter(|(change, _)| change.contains(text));
        of_text.filter(|(_, taken_before)| *taken_before <= first).map(|(change, _)| change.clone()).collect()
    }

    /// How often what it said later was not said yet when it was asked.
    pub fn unsettled(&self) -> usize {
        self.shared.lock().unsettled
    }

    /// How often it said later that it took some events of a request and not others.
    pub fn said_in_part(&self) -> usize {
        self.shared.lock().said_in_part
    }

    /// The later words of the requests that it took events with this text from.
    pub fn words(&self, text: &str) -> Vec<Word> {
        let ledger = self.shared.lock();
        let has = |request: &&AcceptedRequest| request.events.iter().any(|event| event.text.contains(text));
        ledger.accepted.iter().filter(has).map(|request| request.word).collect()
    }

    /// The last run of the program that sent it anything that it took.
    pub fn last_run(&self) -> usize {
        self.shared.lock().taken.iter().map(|taking| taking.run).max().unwrap_or_default()
    }

    /// How many events it was sent as what is late is.
    pub fn late(&self) -> usize {
        self.shared.lock().late
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

/// The events of a request as one text.
fn texts(events: &[ReadEvent]) -> String {
    events.iter().map(|event| event.text.as_str()).collect()
}

/// What it makes of a request.
struct Outcome {
    taken: Vec<ReadEvent>,
    refused: Vec<ReadEvent>,
    act: Act,
}

impl PlatformFolder {
    fn answer(&self, request: &Received, ledger: &mut Ledger, later: LaterWord) -> Act {
        let path = request.target.split('?').next().unwrap();
        let (run, path) = path.strip_prefix("/run-").and_then(|rest| rest.split_once('/')).unwrap();
        if let Some(answer) = self.said_later(request, &format!("/{path}"), ledger) {
            return answer;
        }
        let ReadRequest { events, faults, is_late } = self.events_of(request, &format!("/{path}"));
        ledger.faults.extend(faults);
        ledger.late += if is_late { events.len() } else { 0 };
        ledger.most_events = ledger.most_events.max(events.len());
        let counted = if self.rate.is_some_and(|(_, is_events)| is_events) { events.len() } else { 1 };
        ledger.arrivals.push((Instant::now(), counted));
        if self.tokens.as_ref().is_some_and(|tokens| !tokens.is_good(request.header("authorization"))) {
            return Act::status(401, "{}");
        }
        let (changes, taken_before) =
            (events.iter().filter(|event| event.is_change == Some(true)), ledger.taken.len());
        ledger.changes.extend(changes.map(|change| (change.text.clone(), taken_before)));
        let drawn = chance(&texts(&events), self.failing.seed);
        let is_lost = if drawn % 100 < self.failing.of_hundred
            && events.iter().all(|event| !ledger.failed.contains(&event.text))
        {
            ledger.failed.extend(events.iter().map(|event| event.text.clone()));
            match drawn / 100 % 10 {
                // The platform did as ever, and the answer is lost.
                0 | 1 => true,
                2 => {
                    ledger.broken_off.extend(events.iter().map(|event| event.text.clone()));
                    return Act::Reset;
                }
                _ => return self.answers.retry(drawn / 1_000, events.len()),
            }
        } else {
            false
        };
        let mut outcome = self.outcome(events);
        if let Some(confirms) = self.confirms.as_ref().filter(|_| !outcome.taken.is_empty()) {
            let id = format!("request {}", ledger.accepted.len());
            outcome.act = confirms.accepted_as(outcome.act, &id);
            let word = later.of_request(&outcome.taken, &ledger.accepted);
            ledger.accepted.push(AcceptedRequest { events: outcome.taken.clone(), word, asked: 0 });
        }
        ledger.by_rows += usize::from(!outcome.taken.is_empty() && !outcome.refused.is_empty());
        let run = run.parse().unwrap();
        ledger.taken.extend(outcome.taken.into_iter().map(|event| Taking { event, run, is_lost }));
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
        let Some(accepted) = number.and_then(|number| ledger.accepted.get_mut(number)) else {
            ledger.faults.insert(format!("it was asked about {id:?}, which it does not know"));
            return Some(Act::status(404, "{}"));
        };
        accepted.asked += 1;
        if accepted.word == Word::Never || (accepted.word == Word::Late && accepted.asked == 1) {
            ledger.unsettled += 1;
            return Some(confirms.not_yet());
        }
        let seed = self.failing.seed.rotate_left(21);
        // As many as it refused at once: both together no more than a platform refuses that answers in rows.
        let is_bad = |event: &ReadEvent| chance(&event.text, seed) % 100 < self.failing.of_hundred / 4;
        let mut is_bad: Vec<bool> = accepted.events.iter().map(is_bad).collect();
        if let (Word::InPart, [first, _, ..]) = (accepted.word, &mut is_bad[..]) {
            *first = true;
        }
        let bad = accepted.events.iter().zip(&is_bad).filter(|(_, bad)| **bad);
        ledger.refused.extend(bad.map(|(event, _)| event.clone()));
        ledger.confirmed += 1;
        ledger.said_in_part += usize::from(is_bad.contains(&true) && is_bad.contains(&false));
        Some(confirms.of(&is_bad))
    }

    fn outcome(&self, events: Vec<ReadEvent>) -> Outcome {
        let seed = self.failing.seed;
        let refuses_later = self.confirms.is_some();
        let share = self.failing.of_hundred / if self.answers.has_rows() && !refuses_later { 2 } else { 4 };
        // One that it never takes, whatever it is sent with.
        let is_bad: Vec<bool> = events.iter().map(|event| chance(&event.text, !seed) % 100 < share).collect();
        let (several, drawn) = (events.len() > 1, chance(&texts(&events), seed.rotate_left(7)));
        let refusal = is_bad.iter().position(|bad| *bad).and_then(|index| {
            let in_part = self.answers.takes_the_others() || (several && drawn % 4 > 0);
            let by_rows = self.answers.by_rows(&is_bad).filter(|_| in_part);
            let whole = || Some((false, self.answers.refuse(chance(&events[index].text, seed), index)?));
            by_rows.map(|act| (true, act)).or_else(whole)
        });
        let Some((takes_the_others, act)) = refusal else {
            let act = self.answers.accept(events.len() as u64);
            return Outcome { taken: events, refused: Vec::new(), act };
        };
        let (bad, good): (Vec<_>, Vec<_>) = events.into_iter().zip(is_bad).partition(|(_, bad)| *bad);
        let of = |events: Vec<(ReadEvent, bool)>| events.into_iter().map(|(event, _)| event).collect();
        Outcome { taken: if takes_the_others { of(good) } else { Vec::new() }, refused: of(bad), act }
    }
}
