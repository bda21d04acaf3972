//! An outgoing postback: one GET request whose URL notifies an affiliate of a conversion.

use std::sync::LazyLock;

use rust_decimal::{Decimal, RoundingStrategy};
use url::Url;

use crate::domain::click::{Click, Pairs, sub_id_number};
use crate::domain::conversion::Conversion;
use crate::domain::delivery::{Reply, ReplyVerdict};
use crate::domain::money::Money;
use crate::domain::remark::Remark;
use crate::domain::routing::Changes;
use crate::domain::sent::SentEvent;
use crate::domain::time::Time;
use crate::template::destination::reply::ReplyRules;
use crate::template::macros::names::MacroContext;
use crate::template::macros::url::MacroUrl;

/// The fewest digits behind the point of a payout that was scaled: cents.
const LEAST_DIGITS: u32 = 2;

/// What trackers call the parameter that opens them.
const KEYS: [&str; 10] = [
    "key",
    "api_key",
    "apikey",
    "token",
    "access_token",
    "security_token",
    "auth",
    "secret",
    "password",
    "pwd",
];

/// What is reported, to whom, and how much of the payout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingPostback {
    /// Where it goes, with the macros that are filled in for each conversion.
    pub url: MacroUrl,
    /// Factor on the payout that is sent. The conversion keeps its own.
    pub scale: Decimal,
    /// Whether a change of a conversion that was reported is reported too.
    pub changes: Changes,
}

impl OutgoingPostback {
    /// The URL, and what it says. A conversion without a payout is reported too, with an empty price: a lead may earn
    /// nothing.
    pub(crate) fn render(&self, conversion: &Conversion, click: Option<&Click>) -> (String, SentEvent) {
        let payout = conversion.payout.map(|payout| reported_payout(payout.amount, self.scale));
        let context = MacroContext { conversion, click, payout };
        let url = self.url.render(&|name| context.value(name));
        let names = self.url.names();
        let sub_ids = names.iter().filter(|name| sub_id_number(name).is_some());
        let id = |name: &&str| Some(((*name).to_owned(), context.value(name)?));
        let sent = SentEvent {
            event: conversion.event.as_str().to_owned(),
            value: self.sent_payout(conversion),
            event_time: conversion.event_time,
            event_id: conversion.id.event_id(),
            ids: sub_ids.filter_map(id).collect(),
            reply: Pairs::new(),
        };
        (url, sent)
    }

    /// The payout as it is reported, where the URL names one.
    fn sent_payout(&self, conversion: &Conversion) -> Option<Money> {
        let payout = conversion.payout?;
        let names_it = self.url.names().iter().any(|name| matches!(*name, "payout" | "price"));
        names_it.then(|| Money { amount: reported_payout(payout.amount, self.scale), ..payout })
    }

    /// Both payouts, where they differ and the URL names one.
    pub(crate) fn remark(&self, conversion: &Conversion) -> Option<Remark> {
        let (payout, sent) = (conversion.payout?, self.sent_payout(conversion)?);
        let scale = || self.scale.to_string();
        (sent != payout).then(|| Remark::PayoutScaled { payout, sent, scale: scale() })
    }

    /// The URL without its macros, where it holds a key: it is from outside the configuration, or one of
    /// its parameters is called so.
    pub(crate) fn secrets_go_to(&self) -> Option<Url> {
        let url = Url::parse(&self.url.render(&|_| None)).ok()?;
        let is_key = |name: &str| KEYS.contains(&name.to_lowercase().as_str());
        let names_key = url.query_pairs().any(|(name, value)| is_key(&name) && !value.is_empty());
        (names_key || !self.url.secrets().is_empty()).then_some(url)
    }

    pub(crate) fn classify(&self, reply: &Reply, now: Time) -> ReplyVerdict {
        REPLY_RULES.classify(reply, now)
    }
}

static REPLY_RULES: LazyLock<ReplyRules> = LazyLock::new(ReplyRules::without_accounts);

/// The payout times the scale, rounded half to even to as many digits as the payout has, at least two:
/// 7.00 × 0.80 is 5.60, 0.125 × 0.5 is 0.062. With a scale of 1 the payout is reported digit for digit.
/// What is too large to be multiplied is reported as it is.
fn reported_payout(payout: Decimal, scale: Decimal) -> Decimal {
    if scale == Decimal::ONE {
        return payout;
    }
    let digits = payout.scale().max(LEAST_DIGITS);
    let Some(scaled) = payout.checked_mul(scale) else { return payout };
    let mut rounded = scaled.round_dp_with_strategy(digits, RoundingStrategy::MidpointNearestEven);
    // Only says how many digits are written; all beyond were rounded away.
    rounded.rescale(digits);
    rounded
}
