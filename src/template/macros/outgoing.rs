//! An outgoing postback: one GET request whose URL notifies an affiliate of a conversion.

use std::sync::{Arc, LazyLock};

use rust_decimal::{Decimal, RoundingStrategy};
use url::Url;

use crate::domain::change_rules::Changes;
use crate::domain::click::{Click, Pairs, sub_id_number};
use crate::domain::conversion::Conversion;
use crate::domain::delivery::{Reply, ReplyVerdict};
use crate::domain::money::Money;
use crate::domain::remark::Remark;
use crate::domain::sent::{DeliveryKind, SentEvent};
use crate::domain::skip::SkipReason;
use crate::domain::time::Time;
use crate::template::destination::reply::ReplyRules;
use crate::template::macros::names::MacroContext;
use crate::template::macros::url::MacroUrl;
use crate::template::preset::definition::LANDING_CLICK_ID;
use crate::template::preset::usage::{PresetUse, ReportedSale};

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
#[derive(Clone)]
pub struct OutgoingPostback {
    /// Where it goes, with the macros that are filled in for each conversion.
    pub url: MacroUrl,
    /// Factor on the payout that is sent. The conversion keeps its own.
    pub scale: Decimal,
    /// Whether a change of a conversion that was reported is reported too.
    pub changes: Changes,
    /// The preset that the URL is of.
    pub preset: Option<Arc<PresetUse>>,
}

impl OutgoingPostback {
    /// The URL, and what it says; or why the receiver would not count the conversion. One without a payout is reported
    /// too, with an empty price: a lead may earn nothing.
    pub(crate) fn render(
        &self,
        conversion: &Conversion,
        click: Option<&Click>,
    ) -> Result<(String, SentEvent), SkipReason> {
        let payout = conversion.payout.map(|payout| reported_payout(payout.amount, self.scale));
        let context = MacroContext { conversion, click, payout };
        let sale = ReportedSale { context: &context, earned: self.earned(&context) };
        let preset = self.preset.as_deref();
        if let Some(reason) = preset.and_then(|preset| preset.refusal(&sale)) {
            return Err(reason);
        }
        let value = |name: &str| match preset {
            Some(preset) => preset.value(name, &sale),
            None => context.value(name),
        };
        let url = self.url.render(&value);
        let names = self.url.names();
        let sub_ids = names.iter().filter(|name| sub_id_number(name).is_some());
        let id = |name: &&str| Some(((*name).to_owned(), value(name)?));
        let own_id =
            preset.and_then(|preset| Some((preset.click_param()?.to_owned(), value(LANDING_CLICK_ID)?)));
        let theirs = preset.and_then(|preset| preset.event_name(&conversion.event));
        let sent = SentEvent {
            kind: DeliveryKind::Event,
            event: theirs.unwrap_or(conversion.event.as_str()).to_owned(),
            value: self.sent_amount(&sale).map(|(_, sent)| sent),
            event_time: conversion.event_time,
            event_id: conversion.id.event_id(),
            transaction_id: conversion.transaction_id.clone(),
            ids: sub_ids.filter_map(id).chain(own_id).collect(),
            reply: Pairs::new(),
        };
        Ok((url, sent))
    }

    /// What the click's buyer earns: the payout, times the scale. What a conversion is worth is said only where no
    /// affiliate brought it: of others it may be the network's own revenue.
    fn earned(&self, context: &MacroContext<'_>) -> Option<Money> {
        let conversion = context.conversion;
        let is_brought = context.value("affiliate_id").is_some();
        let earned = conversion.payout.or(conversion.value.filter(|_| !is_brought))?;
        Some(Money { amount: reported_payout(earned.amount, self.scale), ..earned })
    }

    /// The amount that the URL says of what is earned: as the conversion has it, and as it is sent.
    fn sent_amount(&self, sale: &ReportedSale<'_>) -> Option<(Money, Money)> {
        let conversion = sale.context.conversion;
        let Some(preset) = self.preset.as_deref().filter(|_| self.says(&["earned"])) else {
            let payout = conversion.payout.filter(|_| self.says(&["payout", "price"]))?;
            let amount = reported_payout(payout.amount, self.scale);
            return Some((payout, Money { amount, ..payout }));
        };
        let sent = preset.taken(sale.earned)?;
        let known = conversion.payout.or(conversion.value)?;
        Some((known, Money { amount: preset.rounded(sent.amount), ..sent }))
    }

    fn says(&self, wanted: &[&str]) -> bool {
        self.url.names().iter().any(|name| wanted.contains(name))
    }

    /// Both payouts, where they differ and the URL names one; that none is named, where the receiver takes no such
    /// currency.
    pub(crate) fn remark(&self, conversion: &Conversion, click: Option<&Click>) -> Option<Remark> {
        let context = MacroContext { conversion, click, payout: None };
        let sale = ReportedSale { context: &context, earned: self.earned(&context) };
        if let Some((payout, sent)) = self.sent_amount(&sale) {
            let scale = || self.scale.to_string();
            return (sent != payout).then(|| Remark::PayoutScaled { payout, sent, scale: scale() });
        }
        let is_left_out = self.says(&["earned"]) && sale.earned.is_some();
        is_left_out.then(|| Remark::ValueLeftOut { field: "earned".to_owned() })
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
        let rules = self.preset.as_ref().map_or(&*REPLY_RULES, |preset| &preset.preset().file.reply);
        rules.classify(reply, now)
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
