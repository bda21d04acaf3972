//! What an embedded store does about erasures: looking next to all that is written, changing on the writer's thread, and what
//! is left to be done then outside the records.

use std::path::PathBuf;
use std::sync::Arc;

use crate::domain::erasure::report::Erasure;
use crate::domain::time::Time;
use crate::store::command_queue::AloneCommand;
use crate::store::commit::erasable;
use crate::store::commit::erasing::{self, CommittedStep, ErasingCommand};
use crate::store::commit::erasure_detail::detail;
use crate::store::commit::erasure_list::ErasureNote;
use crate::store::contract::StoreFuture;
use crate::store::contract::erasure::{ErasureOrder, ErasureScan, ErasureStep, ScannedRecords};
use crate::store::contract::error::StoreError;
use crate::store::contract::lookup::{Page, PageRequest};
use crate::store::contract::operator::ToKeep;
use crate::store::embedded::Embedded;
use crate::store::embedded::erasure_upkeep::{Elsewhere, followed, renew_index, what_next};
use crate::store::reader::readable;
use crate::store::records::StoreShared;
use crate::store::table::erasure::ScanPlace;

/// One step of looking. The log of clicks is not looked at: it names no one.
pub(super) fn scan(shared: &StoreShared, scan: &ErasureScan) -> Result<ScannedRecords, StoreError> {
    let place = scan.cursor.as_deref().map_or(Ok(ScanPlace::default()), ScanPlace::parse)?;
    let step = erasable::step(shared, &scan.known, place, scan.until)?;
    let mut scanned = ScannedRecords { unreadable: step.unreadable, ..ScannedRecords::default() };
    for record in &step.records {
        match readable(detail(shared, record, &scan.known), "a record")? {
            Some(found) => scanned.found.extend(found),
            None => scanned.unreadable += 1,
        }
    }
    let next = step.next.filter(|next| !matches!(next, ScanPlace::Lines(..)));
    Ok(ScannedRecords { next: next.map(|next| next.show()), ..scanned })
}

/// A page of the kept erasures.
fn page(shared: &StoreShared, page: &PageRequest) -> Result<Page<Erasure>, StoreError> {
    let below = match &page.cursor {
        Some(cursor) => cursor.parse().map_err(|_| StoreError::Cursor(cursor.clone()))?,
        None => u64::MAX,
    };
    let limit = page.limit.clamp(1, 1000);
    let found = shared.reader.erasures_below(below, limit)?;
    let is_full = found.len() >= limit;
    let next_cursor = found.last().filter(|_| is_full).map(|(number, _)| number.to_string());
    Ok(Page { items: found.into_iter().filter_map(|(_, erasure)| erasure).collect(), next_cursor })
}

impl Embedded {
    fn elsewhere(&self) -> Option<Elsewhere> {
        self.folder.as_ref().map(Elsewhere::of)
    }

    /// A page of the kept erasures.
    pub(super) fn list_erasures(&self, wanted: PageRequest) -> StoreFuture<'_, Page<Erasure>> {
        let elsewhere = self.elsewhere();
        self.read_many(move |shared| {
            let mut found = page(shared, &wanted)?;
            if let Some(elsewhere) = elsewhere {
                found.items.iter_mut().for_each(|erasure| elsewhere.note(shared, erasure));
            }
            Ok(found)
        })
    }

    /// One of them.
    pub(super) fn one_erasure(&self, number: u64) -> StoreFuture<'_, Option<Erasure>> {
        let elsewhere = self.elsewhere();
        self.read(move |shared| {
            let mut found = shared.reader.erasure(number)?;
            if let Some((elsewhere, erasure)) = elsewhere.as_ref().zip(found.as_mut()) {
                elsewhere.note(shared, erasure);
            }
            Ok(found)
        })
    }

    /// Keeps an erasure; its files are written before it is answered.
    pub(super) fn keep_order(&self, order: ErasureOrder) -> StoreFuture<'_, Erasure> {
        let kept = self.queue(|answer| AloneCommand::Erase(Box::new(ErasingCommand::Keep(order, answer))));
        let Some(copies) = self.erasing.copies() else { return kept };
        Box::pin(async move {
            let erasure = kept.await?;
            let unreached = self
                .read(move |shared| {
                    let known = Arc::clone(&shared.index.lock().kept);
                    let dirs: Vec<PathBuf> = known.backups.iter().map(|backup| backup.dir.clone()).collect();
                    copies.write(&shared.reader, &dirs)
                })
                .await?;
            if !unreached.is_empty() {
                let names = unreached.iter().map(|dir| dir.display().to_string()).collect();
                self.note(vec![(erasure.id, ErasureNote::Unreached(names))]).await?;
            }
            Ok(self.one_erasure(erasure.id).await?.unwrap_or(erasure))
        })
    }

    /// Keeps something. A backup that is known from then on is given the erasures.
    pub(super) fn keep_known(&self, what: ToKeep) -> StoreFuture<'_, ()> {
        let dir = match &what {
            ToKeep::Backup(backup) => Some(backup.dir.clone()),
            _ => None,
        };
        let kept = self.write(what);
        let Some((copies, dir)) = self.erasing.copies().zip(dir) else { return kept };
        Box::pin(async move {
            kept.await?;
            self.read(move |shared| copies.write(&shared.reader, &[dir]).map(drop)).await
        })
    }

    fn note(&self, notes: Vec<(u64, ErasureNote)>) -> StoreFuture<'_, ()> {
        self.queue(|answer| AloneCommand::Erase(Box::new(ErasingCommand::Note(notes, answer))))
    }

    /// One commit of erasing: made by a reader, written by the writer. Where none is left, the journal and the index go on.
    pub(super) fn erase(&self, now: Time) -> StoreFuture<'_, ErasureStep> {
        let key = self.digest_key.clone();
        Box::pin(async move {
            let begun = self.erasing.step.lock().take();
            let made = self.read(move |shared| {
                let step =
                    begun.map_or_else(|| erasing::prepare(shared, &key, now), |step| Ok(Some(step)))?;
                let Some(mut step) = step else { return Ok(None) };
                let commit = step.next_commit(shared, &key)?;
                Ok(Some((step, commit)))
            });
            let Some((mut step, commit)) = made.await? else {
                return self.follow_up(now).await.map(|()| ErasureStep::default());
            };
            *self.erasing.followed.lock() = None;
            let is_last = commit.is_last();
            // Before it is seen: what is rendered until then is compared with what is there when it leaves.
            if !commit.changes.is_empty() {
                self.erasing.erases((self.clock)());
            }
            let done = self.queue(|answer| {
                AloneCommand::Erase(Box::new(ErasingCommand::Step(Box::new(commit), answer)))
            });
            let CommittedStep { step: done, stale, is_another } = done.await?;
            if !is_another && (!is_last || !stale.is_empty()) {
                step.look_again(stale);
                *self.erasing.step.lock() = Some(step);
            }
            Ok(done)
        })
    }

    /// Has the journal rewritten without what was erased, and the index made anew after that; notes how
    /// far that is.
    async fn follow_up(&self, now: Time) -> Result<(), StoreError> {
        let Some(folder) = self.folder.clone() else { return Ok(()) };
        let known = self.erasing.followed.lock().clone();
        let followed = match known {
            Some(followed) => followed,
            None => {
                let read = self.read(|shared| followed(&shared.reader)).await?;
                self.erasing.followed.lock().insert(read).clone()
            }
        };
        let until = followed.iter().filter(|one| one.journal.rewritten_at.is_none());
        if let Some(until) = until.filter_map(|one| one.journal.until).max() {
            folder.erased(until);
        }
        let notes: Vec<(u64, ErasureNote)> =
            followed.iter().filter_map(|one| Some((one.id, what_next(&folder, one, now)?))).collect();
        if notes.is_empty() {
            return Ok(());
        }
        if notes.iter().any(|(_, note)| matches!(note, ErasureNote::Rewritten(_))) {
            renew_index(&folder)?;
            tracing::info!("the journal is rewritten without what was erased");
        }
        self.note(notes).await?;
        *self.erasing.followed.lock() = None;
        Ok(())
    }
}
