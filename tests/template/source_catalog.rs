//! What the stories of the shipped source templates show of each: a sale, its repeat, what is refused, what is not filled in.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use percent_encoding::percent_decode_str;
use postbridge::template::catalog::Catalog;
use postbridge::template::source::definition::SourceTemplate;
use serde_json::Value;

use crate::support::stories::folders_of;

/// A story of a template: what was received, and what it must become.
struct Story {
    /// Query and body.
    request: String,
    verdict: String,
    outcome: Value,
}

impl Story {
    fn read(folder: &Path) -> Story {
        let parts = ["query.txt", "body.json", "body.form", "body.txt"];
        let request = parts.iter().filter_map(|part| fs::read(folder.join(part)).ok()).collect::<Vec<_>>();
        let expected = fs::read_to_string(folder.join("expected.json")).unwrap();
        let expected: Value = serde_json::from_str(&expected).unwrap();
        let (verdict, outcome) = expected.as_object().unwrap().iter().next().unwrap();
        Story {
            request: String::from_utf8_lossy(&request.concat()).into_owned(),
            verdict: verdict.clone(),
            outcome: outcome.clone(),
        }
    }

    fn text(&self, member: &str) -> &str {
        self.outcome[member].as_str().unwrap_or_default()
    }

    /// A sale as its network reports one: what is paid for, of a click.
    fn is_sale(&self) -> bool {
        let event = [&self.outcome["event"]["named"], &self.outcome["event"]["by_value"]["positive"]];
        self.verdict == "accepted"
            && ["approved", "pending"].contains(&self.text("status"))
            && event.iter().any(|event| *event == "Purchase")
            && self.outcome["value"]["amount"].as_str().is_some_and(|amount| amount > "0")
            && !self.text("click_id").is_empty()
    }

    /// One of `clicks`, the parameters of the click id, is as the network's URL has it.
    fn has_click_macro(&self, clicks: &[(String, String)]) -> bool {
        let decoded = |text: &str| percent_decode_str(text.trim()).decode_utf8_lossy().to_lowercase();
        let pairs: Vec<_> = self.request.split('&').filter_map(|pair| pair.split_once('=')).collect();
        clicks.iter().any(|(param, raw)| {
            pairs.iter().any(|(name, given)| name == param && decoded(given) == decoded(raw))
        })
    }

    /// It counts, and says of no click.
    fn is_without_click(&self) -> bool {
        self.verdict == "accepted" && self.outcome["click_id"].is_null()
    }
}

/// The parameters of the printed URL that are read as the click id, each with the macro that fills it.
fn click_macros(template: &SourceTemplate) -> Vec<(String, String)> {
    let fields = template.field_params();
    let clicks: Vec<&str> = fields
        .iter()
        .filter(|(field, _)| *field == "click_id")
        .flat_map(|(_, all)| all.iter().map(AsRef::as_ref))
        .collect();
    let with: Vec<String> = template.extra_params().into_iter().map(str::to_owned).collect();
    let query = template.postback_query(&with).unwrap();
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let of_clicks = pairs.filter(|(name, _)| clicks.iter().any(|click| click.contains(name)));
    of_clicks.map(|(name, raw)| (name.to_owned(), raw.to_owned())).collect()
}

/// What the stories of a template do not show.
fn lacking(template: &SourceTemplate, stories: &[Story]) -> Vec<&'static str> {
    let ends = |verdict: &str| stories.iter().any(|story| story.verdict == verdict);
    // By another secret than the source's: what is not signed at all is refused otherwise.
    let is_refused =
        |story: &Story| ["wrong_signature", "cannot_decrypt"].contains(&story.text("reason_code"));
    let clicks = click_macros(template);
    let checks = [
        ("a sale of a click", stories.iter().any(Story::is_sale)),
        ("a repeat", ends("duplicate")),
        ("a quarantined postback", ends("quarantined")),
        ("a refused signature", template.verification().is_none() || stories.iter().any(is_refused)),
        (
            "a click id that is still a macro",
            clicks.is_empty() || stories.iter().any(|story| story.has_click_macro(&clicks)),
        ),
        ("an empty click id", stories.iter().any(Story::is_without_click)),
    ];
    checks.into_iter().filter(|(_, is_there)| !is_there).map(|(what, _)| what).collect()
}

fn own_templates(catalog: &Catalog) -> impl Iterator<Item = Arc<SourceTemplate>> {
    let names = catalog.source_names().into_iter();
    names.map(|name| catalog.source(name).unwrap()).filter(|template| template.alias_of().is_none())
}

fn stories(name: &str) -> Vec<Story> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/sources").join(name);
    folders_of(&format!("fixtures/sources/{name}"))
        .iter()
        .map(|story| Story::read(&folder.join(story)))
        .collect()
}

#[test]
fn every_shipped_template_has_a_story_of_each_kind() {
    let catalog = Catalog::load(None).unwrap();
    let mut lacks = BTreeSet::new();
    for template in own_templates(&catalog) {
        let what = lacking(&template, &stories(template.name()));
        lacks.extend(what.into_iter().map(|what| format!("{}: {what}", template.name())));
    }
    assert!(lacks.is_empty(), "{lacks:#?}");
}

#[test]
fn a_template_whose_network_says_that_a_sale_waits_has_a_story_of_its_approval() {
    let catalog = Catalog::load(None).unwrap();
    let unsettled = own_templates(&catalog).filter(|template| {
        let stories = stories(template.name());
        let waits = |story: &Story| story.is_sale() && story.text("status") == "pending";
        stories.iter().any(waits) && !stories.iter().any(|story| story.verdict == "updated")
    });
    let unsettled: Vec<String> = unsettled.map(|template| template.name().to_owned()).collect();
    assert!(unsettled.is_empty(), "{unsettled:?}");
}
