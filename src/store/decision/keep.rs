//! Keeps what is neither received nor caused by what is; and the probe of whether anything can be kept.

use crate::store::contract::operator::ToKeep;
use crate::store::decision::group::CommitGroup;
use crate::store::decision::need::{Known, Need};
use crate::store::decision::order::{Decided, Order};
use crate::store::table::age::NextNumbers;
use crate::store::table::operator::OperatorRecords;

impl Order for ToKeep {
    type Answer = ();

    fn foresee(&self, needs: &mut Vec<Need>) {
        if let ToKeep::Text { name, .. } = self {
            needs.push(Need::Text(name.clone()));
        }
    }

    fn decide<'a>(&'a self, group: &mut CommitGroup<'a>) -> Known<Decided<ToKeep>> {
        match self {
            ToKeep::Text { name, text } => {
                if !group.facts.has_text(name)? {
                    group.texts.entry(name).or_insert(text);
                }
            }
            ToKeep::Clock(record) => {
                let next =
                    NextNumbers { postback: group.numbers.next_postback, click: group.numbers.next_click };
                let kept = group.kept_now();
                kept.ages.note(kept.clock, *record, next);
                kept.clock = Some(*record);
            }
            ToKeep::Removed(removed) => group.kept_now().removed = removed.clone(),
            ToKeep::Backup(backup) => group.kept_now().note_backup(backup.clone()),
        }
        Ok(Decided::Whole(()))
    }

    fn weight(&self) -> usize {
        match self {
            ToKeep::Text { text, .. } => text.len(),
            ToKeep::Clock(_) | ToKeep::Removed(_) | ToKeep::Backup(_) => 0,
        }
    }
}

impl CommitGroup<'_> {
    fn kept_now(&mut self) -> &mut OperatorRecords {
        self.kept.get_or_insert_with(|| OperatorRecords::clone(&self.kept_before))
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
