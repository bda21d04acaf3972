//! Decides a group's commands in order, each as often as it misses something.

use crate::store::decision::group::CommitGroup;
use crate::store::decision::order::OrderInGroup;

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
        while let Err(mut needs) = command.decide(group) {
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
