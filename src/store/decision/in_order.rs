//! Decides a group's commands in order, each as often as it misses something.

use crate::store::contract::error::StoreError;
use crate::store::decision::group::CommitGroup;
use crate::store::decision::order::OrderInGroup;

/// How often one order is decided. Each time it misses what it could not know before: the most that any needs is a few
/// for each reading of a click id.
const MOST_ROUNDS: usize = 100;

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
                let cause = format!("it was decided {MOST_ROUNDS} times and still misses {needs:?}");
                tracing::error!(cause, "something is not decided and is left out: please report this");
                command.fail(StoreError::Unavailable { cause });
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
