//! What is in an id's place until someone fills the id in is no id: the words of our own snippets, the
//! words of the trade, and macros of which a half arrived.

use std::collections::BTreeSet;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use postbridge::domain::code::CodedReason;
use postbridge::domain::postback::Verdict;
use postbridge::domain::rejection::code::RejectionCode;
use postbridge::domain::rejection::note::ReportNote;
use postbridge::store::contract::Store;
use postbridge::store::contract::conformance::fixture::work::first_page;
use postbridge::store::contract::lookup::ConversionFilter;
use postbridge::template::catalog::Catalog;
use postbridge::template::macros::detect::{ValueClass, ValueUse, classify};
use postbridge::view::postback::ReceiptView;

use crate::support::pages_fixture::PagesFixture;

/// Parameters that hold an id in some snippet of ours.
const IDS: [&str; 14] = [
    "transaction_id",
    "tid",
    "t",
    "order_id",
    "unique_id",
    "click_id",
    "cid",
    "r",
    "s2",
    "clickid",
    "txid",
    "reqid",
    "pb_cid",
    "api_key",
];

/// The values that a text gives to parameters with ids.
fn values_in(text: &str) -> BTreeSet<String> {
    let text = text
        .replace("&amp;", "&")
        .replace("&#x3D;", "=")
        .replace("&quot;", "\"")
        .replace("&lt;", "<")
        .replace("&gt;", ">");
    let parts = text.split(['?', '&', '"', '\'', ' ', '\n', '<', '>', '`', ',', ')']);
    let pairs = parts.filter_map(|part| part.split_once('='));
    let ids = pairs.filter(|(name, value)| IDS.contains(name) && !value.is_empty());
    ids.map(|(_, value)| percent_decode_str(value).decode_utf8_lossy().into_owned()).collect()
}

fn classified(text: &str) -> ValueClass {
    classify(text, text.as_bytes(), ValueUse::Id)
}

/// Sends the value as the transaction id with two clicks, and answers how many conversions there are.
async fn conversions_of_two_clicks(fixture: &PagesFixture, value: &str) -> usize {
    let before = fixture.store.conversions(ConversionFilter::default(), first_page(1000)).await.unwrap();
    let encoded = utf8_percent_encode(value, NON_ALPHANUMERIC).to_string();
    for click in ["k1", "k2"] {
        let click = format!("{click}-{}", before.items.len());
        let receipt = fixture.receive(format!("s2={click}&tid={encoded}&price=7").as_bytes()).await;
        assert!(matches!(receipt.verdict, Verdict::Accepted { .. }), "`{value}`: {receipt:?}");
    }
    let after = fixture.store.conversions(ConversionFilter::default(), first_page(1000)).await.unwrap();
    after.items.len() - before.items.len()
}

#[tokio::test]
async fn no_placeholder_that_we_print_merges_two_sales() {
    let fixture = PagesFixture::trading().await;
    let mut printed = BTreeSet::new();
    for page in ["/offers/565", "/offers/566", "/tag", "/campaigns", "/sources"] {
        printed.extend(values_in(&fixture.get(page).await.text));
    }
    let catalog = Catalog::load(None).unwrap();
    for name in catalog.source_names() {
        let template = catalog.source(name).unwrap();
        let all: Vec<String> = template.extra_params().into_iter().map(str::to_owned).collect();
        printed.extend(values_in(&template.postback_query(&all).unwrap()));
    }
    assert!(printed.iter().any(|value| value == "ORDER_ID") && printed.len() > 4, "{printed:?}");
    for value in &printed {
        // A number is an example of a real id.
        let is_number = value.bytes().all(|b| b.is_ascii_digit());
        assert!(is_number || classified(value) != ValueClass::Sound, "`{value}` is printed in an id's place");
        assert_eq!(conversions_of_two_clicks(&fixture, value).await, 2, "{value}");
    }
    let documents = [
        include_str!("../../README.md"),
        include_str!("../../docs/cake-api.md"),
        include_str!("../../docs/http-api.md"),
        include_str!("../../docs/network.md"),
        include_str!("../../docs/tag.md"),
        include_str!("../../templates/README.md"),
        include_str!("../../src/config/default.toml"),
    ];
    for value in documents.iter().flat_map(|text| values_in(text)) {
        assert_eq!(conversions_of_two_clicks(&fixture, &value).await, 2, "{value}");
    }
}

#[test]
fn words_that_stand_in_an_ids_place_are_no_ids() {
    let nothing = [
        "NaN",
        "nan",
        "(not set)",
        "-1",
        "undefined",
        "null",
        "0",
        "(none)",
        "NIL",
        "[object Object]",
        "false",
        "Unknown",
        "n.a.",
        "#N/A",
        "00000000-0000-0000-0000-000000000000",
        "{00000000-0000-0000-0000-000000000000}",
        "00000000000000000000000000000000",
    ];
    for word in nothing {
        assert_eq!(classified(word), ValueClass::Nothing, "{word}");
    }
    for word in [
        "PURCHASE",
        "purchase",
        "Lead",
        "ORDER_ID",
        "order-id",
        "OrderID",
        "orderId",
        "TRANSACTION_ID",
        "txn_id",
        "REPLACE",
        "replace",
        "REPLACE_ME",
        "REPLACE_WITH_ORDER_ID",
        "YOUR_ORDER_ID",
        "your-order-id",
        "Your Order Number",
        "XXXXXX",
        "xxxxx",
        "######",
        "CLICK_ID",
        "AFF_SUB_ID",
        "conversion_id",
        "TID",
        "order_number",
        "INSERT_ID_HERE",
        "API_KEY",
        "0mwpk…",
        "ID_HERE",
        "id-of-order",
        "replace_this_2",
    ] {
        assert_eq!(classified(word), ValueClass::Skeleton, "{word}");
    }
}

#[test]
fn macros_of_every_grammar_and_their_halves_are_no_ids() {
    for text in [
        "{transaction_id",
        "{tid",
        "#tid",
        "tid}",
        "tid#",
        "{{ad.id",
        "${SUBID",
        "[subid1",
        "subid1]",
        "#s2",
        "{get.subid}",
        "{hit.data2}",
        "{event.s1}",
        "{url(sid)}",
        "##X(action)##",
        "{$IMP_ID}",
        "%guid%",
        "(S_CLICK_ID)",
        "__SID__",
        "__CALLBACK_PARAM__",
        "[subid1]",
        "%%X%%",
        "%%ORDER_ID%%",
        "@x@",
        "@@order@@",
        "[REPLACE]",
        "{order_id}-{goal",
        "%tid",
        "<click_id",
        "@order_id",
        "$order_id",
        "$orderId",
        ":order_id",
        "<%= order.id %>",
        "<?= $order_id ?>",
        "%s",
        "__SID",
    ] {
        assert!(matches!(classified(text), ValueClass::Macro(_)), "{text}: {:?}", classified(text));
        let once = utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        assert!(
            matches!(classified(&once), ValueClass::Macro(_)),
            "encoded twice: {once}: {:?}",
            classified(&once)
        );
    }
    for raw in ["%7Btransaction_id", "%23tid", "%%ad_id%%", "%advid%", "%5Bsubid"] {
        let value = percent_decode_str(raw).decode_utf8_lossy();
        assert!(matches!(classify(&value, raw.as_bytes(), ValueUse::Id), ValueClass::Macro(_)), "{raw}");
    }
}

#[test]
fn real_ids_stay_ids() {
    for id in [
        "1001",
        "#1001",
        "#1001#",
        "#EN1001",
        "A@B",
        "ann@shop.example",
        "ORD-98765",
        "TXN-00112233",
        "order-4711",
        "PURCHASE-4711",
        "lead_88",
        "a1b2c3",
        "3F2504E0-4F89-11D3-9A0C-0305E82C3301",
        "x1x1x1",
        "10",
        "-100",
        "jxWUv1dyfyUCQnUF808u4iM7b0tMSpb88t",
        "valid",
        "madrid",
        "covid-19",
        "replaced",
        "your1",
        "xx",
        "id4711",
        "2026-11-27#3",
        "100%",
        "C#1001",
        "optional-77",
        "sale 12",
        "0mwpksvhilar8xlr3p1necay2ja82",
        "00017",
        "ID-XKCDQW",
        "YOUR-SHOP-10234",
        "put-in-bay-4711",
        "#EN1",
        "#ABC12",
        "#POS-12",
        "__xYzabcKLmnQ",
        "_8kXw",
        "ann+tag@shop.example",
        "3f2504e04f8911d39a0c0305e82c3301",
        "{3F2504E0-4F89-11D3-9A0C-0305E82C3301}",
        "urn:uuid:3f2504e0-4f89-11d3-9a0c-0305e82c3301",
        "00000000-0000-0000-0000-000000000001",
        "gid://shop/Order/4711",
        "pi_3MtwBwLkdIwHu7ix28a3tqPa",
        "cs_test_a1b2c3",
        "txn-id-88172",
        "4711:1",
        "4711/2026",
        "$100-4711",
        "Ä-4711",
        "订单-4711",
    ] {
        assert_eq!(classified(id), ValueClass::Sound, "{id}");
    }
    for text in ["PURCHASE", "XXXXXX", "#tid", "order_id", "NaN", "-1", "@home"] {
        assert_eq!(
            classify(text, text.as_bytes(), ValueUse::Text),
            ValueClass::Sound,
            "{text} is a text like others"
        );
    }
}

#[tokio::test]
async fn an_id_that_is_none_is_absent_and_named_in_the_hint() {
    let fixture = PagesFixture::new();
    for (query, field, value) in [
        ("s2=k1&tid=%23tid%23&price=7", "tid", "#tid#"),
        ("s2=k2&tid=PURCHASE&price=7", "tid", "PURCHASE"),
        ("s2=%23s2%23&tid=T-1001&price=7", "s2", "#s2#"),
        ("s2=k3&tid=NaN&price=7", "tid", "NaN"),
    ] {
        let receipt = fixture.receive(query.as_bytes()).await;
        assert!(matches!(receipt.verdict, Verdict::Accepted { .. }), "{query}: {receipt:?}");
        let problem = receipt.notes[0].problem().unwrap();
        assert_eq!((problem.field.as_str(), problem.value.as_deref()), (field, Some(value)), "{query}");
        let document = serde_json::to_value(ReceiptView::of(&receipt)).unwrap();
        assert!(document["hint"].is_string(), "{query}: {document}");
    }
    // Without a transaction id the click and the event decide.
    let again = fixture.receive(b"s2=k2&tid=PURCHASE&price=7").await;
    assert!(matches!(again.verdict, Verdict::Duplicate { .. }), "{again:?}");
    // With neither, every postback counts and says so.
    for _ in 0..2 {
        let neither = fixture.receive(b"s2=CLICK_ID&tid=ORDER_ID&price=7").await;
        assert!(matches!(neither.verdict, Verdict::Accepted { .. }));
        assert!(neither.notes.contains(&ReportNote::NoIdentity));
    }
    // An event's word stays an event, and a value that is needed still stops the postback.
    let whole = fixture.receive(b"s1=#s1#&tid=#tid#&s2=#s2#&price=#price#").await;
    let Verdict::Quarantined(rejection) = whole.verdict else { panic!("the URL as it was copied") };
    assert_eq!(rejection.code(), RejectionCode::UnexpandedMacro);
    assert_eq!((rejection.field(), rejection.value()), (Some("price"), Some("#price#")));
}
