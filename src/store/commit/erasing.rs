//! Keeps erasures, applies them step by step, and has them applied again.

use std::sync::Arc;

use crate::domain::erasure::identity::KnownIdentities;
use crate::domain::erasure::report::{ErasedCounts, Erasure, ErasureState, JournalErasure};
use crate::domain::erasure::subject::SubjectKind;
use crate::domain::presented::DigestKey;
use crate::domain::time::Time;
use crate::store::commit::embedded_commit::EmbeddedCommit;
use crate::store::commit::erasable::{self, ErasableRecord};
use crate::store::commit::erase_record::{AppliedErasure, ErasedRecords};
use crate::store::contract::erasure::{ErasureOrder, ErasureStep, KeptErasure};
use crate::store::contract::error::StoreError;
use crate::store::decision::order::ReplySender;
use crate::store::reader::{Reader, readable};
use crate::store::records::StoreShared;
use crate::store::table::erasure::{ErasurePass, ScanPlace, put_erasure, put_open, put_pass};

/// What the writer is to do about erasures.
pub enum ErasingCommand {
    /// Keeps one.
    Keep(ErasureOrder, ReplySender<Erasure>),
    /// Changes what a step has found.
    Step(Box<PreparedStep>, ReplySender<ErasureStep>),
    /// Has all of them applied again, with those of another copy of the store.
    Again(Vec<KeptErasure>, ReplySender<u64>),
}

impl ErasingCommand {
    /// Notifies anyone who waits that it was not done.
    pub fn refuse(self, error: StoreError) {
        // A dropped receiver is a caller that went away: no one is left to inform.
        match self {
            ErasingCommand::Keep(_, answer) => drop(answer.send(Err(error))),
            ErasingCommand::Step(_, answer) => drop(answer.send(Err(error))),
            ErasingCommand::Again(_, answer) => drop(answer.send(Err(error))),
        }
    }
}

/// A step as it was found: what may have to be changed, and how far the pass is once that is done.
#[derive(Clone)]
pub struct PreparedStep {
    pub records: Vec<ErasableRecord>,
    pub erasures: Vec<u64>,
    /// The pass as it was stored when this was found; where it is another by now, nothing is done.
    pub found_in: Option<ErasurePass>,
    /// How far the pass is then.
    pub progress: StepProgress,
    pub now: Time,
}

/// How far a pass is once a step of it is done.
#[derive(Clone)]
pub enum StepProgress {
    /// Where it was: more of the same step follows.
    Stays,
    /// What is looked at next.
    To(ScanPlace),
    /// Every record was looked at.
    Ends,
}

impl PreparedStep {
    /// The step one record at a time, and then the progress alone: where a record cannot be written.
    pub fn one_by_one(&self) -> impl Iterator<Item = PreparedStep> + '_ {
        let alone = |record: &ErasableRecord| PreparedStep {
            records: vec![record.clone()],
            progress: StepProgress::Stays,
            ..self.without_records()
        };
        self.records.iter().map(alone).chain([self.without_records()])
    }

    fn without_records(&self) -> PreparedStep {
        PreparedStep {
            records: Vec::new(),
            erasures: self.erasures.clone(),
            found_in: self.found_in.clone(),
            progress: self.progress.clone(),
            now: self.now,
        }
    }
}

/// Looks for what the next step has to change, next to all that is written; `None`: no erasure is left to be done.
pub fn prepare(shared: &StoreShared, key: &DigestKey, now: Time) -> Result<Option<PreparedStep>, StoreError> {
    let reader = &shared.reader;
    reader.check()?;
    let found_in = stored_pass(reader)?;
    let pass = match found_in.clone() {
        Some(pass) => pass,
        None => ErasurePass { erasures: reader.open_erasures()?, place: ScanPlace::default() },
    };
    if pass.erasures.is_empty() {
        return Ok(None);
    }
    let applied = applied(reader, key, &pass.erasures)?;
    let digests = applied.iter().flat_map(|erasure| erasure.known.digests());
    let all = KnownIdentities::new(key.clone(), digests);
    let until = applied.iter().map(|erasure| erasure.at).max().unwrap_or(now);
    let (records, next) = match erasable::step(shared, &all, pass.place.clone(), until) {
        // No scan goes on behind it. The clicks are looked up by their lines in the log too.
        Err(error @ StoreError::Corrupt { .. }) if !matches!(pass.place, ScanPlace::Postbacks(_)) => {
            tracing::error!(%error, "a page of clicks cannot be read: what is on it is not erased");
            let is_log = matches!(pass.place, ScanPlace::Lines(..));
            (Vec::new(), (!is_log).then_some(ScanPlace::Lines(i32::MIN, 0)))
        }
        stepped => stepped?,
    };
    let progress = next.map_or(StepProgress::Ends, StepProgress::To);
    Ok(Some(PreparedStep { records, erasures: pass.erasures, found_in, progress, now }))
}

/// The pass that goes on. One that cannot be read begins anew.
fn stored_pass(reader: &Reader) -> Result<Option<ErasurePass>, StoreError> {
    Ok(readable(reader.erasure_pass(), "how far erasing is")?.flatten())
}

fn applied(reader: &Reader, key: &DigestKey, numbers: &[u64]) -> Result<Vec<AppliedErasure>, StoreError> {
    let mut found = Vec::new();
    for number in numbers {
        let Some(kept) = readable(reader.erasure(*number), "an erasure")?.flatten() else { continue };
        let digests = readable(reader.erasure_digests(*number), "an erasure")?.unwrap_or_default();
        let known = KnownIdentities::new(key.clone(), digests).by_phone(kept.subject == SubjectKind::Phone);
        found.push(AppliedErasure { number: *number, at: kept.at, known, erased: ErasedCounts::default() });
    }
    Ok(found)
}

/// Keeps an erasure.
///
/// # Errors
/// The store's failure.
pub fn keep(commit: &mut EmbeddedCommit<'_>, order: &ErasureOrder) -> Result<Erasure, StoreError> {
    let erasure = Erasure {
        id: commit.shared.reader.next_erasure()?,
        at: order.at,
        actor: order.actor.clone(),
        subject: order.subject,
        persons: order.persons,
        state: ErasureState::Working,
        found: order.found,
        erased: ErasedCounts::default(),
        sent: order.sent.clone(),
        sent_more: order.sent_more,
        journal: JournalErasure::default(),
    };
    let batch = &mut commit.purging.batch;
    put_erasure(batch, &erasure, &order.digests)?;
    put_open(batch, erasure.id, true);
    Ok(erasure)
}

/// Changes the records of a step, and notes how far the pass is.
///
/// # Errors
/// The store's failure.
pub fn step(
    commit: &mut EmbeddedCommit<'_>,
    key: &DigestKey,
    prepared: &PreparedStep,
) -> Result<ErasureStep, StoreError> {
    let reader = Arc::clone(&commit.shared.reader);
    if stored_pass(&reader)? != prepared.found_in {
        return Ok(ErasureStep { erased: ErasedCounts::default(), more: true });
    }
    let ends = matches!(prepared.progress, StepProgress::Ends);
    let mut erasures = applied(&reader, key, &prepared.erasures)?;
    let mut erased = ErasedRecords::default();
    for record in &prepared.records {
        // What cannot be read is not theirs for anyone: it holds up nothing behind it.
        readable(erased.erase(commit, record, &mut erasures), "a record that is to be erased")?;
    }
    erased.pack(commit)?;
    let mut sum = ErasedCounts::default();
    for applied in &erasures {
        sum.add(&applied.erased);
        let Some(mut kept) = reader.erasure(applied.number)? else { continue };
        kept.erased.add(&applied.erased);
        if ends {
            kept.state = ErasureState::Done { at: prepared.now };
        }
        let digests: Vec<_> = applied.known.digests().collect();
        if ends || applied.erased.total() > 0 {
            put_erasure(&mut commit.purging.batch, &kept, &digests)?;
        }
    }
    let batch = &mut commit.purging.batch;
    match &prepared.progress {
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
    Ok(ErasureStep { erased: sum, more: !ends || has_others(&reader, &prepared.erasures)? })
}

/// Whether erasures wait for the next pass.
fn has_others(reader: &Reader, done: &[u64]) -> Result<bool, StoreError> {
    Ok(reader.open_erasures()?.iter().any(|number| !done.contains(number)))
}

/// Every kept erasure, the oldest first.
///
/// # Errors
/// The store's failure.
pub fn kept(reader: &Reader) -> Result<Vec<KeptErasure>, StoreError> {
    let mut all = Vec::new();
    for (number, erasure) in reader.erasures_below(u64::MAX, usize::MAX)?.into_iter().rev() {
        let digests = readable(reader.erasure_digests(number), "an erasure")?;
        all.extend(erasure.zip(digests).map(|(erasure, digests)| KeptErasure { erasure, digests }));
    }
    Ok(all)
}

/// Has every kept erasure applied again, and those of `others` that are not kept here. Answers how many there are.
///
/// # Errors
/// The store's failure.
pub fn again(commit: &mut EmbeddedCommit<'_>, others: Vec<KeptErasure>) -> Result<u64, StoreError> {
    let reader = Arc::clone(&commit.shared.reader);
    let mut all = kept(&reader)?;
    let mut next = reader.next_erasure()?;
    for mut other in others {
        let is_same =
            |known: &KeptErasure| (known.erasure.at, &known.digests) == (other.erasure.at, &other.digests);
        if all.iter().any(is_same) {
            continue;
        }
        if other.erasure.id >= next {
            next = other.erasure.id + 1;
        } else {
            other.erasure.id = next;
            next += 1;
        }
        all.push(other);
    }
    let batch = &mut commit.purging.batch;
    for KeptErasure { erasure, digests } in &all {
        let erased = ErasedCounts::default();
        let begun = Erasure { state: ErasureState::Working, erased, ..erasure.clone() };
        put_erasure(batch, &begun, digests)?;
        put_open(batch, begun.id, true);
    }
    put_pass(batch, None)?;
    Ok(all.len() as u64)
}
