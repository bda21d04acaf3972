//! The state that `preview` shows is the one that `serve` would give, with its reason.

use serde_json::{Value, json};

use crate::support::command_line::{CONFIG, QUERY, folder, json_of, out, postbridge};

/// What `preview` says of each destination: its state, and why it would not be sent.
fn states(config: &str, query: &str) -> Vec<(String, String, String)> {
    let folder = folder(config);
    let arguments = ["preview", "--source", "cake-test", "--click", "click.json", "--json", query];
    let document = json_of(&postbridge(folder.path(), &arguments));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = ["requests", "skipped"].map(|list| document[list].as_array().unwrap().clone()).concat();
    all.iter()
        .map(|one| (text(&one["destination"]), text(&one["state"]), text(&one["reason_code"])))
        .collect()
}

#[test]
fn preview_shows_the_state_that_serve_would_give_and_why() {
    let sent = states(CONFIG, QUERY);
    assert_eq!(sent, [("meta-main".to_owned(), "waiting".to_owned(), String::new())]);
    for mode in ["off", "shadow"] {
        let config =
            CONFIG.replace("template = \"meta\"", &format!("template = \"meta\"\nmode = \"{mode}\""));
        assert_ne!(config, CONFIG);
        assert_eq!(states(&config, QUERY), [("meta-main".to_owned(), "skipped".to_owned(), mode.to_owned())]);
    }
}

#[test]
fn a_preview_of_an_event_that_is_too_old_is_skipped_as_serve_would_skip_it() {
    let hook = r#"
        [[destination]]
        id = "hook"
        template = "webhook"
        settings.url = "https://hook.example.com/in"
        settings.secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

        [[source]]
        id = "own"
        template = "generic"
        key = "another-key-7"
        currency = "USD"
    "#;
    let folder = folder(&format!("{CONFIG}{hook}"));
    let query = "click_id=jxWUv1dyfyUCQnUF808u4iM7b0tMSpb88t&transaction_id=T1&value=7.50&event_time=2020-01-02T03:04:05Z";
    let arguments = ["preview", "--source", "own", "--click", "click.json", "--json", query];
    let document = json_of(&postbridge(folder.path(), &arguments));
    let skipped = &document["skipped"][0];
    assert_eq!((&skipped["destination"], &skipped["state"]), (&json!("meta-main"), &json!("skipped")));
    assert_eq!((&skipped["reason_code"], &skipped["field"]), (&json!("too_old"), &json!("event_time")));
    let hook = &document["requests"][0];
    assert_eq!((&hook["destination"], &hook["state"]), (&json!("hook"), &json!("waiting")), "no age limit");
    let in_words: Vec<&str> = arguments.into_iter().filter(|one| *one != "--json").collect();
    let said = out(&postbridge(folder.path(), &in_words));
    assert!(said.contains("meta-main, mode live: skipped\n") && said.contains("too_old: "), "{said}");
}

#[test]
fn a_preview_says_by_its_code_that_consent_is_missing() {
    let config = CONFIG.replace("template = \"meta\"", "template = \"meta\"\nconsent = \"granted\"");
    assert_ne!(config, CONFIG);
    let folder = folder(&config);
    let arguments = ["preview", "--source", "cake-test", "--click", "click.json", "--json", QUERY];
    let document = json_of(&postbridge(folder.path(), &arguments));
    let sent = &document["requests"][0];
    assert_eq!((&sent["state"], &sent["reason_code"]), (&json!("skipped"), &json!("consent_unknown")));
    assert!(sent["reason"].is_string(), "{sent:#}");
}
