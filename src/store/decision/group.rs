//! One group of commands, decided in order against what is stored and what the group itself brings. Nothing here is
//! visible before the commit, and nothing is of any engine: it is the engine that makes a commit of it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::domain::attempt::Exchange;
use crate::domain::attribution::{Attribution, FoundClick, candidates};
use crate::domain::click::Click;
use crate::domain::conversion::Conversion;
use crate::domain::delivery::Delivery;
use crate::domain::facts::LaterConversions;
use crate::domain::ids::{ClickId, ConversionId, DeliveryId, Seq};
use crate::domain::ruleset::Ruleset;
use crate::store::contract::work::{LeaseToken, Recorded};
use crate::store::decision::click_trail::Trail;
use crate::store::decision::counting::Counting;
use crate::store::decision::list_changes::Suppressing;
use crate::store::decision::need::{Known, all, unless_damaged};
use crate::store::decision::pending::{ChangedConversion, NewAttempt, NewClick, NewPostback};
use crate::store::decision::quarantine_line::QuarantineLine;
use crate::store::decision::stored::{StoredFacts, UnreadableDue};
use crate::store::table::conversion::{Record, claim_hash};
use crate::store::table::delivery::DeliverySlot;
use crate::store::table::early_answer::EarlyAnswer;
use crate::store::table::operator::OperatorRecords;
use crate::store::table::recent_arrival::ArrivalNumbers;
use crate::store::table::store_facts::NumberSequences;
use crate::store::table::suppression::Lists;
use crate::store::table::target_queue::MaxAges;

/// What every group begins with.
pub struct Beginning {
    pub rules: Arc<Ruleset>,
    pub max_ages: Arc<MaxAges>,
    pub numbers: NumberSequences,
    pub lists: Arc<Lists>,
    /// What is kept for operators.
    pub kept: Arc<OperatorRecords>,
}

/// A delivery: the number of its conversion, that as it is, and its place among the deliveries.
pub type FoundDelivery = (u64, Arc<Record>, usize);

/// The pending state of one group.
pub struct CommitGroup<'a> {
    pub facts: &'a dyn StoredFacts,
    pub rules: Arc<Ruleset>,
    pub max_ages: Arc<MaxAges>,
    pub numbers: NumberSequences,
    pub first: u64,
    #[expect(
        clippy::vec_box,
        reason = "many large ones together are moved each time when there is one more"
    )]
    pub born: Vec<Box<NewPostback<'a>>>,
    /// From the arrivals of the group to their postbacks.
    pub arrived: ArrivalNumbers,
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
    pub texts: BTreeMap<&'a str, &'a str>,
    /// Clicks with conversions left to match: after which number that goes on; `None`: it has ended.
    pub matching: BTreeMap<ClickId, Option<u64>>,
    pub attempts: Vec<NewAttempt>,
    /// Exchanges without the data of persons that were erased meanwhile, by where they were before in memory.
    pub erased_exchanges: HashMap<usize, Arc<Exchange>>,
    /// What became of what was recorded by these leases, which end with the group.
    pub settled: HashMap<LeaseToken, Recorded>,
    /// Deliveries that a person asked for.
    pub manual: HashSet<DeliverySlot>,
    pub suppressing: Suppressing,
    /// What the group adds to the rollups.
    pub counting: Counting,
    /// What is kept for operators, before the group and, where it changes that, as it becomes.
    pub kept_before: Arc<OperatorRecords>,
    pub kept: Option<OperatorRecords>,
    pub probe: bool,
    /// What is logged once the group is durable.
    pub lines: Vec<QuarantineLine>,
}

impl<'a> CommitGroup<'a> {
    pub fn new(facts: &'a dyn StoredFacts, beginning: Beginning) -> CommitGroup<'a> {
        let Beginning { rules, max_ages, numbers, lists, kept } = beginning;
        CommitGroup {
            facts,
            rules,
            max_ages,
            numbers,
            first: numbers.next_postback,
            born: Vec::new(),
            arrived: ArrivalNumbers::default(),
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
            erased_exchanges: HashMap::new(),
            settled: HashMap::new(),
            manual: HashSet::new(),
            suppressing: Suppressing::on(lists),
            counting: Counting::default(),
            kept_before: kept,
            kept: None,
            probe: false,
            lines: Vec::new(),
        }
    }

    /// What is kept of a transaction id besides its first conversion.
    pub fn later(&self, first: &ConversionId) -> Known<Option<LaterConversions>> {
        match self.reused.get(first) {
            Some(later) => Ok(Some(*later)),
            None => self.facts.later(first),
        }
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
    pub fn find(&self, id: &ConversionId) -> Known<Option<(u64, Arc<Record>)>> {
        let numbers = match self.born_ids.get(id) {
            Some(number) => vec![*number],
            None => self.facts.candidates(id)?,
        };
        for number in numbers {
            if let Some(record) = self.peek(number)?.filter(|record| record.conversion.id == *id) {
                return Ok(Some((number, record)));
            }
        }
        Ok(None)
    }

    /// A click as it is after the commands so far.
    pub fn click_now(&self, id: &ClickId) -> Known<Option<Arc<Click>>> {
        match self.clicks.get(id) {
            Some(pending) => Ok(Some(Arc::clone(&pending.click))),
            None => self.facts.click(id),
        }
    }

    /// Writes a click over what is known of it.
    pub fn put_click(&mut self, click: Arc<Click>, was_known: bool) {
        let is_new = self.clicks.get(&click.id).map_or(!was_known, |pending| pending.is_new);
        self.clicks.insert(click.id.clone(), NewClick { click, is_new });
    }

    /// The click that one of the readings of `given` names.
    pub fn find_click(&self, given: &str) -> Known<Option<FoundClick>> {
        for (id, reading) in candidates(given) {
            if let Some(click) = self.click_now(&id)? {
                return Ok(Some(FoundClick { click, reading }));
            }
        }
        Ok(None)
    }

    /// A conversion as it is after the commands so far.
    pub fn peek(&self, number: u64) -> Known<Option<Arc<Record>>> {
        if let Some(changed) = self.changed.get(&number) {
            return Ok(Some(Arc::clone(&changed.record)));
        }
        if number >= self.first {
            return Ok(self.born(number).map(Arc::new));
        }
        self.facts.conversion(number)
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

    /// As [`CommitGroup::peek`], for orders that go through many: one that cannot be read stops no one.
    pub fn readable(&self, number: u64) -> Known<Option<Arc<Record>>> {
        Ok(unless_damaged(self.peek(number), "a conversion")?.flatten())
    }

    /// Those of these conversions that can be read, each as [`CommitGroup::readable`]; of the others, what is due.
    pub fn all_readable(
        &self,
        numbers: impl IntoIterator<Item = u64>,
        due: impl Fn(u64) -> Option<UnreadableDue<'static>>,
    ) -> Known<Vec<(u64, Arc<Record>)>> {
        let found = all(numbers.into_iter().map(|number| {
            let record = self.readable(number)?;
            if record.is_none() {
                due(number).into_iter().for_each(|due| self.facts.leave_out(due));
            }
            Ok(record.map(|record| (number, record)))
        }))?;
        Ok(found.into_iter().flatten().collect())
    }

    pub fn find_delivery(&self, id: &DeliveryId) -> Known<Option<FoundDelivery>> {
        let Some((number, record)) = self.find(&id.conversion)? else { return Ok(None) };
        let is_it =
            |delivery: &Delivery| delivery.destination == id.destination && delivery.occasion == id.occasion;
        let place = record.standing.deliveries.iter().position(is_it);
        Ok(place.map(|place| (number, record, place)))
    }
}
