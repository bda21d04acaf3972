//! What goes onto suppression lists and off them, and what is on one. Pending entries of a group
//! count for the decisions after them.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use crate::domain::suppression::{SuppressionHit, Traces};
use crate::domain::time::Time;
use crate::store::codec::{LayoutError, corrupt};
use crate::store::commit::command::{RemoveList, STEP, StoreCommand, SuppressionCommand};
use crate::store::commit::group::CommitGroup;
use crate::store::contract::change::SuppressionOrder;
use crate::store::contract::error::StoreError;
use crate::store::engine::kv::{Direction, Span};
use crate::store::table::suppression::{
    AddedEntry, HashKey, LookupClass, SuppressionKey, list_span, listed_key, suppressed_key,
};

/// The most characters of an actor's name that are kept with an entry.
const ACTOR_CHARS: usize = 200;

impl CommitGroup<'_> {
    pub fn take_suppression(&mut self, command: SuppressionCommand) {
        match command {
            SuppressionCommand::Add(order, answer) => {
                let decided = self.suppress(&order);
                self.promise(decided, answer);
            }
            SuppressionCommand::TakeOff(order, answer) => {
                let decided = self.unsuppress(&order);
                self.promise(decided, answer);
            }
            SuppressionCommand::Remove(remove, answer) => match self.remove_step(&remove.list) {
                Ok(count) if count == STEP => {
                    let rest = RemoveList { done: remove.done + count as u64, ..remove };
                    let rest = SuppressionCommand::Remove(rest, answer);
                    self.again.push(StoreCommand::Suppression(rest));
                }
                done => self.promise(done.map(|count| remove.done + count as u64), answer),
            },
        }
    }

    fn suppress(&mut self, order: &SuppressionOrder) -> Result<Vec<bool>, StoreError> {
        if order.entries.iter().any(|entry| entry.kind().is_hashed()) && self.suppressing.lists.key.is_none()
        {
            let minted = HashKey::mint()
                .map_err(|error| self.shared.reader.fail("mint the key of the suppression lists", error))?;
            Arc::make_mut(&mut self.suppressing.lists).key = Some(minted);
            self.suppressing.minted = true;
        }
        let mut fresh: BTreeMap<SuppressionKey, LookupClass> = BTreeMap::new();
        let mut answers = Vec::with_capacity(order.entries.len());
        for entry in &order.entries {
            let token = SuppressionKey::of(entry, self.suppressing.lists.key.as_ref());
            let token = match token {
                Some((class, token)) if !self.is_on(&order.list, &token)? => Some((token, class)),
                _ => None,
            };
            answers.push(token.is_some_and(|(token, class)| fresh.insert(token, class).is_none()));
        }
        let added = AddedEntry { at: order.now, actor: order.actor.chars().take(ACTOR_CHARS).collect() };
        for (token, class) in fresh {
            Arc::make_mut(&mut self.suppressing.lists).add(&order.list, class, order.now);
            self.suppressing.entries.insert((token, order.list.clone()), Some(added.clone()));
            self.suppressing.touched.insert(order.list.clone());
        }
        Ok(answers)
    }

    fn unsuppress(&mut self, order: &SuppressionOrder) -> Result<Vec<bool>, StoreError> {
        let mut gone: BTreeMap<SuppressionKey, LookupClass> = BTreeMap::new();
        let mut answers = Vec::with_capacity(order.entries.len());
        for entry in &order.entries {
            let token = SuppressionKey::of(entry, self.suppressing.lists.key.as_ref());
            let token = match token {
                Some((class, token)) if self.is_on(&order.list, &token)? => Some((token, class)),
                _ => None,
            };
            answers.push(token.is_some_and(|(token, class)| gone.insert(token, class).is_none()));
        }
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
    fn remove_step(&mut self, list: &str) -> Result<usize, StoreError> {
        let pending = &self.suppressing.entries;
        let added = pending.iter().filter(|((_, on), added)| on == list && added.is_some());
        let mut gone: BTreeMap<SuppressionKey, LookupClass> = BTreeMap::new();
        gone.extend(
            added.filter_map(|((token, _), _)| SuppressionKey::parse(token.as_bytes())).map(swap).take(STEP),
        );
        let (from, to) = list_span(list);
        let span = Span { from: &from, to: &to, direction: Direction::Up };
        self.shared.reader.scan(span, &mut |key, _| {
            if gone.len() >= STEP {
                return ControlFlow::Break(());
            }
            let found = key.get(from.len()..).and_then(SuppressionKey::parse);
            let stays = |(_, token): &(LookupClass, SuppressionKey)| {
                !matches!(pending.get(&(token.clone(), list.to_owned())), Some(None))
            };
            gone.extend(found.filter(stays).map(swap));
            ControlFlow::Continue(())
        })?;
        let count = gone.len();
        self.take_off(list, gone, None);
        Ok(count)
    }

    fn is_on(&self, list: &str, token: &SuppressionKey) -> Result<bool, StoreError> {
        match self.suppressing.entries.get(&(token.clone(), list.to_owned())) {
            Some(pending) => Ok(pending.is_some()),
            None if self.suppressing.lists.get(list).is_none() => Ok(false),
            None => Ok(self.shared.reader.get(&listed_key(list, token))?.is_some()),
        }
    }

    /// The list that one of these traces is on; of several the first by name.
    pub fn listed(&self, traces: &Traces) -> Result<Option<SuppressionHit>, StoreError> {
        let mut first: Option<SuppressionHit> = None;
        for (kind, token) in self.suppressing.lists.tokens(traces) {
            if let Some(list) = self.first_list(&token)?
                && first.as_ref().is_none_or(|first| list < first.list)
            {
                first = Some(SuppressionHit { list, kind });
            }
        }
        Ok(first)
    }

    fn first_list(&self, token: &SuppressionKey) -> Result<Option<String>, StoreError> {
        let pending = &self.suppressing.entries;
        let from = suppressed_key(token, "");
        let to = [&from[..], &[u8::MAX]].concat();
        let (mut stored, mut failed) = (None, None);
        let span = Span { from: &from, to: &to, direction: Direction::Up };
        self.shared.reader.scan(span, &mut |key, _| {
            let list = key.get(from.len()..).and_then(|list| std::str::from_utf8(list).ok());
            let Some(list) = list.map(str::to_owned) else {
                let content = LayoutError::Content("the name of its list is not text".to_owned());
                failed = Some(corrupt(key, &content));
                return ControlFlow::Break(());
            };
            let at = (token.clone(), list);
            if matches!(pending.get(&at), Some(None)) {
                return ControlFlow::Continue(());
            }
            stored = Some(at.1);
            ControlFlow::Break(())
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        let here =
            pending.range((token.clone(), String::new())..).take_while(|((known, _), _)| known == token);
        let here = here.filter(|(_, added)| added.is_some()).map(|((_, list), _)| list.clone()).next();
        Ok(stored.into_iter().chain(here).min())
    }
}

fn swap((class, token): (LookupClass, SuppressionKey)) -> (SuppressionKey, LookupClass) {
    (token, class)
}
