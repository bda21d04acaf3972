//! What goes onto suppression lists and off them, and what is on one. Pending entries of a group
//! count for the decisions after them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::domain::suppression::{ListChange, SuppressionHit, Traces};
use crate::domain::time::Time;
use crate::store::contract::change::SuppressionOrder;
use crate::store::decision::group::CommitGroup;
use crate::store::decision::need::{Known, all};
use crate::store::decision::order::{Decided, Order, STEP};
use crate::store::table::suppression::{AddedEntry, HashKey, LookupClass, SuppressionKey};

/// The most characters of an actor's name that are kept with an entry.
const ACTOR_CHARS: usize = 200;

/// What an entry takes in a group, roughly.
const ENTRY_BYTES: usize = 256;

impl Order for SuppressionOrder {
    type Answer = Vec<bool>;

    fn decide<'a>(&'a self, group: &mut CommitGroup<'a>) -> Known<Decided<SuppressionOrder>> {
        let changed = match self.wish {
            ListChange::Add => group.suppress(self)?,
            ListChange::TakeOff => group.unsuppress(self)?,
        };
        Ok(Decided::Whole(changed))
    }

    fn look_ahead(&self, group: &CommitGroup<'_>) -> Known<()> {
        group.entries_on(self, group.suppressing.lists.key.as_ref()).map(drop)
    }

    fn weight(&self) -> usize {
        self.entries.len() * ENTRY_BYTES
    }
}

/// A list is to go, in steps; should the process end between two, the rest of it stays. Answers how many entries went.
pub struct RemoveList {
    pub list: String,
    /// How many earlier steps have removed.
    pub done: u64,
}

impl Order for RemoveList {
    type Answer = u64;

    fn decide<'a>(&'a self, group: &mut CommitGroup<'a>) -> Known<Decided<RemoveList>> {
        let count = group.remove_step(&self.list)?;
        let done = self.done + count as u64;
        Ok(match count {
            STEP => Decided::Step(RemoveList { list: self.list.clone(), done }),
            _ => Decided::Whole(done),
        })
    }
}

impl CommitGroup<'_> {
    fn suppress(&mut self, order: &SuppressionOrder) -> Known<Vec<bool>> {
        let key = match &self.suppressing.lists.key {
            None if order.entries.iter().any(|entry| entry.kind().is_hashed()) => {
                let no_key = |error: getrandom::Error| {
                    self.facts.fail("mint the key of the suppression lists", error.to_string())
                };
                Some(HashKey::mint().map_err(no_key)?)
            }
            known => known.clone(),
        };
        let mut fresh: BTreeMap<SuppressionKey, LookupClass> = BTreeMap::new();
        let found = self.entries_on(order, key.as_ref())?.into_iter();
        let is_new = found.map(|found| {
            found.is_some_and(|(token, class, is_on)| !is_on && fresh.insert(token, class).is_none())
        });
        let answers = is_new.collect();
        if self.suppressing.lists.key.is_none() && key.is_some() {
            Arc::make_mut(&mut self.suppressing.lists).key = key;
            self.suppressing.minted = true;
        }
        let added = AddedEntry { at: order.now, actor: order.actor.chars().take(ACTOR_CHARS).collect() };
        for (token, class) in fresh {
            Arc::make_mut(&mut self.suppressing.lists).add(&order.list, class, order.now);
            self.suppressing.entries.insert((token, order.list.clone()), Some(added.clone()));
            self.suppressing.touched.insert(order.list.clone());
        }
        Ok(answers)
    }

    /// Of each entry what it is looked up by, and whether it is on the list; `None` where nothing can be on one by it.
    fn entries_on(
        &self,
        order: &SuppressionOrder,
        key: Option<&HashKey>,
    ) -> Known<Vec<Option<(SuppressionKey, LookupClass, bool)>>> {
        all(order.entries.iter().map(|entry| {
            let Some((class, token)) = SuppressionKey::of(entry, key) else { return Ok(None) };
            // By a key that is new nothing is on any list, and what was looked up by it would be asked for by another.
            let is_by_new_key = entry.kind().is_hashed() && self.suppressing.lists.key.is_none();
            let is_on = !is_by_new_key && self.is_on(&order.list, &token)?;
            Ok(Some((token, class, is_on)))
        }))
    }

    fn unsuppress(&mut self, order: &SuppressionOrder) -> Known<Vec<bool>> {
        let mut gone: BTreeMap<SuppressionKey, LookupClass> = BTreeMap::new();
        let found = self.entries_on(order, self.suppressing.lists.key.as_ref())?.into_iter();
        let was_on = found.map(|found| {
            found.is_some_and(|(token, class, is_on)| is_on && gone.insert(token, class).is_none())
        });
        let answers = was_on.collect();
        self.take_off(&order.list, gone, Some(order.now));
        Ok(answers)
    }

    fn take_off(
        &mut self,
        list: &str,
        gone: impl IntoIterator<Item = (SuppressionKey, LookupClass)>,
        now: Option<Time>,
    ) {
        for (token, class) in gone {
            Arc::make_mut(&mut self.suppressing.lists).remove(list, class, now);
            self.suppressing.entries.insert((token, list.to_owned()), None);
            self.suppressing.touched.insert(list.to_owned());
        }
    }

    /// Removes up to [`STEP`] entries of a list. Answers how many.
    fn remove_step(&mut self, list: &str) -> Known<usize> {
        let pending = self.suppressing.entries.iter().filter(|((_, on), _)| on == list);
        let (added, removed): (Vec<_>, Vec<_>) = pending.partition(|(_, added)| added.is_some());
        let removed: BTreeSet<&SuppressionKey> = removed.into_iter().map(|((token, _), _)| token).collect();
        let stored = self.facts.list_entries(list, STEP + removed.len())?;
        let stored = stored.into_iter().filter(|(_, token)| !removed.contains(token));
        let added = added.iter().filter_map(|((token, _), _)| SuppressionKey::parse(token.as_bytes()));
        let mut gone: BTreeMap<SuppressionKey, LookupClass> = BTreeMap::new();
        for (class, token) in added.chain(stored) {
            if gone.len() < STEP {
                gone.insert(token, class);
            }
        }
        let count = gone.len();
        self.take_off(list, gone, None);
        Ok(count)
    }

    fn is_on(&self, list: &str, token: &SuppressionKey) -> Known<bool> {
        match self.suppressing.entries.get(&(token.clone(), list.to_owned())) {
            Some(pending) => Ok(pending.is_some()),
            None if self.suppressing.lists.get(list).is_none() => Ok(false),
            None => self.facts.is_listed(list, token),
        }
    }

    /// The list that one of these traces is on; of several the first by name.
    pub fn listed(&self, traces: &Traces) -> Known<Option<SuppressionHit>> {
        let tokens = self.suppressing.lists.tokens(traces);
        let found = all(tokens.iter().map(|(kind, token)| Ok((*kind, self.first_list(token)?))))?;
        let hits = found.into_iter().filter_map(|(kind, list)| Some(SuppressionHit { list: list?, kind }));
        // The first of those on the same list.
        Ok(hits.reduce(|first, hit| if hit.list < first.list { hit } else { first }))
    }

    fn first_list(&self, token: &SuppressionKey) -> Known<Option<String>> {
        let pending = &self.suppressing.entries;
        let stored = self.facts.lists_of(token)?.into_iter();
        let stays = |list: &String| !matches!(pending.get(&(token.clone(), list.clone())), Some(None));
        let here =
            pending.range((token.clone(), String::new())..).take_while(|((known, _), _)| known == token);
        let here = here.filter(|(_, added)| added.is_some()).map(|((_, list), _)| list.clone());
        Ok(stored.filter(stays).chain(here).min())
    }
}
