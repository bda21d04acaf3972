//! Every preset has its stories, and every story ends as it says. `BLESS=1` rewrites.

use std::collections::BTreeMap;
use std::path::Path;

use postbridge::story::expected::Expectations;
use postbridge::story::preset::run_preset_stories;
use postbridge::template::catalog::Catalog;
use postbridge::template::macros::detect::{ValueClass, ValueUse, classify};
use postbridge::template::preset::definition::PostbackPreset;
use postbridge::template::preset::usage::{PresetSpec, PresetUse};

use crate::support::stories::{expectations, folders_of};

fn presets() -> Vec<std::sync::Arc<PostbackPreset>> {
    let catalog = Catalog::load(None).unwrap();
    catalog.preset_names().into_iter().map(|name| catalog.preset(name).unwrap()).collect()
}

#[test]
fn every_preset_calls_as_its_stories_say() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/presets");
    let catalog = Catalog::load(None).unwrap();
    let names = catalog.preset_names();
    let report = run_preset_stories(&catalog, &names, &directory, expectations());
    let problems: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(names.len() >= 18 && report.passed.len() >= names.len() * 8, "{:?}", report.passed);
}

#[test]
fn a_folder_of_stories_belongs_to_a_preset() {
    let catalog = Catalog::load(None).unwrap();
    for name in folders_of("fixtures/presets") {
        assert!(catalog.preset(&name).is_some(), "fixtures/presets/{name} has no preset");
    }
}

#[test]
fn a_preset_without_stories_fails() {
    let empty = tempfile::tempdir().unwrap();
    let catalog = Catalog::load(None).unwrap();
    let preset = catalog.preset("exoclick").unwrap();
    let report = run_preset_stories(&catalog, &["exoclick"], empty.path(), Expectations::Check);
    let shown: String = report.problems.iter().map(|problem| format!("{problem}\n")).collect();
    // Sent, without its click id, three outcomes of a reply, and a reply for each rule.
    assert_eq!(report.problems.len(), 5 + preset.reply_rules(), "{shown}");
    for lacking in ["is sent", "for want of its click id", "classified as dead", "its reply rule 4 decides"] {
        assert!(shown.contains(lacking), "no `{lacking}` in {shown}");
    }
}

#[test]
fn what_no_one_filled_in_of_a_tracking_url_is_no_click_id() {
    for preset in presets() {
        let Some(click) = preset.click() else { continue };
        let filled_by = click.filled_by.as_deref().unwrap();
        let class = classify(filled_by, filled_by.as_bytes(), ValueUse::Id);
        assert!(matches!(class, ValueClass::Macro(_)), "{}: {filled_by} is {class:?}", preset.name());
    }
}

#[test]
fn each_preset_says_how_sure_its_url_and_its_click_id_are() {
    for preset in presets() {
        assert!(preset.level().is_some(), "{} names no source of its URL or click id", preset.name());
        assert!(preset.docs().starts_with("http"), "{}", preset.name());
    }
    let level = |name: &str| Catalog::load(None).unwrap().preset(name).unwrap().level().unwrap().as_str();
    assert_eq!((level("kadam"), level("exoclick"), level("richads")), ("vendor", "code", "third_party"));
    assert_eq!(level("revcontent"), "doubtful", "what fills its click id in is a guess");
}

#[test]
fn no_two_presets_take_their_click_id_from_one_parameter() {
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    for preset in presets() {
        let Some(click) = preset.click() else { continue };
        let other = known.insert(click.param.clone(), preset.name().to_owned());
        assert!(other.is_none(), "{} and {other:?} read {}", preset.name(), click.param);
    }
}

fn spec(name: &str, settings: &[(&str, &str)]) -> PresetSpec {
    let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    PresetSpec {
        preset: Catalog::load(None).unwrap().preset(name).unwrap(),
        endpoint: None,
        settings: settings.collect(),
        events: BTreeMap::new(),
    }
}

#[test]
fn the_piece_of_the_tracking_url_has_the_name_that_the_settings_give_it() {
    let tracking = |settings: &[(&str, &str)]| {
        let (_, usage) = PresetUse::build(spec("richads", settings)).map_err(|_| ()).unwrap();
        (usage.click_param().unwrap().to_owned(), usage.tracking().unwrap())
    };
    assert_eq!(tracking(&[]), ("richads_id".to_owned(), "richads_id=[CLICK_ID]".to_owned()));
    assert_eq!(tracking(&[("click_param", "rid")]), ("rid".to_owned(), "rid=[CLICK_ID]".to_owned()));
}

#[test]
fn a_secret_setting_is_masked_wherever_the_url_is_shown() {
    let key = "k y/of=account";
    let settings = [("address", "https://track.example"), ("postback_key", key)];
    let (url, _) = PresetUse::build(spec("keitaro", &settings)).map_err(|_| ()).unwrap();
    assert!(url.shown().starts_with("https://track.example/***/postback?subid="), "{}", url.shown());
    assert_eq!(url.secrets(), [key]);
    let wrong = [("address", "https://track.example"), ("postback_key", "..")];
    let problems = PresetUse::build(spec("keitaro", &wrong)).err().unwrap();
    let said: String = problems.iter().map(|problem| problem.problem.what.clone()).collect();
    assert!(!said.contains("/../") && said.contains("goes up or nowhere"), "{said}");
}

/// What is said of a preset's text.
fn said_of(text: &str) -> String {
    let problems = PostbackPreset::parse("mine", "presets/mine.toml", text).err().unwrap_or_default();
    problems.iter().map(|problem| format!("{problem}\n")).collect()
}

#[test]
fn what_is_wrong_with_a_preset_is_named_with_its_line() {
    let whole =
        "label = \"Mine\"\nurl = \"https://a.example/pb?c={landing_click_id}\"\n[click]\nparam = \"mid\"\n";
    assert_eq!(said_of(whole), "");
    let url = |url: &str| whole.replace("https://a.example/pb?c={landing_click_id}", url);
    for (text, expected) in [
        (
            url("https://a.example/pb?c={landing_clickid}"),
            "presets/mine.toml:2: there is no macro `{landing_clickid}`",
        ),
        (url("https://a.example/pb?c={landing_click_id}&k={settings.key}"), "2: there is no setting `key`"),
        (url("https://a.example/pb"), "2: the URL does not say the click id"),
        (whole.replace("[click]\nparam = \"mid\"\n", ""), "and nothing brings it"),
        (whole.replace("\"mid\"", "\"a\""), "4: `param` in [click]: `a` has a meaning of its own in links"),
        (whole.replace("\"mid\"", "\"m id\""), "is no name of a landing parameter"),
        (url("https://{landing_click_id}/pb"), "the host or port of"),
        (url("https://a.example/pb?c={landing_click_id}#x"), "what is behind it is never sent"),
        (url("https://a.example/pb?c={landing_click_id}&v={earned}*2"), "calculates with an amount"),
        (format!("event_setting = \"goal\"\n{whole}"), "1: `event_setting`: there is no setting `goal`"),
        (format!("unnamed_events = \"send\"\n{whole}"), "events have names, and the URL does not say them"),
        (
            format!("{whole}[status]\napproved = \"1\"\n"),
            "statuses have names, and the URL does not say them",
        ),
        (format!("{whole}[[setting]]\nname = \"k\"\nlabel = \"K\"\n"), "nothing says the setting `k`"),
        (format!("{whole}[[require]]\nmacro = \"payot\"\nwhy = \"x\"\n"), "did you mean \"payout\"?"),
        (
            format!("{whole}[reply]\n[[reply.rule]]\nstatus = [401]\nthen = \"park\"\n"),
            "`park`: the postbacks to a host share it",
        ),
        (
            format!("{whole}[reply]\n[[reply.rule]]\nrenew_token = true\nthen = \"retry\"\n"),
            "there is no token to renew",
        ),
        (format!("{whole}[events]\nPurchse = \"x\"\n"), "did you mean `Purchase`?"),
    ] {
        let said = said_of(&text);
        assert!(said.contains(expected), "no `{expected}` in\n{said}of\n{text}");
    }
}

#[test]
fn a_setting_in_the_address_is_one_that_is_there() {
    let text = "label = \"Mine\"\nurl = \"{settings.address}/{settings.key}?a=1\"\n\
                [[setting]]\nname = \"address\"\nlabel = \"A\"\nkind = \"url\"\nrequired = true\n\
                [[setting]]\nname = \"key\"\nlabel = \"K\"\n";
    assert!(
        said_of(text).contains("the setting `key` is in the address, and need not be there"),
        "{}",
        said_of(text)
    );
    assert_eq!(said_of(&text.replace("label = \"K\"\n", "label = \"K\"\nrequired = true\n")), "");
    let late = text.replace("{settings.address}/{settings.key}", "https://a.example/{settings.address}");
    assert!(said_of(&late).contains("is a web address, with which the URL begins"), "{}", said_of(&late));
}
