//! `postbridge.toml`: the shipped file is the default and shows every key; secrets stay secret.

use std::fs;
use std::path::Path;

use postbridge::config::configuration::Config;
use postbridge::config::file::{DEFAULT, with_examples};
use postbridge::config::secrets::Secret;
use postbridge::domain::routing::{Only, Route, Unmatched};
use postbridge::domain::time::DAY_MS;
use postbridge::template::diagnostic::{LintCode, Problem};
use postbridge::template::source::verify::rules::VerifyMode;

fn env(name: &str) -> Option<String> {
    match name {
        "CAKE_KEY" => Some("k3y-of-the-network-4711".to_owned()),
        "META_ACCESS_TOKEN" => Some("EAAB-token-of-the-account".to_owned()),
        "POSTBRIDGE_TOKEN" => Some("t0ken-of-the-operators".to_owned()),
        "NETWORK_SECRET" => Some("s3cret-of-the-network".to_owned()),
        "LISTEN" => Some("127.0.0.1:9090".to_owned()),
        _ => None,
    }
}

fn parse(text: &str) -> Config {
    Config::parse("postbridge.toml", text, &env).unwrap_or_else(|problems| panic!("{}", reported(&problems)))
}

fn problems(text: &str) -> Vec<Problem> {
    Config::parse("postbridge.toml", text, &env).err().expect("a configuration with problems")
}

fn reported(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("{problem}\n")).collect()
}

/// The shipped file with its examples and every optional line switched on.
fn with_every_key() -> String {
    let is_key = |line: &str| {
        let key = line.split(" = ").next().unwrap_or_default();
        line.starts_with('[')
            || (line.contains(" = ") && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
    };
    let lines = with_examples().lines().map(|line| match line.strip_prefix("# ") {
        Some(key) if is_key(key) => format!("{key}\n"),
        _ => format!("{line}\n"),
    });
    lines.collect()
}

const SOURCE: &str = r#"
[[source]]
id = "cake-test"
template = "cake"
key = { env = "CAKE_KEY" }
currency = "USD"
"#;

#[test]
fn the_shipped_file_needs_no_variable_is_the_default_and_has_nothing_live_in_it() {
    let none = |_: &str| None;
    let shipped = Config::parse("postbridge.toml", DEFAULT, &none).map_err(|found| reported(&found)).unwrap();
    let empty = parse("");
    assert_eq!(format!("{:?}", shipped.server), format!("{:?}", empty.server));
    assert_eq!(shipped.store, empty.store);
    assert_eq!((&shipped.tag, &shipped.pixel), (&empty.tag, &empty.pixel));
    assert_eq!(shipped.network_api, empty.network_api);
    assert_eq!(format!("{:?}", shipped.filters), format!("{:?}", empty.filters));
    assert!(shipped.sources.is_empty() && shipped.destinations.is_empty() && shipped.offers.is_empty());
    assert!(shipped.campaigns.is_empty() && shipped.outgoing.is_empty() && shipped.api.tokens.is_empty());
}

#[test]
fn the_examples_of_the_shipped_file_are_switched_on_line_by_line_and_are_whole() {
    let examples = parse(with_examples());
    let codes: Vec<_> = examples.warnings.iter().map(|warning| warning.code).collect();
    assert_eq!(codes, [Some(LintCode::DoubtfulFact)], "{}", reported(&examples.warnings));
    assert_eq!((examples.sources.len(), examples.destinations.len(), examples.outgoing.len()), (1, 1, 1));
    for (line, switched_on) in DEFAULT.lines().zip(with_examples().lines()) {
        let is_example = line.starts_with('#') && !line.starts_with("# ") && line != "#";
        assert_eq!(switched_on, if is_example { &line[1..] } else { line });
    }
}

#[test]
fn the_examples_of_the_shipped_file_are_the_defaults_of_their_tables() {
    let (bare, shipped) = (parse(SOURCE), parse(with_examples()));
    let (bare, shipped) = (&bare.sources[0], &shipped.sources[0]);
    assert_eq!(bare.policy, shipped.policy);
    assert_eq!(bare.policy.unmatched, Unmatched::Hold { hours: 72 });
    assert_eq!(bare.max_per_second, shipped.max_per_second);
}

#[test]
fn a_destination_that_says_only_what_it_must_is_as_the_shipped_example() {
    let shipped = parse(with_examples());
    let bare = parse(
        r#"
        [[destination]]
        id = "meta-main"
        template = "meta"
        settings = { pixel_id = 1234567890, access_token = { env = "META_ACCESS_TOKEN" } }
        "#,
    );
    let (bare, shipped) = (&bare.destinations[0], &shipped.destinations[0]);
    // What it takes is an example's, and no default.
    assert_eq!(shipped.route.only.sources.len(), 2);
    assert_eq!(bare.route, Route { only: Only::default(), ..shipped.route.clone() });
    assert_eq!(bare.route.max_age_ms, Some(7 * DAY_MS), "as its template says");
    assert_eq!(bare.max_in_flight, shipped.max_in_flight);
    assert_eq!(bare.timeout_ms, shipped.timeout_ms);
    assert_eq!(bare.allow_private_network, shipped.allow_private_network);
    assert_eq!(bare.ready.mode(), shipped.ready.mode());
}

#[test]
fn every_key_that_the_shipped_file_shows_is_understood() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("cert.pem"), "a certificate").unwrap();
    fs::write(folder.path().join("key.pem"), "a key").unwrap();
    fs::create_dir_all(folder.path().join("templates/sources")).unwrap();
    // The example's network signs nothing, and a secret that verifies nothing is a mistake.
    let cake = include_str!("../../templates/sources/cake.toml");
    let signing = format!("{cake}\n[verify]\nkind = \"token\"\nheader = \"x-token\"\n");
    fs::write(folder.path().join("templates/sources/cake.toml"), signing).unwrap();
    fs::write(folder.path().join("GeoLite2-Country.mmdb"), b"data\xab\xcd\xefMaxMind.comabout").unwrap();
    let file = folder.path().join("postbridge.toml");
    let text = with_every_key();
    assert!(text.contains("\n[server.tls]\ncertificate"), "{text}");
    let config = Config::parse(file.to_str().unwrap(), &text, &env)
        .unwrap_or_else(|problems| panic!("{}", reported(&problems)));
    assert_eq!(config.server.public_url, "https://t.example.com");
    assert_eq!(config.server.tls.unwrap().certificate, folder.path().join("cert.pem"));
    assert_eq!(config.store.path, folder.path().join("data"));
    assert_eq!(config.sources[0].max_per_second.unwrap().get(), 200);
    assert_eq!(config.sources[0].verify.mode, VerifyMode::Enforce);
    assert_eq!(config.sources[0].verify.secrets.len(), 1);
    assert_eq!(config.sources[0].verify.allow_ips.len(), 1);
    assert_eq!(config.destinations[0].route.only.events, ["Purchase"]);
    assert_eq!(config.destinations[0].route.only.sources[0].as_str(), "cake-test");
}

#[test]
fn every_key_that_is_understood_is_in_the_shipped_file() {
    let shown = with_every_key();
    let tables = [
        "[server]",
        "[server.tls]",
        "[store]",
        "[templates]",
        "[api]",
        "[[api.tokens]]",
        "[[source]]",
        "[[destination]]",
        "[destination.only]",
        "[[affiliate]]",
        "[affiliate.postback]",
        "[[offer]]",
        "[offer.caps]",
        "[offer.disposition]",
        "[[campaign]]",
        "[campaign.postback]",
        "[[postback]]",
        "[filters]",
        "[filters.duplicate]",
        "[filters.country]",
        "[filters.device]",
        "[filters.referrer]",
        "[filters.bot]",
        "[filters.caps]",
        "[tag]",
        "[pixel]",
        "[cake_api]",
    ];
    let unknown: String = tables.iter().map(|table| format!("{table}\nqqqqqq = 1\n")).collect();
    let text = format!("qqqqqq = 1\n{unknown}");
    let mut lists = 0;
    for problem in problems(&text).iter().filter(|problem| problem.what.contains("unknown key")) {
        let (_, known) = problem.hint.split_once(" may have: ").expect("a list of keys");
        for key in known.split(", ") {
            let marks =
                [format!("[{key}]"), format!(".{key}]"), format!("{{ {key} = "), format!(", {key} = ")];
            let shows = |line: &str| {
                line.starts_with(&format!("{key} = ")) || marks.iter().any(|mark| line.contains(mark))
            };
            let there = shown.lines().any(shows);
            assert!(there, "`{key}` is not in the shipped file");
        }
        lists += 1;
    }
    assert_eq!(lists, tables.len() + 1);
}

#[test]
fn a_problem_is_at_the_line_of_its_key() {
    let found = problems("[server]\nlisten = \"127.0.0.1:8080\"\n\n# why\nmax_body_bytes = 1\n");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].at, "postbridge.toml:5");
}

#[test]
fn all_problems_of_a_file_are_reported_at_once_in_its_order() {
    let found =
        problems("[server]\nlisten = \"x\"\npublic_url = \"y\"\n[store]\nengine = \"postgres\"\nz = 1\n");
    let places: Vec<&str> = found.iter().map(|problem| problem.at.as_str()).collect();
    assert_eq!(places, ["postbridge.toml:2", "postbridge.toml:3", "postbridge.toml:5", "postbridge.toml:6"]);
}

#[test]
fn any_text_may_come_from_the_environment_or_a_file_next_to_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("key"), "key-from-a-file\n").unwrap();
    let file = folder.path().join("postbridge.toml");
    let text = SOURCE.replace("{ env = \"CAKE_KEY\" }", "[{ file = \"key\" }, { env = \"CAKE_KEY\" }]");
    let text = format!("[server]\nlisten = {{ env = \"LISTEN\" }}\n{text}");
    let config = Config::parse(file.to_str().unwrap(), &text, &env).map_err(|p| reported(&p)).unwrap();
    assert_eq!(config.server.listen.port(), 9090);
    let source = config.source("cake-test").unwrap();
    assert_eq!(source.keys[0].reveal(), "key-from-a-file");
    assert_eq!(source.keys[1].reveal(), "k3y-of-the-network-4711");
}

#[test]
fn without_a_public_url_printed_urls_begin_with_the_listening_address() {
    let config = parse("[server]\nlisten = \"127.0.0.1:7000\"\n");
    assert_eq!(config.server.public_url, "http://127.0.0.1:7000");
    let config = parse("[server]\npublic_url = \"https://t.example.com/in/\"\n");
    assert_eq!(config.server.public_url, "https://t.example.com/in");
}

#[test]
fn a_secret_never_prints_itself() {
    let secret = Secret::new("open sesame");
    assert!(!format!("{secret} {secret:?}").contains("sesame"));
    let config = parse(with_examples());
    let shown = format!("{:?} {:?}", config.api, config.server);
    assert!(!shown.contains("t0ken-of-the-operators"), "{shown}");
}

#[test]
fn a_running_program_refuses_another_address_or_store_and_takes_the_rest() {
    let running = parse(DEFAULT);
    let taken = parse(&DEFAULT.replace("public_url", "fallback_url = \"https://example.com/\"\npublic_url"));
    assert_eq!(running.reload_refusals(&taken), []);
    // What only new listeners would obey is refused rather than ignored.
    let limited = parse(&DEFAULT.replace("max_body_bytes = 65536", "max_body_bytes = 1024"));
    assert!(running.reload_refusals(&limited)[0].what.contains("max_body_bytes"));
    let moved = DEFAULT.replace("\nlisten = \"127.0.0.1:8080\"", "\nlisten = \"127.0.0.1:8090\"");
    let moved = moved
        .replace("# admin_listen", "admin_listen")
        .replace("keep_clicks_days = 120", "keep_clicks_days = 12");
    let reported: Vec<String> =
        running.reload_refusals(&parse(&moved)).iter().map(|p| p.what.clone()).collect();
    assert_eq!(reported.len(), 3, "{reported:?}");
    assert!(reported[0].contains("listen") && reported[0].contains("127.0.0.1:8090"), "{reported:?}");
    assert!(reported[1].contains("admin_listen") && reported[2].contains("keep_clicks_days"), "{reported:?}");
}

#[test]
fn a_file_that_is_not_there_is_a_problem_that_says_how_to_make_one() {
    let problems = Config::load(Path::new("/nowhere/postbridge.toml")).err().unwrap();
    assert_eq!(problems[0].at, "/nowhere/postbridge.toml");
    assert!(problems[0].hint.contains("postbridge init"));
}

#[test]
fn a_secrets_file_is_read_anew_and_a_variable_that_is_not_set_says_that_a_restart_is_needed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("postbridge.toml");
    let source =
        |key: &str| format!("[[source]]\nid = \"a\"\ntemplate = \"cake\"\ncurrency = \"USD\"\nkey = {key}\n");
    let none = |_: &str| None;
    let load = |key: &str| Config::parse(file.to_str().unwrap(), &source(key), &none);
    for secret in ["first-k3y-of-all", "second-k3y-of-all"] {
        fs::write(folder.path().join("key"), secret).unwrap();
        let config = load("{ file = \"key\" }").unwrap_or_else(|problems| panic!("{}", reported(&problems)));
        assert_eq!(config.sources[0].keys[0].reveal(), secret);
    }
    let problems = load("{ env = \"NEW_KEY\" }").err().unwrap();
    assert!(problems[0].hint.contains("restart it, or use { file = "), "{}", reported(&problems));
    assert!(DEFAULT.contains("needs a restart"));
}

#[test]
fn another_template_or_setting_that_decides_on_mapping_is_another_version_and_another_secret_is_not() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("sources")).unwrap();
    let template = |payout: &str| {
        let text = format!(
            "name = \"own\"\nmacro = \"{{{{}}}}\"\npostback = [\"id\", \"sum\"]\n\
             [map]\ntransaction_id = \"id\"\n{payout} = \"sum\"\n[default]\nevent = \"Purchase\"\n"
        );
        fs::write(folder.path().join("sources/own.toml"), text).unwrap();
    };
    let version = |settings: &str| {
        let path = folder.path().display();
        let text =
            format!("[templates]\npath = \"{path}\"\n[[source]]\nid = \"s\"\ntemplate = \"own\"\n{settings}");
        parse(&text).sources[0].mapping.to_string()
    };
    template("value");
    let plain = version("currency = \"USD\"\nkey = \"k3y-of-the-network-4711\"");
    assert!(plain.len() == 12 && plain.bytes().all(|digit| digit.is_ascii_hexdigit()), "{plain}");
    assert_eq!(plain, version("currency = \"USD\"\nkey = \"k3y-of-the-network-4711\""));
    assert_eq!(plain, version("currency = \"USD\"\nkey = \"another-k3y-of-the-network\""));
    assert_eq!(plain, version("currency = \"USD\"\nkey = \"k3y-of-the-network-4711\"\nunmatched = \"drop\""));
    for setting in
        ["dedup = \"click\"", "phone_region = \"DE\"", "birthdate = \"dmy\"", "zero_event = \"Lead\""]
    {
        let changed = version(&format!("currency = \"USD\"\nkey = \"k3y-of-the-network-4711\"\n{setting}"));
        assert_ne!(plain, changed, "{setting}");
    }
    assert_ne!(plain, version("currency = \"EUR\"\nkey = \"k3y-of-the-network-4711\""));
    template("payout");
    assert_ne!(plain, version("currency = \"USD\"\nkey = \"k3y-of-the-network-4711\""));
}
