//! Payloads: normalized and hashed as the platforms want, money digit for digit, nothing empty, nothing made up.

use std::sync::Arc;

use crate::support::payload_fixture::{
    built_in, click, conversion, delivery, hashed, meta, ready, render, request, time, user_data,
};
use postbridge::domain::attribution::Attribution;
use postbridge::domain::click::CustomerTrait;
use postbridge::domain::consent::Consent;
use postbridge::domain::customer::CustomerFormat;
use postbridge::domain::delivery::{PlatformResponse, Reply};
use postbridge::domain::money::{Currency, Money};
use postbridge::domain::sent::DeliveryKind;
use postbridge::domain::time::Time;
use postbridge::template::destination::definition::DestinationTemplate;
use postbridge::template::destination::ready::ReadyDestination;
use postbridge::template::destination::rendering::{RenderInput, Rendered};
use proptest::prelude::*;
use rust_decimal::Decimal;
use serde_json::Value;
use sha2::Sha256;

#[test]
fn traits_are_normalized_before_they_are_hashed() {
    for (name, member, reported, normal) in [
        (CustomerTrait::Email, "em", " Ann.Lee+x@GMail.com ", "ann.lee+x@gmail.com"),
        (CustomerTrait::Email, "em", "john.d@googlemail.com", "john.d@googlemail.com"),
        (CustomerTrait::Phone, "ph", "+1 (415) 555-0100", "14155550100"),
        (CustomerTrait::Phone, "ph", "0049 170 1234567", "491701234567"),
        (CustomerTrait::Phone, "ph", "14155550100", "14155550100"),
        (CustomerTrait::FirstName, "fn", "Ann-Marie", "annmarie"),
        (CustomerTrait::FirstName, "fn", "王", "王"),
        (CustomerTrait::LastName, "ln", " O'Neil ", "oneil"),
        (CustomerTrait::City, "ct", "São Paulo", "sãopaulo"),
        (CustomerTrait::City, "ct", "北京", "北京"),
        (CustomerTrait::City, "ct", "Newark 3", "newark"),
        (CustomerTrait::State, "st", "California", "ca"),
        (CustomerTrait::State, "st", "CA", "ca"),
        (CustomerTrait::State, "st", "Nordrhein-Westfalen", "nordrheinwestfalen"),
        (CustomerTrait::Zip, "zp", "94105-1234", "94105"),
        (CustomerTrait::Zip, "zp", "SW1A 1AA", "sw1a1aa"),
        (CustomerTrait::Country, "country", "US", "us"),
        (CustomerTrait::Country, "country", "United States", "us"),
        (CustomerTrait::Country, "country", "DEU", "de"),
        (CustomerTrait::Gender, "ge", "Female", "f"),
        (CustomerTrait::Gender, "ge", "M", "m"),
        (CustomerTrait::Birthdate, "db", "1984-02-29", "19840229"),
        (CustomerTrait::Birthdate, "db", "1984/02/29", "19840229"),
        (CustomerTrait::Birthdate, "db", "19840229", "19840229"),
        (CustomerTrait::Birthdate, "db", "1984-02-29T00:00:00Z", "19840229"),
    ] {
        assert_eq!(user_data(name, reported, member), hashed(normal), "{reported}");
    }
}

#[test]
fn what_cannot_be_read_is_left_out_and_never_hashed() {
    for (name, member, reported) in [
        (CustomerTrait::Email, "em", ""),
        (CustomerTrait::Email, "em", "  "),
        (CustomerTrait::Email, "em", "ann"),
        (CustomerTrait::Email, "em", "@example.com"),
        (CustomerTrait::Email, "em", "ann lee@example.com"),
        (CustomerTrait::Email, "em", "a@b@c"),
        (CustomerTrait::Email, "em", "null"),
        (CustomerTrait::Email, "em", "{email}"),
        (CustomerTrait::Phone, "ph", "0170 1234567"),
        (CustomerTrait::Phone, "ph", "none"),
        (CustomerTrait::Phone, "ph", "123"),
        (CustomerTrait::Phone, "ph", "1234567890123456"),
        (CustomerTrait::FirstName, "fn", "-"),
        (CustomerTrait::FirstName, "fn", "undefined"),
        (CustomerTrait::City, "ct", "12345"),
        (CustomerTrait::Country, "country", "Neverland"),
        (CustomerTrait::Gender, "ge", "x"),
        (CustomerTrait::Birthdate, "db", "02/03/1984"),
        (CustomerTrait::Birthdate, "db", "1984-02-30"),
        (CustomerTrait::Birthdate, "db", "1984"),
    ] {
        assert_eq!(user_data(name, reported, member), Value::Null, "{reported}");
    }
}

#[test]
fn a_hash_passes_through_in_lower_case() {
    let hash = "B4C9A289323B21A01C3E940F150EB9B8C542587F1ABFD8F0E1CC1FFC5E475514";
    let expected = serde_json::json!([hash.to_lowercase()]);
    for (name, member) in [
        (CustomerTrait::Email, "em"),
        (CustomerTrait::Phone, "ph"),
        (CustomerTrait::FirstName, "fn"),
        (CustomerTrait::Zip, "zp"),
    ] {
        assert_eq!(user_data(name, hash, member), expected, "{member}");
    }
    let appended = format!("{hash}.AQYBAQMA");
    let expected = serde_json::json!([format!("{}.AQYBAQMA", hash.to_lowercase())]);
    assert_eq!(user_data(CustomerTrait::Email, &appended, "em"), expected);
}

#[test]
fn a_click_id_that_looks_like_a_hash_is_hashed_all_the_same() {
    let id = "a".repeat(64);
    let mut conversion = conversion();
    conversion.attribution = Attribution::Unmatched { given: id.clone() };
    conversion.traits.0.insert(CustomerTrait::UserAgent, "Mozilla/5.0 X".to_owned());
    let request = request(meta(), &conversion, None);
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(body["data"][0]["user_data"]["external_id"], hashed(&id));
}

#[test]
fn a_secret_is_masked_wherever_the_request_is_shown() {
    let request = request(meta(), &conversion(), Some(&click()));
    let token = ("authorization".to_owned(), "Bearer secret-token".to_owned());
    assert!(request.headers.contains(&token));
    let shown = request.masked();
    assert!(!format!("{shown:?}").contains("secret-token"));
    assert!(shown.headers.contains(&("authorization".to_owned(), "Bearer ***".to_owned())));
}

#[test]
fn of_a_webhooks_address_only_the_host_is_shown() {
    let key = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz";
    let shown_of = |url: &str| {
        let destination = ready(built_in("webhook"), &[("url", url), ("secret", key)]);
        let request = request(&destination, &conversion(), None);
        assert_eq!(request.url, url, "what is sent is whole");
        let echo = PlatformResponse {
            status: 404,
            headers: Vec::new(),
            body: format!("Cannot POST {}", url.split_once(".example").unwrap().1).into_bytes(),
            truncated: false,
        };
        let classified =
            format!("{:?}", destination.classify(&Reply::Answer(echo), time("2026-09-21T14:20:00Z")));
        (request.masked().url, classified)
    };
    let (shown, classified) = shown_of("https://hooks.example/services/T0AB/B1CD/x7Yz9Secret");
    assert_eq!(shown, "https://hooks.example/***");
    assert!(classified.contains("Cannot POST /***") && !classified.contains("x7Yz9Secret"), "{classified}");
    let (shown, classified) = shown_of("https://hooks.example/in?token=abcdefgh12345678&v=1");
    assert_eq!(shown, "https://hooks.example/***");
    assert!(!classified.contains("abcdefgh12345678"), "{classified}");
    let (shown, _) = shown_of("https://ann:pass-word@hooks.example/in");
    assert_eq!(shown, "https://***@hooks.example/in");
    let (shown, _) = shown_of("https://hooks.example/in");
    assert_eq!(shown, "https://hooks.example/in", "too short for a key");
    let (shown, _) = shown_of("https://hooks.example");
    assert_eq!(shown, "https://hooks.example");
}

/// Python made the expected signature:
///
/// ```python
/// message = b'591e960b058ab6bd650abd41c2f4918c~main~first.1790000400.{"v":7.00,"t":"7.00"}'
/// base64.b64encode(hmac.new(b'012345678901234567890123', message, hashlib.sha256).digest())
/// ```
#[test]
fn a_signature_is_the_one_that_another_language_makes() {
    let auth = "[request.auth]\nkind = \"standard-webhooks\"\nkeys = [\"key\"]\n[[setting]]\nname = \"key\"\nlabel = \"Key\"\nkind = \"signing-key\"\n";
    let destination = number_template(auth, &[("key", "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz")]);
    let request = request(&destination, &conversion(), None);
    assert_eq!(String::from_utf8(request.body).unwrap(), r#"{"v":7.00,"t":"7.00"}"#);
    let expected =
        ("webhook-signature".to_owned(), "v1,c5nMq2i6f+j025D9vc+XWQp3QBUMHtuagDC/jN+sOUI=".to_owned());
    assert!(request.headers.contains(&expected), "{:?}", request.headers);
}

#[test]
fn a_webhook_is_signed_over_id_time_and_exact_body() {
    use base64::Engine;
    use hmac::{Hmac, Mac};
    let engine = base64::engine::general_purpose::STANDARD;
    let secret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz";
    let previous = "OTg3NjU0MzIxMDk4NzY1NDMyMTA5ODc2NTQzMjEwOTg=";
    let settings = [("url", "https://hooks.example/x"), ("secret", secret), ("previous_secret", previous)];
    let webhook = ready(built_in("webhook"), &settings);
    let conversion = conversion();
    let request = request(&webhook, &conversion, None);
    let header = |name: &str| request.headers.iter().find(|(known, _)| known == name).unwrap().1.clone();
    assert_eq!(header("webhook-id"), delivery(&conversion).to_string());
    assert!(!header("webhook-id").contains('.'));
    assert_eq!(header("webhook-timestamp"), "1790000400");
    let signature = |key: &[u8]| {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        mac.update(format!("{}.1790000400.", header("webhook-id")).as_bytes());
        mac.update(&request.body);
        format!("v1,{}", engine.encode(mac.finalize().into_bytes()))
    };
    let new = signature(b"012345678901234567890123");
    let old = signature(b"98765432109876543210987654321098");
    assert_eq!(header("webhook-signature"), format!("{new} {old}"));
}

#[test]
fn a_retry_carries_the_same_bytes() {
    let meta = meta();
    let (conversion, click) = (conversion(), click());
    let first = request(meta, &conversion, Some(&click));
    let later = time("2026-09-25T00:00:00Z");
    let id = delivery(&conversion);
    let customer = CustomerFormat::default();
    let input = RenderInput {
        conversion: &conversion,
        click: Some(&click),
        delivery: &id,
        kind: DeliveryKind::Event,
        sent: None,
        now: later,
        customer,
    };
    let Rendered::Request(second, _) = meta.render(&input).unwrap().rendered else { panic!("skipped") };
    assert_eq!(first, second);
}

#[test]
fn what_a_request_says_is_named_apart_with_the_ids_that_are_in_it_and_no_others() {
    let (conversion, mut click) = (conversion(), click());
    let first_party = ("_fbp".to_owned(), "fb.1.1789999000000.1234567890".to_owned());
    click.cookies = vec![first_party.clone(), ("_fbc".to_owned(), "malformed".to_owned())];
    click.params.push(("utm_source".to_owned(), "ads".to_owned()));
    let sent = |click| match render(meta(), &conversion, click).rendered {
        Rendered::Request(_, sent) => *sent,
        Rendered::Skip { reason } => panic!("skipped: {reason:?}"),
    };
    let with_click = sent(Some(&click));
    assert_eq!((with_click.event.as_str(), with_click.value), ("Purchase", conversion.value));
    assert_eq!(
        (with_click.event_time, with_click.event_id),
        (conversion.event_time, conversion.id.event_id())
    );
    assert_eq!(with_click.ids, [("fbclid".to_owned(), "IwAR0AbC".to_owned()), first_party]);
}

#[test]
fn a_visitors_answer_is_reported_in_the_platforms_words_and_left_out_where_no_one_asked() {
    let toml = "label = \"N\"\n[events]\nPurchase = \"p\"\n[request]\nurl = \"https://n.example/\"\n";
    let body = r#"{"data": {{answer click.ad_user_data yes="GRANTED" no="DENIED"}}, "ads": {{answer click.ad_personalization yes="G" no="D"}}}"#;
    let files = [("destination.toml", toml), ("event.json.hbs", body)];
    let files = files.map(|(name, text)| (name.to_owned(), text.to_owned())).into_iter().collect();
    let destination = ready(Arc::new(DestinationTemplate::parse("answers", "answers", &files).unwrap()), &[]);
    let mut click = click();
    click.context.consent =
        Consent { ad_user_data: Some(true), ad_personalization: Some(false) }.said_at(Time::EPOCH);
    let reported = request(&destination, &conversion(), Some(&click)).body;
    assert_eq!(reported, br#"{"data":"GRANTED","ads":"D"}"#);
    click.context.consent =
        Consent { ad_user_data: Some(false), ad_personalization: None }.said_at(Time::EPOCH);
    assert_eq!(request(&destination, &conversion(), Some(&click)).body, br#"{"data":"DENIED"}"#);
}

/// A template of one number, for what happens to numbers.
fn number_template(more: &str, settings: &[(&str, &str)]) -> ReadyDestination {
    let toml = "label = \"N\"\n[events]\nPurchase = \"p\"\n[request]\nurl = \"https://n.example/\"\n";
    let files = [
        ("destination.toml", format!("{toml}{more}")),
        (
            "event.json.hbs",
            r#"{"v": {{number value}}, "t": {{text value}}, "p": {{json (param "p")}}, "o": {"a": [{{json (param "none")}}, {}]}}"#.to_owned(),
        ),
    ];
    let files = files.map(|(name, text)| (name.to_owned(), text)).into_iter().collect();
    ready(Arc::new(DestinationTemplate::parse("numbers", "numbers", &files).unwrap()), settings)
}

proptest! {
    #[test]
    fn a_value_leaves_with_exactly_its_digits(digits in -79_228_162_514_264_337_593_543_950_335i128..=79_228_162_514_264_337_593_543_950_335, scale in 0u32..=28) {
        let amount = Decimal::from_i128_with_scale(digits, scale);
        let mut conversion = conversion();
        conversion.value = Some(Money::new(amount, Currency::parse("USD").unwrap()));
        let request = request(&number_template("", &[]), &conversion, None);
        let expected = format!(r#"{{"v":{amount},"t":"{amount}"}}"#);
        prop_assert_eq!(String::from_utf8(request.body).unwrap(), expected);
    }

    #[test]
    fn no_text_breaks_the_document(text in any::<String>()) {
        let mut conversion = conversion();
        conversion.params = vec![("p".to_owned(), text.clone())];
        let request = request(&number_template("", &[]), &conversion, None);
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        prop_assert_eq!(body["p"].as_str().unwrap_or_default(), text);
    }

    #[test]
    fn every_trait_whatever_it_holds_is_a_hash_or_absent(text in any::<String>()) {
        for (name, member) in [
            (CustomerTrait::Email, "em"), (CustomerTrait::Phone, "ph"), (CustomerTrait::FirstName, "fn"), (CustomerTrait::City, "ct"),
            (CustomerTrait::State, "st"), (CustomerTrait::Zip, "zp"), (CustomerTrait::Country, "country"), (CustomerTrait::Gender, "ge"),
            (CustomerTrait::Birthdate, "db"),
        ] {
            match user_data(name, &text, member) {
                Value::Null => {}
                found => {
                    let hash = found[0].as_str().unwrap();
                    prop_assert!(hash.bytes().take(64).all(|b| b.is_ascii_hexdigit()), "{}", hash);
                    prop_assert_ne!(hash, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
                }
            }
        }
    }

    #[test]
    fn a_phone_number_is_the_same_however_it_is_written(digits in "[1-9][0-9]{7,13}") {
        let plain = user_data(CustomerTrait::Phone, &digits, "ph");
        for written in [format!("+{digits}"), format!("00{digits}"), format!(" +{} {}", &digits[..2], &digits[2..]), format!("({}) {}", &digits[..3], &digits[3..])] {
            prop_assert_eq!(&user_data(CustomerTrait::Phone, &written, "ph"), &plain, "{}", written);
        }
    }

    #[test]
    fn a_number_behind_what_could_be_a_carriers_code_is_read_alike(digits in "86(11|12|17)[0-9]{9,10}") {
        let plain = user_data(CustomerTrait::Phone, &digits, "ph");
        for written in [format!("+{digits}"), format!("00{digits}"), format!("+{} {}", &digits[..2], &digits[2..])] {
            prop_assert_eq!(&user_data(CustomerTrait::Phone, &written, "ph"), &plain, "{}", written);
        }
    }

    #[test]
    fn a_click_parameter_is_never_changed(fbclid in "[A-Za-z0-9_-]{1,200}") {
        let mut click = click();
        click.params = vec![("fbclid".to_owned(), fbclid.clone())];
        let request = request(meta(), &conversion(), Some(&click));
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let expected = format!("fb.1.1789999200123.{fbclid}");
        let found = body["data"][0]["user_data"]["fbc"].as_str();
        let skeleton = ["null", "undefined", "none", "nan"].iter().any(|word| fbclid.eq_ignore_ascii_case(word));
        prop_assert_eq!(found, (!skeleton).then_some(expected.as_str()));
    }
}
