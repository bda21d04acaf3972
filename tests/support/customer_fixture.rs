//! Customer data of a conversion, and what a built-in destination sends of it.

use std::sync::LazyLock;

use postbridge::domain::click::CustomerTrait;
use postbridge::domain::code::{CodedReason, ReasonCode};
use postbridge::domain::customer::{CustomerFormat, DateOrder, PhoneRegion};
use postbridge::template::destination::ready::ReadyDestination;
use postbridge::template::destination::rendering::Rendered;
use serde_json::Value;

use crate::support::payload_fixture::{built_in, click, conversion, hashed, ready, render_as};

pub fn meta_with(calling_code: Option<&str>) -> ReadyDestination {
    let page = ("event_source_url", "https://shop.example/");
    let mut settings = vec![("pixel_id", "12"), ("access_token", "token"), page];
    settings.extend(calling_code.map(|code| ("calling_code", code)));
    ready(built_in("meta"), &settings)
}

pub static META: LazyLock<ReadyDestination> = LazyLock::new(|| meta_with(None));

pub fn known_as(region: Option<&str>, birthdate: Option<DateOrder>) -> CustomerFormat {
    CustomerFormat { phone_region: region.map(|region| PhoneRegion::parse(region).unwrap()), birthdate }
}

/// The member of `user_data` that these traits become, and the codes and fields of the remarks.
pub fn sent(
    destination: &ReadyDestination,
    traits: &[(CustomerTrait, &str)],
    member: &str,
    customer: CustomerFormat,
) -> (Value, Vec<String>) {
    let mut conversion = conversion();
    for (name, text) in traits {
        conversion.traits.0.insert(*name, (*text).to_owned());
    }
    let rendering = render_as(destination, &conversion, Some(&click()), customer);
    let Rendered::Request(request, _) = rendering.rendered else { panic!("skipped") };
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    let remarks = rendering
        .remarks
        .iter()
        .map(|remark| format!("{} {}", remark.code().as_str(), remark.field().unwrap()));
    (body["data"][0]["user_data"][member].clone(), remarks.collect())
}

pub fn usual(name: CustomerTrait, text: &str, member: &str) -> (Value, Vec<String>) {
    sent(&META, &[(name, text)], member, CustomerFormat::default())
}

pub fn becomes(name: CustomerTrait, member: &str, pairs: &[(&str, &str)]) {
    for (text, normal) in pairs {
        assert_eq!(usual(name, text, member), (hashed(normal), vec![]), "{text:?}");
    }
}

pub fn is_left_out(name: CustomerTrait, member: &str, texts: &[&str]) {
    for text in texts {
        let remark = format!("value_left_out traits.{}", name.name());
        assert_eq!(usual(name, text, member), (Value::Null, vec![remark]), "{text:?}");
    }
}
