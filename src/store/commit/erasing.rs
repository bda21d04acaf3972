//! Applies erasures step by step: what a step changes is made next to all that is written, and written in small commits.

use std::sync::Arc;

use crate::domain::erasure::identity::KnownIdentities;
use crate::domain::erasure::report::{ErasedCounts, Erasure, ErasureState};
use crate::domain::erasure::subject::SubjectKind;
use crate::domain::presented::DigestKey;
use crate::domain::time::Time;
use crate::store::commit::embedded_commit::EmbeddedCommit;
use crate::store::commit::erasable::{self, ErasableRecord, FoundRecords};
use crate::store::commit::erase_record::{AppliedErasure, ErasedRecords, erase};
use crate::store::commit::erased_change::ErasedChange;
use crate::store::commit::erasure_list::{ErasureNote, whole};
use crate::store::contract::erasure::{ErasureOrder, ErasureStep, KeptErasure};
use crate::store::contract::error::StoreError;
use crate::store::decision::order::ReplySender;
use crate::store::reader::{Reader, readable};
use crate::store::records::StoreShared;
use crate::store::table::erasure::{ErasurePass, ScanPlace, put_erasure, put_open, put_pass};

/// How much one commit writes, in bytes, unless a single change is larger: so that those who wait for the writer wait a few
/// milliseconds.
const COMMIT_BYTES: usize = 128 * 1024;
const COMMIT_CHANGES: usize = 32;

/// What the writer is to do about erasures.
pub enum ErasingCommand {
    /// Keeps one.
    Keep(ErasureOrder, ReplySender<Erasure>),
    /// Writes a part of what a step changes.
    Step(Box<ErasingCommit>, ReplySender<CommittedStep>),
    /// Has all of them applied again, with those of another copy of the store.
    Again(Vec<KeptErasure>, ReplySender<u64>),
    /// Notes what became of the data elsewhere.
    Note(Vec<(u64, ErasureNote)>, ReplySender<()>),
}

impl ErasingCommand {
    /// Notifies anyone who waits that it was not done.
    pub fn refuse(self, error: StoreError) {
        // A dropped receiver is a caller that went away: no one is left to inform.
        match self {
            ErasingCommand::Keep(_, answer) => drop(answer.send(Err(error))),
            ErasingCommand::Step(_, answer) => drop(answer.send(Err(error))),
            ErasingCommand::Again(_, answer) => drop(answer.send(Err(error))),
            ErasingCommand::Note(_, answer) => drop(answer.send(Err(error))),
        }
    }
}

/// A step of a pass: what it changes, and how far the pass is once that is written.
pub struct ErasingStep {
    erasures: Vec<u64>,
    /// The pass as it was stored when this was found; where it is another by now, nothing is done.
    found_in: Option<ErasurePass>,
    /// What is not written yet, the first last.
    left: Vec<ErasedChange>,
    /// Records that were changed meanwhile: they are looked at again.
    again: Vec<ErasableRecord>,
    /// What is looked at next; `None`: every record was looked at.
    next: Option<ScanPlace>,
    /// How many records could not be read.
    unreadable: u64,
    now: Time,
}

/// One commit of a step.
#[derive(Clone)]
pub struct ErasingCommit {
    /// What is written.
    pub changes: Vec<ErasedChange>,
    erasures: Vec<u64>,
    found_in: Option<ErasurePass>,
    progress: StepProgress,
    /// How many records could not be read.
    pub unreadable: u64,
    now: Time,
}

/// How far a pass is once a commit is done.
#[derive(Clone)]
enum StepProgress {
    /// Where it was: more of the same step follows.
    Stays,
    /// What is looked at next.
    To(ScanPlace),
    /// Every record was looked at.
    Ends,
}

/// What became of a commit.
#[derive(Default)]
pub struct CommittedStep {
    pub step: ErasureStep,
    /// Records that were changed meanwhile.
    pub stale: Vec<ErasableRecord>,
    /// Whether the pass is another one by now: what was found for it is worth nothing.
    pub is_another: bool,
}

impl ErasingCommit {
    /// The commit one change at a time, and then what is left of it: where a change cannot be written.
    pub fn one_by_one(&self) -> impl Iterator<Item = ErasingCommit> + '_ {
        self.changes.iter().map(|change| ErasingCommit {
            changes: vec![change.clone()],
            erasures: self.erasures.clone(),
            found_in: self.found_in.clone(),
            progress: StepProgress::Stays,
            unreadable: 0,
            now: self.now,
        })
    }

    /// What is left of it once its changes are written, or so many records turned out to be unreadable.
    #[must_use]
    pub fn without_changes(self, unreadable: u64) -> ErasingCommit {
        ErasingCommit { changes: Vec::new(), unreadable, ..self }
    }

    /// Whether it ends its step.
    pub fn is_last(&self) -> bool {
        !matches!(self.progress, StepProgress::Stays)
    }
}

impl ErasingStep {
    /// What is to be committed next. Records that were changed meanwhile are looked at again.
    ///
    /// # Errors
    /// The store's failure.
    pub fn next_commit(
        &mut self,
        shared: &StoreShared,
        key: &DigestKey,
    ) -> Result<ErasingCommit, StoreError> {
        if !self.again.is_empty() {
            let erasures = applied(&shared.reader, key, &self.erasures)?;
            let ErasedRecords { changes, unreadable } =
                erase(shared, &std::mem::take(&mut self.again), &erasures)?;
            // What attempts sent is before them: what was written before it stays so.
            self.left.extend(changes.into_iter().rev());
            self.unreadable += unreadable;
        }
        let (mut changes, mut bytes) = (Vec::new(), 0);
        while changes.len() < COMMIT_CHANGES
            && let Some(next) = self.left.pop_if(|next| bytes == 0 || bytes + next.bytes() <= COMMIT_BYTES)
        {
            bytes += next.bytes();
            changes.push(next);
        }
        let progress = match &self.next {
            _ if !self.left.is_empty() => StepProgress::Stays,
            Some(next) => StepProgress::To(next.clone()),
            None => StepProgress::Ends,
        };
        let (erasures, found_in) = (self.erasures.clone(), self.found_in.clone());
        let unreadable = std::mem::take(&mut self.unreadable);
        Ok(ErasingCommit { changes, erasures, found_in, progress, unreadable, now: self.now })
    }

    /// These were changed meanwhile.
    pub fn look_again(&mut self, stale: Vec<ErasableRecord>) {
        self.again.extend(stale);
    }
}

/// Looks for what the next step has to change, next to all that is written; `None`: no erasure is left to be done.
///
/// # Errors
/// The store's failure.
pub fn prepare(shared: &StoreShared, key: &DigestKey, now: Time) -> Result<Option<ErasingStep>, StoreError> {
    let reader = &shared.reader;
    reader.check()?;
    let found_in = stored_pass(reader)?;
    let mut pass = found_in.clone().unwrap_or_default();
    // One that cannot be read stays open: the next start takes it from the file of erasures.
    let mut erasures = applied(reader, key, &pass.erasures)?;
    if erasures.is_empty() {
        pass = ErasurePass { erasures: reader.open_erasures()?, place: ScanPlace::default() };
        erasures = applied(reader, key, &pass.erasures)?;
    }
    if erasures.is_empty() {
        return Ok(None);
    }
    let digests = erasures.iter().flat_map(|erasure| erasure.known.digests());
    let all = KnownIdentities::new(key.clone(), digests);
    let until = erasures.iter().map(|erasure| erasure.at).max().unwrap_or(now);
    let found = match erasable::step(shared, &all, pass.place.clone(), until) {
        // No scan goes on behind it. The clicks are looked up by their lines in the log too.
        Err(error @ StoreError::Corrupt { .. }) if !matches!(pass.place, ScanPlace::Postbacks(_)) => {
            tracing::error!(%error, "a page of clicks cannot be read: what is on it is not erased");
            let is_log = matches!(pass.place, ScanPlace::Lines(..));
            let next = (!is_log).then_some(ScanPlace::Lines(i32::MIN, 0));
            FoundRecords { records: Vec::new(), next, unreadable: 1 }
        }
        stepped => stepped?,
    };
    let ErasedRecords { changes, unreadable } = erase(shared, &found.records, &erasures)?;
    Ok(Some(ErasingStep {
        erasures: erasures.iter().map(|erasure| erasure.number).collect(),
        found_in,
        left: changes.into_iter().rev().collect(),
        again: Vec::new(),
        next: found.next,
        unreadable: found.unreadable + unreadable,
        now,
    }))
}

/// The pass that goes on. One that cannot be read begins anew.
fn stored_pass(reader: &Reader) -> Result<Option<ErasurePass>, StoreError> {
    Ok(readable(reader.erasure_pass(), "how far erasing is")?.flatten())
}

fn applied(reader: &Reader, key: &DigestKey, numbers: &[u64]) -> Result<Vec<AppliedErasure>, StoreError> {
    let mut found = Vec::new();
    for number in numbers {
        let Some(KeptErasure { erasure, digests }) = whole(reader, *number)? else { continue };
        let known =
            KnownIdentities::new(key.clone(), digests).by_phone(erasure.subject == SubjectKind::Phone);
        found.push(AppliedErasure { number: *number, at: erasure.at, known });
    }
    Ok(found)
}

/// Writes a part of what a step changes, and notes how far the pass is.
///
/// # Errors
/// The store's failure.
pub fn step(commit: &mut EmbeddedCommit<'_>, prepared: &ErasingCommit) -> Result<CommittedStep, StoreError> {
    let reader = Arc::clone(&commit.shared.reader);
    if stored_pass(&reader)? != prepared.found_in {
        let step = ErasureStep { erased: ErasedCounts::default(), more: true };
        return Ok(CommittedStep { step, is_another: true, ..CommittedStep::default() });
    }
    let (mut stale, mut counts, mut unreadable) = (Vec::new(), Vec::new(), prepared.unreadable);
    for change in &prepared.changes {
        match readable(change.apply(commit), "a record that is to be erased")? {
            Some(true) => counts.extend_from_slice(&change.counts),
            Some(false) => stale.extend(change.of.iter().cloned()),
            // What cannot be read holds up nothing behind it.
            None => unreadable += 1,
        }
    }
    let progress = if stale.is_empty() { &prepared.progress } else { &StepProgress::Stays };
    let ends = matches!(progress, StepProgress::Ends);
    let mut sum = ErasedCounts::default();
    for number in &prepared.erasures {
        let mut erased = ErasedCounts::default();
        counts.iter().filter(|(of, _)| of == number).for_each(|(_, counts)| erased.add(counts));
        sum.add(&erased);
        if !ends && unreadable == 0 && erased.total() == 0 {
            continue;
        }
        let Some(mut kept) = reader.erasure(*number)? else { continue };
        kept.erased.add(&erased);
        kept.unreadable += unreadable;
        if ends {
            kept.state = match kept.unreadable {
                0 => ErasureState::Done { at: prepared.now },
                _ => ErasureState::Incomplete { at: prepared.now },
            };
        }
        put_erasure(&mut commit.purging.batch, &kept)?;
    }
    let batch = &mut commit.purging.batch;
    match progress {
        StepProgress::Stays => {}
        StepProgress::To(place) => {
            let erasures = prepared.erasures.clone();
            put_pass(batch, Some(&ErasurePass { erasures, place: place.clone() }))?;
        }
        StepProgress::Ends => {
            prepared.erasures.iter().for_each(|number| put_open(batch, *number, false));
            put_pass(batch, None)?;
        }
    }
    let more = !ends || has_others(&reader, &prepared.erasures)?;
    Ok(CommittedStep { step: ErasureStep { erased: sum, more }, stale, is_another: false })
}

/// Whether erasures wait for the next pass.
fn has_others(reader: &Reader, done: &[u64]) -> Result<bool, StoreError> {
    for number in reader.open_erasures()?.into_iter().filter(|number| !done.contains(number)) {
        if whole(reader, number)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}
