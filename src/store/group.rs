//! One group of commands, decided in order against what is stored and what the group itself brings.
//! Nothing here is visible before the commit.

pub(in crate::store) mod made;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use tokio::runtime::Handle;

use crate::domain::attribution::{Attribution, FoundClick, candidates};
use crate::domain::click::Click;
use crate::domain::conversion::Conversion;
use crate::domain::decision::{Arrived, Decision, decide};
use crate::domain::facts::Later;
use crate::domain::ids::{ClickId, ConversionId, DestinationId, Seq};
use crate::domain::postback::{Postback, Verdict};
use crate::domain::ruleset::Ruleset;
use crate::store::StoreError;
use crate::store::clicks::consent::Ahead;
use crate::store::clicks::lately::Lately;
use crate::store::clicks::trail::Trail;
use crate::store::command::{Answer, Command};
use crate::store::contract::arrival::{Arrival, Finding, MappedArrival, Receipt};
use crate::store::group::made::{ArrivedPostback, MAX_CHANGES, Made, too_often};
use crate::store::group_facts::Memory;
use crate::store::index::Index;
use crate::store::keeping::Kept;
use crate::store::layout::{Entry, Numbers, Sketch, Standing, StoredAttempt, claim_hash};
use crate::store::network::line::{ReportLine, Tally};
use crate::store::network::suppressed::Suppressing;
use crate::store::purge::{self, Cursor, Purging};
use crate::store::queues::{MAX_DELIVERIES, Slot};
use crate::store::shelf::{Record, Shelf};
use crate::store::sources::{QuarantineLine, QuarantineLines};
use crate::store::steps::Withdrawn;

/// What reading and writing share.
pub struct Shared {
    pub shelf: Shelf,
    pub index: Mutex<Index>,
    /// What decisions go by; see [`crate::store::Store::set_rules`].
    pub rules: RwLock<Arc<Ruleset>>,
    /// Only the writer moves it on.
    pub lately: Mutex<Lately>,
    pub quarantine_lines: Arc<Mutex<QuarantineLines>>,
}

/// A postback that the group brings, with the conversion it makes.
pub struct Born {
    pub entry: Entry,
    pub sketch: Option<Sketch>,
    /// The sales that it takes back, none of which is known.
    pub sales: Vec<ConversionId>,
}

/// A conversion that the group changes.
pub struct Changed {
    /// As the index knows it; `None` when the group brings it.
    pub before: Option<Sketch>,
    /// Its deliveries before the group.
    pub was: Standing,
    pub record: Record,
    /// More than the deliveries' standing has changed: it needs an overlay.
    pub whole: bool,
}

/// A click that the group writes.
pub struct Clicked {
    pub click: Arc<Click>,
    /// Further pieces of the record it replaces.
    pub had: u16,
}

type Promise = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// The pending state of one group.
pub struct Group<'a> {
    pub shared: &'a Shared,
    pub rules: Arc<Ruleset>,
    pub numbers: Numbers,
    pub first: u64,
    pub born: Vec<Born>,
    born_ids: HashMap<ConversionId, u64>,
    /// What is kept of transaction ids that the group uses again, its own conversions included.
    reused: HashMap<ConversionId, Later>,
    /// Conversions that the group brings or changes, by the hash of their claim on their click.
    pub claims: HashMap<u64, BTreeSet<u64>>,
    /// From the first of a chain of mappings to what this group made of it.
    taken: HashMap<u64, Seq>,
    /// Conversions that wait for a click because of this group.
    pub awaiting: HashMap<ClickId, Vec<u64>>,
    pub changed: BTreeMap<u64, Changed>,
    pub clicks: HashMap<ClickId, Clicked>,
    pub trail: Trail,
    /// Answers about clicks that are not recorded, with when the first of them was received.
    pub ahead: BTreeMap<ClickId, Ahead>,
    /// Texts to keep, by name.
    pub texts: BTreeMap<String, String>,
    /// Clicks with conversions left to match: `true` begins, `false` ends.
    pub matching: BTreeMap<ClickId, bool>,
    pub attempts: Vec<StoredAttempt>,
    /// Leases that end with the group.
    pub ended: Vec<(DestinationId, Slot)>,
    /// Deliveries that a person asked for.
    pub manual: HashSet<Slot>,
    pub suppressing: Suppressing,
    /// How many conversions the group adds where caps count them.
    pub tally: Tally,
    pub purging: Purging,
    /// What is kept for operators, as it becomes.
    pub kept: Option<Kept>,
    pub probe: bool,
    promises: Vec<Promise>,
    /// What is logged once the group is durable.
    lines: Vec<QuarantineLine>,
    /// What is left of long commands.
    pub again: Vec<Command>,
}

impl<'a> Group<'a> {
    pub fn new(shared: &'a Shared, numbers: Numbers) -> Group<'a> {
        Group {
            shared,
            rules: Arc::clone(&shared.rules.read()),
            numbers,
            first: numbers.next_postback,
            born: Vec::new(),
            born_ids: HashMap::new(),
            reused: HashMap::new(),
            claims: HashMap::new(),
            taken: HashMap::new(),
            awaiting: HashMap::new(),
            changed: BTreeMap::new(),
            clicks: HashMap::new(),
            trail: Trail::default(),
            ahead: BTreeMap::new(),
            texts: BTreeMap::new(),
            matching: BTreeMap::new(),
            attempts: Vec::new(),
            ended: Vec::new(),
            manual: HashSet::new(),
            suppressing: Suppressing::on(Arc::clone(&shared.index.lock().lists)),
            tally: Tally::default(),
            purging: Purging::default(),
            kept: None,
            probe: false,
            promises: Vec::new(),
            lines: Vec::new(),
            again: Vec::new(),
        }
    }

    /// Decides one command. What cannot be decided is answered at once and leaves nothing behind.
    pub fn take(&mut self, command: Command, cursor: &mut Cursor) {
        match command {
            Command::Arrive(arrival, answer) => {
                let decided = self.arrive(*arrival);
                self.promise(decided, answer);
            }
            Command::Click(click, answer) => {
                let decided = self.click(*click);
                self.promise(decided, answer);
            }
            Command::Consent(arrival, answer) => {
                let decided = self.consent(&arrival);
                self.promise(decided, answer);
            }
            Command::Match { click, after } => {
                if let Err(error) = self.go_on_matching(&click, after) {
                    tracing::error!(%error, "conversions that wait for a click could not be matched");
                }
            }
            Command::Recall => {
                let (shelf, rule) = (&self.shared.shelf, self.rules.filters.duplicate);
                if let Err(error) = self.shared.lately.lock().go_by(shelf, rule) {
                    tracing::error!(%error, "what the click filters remember could not be read");
                }
            }
            Command::Keep { name, text, answer } => {
                let decided = self.keep(name, text);
                self.promise(decided, answer);
            }
            Command::Record(outcome, answer) => {
                let decided = self.record(*outcome);
                self.promise(decided, answer);
            }
            Command::Retry(retry, answer) => {
                let decided = self.retry(&retry);
                self.promise(decided, answer);
            }
            Command::Withdraw(withdraw, answer) => match self.withdraw(withdraw) {
                Ok(Withdrawn::All(count)) => self.promise(Ok(count), answer),
                Ok(Withdrawn::Some(rest)) => self.again.push(Command::Withdraw(rest, answer)),
                Err(error) => self.promise(Err(error), answer),
            },
            Command::Expire { now, limit, answer } => {
                let decided = self.expire(now, limit);
                self.promise(decided, answer);
            }
            Command::Purge(before, answer) => {
                let decided = purge::step(self, before, cursor);
                self.promise(decided, answer);
            }
            Command::Status(command) => self.take_status(command),
            Command::Keeping(command) => self.take_keeping(command),
            Command::Suppression(command) => self.take_suppression(command),
            Command::Probe(answer) => {
                self.probe = true;
                self.promise(Ok(()), answer);
            }
            Command::Close(answer) => self.promise(Ok(()), answer),
        }
    }

    pub fn promise<T: Send + 'static>(&mut self, decided: Result<T, StoreError>, answer: Answer<T>) {
        match decided {
            Ok(value) => self.promises.push(Box::new(move |done| {
                // A dropped receiver is a caller that went away; the operation holds all the same.
                drop(answer.send(done.map(|()| value)));
            })),
            Err(error) => drop(answer.send(Err(error))),
        }
    }

    /// Notifies everyone how the commit went.
    ///
    /// Each answer wakes a task. From a thread that is not the runtime's own that costs a lock and
    /// often a system call each; from a task it is a push to a queue. So a group's answers are given
    /// by one task, where there is a runtime.
    pub fn answer(self, done: &Result<(), StoreError>, runtime: Option<&Handle>) {
        let (promises, done) = (self.promises, done.clone());
        let (lines, written) = (self.lines, Arc::clone(&self.shared.quarantine_lines));
        let runtime = runtime.filter(|_| promises.len() > 1 || !lines.is_empty());
        let notify = move || {
            promises.into_iter().for_each(|promise| promise(done.clone()));
            lines.into_iter().filter(|_| done.is_ok()).for_each(|line| line.write(&written));
        };
        match runtime {
            Some(runtime) => drop(runtime.spawn(async move { notify() })),
            None => notify(),
        }
    }

    fn arrive(&mut self, arrival: Arrival) -> Result<Receipt, StoreError> {
        let number = self.numbers.next_postback;
        let exhausted =
            || StoreError::Broken { doing: "number a postback", cause: "2^53 were given".to_owned() };
        let seq = Seq::new(number).ok_or_else(exhausted)?;
        let Arrival { raw, received_at, source, finding, again } = arrival;
        if let Some(by) = again.and_then(|again| self.taken_by(again.of)) {
            return Err(StoreError::ReprocessedAlready { by });
        }
        let (made, note) = match finding {
            Finding::Quarantined(fault) => (Made::Nothing(Verdict::Quarantined(fault)), None),
            Finding::Refused(fault) => (Made::Nothing(Verdict::Refused(fault)), None),
            Finding::Mapped(mapped) => {
                let now = again.map_or(received_at, |again| again.now);
                match self.map(&mapped, Arrived { seq, at: received_at, now }) {
                    // It was kept before, within what is kept of strangers.
                    Err(StoreError::Surplus(fault)) if again.is_some() => {
                        (Made::Nothing(Verdict::Quarantined(*fault)), None)
                    }
                    decided => decided?,
                }
            }
        };
        let (verdict, matched) = made.outcome();
        let receipt = Receipt { postback: seq, verdict: verdict.clone(), matched, note: note.clone() };
        let reported =
            ArrivedPostback { seq, received_at, source, raw, again: again.map(|earlier| earlier.of) };
        self.remember(reported, verdict, note, made);
        Ok(receipt)
    }

    /// The postback by which the bytes of `of` are part of a conversion already.
    fn taken_by(&self, of: Seq) -> Option<Seq> {
        let index = self.shared.index.lock();
        let first = index.first_of(of.get());
        self.taken.get(&first).copied().or_else(|| Seq::new(index.taken_by(first)?))
    }

    /// Decides a mapped arrival. Reads only.
    fn map(&self, mapped: &MappedArrival, arrived: Arrived) -> Result<(Made, Option<String>), StoreError> {
        let memory = Memory::new(self, &self.tally, mapped.click.as_ref());
        let decision = decide(&self.rules, &mapped.draft, arrived, &memory)?;
        Ok(match decision {
            Decision::New { mut conversion, note } => {
                let standing = Standing::new(self.planned(&mut conversion, &[], arrived.now)?);
                (Made::New(Box::new(conversion), standing), note)
            }
            Decision::Update { mut conversion, note } => {
                let Some((number, mut record)) = memory.looked_up(&conversion.id) else {
                    return Ok((Made::Duplicate(Box::new(conversion)), note));
                };
                let planned = self.planned(&mut conversion, &record.standing.deliveries, arrived.now)?;
                if conversion.history.len() > MAX_CHANGES || planned.len() > MAX_DELIVERIES {
                    return Ok((Made::Nothing(Verdict::Quarantined(too_often(&conversion))), note));
                }
                let old = Box::new(record.clone());
                record.conversion = conversion;
                record.standing.replan(planned);
                (Made::Update { number, old, new: Box::new(record) }, note)
            }
            Decision::Duplicate { conversion, note } => (Made::Duplicate(Box::new(conversion)), note),
            Decision::Surplus(fault) => return Err(StoreError::Surplus(Box::new(fault))),
            Decision::Quarantine(fault) => (Made::Nothing(Verdict::Quarantined(fault)), None),
            Decision::UnknownSale { fault, sales } => (Made::UnknownSale(fault, sales), None),
        })
    }

    fn remember(&mut self, reported: ArrivedPostback, verdict: Verdict, note: Option<String>, made: Made) {
        if let (Verdict::Quarantined(fault), Some(source), None) =
            (&verdict, &reported.source, reported.again)
        {
            let (source, code, postback) = (source.clone(), fault.code, reported.seq);
            self.lines.push(QuarantineLine { source, code, postback, received_at: reported.received_at });
        }
        let number = reported.seq.get();
        let mut conversion = None;
        let mut sketch = None;
        let mut sales = Vec::new();
        match made {
            Made::New(new, standing) => {
                self.born_ids.insert(new.id, number);
                self.reuse(&new, reported.seq);
                self.await_click(&new, number);
                let new_sketch = Sketch::of(&new, standing);
                self.tally.apply(None, new_sketch.report.as_ref());
                self.note_claim(number, new_sketch.claim);
                sketch = Some(new_sketch);
                conversion = Some(*new);
            }
            Made::Update { number, old, new } => {
                self.await_click(&new.conversion, number);
                self.change(number, &old, *new, true);
            }
            Made::UnknownSale(_, waited_for) => sales = waited_for,
            Made::Duplicate(_) | Made::Nothing(_) => {}
        }
        if let Some(of) = reported.again.filter(|_| verdict.conversion().is_some()) {
            let first = self.shared.index.lock().first_of(of.get());
            self.taken.insert(first, reported.seq);
        }
        let postback = Postback {
            seq: reported.seq,
            received_at: reported.received_at,
            source: reported.source,
            raw: Some(reported.raw),
            verdict,
            note,
            again: reported.again,
        };
        self.numbers.next_postback = number + 1;
        self.born.push(Born { entry: Entry { postback, conversion }, sketch, sales });
    }

    /// A report later in this group sees how often the transaction id is used.
    fn reuse(&mut self, conversion: &Conversion, seq: Seq) {
        let Some(reuse) = &conversion.reuse else { return };
        let kept = self.later(&reuse.first).map_or(0, |later| later.kept) + 1;
        self.reused.insert(reuse.first, Later { newest: seq, nth: reuse.nth, kept });
    }

    /// What is kept of a transaction id besides its first conversion.
    pub fn later(&self, first: &ConversionId) -> Option<Later> {
        self.reused.get(first).copied().or_else(|| self.shared.index.lock().reused.get(first))
    }

    /// A click later in this group finds the conversion here.
    fn await_click(&mut self, conversion: &Conversion, number: u64) {
        if let Attribution::Unmatched { given } = &conversion.attribution {
            for (id, _) in candidates(given) {
                self.awaiting.entry(id).or_default().push(number);
            }
        }
    }

    /// A conversion by its id, confirmed on the record.
    pub fn find(&self, id: &ConversionId) -> Result<Option<(u64, Record)>, StoreError> {
        let numbers = match self.born_ids.get(id) {
            Some(number) => vec![*number],
            None => self.shared.index.lock().candidates(id),
        };
        for number in numbers {
            if let Some(record) = self.peek(number)?.filter(|record| record.conversion.id == *id) {
                return Ok(Some((number, record)));
            }
        }
        Ok(None)
    }

    /// A click as it is after the commands so far, with the further pieces of its record; past the cache.
    pub fn click_to_change(&self, id: &ClickId) -> Result<Option<(Click, u16)>, StoreError> {
        if let Some(pending) = self.clicks.get(id) {
            return Ok(Some((Click::clone(&pending.click), pending.had)));
        }
        Ok(self.shared.shelf.click_afresh(id)?.map(|found| (found.value, found.pieces)))
    }

    pub fn find_click(&self, given: &str) -> Result<Option<FoundClick>, StoreError> {
        for (id, reading) in candidates(given) {
            let pending = self.clicks.get(&id).map(|clicked| Arc::clone(&clicked.click));
            let found = pending.map_or_else(|| self.shared.shelf.click(&id), |click| Ok(Some(click)))?;
            if let Some(click) = found {
                return Ok(Some(FoundClick { click, reading }));
            }
        }
        Ok(None)
    }

    /// A conversion as it is after the commands so far.
    pub fn peek(&self, number: u64) -> Result<Option<Record>, StoreError> {
        if let Some(changed) = self.changed.get(&number) {
            return Ok(Some(changed.record.clone()));
        }
        if number >= self.first {
            return Ok(self.born(number));
        }
        let first = self.shared.index.lock().block_of(number);
        first.map_or(Ok(None), |first| self.shared.shelf.record(first, number))
    }

    fn born(&self, number: u64) -> Option<Record> {
        let born = self.born.get(usize::try_from(number - self.first).ok()?)?;
        let standing = born.sketch.as_ref()?.standing.clone();
        Some(Record { conversion: born.entry.conversion.clone()?, standing, overlay: None })
    }

    /// Replaces a conversion that [`Group::peek`] answered as `old`.
    pub fn change(&mut self, number: u64, old: &Record, record: Record, whole: bool) {
        let stored = number < self.first;
        let changed = self.changed.entry(number).or_insert_with(|| Changed {
            before: stored.then(|| Sketch::of(&old.conversion, old.standing.clone())),
            was: old.standing.clone(),
            record: old.clone(),
            whole: false,
        });
        if whole {
            let line = |record: &Record| ReportLine::of(&record.conversion);
            self.tally.apply(line(old).as_ref(), line(&record).as_ref());
        }
        let claim = if whole { claim_hash(&record.conversion) } else { None };
        changed.record = record;
        changed.whole |= whole;
        self.note_claim(number, claim);
    }
}
