//! Every destination template has its stories, and every story ends as it says. `BLESS=1` rewrites.

use std::path::Path;

use crate::support::stories::{expectations, folders_of};
use postbridge::story::expected::Expectations;
use postbridge::story::run::run_destination_stories;
use postbridge::template::catalog::Catalog;

#[test]
fn every_destination_template_reports_its_stories_as_expected() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/destinations");
    let catalog = Catalog::load(None).unwrap();
    let names = catalog.destination_names();
    let report = run_destination_stories(&catalog, &names, &directory, expectations());
    let problems: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(report.passed.len() >= names.len() * 8, "{:?}", report.passed);
}

#[test]
fn a_folder_of_stories_belongs_to_a_destination_template() {
    let catalog = Catalog::load(None).unwrap();
    for name in folders_of("fixtures/destinations") {
        assert!(catalog.destination(&name).is_some(), "fixtures/destinations/{name} has no template");
    }
}

#[test]
fn a_destination_template_without_stories_fails() {
    let empty = tempfile::tempdir().unwrap();
    let catalog = Catalog::load(None).unwrap();
    let report = run_destination_stories(&catalog, &["webhook"], empty.path(), Expectations::Check);
    let webhook = catalog.destination("webhook").unwrap();
    assert_eq!(webhook.words_of_changes(), ["status"]);
    assert_eq!(report.problems.len(), webhook.events().len() + 4 + 1, "one of a change");
}

#[test]
fn a_users_own_stories_run_with_the_users_own_templates() {
    let directory = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = directory.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let toml = "label = \"Mine\"\n[events]\nPurchase = \"buy\"\n[request]\nurl = \"https://a.example/\"\n";
    write("destinations/mine/destination.toml", toml);
    write("destinations/mine/event.json.hbs", "{\"value\": {{number value}}}");
    write("fixtures/destinations/mine/sale/story.toml", "[conversion]\nvalue = \"7.00\"\n");
    for (outcome, status) in [("delivered", 200), ("retry", 500), ("dead", 400), ("park", 401)] {
        let story = format!("[reply]\nstatus = {status}\n");
        write(&format!("fixtures/destinations/mine/{outcome}/story.toml"), &story);
    }
    let run = |expectations| {
        let catalog = Catalog::load(Some(directory.path())).unwrap();
        run_destination_stories(
            &catalog,
            &["mine"],
            &directory.path().join("fixtures/destinations"),
            expectations,
        )
    };
    let first = run(Expectations::Check);
    assert!(first.problems.iter().any(|problem| problem.hint.contains("BLESS=1")), "{:?}", first.problems);
    let written = run(Expectations::Rewrite);
    assert!(written.problems.is_empty(), "{:?}", written.problems);
    assert!(written.written.len() == 5 && written.written.values().all(|change| change == "new"));
    let checked = run(Expectations::Check);
    assert_eq!((checked.passed.len(), checked.problems.len()), (5, 0), "{:?}", checked.problems);
    write("destinations/mine/event.json.hbs", "{\"value\": {{text value}}}");
    let changed = run(Expectations::Check);
    assert!(changed.written.is_empty() && checked.written.is_empty());
    let shown = changed.problems.iter().map(ToString::to_string).collect::<String>();
    assert!(
        shown.contains("expected.json:8: expected `\"value\": 7.00`, found `\"value\": \"7.00\"`"),
        "{shown}"
    );
    assert_eq!(changed.problems.len(), 1, "what a story that went wrong covers is not asked: {shown}");
    let rewritten: Vec<_> = run(Expectations::Rewrite).written.into_iter().collect();
    let change = "line 8 was `\"value\": 7.00`, is `\"value\": \"7.00\"`";
    assert_eq!(rewritten, [("mine/sale".to_owned(), change.to_owned())], "of the others nothing changed");
    write("destinations/mine/event.json.hbs", "{\"value\": {{number value}}}");
    assert_eq!(run(Expectations::Rewrite).written.len(), 1);
    write("fixtures/destinations/mine/broken/text.json", "{\"breaks\": \"type\", \"payload\": {}}");
    let unchecked = run(Expectations::Check).problems;
    let shown: Vec<String> = unchecked.iter().map(ToString::to_string).collect();
    assert!(shown.len() == 1 && shown[0].contains("no schema.json that could refuse it"), "{shown:?}");
}

#[test]
fn of_a_visitor_who_refused_a_story_sends_a_change_by_ids_alone_and_a_sale_not_at_all() {
    let directory = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = directory.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let toml = "label = \"Mine\"\n[events]\nPurchase = \"buy\"\n[changes]\non_value = \"restate\"\non_rejected = \"status\"\n[request]\nurl = \"https://a.example/\"\n";
    write("destinations/mine/destination.toml", toml);
    write(
        "destinations/mine/event.json.hbs",
        "{\"email\": {{json traits.email}}, \"ip\": {{json click.ip}}, \"value\": {{number value}}}",
    );
    let refused = "[conversion]\nvalue = \"7\"\ntraits = { email = \"ann@shop.example\" }\n\
                   [click]\nid = \"abc\"\nip = \"203.0.113.9\"\nconsent = { ad_user_data = false }\n";
    write("stories/mine/sale/story.toml", refused);
    write("stories/mine/change/story.toml", &format!("change = 1\n{refused}"));
    let agreed = refused.replace("false", "true");
    write("stories/mine/agreed/story.toml", &agreed);
    let catalog = Catalog::load(Some(directory.path())).unwrap();
    let stories = directory.path().join("stories");
    run_destination_stories(&catalog, &["mine"], &stories, Expectations::Rewrite);
    let written = |story: &str| -> serde_json::Value {
        let text = std::fs::read_to_string(stories.join("mine").join(story).join("expected.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    assert_eq!(written("sale")["code"], "consent_denied");
    assert_eq!(written("change")["body"], serde_json::json!({"value": 7}));
    let whole = serde_json::json!({"email": "ann@shop.example", "ip": "203.0.113.9", "value": 7});
    assert_eq!(written("agreed")["body"], whole);
}

#[test]
fn stories_of_replies_may_be_in_a_folder_of_their_outcome_and_share_the_defaults() {
    let directory = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let folder = directory.path().join("webhook").join(path);
        std::fs::create_dir_all(folder.parent().unwrap()).unwrap();
        std::fs::write(folder, text).unwrap();
    };
    let settings = "[settings]\nurl = \"https://hooks.example/in\"\nsecret = \"whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz\"\n";
    write("defaults.toml", settings);
    write("replies/dead/bad-request/story.toml", "[reply]\nstatus = 400\n");
    write("replies/park/unauthorized/story.toml", "[reply]\nstatus = 401\n");
    let run = |expectations| {
        let catalog = Catalog::load(None).unwrap();
        run_destination_stories(&catalog, &["webhook"], directory.path(), expectations)
    };
    let passed = run(Expectations::Rewrite).passed;
    assert_eq!(passed, ["webhook/replies/dead/bad-request", "webhook/replies/park/unauthorized"]);
    write("replies/dead/busy/story.toml", "[reply]\nstatus = 503\n");
    write("replies/dead/sale/story.toml", "[conversion]\nvalue = \"7.00\"\n");
    let said: Vec<String> = run(Expectations::Check).problems.iter().map(ToString::to_string).collect();
    let named = |part: &str| said.iter().any(|said| said.contains(part));
    assert!(
        named("busy/story.toml: the reply is classified as retry, and its folder is of `dead`"),
        "{said:#?}"
    );
    assert!(named("sale/story.toml: it is no story of a reply"), "{said:#?}");
}

#[test]
fn everything_that_is_wrong_with_a_story_is_said_at_once_each_at_its_line() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("webhook/wrong");
    std::fs::create_dir_all(&folder).unwrap();
    let story =
        "now = \"soon\"\nmode = \"lvie\"\n[conversion]\nvalue = 7\nvaleu = \"7\"\n[click]\nip = \"here\"\n";
    std::fs::write(folder.join("story.toml"), story).unwrap();
    let catalog = Catalog::load(None).unwrap();
    let report = run_destination_stories(&catalog, &["webhook"], directory.path(), Expectations::Check);
    let said: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
    let expected = [
        (1, "`now`: `soon` is not a time"),
        (2, "did you mean \"live\"?"),
        (4, "`value` in [conversion] is an integer, not a text in quotes"),
        (5, "did you mean `value`?"),
        (6, "[click] has no `id`"),
        (7, "`ip` in [click]: `here` is not an address"),
    ];
    assert_eq!(said.len(), expected.len(), "{said:#?}");
    for (said, (line, part)) in said.iter().zip(expected) {
        assert!(said.contains(&format!("story.toml:{line}: ")) && said.contains(part), "{part} in {said}");
    }
}

#[test]
fn the_sample_that_the_webhooks_setup_shows_is_what_its_story_sends() {
    let catalog = Catalog::load(None).unwrap();
    let setup = catalog.destination("webhook").unwrap().setup().to_owned();
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/destinations/webhook/purchase");
    let expected = std::fs::read_to_string(directory.join("expected.json")).unwrap();
    let expected: serde_json::Value = serde_json::from_str(&expected).unwrap();
    let sample = setup.split_once("```json\n").unwrap().1.split_once("```").unwrap().0;
    assert_eq!(serde_json::from_str::<serde_json::Value>(sample).unwrap(), expected["body"]);
    assert_eq!(expected["body"]["data"]["traits"]["email"], "ann@shop.example");
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        let line = format!("{name}: {}\n", expected["headers"][name].as_str().unwrap());
        assert!(setup.contains(&line), "{line} is not in\n{setup}");
    }
}
