//! Keeps something for operators, and texts; and the probe of whether anything can be kept.

use crate::store::contract::operator::OperatorFact;
use crate::store::decision::group::CommitGroup;
use crate::store::decision::need::{Known, Need};
use crate::store::decision::order::{Decided, Order};
use crate::store::table::age::NextNumbers;
use crate::store::table::operator::OperatorRecords;

/// A text to keep permanently. One that is kept already is not written again.
pub struct KeepText {
    pub name: String,
    pub text: String,
}

impl Order for KeepText {
    type Answer = ();

    fn foresee(&self, needs: &mut Vec<Need>) {
        needs.push(Need::Text(self.name.clone()));
    }

    fn decide<'a>(&'a self, group: &mut CommitGroup<'a>) -> Known<Decided<KeepText>> {
        if !group.facts.has_text(&self.name)? {
            group.texts.entry(&self.name).or_insert(&self.text);
        }
        Ok(Decided::Whole(()))
    }

    fn weight(&self) -> usize {
        self.text.len()
    }
}

impl Order for OperatorFact {
    type Answer = ();

    fn decide<'a>(&'a self, group: &mut CommitGroup<'a>) -> Known<Decided<OperatorFact>> {
        let next = NextNumbers { postback: group.numbers.next_postback, click: group.numbers.next_click };
        let kept = group.kept.get_or_insert_with(|| OperatorRecords::clone(&group.kept_before));
        match self {
            OperatorFact::Clock(record) => {
                kept.ages.note(kept.clock, *record, next);
                kept.clock = Some(*record);
            }
            OperatorFact::Removed(removed) => kept.removed = removed.clone(),
        }
        Ok(Decided::Whole(()))
    }
}

/// Writes something, to find out whether it can.
pub struct WriteProbe;

impl Order for WriteProbe {
    type Answer = ();

    fn decide<'a>(&'a self, group: &mut CommitGroup<'a>) -> Known<Decided<WriteProbe>> {
        group.probe = true;
        Ok(Decided::Whole(()))
    }
}
