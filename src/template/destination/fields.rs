//! The complete context of a destination template: every name that exists, and where its value is.

use std::borrow::Cow;

use crate::domain::address;
use crate::domain::click::{Agent, CustomerTrait};
use crate::domain::consent::Consent;
use crate::domain::ids::{AffiliateId, CampaignId, CreativeId, Occasion, VisitorId};
use crate::domain::item;
use crate::domain::offer::CampaignRef;
use crate::template::destination::expression::{
    ContextField, Expression, RenderScope, RenderValue, ValueKind,
};
use crate::template::destination::normalize::{Unreadable, is_blank, is_skeleton};
use crate::template::source::character_reference::without_ampersands;
use crate::template::source::params::segments;

const fn field(
    name: &'static str,
    kind: ValueKind,
    get: for<'a> fn(&RenderScope<'a>) -> RenderValue<'a>,
) -> ContextField {
    ContextField { name, kind, get }
}

/// Every name, but for `settings.…`, which a template declares itself.
pub(crate) static FIELDS: &[ContextField] = &[
    field("event", ValueKind::Text, |s| RenderValue::text(s.conversion.event.as_str())),
    field("event_name", ValueKind::Text, |s| RenderValue::text(s.event_name)),
    field("event_id", ValueKind::Text, |s| RenderValue::owned(Some(s.conversion.id.event_id().to_string()))),
    field("conversion_id", ValueKind::Text, |s| RenderValue::owned(Some(s.conversion.id.to_string()))),
    field("delivery_id", ValueKind::Text, |s| RenderValue::owned(Some(s.delivery.to_string()))),
    field("destination", ValueKind::Text, |s| RenderValue::text(s.delivery.destination.as_str())),
    field("source", ValueKind::Text, |s| RenderValue::text(s.conversion.source.as_str())),
    field("status", ValueKind::Text, |s| RenderValue::text(s.conversion.status.as_str())),
    field("occasion", ValueKind::Text, occasion),
    field("kind", ValueKind::Text, |s| RenderValue::text(s.kind.as_str())),
    field("sent.event_name", ValueKind::Text, |s| RenderValue::maybe(s.sent.map(|sent| sent.event.as_str()))),
    field("sent.event_id", ValueKind::Text, |s| {
        RenderValue::owned(s.sent.map(|sent| sent.event_id.to_string()))
    }),
    field("sent.event_time", ValueKind::Time, |s| {
        s.sent.map_or(RenderValue::Null, |sent| RenderValue::Time(sent.event_time))
    }),
    field("sent.transaction_id", ValueKind::Text, |s| {
        RenderValue::maybe(s.sent.and_then(|sent| sent.transaction_id.as_deref()))
    }),
    field("sent.value", ValueKind::Number, |s| {
        s.sent.and_then(|sent| sent.value).map_or(RenderValue::Null, |m| RenderValue::Decimal(m.amount))
    }),
    field("sent.currency", ValueKind::Text, |s| {
        RenderValue::maybe(s.sent.and_then(|sent| sent.value.as_ref()).map(|m| m.currency.as_str()))
    }),
    field("transaction_id", ValueKind::Text, |s| RenderValue::maybe(s.conversion.transaction_id.as_deref())),
    field("item_id", ValueKind::Text, |s| RenderValue::maybe(s.conversion.item_id.as_deref())),
    field("item_count", ValueKind::Number, |s| {
        item::count(&s.conversion.items).map_or(RenderValue::Null, RenderValue::Decimal)
    }),
    field("item.id", ValueKind::Text, |s| match s.item() {
        Some(item) => RenderValue::maybe(item.id.as_deref()),
        None => RenderValue::maybe(s.conversion.item_id.as_deref()),
    }),
    field("item.name", ValueKind::Text, |s| RenderValue::maybe(s.item().and_then(|i| i.name.as_deref()))),
    field("item.category", ValueKind::Text, |s| {
        RenderValue::maybe(s.item().and_then(|i| i.category.as_deref()))
    }),
    field("item.quantity", ValueKind::Number, |s| {
        s.item().and_then(|i| i.quantity).map_or(RenderValue::Null, RenderValue::Decimal)
    }),
    field("item.price", ValueKind::Number, |s| {
        s.item().and_then(|i| i.price).map_or(RenderValue::Null, RenderValue::Decimal)
    }),
    field("click_id", ValueKind::Text, click_id),
    field("attribution", ValueKind::Text, |s| RenderValue::text(s.conversion.attribution.state().as_str())),
    field("value", ValueKind::Number, |s| {
        s.conversion.value.map_or(RenderValue::Null, |m| RenderValue::Decimal(m.amount))
    }),
    field("currency", ValueKind::Text, |s| {
        RenderValue::maybe(s.conversion.value.as_ref().map(|m| m.currency.as_str()))
    }),
    field("payout", ValueKind::Number, |s| {
        s.conversion.payout.map_or(RenderValue::Null, |m| RenderValue::Decimal(m.amount))
    }),
    field("payout_currency", ValueKind::Text, |s| {
        RenderValue::maybe(s.conversion.payout.as_ref().map(|m| m.currency.as_str()))
    }),
    field("revenue", ValueKind::Number, |s| {
        s.conversion.revenue.map_or(RenderValue::Null, |m| RenderValue::Decimal(m.amount))
    }),
    field("revenue_currency", ValueKind::Text, |s| {
        RenderValue::maybe(s.conversion.revenue.as_ref().map(|m| m.currency.as_str()))
    }),
    field("sale_amount", ValueKind::Number, |s| {
        s.conversion.sale_amount.map_or(RenderValue::Null, |m| RenderValue::Decimal(m.amount))
    }),
    field("sale_amount_currency", ValueKind::Text, |s| {
        RenderValue::maybe(s.conversion.sale_amount.as_ref().map(|m| m.currency.as_str()))
    }),
    field("event_time", ValueKind::Time, |s| RenderValue::Time(s.conversion.event_time.min(s.now))),
    field("received_at", ValueKind::Time, |s| RenderValue::Time(s.conversion.received_at)),
    field("now", ValueKind::Time, |s| RenderValue::Time(s.now)),
    field("test", ValueKind::Truth, |s| if s.test { RenderValue::Truth(true) } else { RenderValue::Null }),
    field("params", ValueKind::Pairs, |s| RenderValue::Pairs(&s.conversion.params)),
    field("click.params", ValueKind::Pairs, |s| {
        s.click.map_or(RenderValue::Null, |c| RenderValue::Pairs(&c.params))
    }),
    field("click.sub_ids", ValueKind::Pairs, |s| {
        s.click.map_or(RenderValue::Null, |c| RenderValue::Pairs(&c.sub_ids))
    }),
    field("click.id", ValueKind::Text, |s| RenderValue::maybe(s.click.map(|c| c.id.as_str()))),
    field("click.time", ValueKind::Time, |s| s.click.map_or(RenderValue::Null, |c| RenderValue::Time(c.at))),
    field("click.landing_url", ValueKind::Text, |s| {
        RenderValue::maybe(s.click.and_then(|c| c.landing_url.as_deref()))
    }),
    field("click.referrer", ValueKind::Text, |s| {
        RenderValue::maybe(s.click.and_then(|c| c.referrer.as_deref()))
    }),
    field("click.ip", ValueKind::Text, |s| RenderValue::owned(click_ip(s))),
    field("click.user_agent", ValueKind::Text, |s| {
        RenderValue::maybe(s.click.and_then(|c| c.user_agent.as_deref()))
    }),
    field("click.ad_user_data", ValueKind::Truth, |s| consent(s, |said| said.ad_user_data)),
    field("click.ad_personalization", ValueKind::Truth, |s| consent(s, |said| said.ad_personalization)),
    field("click.visitor_id", ValueKind::Text, |s| {
        RenderValue::maybe(s.click.and_then(|c| c.context.visitor.as_ref()).map(VisitorId::as_str))
    }),
    field("click.country", ValueKind::Text, |s| {
        RenderValue::maybe(s.click.and_then(|c| c.context.country.as_deref()))
    }),
    field("click.device", ValueKind::Text, |s| agent(s, |agent| Some(&agent.device))),
    field("click.system", ValueKind::Text, |s| agent(s, |agent| agent.system.as_deref())),
    field("click.browser", ValueKind::Text, |s| agent(s, |agent| agent.browser.as_deref())),
    field("offer_id", ValueKind::Text, |s| placed(s, |placed| Some(placed.offer.as_str()))),
    field("campaign_id", ValueKind::Text, |s| {
        placed(s, |placed| placed.campaign.as_ref().map(CampaignId::as_str))
    }),
    field("affiliate_id", ValueKind::Text, |s| {
        placed(s, |placed| placed.affiliate.as_ref().map(AffiliateId::as_str))
    }),
    field("creative_id", ValueKind::Text, |s| {
        placed(s, |placed| placed.creative.as_ref().map(CreativeId::as_str))
    }),
    field("traits.email", ValueKind::Text, |s| customer(s, CustomerTrait::Email)),
    field("traits.phone", ValueKind::Text, |s| customer(s, CustomerTrait::Phone)),
    field("traits.first_name", ValueKind::Text, |s| customer(s, CustomerTrait::FirstName)),
    field("traits.last_name", ValueKind::Text, |s| customer(s, CustomerTrait::LastName)),
    field("traits.city", ValueKind::Text, |s| customer(s, CustomerTrait::City)),
    field("traits.state", ValueKind::Text, |s| customer(s, CustomerTrait::State)),
    field("traits.zip", ValueKind::Text, |s| customer(s, CustomerTrait::Zip)),
    field("traits.country", ValueKind::Text, |s| customer(s, CustomerTrait::Country)),
    field("traits.gender", ValueKind::Text, |s| customer(s, CustomerTrait::Gender)),
    field("traits.birthdate", ValueKind::Text, |s| customer(s, CustomerTrait::Birthdate)),
    field("traits.external_id", ValueKind::Text, |s| customer(s, CustomerTrait::ExternalId)),
    field("traits.ip", ValueKind::Text, |s| RenderValue::owned(customer_ip(s))),
    field("traits.user_agent", ValueKind::Text, |s| customer(s, CustomerTrait::UserAgent)),
];

/// Whether it names what only an item has.
pub(crate) fn is_of_item(expression: &Expression) -> bool {
    expression.any(&|one| matches!(one, Expression::Field(field) if field.name.starts_with(ITEM)))
}

const ITEM: &str = "item.";

/// What is said of such a name where no item is written.
pub(crate) const OUTSIDE_OF_ITEMS: (&str, &str) = (
    "a name of an item is where no item is written",
    "write it inside of `{\"$each\": \"items\", …}` in a list of the payload; `item_id` is the conversion's own",
);

pub(crate) fn find(name: &str) -> Option<&'static ContextField> {
    FIELDS.iter().find(|field| field.name == name)
}

/// The name under which a field's value is found: what is known of the customer is of the sale or of the click.
pub(crate) fn origin(field: &ContextField, scope: &RenderScope<'_>) -> String {
    if field.name == "item.id" && scope.item().is_none() {
        return "item_id".to_owned();
    }
    let Some(name) = field.name.strip_prefix("traits.").and_then(CustomerTrait::parse) else {
        return field.name.to_owned();
    };
    let is_used = |text: &&str| match name {
        CustomerTrait::Ip => address::visitors(text).is_some(),
        _ => !text.trim_matches(is_blank).is_empty() && !is_skeleton(text),
    };
    match scope.conversion.traits.get(name).filter(is_used) {
        Some(_) => field.name.to_owned(),
        None => format!("click.customer.{}", name.as_str()),
    }
}

/// What the browser said of itself with the click.
fn agent<'a>(scope: &RenderScope<'a>, part: impl Fn(&'a Agent) -> Option<&'a str>) -> RenderValue<'a> {
    RenderValue::maybe(scope.click.and_then(|click| click.context.agent.as_ref()).and_then(part))
}

/// Which offer it is of, and who brought it.
fn placed<'a>(scope: &RenderScope<'a>, part: impl Fn(&'a CampaignRef) -> Option<&'a str>) -> RenderValue<'a> {
    RenderValue::maybe(scope.conversion.campaign_ref.as_ref().and_then(part))
}

/// What is known of the customer: the postback's word wins over the click's.
/// What the sale says of the customer, else what the click does. A macro that was not filled in, or a word for nothing,
/// is passed over with a remark.
fn customer<'a>(scope: &RenderScope<'a>, name: CustomerTrait) -> RenderValue<'a> {
    let of_click = scope.click.and_then(|click| click.customer.get(name));
    let received = scope.conversion.traits.get(name).into_iter().chain(of_click);
    for text in received.filter(|text| !text.trim_matches(is_blank).is_empty()) {
        if !is_skeleton(text) {
            return RenderValue::text(text);
        }
        scope.leave_out_field(format!("traits.{}", name.as_str()), Unreadable::Malformed);
    }
    RenderValue::Null
}

/// The customer's address, where one that was received can be a visitor's: no other is sent, and each that
/// is passed over leaves a remark.
fn customer_ip(scope: &RenderScope<'_>) -> Option<String> {
    let of_click = scope.click.and_then(|click| click.customer.get(CustomerTrait::Ip));
    let received = scope.conversion.traits.get(CustomerTrait::Ip).into_iter().chain(of_click);
    for text in received.filter(|text| !text.trim_matches(is_blank).is_empty()) {
        match address::visitors(text) {
            Some(ip) => return Some(ip.to_string()),
            None => scope.leave_out_field("traits.ip".to_owned(), Unreadable::Malformed),
        }
    }
    None
}

fn click_ip(scope: &RenderScope<'_>) -> Option<String> {
    let ip = scope.click?.ip?;
    if !address::is_visitors(ip) {
        scope.leave_out_field("click.ip".to_owned(), Unreadable::Malformed);
        return None;
    }
    Some(ip.to_canonical().to_string())
}

/// The recorded click's id; of a conversion without its click, the id that the postback named.
fn click_id<'a>(scope: &RenderScope<'a>) -> RenderValue<'a> {
    let attribution = &scope.conversion.attribution;
    match attribution.click() {
        Some(id) => RenderValue::text(id.as_str()),
        None => RenderValue::maybe(attribution.given().map(str::trim)),
    }
}

/// The visitor's latest answer, no matter who reported it; null where there is none.
fn consent<'a>(scope: &RenderScope<'a>, answer: impl Fn(Consent) -> Option<bool>) -> RenderValue<'a> {
    answer(scope.conversion.consent_with(scope.click)).map_or(RenderValue::Null, RenderValue::Truth)
}

fn occasion<'a>(scope: &RenderScope<'a>) -> RenderValue<'a> {
    match scope.delivery.occasion {
        Occasion::First => RenderValue::Text(Cow::Borrowed("first")),
        Occasion::Change(number) => RenderValue::Text(Cow::Owned(number.to_string())),
    }
}

/// The first value of `name` in a URL's query, whatever the name's case: also behind a second `?`, where
/// one query was appended to another, and behind an `&amp;` of HTML.
pub(crate) fn landing_parameter(url: &str, name: &str) -> Option<String> {
    let before_fragment = url.split('#').next().unwrap_or_default();
    let (_, query) = before_fragment.split_once('?')?;
    segments(query.as_bytes()).find_map(|(segment, _)| {
        let (known, value) = form_urlencoded::parse(segment).next()?;
        let known = without_ampersands(&known).unwrap_or(&known);
        (known.eq_ignore_ascii_case(name) && !value.is_empty()).then(|| value.into_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::landing_parameter;

    #[test]
    fn a_click_id_is_found_behind_a_second_question_mark_in_any_case_and_never_in_the_fragment() {
        for (url, expected) in [
            ("https://shop.example/lp?x=1?fbclid=F1", Some("F1")),
            ("https://shop.example/lp?fbclid=F1?utm_source=a", Some("F1")),
            ("https://shop.example/lp?x=1&FBCLID=F%201#top", Some("F 1")),
            ("https://shop.example/lp?x=1&amp;fbclid=F1", Some("F1")),
            ("https://shop.example/lp?x=1&amp;amp;fbclid=F1", Some("F1")),
            ("https://shop.example/lp?fbclid=&fbclid=F1", Some("F1")),
            ("https://shop.example/lp?next=https://x.example/?fbclid=F1", None),
            ("https://shop.example/lp#a?fbclid=F1", None),
            ("https://shop.example/fbclid=F1", None),
            ("", None),
        ] {
            assert_eq!(landing_parameter(url, "fbclid").as_deref(), expected, "{url}");
        }
    }
}
