//! What a platform says later of a request that it has accepted: how it is asked, how often, and what its answer means to
//! each event.

use serde_json::Value as Json;

use crate::domain::delivery::{PlatformResponse, Reply, ReplyVerdict};
use crate::domain::delivery_reason::RetryReason;
use crate::domain::exchange::Said;
use crate::domain::sent::Confirmation;
use crate::domain::time::{HOUR_MS, MINUTE_MS, Time};
use crate::template::destination::compile::encoded;
use crate::template::destination::reply::{ReadReply, ReplyRules, words};
use crate::template::destination::reply_rows::CountedRow;
use crate::template::destination::row_rules::{RowRules, RowScope};

/// In the URL that is asked: where the platform's name of the request is.
pub(crate) const REQUEST_ID: &str = "{{request_id}}";

/// The `[confirm]` part of a template.
#[derive(Debug)]
pub struct ConfirmRules {
    /// Where an answer that accepts a request names it, as a JSON pointer. Where it names none nothing is asked.
    pub(crate) id: String,
    /// With [`REQUEST_ID`] in it.
    pub(crate) url: String,
    /// When the platform is asked.
    pub schedule: PollSchedule,
    pub(crate) rules: ReplyRules,
    pub(crate) rows: Option<RowRules>,
}

/// When a platform is asked what became of a request that it accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PollSchedule {
    /// How long after it was accepted the first times are, in milliseconds, ascending.
    pub first_ms: Vec<i64>,
    /// How long after the one before each later time is.
    pub every_ms: i64,
    /// How long after it was accepted a platform that has said nothing is no longer asked; one that could not be asked is
    /// for seven times as long.
    pub for_ms: i64,
}

/// How many times as long a platform is asked that is asked in vain: it knows what became of the events, and says so once
/// there is a token again.
const IN_VAIN_FACTOR: i64 = 7;

/// What became of asking a platform the last time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastAsked {
    /// It answered that question, or was not asked yet.
    Answered,
    /// There was no token, no answer, or one that is not about the question.
    InVain,
}

impl LastAsked {
    /// By what became of that, where it was no verdict.
    pub fn of(said: &ReplyVerdict) -> LastAsked {
        let status = match said {
            ReplyVerdict::Retry { reason: RetryReason::PlatformUnavailable(answer), .. } => answer.status,
            ReplyVerdict::Retry { .. } | ReplyVerdict::Park { .. } => return LastAsked::InVain,
            _ => return LastAsked::Answered,
        };
        match status {
            401 | 403 | 408 | 429 | 500.. => LastAsked::InVain,
            _ => LastAsked::Answered,
        }
    }
}

impl Default for PollSchedule {
    /// After 1, 5 and 30 minutes, then hourly for a day.
    fn default() -> PollSchedule {
        let first_ms = [1, 5, 30].map(|minutes| minutes * MINUTE_MS).to_vec();
        PollSchedule { first_ms, every_ms: HOUR_MS, for_ms: 24 * HOUR_MS }
    }
}

impl PollSchedule {
    /// When it is asked next about what was accepted then, having been asked `tries` times; `None`: not any more. After a
    /// while in which no one could ask it is a minute from `now`, and never further away than it is asked later: what was
    /// accepted by a clock that ran ahead is not waited for, and not asked about without end.
    pub fn next(&self, accepted_at: Time, (tries, last): (u32, LastAsked), now: Time) -> Option<Time> {
        let tries = usize::try_from(tries).unwrap_or(usize::MAX);
        let for_ms = match last {
            LastAsked::Answered => self.for_ms,
            LastAsked::InVain => self.for_ms.saturating_mul(IN_VAIN_FACTOR),
        };
        let most = for_ms / self.every_ms.max(1);
        let most = usize::try_from(most).unwrap_or(usize::MAX).saturating_add(self.first_ms.len());
        if tries > 0 && (now.millis_since(accepted_at) >= for_ms || tries > most) {
            return None;
        }
        let after = self.first_ms.get(tries).copied().unwrap_or_else(|| {
            let later = i64::try_from(tries - self.first_ms.len().min(tries)).unwrap_or(i64::MAX);
            let last = self.first_ms.last().copied().unwrap_or_default();
            last.saturating_add(self.every_ms.saturating_mul(later.saturating_add(1)))
        });
        let planned = accepted_at.plus_millis(after);
        let farthest = now.plus_millis(self.every_ms.max(MINUTE_MS));
        Some(planned.min(farthest).max(now.plus_millis(if tries == 0 { 0 } else { MINUTE_MS })))
    }
}

/// An event that is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AskedEvent {
    /// Its place in the request, counted from 0.
    pub number: usize,
    /// Whether the platform may have been sent it before, without anyone knowing what became of that.
    pub after_unknown: bool,
}

/// What a platform said when it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfirmVerdict {
    /// Nothing yet, for this reason: it is asked again.
    Again(ReplyVerdict),
    /// It said what became of the events.
    Events(SaidOfEvents),
}

/// What a platform said of the events that it was asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaidOfEvents {
    /// Of each, in order: what became of it. A `Retry` has it sent again.
    pub verdicts: Vec<ReplyVerdict>,
    /// Whether it is certain which is which. Else the platform may have what is sent again.
    pub is_certain: bool,
}

impl ConfirmVerdict {
    /// All that it quotes from outside. A secret may be in it until it is masked.
    pub fn quoted_mut(&mut self) -> Vec<&mut String> {
        match self {
            ConfirmVerdict::Again(verdict) => verdict.quoted_mut(),
            ConfirmVerdict::Events(said) => {
                said.verdicts.iter_mut().flat_map(ReplyVerdict::quoted_mut).collect()
            }
        }
    }
}

impl ConfirmRules {
    /// What its answers mean as a whole.
    pub(crate) fn rules(&self) -> &ReplyRules {
        &self.rules
    }

    /// The platform's name of a request, as its answer has it.
    pub(crate) fn request_id(&self, answer: &PlatformResponse) -> Option<String> {
        let json: Json = serde_json::from_slice(&answer.body).ok()?;
        let found = json.pointer(&self.id)?;
        let id = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
        Some(id).filter(|id| !found.is_null() && !id.is_empty())
    }

    /// Where the platform is asked about the request of this name.
    pub(crate) fn url_of(&self, request_id: &str) -> String {
        self.url.replace(REQUEST_ID, &encoded(request_id).to_string())
    }

    /// What a reply means to the events that are asked about, of a request that carried `sent`.
    pub(crate) fn classify(
        &self,
        reply: &Reply,
        (asked, sent): (&[AskedEvent], usize),
        now: Time,
    ) -> ConfirmVerdict {
        let read = match ReadReply::of(reply, sent) {
            Ok(read) => read,
            Err(verdict) => return ConfirmVerdict::Again(verdict),
        };
        if !self.rules.any_fits(&read) {
            return ConfirmVerdict::Again(self.rules.unavailable(&read));
        }
        let whole = self.rules.of_answer(&read, now).verdict;
        if !matches!(whole, ReplyVerdict::Delivered { .. } | ReplyVerdict::Dead { .. }) {
            return ConfirmVerdict::Again(whole);
        }
        let verdicts = asked.iter().map(|event| self.of_event(&read, &whole, *event)).collect();
        let rows = self.rows.as_ref().zip(read.json.as_ref());
        let is_taken = matches!(whole, ReplyVerdict::Delivered { .. });
        let is_certain =
            rows.is_none_or(|(rows, json)| !is_taken || is_certain(&rows.place.counted_rows(json), sent));
        ConfirmVerdict::Events(SaidOfEvents { verdicts, is_certain })
    }

    /// What is said of one event.
    fn of_event(&self, read: &ReadReply<'_>, whole: &ReplyVerdict, event: AskedEvent) -> ReplyVerdict {
        let Some((rows, json)) = self.rows.as_ref().zip(read.json.as_ref()) else { return whole.clone() };
        let counted = rows.place.counted_rows(json);
        let (status, sent) = (read.answer.status, read.sent);
        let scope = RowScope { status, sent, after_unknown: event.after_unknown };
        let said = |row: &CountedRow<'_>| rows.said(row.content, scope).verdict;
        if names_each(&counted, sent) {
            // An event may have a row for each thing that is wrong with it.
            let own = counted.iter().filter(|row| row.events.contains(&Some(event.number)));
            return of_all(own.map(said).collect()).unwrap_or_else(|| match whole {
                ReplyVerdict::Delivered { warnings, .. } if !is_certain(&counted, sent) => {
                    ReplyVerdict::Delivered {
                        warnings: warnings.clone(),
                        confirmation: Confirmation::Counted,
                    }
                }
                whole => whole.clone(),
            });
        }
        let taken = matches!(whole, ReplyVerdict::Delivered { .. });
        if sent == 1 || !taken {
            // All were refused, or there is one: which of them is which makes no difference but for what is said.
            return of_all(counted.iter().map(said).collect()).unwrap_or_else(|| whole.clone());
        }
        let warnings = counted.iter().map(|row| {
            let words = match words(&rows.reasons, Some(row.content), &row.content.to_string()) {
                Said::Words(words) => words,
                Said::EmptyBody | Said::Withheld => String::new(),
            };
            let count = row.count.map_or_else(|| "some".to_owned(), |count| count.to_string());
            format!("{count} of the {sent} events of its request: {words}")
        });
        ReplyVerdict::Delivered { warnings: warnings.collect(), confirmation: Confirmation::Counted }
    }
}

/// Whether it is certain which events rows name that name each. From what number on a platform counts, none documents: only
/// a row that names 0 proves it.
fn is_certain(rows: &[CountedRow<'_>], sent: usize) -> bool {
    sent == 1 || rows.is_empty() || rows.iter().any(|row| row.events.contains(&Some(0)))
}

/// Whether every row names the events that it is about, each once, and none that was not sent.
fn names_each(rows: &[CountedRow<'_>], sent: usize) -> bool {
    rows.iter().all(|row| {
        let mut named = vec![false; sent];
        row.count.is_none_or(|count| count == row.events.len())
            && !row.events.is_empty()
            && row.events.iter().all(|event| {
                let place = event.and_then(|event| named.get_mut(event));
                place.is_some_and(|is_named| !std::mem::replace(is_named, true))
            })
    })
}

/// What is said of events of which no one knows which row is whose: that they were taken only where each row says so, and
/// that they are sent again where any does.
fn of_all(rows: Vec<ReplyVerdict>) -> Option<ReplyVerdict> {
    let is = |verdict: &&ReplyVerdict, word: &str| verdict.as_str() == word;
    let worst = ["retry", "dead"].into_iter().find_map(|word| rows.iter().find(|verdict| is(verdict, word)));
    worst.or(rows.first()).cloned()
}
