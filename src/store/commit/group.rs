//! One group of commands, decided in order against what is stored and what the group itself brings.
//! Nothing here is visible before the commit.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use tokio::runtime::Handle;

use crate::domain::attribution::{Attribution, FoundClick, candidates};
use crate::domain::click::Click;
use crate::domain::conversion::Conversion;
use crate::domain::delivery::Delivery;
use crate::domain::facts::LaterConversions;
use crate::domain::ids::{ClickId, ConversionId, DeliveryId, Seq};
use crate::domain::ruleset::Ruleset;
use crate::store::commit::click_trail::Trail;
use crate::store::commit::command::{ReplySender, StoreCommand};
use crate::store::commit::counting::Counting;
use crate::store::commit::list_changes::Suppressing;
use crate::store::commit::pending::{ChangedConversion, NewAttempt, NewClick, NewPostback};
use crate::store::commit::purging::Purging;
use crate::store::commit::quarantine_line::QuarantineLine;
use crate::store::contract::error::StoreError;
use crate::store::contract::work::{LeaseToken, Recorded};
use crate::store::records::StoreShared;
use crate::store::table::conversion::{Record, claim_hash};
use crate::store::table::delivery::DeliverySlot;
use crate::store::table::early_answer::EarlyAnswer;
use crate::store::table::operator::OperatorRecords;
use crate::store::table::store_facts::NumberSequences;

type Promise = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// The pending state of one group.
pub struct CommitGroup<'a> {
    pub shared: &'a StoreShared,
    pub rules: Arc<Ruleset>,
    pub numbers: NumberSequences,
    pub first: u64,
    pub born: Vec<NewPostback>,
    pub born_ids: HashMap<ConversionId, u64>,
    /// What is kept of transaction ids that the group uses again, its own conversions included.
    pub reused: HashMap<ConversionId, LaterConversions>,
    /// Conversions that the group brings or changes, by the hash of their claim on their click.
    pub claims: HashMap<u64, BTreeSet<u64>>,
    /// From the first of a chain of mappings to what this group made of it.
    pub taken: HashMap<u64, Seq>,
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
    pub attempts: Vec<NewAttempt>,
    /// What became of what was recorded by these leases, which end with the group.
    pub settled: HashMap<LeaseToken, Recorded>,
    /// Deliveries that a person asked for.
    pub manual: HashSet<DeliverySlot>,
    pub suppressing: Suppressing,
    /// What the group adds to the rollups.
    pub counting: Counting,
    pub purging: Purging,
    /// What is kept for operators, as it becomes.
    pub kept: Option<OperatorRecords>,
    pub probe: bool,
    promises: Vec<Promise>,
    /// What is logged once the group is durable.
    pub lines: Vec<QuarantineLine>,
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
            settled: HashMap::new(),
            manual: HashSet::new(),
            suppressing: Suppressing::on(Arc::clone(&shared.index.lock().lists)),
            counting: Counting::default(),
            purging: Purging::default(),
            kept: None,
            probe: false,
            promises: Vec::new(),
            lines: Vec::new(),
            again: Vec::new(),
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

    /// What is kept of a transaction id besides its first conversion.
    pub fn later(&self, first: &ConversionId) -> Option<LaterConversions> {
        self.reused.get(first).copied().or_else(|| self.shared.index.lock().reused.get(first))
    }

    /// A click later in this group finds the conversion here.
    pub fn await_click(&mut self, conversion: &Conversion, number: u64) {
        if let Attribution::Unmatched { given } = &conversion.attribution {
            for (id, _) in candidates(given) {
                self.awaiting.entry(id).or_default().push(number);
            }
        }
    }

    /// A conversion by its id, confirmed on the record.
    pub fn find(&self, id: &ConversionId) -> Result<Option<(u64, Arc<Record>)>, StoreError> {
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
            None => self.shared.reader.click_afresh(id),
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
    pub fn peek(&self, number: u64) -> Result<Option<Arc<Record>>, StoreError> {
        if let Some(changed) = self.changed.get(&number) {
            return Ok(Some(Arc::clone(&changed.record)));
        }
        if number >= self.first {
            return Ok(self.born(number).map(Arc::new));
        }
        let Some(day) = self.shared.index.lock().days.of(number) else { return Ok(None) };
        self.shared.records.conversion(day, number)
    }

    fn born(&self, number: u64) -> Option<Record> {
        let born = self.born.get(usize::try_from(number - self.first).ok()?)?;
        let standing = born.sketch.as_ref()?.standing.clone();
        Some(Record { conversion: born.body.conversion.clone()?, standing, overlay: false })
    }

    /// Replaces a conversion that [`CommitGroup::peek`] answered as `old`.
    pub fn change(&mut self, number: u64, old: &Arc<Record>, record: Record, whole: bool) {
        let stored = number < self.first;
        let changed = self.changed.entry(number).or_insert_with(|| ChangedConversion {
            before: stored.then(|| Arc::clone(old)),
            record: Arc::clone(old),
            whole: false,
        });
        if whole {
            self.counting.conversion(&old.conversion, Some(&record.conversion));
        }
        let claim = if whole { claim_hash(&record.conversion) } else { None };
        changed.record = Arc::new(record);
        changed.whole |= whole;
        self.note_claim(number, claim);
    }

    /// A report later in this group sees the claim.
    pub fn note_claim(&mut self, number: u64, claim: Option<u64>) {
        if let Some(claim) = claim {
            self.claims.entry(claim).or_default().insert(number);
        }
    }

    /// As [`CommitGroup::peek`], for commands that go through many: one that cannot be read stops no one.
    pub fn readable(&self, number: u64) -> Result<Option<Arc<Record>>, StoreError> {
        self.peek(number).or_else(|error| match error {
            StoreError::Corrupt { .. } => {
                tracing::error!(postback = number, %error, "a conversion cannot be read and is left out");
                Ok(None)
            }
            error => Err(error),
        })
    }

    pub fn find_delivery(&self, id: &DeliveryId) -> Result<Option<(u64, Arc<Record>, usize)>, StoreError> {
        let Some((number, record)) = self.find(&id.conversion)? else { return Ok(None) };
        let is_it =
            |delivery: &Delivery| delivery.destination == id.destination && delivery.occasion == id.occasion;
        let place = record.standing.deliveries.iter().position(is_it);
        Ok(place.map(|place| (number, record, place)))
    }
}
