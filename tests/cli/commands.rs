//! The command line, run as the built program: what it prints and how it ends.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::command_line::{CONFIG, POSTBACK, QUERY, err, folder, json_of, out, postbridge};
use crate::support::relay::CAMPAIGN;

#[test]
fn check_names_offers_campaigns_and_postbacks_and_counts_where_there_are_many() {
    let few = folder(&format!("{CONFIG}{CAMPAIGN}{POSTBACK}"));
    let said = out(&postbridge(few.path(), &["check"]));
    assert!(said.contains("offers: 565 (Example offer, active)\n"), "{said}");
    assert!(said.contains("campaigns: 8599 (https://t.example.com/c/8599)\n"), "{said}");
    assert!(said.contains("outgoing postbacks: campaign:8599\n"), "{said}");
    assert!(said.contains("is fine: 1 source, 1 destination, 1 offer, 1 campaign, 1 outgoing postback\n"));
    let more: String = (1..=11)
        .map(|id| {
            format!("[[postback]]\nid = \"{id}\"\nmode = \"off\"\nurl = \"https://aff.example/?c=#s2#\"\n")
        })
        .collect();
    let many = folder(&format!("{CONFIG}{CAMPAIGN}{POSTBACK}{more}"));
    let said = out(&postbridge(many.path(), &["check"]));
    assert!(said.contains("outgoing postbacks: 12, of them 11 not live\n"), "{said}");
}

#[test]
fn check_names_every_problem_with_its_line_and_ends_with_2() {
    let folder = folder(&CONFIG.replace("\"USD\"", "\"XXQ\"").replace("pixel_id", "pixelid"));
    let checked = postbridge(folder.path(), &["check"]);
    assert_eq!(checked.status.code(), Some(2));
    let said = out(&checked);
    assert!(said.contains("postbridge.toml:12: ") && said.contains("XXQ"), "{said}");
    assert!(said.contains("pixelid") && said.contains("hint: "), "{said}");
}

#[test]
fn check_json_has_the_same_content_as_one_document() {
    let folder = folder(&CONFIG.replace("\"USD\"", "\"XXQ\""));
    let checked = postbridge(folder.path(), &["check", "--json"]);
    assert_eq!(checked.status.code(), Some(2));
    let document = json_of(&checked);
    assert_eq!(document["ok"], json!(false));
    let problem = &document["problems"][0];
    assert_eq!((&problem["file"], &problem["line"]), (&json!("postbridge.toml"), &json!(12)));
    assert!(problem["message"].as_str().unwrap().contains("XXQ"));
    assert!(!problem["hint"].as_str().unwrap().is_empty());
}

#[test]
fn the_configuration_is_found_by_option_then_environment_then_folder() {
    let here = folder(CONFIG);
    let other = folder(&CONFIG.replace("cake-test", "elsewhere"));
    let path = other.path().join("postbridge.toml");
    let by_option = postbridge(here.path(), &["url", "elsewhere", "--config", path.to_str().unwrap()]);
    assert_eq!(by_option.status.code(), Some(0), "{}", err(&by_option));
    let by_environment = Command::new(env!("CARGO_BIN_EXE_postbridge"))
        .args(["url", "elsewhere"])
        .current_dir(here.path())
        .env("POSTBRIDGE_CONFIG", &path)
        .env("CAKE_KEY", "hBtoE3hN-k3y")
        .env("META_ACCESS_TOKEN", "EAAB-token-of-the-account")
        .output()
        .unwrap();
    assert_eq!(by_environment.status.code(), Some(0), "{}", err(&by_environment));
    assert_eq!(postbridge(here.path(), &["url", "cake-test"]).status.code(), Some(0));
}

#[test]
fn url_prints_the_postback_url_with_its_key_and_raw_macros() {
    let folder = folder(CONFIG);
    let printed = postbridge(folder.path(), &["url", "cake-test"]);
    assert_eq!(
        out(&printed),
        "https://t.example.com/hBtoE3hN-k3y/collect/cake-test?s1=#s1#&s2=#s2#&s3=#s3#&s4=#s4#&s5=#s5#&oid=#oid#\
         &affid=#affid#&campid=#campid#&cid=#cid#&tid=#tid#&price=#price#\n"
    );
    let more = postbridge(folder.path(), &["url", "cake-test", "--with", "leadid"]);
    assert!(out(&more).trim_end().ends_with("&leadid=#leadid#"), "{}{}", out(&more), err(&more));
}

#[test]
fn url_of_an_unknown_source_or_parameter_is_bad_usage() {
    let folder = folder(CONFIG);
    let unknown = postbridge(folder.path(), &["url", "cake-tset"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(err(&unknown).contains("did you mean `cake-test`?"), "{}", err(&unknown));
    let parameter = postbridge(folder.path(), &["url", "cake-test", "--with", "nonsense"]);
    assert_eq!(parameter.status.code(), Some(2));
    assert!(err(&parameter).contains("nonsense"), "{}", err(&parameter));
}

#[test]
fn preview_shows_the_exact_request_with_its_secrets_masked() {
    let folder = folder(CONFIG);
    let preview = postbridge(
        folder.path(),
        &["preview", "--source", "cake-test", "--click", "click.json", "--json", QUERY],
    );
    assert_eq!(preview.status.code(), Some(0), "{}", err(&preview));
    let document = json_of(&preview);
    assert_eq!(document["postback"]["status"], "accepted");
    assert_eq!(document["conversion"]["event"], "Purchase");
    assert_eq!(document["conversion"]["value"], json!({ "amount": "7.50", "currency": "USD" }));
    assert_eq!(document["attribution"]["state"], "matched");
    assert_eq!(document["attribution"]["click_id"], "jxWUv1dyfyUCQnUF808u4iM7b0tMSpb88t");
    let request = &document["requests"][0];
    assert_eq!(request["destination"], "meta-main");
    assert_eq!(request["method"], "POST");
    assert!(request["url"].as_str().unwrap().contains("/1234567890/events"), "{request:#}");
    let event = &request["body"]["data"][0];
    assert_eq!(event["custom_data"]["order_id"], "10232206589ae3003509aacaa07ef2");
    assert_eq!(event["custom_data"]["value"].to_string(), "7.50");
    assert_eq!(event["event_id"], document["conversion"]["event_id"]);
    assert_eq!(event["event_source_url"], "https://shop.example.com/offer?x=1");
    assert!(!out(&preview).contains("EAAB-token"), "{}", out(&preview));
}

#[test]
fn preview_in_words_reports_the_same_and_no_secret() {
    let folder = folder(CONFIG);
    let url = format!("https://t.example.com/hBtoE3hN-k3y/collect/cake-test?{QUERY}");
    let preview =
        postbridge(folder.path(), &["preview", "--source", "cake-test", "--click", "click.json", &url]);
    let said = out(&preview);
    for text in ["Purchase", "7.50 USD", "matched", "meta-main, mode live", "POST https://", "565"] {
        assert!(said.contains(text), "no `{text}` in {said}");
    }
    assert!(!said.contains("EAAB-token"), "{said}");
}

#[test]
fn preview_reads_a_request_line_a_url_a_path_and_a_bare_query_alike() {
    let folder = folder(CONFIG);
    let path = format!("/***/collect/cake-test?{QUERY}");
    for pasted in [
        format!("GET {path} HTTP/1.1"),
        format!(" GET {path}\n"),
        format!("https://t.example.com{path}"),
        path.clone(),
        format!("?{QUERY}"),
        QUERY.to_owned(),
    ] {
        let preview =
            json_of(&postbridge(folder.path(), &["preview", "--source", "cake-test", "--json", &pasted]));
        assert_eq!(preview["conversion"]["value"]["amount"], "7.50", "{pasted}: {preview:#}");
        assert_eq!(preview["postback"]["parameters"].as_array().unwrap().len(), 11, "{pasted}: {preview:#}");
    }
}

#[test]
fn a_preview_without_its_click_says_that_it_would_be_held_and_still_shows_the_request() {
    let hook = r#"
        [[destination]]
        id = "hook"
        template = "webhook"
        settings.url = "https://hook.example.com/in"
        settings.secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
    "#;
    let folder = folder(&format!("{CONFIG}{hook}"));
    let preview = postbridge(folder.path(), &["preview", "--source", "cake-test", "--json", QUERY]);
    let document = json_of(&preview);
    assert_eq!(document["attribution"]["state"], "unmatched");
    let hook = &document["requests"][0];
    assert_eq!((&hook["destination"], &hook["state"]), (&json!("hook"), &json!("held")), "{document:#}");
    let skipped = &document["skipped"][0];
    assert_eq!(skipped["destination"], "meta-main");
    assert_eq!(skipped["reason_code"], "payload_incomplete");
    let reason = skipped["hint"].as_str().unwrap();
    for text in ["user agent", "record", "landing parameter `fbclid`", "cookies `_fbc`, `_fbp`"] {
        assert!(reason.contains(text), "no `{text}` in {document:#}");
    }
}

#[test]
fn a_preview_of_a_quarantined_postback_says_why_and_ends_with_0() {
    let folder = folder(CONFIG);
    let query = QUERY.replace("price=7.50", "price=#price#");
    let preview = postbridge(folder.path(), &["preview", "--source", "cake-test", "--json", &query]);
    assert_eq!(preview.status.code(), Some(0), "{}", err(&preview));
    let document = json_of(&preview);
    assert_eq!(document["postback"]["status"], "quarantined");
    assert!(document["postback"]["reason"].as_str().unwrap().contains("price"), "{document:#}");
    assert_eq!(document["conversion"], Value::Null);
    assert_eq!(document["requests"], json!([]));
}

#[test]
fn a_value_below_0_without_its_sale_is_quarantined_by_the_transaction_that_is_not_known() {
    let folder = folder(CONFIG);
    let rejected = |query: &str| {
        let preview = postbridge(folder.path(), &["preview", "--source", "cake-test", "--json", query]);
        let document = json_of(&preview);
        assert_eq!(document["postback"]["status"], "quarantined");
        ["reason_code", "field", "value"].map(|member| document["postback"][member].clone())
    };
    let unknown = |transaction: Value| [json!("unknown_transaction"), json!("transaction_id"), transaction];
    assert_eq!(rejected("s2=c1&tid=t1&price=-5.0"), unknown(json!("t1")));
    assert_eq!(rejected("price=-5"), unknown(Value::Null));
}

#[test]
fn a_preview_for_an_unknown_destination_or_with_a_wrong_click_is_bad_usage() {
    let folder = folder(CONFIG);
    let unknown =
        postbridge(folder.path(), &["preview", "--source", "cake-test", "--destination", "meta-mian", QUERY]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(err(&unknown).contains("did you mean `meta-main`?"), "{}", err(&unknown));
    fs::write(folder.path().join("click.json"), "{\"adress\": 1}").unwrap();
    let wrong =
        postbridge(folder.path(), &["preview", "--source", "cake-test", "--click", "click.json", QUERY]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(err(&wrong).contains("click.json: ") && err(&wrong).contains("adress"), "{}", err(&wrong));
}

#[test]
fn preview_makes_no_data_folder() {
    let folder = folder(CONFIG);
    postbridge(folder.path(), &["preview", "--source", "cake-test", QUERY]);
    let mut there: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    there.sort();
    assert_eq!(there, ["click.json", "postbridge.toml"]);
}

#[test]
fn templates_list_names_the_built_in_ones() {
    let folder = tempfile::tempdir().unwrap();
    let listed = json_of(&postbridge(folder.path(), &["templates", "list", "--json"]));
    let names = |kind: &str| -> Vec<String> {
        let items = listed[kind].as_array().unwrap();
        items.iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
    };
    assert!(names("sources").contains(&"cake".to_owned()), "{listed:#}");
    assert!(names("destinations").contains(&"meta".to_owned()), "{listed:#}");
    let words = out(&postbridge(folder.path(), &["templates", "list"]));
    assert!(words.contains("cake") && words.contains("pixel_id"), "{words}");
}

#[test]
fn templates_list_and_show_say_how_a_network_signs() {
    let folder = tempfile::tempdir().unwrap();
    let listed = json_of(&postbridge(folder.path(), &["templates", "list", "--json"]));
    for (name, kind) in [
        ("shopify", json!("hmac")),
        ("stripe", json!("hmac-timestamped")),
        ("hotmart", json!("token")),
        ("jvzoo", json!("digest")),
        ("clickbank-ins", json!("aes-256-cbc")),
        ("cake", json!(null)),
    ] {
        let is_it = |item: &&Value| item["name"] == name;
        let template = listed["sources"].as_array().unwrap().iter().find(is_it).unwrap();
        assert_eq!(template["verify"], kind, "{name}");
        let stories = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/sources").join(name);
        assert_eq!(template["stories"], std::fs::read_dir(stories).unwrap().count(), "{name}");
    }
    let shown = json_of(&postbridge(folder.path(), &["templates", "show", "shopify", "--json"]));
    assert_eq!(shown["sources"][0]["verify"], "hmac");
    let words = |name| out(&postbridge(folder.path(), &["templates", "show", name]));
    let line =
        |text: &str| text.lines().find(|line| line.trim_start().starts_with("verify ")).map(str::to_owned);
    let said = line(&words("shopify")).unwrap();
    assert!(said.ends_with(" hmac, in the header `x-shopify-hmac-sha256`"), "{said}");
    assert_eq!(line(&words("cake")), None);
    assert!(out(&postbridge(folder.path(), &["templates", "list"])).contains(&said));
}

#[test]
fn templates_list_reports_what_a_click_is_to_keep_and_where_facts_come_from() {
    let folder = tempfile::tempdir().unwrap();
    let listed = json_of(&postbridge(folder.path(), &["templates", "list", "--json"]));
    let named = |kind: &str, name: &str| {
        listed[kind].as_array().unwrap().iter().find(|item| item["name"] == name).unwrap().clone()
    };
    let meta = named("destinations", "meta");
    assert_eq!(meta["landing_params"], json!(["fbclid"]));
    assert_eq!(meta["cookies"], json!(["_fbc", "_fbp"]));
    let fact = &named("sources", "cake")["provenance"][0];
    for key in ["fact", "from", "seen", "level"] {
        assert!(!fact[key].as_str().unwrap().is_empty(), "{fact:#}");
    }
    let words = out(&postbridge(folder.path(), &["templates", "list"]));
    for text in ["fbclid (to be recorded", "_fbc, _fbp (to be recorded", "known from"] {
        assert!(words.contains(text), "no `{text}` in {words}");
    }
}

/// A folder with a copy of one built-in source template and its stories, as a user would have it.
fn own_templates() -> TempDir {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let own = tempfile::tempdir().unwrap();
    fs::create_dir_all(own.path().join("sources")).unwrap();
    fs::copy(repository.join("templates/sources/cake.toml"), own.path().join("sources/cake.toml")).unwrap();
    copy_folder(&repository.join("fixtures/sources/cake"), &own.path().join("fixtures/sources/cake"));
    own
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

#[test]
fn templates_test_runs_the_stories_of_ones_own_templates() {
    let own = own_templates();
    let ran = postbridge(own.path(), &["templates", "test", "."]);
    assert_eq!(ran.status.code(), Some(0), "{}{}", out(&ran), err(&ran));
    assert!(out(&ran).contains("ok cake/a-purchase-as-fired"), "{}", out(&ran));
    assert!(out(&ran).contains("1 template, "), "{}", out(&ran));
}

#[test]
fn templates_test_fails_on_a_story_that_ends_otherwise_and_on_a_template_without_stories() {
    let own = own_templates();
    let expected = own.path().join("fixtures/sources/cake/a-purchase-as-fired/expected.json");
    let text = fs::read_to_string(&expected).unwrap();
    fs::write(&expected, text.replace("\"565\"", "\"566\"")).unwrap();
    let ran = postbridge(own.path(), &["templates", "test", "."]);
    assert_eq!(ran.status.code(), Some(1));
    assert!(
        err(&ran).contains("a-purchase-as-fired/expected.json:") && err(&ran).contains("566"),
        "{}",
        err(&ran)
    );

    assert!(!err(&ran).contains("no story of"), "{}", err(&ran));

    fs::remove_dir_all(own.path().join("fixtures/sources/cake")).unwrap();
    let only = own.path().join("fixtures/sources/cake/only");
    fs::create_dir_all(&only).unwrap();
    fs::write(only.join("query.txt"), QUERY).unwrap();
    let ran = postbridge(own.path(), &["templates", "test", "."]);
    assert!(err(&ran).contains("run with BLESS=1 to write it"), "{}", err(&ran));
    assert!(!err(&ran).contains("no story of"), "{}", err(&ran));

    fs::remove_dir_all(own.path().join("fixtures")).unwrap();
    let ran = postbridge(own.path(), &["templates", "test", "."]);
    assert_eq!(ran.status.code(), Some(1));
    assert!(err(&ran).contains("no story of `cake` ends quarantined"), "{}", err(&ran));
}

#[test]
fn templates_test_of_a_folder_that_is_not_there_speaks_of_what_was_typed() {
    let folder = tempfile::tempdir().unwrap();
    let ran = postbridge(folder.path(), &["templates", "test", "nodir"]);
    assert_eq!(ran.status.code(), Some(2));
    assert!(err(&ran).contains("there is no folder nodir"), "{}", err(&ran));
    assert!(!err(&ran).contains("[templates]"), "{}", err(&ran));
}

#[test]
fn a_template_of_ones_own_is_found_through_the_configuration() {
    let own = own_templates();
    let text = fs::read_to_string(own.path().join("sources/cake.toml")).unwrap();
    let renamed = text.replace("name = \"cake\"", "name = \"my-network\"");
    fs::write(own.path().join("sources/my-network.toml"), renamed).unwrap();
    let config = format!("[templates]\npath = \".\"\n{}", CONFIG.replace("\"cake\"", "\"my-network\""));
    fs::write(own.path().join("postbridge.toml"), config).unwrap();
    let checked = postbridge(own.path(), &["check"]);
    assert_eq!(checked.status.code(), Some(0), "{}", out(&checked));
    let listed = postbridge(own.path(), &["templates", "list"]);
    assert!(out(&listed).contains("my-network"), "{}{}", out(&listed), err(&listed));
    let tested = postbridge(own.path(), &["templates", "test"]);
    assert_eq!(tested.status.code(), Some(1), "a template without stories");
    assert!(err(&tested).contains("no story of `my-network` ends accepted"), "{}", err(&tested));
}

#[test]
fn bad_usage_ends_with_2_and_help_with_0() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(postbridge(folder.path(), &["nonsense"]).status.code(), Some(2));
    assert_eq!(postbridge(folder.path(), &["check"]).status.code(), Some(2));
    let help = postbridge(folder.path(), &["--help"]);
    assert_eq!(help.status.code(), Some(0));
    for command in ["init", "check", "url", "preview", "templates", "serve", "demo"] {
        assert!(out(&help).contains(command), "{}", out(&help));
    }
}

#[test]
fn templates_show_shows_one_template_with_where_its_facts_are_from() {
    let folder = tempfile::tempdir().unwrap();
    let words = out(&postbridge(folder.path(), &["templates", "show", "meta"]));
    for text in
        ["verified           yes", "in doubt           replies (doubtful)", "(2026-11-20, vendor): time: "]
    {
        assert!(words.contains(text), "no `{text}` in {words}");
    }
    assert!(!words.contains("webhook") && !words.contains("sources"), "{words}");
    let shown = json_of(&postbridge(folder.path(), &["templates", "show", "meta", "--json"]));
    let meta = &shown["destinations"][0];
    assert_eq!(
        (&meta["verified"], &meta["doubts"][0]["about"]),
        (&json!(true), &json!("replies")),
        "{meta:#}"
    );
    assert_eq!((&meta["time_unit"], &meta["max_age_hours"]), (&json!("seconds"), &json!(168)), "{meta:#}");
    assert_eq!(meta["provenance"][0]["level"], "vendor", "{meta:#}");
    let wrong = postbridge(folder.path(), &["templates", "show", "met"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(err(&wrong).contains("did you mean `meta`?"), "{}", err(&wrong));
}

#[test]
fn templates_test_names_what_a_template_lacks_by_its_code_and_ends_with_1() {
    let own = tempfile::tempdir().unwrap();
    let folder = own.path().join("destinations/mine");
    fs::create_dir_all(&folder).unwrap();
    let toml = "label = \"Mine\"\n[events]\nPurchase = \"buy\"\n[request]\nurl = \"https://a.example/\"\n";
    fs::write(folder.join("destination.toml"), toml).unwrap();
    fs::write(folder.join("event.json.hbs"), "{\"value\": {{number value}}}").unwrap();
    let ran = postbridge(own.path(), &["templates", "test", "."]);
    assert_eq!(ran.status.code(), Some(1), "{}", err(&ran));
    for text in
        ["destination.toml:1: `mine` requires nothing", "[no_minimum]", "[no_dedup_id]", "hint: say under"]
    {
        assert!(err(&ran).contains(text), "no `{text}` in {}", err(&ran));
    }

    fs::write(folder.join("event.json.hbs"), "{\n\"value\": {{value}}}").unwrap();
    let ran = postbridge(own.path(), &["templates", "test", "."]);
    assert_eq!(ran.status.code(), Some(2), "a template that cannot be used");
    assert!(
        err(&ran).contains("event.json.hbs:2: a bare value is in a JSON template [bare_value]"),
        "{}",
        err(&ran)
    );
}
