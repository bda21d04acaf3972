//! Which click earned a conversion, and which did not, and why. Pure: the caller looks the candidates up.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::domain::candidate::{Considered, NotChosen};
use crate::domain::click::{Click, NotBillable};
use crate::domain::ids::{ClickId, OfferId, VisitorId};
use crate::domain::offer::{AttributionModel, Offer};
use crate::domain::text::{equal_repeats, holds_invisible, is_invisible, trim};
use crate::domain::time::Time;

/// How the click id that was received was read before it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MatchMethod {
    /// Just as it was received, decoded once as every parameter is.
    Exact,
    /// After taking white space, what is invisible and the braces of a GUID off: networks append white space to
    /// an empty macro.
    Trimmed,
    /// After one more percent-decoding: the sender encoded it twice.
    Decoded,
    /// One of equal ids that the sender joined: `C,C`.
    Repeated,
}

impl MatchMethod {
    /// As API and pages write it.
    pub fn as_str(self) -> &'static str {
        match self {
            MatchMethod::Exact => "exact",
            MatchMethod::Trimmed => "trimmed",
            MatchMethod::Decoded => "decoded_twice",
            MatchMethod::Repeated => "repeated",
        }
    }
}

/// What is known of the click behind a conversion.
#[allow(missing_docs, reason = "the comment of a variant says what its fields are")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Attribution {
    /// The postback carried no usable click id.
    NoClickId,
    /// It carried `given`, and no such click is recorded (yet).
    Unmatched { given: String },
    /// The click, and how the id was read.
    Matched { given: String, click: ClickId, reading: MatchMethod },
    /// No usable click id was received; of the visitor's clicks on the offer the model chose this one.
    Visitor { visitor: VisitorId, click: ClickId, model: AttributionModel },
    /// The click is known, and its session was over before the conversion happened.
    Expired { given: String, click: ClickId, reading: MatchMethod },
}

impl Attribution {
    /// The click that the conversion is joined to, also where it was received too late for it.
    pub fn click(&self) -> Option<&ClickId> {
        match self {
            Attribution::Matched { click, .. }
            | Attribution::Visitor { click, .. }
            | Attribution::Expired { click, .. } => Some(click),
            Attribution::NoClickId | Attribution::Unmatched { .. } => None,
        }
    }

    /// Whether a click earned it.
    pub fn is_matched(&self) -> bool {
        matches!(self, Attribution::Matched { .. } | Attribution::Visitor { .. })
    }

    /// The click id as the postback reported it.
    pub fn given(&self) -> Option<&str> {
        match self {
            Attribution::NoClickId | Attribution::Visitor { .. } => None,
            Attribution::Unmatched { given }
            | Attribution::Matched { given, .. }
            | Attribution::Expired { given, .. } => Some(given),
        }
    }

    /// Which of the cases it is, without what it is about.
    pub fn state(&self) -> AttributionState {
        match self {
            Attribution::Matched { .. } | Attribution::Visitor { .. } => AttributionState::Matched,
            Attribution::Expired { .. } => AttributionState::Expired,
            Attribution::NoClickId | Attribution::Unmatched { .. } => AttributionState::Unmatched,
        }
    }
}

/// Whether a conversion has its click.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttributionState {
    /// A click earned it.
    Matched,
    /// The click is known, and was too early to earn it.
    Expired,
    /// None did.
    Unmatched,
}

impl AttributionState {
    /// As API and pages write it.
    pub fn as_str(self) -> &'static str {
        match self {
            AttributionState::Matched => "matched",
            AttributionState::Expired => "expired",
            AttributionState::Unmatched => "unmatched",
        }
    }
}

/// A click that was looked up by what a sender reported, and how that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundClick {
    /// As it is recorded.
    pub click: Arc<Click>,
    /// How the id had to be read to find it.
    pub reading: MatchMethod,
}

/// A visitor's earlier click, as far as attribution looks at it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EarlierClick {
    /// The earlier click.
    pub click: ClickId,
    /// When it happened.
    pub at: Time,
    /// What it was on; `None` for a click of no offer.
    pub offer: Option<OfferId>,
    /// Why it earns nothing, whatever the offer; `None` where it is billable.
    pub not_billable: Option<NotBillable>,
}

/// The most losing candidates that a conversion keeps: the likeliest.
pub const MAX_CONSIDERED: usize = 16;

/// Of a visitor's clicks, the one that earns a conversion of `offer` that happened at `at`; and those
/// that lost, the latest first. Only clicks on this offer, made by a person, within the cookie's days
/// and not after the conversion can earn.
pub fn by_visitor(offer: &Offer, visits: &[EarlierClick], at: Time) -> (Option<ClickId>, Vec<Considered>) {
    let mut latest_first: Vec<&EarlierClick> = visits.iter().collect();
    latest_first.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| b.click.cmp(&a.click)));
    let fits = |visit: &&&EarlierClick| unfit(offer, visit, at).is_none();
    let winner = match offer.model {
        AttributionModel::LastTouch => latest_first.iter().find(fits),
        AttributionModel::FirstTouch => latest_first.iter().rfind(fits),
    };
    let winner = winner.map(|visit| visit.click.clone());
    let lost = latest_first.iter().filter(|visit| Some(&visit.click) != winner.as_ref());
    let why = |visit: &EarlierClick| match (unfit(offer, visit, at), offer.model) {
        (Some(why), _) => why,
        (None, AttributionModel::LastTouch) => NotChosen::LaterClick,
        (None, AttributionModel::FirstTouch) => NotChosen::EarlierClick,
    };
    let considered = lost.take(MAX_CONSIDERED).map(|visit| Considered {
        click: visit.click.clone(),
        at: visit.at,
        why: why(visit),
    });
    let considered = considered.collect();
    (winner, considered)
}

fn unfit(offer: &Offer, visit: &EarlierClick, at: Time) -> Option<NotChosen> {
    if visit.offer.as_ref() != Some(&offer.id) {
        return Some(NotChosen::OtherOffer { of: visit.offer.clone() });
    }
    match visit.not_billable {
        Some(NotBillable::NoVisit) => return Some(NotChosen::NoVisit),
        Some(NotBillable::Blocked) => return Some(NotChosen::Blocked),
        None => {}
    }
    if visit.at > at {
        return Some(NotChosen::AfterConversion);
    }
    let old = !offer.remembers(visit.at, at);
    old.then_some(NotChosen::TooOld { days: offer.click_cookie_days })
}

/// A click id in the one reading by which two are compared. It is made as [`candidates`] makes its readings,
/// so that two ways to write one click never count as two: without white space at its ends and what no click
/// id holds, decoded once more where that leaves text, one of equal repeats. `None` where nothing is left.
pub fn canonical_click(given: &str) -> Option<String> {
    if is_plain(given) {
        return Some(given.to_owned());
    }
    let trimmed = trim(given);
    let decoded = match trimmed.contains('%') {
        true => percent_encoding::percent_decode_str(trimmed).decode_utf8().ok(),
        false => None,
    };
    let bare = bare(decoded.as_deref().map_or(trimmed, trim));
    let canonical = equal_repeats(&bare).map_or(&*bare, without_braces);
    (!canonical.is_empty()).then(|| canonical.to_owned())
}

/// Whether a click id has one reading, itself, as nearly every one: nothing in it is trimmed, decoded or split.
fn is_plain(given: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !given.is_empty() && given.bytes().all(is_part)
}

/// The text without what no click id holds: invisible characters, and the braces of a GUID.
fn bare(text: &str) -> Cow<'_, str> {
    if holds_invisible(text) {
        let seen: String = text.chars().filter(|c| !is_invisible(*c)).collect();
        return Cow::Owned(without_braces(&seen).to_owned());
    }
    Cow::Borrowed(without_braces(text))
}

fn without_braces(text: &str) -> &str {
    text.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')).unwrap_or(text)
}

/// The click ids that `given` may mean, likeliest first, without repeats. Only ids that can exist
/// are named: a reading that is no click id is left out. A `+` that became a space needs no reading
/// of its own inside an id, which cannot hold one; at an id's ends it is trimmed.
pub fn candidates(given: &str) -> Vec<(ClickId, MatchMethod)> {
    let mut found: Vec<(ClickId, MatchMethod)> = Vec::with_capacity(1);
    let mut add = |text: &str, reading| {
        if let Ok(id) = ClickId::parse(text)
            && !found.iter().any(|(known, _)| *known == id)
        {
            found.push((id, reading));
        }
    };
    add(given, MatchMethod::Exact);
    if is_plain(given) {
        return found;
    }
    let trimmed = trim(given);
    let decoded = match trimmed.contains('%') {
        true => Some(percent_encoding::percent_decode_str(trimmed).decode_utf8_lossy()),
        false => None,
    };
    let decoded = decoded.as_deref().map(|text| (trim(text), MatchMethod::Decoded));
    for (text, reading) in std::iter::once((trimmed, MatchMethod::Trimmed)).chain(decoded) {
        add(text, reading);
        let bare = bare(text);
        add(&bare, reading);
        if let Some(one) = equal_repeats(&bare) {
            add(without_braces(one), MatchMethod::Repeated);
        }
    }
    found
}
