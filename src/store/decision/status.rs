//! Statuses that change by hand or by time.

use std::sync::Arc;

use crate::domain::conversion::Conversion;
use crate::domain::status_move::{self, MoveRefused, StatusMove};
use crate::domain::time::Time;
use crate::store::contract::change::{ConversionRef, StatusChanged};
use crate::store::decision::group::CommitGroup;
use crate::store::decision::need::{Known, all};
use crate::store::decision::order::{Decided, Order};
use crate::store::decision::pending::MAX_CHANGES;
use crate::store::decision::stored::UnreadableDue;
use crate::store::table::conversion::Record;
use crate::store::table::delivery::MAX_DELIVERIES;

/// Someone wants a conversion to have another status.
pub struct SetStatus {
    pub which: ConversionRef,
    pub wanted: StatusMove,
    pub now: Time,
}

impl Order for SetStatus {
    type Answer = StatusChanged;

    fn decide<'a>(&'a self, group: &mut CommitGroup<'a>) -> Known<Decided<SetStatus>> {
        group.set_status(self).map(Decided::Whole)
    }

    fn look_ahead(&self, group: &CommitGroup<'_>) -> Known<()> {
        let Some((_, old)) = group.which(self.which)? else { return Ok(()) };
        group.replanned(&old, old.conversion.clone(), self.now).map(drop)
    }
}

impl CommitGroup<'_> {
    fn set_status(&mut self, order: &SetStatus) -> Known<StatusChanged> {
        let Some((number, old)) = self.which(order.which)? else { return Ok(StatusChanged::Unknown) };
        let moved = match status_move::set_status(&old.conversion, &order.wanted, order.now) {
            Ok(Some(moved)) => moved,
            Ok(None) => return Ok(StatusChanged::Already(Box::new(old.conversion.clone()))),
            Err(refused) => return Ok(StatusChanged::Refused(refused)),
        };
        let record = self.replanned(&old, moved.clone(), order.now)?;
        let Some(record) = record.filter(|_| moved.history.len() <= MAX_CHANGES) else {
            return Ok(StatusChanged::Refused(MoveRefused::TooOften));
        };
        self.change(number, &old, record, true);
        Ok(StatusChanged::Changed(Box::new(moved)))
    }

    fn which(&self, which: ConversionRef) -> Known<Option<(u64, Arc<Record>)>> {
        match which {
            ConversionRef::Id(id) => self.find(&id),
            ConversionRef::Number(seq) => Ok(self.peek(seq.get())?.map(|record| (seq.get(), record))),
        }
    }

    /// Gives up to `most` conversions the status that was foreseen. Answers how many.
    pub fn dispose(&mut self, now: Time, most: usize) -> Known<usize> {
        let numbers = self.facts.due_dispositions(now, most)?;
        let found = self.all_readable(numbers, |number| Some(UnreadableDue::Disposition(number)))?;
        let disposed = all(found.into_iter().map(|(number, old)| {
            // Anyone who changed it earlier in this group has settled it.
            let record = self.disposed(number, &old, now)?;
            Ok(record.map(|record| (number, old, record)))
        }))?;
        let disposed: Vec<_> = disposed.into_iter().flatten().collect();
        let count = disposed.len();
        for (number, old, record) in disposed {
            self.change(number, &old, record, true);
        }
        Ok(count)
    }

    fn disposed(&self, number: u64, old: &Record, now: Time) -> Known<Option<Record>> {
        let Some(moved) = status_move::dispose(&old.conversion, now) else { return Ok(None) };
        let record = self.replanned(old, moved.clone(), now)?;
        Ok(Some(record.unwrap_or_else(|| {
            tracing::warn!(postback = number, "a status that fell due is shown to no one: too many were");
            Record { conversion: moved, ..old.clone() }
        })))
    }

    /// The record after a change, with what it causes; `None` when that is more than one can have.
    fn replanned(&self, old: &Record, mut conversion: Conversion, now: Time) -> Known<Option<Record>> {
        let planned = self.planned(&mut conversion, &old.standing.deliveries, now)?;
        if planned.len() > MAX_DELIVERIES {
            return Ok(None);
        }
        let mut record = Record { conversion, ..old.clone() };
        record.standing.replan(planned);
        Ok(Some(record))
    }
}
