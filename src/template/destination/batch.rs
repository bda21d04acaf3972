//! A request that carries several events: how many it may, and what its answer says of each of them.

use crate::domain::click::Pairs;
use crate::domain::delivery::{Reply, ReplyVerdict};
use crate::domain::delivery_reason::DeathReason;
use crate::domain::exchange::PlatformAnswer;
use crate::domain::sent::Confirmation;
use crate::domain::time::Time;
use crate::template::destination::reply::{ClassifiedReply, ReadReply, ReplyRules, words};
use crate::template::destination::reply_rows::CountPlace;
use crate::template::destination::row_rules::{EventVerdict, RowRules, RowScope};

/// The platform says that the request, not one of its events, is too large.
const TOO_LARGE: u16 = 413;

/// How many events a request may carry, and how its answer says which of them it is about.
#[derive(Debug)]
pub(crate) struct BatchRules {
    /// What the platform takes; at least 1.
    pub max: usize,
    /// What is sent unless the account says otherwise; at least 1.
    pub usual: usize,
    /// How long an event waits for others unless the account says otherwise.
    pub max_wait_ms: u64,
    pub verdict: VerdictBy,
    /// Where the answer names events.
    pub rows: Option<RowRules>,
    /// Where the answer counts the events that were accepted.
    pub accepted: Option<CountPlace>,
    /// Whether every event that was not accepted is named, so that nothing has to be counted.
    pub complete: bool,
}

/// How many events a request to one account carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchSize {
    /// At least 1, and no more than the platform takes.
    pub max_events: usize,
    /// How long an event waits for others, in milliseconds.
    pub max_wait_ms: u64,
}

impl Default for BatchSize {
    fn default() -> BatchSize {
        BatchSize { max_events: 1, max_wait_ms: 0 }
    }
}

/// What a rate counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RateUnit {
    /// Requests, however many events they carry.
    #[default]
    Requests,
    /// The events in them.
    Events,
}

impl RateUnit {
    pub(crate) const NAMES: [(&'static str, RateUnit); 2] =
        [("requests", RateUnit::Requests), ("events", RateUnit::Events)];
}

/// What an answer says of the events of its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum VerdictBy {
    /// It says of each what became of it.
    Each,
    /// It takes all or none.
    #[default]
    All,
    /// It only counts.
    Count,
}

impl VerdictBy {
    pub(crate) const NAMES: [(&'static str, VerdictBy); 3] =
        [("each", VerdictBy::Each), ("all", VerdictBy::All), ("count", VerdictBy::Count)];
}

impl Default for BatchRules {
    fn default() -> BatchRules {
        BatchRules {
            max: 1,
            usual: 1,
            max_wait_ms: 0,
            verdict: VerdictBy::All,
            rows: None,
            accepted: None,
            complete: false,
        }
    }
}

/// What an answer means to the events of its request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchVerdict {
    /// To each, in the order of the request. `None`: the answer does not say; it is sent again with fewer others.
    pub events: Vec<Option<EventVerdict>>,
    /// To the request as a whole.
    pub request: ReplyVerdict,
    /// Whether the platform may have taken those of which the answer does not say.
    pub may_be_taken: bool,
}

impl BatchVerdict {
    /// All that it quotes from outside. A secret may be in it until it is masked.
    pub fn quoted_mut(&mut self) -> Vec<&mut String> {
        let mut quoted = self.request.quoted_mut();
        for event in self.events.iter_mut().flatten() {
            quoted.extend(event.verdict.quoted_mut());
            quoted.extend(event.kept.iter_mut().map(|(_, value)| value));
        }
        quoted
    }
}

impl BatchVerdict {
    /// The same for each of `events`.
    fn same(events: usize, whole: ClassifiedReply) -> BatchVerdict {
        let ClassifiedReply { verdict, kept } = whole;
        let each = EventVerdict { verdict: verdict.clone(), kept };
        BatchVerdict { events: vec![Some(each); events], request: verdict, may_be_taken: false }
    }

    /// One verdict for all.
    pub(crate) fn of_all(events: usize, verdict: ReplyVerdict) -> BatchVerdict {
        BatchVerdict::same(events, ClassifiedReply { verdict, kept: Pairs::new() })
    }
}

/// Why the rows of an answer say nothing.
enum RowsFault {
    /// The answer is no JSON, or was cut off.
    NoJson,
    /// A row is about an event that was not sent, or there is not one for each where there has to be.
    Misnumbered,
}

/// What the rows of an answer say.
struct NamedEvents {
    /// Of each event; `None`: nothing.
    events: Vec<Option<EventVerdict>>,
    /// Whether each that was not taken is among them: there is a row for every event, or the platform says so.
    are_all: bool,
}

impl NamedEvents {
    /// Whether what was sent is what is named as not taken, and what is counted as taken.
    fn add_up(&self, counted: Option<usize>) -> bool {
        let is_taken = |event: &&Option<EventVerdict>| event.as_ref().is_none_or(EventVerdict::is_taken);
        match counted {
            Some(counted) => counted == self.events.iter().filter(is_taken).count(),
            None => self.are_all || self.events.iter().all(Option::is_some),
        }
    }

    /// What is said of each, and of `others` where nothing is.
    fn with(self, request: ReplyVerdict, others: &EventVerdict) -> BatchVerdict {
        let events = self.events.into_iter().map(|event| event.or_else(|| Some(others.clone()))).collect();
        BatchVerdict { events, request, may_be_taken: false }
    }
}

impl BatchRules {
    /// What the reply to a request with this many events means to each of them. Of a single event it always says
    /// something.
    pub(crate) fn classify(&self, rules: &ReplyRules, reply: &Reply, sent: usize, now: Time) -> BatchVerdict {
        let read = match ReadReply::of(reply, sent) {
            Ok(read) => read,
            Err(verdict) => return BatchVerdict::of_all(sent, verdict),
        };
        let whole = rules.of_answer(&read, now);
        let status = read.answer.status;
        if status == TOO_LARGE && sent > 1 {
            return BatchVerdict { events: vec![None; sent], request: whole.verdict, may_be_taken: false };
        }
        match &whole.verdict {
            ReplyVerdict::Delivered { .. } => self.accepted(&read, whole),
            // A part was taken, whatever the template makes of that.
            ReplyVerdict::Retry { .. } if matches!(status, 200..=299) && self.counts_a_part(&read) => {
                let counted = self.counted(&read);
                self.uncertain(&read, whole, counted)
            }
            // What refuses the account or asks for a wait is about all of them, whatever the template makes of it.
            ReplyVerdict::Dead { reason: DeathReason::PlatformRejected(_) }
                if matches!(status, 200..=299 | 400..=499) && !matches!(status, 401 | 403 | 429) =>
            {
                self.refused(&read, whole)
            }
            _ => BatchVerdict::same(sent, whole),
        }
    }

    /// Of an answer that takes the request.
    fn accepted(&self, read: &ReadReply<'_>, whole: ClassifiedReply) -> BatchVerdict {
        match self.verdict {
            VerdictBy::All => match self.counted(read) {
                Some(counted) if counted < read.sent => self.uncertain(read, whole, Some(counted)),
                // Of several it should count: what does not is not believed of all of them.
                None if self.accepted.is_some() && read.sent > 1 => self.uncertain(read, whole, None),
                _ => BatchVerdict::same(read.sent, whole),
            },
            VerdictBy::Count => BatchVerdict::same(read.sent, whole.sure_as(Confirmation::Counted)),
            VerdictBy::Each => {
                let (named, counted) = (self.named(read), self.counted(read));
                match named {
                    Ok(named) if named.add_up(counted) => {
                        let others = EventVerdict { verdict: whole.verdict.clone(), kept: whole.kept };
                        named.with(whole.verdict, &others)
                    }
                    // Of a single event the rule says that it was taken, and nothing else does.
                    Ok(_) | Err(RowsFault::NoJson) if read.sent == 1 && counted.is_none() => {
                        BatchVerdict::same(1, whole.sure_as(Confirmation::Unverified))
                    }
                    _ => self.uncertain(read, whole, counted),
                }
            }
        }
    }

    /// Of an answer that refuses the request.
    fn refused(&self, read: &ReadReply<'_>, whole: ClassifiedReply) -> BatchVerdict {
        let (named, counted) = (self.named(read), self.counted(read));
        let says_of_all = named.as_ref().is_ok_and(|named| named.events.iter().all(Option::is_some));
        let by_each = self.verdict == VerdictBy::Each;
        if by_each && (says_of_all || counted.is_some_and(|counted| counted > 0)) {
            return match named {
                Ok(named) if named.add_up(counted) => {
                    let others = EventVerdict { verdict: ReplyVerdict::delivered(), kept: Pairs::new() };
                    named.with(whole.verdict, &others)
                }
                _ => self.uncertain(read, whole, counted),
            };
        }
        // Those that are not named as refused are sent again without those that are.
        let refused = |event: Option<EventVerdict>| event.filter(|event| !event.is_taken());
        let named = named.map_or_else(|_| vec![None; read.sent], |named| named.events);
        let mut events: Vec<_> = named.into_iter().map(refused).collect();
        let names_some = events.iter().any(Option::is_some);
        let may_be_taken = match counted {
            Some(0) => false,
            Some(_) => matches!(read.answer.status, 200..=299),
            None => matches!(read.answer.status, 200..=299) || (by_each && names_some),
        };
        let request = whole.verdict.clone();
        if let [only @ None] = &mut events[..] {
            *only = Some(EventVerdict { verdict: whole.verdict, kept: whole.kept });
        }
        let may_be_taken = may_be_taken && events.iter().any(Option::is_none);
        BatchVerdict { events, request, may_be_taken }
    }

    /// Where what the answer counts and what it names do not add up.
    fn uncertain(
        &self,
        read: &ReadReply<'_>,
        whole: ClassifiedReply,
        counted: Option<usize>,
    ) -> BatchVerdict {
        if read.sent > 1 {
            let may_be_taken = counted != Some(0);
            return BatchVerdict { events: vec![None; read.sent], request: whole.verdict, may_be_taken };
        }
        let why = match counted {
            Some(1) => "the answer counts the event as accepted, and its rows do not say so".to_owned(),
            Some(counted) => format!("the answer counts {counted} accepted of 1"),
            None => "the answer names an event that was not sent".to_owned(),
        };
        let reasons = self.rows.as_ref().map(|rows| rows.reasons.as_slice()).unwrap_or_default();
        let said = words(reasons, read.json.as_ref(), &String::from_utf8_lossy(&read.answer.body));
        let answer = PlatformAnswer { status: read.answer.status, why: Some(why), said };
        let verdict = ReplyVerdict::Dead { reason: DeathReason::PlatformRejected(answer) };
        BatchVerdict::of_all(1, verdict)
    }

    fn counts_a_part(&self, read: &ReadReply<'_>) -> bool {
        self.counted(read).is_some_and(|counted| (1..read.sent).contains(&counted))
    }

    fn counted(&self, read: &ReadReply<'_>) -> Option<usize> {
        self.accepted.as_ref()?.count(read.json.as_ref()?)
    }

    /// What the rows of an answer say of each event.
    fn named(&self, read: &ReadReply<'_>) -> Result<NamedEvents, RowsFault> {
        let mut events = vec![None; read.sent];
        let Some(rows) = &self.rows else { return Ok(NamedEvents { events, are_all: false }) };
        let json = read.json.as_ref().ok_or(RowsFault::NoJson)?;
        let found = rows.place.rows(json, read.sent).ok_or(RowsFault::Misnumbered)?;
        let scope = RowScope { status: read.answer.status, sent: read.sent, after_unknown: false };
        for row in found.rows {
            let event = row.event.and_then(|number| events.get_mut(number)).ok_or(RowsFault::Misnumbered)?;
            let said = rows.said(row.content, scope);
            // An event may have a row for each thing that is wrong with it: the first that refuses it counts.
            let is_worse = |earlier: &EventVerdict| earlier.is_taken() && !said.is_taken();
            if event.as_ref().is_none_or(is_worse) {
                *event = Some(said);
            }
        }
        let are_all = found.one_for_each || (self.complete && !found.is_nameless);
        Ok(NamedEvents { events, are_all })
    }
}
