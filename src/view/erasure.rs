//! Erasures as API, pages and command line show them. The value that was asked for is in none of them.

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::erasure::report::{ErasedCounts, Erasure, JournalErasure, SentTo};
use crate::domain::erasure::subject::SubjectKind;
use crate::domain::time::Time;
use crate::view::schema::TimeText;

/// An erasure, or what one would do.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Erasure")]
pub struct ErasureView<'a> {
    /// Its number, as a text; null of what was only looked at.
    pub id: Option<String>,
    /// `preview`: nothing was changed. `working`: it is kept, and done step by step, also after a restart. `done`.
    /// `incomplete`: all was looked at, and some records cannot be read.
    pub state: &'static str,
    /// What was received later is not erased.
    #[schemars(with = "TimeText")]
    pub at: Time,
    /// When the last record was looked at.
    #[schemars(with = "Option<TimeText>")]
    pub done_at: Option<Time>,
    /// The name of the token by which it was asked for; null of what was only looked at.
    pub actor: Option<&'a str>,
    /// What the value was: `email`, `phone`, `click_id` or `transaction_id`. The value itself is not kept.
    pub subject: &'static str,
    /// Of how many persons the records are, as far as can be known. More than one needs `"confirm": true`.
    pub persons: u64,
    /// How many records have data of the person, as they were found.
    pub found: ErasedCountsView,
    /// How many were changed so far.
    pub erased: ErasedCountsView,
    /// How many records cannot be read: what they have of the person is left.
    pub unreadable: u64,
    /// Who was sent the data: they have to be asked to erase them too.
    pub sent: Vec<SentToView<'a>>,
    /// How many more receivers there are than are named.
    pub sent_more: u64,
    /// What is known of other copies of the data.
    pub journal: JournalErasureView<'a>,
}

/// How many records, by their kinds.
#[derive(Serialize, JsonSchema, Clone, Copy)]
#[schemars(rename = "ErasedCounts")]
pub struct ErasedCountsView {
    pub clicks: u64,
    pub conversions: u64,
    /// Of the raw log: their bytes are taken out.
    pub postbacks: u64,
    pub attempts: u64,
    pub exchanges: u64,
    /// Records of other persons in which a text names this one: only that is taken out.
    pub others: u64,
}

/// A receiver of the data.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SentTo")]
pub struct SentToView<'a> {
    pub destination: &'a str,
    pub conversion_id: String,
    /// `first`, or the number of the change that caused it.
    pub occasion: String,
    /// The event as the receiver calls it.
    pub event: &'a str,
    #[schemars(with = "TimeText")]
    pub at: Time,
    /// `delivered`, or `sent`: it is not known that it took it.
    pub outcome: &'static str,
    /// What of the person was in the request, in plain or hashed: `email`, `phone`, `ip`, `user_agent`, and identifiers
    /// of the click by their names. Others may have been too.
    pub fields: &'a [String],
}

/// What is known of the journal and of backups.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "JournalErasure")]
pub struct JournalErasureView<'a> {
    /// When the last part of the journal that held the data was rewritten; null: not rewritten yet.
    #[schemars(with = "Option<TimeText>")]
    pub rewritten_at: Option<Time>,
    /// When the index was made anew after that: until then its free space may have bytes of the data. Null: not yet.
    #[schemars(with = "Option<TimeText>")]
    pub index_renewed_at: Option<Time>,
    /// The backups that are known and still hold the data. Empty does not mean that there are none.
    pub backups: &'a [String],
    /// Known backups that could not be given the erasure: see that the file `erasures` of the data folder is next to them.
    pub unreached: &'a [String],
    /// Files and folders in the data folder that were set aside and may hold the data.
    pub files: &'a [String],
}

/// The latest looking for what would be erased, since the relay was started.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ErasureWorks")]
pub struct ErasureWorksView<'a> {
    pub work: Option<ErasureWorkView<'a>>,
}

/// Looking for what would be erased, and erasing it where that was asked for.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ErasureWork")]
pub struct ErasureWorkView<'a> {
    /// Its number since the relay was started, as a text.
    pub id: String,
    /// `looking`. `found`: `erasure` says what would be erased. `kept`: it is erased, and `erasure` has its number.
    /// `refused`, or `failed`: `reason` says why.
    pub state: &'static str,
    /// What the value is: `email`, `phone`, `click_id` or `transaction_id`.
    pub subject: &'static str,
    /// The name of the token by which it was asked for.
    pub actor: &'a str,
    #[schemars(with = "TimeText")]
    pub began: Time,
    #[schemars(with = "Option<TimeText>")]
    pub ended: Option<Time>,
    pub erasure: Option<ErasureView<'a>>,
    /// Why it was refused, by its code.
    pub reason_code: Option<&'static str>,
    pub reason: Option<String>,
    /// What to do.
    pub hint: Option<String>,
}

impl ErasedCountsView {
    pub fn of(counts: &ErasedCounts) -> ErasedCountsView {
        let ErasedCounts { clicks, conversions, postbacks, attempts, exchanges, others } = *counts;
        ErasedCountsView { clicks, conversions, postbacks, attempts, exchanges, others }
    }
}

impl<'a> SentToView<'a> {
    pub fn of(sent: &'a SentTo) -> SentToView<'a> {
        SentToView {
            destination: sent.destination.as_str(),
            conversion_id: sent.conversion.to_string(),
            occasion: sent.occasion.to_string(),
            event: &sent.event,
            at: sent.at,
            outcome: sent.outcome.as_str(),
            fields: &sent.fields,
        }
    }
}

impl<'a> JournalErasureView<'a> {
    fn of(journal: &'a JournalErasure) -> JournalErasureView<'a> {
        JournalErasureView {
            rewritten_at: journal.rewritten_at,
            index_renewed_at: journal.index_renewed_at,
            backups: &journal.backups,
            unreached: &journal.unreached,
            files: &journal.files,
        }
    }
}

/// What would be erased.
pub struct LookedAt<'a> {
    pub subject: SubjectKind,
    pub at: Time,
    pub persons: u64,
    pub found: &'a ErasedCounts,
    pub sent: &'a [SentTo],
    pub sent_more: u64,
    pub unreadable: u64,
}

impl<'a> ErasureView<'a> {
    pub fn of(erasure: &'a Erasure) -> ErasureView<'a> {
        ErasureView {
            id: Some(erasure.id.to_string()),
            state: erasure.state.as_str(),
            at: erasure.at,
            done_at: erasure.state.ended(),
            actor: Some(&erasure.actor),
            subject: erasure.subject.as_str(),
            persons: erasure.persons,
            found: ErasedCountsView::of(&erasure.found),
            erased: ErasedCountsView::of(&erasure.erased),
            unreadable: erasure.unreadable,
            sent: erasure.sent.iter().map(SentToView::of).collect(),
            sent_more: erasure.sent_more,
            journal: JournalErasureView::of(&erasure.journal),
        }
    }

    pub fn preview(looked_at: &LookedAt<'a>) -> ErasureView<'a> {
        ErasureView {
            id: None,
            state: "preview",
            at: looked_at.at,
            done_at: None,
            actor: None,
            subject: looked_at.subject.as_str(),
            persons: looked_at.persons,
            found: ErasedCountsView::of(looked_at.found),
            erased: ErasedCountsView::of(&ErasedCounts::default()),
            unreadable: looked_at.unreadable,
            sent: looked_at.sent.iter().map(SentToView::of).collect(),
            sent_more: looked_at.sent_more,
            journal: JournalErasureView {
                rewritten_at: None,
                index_renewed_at: None,
                backups: &[],
                unreached: &[],
                files: &[],
            },
        }
    }
}
