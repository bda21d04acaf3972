//! Every platform with every event: what is sent passes its schema, whatever is known; one value changes only what is
//! made of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use postbridge::domain::click::{Click, CustomerTrait, CustomerTraits};
use postbridge::domain::conversion::Conversion;
use postbridge::template::catalog::Catalog;
use postbridge::template::destination::definition::DestinationTemplate;
use postbridge::template::destination::ready::ReadyDestination;
use postbridge::template::destination::schema::event_of;
use proptest::prelude::*;
use serde_json::Value;

use crate::support::known_events::{account, events_of, hash_of, known_click, known_conversion, part};

fn templates() -> Vec<Arc<DestinationTemplate>> {
    let catalog = Catalog::load(None).unwrap();
    catalog.destination_names().into_iter().filter_map(|name| catalog.destination(name)).collect()
}

/// A sale of which no more is known than a network reports, and a click with nothing but its page.
fn minimal(event: &str) -> (Conversion, Click) {
    let known = known_conversion(event);
    let conversion =
        Conversion { traits: CustomerTraits::default(), items: Vec::new(), item_id: None, ..known };
    (conversion, crate::support::payload_fixture::click())
}

#[test]
fn every_event_of_every_platform_passes_its_schema_with_everything_known_with_little_and_without_a_click() {
    let mut faults = Vec::new();
    let mut sent = 0;
    for template in templates() {
        let (destination, schema) = (account(&template), template.schema().unwrap().unwrap());
        let click = known_click(&template);
        for event in &events_of(&template) {
            let (little, plain_click) = minimal(event);
            let known = known_conversion(event);
            let whole = part(&destination, &known, Some(&click));
            assert!(whole.is_some(), "{}: {event} is not sent though everything is known", template.name());
            for (case, part) in [
                ("everything", whole),
                ("little", part(&destination, &little, Some(&plain_click))),
                ("no click", part(&destination, &known, None)),
                ("nothing", part(&destination, &little, None)),
            ] {
                let Some(part) = part else { continue };
                sent += 1;
                for fault in schema.faults(&event_of(&part)) {
                    faults.push(format!(
                        "{} {event} with {case}: {} {}",
                        template.name(),
                        fault.at,
                        fault.what
                    ));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
    assert!(sent > 20, "{sent}");
}

/// Every value of a payload, by its pointer.
fn leaves(value: &Value, at: &str, found: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, member)| leaves(member, &format!("{at}/{name}"), found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, item)| leaves(item, &format!("{at}/{n}"), found));
        }
        leaf => {
            found.insert(at.to_owned(), leaf.clone());
        }
    }
}

/// Where two payloads differ.
fn differences(one: &Value, other: &Value) -> BTreeSet<String> {
    let (mut left, mut right) = (BTreeMap::new(), BTreeMap::new());
    leaves(one, "", &mut left);
    leaves(other, "", &mut right);
    let all: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
    all.into_iter().filter(|at| left.get(*at) != right.get(*at)).cloned().collect()
}

/// What the payload says; an empty object where nothing is sent.
fn said(destination: &ReadyDestination, conversion: &Conversion, click: &Click) -> Value {
    part(destination, conversion, Some(click))
        .map_or_else(|| Value::Object(Default::default()), |p| event_of(&p))
}

/// The texts of a sale and its click, by number, set to something else.
fn with_text(number: usize, text: &str, known: &Conversion, click: &Click) -> (Conversion, Click) {
    let (mut conversion, mut click) = (known.clone(), click.clone());
    let text = text.to_owned();
    let traits = CustomerTrait::NAMES.len();
    match number {
        number if number < traits => {
            conversion.traits.0.insert(CustomerTrait::NAMES[number].0, text);
        }
        number if number == traits => conversion.transaction_id = Some(text),
        number if number == traits + 1 => conversion.items[1].id = Some(text),
        number if number == traits + 2 => conversion.items[1].name = Some(text),
        number if number == traits + 3 => click.landing_url = Some(text),
        number if number == traits + 4 => click.user_agent = Some(text),
        number if number == traits + 5 => {
            click.params.iter_mut().for_each(|(_, value)| value.clone_from(&text))
        }
        _ => click.cookies.iter_mut().for_each(|(_, value)| value.clone_from(&text)),
    }
    (conversion, click)
}

const TEXTS: usize = CustomerTrait::NAMES.len() + 7;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The payload is JSON (else it could not be read), and nothing changes but what is made of the text: what changes
    /// with another plain text, or is gone without any.
    #[test]
    fn any_text_in_any_place_changes_only_what_is_made_of_it(text in "\\PC{0,40}|[\\x00-\\x7f]{0,40}|.{0,20}", number in 0..TEXTS) {
        for template in templates() {
            let (destination, click) = (account(&template), known_click(&template));
            let known = known_conversion("Purchase");
            let before = said(&destination, &known, &click);
            let of = |text: &str| {
                let (conversion, click) = with_text(number, text, &known, &click);
                said(&destination, &conversion, &click)
            };
            let mut may_change = differences(&before, &of("")) ;
            for plain in ["https://other.example/q?z=1", "other@other.example", "+49 170 1234567", "1999-12-31", "Zed", "GA1.1.9.8", "male", "DE"] {
                may_change.extend(differences(&before, &of(plain)));
            }
            let after = of(&text);
            // A payload that misses what it needs is not sent at all.
            let is_sent = after.as_object().is_some_and(|members| !members.is_empty());
            let changed = differences(&before, &after);
            prop_assert!(!is_sent || changed.is_subset(&may_change), "{}: {text:?} at {number} changed {:?}", template.name(), changed.difference(&may_change).collect::<Vec<_>>());
        }
    }
}

/// What the schema of every platform finds in every event with something else about its sale, and what `check` finds in
/// the payload next to that of the sale as it was.
fn faults_of_changed_sales(
    case: &str,
    change: impl Fn(&mut Conversion),
    check: impl Fn(&DestinationTemplate, &Value, &Value) -> Vec<String>,
) -> BTreeSet<String> {
    let mut faults = BTreeSet::new();
    for template in templates() {
        let (destination, click) = (account(&template), known_click(&template));
        let schema = template.schema().unwrap().unwrap();
        for event in &events_of(&template) {
            let known = known_conversion(event);
            let mut changed = known.clone();
            change(&mut changed);
            let (before, after) = (said(&destination, &known, &click), said(&destination, &changed, &click));
            let of_schema =
                schema.faults(&after).into_iter().map(|fault| format!("{} {}", fault.at, fault.what));
            let found = of_schema.chain(check(&template, &before, &after));
            faults.extend(found.map(|fault| format!("{}, {case}: {fault}", template.name())));
        }
    }
    faults
}

#[test]
fn what_is_hashed_already_is_sent_as_it_is_where_a_hash_belongs_and_nowhere_else() {
    let hash = hash_of("anything");
    let is_hash = |value: Option<&Value>| {
        let text = value.and_then(Value::as_str).unwrap_or_default();
        text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let hash = &hash;
    let mut faults = BTreeSet::new();
    for (name, word) in CustomerTrait::NAMES {
        let give = |sale: &mut Conversion| {
            sale.traits.0.insert(name, hash.to_ascii_uppercase());
        };
        faults.extend(faults_of_changed_sales(
            &format!("a hash as {word}"),
            give,
            |template, before, after| {
                // What is not personal is sent everything as it was received. An id may be a hash in any place.
                if !template.is_personal() || name == CustomerTrait::ExternalId {
                    return Vec::new();
                }
                let is_wrong = |at: &String| match (before.pointer(at), after.pointer(at)) {
                    // Where a hash is of no use nothing is sent.
                    (_, None) => false,
                    (old, new) if is_hash(old) => new != Some(&Value::from(hash.clone())),
                    (_, new) => is_hash(new),
                };
                let wrong = differences(before, after).into_iter().filter(is_wrong);
                wrong
                    .map(|at| format!("{at} was {:?}, is {:?}", before.pointer(&at), after.pointer(&at)))
                    .collect()
            },
        ));
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn parts_of_a_thing_pass_the_schema_of_every_platform() {
    let mut faults = BTreeSet::new();
    for quantity in ["0.4", "2.5", "0", "1.0", "1000000.25"] {
        for things in [1, 2] {
            let give = |sale: &mut Conversion| {
                let items = sale.items.iter_mut().take(things);
                items.for_each(|item| item.quantity = Some(quantity.parse().unwrap()));
            };
            let case = format!("{quantity} of {things} things");
            faults.extend(faults_of_changed_sales(&case, give, |_, _, _| Vec::new()));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}
