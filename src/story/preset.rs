//! Runs the fixture stories of presets: a conversion and its click next to the URL that is called, and what answers mean.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use serde_json::json;

use crate::domain::skip::SkipReason;
use crate::story::expected::{Compared, Expectations, compare};
use crate::story::run::{
    StoryReport, classified, misplaced, no_template, read, run_each, skipped, with_remarks,
};
use crate::template::catalog::Catalog;
use crate::template::destination::rendering::{Rendered, Rendering};
use crate::template::diagnostic::Problem;
use crate::template::preset::definition::PostbackPreset;

/// How a story of a preset ends.
enum PresetOutcome {
    Sent {
        event: String,
    },
    /// Skipped, because no link brought the receiver's click id.
    WithoutClickId,
    Skipped,
    Classified {
        word: &'static str,
        /// The reply rule that decided.
        rule: Option<usize>,
    },
}

/// Runs `directory/<preset>/<story>/` for every preset of the catalog that `wanted` names. A preset lacks stories until
/// one is sent, one is not for want of a click id, one is sent of each event that it lists, and there is one of a reply
/// for each of its rules and for each of delivered, retry and dead.
pub fn run_preset_stories(
    catalog: &Catalog,
    wanted: &[&str],
    directory: &Path,
    expectations: Expectations,
) -> StoryReport {
    let mut report = StoryReport::default();
    for name in wanted {
        let Some(preset) = catalog.preset(name) else {
            report.problems.push(no_template("preset", name));
            continue;
        };
        let problems = report.problems.len();
        let outcomes = run_each(directory, name, &mut report, |folder| run(&preset, folder, expectations));
        // What a story that went wrong covers is not known.
        let all_ran = report.problems.len() == problems;
        if let Some(outcomes) = outcomes.filter(|_| all_ran) {
            let place = directory.join(name).display().to_string();
            let lacking = lacking(&preset, &outcomes).into_iter();
            report.problems.extend(lacking.map(|problem| problem.in_file(&place)));
        }
    }
    report
}

fn run(
    preset: &Arc<PostbackPreset>,
    folder: &Path,
    expectations: Expectations,
) -> Result<(PresetOutcome, Result<Compared, Problem>), Vec<Problem>> {
    let (place, story) = read(folder)?;
    let placed = |problem: Problem| problem.in_file(&place);
    let postback = story.preset(preset).map_err(placed)?;
    let (found, outcome) = match story.reply() {
        Some((reply, _)) => {
            let verdict = postback.classify(reply, story.now());
            let outcome = PresetOutcome::Classified { word: verdict.as_str(), rule: preset.rule_of(reply) };
            (classified(&verdict), outcome)
        }
        None => {
            let Rendering { rendered, remarks } = story.render(&postback).map_err(placed)?;
            let (found, outcome) = match rendered {
                Rendered::Request(part, _) => {
                    let request = story.request(&postback, &part);
                    let outcome = PresetOutcome::Sent { event: story.event().to_owned() };
                    (json!({ "method": request.method, "url": request.url }), outcome)
                }
                Rendered::Skip { reason } => {
                    let is_click = |reason: &SkipReason| match reason {
                        SkipReason::PayloadIncomplete(missing) => missing.click.is_some(),
                        _ => false,
                    };
                    let outcome = if is_click(&reason) {
                        PresetOutcome::WithoutClickId
                    } else {
                        PresetOutcome::Skipped
                    };
                    (skipped(&reason), outcome)
                }
            };
            (with_remarks(found, &remarks), outcome)
        }
    };
    let word = match &outcome {
        PresetOutcome::Classified { word, .. } => Some(*word),
        _ => None,
    };
    misplaced(folder, word).map_err(|problem| vec![placed(problem)])?;
    Ok((outcome, compare(folder, &found, expectations)))
}

/// What no story shows.
fn lacking(preset: &PostbackPreset, outcomes: &[PresetOutcome]) -> Vec<Problem> {
    let (mut sent, mut words, mut rules) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut is_skipped = false;
    for outcome in outcomes {
        match outcome {
            PresetOutcome::Sent { event } => {
                sent.insert(event.as_str());
            }
            PresetOutcome::Classified { word, rule } => {
                words.insert(*word);
                rules.extend(*rule);
            }
            PresetOutcome::WithoutClickId => is_skipped = true,
            PresetOutcome::Skipped => {}
        }
    }
    let name = preset.name();
    let of_reply = "add a folder whose story.toml has a [reply] and run with BLESS=1";
    let of_sale = "add a folder with story.toml and run with BLESS=1";
    let mut lacking = Vec::new();
    if sent.is_empty() {
        lacking.push(Problem::new(format!("no story of `{name}` is sent"), of_sale));
    }
    if preset.click().is_some() && !is_skipped {
        let what = format!("no story of `{name}` is skipped for want of its click id");
        lacking.push(Problem::new(what, of_sale));
    }
    for event in preset.events().keys().filter(|event| !sent.contains(event.as_str())) {
        let what = format!("`{name}` lists the event {event} and no story sends it");
        lacking.push(Problem::new(what, of_sale));
    }
    for word in ["delivered", "retry", "dead"].into_iter().filter(|word| !words.contains(word)) {
        let what = format!("no story of `{name}` has a reply that is classified as {word}");
        lacking.push(Problem::new(what, of_reply));
    }
    for number in (0..preset.reply_rules()).filter(|number| !rules.contains(number)) {
        let what = format!("no story of `{name}` has a reply that its reply rule {} decides", number + 1);
        lacking.push(Problem::new(what, of_reply));
    }
    lacking
}
