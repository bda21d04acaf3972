//! What decisions look up, answered by the embedded store: from memory at once, from the disk once it was fetched.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::ops::ControlFlow;
use std::sync::Arc;

use crate::domain::attempt::AttemptEffect;
use crate::domain::click::Click;
use crate::domain::facts::LaterConversions;
use crate::domain::ids::{ClickId, ConversionId, DestinationId, OfferId, Seq, VisitorId};
use crate::domain::postback::Postback;
use crate::domain::time::Time;
use crate::store::codec::{LayoutError, corrupt, hash};
use crate::store::contract::arrival::ArrivalId;
use crate::store::contract::error::StoreError;
use crate::store::contract::work::LeaseToken;
use crate::store::decision::need::{Known, Need, Undecided};
use crate::store::decision::stored::{ReprocessedChain, StoredFacts, UnreadableDue};
use crate::store::engine::kv::{Direction, Span};
use crate::store::reader::without_panic;
use crate::store::records::{AtHand, StoreShared};
use crate::store::table::conversion::Record;
use crate::store::table::delivery::DeliverySlot;
use crate::store::table::early_answer::EarlyAnswer;
use crate::store::table::suppression::{LookupClass, SuppressionKey, list_span, listed_key, suppressed_key};
use crate::store::table::visitor::Visits;

/// What was fetched of one kind, by what it is found by.
struct Fetched<K, V>(RefCell<HashMap<K, Result<V, StoreError>>>);

impl<K, V> Default for Fetched<K, V> {
    fn default() -> Fetched<K, V> {
        Fetched(RefCell::default())
    }
}

impl<K: Hash + Eq, V: Clone> Fetched<K, V> {
    fn has(&self, key: &K) -> bool {
        self.0.borrow().contains_key(key)
    }

    fn keep(&self, key: K, read: impl FnOnce(&K) -> Result<V, StoreError>) {
        let read = without_panic(|| read(&key));
        self.0.borrow_mut().insert(key, read);
    }

    /// What is known; `need` where nothing is.
    fn get(&self, key: &K, need: impl FnOnce() -> Need) -> Known<V> {
        match self.0.borrow().get(key) {
            Some(read) => Ok(read.clone()?),
            None => Err(Undecided::Missing(vec![need()])),
        }
    }
}

/// An attempt by the lease that it was recorded by, its conversion and the number of the last one at that.
type RecordedAttempt = (LeaseToken, u64, Option<u64>);

/// What is stored, for as long as one group is decided: it does not change meanwhile, since one thread alone decides and
/// writes.
pub struct KnownFacts<'a> {
    shared: &'a StoreShared,
    at_hand: AtHand,
    conversions: Fetched<u64, Option<Arc<Record>>>,
    postbacks: Fetched<u64, Option<Postback>>,
    clicks: Fetched<ClickId, Option<Arc<Click>>>,
    answers: Fetched<ClickId, Option<EarlyAnswer>>,
    visits: Fetched<VisitorId, Visits>,
    clicks_on: Fetched<(i64, OfferId), u64>,
    attempts: Fetched<RecordedAttempt, Option<AttemptEffect>>,
    listed: Fetched<(String, SuppressionKey), bool>,
    lists: Fetched<SuppressionKey, Vec<String>>,
    entries: Fetched<(String, usize), Vec<(LookupClass, SuppressionKey)>>,
    texts: Fetched<String, bool>,
    /// What was fetched, where nothing is at hand.
    fetched: RefCell<HashSet<Need>>,
}

impl<'a> KnownFacts<'a> {
    /// Nothing is fetched yet.
    pub fn of(shared: &'a StoreShared) -> KnownFacts<'a> {
        KnownFacts {
            shared,
            at_hand: shared.at_hand,
            conversions: Fetched::default(),
            postbacks: Fetched::default(),
            clicks: Fetched::default(),
            answers: Fetched::default(),
            visits: Fetched::default(),
            clicks_on: Fetched::default(),
            attempts: Fetched::default(),
            listed: Fetched::default(),
            lists: Fetched::default(),
            entries: Fetched::default(),
            texts: Fetched::default(),
            fetched: RefCell::default(),
        }
    }

    /// What is in memory, as far as that is at hand.
    fn memory<T>(&self, need: impl FnOnce() -> Need, look: impl FnOnce(&StoreShared) -> T) -> Known<T> {
        if self.at_hand == AtHand::Nothing {
            let need = need();
            if !self.fetched.borrow().contains(&need) {
                return Err(Undecided::Missing(vec![need]));
            }
        }
        Ok(look(self.shared))
    }

    /// What a cache has, as far as that is at hand.
    fn cached<T>(&self, look: impl FnOnce(&StoreShared) -> Option<T>) -> Option<T> {
        if self.at_hand == AtHand::Memory { look(self.shared) } else { None }
    }

    fn fetch_one(&self, need: Need) {
        let reader = &self.shared.reader;
        match need.clone() {
            Need::Conversion(number) => self.conversions.keep(number, |number| self.read(*number)),
            Need::Postback(number) => self.postbacks.keep(number, |number| self.read_postback(*number)),
            Need::Click(id) => self.clicks.keep(id, |id| self.shared.records.click(id)),
            Need::AnswersAhead(id) => self.answers.keep(id, |id| reader.answers_ahead(id)),
            Need::Visits(id) => self.visits.keep(id, |id| reader.visits(id).map(Option::unwrap_or_default)),
            Need::ClicksOn(day, offer) => self
                .clicks_on
                .keep((day, offer), |(day, offer)| self.shared.lately.lock().counted(reader, *day, offer)),
            Need::AttemptBy { lease, conversion, last } => {
                self.attempts.keep((lease, conversion, last), |which| self.read_effect(*which));
            }
            Need::OnList(list, token) => self
                .listed
                .keep((list, token), |(list, token)| Ok(reader.get(&listed_key(list, token))?.is_some())),
            Need::ListsOf(token) => self.lists.keep(token, |token| self.read_lists_of(token)),
            Need::ListEntries(list, most) => {
                self.entries.keep((list, most), |(list, most)| self.read_entries(list, *most));
            }
            Need::Text(name) => self.texts.keep(name, |name| Ok(reader.text(name)?.is_some())),
            // In memory.
            Need::Arrived(_)
            | Need::Candidates(_)
            | Need::Later(_)
            | Need::Claimants { .. }
            | Need::WaitingFor { .. }
            | Need::ConversionsOn(..)
            | Need::Chain(_)
            | Need::EarlierClick(..)
            | Need::Lease(_)
            | Need::Delivery(_)
            | Need::Expired(_)
            | Need::EndedHolds(_)
            | Need::DueDispositions(_)
            | Need::Unfinished(_) => {}
        }
        if self.at_hand == AtHand::Nothing {
            self.fetched.borrow_mut().insert(need);
        }
    }

    fn day_of(&self, number: u64) -> Option<i32> {
        self.shared.index.lock().days.of(number)
    }

    fn read(&self, number: u64) -> Result<Option<Arc<Record>>, StoreError> {
        self.day_of(number).map_or(Ok(None), |day| self.shared.records.conversion(day, number))
    }

    fn read_postback(&self, number: u64) -> Result<Option<Postback>, StoreError> {
        let Some(day) = self.day_of(number) else { return Ok(None) };
        Ok(self.shared.reader.body_of(day, number)?.map(|body| body.postback))
    }

    fn read_effect(
        &self,
        (lease, conversion, last): RecordedAttempt,
    ) -> Result<Option<AttemptEffect>, StoreError> {
        let day = self.day_of(conversion);
        let day = day.ok_or_else(|| corrupt(conversion.to_string().as_bytes(), &LayoutError::Missing))?;
        let stored = self.shared.reader.attempt_by(lease, day, last)?;
        Ok(stored.map(|stored| stored.attempt.effect))
    }

    fn read_lists_of(&self, token: &SuppressionKey) -> Result<Vec<String>, StoreError> {
        let from = suppressed_key(token, "");
        let to = [&from[..], &[u8::MAX]].concat();
        let (mut lists, mut failed) = (Vec::new(), None);
        let span = Span { from: &from, to: &to, direction: Direction::Up };
        self.shared.reader.scan(span, &mut |key, _| match key
            .get(from.len()..)
            .and_then(|list| std::str::from_utf8(list).ok())
        {
            Some(list) => {
                lists.push(list.to_owned());
                ControlFlow::Continue(())
            }
            None => {
                let content = LayoutError::Content("the name of its list is not text".to_owned());
                failed = Some(corrupt(key, &content));
                ControlFlow::Break(())
            }
        })?;
        failed.map_or(Ok(lists), Err)
    }

    fn read_entries(
        &self,
        list: &str,
        most: usize,
    ) -> Result<Vec<(LookupClass, SuppressionKey)>, StoreError> {
        let mut found = Vec::new();
        let (from, to) = list_span(list);
        let span = Span { from: &from, to: &to, direction: Direction::Up };
        self.shared.reader.scan(span, &mut |key, _| {
            found.extend(key.get(from.len()..).and_then(SuppressionKey::parse));
            if found.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        Ok(found)
    }
}

impl StoredFacts for KnownFacts<'_> {
    fn fetch(&self, mut needs: Vec<Need>) {
        // Neighbours lie together on the disk, and each is read once.
        needs.sort_unstable();
        needs.dedup();
        needs.into_iter().for_each(|need| self.fetch_one(need));
    }

    fn is_at_hand(&self, need: &Need) -> bool {
        match need {
            Need::Arrived(_) => self.at_hand == AtHand::Memory,
            Need::Click(id) => self.cached(|shared| shared.records.click_at_hand(id)).is_some(),
            _ => false,
        }
    }

    fn arrived(&self, id: ArrivalId) -> Known<Option<u64>> {
        self.memory(|| Need::Arrived(id), |shared| shared.arrived.lock().find(id))
    }

    fn candidates(&self, id: &ConversionId) -> Known<Vec<u64>> {
        self.memory(|| Need::Candidates(*id), |shared| shared.index.lock().candidates(id))
    }

    fn conversion(&self, number: u64) -> Known<Option<Arc<Record>>> {
        if !self.conversions.has(&number) {
            self.shared.reader.check()?;
            if let Some(record) = self.cached(|shared| shared.records.conversion_at_hand(number)) {
                return Ok(Some(record));
            }
        }
        self.conversions.get(&number, || Need::Conversion(number))
    }

    fn later(&self, first: &ConversionId) -> Known<Option<LaterConversions>> {
        self.memory(|| Need::Later(*first), |shared| shared.index.lock().reused.get(first))
    }

    fn claimants(&self, claim: u64, after: u64, most: usize) -> Known<Vec<u64>> {
        let need = || Need::Claimants { claim, after };
        self.memory(need, |shared| shared.index.lock().claimants(claim, after, most))
    }

    fn waiting_for(&self, click: &ClickId, after: u64, most: usize) -> Known<Vec<u64>> {
        let need = || Need::WaitingFor { click: click.clone(), after };
        self.memory(need, |shared| shared.index.lock().waiting_for(hash(click.as_str()), after, most))
    }

    fn conversions_on(&self, offer: &OfferId, day: i64) -> Known<i64> {
        let need = || Need::ConversionsOn(offer.clone(), day);
        self.memory(need, |shared| shared.index.lock().counts.caps.get(offer, day))
    }

    fn chain(&self, of: Seq) -> Known<ReprocessedChain> {
        self.memory(
            || Need::Chain(of),
            |shared| {
                let index = shared.index.lock();
                let first = index.first_of(of.get());
                let taken_by = index.taken_by(first).and_then(Seq::new);
                ReprocessedChain { first, taken_by, is_reprocessed: index.is_reprocessed(of.get()) }
            },
        )
    }

    fn postback(&self, number: u64) -> Known<Option<Postback>> {
        self.postbacks.get(&number, || Need::Postback(number))
    }

    fn click(&self, id: &ClickId) -> Known<Option<Arc<Click>>> {
        if !self.clicks.has(id) {
            self.shared.reader.check()?;
            if let Some(click) = self.cached(|shared| shared.records.click_at_hand(id)) {
                return Ok(Some(click));
            }
        }
        self.clicks.get(id, || Need::Click(id.clone()))
    }

    fn answers_ahead(&self, click: &ClickId) -> Known<Option<EarlyAnswer>> {
        self.answers.get(click, || Need::AnswersAhead(click.clone()))
    }

    fn visits(&self, visitor: &VisitorId) -> Known<Visits> {
        self.visits.get(visitor, || Need::Visits(visitor.clone()))
    }

    fn clicks_on(&self, day: i64, offer: &OfferId) -> Known<u64> {
        match self.cached(|shared| shared.lately.lock().counted_at_hand(day, offer)) {
            Some(count) => Ok(count),
            None => self.clicks_on.get(&(day, offer.clone()), || Need::ClicksOn(day, offer.clone())),
        }
    }

    fn earlier_click(&self, likeness: u64, at: Time) -> Known<Option<ClickId>> {
        let need = || Need::EarlierClick(likeness, at);
        self.memory(need, |shared| shared.lately.lock().earlier(likeness, at).cloned())
    }

    fn attempt_by(
        &self,
        lease: LeaseToken,
        conversion: u64,
        last: Option<u64>,
    ) -> Known<Option<AttemptEffect>> {
        self.attempts.get(&(lease, conversion, last), || Need::AttemptBy { lease, conversion, last })
    }

    fn hold(&self, lease: LeaseToken) -> Known<bool> {
        self.memory(|| Need::Lease(lease), |shared| shared.index.lock().queues.held.keep(lease))
    }

    fn has_run_out(&self, slot: DeliverySlot) -> Known<bool> {
        let need = || Need::Delivery(slot);
        self.memory(need, |shared| shared.index.lock().queues.held.has_run_out(slot))
    }

    fn is_leased(&self, destination: &DestinationId, slot: DeliverySlot) -> Known<bool> {
        let need = || Need::Delivery(slot);
        self.memory(need, |shared| shared.index.lock().is_leased(destination, slot))
    }

    fn expired(&self, now: Time, most: usize) -> Known<Vec<(DestinationId, DeliverySlot)>> {
        self.memory(|| Need::Expired(now), |shared| shared.index.lock().queues.expired(now, most))
    }

    fn ended_holds(&self, now: Time, most: usize) -> Known<Vec<u64>> {
        self.memory(|| Need::EndedHolds(now), |shared| shared.index.lock().ended_holds(now, most))
    }

    fn due_dispositions(&self, now: Time, most: usize) -> Known<Vec<u64>> {
        let need = || Need::DueDispositions(now);
        self.memory(need, |shared| shared.index.lock().dispositions.due(now, most))
    }

    fn unfinished(&self, destination: &DestinationId, most: usize) -> Known<Vec<DeliverySlot>> {
        self.memory(
            || Need::Unfinished(destination.clone()),
            |shared| {
                let index = shared.index.lock();
                index.queues.of(destination).map(|queues| queues.unfinished(most)).unwrap_or_default()
            },
        )
    }

    fn leave_out(&self, due: UnreadableDue<'_>) {
        let mut index = self.shared.index.lock();
        match due {
            UnreadableDue::Expiry(destination, slot) => {
                index.queues.change(destination, |queues| queues.forget_expiry(slot));
            }
            UnreadableDue::Holds(number) => index.forget_holds(number),
            UnreadableDue::Disposition(number) => index.dispositions.forget(number),
        }
    }

    fn is_listed(&self, list: &str, token: &SuppressionKey) -> Known<bool> {
        let key = (list.to_owned(), token.clone());
        self.listed.get(&key, || Need::OnList(list.to_owned(), token.clone()))
    }

    fn lists_of(&self, token: &SuppressionKey) -> Known<Vec<String>> {
        self.lists.get(token, || Need::ListsOf(token.clone()))
    }

    fn list_entries(&self, list: &str, most: usize) -> Known<Vec<(LookupClass, SuppressionKey)>> {
        let key = (list.to_owned(), most);
        self.entries.get(&key, || Need::ListEntries(list.to_owned(), most))
    }

    fn has_text(&self, name: &str) -> Known<bool> {
        self.texts.get(&name.to_owned(), || Need::Text(name.to_owned()))
    }

    fn fail(&self, doing: &'static str, cause: String) -> StoreError {
        self.shared.reader.fail(doing, cause)
    }
}
