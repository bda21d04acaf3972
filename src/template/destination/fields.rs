//! The complete context of a destination template: every name that exists, and where its value is.

use std::borrow::Cow;

use crate::domain::address;
use crate::domain::click::Trait;
use crate::domain::consent::Consent;
use crate::domain::ids::Occasion;
use crate::template::destination::expression::{Field, Kind, Scope, Value};
use crate::template::destination::normalize::{Unreadable, is_blank};
use crate::template::source::character_reference::without_ampersands;
use crate::template::source::params::segments;

const fn field(name: &'static str, kind: Kind, get: for<'a> fn(&Scope<'a>) -> Value<'a>) -> Field {
    Field { name, kind, get }
}

/// Every name, but for `settings.…`, which a template declares itself.
pub(crate) static FIELDS: &[Field] = &[
    field("event", Kind::Text, |s| Value::text(s.conversion.event.as_str())),
    field("event_name", Kind::Text, |s| Value::text(s.event_name)),
    field("event_id", Kind::Text, |s| Value::owned(Some(s.conversion.id.event_id().to_string()))),
    field("conversion_id", Kind::Text, |s| Value::owned(Some(s.conversion.id.to_string()))),
    field("delivery_id", Kind::Text, |s| Value::owned(Some(s.delivery.to_string()))),
    field("destination", Kind::Text, |s| Value::text(s.delivery.destination.as_str())),
    field("source", Kind::Text, |s| Value::text(s.conversion.source.as_str())),
    field("status", Kind::Text, |s| Value::text(s.conversion.status.as_str())),
    field("occasion", Kind::Text, occasion),
    field("transaction_id", Kind::Text, |s| Value::maybe(s.conversion.transaction_id.as_deref())),
    field("item_id", Kind::Text, |s| Value::maybe(s.conversion.item_id.as_deref())),
    field("click_id", Kind::Text, click_id),
    field("attribution", Kind::Text, |s| Value::text(s.conversion.attribution.as_str())),
    field("value", Kind::Number, |s| s.conversion.value.map_or(Value::Null, |m| Value::Decimal(m.amount))),
    field("currency", Kind::Text, |s| Value::maybe(s.conversion.value.as_ref().map(|m| m.currency.as_str()))),
    field("payout", Kind::Number, |s| s.conversion.payout.map_or(Value::Null, |m| Value::Decimal(m.amount))),
    field("payout_currency", Kind::Text, |s| {
        Value::maybe(s.conversion.payout.as_ref().map(|m| m.currency.as_str()))
    }),
    field("revenue", Kind::Number, |s| {
        s.conversion.revenue.map_or(Value::Null, |m| Value::Decimal(m.amount))
    }),
    field("revenue_currency", Kind::Text, |s| {
        Value::maybe(s.conversion.revenue.as_ref().map(|m| m.currency.as_str()))
    }),
    field("sale_amount", Kind::Number, |s| {
        s.conversion.sale_amount.map_or(Value::Null, |m| Value::Decimal(m.amount))
    }),
    field("sale_amount_currency", Kind::Text, |s| {
        Value::maybe(s.conversion.sale_amount.as_ref().map(|m| m.currency.as_str()))
    }),
    field("event_time", Kind::Time, |s| Value::Time(s.conversion.event_time.min(s.now))),
    field("received_at", Kind::Time, |s| Value::Time(s.conversion.received_at)),
    field("now", Kind::Time, |s| Value::Time(s.now)),
    field("test", Kind::Truth, |s| if s.test { Value::Truth(true) } else { Value::Null }),
    field("params", Kind::Pairs, |s| Value::Pairs(&s.conversion.params)),
    field("click.params", Kind::Pairs, |s| s.click.map_or(Value::Null, |c| Value::Pairs(&c.params))),
    field("click.sub_ids", Kind::Pairs, |s| s.click.map_or(Value::Null, |c| Value::Pairs(&c.sub_ids))),
    field("click.id", Kind::Text, |s| Value::maybe(s.click.map(|c| c.id.as_str()))),
    field("click.time", Kind::Time, |s| s.click.map_or(Value::Null, |c| Value::Time(c.at))),
    field("click.landing_url", Kind::Text, |s| Value::maybe(s.click.and_then(|c| c.landing_url.as_deref()))),
    field("click.referrer", Kind::Text, |s| Value::maybe(s.click.and_then(|c| c.referrer.as_deref()))),
    field("click.ip", Kind::Text, |s| Value::owned(click_ip(s))),
    field("click.user_agent", Kind::Text, |s| Value::maybe(s.click.and_then(|c| c.user_agent.as_deref()))),
    field("click.ad_user_data", Kind::Truth, |s| consent(s, |said| said.ad_user_data)),
    field("click.ad_personalization", Kind::Truth, |s| consent(s, |said| said.ad_personalization)),
    field("traits.email", Kind::Text, |s| customer(s, Trait::Email)),
    field("traits.phone", Kind::Text, |s| customer(s, Trait::Phone)),
    field("traits.first_name", Kind::Text, |s| customer(s, Trait::FirstName)),
    field("traits.last_name", Kind::Text, |s| customer(s, Trait::LastName)),
    field("traits.city", Kind::Text, |s| customer(s, Trait::City)),
    field("traits.state", Kind::Text, |s| customer(s, Trait::State)),
    field("traits.zip", Kind::Text, |s| customer(s, Trait::Zip)),
    field("traits.country", Kind::Text, |s| customer(s, Trait::Country)),
    field("traits.gender", Kind::Text, |s| customer(s, Trait::Gender)),
    field("traits.birthdate", Kind::Text, |s| customer(s, Trait::Birthdate)),
    field("traits.external_id", Kind::Text, |s| customer(s, Trait::ExternalId)),
    field("traits.ip", Kind::Text, |s| Value::owned(customer_ip(s))),
    field("traits.user_agent", Kind::Text, |s| customer(s, Trait::UserAgent)),
];

pub(crate) fn find(name: &str) -> Option<&'static Field> {
    FIELDS.iter().find(|field| field.name == name)
}

/// What is known of the customer: the postback's word wins over the click's.
fn customer<'a>(scope: &Scope<'a>, name: Trait) -> Value<'a> {
    let reported = scope.conversion.traits.get(name).filter(|text| !text.trim().is_empty());
    Value::maybe(reported.or_else(|| scope.click.and_then(|click| click.customer.get(name))))
}

/// The customer's address, where one that was received can be a visitor's: no other is sent, and each that
/// is passed over leaves a remark.
fn customer_ip(scope: &Scope<'_>) -> Option<String> {
    let of_click = scope.click.and_then(|click| click.customer.get(Trait::Ip));
    let received = scope.conversion.traits.get(Trait::Ip).into_iter().chain(of_click);
    for text in received.filter(|text| !text.trim_matches(is_blank).is_empty()) {
        match address::visitors(text) {
            Some(ip) => return Some(ip.to_string()),
            None => scope.leave_out_field("traits.ip".to_owned(), Unreadable::Malformed),
        }
    }
    None
}

fn click_ip(scope: &Scope<'_>) -> Option<String> {
    let ip = scope.click?.ip?;
    if !address::is_visitors(ip) {
        scope.leave_out_field("click.ip".to_owned(), Unreadable::Malformed);
        return None;
    }
    Some(ip.to_canonical().to_string())
}

/// The recorded click's id; of a conversion without its click, the id that the postback named.
fn click_id<'a>(scope: &Scope<'a>) -> Value<'a> {
    let attribution = &scope.conversion.attribution;
    match attribution.click() {
        Some(id) => Value::text(id.as_str()),
        None => Value::maybe(attribution.given().map(str::trim)),
    }
}

/// The visitor's latest answer, no matter who reported it; null where there is none.
fn consent<'a>(scope: &Scope<'a>, answer: impl Fn(Consent) -> Option<bool>) -> Value<'a> {
    answer(scope.conversion.consent_with(scope.click)).map_or(Value::Null, Value::Truth)
}

fn occasion<'a>(scope: &Scope<'a>) -> Value<'a> {
    match scope.delivery.occasion {
        Occasion::First => Value::Text(Cow::Borrowed("first")),
        Occasion::Change(number) => Value::Text(Cow::Owned(number.to_string())),
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
