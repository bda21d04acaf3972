//! A conversion, and the one decision about every postback: new, changed, repeated or wrong.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::attribution::{self, Attribution, Reading};
use crate::domain::click::{Pairs, Traits};
use crate::domain::ids::{ClickId, ConversionId, Seq, SourceId};
use crate::domain::money::Money;
use crate::domain::postback::Fault;
use crate::domain::time::Time;

/// The name of an event: one of the industry's, or a custom one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EventName(String);

impl EventName {
    pub const STANDARD: [&'static str; 8] = [
        "Purchase",
        "Lead",
        "CompleteRegistration",
        "AddToCart",
        "InitiateCheckout",
        "Subscribe",
        "ViewContent",
        "OutboundClick",
    ];

    /// 1–64 characters without control characters. A standard name is known whatever its case,
    /// `_`, `-` and spaces; any other text is a custom event, kept as told.
    pub fn parse(text: &str) -> Option<EventName> {
        let text = text.trim();
        let sane = !text.is_empty() && text.chars().count() <= 64 && !text.chars().any(char::is_control);
        let same = |known: &&&str| {
            let plain = |c: &char| !matches!(c, '_' | '-' | ' ');
            text.chars()
                .filter(plain)
                .map(|c| c.to_ascii_lowercase())
                .eq(known.chars().map(|c| c.to_ascii_lowercase()))
        };
        let known = EventName::STANDARD.iter().find(same);
        sane.then(|| EventName(known.map_or_else(|| text.to_owned(), |name| (*name).to_owned())))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a conversion stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Status {
    Approved,
    Pending,
    Rejected,
    Scrubbed,
}

impl Status {
    pub const ALL: [Status; 4] = [Status::Approved, Status::Pending, Status::Rejected, Status::Scrubbed];

    pub fn word(self) -> &'static str {
        match self {
            Status::Approved => "approved",
            Status::Pending => "pending",
            Status::Rejected => "rejected",
            Status::Scrubbed => "scrubbed",
        }
    }

    pub fn parse(word: &str) -> Option<Status> {
        Status::ALL.into_iter().find(|status| status.word() == word)
    }
}

/// How a source tells two sales from one told twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Dedup {
    /// The transaction id; where it is absent, click id and event.
    #[default]
    Transaction,
    /// The click id; where it is absent, the transaction id.
    Click,
    /// Every postback is its own conversion.
    Each,
}

/// The event a postback reports: named by the network, or to be told from the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventClaim {
    Named(EventName),
    /// No name came: a value above 0 is `positive`, 0 is `zero`, below 0 takes an earlier one back.
    ByValue {
        positive: EventName,
        zero: EventName,
    },
}

/// What a source template made of a postback's parameters. Empty and unexpanded values are absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    pub source: SourceId,
    pub event: EventClaim,
    pub status: Status,
    pub transaction_id: Option<String>,
    /// As it came, decoded once: [`attribution::candidates`] reads it.
    pub click_id: Option<String>,
    pub item_id: Option<String>,
    /// What the ad platform is told the event is worth. Always there for [`EventClaim::ByValue`].
    pub value: Option<Money>,
    /// Of a value below 0, how it came, for a person who must mend it: ``` `price` came as `-5` ```.
    pub negative_came: Option<String>,
    pub payout: Option<Money>,
    pub revenue: Option<Money>,
    pub sale_amount: Option<Money>,
    /// When it happened, where the network says so.
    pub event_time: Option<Time>,
    pub traits: Traits,
    /// Every other mapped parameter: `affid`, `s1`…
    pub params: Pairs,
    /// What was left out and why.
    pub note: Option<String>,
}

/// A sale or other event, once, in its current state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversion {
    pub id: ConversionId,
    /// The postback that made it.
    pub seq: Seq,
    pub source: SourceId,
    pub event: EventName,
    pub status: Status,
    pub transaction_id: Option<String>,
    pub attribution: Attribution,
    pub item_id: Option<String>,
    pub value: Option<Money>,
    pub payout: Option<Money>,
    pub revenue: Option<Money>,
    pub sale_amount: Option<Money>,
    /// When it happened, as told; else when it arrived. Never after `received_at`.
    pub event_time: Time,
    pub received_at: Time,
    pub traits: Traits,
    pub params: Pairs,
    pub history: Vec<Change>,
}

/// One change to a conversion. Its number (1 and up) is the occasion of the deliveries it causes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    pub number: u32,
    pub at: Time,
    pub cause: Cause,
    /// `status: pending → approved` and the like, one entry a field.
    pub what: Vec<String>,
}

/// What brought a change about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// A later postback with the same identity.
    Postback(Seq),
    /// The click it waited for arrived.
    Click(ClickId),
}

/// What a postback is to what is already known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    New {
        conversion: Conversion,
        note: Option<String>,
    },
    /// The conversion after the change; the change is its history's last.
    Update {
        conversion: Conversion,
        note: Option<String>,
    },
    Duplicate {
        conversion: Conversion,
        note: Option<String>,
    },
    Quarantine(Fault),
}

/// When and as what a postback arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrived {
    pub seq: Seq,
    pub at: Time,
    /// When it is decided: later than `at` where a postback is mapped again.
    pub now: Time,
}

/// Decides what `draft` is. `known` finds a stored conversion; `click` finds the click that one of
/// the candidates names. Errors are only those of the two look-ups.
pub fn decide<E>(
    draft: &Draft,
    dedup: Dedup,
    arrived: Arrived,
    mut known: impl FnMut(&ConversionId) -> Result<Option<Conversion>, E>,
    mut click: impl FnMut(&str) -> Result<Option<(ClickId, Reading)>, E>,
) -> Result<Decision, E> {
    let identity = identity(draft, dedup, arrived.seq);
    let note = join(draft.note.clone(), identity.note);
    for event in identity_events(draft) {
        let id = ConversionId::derive(&draft.source, event.as_str(), &identity.text);
        if let Some(earlier) = known(&id)? {
            let again = Again { draft, arrived, note, amounts: identity.amounts };
            return repeat(earlier, again, &mut click);
        }
    }
    let event = match &draft.event {
        EventClaim::Named(name) => name.clone(),
        EventClaim::ByValue { positive, zero } => match draft.value {
            Some(value) if value.amount.is_sign_negative() && !value.amount.is_zero() => {
                return Ok(Decision::Quarantine(unknown_reversal(draft, value)));
            }
            Some(value) if !value.amount.is_zero() => positive.clone(),
            _ => zero.clone(),
        },
    };
    let attribution = attribute(draft.click_id.as_deref(), &mut click)?;
    let id = ConversionId::derive(&draft.source, event.as_str(), &identity.text);
    Ok(Decision::New { conversion: fresh(draft, id, event, attribution, arrived), note })
}

struct Identity {
    text: String,
    note: Option<String>,
    amounts: Amounts,
}

/// What another amount under the same identity means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Amounts {
    /// The same sale, worth something else now.
    Change,
    /// Perhaps another sale of the same visitor; only the click id tells them apart, and it cannot:
    /// the first wins.
    FirstWins,
}

/// The dedup key, prefixed by its kind so that a transaction id never meets a click id.
fn identity(draft: &Draft, dedup: Dedup, seq: Seq) -> Identity {
    let transaction = draft.transaction_id.as_ref().map(|id| format!("transaction:{id}"));
    let click = draft.click_id.as_ref().map(|id| format!("click:{}", id.trim()));
    let chosen = match dedup {
        Dedup::Transaction => {
            transaction.map(|text| (text, Amounts::Change)).or(click.map(|text| (text, Amounts::FirstWins)))
        }
        Dedup::Click => click.or(transaction).map(|text| (text, Amounts::Change)),
        Dedup::Each => Some((format!("each:{seq}"), Amounts::Change)),
    };
    match chosen {
        Some((text, amounts)) => Identity { text, note: None, amounts },
        None => {
            let note =
                "neither a transaction id nor a click id came: a repeat of this postback would count again";
            Identity { text: format!("each:{seq}"), note: Some(note.to_owned()), amounts: Amounts::Change }
        }
    }
}

/// The events under which an earlier telling of this sale may be known, most telling first.
/// A value above 0 never touches an earlier zero event: a Lead that rises becomes its own Purchase.
fn identity_events(draft: &Draft) -> Vec<&EventName> {
    match &draft.event {
        EventClaim::Named(name) => vec![name],
        EventClaim::ByValue { positive, zero } => match draft.value {
            Some(value) if value.amount.is_sign_positive() && !value.amount.is_zero() => vec![positive],
            _ => vec![positive, zero],
        },
    }
}

fn unknown_reversal(draft: &Draft, value: Money) -> Fault {
    let came = draft.negative_came.as_deref().map(|came| format!("{came}: ")).unwrap_or_default();
    let unknown = match draft.transaction_id.as_deref() {
        Some(transaction) => format!("no earlier conversion has the transaction id `{transaction}`"),
        None => "no transaction id came that could name an earlier conversion".to_owned(),
    };
    Fault::new(
        format!("{came}the value {value} is below 0 and {unknown}"),
        "a reversal must name the transaction it takes back; when that sale is known, map this postback again",
    )
}

/// The click that `given` names, if it is recorded.
pub fn attribute<E>(
    given: Option<&str>,
    mut click: impl FnMut(&str) -> Result<Option<(ClickId, Reading)>, E>,
) -> Result<Attribution, E> {
    let Some(given) = given else { return Ok(Attribution::NoClickId) };
    Ok(match click(given)? {
        Some((click, reading)) => Attribution::Matched { given: given.to_owned(), click, reading },
        None => Attribution::Unmatched { given: given.to_owned() },
    })
}

fn fresh(
    draft: &Draft,
    id: ConversionId,
    event: EventName,
    attribution: Attribution,
    arrived: Arrived,
) -> Conversion {
    Conversion {
        id,
        seq: arrived.seq,
        source: draft.source.clone(),
        event,
        status: told_status(draft),
        transaction_id: draft.transaction_id.clone(),
        attribution,
        item_id: draft.item_id.clone(),
        value: draft.value,
        payout: draft.payout,
        revenue: draft.revenue,
        sale_amount: draft.sale_amount,
        event_time: draft.event_time.map_or(arrived.at, |told| told.min(arrived.at)),
        received_at: arrived.at,
        traits: draft.traits.clone(),
        params: draft.params.clone(),
        history: Vec::new(),
    }
}

/// A value below 0 that came instead of an event name takes the sale back.
fn told_status(draft: &Draft) -> Status {
    match (&draft.event, draft.value) {
        (EventClaim::ByValue { .. }, Some(value))
            if value.amount.is_sign_negative() && !value.amount.is_zero() =>
        {
            Status::Rejected
        }
        _ => draft.status,
    }
}

/// Another telling of something known.
struct Again<'a> {
    draft: &'a Draft,
    arrived: Arrived,
    note: Option<String>,
    amounts: Amounts,
}

fn repeat<E>(
    earlier: Conversion,
    again: Again<'_>,
    click: &mut impl FnMut(&str) -> Result<Option<(ClickId, Reading)>, E>,
) -> Result<Decision, E> {
    let Again { draft, arrived, .. } = again;
    let mut now = earlier.clone();
    let mut what = Vec::new();
    change(&mut what, "status", &mut now.status, told_status(draft), Status::word);
    let above_zero =
        |money: Option<Money>| money.is_some_and(|m| m.amount.is_sign_positive() && !m.amount.is_zero());
    let first_wins = again.amounts == Amounts::FirstWins
        && above_zero(draft.value)
        && above_zero(earlier.value)
        && draft.value != earlier.value;
    let note = if first_wins {
        let kept = "without a transaction id another value cannot be told from a second sale: the first telling's is kept";
        join(again.note, Some(kept.to_owned()))
    } else {
        change_amounts(&mut what, &mut now, draft);
        again.note
    };
    let note = match (earlier.attribution.given(), draft.click_id.as_deref()) {
        (None, Some(given)) => {
            what.push(format!("click id: none → {given}"));
            now.attribution = attribute(Some(given), click)?;
            note
        }
        (Some(had), Some(given)) if had.trim() != given.trim() => join(
            note,
            Some(format!(
                "it names another click id, `{given}`, than the first telling, `{had}`; the first is kept"
            )),
        ),
        _ => note,
    };
    if what.is_empty() {
        return Ok(Decision::Duplicate { conversion: earlier, note });
    }
    now.traits.fill(&draft.traits);
    if now.item_id.is_none() {
        now.item_id.clone_from(&draft.item_id);
    }
    if now.transaction_id.is_none() {
        now.transaction_id.clone_from(&draft.transaction_id);
    }
    push_change(&mut now, arrived.now, Cause::Postback(arrived.seq), what);
    Ok(Decision::Update { conversion: now, note })
}

fn change_amounts(what: &mut Vec<String>, now: &mut Conversion, draft: &Draft) {
    for (name, mine, told) in [
        ("value", &mut now.value, draft.value),
        ("payout", &mut now.payout, draft.payout),
        ("revenue", &mut now.revenue, draft.revenue),
        ("sale_amount", &mut now.sale_amount, draft.sale_amount),
    ] {
        if told.is_some() {
            change(what, name, mine, told, |money| money.map_or("none".to_owned(), |m| m.to_string()));
        }
    }
}

fn change<T: PartialEq + Copy, S: fmt::Display>(
    what: &mut Vec<String>,
    name: &str,
    mine: &mut T,
    told: T,
    word: impl Fn(T) -> S,
) {
    if *mine != told {
        what.push(format!("{name}: {} → {}", word(*mine), word(told)));
        *mine = told;
    }
}

fn push_change(conversion: &mut Conversion, at: Time, cause: Cause, what: Vec<String>) {
    let number = u32::try_from(conversion.history.len()).unwrap_or(u32::MAX).saturating_add(1);
    conversion.history.push(Change { number, at, cause, what });
}

/// Joins the click that a conversion waited for. `None` when it is matched already or waits for
/// another click.
pub fn matched_by(conversion: &Conversion, click: &ClickId, at: Time) -> Option<Conversion> {
    let Attribution::Unmatched { given } = &conversion.attribution else { return None };
    let (click, reading) = attribution::candidates(given).into_iter().find(|(id, _)| id == click)?;
    let mut now = conversion.clone();
    now.attribution = Attribution::Matched { given: given.clone(), click: click.clone(), reading };
    push_change(&mut now, at, Cause::Click(click), vec!["attribution: unmatched → matched".to_owned()]);
    Some(now)
}

/// Joins two remarks into one.
pub fn join(first: Option<String>, second: Option<String>) -> Option<String> {
    match (first, second) {
        (Some(first), Some(second)) => Some(format!("{first}; {second}")),
        (first, second) => first.or(second),
    }
}
