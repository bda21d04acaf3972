//! What is wrong with a destination template or an account is said at once, with file, line and the fix.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use postbridge::domain::ids::DestinationId;
use postbridge::template::catalog::Catalog;
use postbridge::template::destination::definition::DestinationTemplate;
use postbridge::template::destination::ready::ReadyDestination;
use postbridge::template::destination::rendering::DestinationMode;
use postbridge::template::destination::spec::DestinationSpec;
use postbridge::template::diagnostic::Problem;

const TOML: &str = r#"label = "Test"
[events]
Purchase = "buy"
[request]
url = "https://ads.example/{{settings.account}}"
[[setting]]
name = "account"
label = "Account"
required = true
"#;

fn parse(toml: &str, event: &str) -> Result<DestinationTemplate, Vec<Problem>> {
    let files = [("destination.toml", toml), ("event.json.hbs", event)];
    let files = files.map(|(name, text)| (name.to_owned(), text.to_owned())).into_iter().collect();
    DestinationTemplate::parse("test", "test", &files)
}

/// Every problem of a payload template as one line each.
fn event_problems(event: &str) -> Vec<String> {
    let problems = parse(TOML, event).err().unwrap_or_default();
    problems
        .into_iter()
        .map(|problem| format!("{}: {} | {}", problem.at, problem.what, problem.hint))
        .collect()
}

fn toml_problems(toml: &str) -> Vec<String> {
    let problems = parse(toml, r#"{"event": {{json event}}}"#).err().unwrap_or_default();
    problems
        .into_iter()
        .map(|problem| format!("{}: {} | {}", problem.at, problem.what, problem.hint))
        .collect()
}

fn one(problems: &[String], parts: &[&str]) {
    assert_eq!(problems.len(), 1, "{problems:?}");
    for part in parts {
        assert!(problems[0].contains(part), "{part} in {problems:?}");
    }
}

#[test]
fn a_bare_value_in_a_json_template_is_a_problem_with_its_line() {
    one(
        &event_problems("{\n\"a\": {{json event}},\n  \"b\": {{value}}\n}"),
        &["test/event.json.hbs:3", "bare"],
    );
}

#[test]
fn three_braces_blocks_and_partials_are_refused() {
    one(&event_problems("{\n\"a\": {{{json event}}}\n}"), &["event.json.hbs:2", "three braces"]);
    one(&event_problems("{\n\"a\": {{&event}}\n}"), &["event.json.hbs:2", "three braces"]);
    one(&event_problems("{{#if value}}{\"a\":1}{{/if}}"), &["event.json.hbs:1", "{{#if}}"]);
    one(&event_problems("{\"a\":\n{{> other}}\n}"), &["event.json.hbs:2", "partials"]);
}

#[test]
fn a_look_up_needs_a_typed_helper_around_it() {
    one(&event_problems(r#"{"a": {{param "affid"}}}"#), &["look-up", "{{json (param"]);
    one(&event_problems(r#"{"a": {{raw event}}}"#), &["`raw`"]);
    assert_eq!(event_problems(r#"{"a": {{json (param "affid")}}}"#), Vec::<String>::new());
}

#[test]
fn an_unknown_name_is_a_typo_with_a_suggestion() {
    one(
        &event_problems("{\n\n\"a\": {{json event_idd}}}"),
        &["event.json.hbs:3", "`event_idd`", "`event_id`?"],
    );
    one(&event_problems(r#"{"a": {{json click.landing_ulr}}}"#), &["`click.landing_url`?"]);
    one(&event_problems(r#"{"a": {{jsn event}}}"#), &["no helper `jsn`", "`json`?"]);
    one(&event_problems(r#"{"a": {{json settings.acount}}}"#), &["no setting `acount`", "`account`?"]);
    one(
        &event_problems(r#"{"a": {{sha256 (phone traits.phone pluss=false)}}}"#),
        &["no option `pluss`", "plus"],
    );
    one(&event_problems(r#"{"a": {{json}}}"#), &["`json` is a helper"]);
    one(&event_problems(r#"{"a": {{json event value}}}"#), &["2 arguments", "takes 1"]);
    one(&event_problems(r#"{"a": {{json ../event}}}"#), &["no `../event`"]);
    one(&event_problems(r#"{"a": {{json @root}}}"#), &["@root"]);
}

#[test]
fn the_templates_readme_explains_every_helper() {
    let readme =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/templates/README.md")).unwrap();
    let problems = event_problems(r#"{"a": {{json (qqqqqqqq event)}}}"#);
    let (_, listed) = problems[0].split_once("helpers: ").expect("the hint lists them all");
    let helpers: Vec<&str> =
        listed.split([',', ' ']).filter(|name| !name.is_empty() && *name != "or").collect();
    assert!(helpers.len() > 25, "{helpers:?}");
    for helper in helpers {
        let row = |text: &str| text.starts_with("| ") && text.contains(&format!("`{helper} "));
        assert!(readme.lines().any(row), "{helper}");
    }
}

#[test]
fn a_helper_for_answers_takes_an_answer() {
    let event = event_problems(r#"{"a": {{answer event yes="a" no="b"}}}"#);
    one(&event, &["`answer` takes an answer", "click.ad_user_data"]);
    one(&event_problems(r#"{"a": {{refused event_time}}}"#), &["`refused` takes an answer"]);
    assert_eq!(event_problems(r#"{"a": {{refused click.ad_user_data}}}"#), Vec::<String>::new());
}

#[test]
fn a_time_helper_takes_a_time() {
    one(&event_problems(r#"{"a": {{unix event_id}}}"#), &["`unix` takes a time", "event_time"]);
    one(&event_problems(r#"{"a": {{sha256 (email event_time)}}}"#), &["`email` takes a text"]);
    assert_eq!(event_problems(r#"{"a": {{unix_ms (default click.time event_time)}}}"#), Vec::<String>::new());
}

#[test]
fn a_template_that_is_no_json_says_where() {
    one(&event_problems("{\n \"a\": {{json event}}\n \"b\": 1\n}"), &["event.json.hbs:3", "not JSON"]);
    one(&event_problems("{\n \"a\": {{json event}},\n}"), &["event.json.hbs:3", "not JSON"]);
    one(&event_problems("{\"a\": \"x {{json event}}\"}"), &["inside quotes", "join"]);
    one(&event_problems("{ {{json event}}: 1}"), &["name of a member"]);
    one(&event_problems("{\"a\": {{json event }"), &["event.json.hbs:1"]);
    one(&event_problems("{{json event}}"), &["neither an object nor an array"]);
    one(&event_problems("7"), &["neither an object nor an array"]);
    one(&event_problems(""), &["not JSON"]);
}

#[test]
fn hostile_templates_are_refused_and_never_crash() {
    let deep = format!("{{\"a\": {{{{json {}event{}}}}}}}", "(json ".repeat(5000), ")".repeat(5000));
    assert!(!event_problems(&deep).is_empty());
    let nested = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
    assert!(!event_problems(&nested).is_empty());
    one(&event_problems(&format!("{{\"a\": \"{}\"}}", "x".repeat(70_000))), &["70009 bytes"]);
}

#[test]
fn every_problem_of_a_payload_is_shown_at_once() {
    let problems = event_problems("{\n\"a\": {{value}},\n\"b\": {{json nothing}},\n\"c\": {{jsn event}}\n}");
    let lines: Vec<&str> = problems.iter().map(|problem| problem.split(": ").next().unwrap()).collect();
    assert_eq!(lines, ["test/event.json.hbs:3", "test/event.json.hbs:4", "test/event.json.hbs:2"]);
}

#[test]
fn an_unknown_key_of_the_toml_has_a_line_and_a_suggestion() {
    one(&toml_problems(&format!("max_age_hour = 1\n{TOML}")), &["destination.toml:1", "max_age_hours"]);
    one(
        &toml_problems(&format!("{TOML}requird = true\n")),
        &["destination.toml:10", "`requird` in [[setting]]", "`required`?"],
    );
    one(
        &toml_problems(&format!("{TOML}[reply]\n[[reply.rule]]\nthen = \"delivered\"\nstatsu = [200]\n")),
        &["destination.toml:13", "`status`?"],
    );
}

#[test]
fn every_problem_of_the_toml_is_shown_at_once() {
    let toml = r#"lable = "x"
changes = "sometimes"
max_age_hours = "7"
[events]
Purchas = "buy"
[request]
method = "PATCH"
url = "https://ads.example/"
auth = { kind = "magic" }
[batch]
max = 50000
[[require]]
all = ["/event"]
any = ["/event"]
why = "x"
[[reply.rule]]
then = "explode"
"#;
    let problems = toml_problems(toml);
    for part in [
        "the file has no `label`",
        "`lable`",
        "sometimes",
        "max_age_hours",
        "`Purchas`",
        "PATCH",
        "magic",
        "batch",
        "one thing",
        "explode",
    ] {
        assert!(problems.iter().any(|problem| problem.contains(part)), "{part} in {problems:#?}");
    }
}

#[test]
fn a_requirement_names_a_member_of_the_template() {
    let toml = format!("{TOML}[[require]]\nall = [\"/event\", \"/evnt\"]\nwhy = \"x\"\n");
    one(&toml_problems(&toml), &["destination.toml:10", "no `/evnt`"]);
}

#[test]
fn a_url_and_its_headers_are_checked_like_the_payload() {
    one(
        &toml_problems(&TOML.replace("settings.account", "settings.acount")),
        &["destination.toml:5", "`account`?"],
    );
    let toml = format!("{TOML}[request.headers]\nx-a = \"{{{{evnt}}}}\"\n");
    one(&toml_problems(&toml), &["destination.toml:11", "no `evnt`"]);
}

#[test]
fn a_payload_of_its_own_belongs_to_a_listed_event() {
    let files: BTreeMap<String, String> = [
        ("destination.toml", TOML),
        ("event.json.hbs", r#"{"a": 1}"#),
        ("event.Leed.json.hbs", r#"{"a": 2}"#),
    ]
    .map(|(name, text)| (name.to_owned(), text.to_owned()))
    .into_iter()
    .collect();
    let problems = DestinationTemplate::parse("test", "test", &files).err().unwrap();
    assert!(problems[0].to_string().contains("`Leed` is not among"), "{problems:?}");
}

fn spec(template: &str, settings: &[(&str, &str)]) -> DestinationSpec {
    DestinationSpec {
        id: DestinationId::parse("main").unwrap(),
        template: Catalog::load(None).unwrap().destination(template).unwrap(),
        mode: DestinationMode::Live,
        endpoint: None,
        token_endpoint: None,
        on_rejected: None,
        settings: settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        events: BTreeMap::new(),
    }
}

fn account_problems(spec: DestinationSpec) -> Vec<String> {
    ReadyDestination::build(spec)
        .err()
        .unwrap_or_default()
        .into_iter()
        .map(|wrong| wrong.problem.to_string())
        .collect()
}

#[test]
fn every_problem_of_an_account_is_shown_at_once() {
    let mut wrong = spec("meta", &[("pixel", "12"), ("version", "v26.0")]);
    wrong.endpoint = Some("127.0.0.1:9999".to_owned());
    wrong.events.insert("Lead".to_owned(), " ".to_owned());
    let problems = account_problems(wrong);
    for part in ["`pixel_id` (Dataset", "`access_token`", "no setting `pixel`", "`endpoint`", "`Lead`"] {
        assert!(problems.iter().any(|problem| problem.contains(part)), "{part} in {problems:#?}");
    }
    assert_eq!(problems.len(), 5, "{problems:#?}");
}

#[test]
fn test_mode_needs_its_setting() {
    let mut in_test = spec("meta", &[("pixel_id", "12"), ("access_token", "t")]);
    in_test.mode = DestinationMode::Test;
    one(&account_problems(in_test), &["test mode needs the setting `test_event_code`"]);
    let template = parse(TOML, r#"{"event": {{json event}}}"#).unwrap();
    let mut without = spec("meta", &[("account", "1")]);
    without.template = Arc::new(template);
    without.mode = DestinationMode::Test;
    one(&account_problems(without), &["`test` has no test mode", "shadow"]);
}

#[test]
fn a_setting_has_the_form_it_should_and_a_secret_is_never_repeated() {
    one(
        &account_problems(spec("meta", &[("pixel_id", "12a"), ("access_token", "t")])),
        &["`pixel_id` holds more than digits"],
    );
    one(
        &account_problems(spec("meta", &[("pixel_id", "12"), ("access_token", "se\ncret")])),
        &["control character"],
    );
    for (country, wrong) in [("US", false), ("Germany", false), ("deu", false), ("Narnia", true), ("1", true)]
    {
        let settings = [("pixel_id", "a2_x"), ("access_token", "t"), ("country", country)];
        let problems = account_problems(spec("reddit", &settings));
        assert_eq!(
            problems.iter().any(|said| said.contains("`country` is no country")),
            wrong,
            "{problems:?}"
        );
    }
    for secret in ["short", "whsec_c2hvcnQ=", "whsec_***", "whsec_"] {
        let problems =
            account_problems(spec("webhook", &[("url", "https://a.example/"), ("secret", secret)]));
        assert_eq!(problems.len(), 1, "{secret}");
        assert!(
            problems[0].contains("signing key") && !problems[0].contains(secret) || secret == "whsec_",
            "{problems:?}"
        );
    }
    for url in ["hooks.example", "ftp://a.example/", "https://", "javascript:alert(1)"] {
        let secret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz";
        one(
            &account_problems(spec("webhook", &[("url", url), ("secret", secret)])),
            &["`url` is no web address"],
        );
    }
}

#[test]
fn only_an_address_has_a_path_to_keep_secret() {
    let wrong = format!("{TOML}secret_path = true\n");
    one(&toml_problems(&wrong), &["test/destination.toml:", "`account` has no path to keep secret"]);
    assert_eq!(toml_problems(&format!("{TOML}secret_path = true\nkind = \"url\"\n")), Vec::<String>::new());
}

#[test]
fn a_users_directory_adds_and_overrides_by_name() {
    let directory = tempfile::tempdir().unwrap();
    for (name, label) in [("mine", "Mine"), ("meta", "My own Meta")] {
        let folder = directory.path().join("destinations").join(name);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("destination.toml"), TOML.replace("Test", label)).unwrap();
        std::fs::write(folder.join("event.json.hbs"), "{\"event\": {{json event}}}").unwrap();
        std::fs::write(folder.join("notes.bin"), [0xff, 0xfe]).unwrap();
    }
    let catalog = Catalog::load(Some(directory.path())).unwrap();
    let built_in = Catalog::load(None).unwrap();
    let mut names = [built_in.destination_names(), vec!["mine"]].concat();
    names.sort_unstable();
    assert_eq!(catalog.destination_names(), names);
    assert_eq!(catalog.destination("meta").unwrap().label(), "My own Meta");
    assert!(catalog.source_names().contains(&"cake"), "{:?}", catalog.source_names());
    assert!(catalog.source("cake").is_some());
    assert!(catalog.destination("none").is_none());
}

#[test]
fn what_is_wrong_in_a_users_directory_is_placed_there() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("destinations/mine");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("destination.toml"), format!("{TOML}extra = 1\n")).unwrap();
    std::fs::create_dir_all(directory.path().join("sources")).unwrap();
    std::fs::write(directory.path().join("sources/odd.toml"), "name = 7\n").unwrap();
    let problems = Catalog::load(Some(directory.path())).err().unwrap();
    let at = |part: &str| problems.iter().any(|problem| problem.at.contains(part));
    assert!(at("mine/destination.toml:10") && at("sources/odd.toml"), "{problems:#?}");
    let missing = Catalog::load(Some(&directory.path().join("nowhere"))).err().unwrap();
    assert!(missing[0].what.contains("there is no folder"));
}

#[test]
fn no_part_of_a_users_directory_is_passed_over_in_silence() {
    let said = |make: &dyn Fn(&Path)| -> Vec<String> {
        let directory = tempfile::tempdir().unwrap();
        make(directory.path());
        let problems = Catalog::load(Some(directory.path())).err().unwrap_or_default();
        problems.iter().map(ToString::to_string).collect()
    };
    let folder = |path: PathBuf| std::fs::create_dir_all(path).unwrap();
    one(&said(&|_| {}), &["holds neither sources/ nor destinations/"]);
    one(&said(&|at| folder(at.join("source"))), &["source is not read", "name it `sources`"]);
    let next_to = |at: &Path| {
        folder(at.join("sources"));
        folder(at.join("Destination"));
    };
    one(&said(&next_to), &["Destination is not read", "name it `destinations`"]);
    // A link to itself can be read by no one, not even by root: as a folder without permission is.
    let closed = |at: &Path| std::os::unix::fs::symlink("sources", at.join("sources")).unwrap();
    one(&said(&closed), &["/sources: it cannot be read"]);
    let inside = |at: &Path| {
        folder(at.join("destinations"));
        std::os::unix::fs::symlink("mine", at.join("destinations/mine")).unwrap();
    };
    assert!(said(&inside)[0].contains("/destinations/mine: it cannot be read"), "{:?}", said(&inside));
    assert_eq!(said(&|at| folder(at.join("sources"))), Vec::<String>::new());
    let file = tempfile::NamedTempFile::new().unwrap();
    let problems = Catalog::load(Some(file.path())).err().unwrap();
    assert!(problems[0].what.ends_with("is not a folder"), "{problems:?}");
}
