//! Decides a group's commands in order, each as often as it misses something.

use std::collections::BTreeSet;

use crate::store::contract::error::StoreError;
use crate::store::decision::group::CommitGroup;
use crate::store::decision::need::Need;
use crate::store::decision::order::{OrderInGroup, STEP};

/// How often one order is decided. Each time it misses what it could not know before: those that go through many, up to
/// [`STEP`], name what all of them miss at once.
const MOST_ROUNDS: usize = STEP;

/// Of an order that misses something else each time: it fails as one whose record is damaged does. What it misses is named
/// by its kinds alone, since a need may hold an address or a phone number.
fn never_decided(needs: &[Need]) -> StoreError {
    let kind = |need: &Need| {
        let shown = format!("{need:?}");
        shown.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned()
    };
    let kinds: BTreeSet<String> = needs.iter().map(kind).collect();
    let kinds = kinds.into_iter().collect::<Vec<_>>().join(", ");
    let cause = format!("it was decided {MOST_ROUNDS} times and still misses {kinds}");
    StoreError::Corrupt { key: "of what decides it".to_owned(), cause }
}

/// Decides commands in order. What the first of them that cannot be decided misses is fetched at once with what those
/// behind it miss; then it is decided again.
pub fn decide_all<'a>(group: &mut CommitGroup<'a>, commands: &'a [Box<dyn OrderInGroup>]) {
    let mut needs = Vec::new();
    commands.iter().for_each(|command| command.foresee(&mut needs));
    needs.retain(|need| !group.facts.is_at_hand(need));
    group.facts.fetch(needs);
    // Of those that were looked at ahead and missed nothing.
    let mut has_all = vec![false; commands.len()];
    for (place, command) in commands.iter().enumerate() {
        let mut rounds = 0;
        while let Err(mut needs) = command.decide(group) {
            rounds += 1;
            if rounds == MOST_ROUNDS {
                let error = never_decided(&needs);
                tracing::error!(%error, "an order to the store is left out: please report this");
                command.fail(error);
                break;
            }
            for (later, has_all) in commands.iter().zip(&mut has_all).skip(place + 1) {
                if !*has_all {
                    let missing = later.look_ahead(group);
                    *has_all = missing.is_empty();
                    needs.extend(missing);
                }
            }
            group.facts.fetch(needs);
        }
    }
}
