//! The detector of macros that no one filled in: every grammar, once and twice encoded, and no more.

use postbridge::template::macros::detect::{ValueClass, ValueUse, classify};
use proptest::prelude::*;

/// Decodes once, as a parameter is, and classifies.
fn classified(raw: &str) -> ValueClass {
    let value = percent_encoding::percent_decode_str(raw).decode_utf8_lossy();
    classify(&value, raw.as_bytes(), ValueUse::Id)
}

fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// The macro of `word` in every grammar that networks are known to write.
fn grammars(word: &str) -> Vec<String> {
    let shout = word.to_uppercase();
    vec![
        format!("#{word}#"),
        format!("##{shout}##"),
        format!("##{shout}(action)##"),
        format!("###{shout}###"),
        format!("{{{word}}}"),
        format!("{{{word}(oid)}}"),
        format!("{{{word}: lead=reg sale=dep}}"),
        format!("{{{{{word}}}}}"),
        format!("{{{{ad.{word}}}}}"),
        format!("${{{word}}}"),
        format!("${{({word})!}}"),
        format!("[{word}]"),
        format!("[[[{word}]]]"),
        format!("[={word}=]"),
        format!("%{word}%"),
        format!("!!{word}!!"),
        format!("!!!{word}!!!"),
        format!("<{word}>"),
        format!("({word})"),
        format!("(event-{word})"),
        format!("__{shout}__"),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_macro_of_every_grammar_is_seen_raw_once_and_twice_encoded(word in "[a-z][a-zA-Z0-9_]{0,14}") {
        for text in grammars(&word) {
            let once = encoded(&text);
            let twice = encoded(&once);
            prop_assert!(matches!(classified(&text), ValueClass::Macro(_)), "raw {text}");
            prop_assert!(matches!(classified(&once), ValueClass::Macro(_)), "once {once}");
            prop_assert!(matches!(classified(&twice), ValueClass::Macro(_)), "twice {twice}");
        }
    }

    #[test]
    fn ids_of_letters_and_digits_are_sound(id in "[A-Za-z0-9][A-Za-z0-9._~-]{3,40}") {
        let known = ["null", "none", "undefined", "replace", "optional", "transaction_id", "request_session_id", "click_id", "clickid", "sale_amount"];
        prop_assume!(!known.iter().any(|word| id.eq_ignore_ascii_case(word)));
        prop_assert_eq!(classified(&id), ValueClass::Sound);
    }

    #[test]
    fn no_value_makes_the_detector_stumble(text in "\\PC{0,80}") {
        let value = text.clone();
        let verdict = classify(&value, text.as_bytes(), ValueUse::Text);
        prop_assert_eq!(verdict == ValueClass::Empty, text.trim().is_empty());
    }
}

#[test]
fn a_macro_whose_name_is_a_placeholder_is_a_macro() {
    for text in ["__TID__", "__CLICK_ID__", "(orderid)", "{transaction_id}"] {
        assert!(matches!(classified(text), ValueClass::Macro(_)), "{text}: {:?}", classified(text));
    }
}

#[test]
fn what_only_looks_like_a_macro_is_sound() {
    let sound = [
        "#1001",
        "#1",
        "#1001#",
        "[1,2]",
        "[]",
        "{\"a\":1}",
        "{\"a\": {\"b\":1}}",
        "%41%42",
        "100%",
        "(212) 555-0100",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)",
        "a<b>c",
        "__init__",
        "$7.00",
        "C#",
        "wow!!",
        "Tom & Jerry",
        "https://x.example/?a=b#top",
        "50% off (today)",
        "{3F2504E0-4F89-11D3-9A0C-0305E82C3301}",
        "{af2504e04f8911d39a0c0305e82c3301}",
        "(af2504e0-4f89-11d3-9a0c-0305e82c3301)",
        "order-{af2504e0-4f89-11d3-9a0c-0305e82c3301}",
    ];
    for text in sound {
        assert_eq!(classify(text, text.as_bytes(), ValueUse::Text), ValueClass::Sound, "{text}");
    }
}

#[test]
fn a_macro_within_other_text_is_seen() {
    for text in [
        "{transactionid}_77",
        "8817-{goal}",
        "a##SUB##b",
        "x-${SUBID}",
        "_{goal}",
        "a!!!clickRef!!!",
        "k[[[subid]]]",
        "v[=TransID=]",
        "{af2504e0-4f89-11d3-9a0c-0305e82c330}",
        "{af2504e0-4f89-11d3-9a0c-0305e82c3301}_{goal}",
        "\u{200b}{sub1}\u{feff}",
    ] {
        assert!(matches!(classify(text, text.as_bytes(), ValueUse::Id), ValueClass::Macro(_)), "{text}");
    }
}

#[test]
fn a_skeletons_words_are_no_values() {
    for text in
        ["REPLACE", "optional", "TRANSACTION_ID", "REQUEST_SESSION_ID", "click_id", "ClickID", "SALE_AMOUNT"]
    {
        assert_eq!(classify(text, b"", ValueUse::Id), ValueClass::Skeleton, "{text}");
    }
    assert!(matches!(classify("[REPLACE]", b"", ValueUse::Id), ValueClass::Macro(_)));
}

#[test]
fn some_words_stand_for_nothing_and_0_does_for_an_id() {
    for text in ["null", "NULL", "undefined", "None", "n/a", "-", " - "] {
        assert_eq!(classify(text, b"", ValueUse::Text), ValueClass::Nothing, "{text}");
    }
    assert_eq!(classify("0", b"0", ValueUse::Id), ValueClass::Nothing);
    assert_eq!(classify("0", b"0", ValueUse::Amount), ValueClass::Sound);
    assert_eq!(classify("0", b"0", ValueUse::Text), ValueClass::Sound);
    assert_eq!(classify(" \t", b"", ValueUse::Id), ValueClass::Empty);
}
