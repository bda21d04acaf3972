//! How much of a click is kept and stored: never more than 6 KiB, ids whole, and each value once.

use std::sync::Arc;

use postbridge::domain::click::{Click, CustomerTrait, CustomerTraits, Pairs, find};
use postbridge::domain::click_size::{ClickSize, MOST_BYTES};
use postbridge::domain::ids::ClickId;
use postbridge::domain::omission::OmissionReason;
use postbridge::ingest::click::ClickDraft;
use postbridge::store::contract::Store;
use postbridge::store::contract::arrival::ClickRecorded;
use postbridge::store::contract::conformance::fixture::received::{at, click_id, unscreened, wait};
use postbridge::store::embedded::Embedded;
use postbridge::store::engine::kv::Kv;
use postbridge::store::engine::memory::Memory;

use crate::support::link_fixture::noise;

/// A store, and the engine below it.
fn store() -> (Embedded, Memory) {
    let memory = Memory::new();
    (Embedded::open(Arc::new(memory.clone()), Arc::default()).unwrap(), memory)
}

/// Records a click, and says how many bytes its record has.
fn record(click: &Click) -> (Click, usize) {
    let (store, memory) = store();
    wait(store.record_click(unscreened(click.clone()))).unwrap();
    drop(store);
    // Read back past every cache.
    let store = Embedded::open(Arc::new(memory.clone()), Arc::default()).unwrap();
    let kept = wait(store.click(&click.id)).unwrap().unwrap();
    (Click::clone(&kept), stored(&memory, &click.id))
}

fn stored(memory: &Memory, id: &ClickId) -> usize {
    let key = [b"K", id.as_str().as_bytes()].concat();
    memory.get(&key).unwrap().unwrap().len()
}

fn draft(landing_url: &str) -> ClickDraft {
    ClickDraft { landing_url: Some(landing_url.to_owned()), ..ClickDraft::default() }
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[test]
fn what_the_landing_url_holds_is_stored_once_and_read_as_it_was() {
    let (fbclid, s1) = (noise(1500, 1), noise(1500, 2));
    for url in [
        format!("https://shop.example/lp?fbclid={fbclid}&x={s1}&city=K%C3%B6ln+West"),
        format!("https://shop.example/{s1}/lp?x=1?fbclid={fbclid}#city=K%C3%B6ln%20West"),
    ] {
        let click = ClickDraft {
            params: vec![pair("fbclid", &fbclid), pair("utm_term", "Köln West")],
            sub_ids: vec![pair("s1", &s1), pair("s2", "not in the URL"), pair("s3", &s1[..700])],
            ..draft(&url)
        };
        let click = click.into_click(click_id("once"), at(0));
        assert!(click.context.omitted.named().is_empty(), "{:?}", click.context.omitted);
        let (kept, bytes) = record(&click);
        assert_eq!(kept, click);
        assert!(bytes < url.len() + 700 + 300, "{bytes} bytes for a URL of {}", url.len());
    }
}

/// What a stranger may send, in several shapes.
fn hostile(number: u64) -> ClickDraft {
    let values = |sort: u64, count: u64, length: usize| -> Pairs {
        (0..count)
            .map(|n| (format!("utm_{sort}_{n}"), noise(length, number * 1000 + sort * 100 + n)))
            .collect()
    };
    let (count, length) = [(8, 2000), (64, 300), (2, 4096), (64, 60), (1, 10)][number as usize % 5];
    let params = values(1, count, length);
    let query: Vec<String> = params.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let path = noise([3, 900, 9000][number as usize % 3], number);
    ClickDraft {
        landing_url: Some(format!("https://shop.example/{path}?{}#{}", query.join("&"), noise(900, number))),
        referrer: Some(format!("https://blog.example/{}", "é".repeat(4000 - number as usize % 7))),
        user_agent: Some(noise(1024, number + 7)),
        params,
        cookies: values(2, count / 2, length),
        sub_ids: values(3, count, length),
        customer: CustomerTraits(
            [(CustomerTrait::Email, noise(200, number)), (CustomerTrait::City, noise(3000, number))].into(),
        ),
        ..ClickDraft::default()
    }
}

#[test]
fn no_click_is_stored_larger_than_six_kib_whatever_is_sent_and_what_is_kept_of_ids_is_whole() {
    for number in 0..30 {
        let sent = hostile(number);
        let mut click = sent.clone().into_click(click_id(&"c".repeat(100)), at(0));
        for (size, most) in [(ClickSize::Full, MOST_BYTES), (ClickSize::Short, 1700)] {
            click.fit(size);
            let (kept, bytes) = record(&click);
            assert_eq!(kept, click, "{number}");
            assert!(bytes <= most, "{number}: {bytes} bytes");
            let texts = [&click.landing_url, &click.referrer, &click.user_agent];
            let held: usize = texts.into_iter().flatten().map(String::capacity).sum();
            assert!(held <= MOST_BYTES, "{number}: {held} bytes of memory, however much was cut off");
            for (kept, sent) in
                [(&kept.params, &sent.params), (&kept.cookies, &sent.cookies), (&kept.sub_ids, &sent.sub_ids)]
            {
                assert!(kept.iter().all(|(name, value)| find(sent, name) == Some(value)), "{number}");
            }
            let (url, whole) = (kept.landing_url.unwrap(), sent.landing_url.as_ref().unwrap());
            let rest = whole.strip_prefix(url.as_str()).unwrap();
            let between = rest.starts_with(['?', '&', '#']) || url.ends_with('/') || rest.is_empty();
            assert!(between, "{number}: no half parameter remains in {url}");
            assert!(sent.referrer.as_ref().unwrap().starts_with(&kept.referrer.unwrap()));
            assert!(kept.user_agent.is_none_or(|kept| Some(kept) == sent.user_agent));
            let omitted = kept.context.omitted;
            assert!(!omitted.named().is_empty(), "{number}: what is missing is named");
        }
    }
}

#[test]
fn referrer_and_landing_url_go_before_identifiers_do() {
    let (fbclid, cookie) = (noise(1000, 1), noise(1000, 2));
    let click = ClickDraft {
        params: vec![pair("fbclid", &fbclid)],
        cookies: vec![pair("_fbp", &cookie)],
        referrer: Some(format!("https://blog.example/?{}", noise(3000, 3))),
        ..draft(&format!("https://shop.example/lp?q={}&fbclid={fbclid}", noise(5000, 4)))
    };
    let click = click.into_click(click_id("c1"), at(0));
    assert_eq!(find(&click.params, "fbclid"), Some(fbclid.as_str()));
    assert_eq!(find(&click.cookies, "_fbp"), Some(cookie.as_str()));
    assert_eq!(click.landing_url.as_deref(), Some("https://shop.example/lp"));
    let named: Vec<(&str, OmissionReason)> =
        click.context.omitted.named().iter().map(|one| (one.field.as_str(), one.reason)).collect();
    let reason = OmissionReason::ClickTooLarge;
    assert_eq!(named, [("referrer", reason), ("landing_url", reason)]);
}

#[test]
fn an_ordinary_click_loses_nothing() {
    let fbclid = noise(180, 5);
    let click = ClickDraft {
        params: vec![pair("fbclid", &fbclid), pair("utm_campaign", "Spring sale 2026")],
        cookies: vec![
            pair("_fbp", "fb.1.1789980000000.1234567890"),
            pair("_ga", "GA1.1.1234567890.1789980000"),
        ],
        sub_ids: vec![pair("s1", &noise(60, 6))],
        referrer: Some(format!("https://social.example/{}", noise(600, 7))),
        user_agent: Some("Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X)".to_owned()),
        ..draft(&format!("https://shop.example/lp?utm_campaign=Spring+sale+2026&fbclid={fbclid}"))
    };
    let click = click.into_click(click_id("c1"), at(0));
    assert!(click.context.omitted.named().is_empty());
    let (kept, bytes) = record(&click);
    assert_eq!(kept, click);
    assert!(bytes < 1400, "{bytes}");
}

#[test]
fn a_known_click_is_filled_as_far_as_there_is_room_and_names_the_rest_once() {
    let (store, memory) = store();
    let first = ClickDraft {
        cookies: vec![pair("_fbp", &noise(2000, 1))],
        ..draft(&"https://a.example/".repeat(90))
    };
    let report = |draft: ClickDraft| {
        let click = draft.into_click(click_id("known"), at(0));
        wait(store.record_click(unscreened(click))).unwrap()
    };
    assert_eq!(report(first).recorded, ClickRecorded::New);
    let more = |number: u64| ClickDraft {
        params: vec![pair(&format!("utm_{number}"), &noise(700, number))],
        referrer: Some(format!("https://blog.example/{}", noise(3000, 9))),
        ..ClickDraft::default()
    };
    for number in 0..40 {
        report(more(number));
        let bytes = stored(&memory, &click_id("known"));
        assert!(bytes <= MOST_BYTES, "{number}: {bytes} bytes");
    }
    assert_eq!(report(more(39)).recorded, ClickRecorded::Known, "it says nothing new");
    let click = wait(store.click(&click_id("known"))).unwrap().unwrap();
    assert_eq!(click.landing_url.as_ref().map(String::len), Some(18 * 90));
    let omitted = click.context.omitted.named();
    assert!(omitted.iter().any(|one| one.field == "referrer"), "{omitted:?}");
    assert!(omitted.iter().any(|one| one.field.starts_with("params.utm_")), "{omitted:?}");
    assert!(click.context.omitted.has_more());
}
