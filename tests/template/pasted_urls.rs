//! What is found in a postback URL as someone pasted it at the network.

use postbridge::domain::code::{CodedReason, ReasonCode};
use postbridge::domain::ids::SourceId;
use postbridge::domain::money::Currency;
use postbridge::domain::status::Status;
use postbridge::domain::url_finding::{UrlFinding, UrlFindingCode};
use postbridge::template::catalog::Catalog;
use postbridge::template::source::definition::{SourceBinding, SourceTemplate};
use postbridge::template::source::pasted_address::ExpectedAddress;
use postbridge::template::source::url_lint::LintedUrl;
use proptest::prelude::*;

const KEY: &str = "k3y-of-the-network-4711";
/// By which the network signs.
const SECRET: &str = "s3cret-of-the-network";
const BASE: &str = "https://t.example.com/hooks";

fn binding() -> SourceBinding {
    SourceBinding::of(SourceId::parse("mine").unwrap())
}

fn looked_over(template: &SourceTemplate, pasted: &str) -> LintedUrl {
    let binding = SourceBinding { currency: Currency::parse("USD"), ..binding() };
    let keys = vec!["another-k3y-4711", KEY];
    let expected =
        ExpectedAddress { base: BASE, keys, checks_key: true, source: "mine", secrets: vec![SECRET] };
    template.lint_url(&binding, &expected, pasted)
}

fn named(name: &str) -> std::sync::Arc<SourceTemplate> {
    Catalog::load(None).unwrap().source(name).unwrap()
}

/// Each finding as `code field value → hint`.
fn found(template: &str, query: &str) -> Vec<String> {
    let linted = looked_over(&named(template), &format!("{BASE}/{KEY}/collect/mine?{query}"));
    linted.findings.iter().map(line).collect()
}

fn line(finding: &UrlFinding) -> String {
    let (field, value) = (finding.field().unwrap_or("-"), finding.value().unwrap_or("-"));
    format!("{} {field} {value} → {}", finding.code().as_str(), finding.hint())
}

fn codes(pasted: &str) -> Vec<&'static str> {
    let linted = looked_over(&named("affise"), pasted);
    linted.findings.iter().map(|finding| finding.code().as_str()).collect()
}

/// The URL as it is to be pasted, of Affise.
const WHOLE: &str = "click_id={sub1}&transaction_id={transactionid}&payout={sum}&currency={currency}&status={status}\
                     &goal={goal}&offer_id={offerid}";

/// Networks that have one URL for each status, and no macro that says which.
const STATUS_BY_HAND: [&str; 3] = ["adcombo", "trackier", "zeydoo"];

#[test]
fn the_url_that_we_print_is_clean_for_every_template_and_lacks_a_status_that_only_a_constant_says() {
    let catalog = Catalog::load(None).unwrap();
    for name in catalog.source_names() {
        let template = catalog.source(name).unwrap();
        let extra: Vec<String> = template.extra_params().into_iter().map(str::to_owned).collect();
        let query = template.postback_query(&extra).unwrap();
        let url = format!("{BASE}/{KEY}/collect/mine?{query}");
        let linted = looked_over(&template, &url);
        let found: Vec<&str> = linted.findings.iter().map(|finding| finding.code().as_str()).collect();
        let wanted = if STATUS_BY_HAND.contains(&name) { &["missing_status"][..] } else { &[] };
        assert_eq!(found, wanted, "{name}: {url}");
        // A webhook's address has no query.
        let printed = if query.is_empty() { url.trim_end_matches('?') } else { &url };
        assert_eq!(linted.shown, printed.replace(KEY, "***"));
    }
}

#[test]
fn the_url_with_constants_that_we_print_is_clean_for_every_template() {
    let catalog = Catalog::load(None).unwrap();
    let binding = SourceBinding { currency: Currency::parse("USD"), ..binding() };
    let mut written = 0;
    for name in catalog.source_names() {
        let template = catalog.source(name).unwrap();
        let extra: Vec<String> = template.extra_params().into_iter().map(str::to_owned).collect();
        let statuses: Vec<String> = template.statuses().map(|(word, _)| format!("status={word}")).collect();
        let status = statuses.first().filter(|_| STATUS_BY_HAND.contains(&name)).cloned();
        let others =
            ["event=Purchase", "value=7", "payout=7", "sale_amount=70", "currency=EUR", "item_id=42"];
        for set in statuses.iter().map(String::as_str).chain(others) {
            let Ok(constant) = template.constant(&binding, set) else { continue };
            let with_status = status.as_ref().filter(|_| !set.starts_with("status="));
            let status = with_status.map(|status| template.constant(&binding, status).unwrap());
            let constants: Vec<_> = [constant].into_iter().chain(status).collect();
            let Ok(query) = template.postback_query_with(&extra, &constants) else { continue };
            let linted = looked_over(&template, &format!("{BASE}/{KEY}/collect/mine?{query}"));
            assert!(linted.findings.is_empty(), "{name} {set}: {query}: {:?}", linted.findings);
            written += 1;
        }
    }
    assert!(written > 150, "{written}");
}

#[test]
fn a_status_that_only_a_constant_says_is_missed_and_is_one_of_the_sources_words() {
    for (template, url, words) in [
        (
            "adcombo",
            "click_id={clickid}&transaction_id={trans_id}&payout={revenue}",
            "lead|hold|reject|trash|cancelled",
        ),
        ("trackier", "click_id={p1}&transaction_id={txn_id}&payout={payout}", "approved|pending"),
        ("zeydoo", "click_id={ymid}&payout={amount}", "approved|pending|rejected"),
    ] {
        let missing = [format!("missing_status status - → add `status={words}`")];
        assert_eq!(found(template, url), missing);
        assert_eq!(found(template, &format!("{url}&status=")), missing);
        for word in words.split('|') {
            assert_eq!(found(template, &format!("{url}&status={word}")), Vec::<String>::new(), "{word}");
        }
        for (wrong, wanted) in
            [("ok", "wrong_constant"), ("{status}", "unknown_macro"), ("YOUR_STATUS", "skeleton_word")]
        {
            let found = found(template, &format!("{url}&status={wrong}"));
            assert!(found.len() == 1 && found[0].starts_with(wanted), "{template} {wrong}: {found:?}");
        }
    }
    // The account's own words are as good.
    let own = SourceBinding { statuses: vec![("ok".to_owned(), Status::Approved)], ..binding() };
    let expected = ExpectedAddress {
        base: BASE,
        keys: vec![KEY],
        checks_key: true,
        source: "mine",
        secrets: vec![SECRET],
    };
    let lint = |status: &str| {
        let url = format!(
            "{BASE}/{KEY}/collect/mine?click_id={{p1}}&transaction_id={{txn_id}}&payout={{payout}}{status}"
        );
        let linted = named("trackier").lint_url(&own, &expected, &url);
        linted.findings.iter().map(CodedReason::hint).collect::<Vec<_>>()
    };
    assert_eq!(lint("&status=ok"), Vec::<String>::new());
    assert_eq!(lint(""), ["add `status=ok|approved|pending`"]);
}

/// Ids of several parts, rows that add up, a refund above 0, and an event by a parameter of its own.
const PARTS: &str = "name = \"parts\"\nmacro = \"{{}}\"\n\
    postback = [\"cid\", \"more\", \"order\", \"part\", \"row\", \"amount\", \"kind\", \"type\", \"skus\"]\nextra = [\"rest\"]\n\
    [map]\nclick_id = \"{{cid}}{{more}}{{rest}}\"\ntransaction_id = \"{{order}}-{{part}}\"\nvalue = \"amount\"\n\
    [map.items]\nseparator = \",\"\nid = \"skus\"\n\
    [event]\nby_value = { positive = \"Purchase\", zero = \"Lead\" }\n\
    [[event.rules]]\nparam = \"type\"\nis = [\"trial\"]\nevent = \"StartTrial\"\n\
    [number]\nnegative_when = { kind = [\"refund\"] }\n[dedup]\nadjustment_id = \"row\"\n";

/// Each finding of a URL of one's own template, as [`found`] has them.
fn found_by(text: &str, query: &str) -> Vec<String> {
    let template = SourceTemplate::parse("own.toml", text).unwrap_or_else(|wrong| panic!("{wrong:?}"));
    let linted = looked_over(&template, &format!("{BASE}/{KEY}/collect/mine?{query}"));
    linted.findings.iter().map(line).collect()
}

#[test]
fn all_that_an_id_an_amount_or_an_event_depends_on_is_missed() {
    let params = ["cid", "more", "order", "part", "row", "amount", "kind", "type", "skus"];
    let without = |out: &[&str]| {
        let kept = params.iter().filter(|param| !out.contains(param));
        kept.map(|param| format!("{param}={{{param}}}")).collect::<Vec<_>>().join("&")
    };
    assert_eq!(found_by(PARTS, &without(&[])), Vec::<String>::new());
    for (param, field) in [
        ("cid", "click_id"),
        ("more", "click_id"),
        ("order", "transaction_id"),
        ("part", "transaction_id"),
        ("row", "adjustment_id"),
        ("amount", "value"),
        ("kind", "value"),
        ("type", "event"),
        ("skus", "items"),
    ] {
        let wanted = [format!("missing_field {field} - → add `{param}={{{param}}}`")];
        assert_eq!(found_by(PARTS, &without(&[param])), wanted);
        let empty = format!("{}&{param}=", without(&[param]));
        assert_eq!(found_by(PARTS, &empty), wanted, "empty");
    }
    assert_eq!(found_by(PARTS, &without(&["order", "part"])).len(), 2);
    for (param, field) in [("order", "transaction_id"), ("row", "adjustment_id"), ("more", "click_id")] {
        let constant = without(&[]).replace(&format!("={{{param}}}"), "=1001");
        let wanted = [format!("constant_id {field} 1001 → put the network's macro in its place")];
        let found: Vec<String> = found_by(PARTS, &constant)
            .iter()
            .map(|line| line.replace(&format!("constant_id {param} "), &format!("constant_id {field} ")))
            .collect();
        assert_eq!(found, wanted, "{param}");
    }
}

#[test]
fn a_part_of_an_id_that_says_something_else_too_may_be_a_constant_but_not_all_parts() {
    let text = "name = \"both\"\nmacro = \"{{}}\"\npostback = [\"cid\", \"sku\", \"goal\", \"amount\"]\n\
        [map]\nclick_id = \"cid\"\ntransaction_id = \"{{sku}}-{{goal}}\"\nvalue = \"amount\"\nitem_id = \"sku\"\n\
        event = \"goal\"\n";
    let url = "cid={cid}&sku={sku}&goal={goal}&amount={amount}";
    let clean = Vec::<String>::new();
    assert_eq!(found_by(text, &url.replace("{sku}", "42")), clean);
    assert_eq!(found_by(text, &url.replace("{goal}", "Purchase")), clean);
    let both = url.replace("{sku}", "42").replace("{goal}", "Purchase");
    assert_eq!(found_by(text, &both), ["constant_id sku 42 → put the network's macro in its place"]);
}

#[test]
fn a_signature_that_the_network_fills_in_is_missed_and_a_token_is_no_unread_parameter() {
    let of = |params: &str, verify: &str| {
        format!(
            "name = \"signed\"\nmacro = \"{{{{}}}}\"\npostback = [\"cid\", \"amount\"{params}]\n[map]\nclick_id = \"cid\"\n\
             value = \"amount\"\n[event]\nby_value = {{ positive = \"Purchase\", zero = \"Lead\" }}\n[verify]\n{verify}\n"
        )
    };
    let digest = of(
        ", \"sig=signature\"",
        "kind = \"digest\"\nhash = \"md5\"\nfields = [\"cid\", \"amount\"]\nparameter = \"sig\"",
    );
    let url = "cid={cid}&amount={amount}";
    assert_eq!(found_by(&digest, &format!("{url}&sig={{signature}}")), Vec::<String>::new());
    assert_eq!(found_by(&digest, url), ["missing_field signature - → add `sig={signature}`"]);
    let token = of("", "kind = \"token\"\nparameter = \"token\"");
    assert_eq!(found_by(&token, &format!("{url}&token=s3cret-4711")), Vec::<String>::new());
    assert_eq!(found_by(&token, &format!("{url}&tokem=x")).len(), 1);
}

#[test]
fn what_proves_who_the_sender_is_is_shown_nowhere() {
    let text = "name = \"signed\"\nmacro = \"{{}}\"\npostback = [\"cid\", \"amount\"]\n[map]\nclick_id = \"cid\"\n\
                value = \"amount\"\n[event]\nby_value = { positive = \"Purchase\", zero = \"Lead\" }\n[verify]\n\
                kind = \"token\"\nparameter = \"my_token\"\nalso_in = [\"key\"]\n";
    let template = SourceTemplate::parse("signed.toml", text).unwrap();
    let shown = |query: &str| {
        let linted = looked_over(&template, &format!("{BASE}/{KEY}/collect/mine?{query}"));
        let said = format!("{linted:?}");
        assert!(!said.contains("pr00f") && !said.contains(SECRET), "{query}: {said}");
        linted.shown.split_once('?').unwrap().1.to_owned()
    };
    assert_eq!(shown("cid={cid}&my_token=pr00f&amount={amount}"), "cid={cid}&my_token=***&amount={amount}");
    for name in ["MY-TOKEN", "mytoken", "My%5Ftoken", "amp;my_token", "+my_token", "Key"] {
        assert_eq!(shown(&format!("cid=c&{name}=pr00f")), format!("cid=c&{name}=***"));
    }
    assert_eq!(shown("my_token=pr00f?amount=7&cid=c"), "my_token=***?amount=7&cid=c");
    assert_eq!(shown("my_token=a?b=pr00f"), "my_token=***", "a secret may have a `?`");
    assert_eq!(shown("cid=c?my_token=pr00f?key=pr00f"), "cid=c?my_token=***?key=***");
    assert_eq!(shown("my_token="), "my_token=", "what is empty is no secret");
    assert_eq!(shown(&format!("cid=x{SECRET}&{SECRET}")), "cid=x***&***");
    assert_eq!(shown("cid=s3cret%2Dof%2dthe-network"), "cid=***");
    let elsewhere = looked_over(&template, &format!("https://{SECRET}.example.com/{KEY}/collect/mine?cid=c"));
    assert!(!format!("{elsewhere:?}").contains(SECRET), "{elsewhere:?}");
}

#[test]
fn a_further_reading_of_an_id_serves_where_nothing_of_the_first_is_there() {
    let text = "name = \"either\"\nmacro = \"{{}}\"\npostback = [\"cid\", \"order\", \"part\", \"amount\"]\nextra = [\"txid\"]\n\
        [map]\nclick_id = \"cid\"\ntransaction_id = [\"{{order}}-{{part}}\", \"txid\"]\nvalue = \"amount\"\n\
        [event]\nby_value = { positive = \"Purchase\", zero = \"Lead\" }\n";
    let other = "cid={cid}&amount={amount}&txid={txid}";
    assert_eq!(found_by(text, other), Vec::<String>::new());
    assert_eq!(
        found_by(text, &format!("{other}&order={{order}}")),
        ["missing_field transaction_id - → add `part={part}`"]
    );
    assert_eq!(found_by(text, "cid={cid}&amount={amount}").len(), 2);
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
        (with("&goal={goal}", ""), "missing_field transaction_id - → add `goal={goal}`"),
        (with("&goal={goal}", "&event=Purchase"), "missing_field transaction_id - → add `goal={goal}`"),
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
        with("{goal}", "Purchase"),
        with("{goal}", "{goal}&event=Purchase"),
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
    let expected = ExpectedAddress {
        base: BASE,
        keys: vec![KEY],
        checks_key: false,
        source: "mine",
        secrets: vec![SECRET],
    };
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
