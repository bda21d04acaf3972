//! One group of commands, decided in order against what is stored and what the group itself brings.
//! Nothing here is visible before the commit.

pub(in crate::store) mod made;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use tokio::runtime::Handle;

use crate::domain::attribution::{Attribution, FoundClick, candidates};
use crate::domain::click::Click;
use crate::domain::code::CodedReason;
use crate::domain::conversion::Conversion;
use crate::domain::decision::{ArrivalContext, Decision, decide};
use crate::domain::facts::LaterConversions;
use crate::domain::ids::{ClickId, ConversionId, DestinationId, Seq};
use crate::domain::postback::{Postback, Verdict};
use crate::domain::rejection::note::ReportNote;
use crate::domain::ruleset::Ruleset;
use crate::store::clicks::consent::EarlyAnswer;
use crate::store::clicks::trail::Trail;
use crate::store::command::{ReplySender, StoreCommand};
use crate::store::contract::arrival::{Arrival, Finding, MappedArrival, Receipt};
use crate::store::contract::error::StoreError;
use crate::store::group::made::{
    ArrivalOutcome, ArrivedPostback, ChangedConversion, MAX_CHANGES, NewClick, NewPostback, too_often,
};
use crate::store::group_facts::DecisionLookups;
use crate::store::keeping::OperatorRecords;
use crate::store::layout::{BlockEntry, DeliveryStates, NumberSequences, Sketch, StoredAttempt, claim_hash};
use crate::store::matching::Withdrawn;
use crate::store::network::line::{ReportLine, Tally};
use crate::store::network::suppressed::Suppressing;
use crate::store::purge::{self, Cursor, Purging};
use crate::store::queues::{DeliverySlot, MAX_DELIVERIES};
use crate::store::records::{Record, StoreShared};
use crate::store::sources::QuarantineLine;

type Promise = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// The pending state of one group.
pub struct CommitGroup<'a> {
    pub shared: &'a StoreShared,
    pub rules: Arc<Ruleset>,
    pub numbers: NumberSequences,
    pub first: u64,
    pub born: Vec<NewPostback>,
    born_ids: HashMap<ConversionId, u64>,
    /// What is kept of transaction ids that the group uses again, its own conversions included.
    reused: HashMap<ConversionId, LaterConversions>,
    /// Conversions that the group brings or changes, by the hash of their claim on their click.
    pub claims: HashMap<u64, BTreeSet<u64>>,
    /// From the first of a chain of mappings to what this group made of it.
    taken: HashMap<u64, Seq>,
    /// Conversions that wait for a click because of this group.
    pub awaiting: HashMap<ClickId, Vec<u64>>,
    pub changed: BTreeMap<u64, ChangedConversion>,
    pub clicks: HashMap<ClickId, NewClick>,
    pub trail: Trail,
    /// Answers about clicks that are not recorded, with when the first of them was received.
    pub ahead: BTreeMap<ClickId, EarlyAnswer>,
    /// Texts to keep, by name.
    pub texts: BTreeMap<String, String>,
    /// Clicks with conversions left to match: `true` begins, `false` ends.
    pub matching: BTreeMap<ClickId, bool>,
    pub attempts: Vec<StoredAttempt>,
    /// Leases that end with the group.
    pub ended: Vec<(DestinationId, DeliverySlot)>,
    /// Deliveries that a person asked for.
    pub manual: HashSet<DeliverySlot>,
    pub suppressing: Suppressing,
    /// How many conversions the group adds where caps count them.
    pub tally: Tally,
    pub purging: Purging,
    /// What is kept for operators, as it becomes.
    pub kept: Option<OperatorRecords>,
    pub probe: bool,
    promises: Vec<Promise>,
    /// What is logged once the group is durable.
    lines: Vec<QuarantineLine>,
    /// What is left of long commands.
    pub again: Vec<StoreCommand>,
}

impl<'a> CommitGroup<'a> {
    pub fn new(shared: &'a StoreShared, numbers: NumberSequences) -> CommitGroup<'a> {
        CommitGroup {
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
    pub fn take(&mut self, command: StoreCommand, cursor: &mut Cursor) {
        match command {
            StoreCommand::Arrive(arrival, answer) => {
                let decided = self.arrive(*arrival);
                self.promise(decided, answer);
            }
            StoreCommand::Click(click, answer) => {
                let decided = self.click(*click);
                self.promise(decided, answer);
            }
            StoreCommand::Consent(arrival, answer) => {
                let decided = self.consent(&arrival);
                self.promise(decided, answer);
            }
            StoreCommand::Match { click, after } => {
                if let Err(error) = self.go_on_matching(&click, after) {
                    tracing::error!(%error, "conversions that wait for a click could not be matched");
                }
            }
            StoreCommand::Recall => {
                let (records, rule) = (&self.shared.records, self.rules.filters.duplicate);
                if let Err(error) = self.shared.lately.lock().go_by(records, rule) {
                    tracing::error!(%error, "what the click filters remember could not be read");
                }
            }
            StoreCommand::Keep { name, text, answer } => {
                let decided = self.keep(name, text);
                self.promise(decided, answer);
            }
            StoreCommand::Record(outcome, answer) => {
                let decided = self.record(*outcome);
                self.promise(decided, answer);
            }
            StoreCommand::Retry(retry, answer) => {
                let decided = self.retry(&retry);
                self.promise(decided, answer);
            }
            StoreCommand::Withdraw(withdraw, answer) => match self.withdraw(withdraw) {
                Ok(Withdrawn::All(count)) => self.promise(Ok(count), answer),
                Ok(Withdrawn::Some(rest)) => self.again.push(StoreCommand::Withdraw(rest, answer)),
                Err(error) => self.promise(Err(error), answer),
            },
            StoreCommand::Expire { now, limit, answer } => {
                let decided = self.expire(now, limit);
                self.promise(decided, answer);
            }
            StoreCommand::EndHolds { now, limit, answer } => {
                let decided = self.end_holds(now, limit);
                self.promise(decided, answer);
            }
            StoreCommand::Purge(before, answer) => {
                let decided = purge::step(self, before, cursor);
                self.promise(decided, answer);
            }
            StoreCommand::Status(command) => self.take_status(command),
            StoreCommand::Keeping(command) => self.take_keeping(command),
            StoreCommand::Suppression(command) => self.take_suppression(command),
            StoreCommand::Probe(answer) => {
                self.probe = true;
                self.promise(Ok(()), answer);
            }
            StoreCommand::Close(answer) => self.promise(Ok(()), answer),
        }
    }

    pub fn promise<T: Send + 'static>(&mut self, decided: Result<T, StoreError>, answer: ReplySender<T>) {
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
        let Arrival { raw, received_at, source, mapping, finding, again } = arrival;
        if let Some(by) = again.and_then(|again| self.taken_by(again.of)) {
            return Err(StoreError::ReprocessedAlready { by });
        }
        let (made, notes) = match finding {
            Finding::Quarantined(rejection) => (ArrivalOutcome::quarantined(rejection), Vec::new()),
            Finding::Ignored(reason) => (ArrivalOutcome::Nothing(Verdict::Ignored(reason)), Vec::new()),
            Finding::Refused(rejection) => (ArrivalOutcome::Nothing(Verdict::Refused(rejection)), Vec::new()),
            Finding::Mapped(mapped) => {
                let now = again.map_or(received_at, |again| again.now);
                match self.map(&mapped, ArrivalContext { seq, at: received_at, now }) {
                    // It was kept before, within what is kept of strangers.
                    Err(StoreError::Surplus(rejection)) if again.is_some() => {
                        (ArrivalOutcome::quarantined(rejection), Vec::new())
                    }
                    decided => decided?,
                }
            }
        };
        let (verdict, matched) = made.outcome();
        let receipt = Receipt { postback: seq, verdict: verdict.clone(), matched, notes: notes.clone() };
        let arrived = ArrivedPostback {
            seq,
            received_at,
            source,
            raw,
            mapping,
            again: again.map(|earlier| earlier.of),
        };
        self.remember(arrived, verdict, notes, made);
        Ok(receipt)
    }

    /// The postback by which the bytes of `of` are part of a conversion already.
    fn taken_by(&self, of: Seq) -> Option<Seq> {
        let index = self.shared.index.lock();
        let first = index.first_of(of.get());
        self.taken.get(&first).copied().or_else(|| Seq::new(index.taken_by(first)?))
    }

    /// Decides a mapped arrival. Reads only.
    fn map(
        &self,
        mapped: &MappedArrival,
        arrived: ArrivalContext,
    ) -> Result<(ArrivalOutcome, Vec<ReportNote>), StoreError> {
        let memory = DecisionLookups::new(self, &self.tally, mapped.click.as_ref());
        Ok(match decide(&self.rules, &mapped.draft, arrived, &memory)? {
            Decision::New { mut conversion, notes } => {
                let standing = DeliveryStates::new(self.planned(&mut conversion, &[], arrived.now)?);
                (ArrivalOutcome::New(Box::new(conversion), standing), notes)
            }
            Decision::Update { mut conversion, notes } => {
                let Some((number, mut record)) = memory.looked_up(&conversion.id) else {
                    return Ok((ArrivalOutcome::Duplicate(Box::new(conversion)), notes));
                };
                let planned = self.planned(&mut conversion, &record.standing.deliveries, arrived.now)?;
                if conversion.history.len() > MAX_CHANGES || planned.len() > MAX_DELIVERIES {
                    return Ok((ArrivalOutcome::quarantined(too_often(&conversion)), notes));
                }
                let old = Box::new(record.clone());
                record.conversion = conversion;
                record.standing.replan(planned);
                (ArrivalOutcome::Update { number, old, new: Box::new(record) }, notes)
            }
            Decision::Duplicate { conversion, notes } => {
                (ArrivalOutcome::Duplicate(Box::new(conversion)), notes)
            }
            Decision::Surplus(rejection) => return Err(StoreError::Surplus(rejection)),
            Decision::Quarantine(rejection) => (ArrivalOutcome::quarantined(rejection), Vec::new()),
            Decision::UnknownSale { rejection, sales } => {
                (ArrivalOutcome::UnknownSale(rejection, sales), Vec::new())
            }
        })
    }

    fn remember(
        &mut self,
        arrived: ArrivedPostback,
        verdict: Verdict,
        notes: Vec<ReportNote>,
        made: ArrivalOutcome,
    ) {
        if let (Verdict::Quarantined(rejection), Some(source), None) =
            (&verdict, &arrived.source, arrived.again)
        {
            let (source, code, postback) = (source.clone(), rejection.code(), arrived.seq);
            self.lines.push(QuarantineLine { source, code, postback, received_at: arrived.received_at });
        }
        let number = arrived.seq.get();
        let mut conversion = None;
        let mut sketch = None;
        let mut sales = Vec::new();
        match made {
            ArrivalOutcome::New(new, standing) => {
                self.born_ids.insert(new.id, number);
                self.reuse(&new, arrived.seq);
                self.await_click(&new, number);
                let new_sketch = Sketch::of(&new, standing);
                self.tally.apply(None, new_sketch.report.as_ref());
                self.note_claim(number, new_sketch.claim);
                sketch = Some(new_sketch);
                conversion = Some(*new);
            }
            ArrivalOutcome::Update { number, old, new } => {
                self.await_click(&new.conversion, number);
                self.change(number, &old, *new, true);
            }
            ArrivalOutcome::UnknownSale(_, waited_for) => sales = waited_for,
            ArrivalOutcome::Duplicate(_) | ArrivalOutcome::Nothing(_) => {}
        }
        if let Some(of) = arrived.again.filter(|_| verdict.conversion().is_some()) {
            let first = self.shared.index.lock().first_of(of.get());
            self.taken.insert(first, arrived.seq);
        }
        let postback = Postback {
            seq: arrived.seq,
            received_at: arrived.received_at,
            source: arrived.source,
            raw: Some(arrived.raw),
            mapping: arrived.mapping,
            verdict,
            notes,
            again: arrived.again,
        };
        self.numbers.next_postback = number + 1;
        self.born.push(NewPostback { entry: BlockEntry { postback, conversion }, sketch, sales });
    }

    /// A report later in this group sees how often the transaction id is used.
    fn reuse(&mut self, conversion: &Conversion, seq: Seq) {
        let Some(reuse) = &conversion.reuse else { return };
        let kept = self.later(&reuse.first).map_or(0, |later| later.kept) + 1;
        self.reused.insert(reuse.first, LaterConversions { newest: seq, nth: reuse.nth, kept });
    }

    /// What is kept of a transaction id besides its first conversion.
    pub fn later(&self, first: &ConversionId) -> Option<LaterConversions> {
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

    /// A click as it is after the commands so far; past the cache.
    pub fn click_to_change(&self, id: &ClickId) -> Result<Option<Click>, StoreError> {
        match self.clicks.get(id) {
            Some(pending) => Ok(Some(Click::clone(&pending.click))),
            None => self.shared.records.click_afresh(id),
        }
    }

    /// Writes a click over what is known of it.
    pub fn put_click(&mut self, click: Arc<Click>, was_known: bool) {
        let is_new = self.clicks.get(&click.id).map_or(!was_known, |pending| pending.is_new);
        self.clicks.insert(click.id.clone(), NewClick { click, is_new });
    }

    pub fn find_click(&self, given: &str) -> Result<Option<FoundClick>, StoreError> {
        for (id, reading) in candidates(given) {
            let pending = self.clicks.get(&id).map(|clicked| Arc::clone(&clicked.click));
            let found = pending.map_or_else(|| self.shared.records.click(&id), |click| Ok(Some(click)))?;
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
        first.map_or(Ok(None), |first| self.shared.records.record(first, number))
    }

    fn born(&self, number: u64) -> Option<Record> {
        let born = self.born.get(usize::try_from(number - self.first).ok()?)?;
        let standing = born.sketch.as_ref()?.standing.clone();
        Some(Record { conversion: born.entry.conversion.clone()?, standing, overlay: false })
    }

    /// Replaces a conversion that [`CommitGroup::peek`] answered as `old`.
    pub fn change(&mut self, number: u64, old: &Record, record: Record, whole: bool) {
        let stored = number < self.first;
        let changed = self.changed.entry(number).or_insert_with(|| ChangedConversion {
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
