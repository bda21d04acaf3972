//! Erasing a person's data: what would be erased, and doing it.

use std::sync::Arc;

use crate::domain::erasure::identity::{IdentityKind, KnownIdentities, phone_digits};
use crate::domain::erasure::persons::{ErasedPart, count_persons};
use crate::domain::erasure::report::{ErasedCounts, Erasure, MOST_RECORDS, MOST_SENT, SentTo};
use crate::domain::erasure::subject::{ErasureSubject, SubjectKind, SubjectRefused};
use crate::domain::time::Time;
use crate::store::contract::Store;
use crate::store::contract::erasure::{ErasureOrder, ErasureScan, FoundRecord};
use crate::store::contract::error::StoreError;
use crate::store::contract::lookup::{Page, PageRequest};
use crate::template::destination::normalize::phone;

/// How often all records are looked at: each time those are found that are joined to what was found before.
const MOST_PASSES: usize = 16;

/// What an erasure would do.
#[derive(Debug, Clone)]
pub struct ErasurePlan {
    /// What the value is that was asked for.
    pub subject: SubjectKind,
    /// Of what was received then or earlier.
    pub at: Time,
    /// Of how many persons it is, as far as can be known.
    pub persons: u64,
    /// How many records it would change.
    pub found: ErasedCounts,
    /// Who was sent the data: at most [`MOST_SENT`].
    pub sent: Vec<SentTo>,
    /// How many more there are.
    pub sent_more: u64,
    /// How many records cannot be read.
    pub unreadable: u64,
    /// By what the records are known.
    known: KnownIdentities,
}

/// Why nothing was erased.
#[derive(Debug)]
pub enum ErasureError {
    /// There is nothing to erase, or it is not clear whose.
    Refused(SubjectRefused),
    /// The store could not be read or written.
    Store(StoreError),
}

impl From<StoreError> for ErasureError {
    fn from(error: StoreError) -> ErasureError {
        ErasureError::Store(error)
    }
}

impl From<SubjectRefused> for ErasureError {
    fn from(refused: SubjectRefused) -> ErasureError {
        ErasureError::Refused(refused)
    }
}

/// Reads the value that names a person; a phone number as platforms are sent it.
///
/// # Errors
/// It is none of its kind.
pub fn subject(kind: SubjectKind, text: &str) -> Result<ErasureSubject, SubjectRefused> {
    if kind != SubjectKind::Phone {
        return ErasureSubject::parse(kind, text);
    }
    match phone::phone(text, false, phone::HomeCountry::default()) {
        Ok(digits) => ErasureSubject::parse(kind, &digits),
        Err(_) => match ErasureSubject::parse(kind, text) {
            Ok(_) => Err(SubjectRefused::NoCallingCode),
            Err(refused) => Err(refused),
        },
    }
}

/// Finds what would be erased; changes nothing. All records are looked at, several times.
///
/// # Errors
/// More records than one erasure takes; the store's.
pub async fn look(
    store: &dyn Store,
    subject: &ErasureSubject,
    now: Time,
) -> Result<ErasurePlan, ErasureError> {
    let mut known =
        KnownIdentities::new(store.digest_key().await?, []).by_phone(subject.kind == SubjectKind::Phone);
    let text = subject.text();
    match subject.kind {
        SubjectKind::Email => known.add_email(text),
        SubjectKind::Phone => known.add_phone(text, phone::national(text).as_deref()),
        SubjectKind::ClickId => known.add(IdentityKind::Click, text),
        SubjectKind::TransactionId => known.add(IdentityKind::Transaction, text),
    };
    let (mut found, mut unreadable) = (Vec::new(), 0);
    for _ in 0..MOST_PASSES {
        (found, unreadable) = pass(store, &known, now).await?;
        let mut is_new = false;
        for record in found.iter().filter(|record| record.part == ErasedPart::Whole) {
            is_new |= record.marks.add_to(&mut known, national);
        }
        if !is_new {
            break;
        }
    }
    Ok(ErasurePlan { unreadable, ..planned(subject.kind, now, known, found) })
}

/// The digits of a phone number without its calling code, where it is written with one.
fn national(text: &str) -> Option<String> {
    let text = text.trim();
    let is_international = text.starts_with('+') || text.starts_with("00");
    let digits = phone_digits(text).filter(|_| is_international)?;
    phone::national(&digits)
}

/// Looks at every record once. Answers those that are found, and how many cannot be read.
async fn pass(
    store: &dyn Store,
    known: &KnownIdentities,
    until: Time,
) -> Result<(Vec<FoundRecord>, u64), ErasureError> {
    let known = Arc::new(known.clone());
    let (mut found, mut unreadable, mut cursor) = (Vec::new(), 0, None);
    loop {
        let scan = ErasureScan { known: Arc::clone(&known), until, cursor };
        let step = store.scan_for_erasure(scan).await?;
        found.extend(step.found);
        unreadable += step.unreadable;
        if found.len() > MOST_RECORDS {
            return Err(SubjectRefused::TooMany { most: MOST_RECORDS as u64 }.into());
        }
        match step.next {
            Some(next) => cursor = Some(next),
            None => return Ok((found, unreadable)),
        }
    }
}

fn planned(subject: SubjectKind, at: Time, known: KnownIdentities, records: Vec<FoundRecord>) -> ErasurePlan {
    let is_left = |record: &&FoundRecord| record.part == ErasedPart::Whole && !record.is_erased;
    let persons = count_persons(records.iter().filter(is_left).map(|record| &record.marks), subject);
    let (mut found, mut sent) = (ErasedCounts::default(), Vec::new());
    for record in records {
        found.add(&record.counts);
        sent.extend(record.sent);
    }
    let sent_more = sent.len().saturating_sub(MOST_SENT) as u64;
    sent.truncate(MOST_SENT);
    ErasurePlan { subject, at, persons, found, sent, sent_more, unreadable: 0, known }
}

/// Erases what was found: it is kept durably, and done step by step from then on. `confirm`: also where it is the data of
/// more than one person.
///
/// # Errors
/// Nothing was found, or data of more than one person; the store's.
pub async fn carry_out(
    store: &dyn Store,
    plan: ErasurePlan,
    (actor, confirm): (&str, bool),
) -> Result<Erasure, ErasureError> {
    if plan.found.total() == 0 {
        return Err(SubjectRefused::NothingFound.into());
    }
    if plan.persons > 1 && !confirm {
        return Err(SubjectRefused::SeveralPersons { persons: plan.persons }.into());
    }
    let order = ErasureOrder {
        at: plan.at,
        actor: actor.to_owned(),
        subject: plan.subject,
        persons: plan.persons,
        digests: plan.known.digests().collect(),
        found: plan.found,
        sent: plan.sent,
        sent_more: plan.sent_more,
    };
    let kept = store.keep_erasure(order).await?;
    tracing::info!(
        erasure = kept.id,
        subject = kept.subject.as_str(),
        persons = kept.persons,
        records = kept.found.total(),
        actor,
        "the data of a person is erased, step by step"
    );
    Ok(kept)
}

/// Goes on until nothing is left to erase: for those who have the store alone.
///
/// # Errors
/// The store's.
pub async fn finish(store: &dyn Store, now: Time) -> Result<(), StoreError> {
    while store.erase_step(now).await?.more {}
    Ok(())
}

/// A page of the kept erasures, the newest first.
///
/// # Errors
/// The store's.
pub async fn list(store: &dyn Store, page: PageRequest) -> Result<Page<Erasure>, StoreError> {
    store.erasures(page).await
}
