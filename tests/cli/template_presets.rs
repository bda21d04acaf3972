//! `postbridge templates` and `check` with presets of outgoing postbacks.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::command_line::{err, json_of, out, postbridge};

#[test]
fn templates_list_names_each_preset_with_its_level() {
    let folder = tempfile::tempdir().unwrap();
    let listed = json_of(&postbridge(folder.path(), &["templates", "list", "--json"]));
    let presets = listed["presets"].as_array().unwrap();
    let names: Vec<&str> = presets.iter().map(|preset| preset["name"].as_str().unwrap()).collect();
    for name in [
        "exoclick",
        "trafficstars",
        "propellerads",
        "mgid",
        "newsbreak",
        "adsterra",
        "hilltopads",
        "clickadu",
    ] {
        assert!(names.contains(&name), "{names:?}");
    }
    for name in
        ["richads", "kadam", "revcontent", "voluum", "binom", "keitaro", "everflow", "tune", "affise", "cake"]
    {
        assert!(names.contains(&name), "{names:?}");
    }
    let levels = ["vendor", "vendor_via", "code", "third_party", "doubtful"];
    for preset in presets {
        let level = preset["level"].as_str().unwrap_or_default();
        assert!(
            levels.contains(&level) && !preset["provenance"].as_array().unwrap().is_empty(),
            "{preset:#}"
        );
    }
    let words = out(&postbridge(folder.path(), &["templates", "list"]));
    assert!(words.contains("\npresets\n") && words.contains("level              third_party"), "{words}");
}

#[test]
fn templates_show_says_of_a_preset_what_to_write_into_the_tracking_url() {
    let folder = tempfile::tempdir().unwrap();
    let words = out(&postbridge(folder.path(), &["templates", "show", "exoclick"]));
    for text in [
        "exoclick             ExoClick",
        "goal               Goal ID (optional)",
        "click_param        Parameter of the tracking URL that brings the click id (optional)",
        "write exoclick_id={conversions_tracking} into it",
        "level              code",
        "vendor): replies: the body is OK or an error",
    ] {
        assert!(words.contains(text), "no `{text}` in {words}");
    }
    assert!(!words.contains("destinations") && !words.contains("sources"), "{words}");
    let shown = json_of(&postbridge(folder.path(), &["templates", "show", "revcontent", "--json"]));
    let preset = &shown["presets"][0];
    assert_eq!((&preset["landing_param"], &preset["level"]), (&json!("rc_uuid"), &json!("doubtful")));
    assert_eq!(preset["tracking"], "rc_uuid={{widget_clickid}}");
    assert!(
        preset["settings"][0]
            == json!({"name": "api_key", "label": "API key", "required": true, "secret": true, "secret_path": false}),
        "{preset:#}"
    );
    assert!(
        preset["doubts"].as_array().unwrap().contains(&json!({"about": "click_ids", "reason": "doubtful"}))
    );
    let wrong = postbridge(folder.path(), &["templates", "show", "exoclik"]);
    assert!(err(&wrong).contains("did you mean `exoclick`?"), "{}", err(&wrong));
}

#[test]
fn templates_test_runs_the_stories_of_ones_own_presets_and_asks_for_those_that_are_lacking() {
    let own = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = own.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let preset = "label = \"Mine\"\nurl = \"https://mine.example/pb?c={landing_click_id}&v={earned}\"\n\
                  [click]\nparam = \"mine_id\"\nfilled_by = \"{click}\"\n";
    write("presets/mine.toml", preset);
    write(
        "fixtures/presets/mine/a_sale/story.toml",
        "[conversion]\nvalue = \"7.00\"\n[click]\nid = \"c\"\nparams = { mine_id = \"x\" }\n",
    );
    let run = || postbridge(own.path(), &["templates", "test", "."]);
    assert!(err(&run()).contains("run with BLESS=1 to write it"), "{}", err(&run()));
    let expected = json!({"method": "GET", "url": "https://mine.example/pb?c=x&v=7.00"});
    write("fixtures/presets/mine/a_sale/expected.json", &format!("{expected:#}\n"));
    let ran = run();
    assert_eq!(ran.status.code(), Some(1));
    for lacking in ["no story of `mine` is skipped for want of its click id", "classified as delivered"] {
        assert!(err(&ran).contains(lacking), "no `{lacking}` in {}", err(&ran));
    }
    assert!(out(&ran).contains("ok mine/a_sale") && out(&ran).contains("1 template, "), "{}", out(&ran));
}

/// The problems that `check` has of this configuration.
fn check(folder: &Path, text: &str) -> Vec<Value> {
    fs::write(folder.join("postbridge.toml"), text).unwrap();
    json_of(&postbridge(folder, &["check", "--json"]))["problems"].as_array().unwrap().clone()
}

#[test]
fn a_broken_preset_of_ones_own_hides_the_built_in_one_and_is_named_once() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("own/presets")).unwrap();
    fs::write(folder.path().join("own/presets/exoclick.toml"), "label = \"Mine\"\n").unwrap();
    let text = "[templates]\npath = \"own\"\n[[postback]]\nid = \"exo\"\npreset = \"exoclick\"\n";
    let problems = check(folder.path(), text);
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert!(problems[0].to_string().contains("exoclick.toml"), "{problems:#?}");
}
