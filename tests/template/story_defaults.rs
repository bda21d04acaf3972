//! What the stories of a destination have in common is said once, in `defaults.toml` next to them.

use std::path::Path;

use postbridge::story::expected::Expectations;
use postbridge::story::run::run_destination_stories;
use postbridge::template::catalog::Catalog;
use serde_json::Value;

const DEFAULTS: &str = "now = \"2026-11-28T12:00:00Z\"\n[settings]\nurl = \"https://hooks.example/a\"\n\
    secret = \"whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\"\n[conversion]\ntransaction_id = \"A-1\"\n\
    value = \"7.00\"\n[click]\nid = \"0mwpksvhilar8xlr3p1necay2ja82\"\nlanding_url = \"https://shop.example/lp\"\n\
    params = { cid = \"7\" }\n";

/// The body that a story of the webhook sends over [`DEFAULTS`], or what is wrong with it.
fn sent(story: &str, defaults: &str) -> Result<Value, String> {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("webhook/defaults.toml", defaults);
    write("webhook/one/story.toml", story);
    let catalog = Catalog::load(None).unwrap();
    let report = run_destination_stories(&catalog, &["webhook"], folder.path(), Expectations::Rewrite);
    let expected = folder.path().join("webhook/one/expected.json");
    match std::fs::read_to_string(&expected) {
        Ok(text) => Ok(serde_json::from_str::<Value>(&text).unwrap()["body"]["data"].clone()),
        Err(_) => {
            let place = |problem: &postbridge::template::diagnostic::Problem| {
                problem.to_string().replace(&format!("{}/", folder.path().display()), "")
            };
            Err(report.problems.first().map(place).unwrap_or_default())
        }
    }
}

#[test]
fn a_story_begins_with_the_defaults_and_its_own_members_go_before() {
    let plain = sent("", DEFAULTS).unwrap();
    assert_eq!((&plain["value"], &plain["transaction_id"]), (&"7.00".into(), &"A-1".into()), "{plain:#}");
    let own = sent("[conversion]\nvalue = \"8.50\"\n[click.params]\ncid = \"8\"\n", DEFAULTS).unwrap();
    assert_eq!((&own["value"], &own["transaction_id"]), (&"8.50".into(), &"A-1".into()), "{own:#}");
    assert_eq!(own["click"]["params"]["cid"], "8", "{own:#}");
    assert_eq!(own["click"]["landing_url"], "https://shop.example/lp", "{own:#}");
}

#[test]
fn a_story_takes_defaults_out_by_name() {
    let less = sent("without = [\"conversion.value\", \"click\"]\n", DEFAULTS).unwrap();
    assert_eq!(
        (&less["value"], &less["click"], &less["transaction_id"]),
        (&Value::Null, &Value::Null, &"A-1".into())
    );
}

#[test]
fn what_is_wrong_with_a_story_or_its_defaults_is_placed_in_its_own_file() {
    let wrong = |story: &str, defaults: &str| sent(story, defaults).unwrap_err();
    let unknown = wrong("\nwithout = [\"reply\"]\n", DEFAULTS);
    assert!(unknown.starts_with("webhook/one/story.toml:2: `without` names `reply`"), "{unknown}");
    let own = wrong("[conversion]\nworth = \"7\"\n", DEFAULTS);
    assert!(own.starts_with("webhook/one/story.toml:2: unknown key `worth`"), "{own}");
    let not_toml = wrong("", "now = \n");
    assert!(not_toml.starts_with("webhook/defaults.toml:1: this is not TOML"), "{not_toml}");
    let below = wrong("", &DEFAULTS.replace("value =", "worth ="));
    assert!(below.starts_with("webhook/defaults.toml:7: unknown key `worth`"), "{below}");
}

#[test]
fn the_stories_of_meta_have_their_settings_from_their_defaults() {
    let stories = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/destinations/meta");
    let repeats = |entry: &std::fs::DirEntry| {
        let story = std::fs::read_to_string(entry.path().join("story.toml"));
        story.is_ok_and(|story| story.contains("access_token ="))
    };
    let entries = std::fs::read_dir(stories).unwrap().map(|entry| entry.unwrap());
    assert_eq!(entries.filter(repeats).count(), 0);
}
