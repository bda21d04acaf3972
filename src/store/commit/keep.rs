//! The commands that keep something for operators, and texts; and the rules that operators change.

use std::sync::Arc;

use crate::domain::ruleset::Ruleset;
use crate::store::commit::group::CommitGroup;
use crate::store::contract::error::StoreError;
use crate::store::contract::operator::OperatorFact;
use crate::store::table::age::NextNumbers;
use crate::store::table::operator::OperatorRecords;

impl CommitGroup<'_> {
    /// Reads what the click filters have to remember, where the rules ask for other things now.
    pub fn change_rules(&mut self, rules: Arc<Ruleset>) -> Result<(), StoreError> {
        if rules.filters.duplicate != self.rules.filters.duplicate {
            self.shared.lately.lock().go_by(&self.shared.reader, rules.filters.duplicate)?;
        }
        self.shared.index.lock().queues.go_by(&rules);
        *self.shared.rules.write() = Arc::clone(&rules);
        self.rules = rules;
        Ok(())
    }

    /// Keeps a text permanently. One that is kept already is not written again.
    pub fn keep(&mut self, name: String, text: String) -> Result<(), StoreError> {
        if self.shared.reader.text(&name)?.is_none() {
            self.texts.entry(name).or_insert(text);
        }
        Ok(())
    }

    /// Keeps something for operators.
    pub fn keep_fact(&mut self, fact: OperatorFact) {
        let next = NextNumbers { postback: self.numbers.next_postback, click: self.numbers.next_click };
        let kept = self.kept.get_or_insert_with(|| OperatorRecords::clone(&self.shared.index.lock().kept));
        match fact {
            OperatorFact::Clock(record) => {
                kept.ages.note(kept.clock, record, next);
                kept.clock = Some(record);
            }
            OperatorFact::Removed(removed) => kept.removed = removed,
        }
    }
}
