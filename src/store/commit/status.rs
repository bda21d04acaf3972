//! Statuses that change by hand or by time.

use crate::domain::conversion::Conversion;
use crate::domain::status_move::{self, MoveRefused};
use crate::domain::time::Time;
use crate::store::commit::command::{STEP, StatusCommand, StatusOrder};
use crate::store::commit::group::CommitGroup;
use crate::store::commit::pending::MAX_CHANGES;
use crate::store::contract::change::{ConversionRef, StatusChanged};
use crate::store::contract::error::StoreError;
use crate::store::table::conversion::Record;
use crate::store::table::delivery::MAX_DELIVERIES;

impl CommitGroup<'_> {
    pub fn take_status(&mut self, command: StatusCommand) {
        match command {
            StatusCommand::Set(order, answer) => {
                let decided = self.set_status(&order);
                self.promise(decided, answer);
            }
            StatusCommand::Dispose { now, limit, answer } => {
                let decided = self.dispose(now, limit);
                self.promise(decided, answer);
            }
        }
    }

    fn set_status(&mut self, order: &StatusOrder) -> Result<StatusChanged, StoreError> {
        let found = match order.which {
            ConversionRef::Id(id) => self.find(&id)?,
            ConversionRef::Number(seq) => self.peek(seq.get())?.map(|record| (seq.get(), record)),
        };
        let Some((number, old)) = found else { return Ok(StatusChanged::Unknown) };
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

    /// Gives what is due the status that was foreseen. Answers how many.
    fn dispose(&mut self, now: Time, limit: usize) -> Result<u64, StoreError> {
        let numbers = self.shared.index.lock().dispositions.due(now, limit.min(STEP));
        let mut records = Vec::new();
        for number in numbers {
            match self.readable(number)? {
                Some(record) => records.push((number, record)),
                None => self.shared.index.lock().dispositions.forget(number),
            }
        }
        let mut disposed = 0;
        for (number, old) in records {
            // Anyone who changed it earlier in this group has settled it.
            let Some(moved) = status_move::dispose(&old.conversion, now) else { continue };
            let record = self.replanned(&old, moved.clone(), now)?.unwrap_or_else(|| {
                tracing::warn!(postback = number, "a status that fell due is shown to no one: too many were");
                Record { conversion: moved, ..Record::clone(&old) }
            });
            self.change(number, &old, record, true);
            disposed += 1;
        }
        Ok(disposed)
    }

    /// The record after a change, with what it causes; `None` when that is more than one can have.
    fn replanned(
        &self,
        old: &Record,
        mut conversion: Conversion,
        now: Time,
    ) -> Result<Option<Record>, StoreError> {
        let planned = self.planned(&mut conversion, &old.standing.deliveries, now)?;
        if planned.len() > MAX_DELIVERIES {
            return Ok(None);
        }
        let mut record = Record { conversion, ..old.clone() };
        record.standing.replan(planned);
        Ok(Some(record))
    }
}
