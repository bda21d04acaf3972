//! What is found in a postback URL as someone pasted it at the network.

use postbridge::domain::code::{CodedReason, ReasonCode};
use postbridge::domain::ids::SourceId;
use postbridge::domain::money::Currency;
use postbridge::domain::url_finding::UrlFindingCode;
use postbridge::template::catalog::Catalog;
use postbridge::template::source::definition::{SourceBinding, SourceTemplate};
use postbridge::template::source::pasted_address::ExpectedAddress;
use postbridge::template::source::url_lint::LintedUrl;
use proptest::prelude::*;

const KEY: &str = "k3y-of-the-network-4711";
const BASE: &str = "https://t.example.com/hooks";

fn binding() -> SourceBinding {
    SourceBinding::of(SourceId::parse("mine").unwrap())
}

fn looked_over(template: &SourceTemplate, pasted: &str) -> LintedUrl {
    let binding = SourceBinding { currency: Currency::parse("USD"), ..binding() };
    let keys = vec!["another-k3y-4711", KEY];
    let expected = ExpectedAddress { base: BASE, keys, checks_key: true, source: "mine" };
    template.lint_url(&binding, &expected, pasted)
}

fn named(name: &str) -> std::sync::Arc<SourceTemplate> {
    Catalog::load(None).unwrap().source(name).unwrap()
}

/// Each finding as `code field value → hint`.
fn found(template: &str, query: &str) -> Vec<String> {
    let linted = looked_over(&named(template), &format!("{BASE}/{KEY}/collect/mine?{query}"));
    let line = |finding: &postbridge::domain::url_finding::UrlFinding| {
        let (field, value) = (finding.field().unwrap_or("-"), finding.value().unwrap_or("-"));
        format!("{} {field} {value} → {}", finding.code().as_str(), finding.hint())
    };
    linted.findings.iter().map(line).collect()
}

fn codes(pasted: &str) -> Vec<&'static str> {
    let linted = looked_over(&named("affise"), pasted);
    linted.findings.iter().map(|finding| finding.code().as_str()).collect()
}

/// The URL as it is to be pasted, of Affise.
const WHOLE: &str = "click_id={sub1}&transaction_id={transactionid}&payout={sum}&currency={currency}&status={status}\
                     &goal={goal}&offer_id={offerid}";

#[test]
fn the_url_that_we_print_is_clean_for_every_template() {
    let catalog = Catalog::load(None).unwrap();
    for name in catalog.source_names() {
        let template = catalog.source(name).unwrap();
        let extra: Vec<String> = template.extra_params().into_iter().map(str::to_owned).collect();
        let query = template.postback_query(&extra).unwrap();
        let url = format!("{BASE}/{KEY}/collect/mine?{query}");
        let linted = looked_over(&template, &url);
        assert!(linted.findings.is_empty(), "{name}: {url}: {:?}", linted.findings);
        // A webhook's address has no query.
        let printed = if query.is_empty() { url.trim_end_matches('?') } else { &url };
        assert_eq!(linted.shown, printed.replace(KEY, "***"));
    }
}

#[test]
fn each_kind_of_mistake_in_a_query_is_found_with_what_to_write() {
    let with = |old: &str, new: &str| WHOLE.replace(old, new);
    for (query, wanted) in [
        (with("{sum}", "REPLACE"), "skeleton_word payout REPLACE → write `{sum}`"),
        (with("{sub1}", "[REPLACE]"), "skeleton_word click_id [REPLACE] → write `{sub1}`"),
        (with("{sub1}", "YOUR_CLICK_ID"), "skeleton_word click_id YOUR_CLICK_ID → write `{sub1}`"),
        (with("={status}", "=YOUR_STATUS"), "skeleton_word status YOUR_STATUS → write `{status}`"),
        (with("{sub1}", "{Sub1}"), "unknown_macro click_id {Sub1} → did you mean `{sub1}`?"),
        (with("{sub1}", "#sub1#"), "unknown_macro click_id #sub1# → did you mean `{sub1}`?"),
        (with("{sub1}", "{{sub1}}"), "unknown_macro click_id {{sub1}} → did you mean `{sub1}`?"),
        (with("{sub1}", "${sub1}"), "unknown_macro click_id ${sub1} → did you mean `{sub1}`?"),
        (with("{sub1}", "sub1"), "unknown_macro click_id sub1 → did you mean `{sub1}`?"),
        (
            with("{transactionid}", "{transaction_id}"),
            "unknown_macro transaction_id {transaction_id} → did you mean `{transactionid}`?",
        ),
        (
            with("{transactionid}", "{transactionid}_{gaol}"),
            "unknown_macro transaction_id _{gaol} → did you mean `{goal}`?",
        ),
        (with("{sum}", "%7Bsum%7D"), "encoded_macro payout %7Bsum%7D → write `{sum}`"),
        (with("{currency}", "EURO"), "wrong_constant currency EURO → "),
        (with("={status}", "=approved"), "wrong_constant status approved → "),
        (
            with("{transactionid}", "1001"),
            "constant_id transaction_id 1001 → put the network's macro in its place",
        ),
        (with("&status={status}", ""), "missing_status status - → add `status={status}`"),
        (with("={status}", "="), "missing_status status - → add `status={status}`"),
        (
            with("&transaction_id={transactionid}", ""),
            "missing_field transaction_id - → add `transaction_id={transactionid}`",
        ),
        (with("payout=", "pay_out="), "unread_parameter pay_out - → did you mean `payout`?"),
        (
            format!("{WHOLE}&utm_source=x"),
            "unread_parameter utm_source - → take it out, or name it as the template does",
        ),
        (format!("{WHOLE}&payout={{sum}}"), "repeated_parameter payout - → leave one of them out"),
        (with("{offerid}", "a#b"), "fragment offer_id - → write `%23` for it, or take it out"),
        (WHOLE.replace('&', "&amp;"), "escaped_ampersand - - → write `&` between parameters"),
        (with("&offer_id", "?offer_id"), "two_question_marks offer_id - → write `&` between parameters"),
    ] {
        let found = found("affise", &query);
        assert!(
            found.iter().any(|finding| finding.starts_with(wanted)),
            "{query}: wanted {wanted}: {found:#?}"
        );
        let follows = ["pay_out="].iter().any(|both| query.contains(both));
        assert!(found.len() == 1 || follows, "{query}: {found:#?}");
    }
    let shakes = "click_id={sub1}&payout={cost}&currency={currency}&status=none";
    assert_eq!(found("shakes", shakes), Vec::<String>::new(), "its word for what waits");
    // A constant that the source understands, and a macro next to other text, are as good.
    for query in [
        with("={status}", "=2"),
        with("{sub1}", "x-{sub1}"),
        with("{sub1}", "{sub2}"),
        with("&currency={currency}", ""),
    ] {
        assert_eq!(found("affise", &query), Vec::<String>::new(), "{query}");
    }
}

#[test]
fn a_hash_is_a_macros_mark_where_the_network_writes_it_so() {
    let whole = "s1=#s1#&s2=#s2#&s3=#s3#&s4=#s4#&s5=#s5#&oid=#oid#&affid=#affid#&campid=#campid#&cid=#cid#&tid=#tid#&price=#price#&status=#status#";
    assert_eq!(found("cake", whole), Vec::<String>::new());
    for (old, new, wanted) in [
        ("#s2#", "#S2#", "unknown_macro s2 #S2# → did you mean `#s2#`?"),
        ("#s2#", "##s2##", "unknown_macro s2 ##s2## → did you mean `#s2#`?"),
        ("#s2#", "{s2}", "unknown_macro s2 {s2} → did you mean `#s2#`?"),
        ("#s2#", "%23s2%23", "encoded_macro s2 %23s2%23 → write `#s2#`"),
        ("#s2#", "%2523s2%2523", "encoded_macro s2 %2523s2%2523 → write `#s2#`"),
        ("#s5#", "#1", "fragment s5 - → write `%23` for it, or take it out"),
        ("&status=#status#", "", "missing_status status - → add `status=#status#`"),
    ] {
        assert_eq!(found("cake", &whole.replace(old, new)), [wanted], "{new}");
    }
}

#[test]
fn an_address_that_is_not_the_configured_one_is_found_and_no_key_is_shown() {
    let query = format!("?{WHOLE}");
    let at = |address: &str| codes(&format!("{address}{query}"));
    let whole = format!("{BASE}/{KEY}/collect/mine");
    assert!(at(&whole).is_empty());
    assert!(codes(&format!("  \"{whole}{query}\" ")).is_empty(), "as it is copied with its quotes");
    assert!(at(&format!("{BASE}/another-k3y-4711/collect/mine/")).is_empty(), "any of the keys, and a slash");
    assert!(at("HTTPS://T.Example.com:443/hooks//k3y%2Dof-the-network-4711/collect/mine").is_empty());
    assert_eq!(at(&whole.replace("https", "http")), ["plain_http"]);
    assert_eq!(at(&whole.replace("https://", "")), ["not_an_address"]);
    assert_eq!(at(&whole.replace("https", "ftp")), ["not_an_address", "other_host"][..1]);
    assert_eq!(at(&whole.replace("t.example", "x.example")), ["other_host"]);
    assert_eq!(at(&whole.replace(".com", ".com:8443")), ["other_host"]);
    assert_eq!(at(&whole.replace(KEY, "k3y-of-the-network-4712")), ["other_key"]);
    assert_eq!(at(&whole.replace("/mine", "/yours")), ["other_path"]);
    assert_eq!(at(&whole.replace("/hooks", "")), ["other_path"]);
    assert_eq!(at(&whole.replace("/collect", "")), ["other_path"]);
    assert_eq!(at("https://t.example.com"), ["other_path"]);
    assert_eq!(codes(&format!("{whole}#top{query}")), ["fragment"]);
    for pasted in [
        format!("{BASE}/k3y-of-a-stranger/collect/mine{query}"),
        format!("{BASE}/collect/k3y-of-a-stranger{query}"),
        format!("https://x:k3y-of-a-stranger@t.example.com/k3y-of-a-stranger{query}"),
        format!("{whole}?click_id={KEY}&goal=x{KEY}"),
    ] {
        let linted = looked_over(&named("affise"), &pasted);
        let said = format!("{linted:?}");
        assert!(!said.contains("k3y-of-a-stranger") && !said.contains(KEY), "{said}");
        assert!(linted.shown.contains("***"));
    }
}

#[test]
fn where_keys_may_not_be_known_a_wrong_one_is_not_found() {
    let expected = ExpectedAddress { base: BASE, keys: vec![KEY], checks_key: false, source: "mine" };
    let pasted = format!("{BASE}/guessed-k3y-0815/collect/mine?{WHOLE}");
    assert!(named("affise").lint_url(&binding(), &expected, &pasted).findings.is_empty());
}

#[test]
fn the_bare_address_of_a_webhook_is_clean_and_lacks_nothing() {
    let text = "name = \"hook\"\n[map]\ntransaction_id = \"id\"\nvalue = \"total\"\nevent = \"type\"\n[default]\ncurrency = \"EUR\"\n";
    let hook = SourceTemplate::parse("hook.toml", text).unwrap();
    assert!(looked_over(&hook, &format!("{BASE}/{KEY}/collect/mine")).findings.is_empty());
    let asked = looked_over(&hook, &format!("{BASE}/{KEY}/collect/mine?order={{id}}"));
    assert_eq!(asked.findings.len(), 1, "{asked:?}");
}

#[test]
fn every_code_has_a_sentence_and_a_fix() {
    for code in UrlFindingCode::ALL {
        assert!(!code.meaning().is_empty() && !code.fix().is_empty(), "{code:?}");
    }
}

proptest! {
    #[test]
    fn no_pasted_text_makes_it_stumble(text in "\\PC{0,200}", tail in "[{}#%&=?/a-z0-9:]{0,80}") {
        let affise = named("affise");
        for pasted in [text.clone(), format!("{BASE}/{KEY}/collect/mine?{text}"), tail.clone(), format!("{BASE}/{KEY}/collect/mine?click_id={tail}")] {
            let linted = looked_over(&affise, &pasted);
            let said = format!("{linted:?}");
            prop_assert!(!said.contains(KEY), "{}", said);
        }
    }
}
