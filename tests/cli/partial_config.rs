//! Commands that need only a part of the configuration work whatever is wrong with the rest of it.

use std::fs;

use tempfile::TempDir;

use crate::support::command_line::{CONFIG, POSTBACK, QUERY, err, folder, json_of, out, postbridge};
use crate::support::relay::CAMPAIGN;

const URL: &str = "https://t.example.com/hBtoE3hN-k3y/collect/cake-test?";

/// What may be wrong elsewhere; each is put behind a whole configuration.
const WRONG: [&str; 9] = [
    "[[destination]]\nid = \"other\"\ntemplate = \"meta\"\n",
    "[[destination]]\nid = \"other\"\ntemplate = \"none\"\n[destination.settings]\nkey = { env = \"UNSET\" }\n",
    "[[source]]\nid = \"other\"\ntemplate = \"cake\"\ncurrency = \"USD\"\nkey = { env = \"UNSET\" }\n",
    "[[source]]\nid = \"other\"\ntemplate = \"cake\"\ncurrency = \"USD\"\nkey = { file = \"none\" }\n",
    "[[postback]]\nid = \"all\"\nurl = \"https://#s2#.example/\"\n",
    "[store]\nengine = \"postgres\"\n",
    "[tag]\norigins = [\"shop\"]\n",
    "[filters]\nbots = 7\n",
    "[templates]\npath = \"mine\"\n",
];

/// A configuration with a campaign and this behind it; with broken templates of one's own in a folder.
fn with(wrong: &str) -> TempDir {
    let folder = folder(&format!("{CONFIG}{CAMPAIGN}{wrong}"));
    let mine = folder.path().join("mine");
    fs::create_dir_all(mine.join("sources")).unwrap();
    fs::create_dir_all(mine.join("destinations/sink")).unwrap();
    fs::write(mine.join("sources/odd.toml"), "name = 7\n").unwrap();
    fs::write(mine.join("destinations/sink/destination.toml"), "label = \n").unwrap();
    folder
}

#[test]
fn url_and_link_work_where_unrelated_parts_are_wrong_and_say_that_something_is() {
    for wrong in WRONG {
        let folder = with(wrong);
        let checked = postbridge(folder.path(), &["check"]);
        assert_eq!(checked.status.code(), Some(2), "{wrong}: {}", out(&checked));
        let url = postbridge(folder.path(), &["url", "cake-test"]);
        assert_eq!(url.status.code(), Some(0), "{wrong}: {}", err(&url));
        assert!(out(&url).starts_with(URL) && out(&url).lines().count() == 1, "{wrong}: {}", out(&url));
        assert!(err(&url).contains("elsewhere: `postbridge check` names them"), "{wrong}: {}", err(&url));
        let link = postbridge(folder.path(), &["link", "8599"]);
        assert_eq!(
            (out(&link).as_str(), link.status.code()),
            ("https://t.example.com/c/8599\n", Some(0)),
            "{wrong}"
        );
        assert!(err(&link).contains("elsewhere"), "{wrong}: {}", err(&link));
        let direct = postbridge(folder.path(), &["link", "8599", "--direct"]);
        assert_eq!(out(&direct), "https://advertiser.example/lp?a=200&c=761\n", "{wrong}: {}", err(&direct));
        assert!(!err(&direct).contains("origins"), "[tag] may be what is wrong: {}", err(&direct));
    }
}

#[test]
fn several_wrong_parts_at_once_stop_neither_and_a_whole_file_is_not_spoken_of() {
    let folder = with(&WRONG.concat());
    assert_eq!(postbridge(folder.path(), &["url", "cake-test"]).status.code(), Some(0));
    assert_eq!(postbridge(folder.path(), &["link", "8599"]).status.code(), Some(0));
    let whole = with(POSTBACK);
    let url = postbridge(whole.path(), &["url", "cake-test"]);
    assert_eq!((url.status.code(), err(&url).as_str()), (Some(0), ""));
}

#[test]
fn a_template_of_ones_own_that_is_whole_is_used_next_to_one_that_is_broken() {
    let folder = with(
        "[templates]\npath = \"mine\"\n[[source]]\nid = \"own\"\ntemplate = \"own\"\nkey = \"0123456789abcdef\"\ncurrency = \"USD\"\n",
    );
    let built_in = include_str!("../../templates/sources/cake.toml");
    let own = built_in.replace("name = \"cake\"", "name = \"own\"").replace("\"#{}#\"", "\"{{}}\"");
    fs::write(folder.path().join("mine/sources/own.toml"), own).unwrap();
    let url = postbridge(folder.path(), &["url", "own"]);
    assert!(out(&url).contains("/collect/own?s1={s1}&"), "{}{}", out(&url), err(&url));
}

#[test]
fn what_the_url_or_link_is_made_of_is_named_when_it_is_wrong() {
    let refused = |config: &str, arguments: &[&str], said: &[&str]| {
        let folder = folder(config);
        let done = postbridge(folder.path(), arguments);
        assert_eq!((done.status.code(), out(&done).as_str()), (Some(2), ""), "{config}");
        for part in said {
            assert!(err(&done).contains(part), "no `{part}` in {}", err(&done));
        }
    };
    let whole = format!("{CONFIG}{CAMPAIGN}");
    let own_key = whole.replace("{ env = \"CAKE_KEY\" }", "{ env = \"UNSET\" }");
    refused(&own_key, &["url", "cake-test"], &["postbridge.toml:11:", "UNSET is not set"]);
    let own_template = whole.replace("template = \"cake\"", "template = \"coke\"");
    refused(&own_template, &["url", "cake-test"], &["did you mean `cake`?"]);
    let address = whole.replace("https://t.example.com", "t.example.com");
    refused(&address, &["url", "cake-test"], &["`public_url`"]);
    refused(&address, &["link", "8599"], &["`public_url`"]);
    let twice = format!("{whole}\n[[campaign]]\nid = \"8599\"\noffer = \"565\"\naffiliate = \"200\"\n");
    refused(&twice, &["link", "8599"], &["two campaigns have the id `8599`"]);
    let of_none = whole.replace("offer = \"565\"\naffiliate", "offer = \"566\"\naffiliate");
    refused(&of_none, &["link", "8599"], &["there is no offer `566`"]);
    let page = whole.replace("https://advertiser.example", "advertiser.example");
    refused(&page, &["link", "8599", "--direct"], &["`url` in [[offer]]"]);
    let list = whole.replace("creative = \"761\"", "creative = [\"761\", \"7 6\"]");
    refused(&list, &["link", "8599"], &["`7 6` is not an id"]);
    refused("listen = [\n", &["url", "cake-test"], &["this is not TOML"]);
    // A tracking link does not name the page, and stays right.
    let folder = folder(&page);
    assert_eq!(postbridge(folder.path(), &["link", "8599"]).status.code(), Some(0));
}

#[test]
fn an_unknown_id_is_compared_with_all_that_the_file_has_also_with_those_that_are_wrong() {
    let folder = with(WRONG[2]);
    let url = postbridge(folder.path(), &["url", "othre"]);
    assert_eq!(url.status.code(), Some(2));
    assert!(err(&url).contains("did you mean `other`?"), "{}", err(&url));
}

#[test]
fn preview_needs_no_source_where_there_is_only_one() {
    let folder = folder(CONFIG);
    let named = json_of(&postbridge(folder.path(), &["preview", "--source", "cake-test", "--json", QUERY]));
    let unnamed = json_of(&postbridge(folder.path(), &["preview", "--json", QUERY]));
    assert_eq!(named["conversion"]["event_id"], unnamed["conversion"]["event_id"]);
    assert!(unnamed["conversion"]["event_id"].is_string(), "{unnamed:#}");
}

#[test]
fn preview_without_a_source_names_those_that_may_be_meant() {
    let several =
        "[[source]]\nid = \"second\"\ntemplate = \"cake\"\nkey = \"0123456789abcdef\"\ncurrency = \"USD\"\n";
    let folder = folder(&format!("{CONFIG}{several}"));
    let done = postbridge(folder.path(), &["preview", QUERY]);
    assert_eq!((done.status.code(), out(&done).as_str()), (Some(2), ""));
    assert!(err(&done).contains("--source cake-test or second"), "{}", err(&done));
    let none = self::folder("");
    let done = postbridge(none.path(), &["preview", QUERY]);
    assert_eq!(done.status.code(), Some(2));
    assert!(err(&done).contains("there is no [[source]]"), "{}", err(&done));
}
