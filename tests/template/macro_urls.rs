//! Macro URLs: every grammar, every value encoded exactly once, and hosts that no macro reaches.

use percent_encoding::percent_decode_str;
use postbridge::domain::ids::ClickId;
use postbridge::template::diagnostic::Problem;
use postbridge::template::macros::grammar::Grammar;
use postbridge::template::macros::names::MEANINGS;
use postbridge::template::macros::url::{LANDING_NAMES, MacroUrl, POSTBACK_NAMES};
use proptest::prelude::*;

/// A grammar as `macro` writes it, and its macro for the name `x`: all of the trade's.
const GRAMMARS: [(&str, &str); 16] = [
    ("#{}#", "#x#"),
    ("##{}##", "##x##"),
    ("###{}###", "###x###"),
    ("{{}}", "{x}"),
    ("{{{}}}", "{{x}}"),
    ("${{}}", "${x}"),
    ("${({})!}", "${(x)!}"),
    ("[{}]", "[x]"),
    ("[[[{}]]]", "[[[x]]]"),
    ("[={}=]", "[=x=]"),
    ("%{}%", "%x%"),
    ("!!{}!!", "!!x!!"),
    ("!!!{}!!!", "!!!x!!!"),
    ("<{}>", "<x>"),
    ("({})", "(x)"),
    ("__{}__", "__x__"),
];

fn grammar(written: &str) -> Grammar {
    Grammar::parse(written).unwrap()
}

fn compile(url: &str, written: &str) -> Result<MacroUrl, Problem> {
    MacroUrl::compile(url, &grammar(written), POSTBACK_NAMES)
}

fn refusal(url: &str, written: &str) -> String {
    match compile(url, written) {
        Ok(url) => panic!("{url:?}"),
        Err(problem) => problem.to_string(),
    }
}

fn rendered(url: &str, written: &str, value: &str) -> String {
    compile(url, written).unwrap().render(&|_| Some(value.to_owned()))
}

#[test]
fn every_grammar_of_the_trade_is_written_by_the_place_of_its_name() {
    for (written, shown) in GRAMMARS {
        assert_eq!(grammar(written).shown("x"), shown);
        let url = format!("https://aff.example/{0}/pb?a=1&cid={0}&b=2", shown.replace('x', "click_id"));
        assert_eq!(rendered(&url, written, "v"), "https://aff.example/v/pb?a=1&cid=v&b=2", "{written}");
    }
    assert_eq!(grammar("{}"), Grammar::braces(), "nothing around the name reads as single braces");
}

#[test]
fn a_grammar_that_cannot_be_read_shows_how_it_is_written() {
    for wrong in ["", "#x#", "#{}", "{}#", "a{}b", "{}{}", "#{}#{}#", "/{}/", "-{}-", "@{}@", "=== {} ==="] {
        let problem = Grammar::parse(wrong).unwrap_err();
        assert!(problem.hint.contains("`{{{}}}` for {{x}}"), "{wrong}: {problem}");
    }
}

#[test]
fn values_are_encoded_once_with_percent_signs_alone_and_the_text_around_stays() {
    let url = "https://aff.example/p+a%20th/{s1}?a=1+2&b=%2B&s={s1}&empty={s2}&c=x%2Fy";
    let url = compile(url, "{{}}").unwrap();
    let value = |name: &str| (name == "s1").then(|| "a b+c/d?e&f=g#h%20é".to_owned());
    let encoded = "a%20b%2Bc%2Fd%3Fe%26f%3Dg%23h%2520%C3%A9";
    let expected = format!("https://aff.example/p+a%20th/{encoded}?a=1+2&b=%2B&s={encoded}&empty=&c=x%2Fy");
    assert_eq!(url.render(&value), expected);
    assert_eq!(url.names(), ["s1", "s2"]);
    assert_eq!(url.query_names, ["a", "b", "s", "empty", "c"]);
}

#[test]
fn percent_escapes_of_the_url_are_no_macros_of_the_percent_grammar() {
    for (url, expected) in [
        ("https://a.example/?q=%20%price%%20", "https://a.example/?q=%20v%20"),
        ("https://a.example/?q=%E2%82%AC%price%", "https://a.example/?q=%E2%82%ACv"),
        ("https://a.example/?q=%20affid%20", "https://a.example/?q=%20affid%20"),
        ("https://a.example/?q=%affid%20", "https://a.example/?q=v20"),
        ("https://a.example/?q=%2Fprice%2F%s1%", "https://a.example/?q=%2Fprice%2Fv"),
    ] {
        assert_eq!(rendered(url, "%{}%", "v"), expected, "{url}");
    }
    assert!(refusal("https://a.example/?q=100%&s=%s1%", "%{}%").contains("`%&…%`"));
}

#[test]
fn no_macro_reaches_scheme_login_host_or_port() {
    for url in [
        "{s1}",
        "{s1}://aff.example/",
        "https://{s1}/pb",
        "https://{s1}.aff.example/pb",
        "https://aff.example{s1}/pb",
        "https://aff.example:{s1}/pb",
        "https://{s1}@aff.example/pb",
        "https://me:secret@aff.example/pb?c={s1}",
        "https://aff.example{s1}",
        "https:///{s1}",
        "https://aff.example\\{s1}/pb",
        "https:\\\\{s1}/pb",
        "ftp://aff.example/{s1}",
        "//aff.example/{s1}",
        "javascript:{s1}",
        "https://aff.example:99999/{s1}",
    ] {
        let said = refusal(url, "{{}}");
        assert!(said.contains("hint: "), "{url}: {said}");
    }
    assert_eq!(compile("HTTPS://Aff.Example:8443/?c={s1}", "{{}}").unwrap().host(), "aff.example:8443");
    assert_eq!(rendered("https://aff.example?c={s1}", "{{}}", "@x"), "https://aff.example?c=%40x");
}

#[test]
fn no_value_leads_to_another_path() {
    for evil in ["..", ".", "../../admin", "//evil.example", "\\..\\", "%2e%2e", "?x=1#"] {
        let url = rendered("https://aff.example/pb/{s1}/end?s={s1}", "{{}}", evil);
        let parsed = url::Url::parse(&url).unwrap();
        assert_eq!(parsed.host_str(), Some("aff.example"));
        assert_eq!(parsed.path_segments().unwrap().count(), 3, "{evil}: {url}");
        assert_eq!(parsed.query_pairs().next().unwrap().1, evil, "in the query it is whole");
    }
    assert!(refusal("https://aff.example/a/../{s1}", "{{}}").contains("goes up"));
}

#[test]
fn a_name_that_is_none_is_refused_and_the_meant_one_is_named() {
    for (url, written, said) in [
        ("https://a.example/?c={clik_id}", "{{}}", "did you mean `{click_id}`?"),
        ("https://a.example/?c=#S2#", "#{}#", "did you mean `#s2#`?"),
        ("https://a.example/?c=[[[payuot]]]", "[[[{}]]]", "did you mean `[[[payout]]]`?"),
        ("https://a.example/?c={quite_else}", "{{}}", "the names are click_id, "),
    ] {
        let problem = refusal(url, written);
        assert!(problem.contains(said), "{problem}");
    }
}

#[test]
fn a_macro_of_another_grammar_is_not_sent_unfilled() {
    for (url, written, said) in [
        ("https://a.example/?c={s2}", "#{}#", "write `#s2#`, or `macro = \"{{}}\"`"),
        ("https://a.example/?c=#s2#", "{{}}", "write `{s2}`, or `macro = \"#{}#\"`"),
        ("https://a.example/?c={{s2}}", "{{}}", "{{{}}}"),
        ("https://a.example/?c={s2}", "{{{}}}", "macro = \"{{}}\""),
        ("https://a.example/?c=##s2##", "#{}#", "##{}##"),
        ("https://a.example/?c=[[[s2]]]", "[{}]", "one more mark"),
        ("https://a.example/?c=!!!s2!!!", "!!{}!!", "one more mark"),
    ] {
        let problem = refusal(url, written);
        assert!(problem.contains(said), "{url} by {written}: {problem}");
    }
}

#[test]
fn a_macro_that_is_not_closed_is_refused() {
    for (url, written) in [
        ("https://a.example/?c={s2", "{{}}"),
        ("https://a.example/?c=#s2", "#{}#"),
        ("https://a.example/?c=[s2&d=1", "[{}]"),
        ("https://a.example/?c=__s2&d=1", "__{}__"),
        ("https://a.example/?c=%s2&d=1", "%{}%"),
        ("https://a.example/?c=${s2", "${{}}"),
    ] {
        assert!(refusal(url, written).contains("is not closed"), "{url}");
    }
}

#[test]
fn marks_that_are_plain_text_in_urls_stay_text() {
    for (url, written) in [
        ("https://a.example/?x[]=1&y[0]=2&c=[s2]", "[{}]"),
        ("https://a.example/a__b?utm__x=1&c=__s2__", "__{}__"),
        ("https://a.example/x(1)?c=(s2)", "({})"),
        ("https://a.example/wow!!?c=!!s2!!", "!!{}!!"),
    ] {
        let expected = url.replace(&grammar(written).shown("s2"), "v");
        assert_eq!(rendered(url, written, "v"), expected);
    }
}

#[test]
fn a_url_holds_nothing_that_must_be_encoded() {
    for (url, said) in [
        ("https://a.example/a b?c={s1}", "write `%20`"),
        ("https://a.example/é?c={s1}", "write `%C3%A9`"),
        ("https://a.example/\t?c={s1}", "write `%09`"),
    ] {
        assert!(refusal(url, "{{}}").contains(said));
    }
}

#[test]
fn passed_parameters_follow_the_query_and_those_of_the_url_win() {
    let passed: [(&[u8], &[u8]); 3] = [(b"utm_source", b"a b"), (b"s1", b"mine"), (b"q", "ü".as_bytes())];
    for (url, expected) in [
        ("https://a.example/lp?s1={s1}#top", "https://a.example/lp?s1=v&utm_source=a%20b&q=%C3%BC#top"),
        ("https://a.example/lp", "https://a.example/lp?utm_source=a%20b&s1=mine&q=%C3%BC"),
        ("https://a.example/lp?", "https://a.example/lp?utm_source=a%20b&s1=mine&q=%C3%BC"),
        ("https://a.example/lp?utm_source=x&q", "https://a.example/lp?utm_source=x&q&s1=mine"),
    ] {
        let url = MacroUrl::compile(url, &Grammar::braces(), LANDING_NAMES).unwrap();
        assert_eq!(url.render_passing(&|_| Some("v".to_owned()), &passed), expected);
    }
}

#[test]
fn the_templates_readme_explains_every_macro_and_every_grammar() {
    let readme =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/templates/README.md")).unwrap();
    for meaning in MEANINGS {
        // `s1`…`s5` name what is between them.
        let between = ["s", "sub", "aff_sub"].iter().any(|word| {
            let number = meaning.name.strip_prefix(word).and_then(|rest| rest.parse::<u8>().ok());
            number.is_some_and(|number| (2..=4).contains(&number))
        });
        assert!(between || readme.contains(&format!("`{}`", meaning.name)), "{}", meaning.name);
        assert!(meaning.doc.ends_with(['.', '…']), "{}: {}", meaning.name, meaning.doc);
    }
    for (written, shown) in GRAMMARS {
        assert!(
            readme.contains(&format!("`\"{written}\"`")) && readme.contains(&format!("`{shown}`")),
            "{shown}"
        );
    }
}

/// What the place of the macro decodes to, once.
fn read_back(url: &str, before: &str, after: &str) -> String {
    let inner = url.strip_prefix(before).unwrap().strip_suffix(after).unwrap();
    assert!(inner.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~%".contains(&b)), "{inner}");
    percent_decode_str(inner).decode_utf8().unwrap().into_owned()
}

fn survives(value: &str) -> Result<(), TestCaseError> {
    for (written, _) in GRAMMARS {
        let name = grammar(written).shown("click_id");
        let query = rendered(&format!("https://aff.example/pb?c={name}&d=1"), written, value);
        prop_assert_eq!(read_back(&query, "https://aff.example/pb?c=", "&d=1"), value, "{}", written);
        let parsed = url::Url::parse(&query).unwrap();
        prop_assert_eq!(parsed.query_pairs().next().unwrap().1, value, "{}", written);
        let path = rendered(&format!("https://aff.example/{name}/pb"), written, value);
        let reported = if matches!(value, "." | "..") { "" } else { value };
        prop_assert_eq!(read_back(&path, "https://aff.example/", "/pb"), reported, "{}", written);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_click_id_survives_every_grammar(id in "[A-Za-z0-9._~-]{1,100}") {
        prop_assert!(ClickId::parse(&id).is_ok());
        survives(&id)?;
        // No character of a click id is ever encoded, so a reader that decodes too often reads the same.
        if !id.starts_with('.') {
            let reported = rendered("https://aff.example/{click_id}", "{{}}", &id);
            prop_assert_eq!(reported, format!("https://aff.example/{id}"));
        }
    }

    #[test]
    fn any_text_survives_every_grammar(text in "\\PC{0,40}|[%+&=#?/ {}\\[\\]<>!_0-9a-f]{0,40}") {
        survives(&text)?;
    }

    #[test]
    fn no_text_of_a_url_makes_the_compiler_fail_or_moves_the_host(tail in "[/?#%{}\\[\\]!$_()<>=&a-z0-9@:.\\\\]{0,60}") {
        for (written, _) in GRAMMARS {
            let Ok(url) = compile(&format!("https://aff.example/{tail}"), written) else { continue };
            prop_assert_eq!(url.host(), "aff.example");
            let rendered = url.render(&|_| Some("@evil.example/../".to_owned()));
            let parsed = url::Url::parse(&rendered).unwrap();
            prop_assert_eq!(parsed.host_str(), Some("aff.example"));
            prop_assert_eq!(parsed.username(), "");
        }
    }
}

#[test]
fn a_url_that_is_kept_secret_shows_its_host_its_names_and_its_macros_alone() {
    let url =
        "https://aff.example/pb/k3y-in-path/#s2#?cid=#s2#&token=t0k3n&tag=pre-fix-#tid#-x&sum=a%20secret";
    let url = compile(url, "#{}#").unwrap();
    assert!(url.shown().contains("token=t0k3n"), "what is in the file is shown as it is");
    let url = url.kept_secret();
    assert_eq!(url.shown(), "https://aff.example/pb/***/#s2#?cid=#s2#&token=***&tag=***#tid#-x&sum=***");
    assert_eq!(url.secrets(), ["k3y-in-path", "pre-fix-", "a secret", "t0k3n"], "the longest first");
}

#[test]
fn a_macro_that_is_not_closed_quotes_no_more_of_the_url_than_its_parameter() {
    let said = compile("https://a.example/?x=#s2&token=t0k3n&y=#tid#", "#{}#").unwrap_err().to_string();
    assert!(said.contains("`#s2&…#` is not a macro") && !said.contains("t0k3n"), "{said}");
}
