//! What a request says of its conversion: what a later change of it has to name again.

use crate::domain::click::{Click, Pairs, find, is_covered};
use crate::domain::sent::{DeliveryKind, SentEvent};
use crate::template::destination::envelope::EventPart;
use crate::template::destination::expression::RenderScope;
use crate::template::destination::fields::landing_parameter;
use crate::template::destination::templated::Templated;

impl Templated {
    /// What a request says of the conversion.
    pub(crate) fn said(&self, scope: &RenderScope<'_>, part: &EventPart) -> SentEvent {
        let conversion = scope.conversion;
        let is_in = |value: &str| {
            let is_in = |text: &[u8]| memchr::memmem::find(text, value.as_bytes()).is_some();
            !value.is_empty() && part.texts().any(is_in)
        };
        // Of some, as of a cookie with a version before it, only a part is sent.
        let is_in = |value: &str| is_in(value) || id_parts(value).any(is_in);
        let named = |pairs: &'_ Pairs, names: &[String]| -> Pairs {
            let known = pairs.iter().filter(|(name, value)| is_named(names, name) && is_in(value));
            known.cloned().collect()
        };
        let of_click = |click: &Click| {
            let mut ids = named(&click.params, self.template.landing_params());
            ids.extend(self.of_landing_url(click).filter(|(_, value)| is_in(value)));
            ids.extend(named(&click.cookies, self.template.cookies()));
            ids
        };
        let before =
            scope.sent.filter(|_| matches!(scope.kind, DeliveryKind::Restate | DeliveryKind::Retract));
        let value = match (scope.kind, before) {
            (DeliveryKind::Retract, Some(before)) => before.value,
            _ => {
                let [event, change, late] = self.says_value;
                let says = if scope.kind.is_change() { change } else { event };
                conversion.value.filter(|_| if part.is_late { late } else { says })
            }
        };
        let ids = || scope.click.map(of_click).unwrap_or_default();
        SentEvent {
            kind: scope.kind,
            event: scope.event_name.to_owned(),
            value,
            event_time: conversion.event_time.min(scope.now),
            event_id: conversion.id.event_id(),
            transaction_id: conversion.transaction_id.clone(),
            ids: before.map_or_else(ids, |before| before.ids.clone()),
            reply: Pairs::new(),
        }
    }

    /// The landing parameters that are in the click's address alone.
    fn of_landing_url<'a>(&'a self, click: &'a Click) -> impl Iterator<Item = (String, String)> + 'a {
        let names = self.template.landing_params().iter();
        let unread = names.filter(|name| find(&click.params, name).is_none());
        let of_url = |name: &String| landing_parameter(click.landing_url.as_deref()?, name);
        unread.filter_map(move |name| Some((name.clone(), of_url(name)?)))
    }
}

/// The fewest characters that a part of an identifier has that identifies on its own.
const SHORTEST_ID_PART: usize = 8;

/// The parts of an identifier that are long enough to know it by, each also without the letters before its first digit.
fn id_parts(value: &str) -> impl Iterator<Item = &str> {
    let parts = value.split(|c: char| !c.is_ascii_alphanumeric());
    let unlettered = |part: &'_ str| part.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
    let both = parts.flat_map(move |part| [Some(part), part.get(part.len() - unlettered(part)..)]);
    both.flatten().filter(|part| part.len() >= SHORTEST_ID_PART)
}

/// Whether one of the names that a template declares is this one, or covers it.
fn is_named(names: &[String], name: &str) -> bool {
    names.iter().any(|known| is_covered(known, name.as_bytes()))
}
