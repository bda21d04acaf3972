//! Everything that can be known of a sale and its click, for any destination template; and the template's account.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use postbridge::domain::click::{Click, CustomerTrait};
use postbridge::domain::conversion::Conversion;
use postbridge::domain::event::EventName;
use postbridge::domain::ids::{ConversionId, DestinationId};
use postbridge::domain::item::SoldItem;
use postbridge::domain::sent::DeliveryKind;
use postbridge::template::destination::definition::DestinationTemplate;
use postbridge::template::destination::envelope::EventPart;
use postbridge::template::destination::ready::ReadyDestination;
use postbridge::template::destination::rendering::{DestinationMode, RenderInput, Rendered};
use postbridge::template::destination::spec::DestinationSpec;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::payload_fixture::{click, conversion, delivery, time};

/// A value for every setting that has none, as a person would give it.
pub fn settings_of(template: &DestinationTemplate) -> BTreeMap<String, String> {
    let unset = template.settings().iter().filter(|spec| spec.default.is_none());
    // Of several ways to sign in an account has one.
    let unset = unset.filter(|spec| format!("{:?}", spec.kind) != "ServiceAccount");
    let value = |kind: &str, name: &str| match kind {
        "Digits" if name == "calling_code" => "49".to_owned(),
        "Digits" => "1234567890".to_owned(),
        "Url" => "https://shop.example/lp".to_owned(),
        "Country" => "US".to_owned(),
        "SigningKey" => "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned(),
        // As long as a click id of the platform that has one.
        _ if name == "test_click_id" => format!("{name}-{}", "V1".repeat(30)),
        _ => format!("{name}-V1"),
    };
    unset.map(|spec| (spec.name.clone(), value(&format!("{:?}", spec.kind), &spec.name))).collect()
}

/// The platform's names of our events where each account has names of its own: as its stories have one, each another.
pub fn own_events(template: &DestinationTemplate) -> BTreeMap<String, String> {
    if !template.events().is_empty() {
        return BTreeMap::new();
    }
    let stories = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/destinations").join(template.name());
    let defaults = std::fs::read_to_string(stories.join("defaults.toml")).unwrap_or_default();
    let defaults: toml::Table = defaults.parse().unwrap();
    let named =
        defaults.get("events").and_then(|events| events.get("Purchase")).and_then(toml::Value::as_str);
    let named = named.unwrap_or_else(|| panic!("{} has no events, and its stories no name", template.name()));
    let own = |(number, event): (usize, &&str)| ((*event).to_owned(), format!("{named}{number}"));
    EventName::STANDARD.iter().enumerate().map(own).collect()
}

/// Our names of all events that an account at the platform takes.
pub fn events_of(template: &DestinationTemplate) -> Vec<String> {
    template.events().keys().cloned().chain(own_events(template).into_keys()).collect()
}

/// An account at a platform.
pub fn account(template: &Arc<DestinationTemplate>) -> ReadyDestination {
    let spec = DestinationSpec {
        id: DestinationId::parse("main").unwrap(),
        template: Arc::clone(template),
        mode: DestinationMode::Live,
        endpoint: None,
        token_endpoint: None,
        on_rejected: None,
        settings: settings_of(template),
        events: own_events(template),
    };
    match ReadyDestination::build(spec) {
        Ok(ready) => ready,
        Err(problems) => panic!("{}: {problems:?}", template.name()),
    }
}

/// A value for a platform's click parameter or cookie, as the platform's own script writes it.
fn mark(name: &str) -> String {
    match name {
        "_fbp" => "fb.1.1758460000000.123456789".to_owned(),
        "_fbc" => "fb.1.1758460000000.IwAR0AbC".to_owned(),
        "_ga" => "GA1.1.123456789.1758460000".to_owned(),
        name if name.starts_with("_ga_") => "GS2.1.s1758460000$o1$g0$t1758460000$j60$l0$h0".to_owned(),
        "_rdt_uuid" => "1758460000000.5d6c2a1e-1111-4222-8333-123456789abc".to_owned(),
        "fbclid" => "IwAR0AbC".to_owned(),
        "msclkid" => "4a1e5f0c-1111-4222-8333-123456789abc".to_owned(),
        // As long as they are.
        "tblci" => format!("GiC{}", "AbC1".repeat(16)),
        other => format!("{}AbC-1", other.trim_matches(['_', '*'])),
    }
}

/// A click with everything that this template wants to know of it.
pub fn known_click(template: &DestinationTemplate) -> Click {
    let cookie = |name: &String| {
        let name = name.replace('*', "ABC123");
        let value = mark(&name);
        (name, value)
    };
    Click {
        landing_url: Some("https://shop.example/lp?utm_source=x".to_owned()),
        referrer: Some("https://news.example/a".to_owned()),
        params: template.landing_params().iter().map(|name| (name.clone(), mark(name))).collect(),
        cookies: template.cookies().iter().map(cookie).collect(),
        ..click()
    }
}

/// A sale of which everything is known.
pub fn known_conversion(event: &str) -> Conversion {
    let mut conversion = Conversion {
        id: ConversionId::derive(&conversion().source, event, "transaction:1"),
        event: EventName::parse(event).unwrap(),
        ..conversion()
    };
    let traits = [
        (CustomerTrait::Email, "Ann.Lee+x@Shop.example"),
        (CustomerTrait::Phone, "+1 (415) 555-0100"),
        (CustomerTrait::FirstName, "Ann"),
        (CustomerTrait::LastName, "Lee"),
        (CustomerTrait::City, "New York"),
        (CustomerTrait::State, "NY"),
        (CustomerTrait::Zip, "10001-1234"),
        (CustomerTrait::Country, "US"),
        (CustomerTrait::Gender, "female"),
        (CustomerTrait::Birthdate, "1990-02-28"),
        (CustomerTrait::ExternalId, "Customer-7"),
        (CustomerTrait::Ip, "203.0.113.9"),
        (CustomerTrait::UserAgent, "Mozilla/5.0 X"),
    ];
    for (name, value) in traits {
        conversion.traits.0.insert(name, value.to_owned());
    }
    let item = |id: &str, price: &str| SoldItem {
        id: Some(id.to_owned()),
        name: Some(format!("Thing {id}")),
        category: Some("things".to_owned()),
        quantity: Some("2".parse().unwrap()),
        price: Some(price.parse().unwrap()),
    };
    conversion.items = vec![item("565", "2.50"), item("566", "1.00")];
    conversion
}

/// A customer as a shop reports one: by number, written as people write it, in part hashed already or of no use.
pub fn known_customer(number: usize) -> Value {
    let customers = [
        json!({"email": "Ann.Lee+x@Shop.example", "phone": "+1 (415) 555-0100", "first_name": "Ann", "last_name": "Lee", "city": "New York", "state": "NY", "zip": "10001-1234", "country": "US", "gender": "female", "birthdate": "1990-02-28"}),
        json!({"email": "J.Silva@gmail.com", "phone": "+55 11 91234-5678", "first_name": "José", "last_name": "da Silva-López", "city": "São Paulo", "state": "SP", "zip": "01310-100", "country": "BRA", "gender": "M", "birthdate": "31.12.1985"}),
        json!({"email": "mueller@shop.example", "phone": "0170 1234567", "first_name": "Jürgen", "last_name": "Müller", "city": "München", "state": "Bayern", "zip": "D-80331", "country": "Germany", "birthdate": "31 Dec 1985"}),
        json!({"email": hash_of("mia@shop.example"), "phone": hash_of("+81312345678"), "first_name": "山田", "last_name": "花子", "city": "東京都", "zip": "100-0001", "country": "jp", "ip": "2001:db8::9"}),
        json!({"email": "not an address", "phone": "12", "first_name": "?", "city": "1", "zip": "-", "country": "Nowhere", "gender": "x", "birthdate": "01/02/1990", "ip": "10.0.0.1", "user_agent": "Mozilla/5.0 \"Y\""}),
    ];
    let mut customer = customers[number % customers.len()].clone();
    customer["external_id"] = Value::from(format!("Customer-{number}"));
    customer
}

/// The SHA-256 of a text, in lower case.
pub fn hash_of(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a request carries of it; `None` where nothing is sent.
pub fn part(
    destination: &ReadyDestination,
    conversion: &Conversion,
    click: Option<&Click>,
) -> Option<EventPart> {
    let delivery = delivery(conversion);
    let now = time("2026-09-21T14:20:00Z");
    let input = RenderInput {
        conversion,
        click,
        delivery: &delivery,
        kind: DeliveryKind::Event,
        sent: None,
        now,
        customer: Default::default(),
    };
    match destination.render_event(&input).unwrap().rendered {
        Rendered::Request(part, _) => Some(part),
        Rendered::Skip { .. } => None,
    }
}
