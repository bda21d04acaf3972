//! A request that carries several events: how many it may, and what its answer says of each of them.

use serde_json::Value as Json;

use crate::domain::click::Pairs;
use crate::domain::delivery::{Reply, ReplyVerdict};
use crate::domain::delivery_reason::{DeathReason, RetryReason};
use crate::domain::exchange::{PlatformAnswer, Said};
use crate::domain::sent::Confirmation;
use crate::domain::time::Time;
use crate::template::destination::reply::{
    ClassifiedReply, ReadReply, ReasonPart, ReplyOutcome, ReplyRules, Rule, shown, warnings, whole_number,
    words,
};
use crate::template::destination::reply_rows::{Row, RowPlace};

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
    pub rows: Option<RowPlace>,
    /// What is said of an event that is named: the first rule that fits its row. None: it is dead.
    pub row_rules: Vec<Rule>,
    /// Where a row says why.
    pub row_reasons: Vec<ReasonPart>,
    /// Where the answer counts the events that were accepted.
    pub accepted: Option<String>,
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
            row_rules: Vec::new(),
            row_reasons: Vec::new(),
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

/// What an answer means to one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventVerdict {
    /// What becomes of it.
    pub verdict: ReplyVerdict,
    /// What the template keeps of the answer, by name.
    pub kept: Pairs,
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

    /// What is said of each, and of `others` where nothing is.
    fn each(named: Vec<Option<EventVerdict>>, request: ReplyVerdict, others: &EventVerdict) -> BatchVerdict {
        let events = named.into_iter().map(|event| event.or_else(|| Some(others.clone()))).collect();
        BatchVerdict { events, request, may_be_taken: false }
    }
}

impl EventVerdict {
    /// Whether the platform took the event.
    fn is_taken(&self) -> bool {
        matches!(self.verdict, ReplyVerdict::Delivered { .. })
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
        match &whole.verdict {
            ReplyVerdict::Delivered { .. } => self.accepted(&read, whole),
            ReplyVerdict::Dead { reason: DeathReason::PlatformRejected(answer) } => {
                let status = answer.status;
                self.refused(&read, whole, status)
            }
            _ => BatchVerdict::same(sent, whole),
        }
    }

    /// Of an answer that takes the request.
    fn accepted(&self, read: &ReadReply<'_>, whole: ClassifiedReply) -> BatchVerdict {
        match self.verdict {
            VerdictBy::All => BatchVerdict::same(read.sent, whole),
            VerdictBy::Count => {
                let ClassifiedReply { mut verdict, kept } = whole;
                if let ReplyVerdict::Delivered {
                    confirmation: confirmation @ Confirmation::Confirmed, ..
                } = &mut verdict
                {
                    *confirmation = Confirmation::Counted;
                }
                BatchVerdict::same(read.sent, ClassifiedReply { verdict, kept })
            }
            VerdictBy::Each => {
                let named = self.named(read);
                let counted = self.counted(read);
                // Of a single event the rule that fits says it too.
                let is_alone = read.sent == 1 && counted.is_none() && named.is_some();
                if !is_alone && !self.adds_up(&named, counted) {
                    return self.uncertain(read, whole, counted);
                }
                let others = EventVerdict { verdict: whole.verdict.clone(), kept: whole.kept };
                BatchVerdict::each(named.unwrap_or_default(), whole.verdict, &others)
            }
        }
    }

    /// Of an answer that refuses the request.
    fn refused(&self, read: &ReadReply<'_>, whole: ClassifiedReply, status: u16) -> BatchVerdict {
        let named = self.named(read).filter(|_| status != TOO_LARGE);
        let counted = self.counted(read).filter(|_| status != TOO_LARGE);
        let says_of_all = named.as_ref().is_some_and(|named| named.iter().all(Option::is_some));
        if self.verdict == VerdictBy::Each && (says_of_all || counted.is_some_and(|counted| counted > 0)) {
            if !self.adds_up(&named, counted) {
                return self.uncertain(read, whole, counted);
            }
            let others = EventVerdict { verdict: ReplyVerdict::delivered(), kept: Pairs::new() };
            return BatchVerdict::each(named.unwrap_or_default(), whole.verdict, &others);
        }
        if read.sent <= 1 {
            let own = named.and_then(|mut named| named.pop()).flatten().filter(|own| !own.is_taken());
            let whole_verdict = whole.verdict.clone();
            let own = own.unwrap_or(EventVerdict { verdict: whole.verdict, kept: whole.kept });
            return BatchVerdict { events: vec![Some(own)], request: whole_verdict, may_be_taken: false };
        }
        // Nothing of it was taken: those that are not named as refused are sent again without those that are.
        let refused = |event: Option<EventVerdict>| event.filter(|event| !event.is_taken());
        let events = named.unwrap_or_else(|| vec![None; read.sent]).into_iter().map(refused).collect();
        BatchVerdict { events, request: whole.verdict, may_be_taken: false }
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
            Some(counted) => format!("the answer counts {counted} accepted of 1"),
            None => "the answer names an event that was not sent".to_owned(),
        };
        let said = words(&self.row_reasons, read.json.as_ref(), &String::from_utf8_lossy(&read.answer.body));
        let answer = PlatformAnswer { status: read.answer.status, why: Some(why), said };
        let verdict = ReplyVerdict::Dead { reason: DeathReason::PlatformRejected(answer) };
        BatchVerdict::of_all(1, verdict)
    }

    /// Whether what was sent is what is named as not taken, and what is counted as taken.
    fn adds_up(&self, named: &Option<Vec<Option<EventVerdict>>>, counted: Option<usize>) -> bool {
        let Some(named) = named else { return false };
        let taken = named.iter().filter(|event| event.as_ref().is_none_or(EventVerdict::is_taken)).count();
        match counted {
            Some(counted) => counted == taken,
            None => self.complete || named.iter().all(Option::is_some),
        }
    }

    fn counted(&self, read: &ReadReply<'_>) -> Option<usize> {
        let found = read.json.as_ref()?.pointer(self.accepted.as_ref()?)?;
        usize::try_from(whole_number(found)?).ok()
    }

    /// What the rows of an answer say of each event; `None` where a row names none that was sent.
    fn named(&self, read: &ReadReply<'_>) -> Option<Vec<Option<EventVerdict>>> {
        let mut events = vec![None; read.sent];
        let (Some(place), Some(json)) = (&self.rows, &read.json) else { return Some(events) };
        for row in place.rows(json, read.sent) {
            let event = events.get_mut(row.event?)?;
            let said = self.of_row(&row, read);
            // An event may have a row for each thing that is wrong with it: the first that refuses it counts.
            let is_worse = |earlier: &EventVerdict| earlier.is_taken() && !said.is_taken();
            if event.as_ref().is_none_or(is_worse) {
                *event = Some(said);
            }
        }
        Some(events)
    }

    fn of_row(&self, row: &Row<'_>, read: &ReadReply<'_>) -> EventVerdict {
        let rule = self.row_rules.iter().find(|rule| rule.fits_json(Some(row.content), read.sent));
        let answer = || PlatformAnswer {
            status: read.answer.status,
            why: rule.and_then(|rule| rule.why.clone()),
            said: self.row_says(row.content),
        };
        let delivered = |confirmation| {
            let at = rule.and_then(|rule| rule.warnings.as_deref());
            ReplyVerdict::Delivered { warnings: warnings(Some(row.content), at), confirmation }
        };
        let verdict = match rule.map_or(ReplyOutcome::Dead, |rule| rule.then) {
            ReplyOutcome::Delivered => delivered(Confirmation::Confirmed),
            ReplyOutcome::Duplicate => delivered(Confirmation::Duplicate),
            ReplyOutcome::Retry => {
                let reason = RetryReason::PlatformUnavailable(answer());
                ReplyVerdict::Retry { reason, after_ms: rule.and_then(|rule| rule.after_ms), hold_ms: None }
            }
            ReplyOutcome::Dead | ReplyOutcome::Park => {
                ReplyVerdict::Dead { reason: DeathReason::PlatformRejected(answer()) }
            }
        };
        let kept = rule.map(|rule| rule.kept(Some(row.content))).unwrap_or_default();
        EventVerdict { verdict, kept }
    }

    fn row_says(&self, row: &Json) -> Said {
        words(&self.row_reasons, Some(row), &shown(row))
    }
}
