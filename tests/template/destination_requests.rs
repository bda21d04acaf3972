//! Requests without a JSON body: parameters of a query and of a form, and what is required of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::support::payload_fixture::{click, conversion, ready, render, request};
use postbridge::domain::click::Click;
use postbridge::domain::code::CodedReason;
use postbridge::domain::conversion::Conversion;
use postbridge::domain::delivery::OutgoingRequest;
use postbridge::domain::ids::DestinationId;
use postbridge::domain::skip::SkipReason;
use postbridge::template::destination::definition::DestinationTemplate;
use postbridge::template::destination::ready::ReadyDestination;
use postbridge::template::destination::rendering::{DestinationMode, Rendered};
use postbridge::template::destination::spec::{DestinationSpec, SpecProblem};

const HEAD: &str = r#"label = "Test"
[events]
Purchase = "buy"
[[setting]]
name = "token"
label = "Token"
secret = true
"#;

fn parse(toml: &str, event: Option<&str>) -> Result<DestinationTemplate, Vec<String>> {
    let event = event.map(|event| ("event.json.hbs".to_owned(), event.to_owned()));
    let files = [("destination.toml".to_owned(), format!("{HEAD}{toml}"))].into_iter().chain(event);
    let shown = |problem: &postbridge::template::diagnostic::Problem| {
        format!("{}: {} | {}", problem.at, problem.what, problem.hint)
    };
    DestinationTemplate::parse("test", "test", &files.collect())
        .map_err(|problems| problems.iter().map(shown).collect())
}

fn spec_of(template: Arc<DestinationTemplate>, settings: BTreeMap<String, String>) -> DestinationSpec {
    DestinationSpec {
        id: DestinationId::parse("main").unwrap(),
        template,
        mode: DestinationMode::Live,
        endpoint: None,
        token_endpoint: None,
        on_rejected: None,
        settings,
        events: BTreeMap::new(),
    }
}

fn destination(toml: &str, event: Option<&str>) -> ReadyDestination {
    ready(Arc::new(parse(toml, event).unwrap()), &[("token", "a|b=c d")])
}

/// The fields for which nothing is sent; `None` where something is.
fn missing(
    destination: &ReadyDestination,
    conversion: &Conversion,
    click: Option<&Click>,
) -> Option<Vec<String>> {
    match render(destination, conversion, click).rendered {
        Rendered::Request(..) => None,
        Rendered::Skip { reason: SkipReason::PayloadIncomplete(missing) } => Some(missing.fields),
        Rendered::Skip { reason } => panic!("{reason:?}"),
    }
}

const PIXEL: &str = r#"
[request]
method = "GET"
url = "https://ads.example/pixel"
[request.query]
ev = "{{event_name}}"
id = "{{transaction_id}}"
"order id" = "{{param \"order\"}}"
cur = "{{currency}}"
amount = "{{number value}}"
where = "{{click.landing_url}}"
pair = "{{item_id}}:{{param \"order\"}}"
kind = "a b"
empty = ""
"#;

#[test]
fn parameters_are_encoded_once_and_absent_ones_are_left_out() {
    let destination = destination(PIXEL, None);
    let mut sold = conversion();
    sold.transaction_id = Some("ü&=% +1".to_owned());
    let sent = request(&destination, &sold, Some(&click()));
    assert_eq!(
        (sent.method.as_str(), sent.url.as_str(), sent.body.len()),
        (
            "GET",
            "https://ads.example/pixel?ev=buy&id=%C3%BC%26%3D%25%20%2B1&cur=USD&amount=7.00\
             &where=https%3A%2F%2Fshop.example%2Flp&kind=a%20b",
            0
        )
    );
    assert!(sent.headers.is_empty(), "{:?}", sent.headers);
    sold.params = vec![("order".to_owned(), "9".to_owned())];
    let url = request(&destination, &sold, None).url;
    assert!(url.contains("&order%20id=9&cur=USD"), "{url}");
    assert!(url.ends_with("&pair=565%3A9&kind=a%20b"), "{url}");
}

#[test]
fn parameters_go_behind_those_that_the_url_has() {
    for (url, whole) in [
        ("https://ads.example", "https://ads.example?a=1"),
        ("https://ads.example/?", "https://ads.example/?a=1"),
        ("https://ads.example/?b={{item_id}}", "https://ads.example/?b=565&a=1"),
        ("https://ads.example/?b=2&", "https://ads.example/?b=2&a=1"),
    ] {
        let toml = format!("[request]\nmethod = \"GET\"\nurl = \"{url}\"\n[request.query]\na = 1\n");
        assert_eq!(request(&destination(&toml, None), &conversion(), None).url, whole);
    }
}

#[test]
fn a_form_is_the_body_with_its_own_type() {
    let form = "[request]\nurl = \"https://ads.example/\"\n[request.form]\nid = \"{{transaction_id}}\"\n\
                gone = \"{{param \\\"none\\\"}}\"\nnote = \"ä b\"\n";
    let sent = request(&destination(form, None), &conversion(), None);
    assert_eq!(sent.body, b"id=1&note=%C3%A4%20b");
    assert_eq!(sent.headers, [("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned())]);
}

#[test]
fn a_secret_in_a_query_is_masked_however_it_is_written_there() {
    let toml = "[request]\nmethod = \"GET\"\nurl = \"https://ads.example/\"\n[request.query]\n\
                token = \"{{settings.token}}\"\nid = \"{{transaction_id}}\"\n";
    let sent = request(&destination(toml, None), &conversion(), None);
    assert_eq!(sent.url, "https://ads.example/?token=a%7Cb%3Dc%20d&id=1");
    assert_eq!(sent.masked().url, "https://ads.example/?token=***&id=1");
}

const KEYS: &str = r#"[[setting]]
name = "user"
label = "User"
[request]
url = "https://ads.example/"
"#;

#[test]
fn who_sends_a_request_is_said_in_its_url_and_headers_and_masked() {
    let sent = |auth: &str, settings: &[(&str, &str)]| {
        let template = parse(&format!("{KEYS}auth = {auth}\n"), Some(r#"{"a": 1}"#)).unwrap();
        request(&ready(Arc::new(template), settings), &conversion(), None)
    };
    let token = ("token", "a|b=c d");
    let header = |request: &OutgoingRequest| {
        let found = request.headers.iter().find(|(name, _)| name == "authorization");
        found.map(|(_, value)| value.clone())
    };
    let query = sent(r#"{ kind = "query", query = "access token", setting = "token" }"#, &[token]);
    assert_eq!(query.url, "https://ads.example/?access%20token=a%7Cb%3Dc%20d");
    assert_eq!(query.masked().url, "https://ads.example/?access%20token=***");

    let basic = r#"{ kind = "basic", user = "user", password = "token" }"#;
    let both = sent(basic, &[token, ("user", "me")]);
    assert_eq!(header(&both).unwrap(), "Basic bWU6YXxiPWMgZA==");
    assert!(!format!("{:?}", both.masked()).contains("bWU6YXxiPWMgZA"), "{:?}", both.masked());
    assert_eq!(header(&sent(basic, &[("user", "me")])).unwrap(), "Basic bWU6");
    assert_eq!(header(&sent(basic, &[token])), None);

    let proof = r#"[{ kind = "bearer", setting = "user" }, { kind = "hmac-proof", query = "proof", key = "token", of = "user" }]"#;
    let proven = sent(proof, &[token, ("user", "me")]);
    assert_eq!(header(&proven).unwrap(), "Bearer me");
    assert_eq!(
        proven.url,
        "https://ads.example/?proof=846169da27dfbc438bdf5f43c4e08876dcca9bd24ec10c39d1aca5189c67fcc4"
    );
    assert_eq!(proven.masked().url, "https://ads.example/?proof=***");
    assert_eq!(sent(proof, &[("user", "me")]).url, "https://ads.example/", "nothing proves without the key");
    assert_eq!(sent("{ kind = \"none\" }", &[token]).url, "https://ads.example/");
}

#[test]
fn a_sign_in_that_cannot_be_is_a_mistake_of_the_template() {
    for (auth, part) in [
        (r#"{ kind = "basic", user = "user" }"#, "`password`"),
        (r#"[{ kind = "query", setting = "token" }]"#, "`query`"),
        (r#"[{ kind = "hmac-proof", query = "p", key = "tokn", of = "user" }]"#, "tokn"),
        (r#"[{ kind = "digest" }]"#, "`digest`"),
        (r#"{ kind = "oauth2-refresh", client_id = "user", refresh_token = "token" }"#, "`token_url`"),
        (
            r#"{ kind = "oauth2-refresh", client_id = "user", refresh_token = "tokn", token_url = "https://a/" }"#,
            "tokn",
        ),
        (r#"{ kind = "service-account", key = "token", token_url = "https://a/" }"#, "`scope`"),
    ] {
        let found = parse(&format!("{KEYS}auth = {auth}\n"), Some(r#"{"a": 1}"#)).err().unwrap_or_default();
        assert!(found.len() == 1 && found[0].contains(part), "{auth}: {found:?}");
    }
}

#[test]
fn an_account_has_what_one_way_to_sign_in_needs() {
    let toml = r#"[[setting]]
name = "key"
label = "Key"
kind = "service-account"
[[setting]]
name = "client"
label = "Client"
[request]
url = "https://ads.example/"
auth = [
    { kind = "service-account", key = "key", token_url = "https://tokens.example/t", scope = "s" },
    { kind = "oauth2-refresh", client_id = "client", refresh_token = "token", token_url = "https://tokens.example/t" },
]
"#;
    let problems = |settings: &[(&str, &str)], token_endpoint: Option<&str>| {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let spec = DestinationSpec {
            token_endpoint: token_endpoint.map(str::to_owned),
            on_rejected: None,
            ..spec_of(Arc::new(parse(toml, Some(r#"{"a": 1}"#)).unwrap()), settings.iter().map(own).collect())
        };
        let shown = |found: Vec<SpecProblem>| {
            let shown = found.iter().map(|wrong| format!("{} | {}", wrong.problem.what, wrong.problem.hint));
            shown.collect::<Vec<_>>()
        };
        ReadyDestination::build(spec).map(|_| ()).map_err(shown).err().unwrap_or_default()
    };
    let both = [("client", "c"), ("token", "t")];
    assert_eq!(problems(&both, Some("https://proxy.example")), [""; 0]);
    let one = |settings: &[(&str, &str)], part: &str| {
        let found = problems(settings, None);
        assert!(found.len() == 1 && found[0].contains(part), "{part}: {found:?}");
    };
    one(&[], "nothing to sign in with | set `key`, or `client` and `token`");
    one(&[("client", "c")], "`token` is missing");
    one(&[("key", "{}"), ("client", "c"), ("token", "t")], "two ways to sign in");
    one(&[("key", "{}")], "no JSON with `client_email` and `private_key`");
    let bad = r#"{"client_email": "a@b", "private_key": "-----BEGIN s3cret-----"}"#;
    one(&[("key", bad)], "no private RSA key");
    assert!(!problems(&[("key", bad)], None)[0].contains("s3cret"));
    let elsewhere = problems(&both, Some("nowhere"));
    assert!(elsewhere[0].contains("`token_endpoint` is no web address"), "{elsewhere:?}");
}

#[test]
fn what_is_required_of_a_query_or_a_form_keeps_a_request_back() {
    let required = |places: &str| format!("[[require]]\n{places}\nwhy = \"it says so\"\n");
    let get = |places: &str| destination(&format!("{}{PIXEL}", required(places)), None);
    assert_eq!(missing(&get("all = [\"?id\", \"?order id\"]"), &conversion(), None).unwrap(), ["order id"]);
    assert_eq!(missing(&get("any = [\"?order id\", \"?where\"]"), &conversion(), Some(&click())), None);
    assert_eq!(
        missing(&get("any = [\"?order id\", \"?where\"]"), &conversion(), None).unwrap(),
        ["order id", "where"]
    );
    let form = "[request]\nurl = \"https://ads.example/\"\n[request.form]\nid = \"{{transaction_id}}\"\n";
    let form = destination(&format!("{}{form}", required("all = [\"form:id\"]")), None);
    assert_eq!(missing(&form, &conversion(), None), None);
    let without = Conversion { transaction_id: None, ..conversion() };
    assert_eq!(missing(&form, &without, None).unwrap(), ["id"]);
    let low = get("number = \"?amount\"\nat_least = \"7.01\"");
    let skipped = render(&low, &conversion(), None).rendered;
    assert!(matches!(skipped, Rendered::Skip { reason: SkipReason::ValueTooLow(_) }), "{skipped:?}");
}

#[test]
fn of_several_groups_one_has_to_be_whole() {
    let toml = "[[require]]\nany_of = [[\"/user/email\"], [\"/user/ip\", \"/user/ua\"]]\nwhy = \"it says so\"\n\
                [request]\nurl = \"https://ads.example/\"\n";
    let event = r#"{"id": {{json transaction_id}}, "user": {"email": {{json traits.email}}, "ip": {{ip click.ip}},
                   "ua": {{json click.user_agent}}}}"#;
    let destination = destination(toml, Some(event));
    assert_eq!(missing(&destination, &conversion(), Some(&click())), None);
    let half = Click { user_agent: None, ..click() };
    assert_eq!(
        missing(&destination, &conversion(), Some(&half)).unwrap(),
        ["user.email", "user.ip with user.ua"]
    );
    let other = Click { ip: None, ..click() };
    assert!(missing(&destination, &conversion(), Some(&other)).is_some());
    let mut known = conversion();
    known.traits.0.insert(postbridge::domain::click::CustomerTrait::Email, "a@shop.example".to_owned());
    assert_eq!(missing(&destination, &known, Some(&half)), None);
}

#[test]
fn what_is_required_under_a_condition_is_asked_for_where_it_holds() {
    let event = r#"{"e": 1, "kind": {{json (param "kind")}}, "name": {{json (param "name")}},
                   "flags": [{{json (param "flag")}}], "country": {{json (param "country")}}}"#;
    let toml = "[[require]]\nwhen = { at = \"/kind\", equals = \"a \\\"b\\\"\" }\nall = [\"/name\"]\nwhy = \"x\"\n\
                [[require]]\nwhen = { at = \"/flags\" }\nany = [\"/country\", \"/name\"]\nwhy = \"x\"\n\
                [request]\nurl = \"https://ads.example/\"\n";
    let destination = destination(toml, Some(event));
    let with = |params: &[(&str, &str)]| Conversion {
        params: params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        ..conversion()
    };
    for (params, lacking) in [
        (&[][..], None),
        (&[("kind", "other")], None),
        (&[("kind", "a \"b\"")], Some(vec!["name"])),
        (&[("kind", "a \"b\""), ("name", "n")], None),
        (&[("flag", "LDU")], Some(vec!["country", "name"])),
        (&[("flag", "LDU"), ("country", "US")], None),
    ] {
        let missing = missing(&destination, &with(params), None);
        assert_eq!(
            missing,
            lacking.map(|names| names.into_iter().map(str::to_owned).collect()),
            "{params:?}"
        );
    }
    for (when, part) in [
        ("{ at = \"/kid\" }", "the payload has no `/kid`"),
        ("{ equals = \"a\" }", "`at`"),
        ("{ at = \"/kind\", eqals = \"a\" }", "did you mean `equals`?"),
        ("\"/kind\"", "not a table"),
    ] {
        let toml = format!(
            "[[require]]\nwhen = {when}\nall = [\"/name\"]\nwhy = \"x\"\n[request]\nurl = \"https://ads.example/\"\n"
        );
        let found = parse(&toml, Some(event)).err().unwrap_or_default();
        assert!(found.iter().any(|problem| problem.contains(part)), "{when}: {found:?}");
    }
}

#[test]
fn a_requirement_says_what_to_do_where_the_source_cannot() {
    let require = |more: &str| {
        format!(
            "[[require]]\nall = [\"/name\"]\nwhy = \"x\"\n{more}\n[request]\nurl = \"https://ads.example/\"\n"
        )
    };
    let of = |more: &str| {
        let found = destination(
            &require(more),
            Some("{\"name\": {{json (param \"none\")}}, \"id\": {{json event_id}}}"),
        );
        match render(&found, &conversion(), None).rendered {
            Rendered::Skip { reason } => reason.hint(),
            Rendered::Request(..) => panic!("it is sent"),
        }
    };
    assert_eq!(of("hint = \"name it under `events`\""), "name it under `events`");
    assert!(of("").contains("let the source report"));
    let both = parse(&require("hint = \"y\"\nfrom_click = true"), Some("{\"name\": {{json event_id}}}"));
    assert!(both.err().unwrap()[0].contains("`from_click` says what to do"));
}

#[test]
fn what_no_request_can_have_is_a_mistake_of_the_template() {
    let problems = |toml: &str, event: Option<&str>| parse(toml, event).err().unwrap_or_default();
    let required = |place: &str| {
        let toml = format!("[[require]]\nall = [\"{place}\"]\nwhy = \"x\"\n{PIXEL}");
        let found = problems(&toml, None);
        assert_eq!(found.len(), 1, "{place}: {found:?}");
        found[0].clone()
    };
    for (place, part) in [
        ("?sale", "the query has no `?sale`"),
        ("form:id", "the form has no `form:id`"),
        ("/id", "the payload has no `/id`"),
        ("id", "the request has no `id`"),
    ] {
        let found = required(place);
        assert!(found.starts_with("test/destination.toml:8: ") && found.contains(part), "{found}");
    }
    for (toml, event, part) in [
        (
            "[request]\nmethod = \"GET\"\nurl = \"https://a.example\"\n[request.form]\na = \"b\"\n",
            None,
            "no body",
        ),
        (
            "[request]\nurl = \"https://a.example\"\n[request.form]\na = \"b\"\n",
            Some("{\"a\": 1}"),
            "one body",
        ),
        (
            "[request]\nmethod = \"GET\"\nurl = \"https://a.example\"\n[request.query]\na = \"{{raw event}}\"\n",
            None,
            "`raw`",
        ),
        (
            "[request]\nmethod = \"GET\"\nurl = \"https://a.example\"\n[request.query]\na = \"{{evnt}}\"\n",
            None,
            "toml:12",
        ),
        (
            "[request]\nmethod = \"GET\"\nurl = \"https://a.example\"\n[request.query]\na = \"{{value}}-{{payout}}\"\n",
            None,
            "calculates",
        ),
        (
            "[[require]]\nany_of = [\"?id\"]\nwhy = \"x\"\n[request]\nmethod = \"GET\"\nurl = \"https://a.example\"\n",
            None,
            "list of lists",
        ),
        (
            "[[require]]\nany = [\"?id\"]\nany_of = [[\"?id\"]]\nwhy = \"x\"\n[request]\nmethod = \"GET\"\nurl = \"https://a.example\"\n",
            None,
            "one thing",
        ),
    ] {
        let found = problems(toml, event);
        assert!(found.iter().any(|problem| problem.contains(part)), "{part}: {found:?}");
    }
}
