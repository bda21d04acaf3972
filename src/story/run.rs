//! Runs the fixture stories of destination templates and outgoing postbacks: what goes in, and exactly what must come out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value as Json, json};

use crate::domain::code::{CodedReason, ReasonCode};
use crate::domain::delivery::{OutgoingRequest, ReplyVerdict};
use crate::domain::remark::Remark;
use crate::domain::sent::Confirmation;
use crate::domain::skip::SkipReason;
use crate::story::confirm::{AGAIN, confirmed, of_confirm};
use crate::story::expected::{Compared, EXPECTED, Expectations, compare};
use crate::story::file::Story;
use crate::story::lint;
use crate::story::schemas::StorySchemas;
use crate::template::catalog::Catalog;
use crate::template::destination::batch::BatchVerdict;
use crate::template::destination::definition::DestinationTemplate;
use crate::template::destination::rendering::{Rendered, Rendering};
use crate::template::destination::row_rules::EventVerdict;
use crate::template::diagnostic::Problem;
use crate::view::reason::ReasonView;

/// What every story of a folder begins with, next to the stories.
const DEFAULTS: &str = "defaults.toml";

/// The folder among a template's stories with those of its replies, by outcome: `replies/<outcome>/<story>/`.
const REPLIES: &str = "replies";
/// The folder with those of what the platform says later, when it is asked.
const CONFIRM: &str = "confirm";

/// How the stories of one directory went.
#[derive(Debug, Default)]
pub struct StoryReport {
    /// `template/story` of each that ended as expected, or was written.
    pub passed: Vec<String>,
    /// Each of those whose expectation was written, and what is otherwise in it now.
    pub written: BTreeMap<String, String>,
    /// Each that did not, and each that a template lacks.
    pub problems: Vec<Problem>,
    /// `template/rule` of each payload that a schema refuses, as it must.
    pub refused: Vec<String>,
    /// `template/story` of each that has a signature and no secret by which it is verified.
    pub unverified: Vec<String>,
}

impl StoryReport {
    /// With how the stories of another directory went.
    pub fn take_all(&mut self, other: StoryReport) {
        self.passed.extend(other.passed);
        self.written.extend(other.written);
        self.problems.extend(other.problems);
        self.refused.extend(other.refused);
        self.unverified.extend(other.unverified);
    }

    fn take(&mut self, story: String, compared: Result<Compared, Problem>) {
        match compared {
            Ok(compared) => {
                if let Compared::Written(change) = compared {
                    self.written.insert(story.clone(), change);
                }
                self.passed.push(story);
            }
            Err(problem) => self.problems.push(problem),
        }
    }
}

/// Runs each story of one template and takes note of it. Answers how they end; `None` while one still
/// waits for its expectation: what stories are lacking is said after that.
pub(crate) fn run_each<E>(
    directory: &Path,
    name: &str,
    report: &mut StoryReport,
    run: impl Fn(&Path) -> Result<(E, Result<Compared, Problem>), Vec<Problem>>,
) -> Option<Vec<E>> {
    let folders = stories(&directory.join(name));
    let mut endings = Vec::new();
    for folder in &folders {
        match run(folder) {
            Ok((ending, compared)) => {
                endings.push(ending);
                let story = folder.strip_prefix(directory).unwrap_or(folder);
                report.take(story.display().to_string(), compared);
            }
            Err(problems) => report.problems.extend(problems),
        }
    }
    folders.iter().all(|folder| folder.join(EXPECTED).exists()).then_some(endings)
}

/// A template that was asked for and is not there.
pub(crate) fn no_template(kind: &str, name: &str) -> Problem {
    Problem::new(format!("there is no {kind} template `{name}`"), "name one of the catalog")
}

/// Runs `directory/<template>/<story>/` for every destination template of the catalog that `wanted`
/// names. A template lacks stories until there is one for each event it lists and one for each
/// outcome of a reply.
pub fn run_destination_stories(
    catalog: &Catalog,
    wanted: &[&str],
    directory: &Path,
    expectations: Expectations,
) -> StoryReport {
    let mut report = StoryReport::default();
    for name in wanted {
        let Some(template) = catalog.destination(name) else {
            report.problems.push(no_template("destination", name));
            continue;
        };
        let schemas = StorySchemas::of(&template, &mut report.problems);
        let problems = report.problems.len();
        let outcomes =
            run_each(directory, name, &mut report, |folder| run(&template, &schemas, folder, expectations));
        // What a story that went wrong covers is not known.
        let all_ran = report.problems.len() == problems;
        let refused = lint::check_broken(&schemas, &directory.join(name), &mut report.problems);
        report.refused.extend(refused.iter().map(|rule| format!("{name}/{rule}")));
        if let Some(outcomes) = outcomes.filter(|_| all_ran) {
            let mut coverage = Coverage::default();
            outcomes.into_iter().for_each(|outcome| coverage.take(outcome));
            coverage.missing(&template, &directory.join(name), &mut report.problems);
        }
    }
    report
}

/// Runs `directory/outgoing/<story>/`: a conversion, a postback's URL, and the request that leaves.
pub fn run_outgoing_stories(directory: &Path, expectations: Expectations) -> StoryReport {
    let mut report = StoryReport::default();
    let run = |folder: &Path| run_outgoing(folder, expectations).map(|compared| ((), compared));
    run_each(directory, "outgoing", &mut report, run);
    report
}

fn run_outgoing(
    folder: &Path,
    expectations: Expectations,
) -> Result<Result<Compared, Problem>, Vec<Problem>> {
    let (place, story) = read(folder)?;
    let coverage = || {
        let destination = story.postback()?;
        if let Some((reply, _)) = story.reply() {
            return Ok(classified(&destination.classify(reply, story.now())));
        }
        let Rendering { rendered, remarks } = story.render(&destination)?;
        let found = match rendered {
            Rendered::Request(part, _) => {
                let request = story.request(&destination, &part);
                json!({ "method": request.method, "url": request.url })
            }
            Rendered::Skip { reason } => skipped(&reason),
        };
        Ok(with_remarks(found, &remarks))
    };
    let found = coverage().map_err(|problem: Problem| problem.in_file(&place))?;
    Ok(compare(folder, &found, expectations))
}

/// The story of a folder, and its file's name.
pub(crate) fn read(folder: &Path) -> Result<(String, Story), Vec<Problem>> {
    let place = folder.join("story.toml").display().to_string();
    let text = fs::read_to_string(folder.join("story.toml"))
        .map_err(|error| Problem::new(format!("it cannot be read: {error}"), "add it").in_file(&place))?;
    let file = template_folder(folder).join(DEFAULTS);
    let (defaults, file) = (fs::read_to_string(&file).ok(), file.display().to_string());
    let defaults = defaults.as_deref().map(|text| (file.as_str(), text));
    // What is wrong with the defaults is placed in their file.
    defaults.map(|(file, text)| Story::parse(file, text, None)).transpose()?;
    let story = Story::parse(&place, &text, defaults)?;
    Ok((place, story))
}

/// What a template's stories cover.
#[derive(Default)]
struct Coverage {
    events: BTreeSet<String>,
    replies: BTreeSet<&'static str>,
    confirmed: BTreeSet<&'static str>,
    /// What becomes of changes, in the words of `[changes]`.
    changes: BTreeSet<&'static str>,
    /// Whether one is sent late, as `[late]` has it.
    late: bool,
}

enum StoryOutcome {
    Sent {
        event: String,
        is_late: bool,
    },
    /// With what becomes of it.
    Changed(&'static str),
    Skipped,
    Classified(&'static str),
    /// An answer to being asked later.
    Confirmed(&'static str),
}

impl Coverage {
    fn take(&mut self, outcome: StoryOutcome) {
        match outcome {
            StoryOutcome::Sent { event, is_late } => {
                self.events.insert(event);
                self.late |= is_late;
            }
            StoryOutcome::Classified(word) => {
                self.replies.insert(word);
            }
            StoryOutcome::Confirmed(word) => {
                self.confirmed.insert(word);
            }
            StoryOutcome::Changed(word) => {
                self.changes.insert(word);
            }
            StoryOutcome::Skipped => {}
        }
    }

    fn missing(&self, template: &DestinationTemplate, directory: &Path, problems: &mut Vec<Problem>) {
        let mut lacks = |what: String, hint: &str| {
            problems.push(Problem::new(what, hint).in_file(&directory.display().to_string()));
        };
        for event in template.events().keys().filter(|event| !self.events.contains(*event)) {
            lacks(
                format!("`{}` lists the event {event} and no story sends it", template.name()),
                "add a folder with story.toml and run with BLESS=1",
            );
        }
        for word in template.words_of_changes().into_iter().filter(|word| !self.changes.contains(word)) {
            lacks(
                format!(
                    "no story of `{}` has a change that becomes \"{word}\", as [changes] has it",
                    template.name()
                ),
                "add a folder whose story.toml has `change` and, where it is of another value, [sent], and run with BLESS=1",
            );
        }
        if template.late_after_ms().is_some() && !self.late {
            lacks(
                format!("no story of `{}` is sent late, as [late] has it", template.name()),
                "add a folder whose story.toml has an older event, with the settings that [late] needs, and run with BLESS=1",
            );
        }
        for outcome in ["delivered", "retry", "dead", "park"].iter().filter(|o| !self.replies.contains(*o)) {
            lacks(
                format!("no story of `{}` has a reply that is classified as {outcome}", template.name()),
                "add a folder whose story.toml has a [reply] and run with BLESS=1",
            );
        }
        let confirms = template.confirm().is_some();
        for outcome in
            [AGAIN, "delivered", "dead"].iter().filter(|o| confirms && !self.confirmed.contains(*o))
        {
            lacks(
                format!("no story of `{}` is asked what became of it and answers {outcome}", template.name()),
                "add a folder below `confirm` whose story.toml has a [confirm] and run with BLESS=1",
            );
        }
    }
}

/// How a story ends, and whether that is what was expected.
fn run(
    template: &Arc<DestinationTemplate>,
    schemas: &StorySchemas,
    folder: &Path,
    expectations: Expectations,
) -> Result<(StoryOutcome, Result<Compared, Problem>), Vec<Problem>> {
    let (place, story) = read(folder)?;
    let destination = story.destination(template).map_err(|problem| problem.in_file(&place))?;
    if let Some(asked) = story.confirm() {
        let Some(verdict) = confirmed(&destination, asked, story.now()) else {
            let hint = "take [confirm] out of the story, or write one into the template";
            return Err(vec![Problem::new("the template has no [confirm]", hint).in_file(&place)]);
        };
        let (found, word) = of_confirm(&verdict, classified);
        return Ok((StoryOutcome::Confirmed(word), compare(folder, &found, expectations)));
    }
    let (found, outcome) = match story.reply() {
        Some((reply, events)) => {
            let verdict = destination.classify_batch(reply, *events, story.now());
            // Of one event what its row says is what becomes of it.
            let alone = match &verdict.events[..] {
                [Some(only)] => &only.verdict,
                _ => &verdict.request,
            };
            (of_events(&verdict), StoryOutcome::Classified(alone.as_str()))
        }
        None => {
            let rendering = story.render(&destination).map_err(|problem| problem.in_file(&place))?;
            let change = story.change(&rendering.rendered);
            let (found, outcome) = match rendering.rendered {
                Rendered::Request(part, _) => {
                    let schema = schemas.of_request(&part, change.is_some());
                    let is_late = part.is_late;
                    let wrong = schema.map(|schema| lint::wrong_event(template, schema, folder, &part));
                    match wrong {
                        Some(wrong) if !wrong.is_empty() => return Err(wrong),
                        _ => {}
                    }
                    let request = story.request(&destination, &part);
                    let found = sent(&request).map_err(|problem| problem.in_file(&place))?;
                    let event = || StoryOutcome::Sent { event: story.event().to_owned(), is_late };
                    (found, change.map_or_else(event, StoryOutcome::Changed))
                }
                Rendered::Skip { reason } => {
                    (skipped(&reason), change.map_or(StoryOutcome::Skipped, StoryOutcome::Changed))
                }
            };
            (with_remarks(found, &rendering.remarks), outcome)
        }
    };
    let word = match &outcome {
        StoryOutcome::Classified(word) => Some(*word),
        _ => None,
    };
    misplaced(folder, word).map_err(|problem| vec![problem.in_file(&place)])?;
    Ok((outcome, compare(folder, &found, expectations)))
}

/// A story in a folder of replies that is not classified as that folder is called. `word`: what its reply is classified
/// as; `None`: it is of no reply.
pub(crate) fn misplaced(folder: &Path, word: Option<&str>) -> Result<(), Problem> {
    let (Some(named), Some(replies)) = (folder.parent(), folder.ancestors().nth(2)) else { return Ok(()) };
    if file_name(replies) != REPLIES {
        return Ok(());
    }
    let named = file_name(named);
    match word {
        Some(word) if word == named => Ok(()),
        Some(word) => {
            let what = format!("the reply is classified as {word}, and its folder is of `{named}`");
            Err(Problem::new(what, format!("put it into `{REPLIES}/{word}`")))
        }
        None => Err(Problem::new("it is no story of a reply", format!("put it next to `{REPLIES}`"))),
    }
}

/// Where there are any, they are a member of their own.
pub(crate) fn with_remarks(mut found: Json, remarks: &[Remark]) -> Json {
    if let Some(members) = found.as_object_mut().filter(|_| !remarks.is_empty()) {
        members.insert("remarks".to_owned(), json!(ReasonView::all(remarks)));
    }
    found
}

fn sent(request: &OutgoingRequest) -> Result<Json, Problem> {
    let headers: Map<String, Json> =
        request.headers.iter().map(|(name, value)| (name.clone(), Json::from(value.as_str()))).collect();
    let mut shown = json!({ "method": request.method, "url": request.url, "headers": headers });
    if !request.body.is_empty() {
        let body: Json = serde_json::from_slice(&request.body)
            .map_err(|error| Problem::new(format!("the body is not JSON: {error}"), "fix the template"))?;
        if let Some(shown) = shown.as_object_mut() {
            shown.insert("body".to_owned(), body);
        }
    }
    Ok(shown)
}

pub(crate) fn skipped(reason: &SkipReason) -> Json {
    json!({ "code": reason.code().as_str(), "skip": reason.sentence(), "hint": reason.hint() })
}

/// What an answer means to the one event that it is about, or to each of several.
fn of_events(verdict: &BatchVerdict) -> Json {
    let of_event = |event: &Option<EventVerdict>| match event {
        None => json!({ "verdict": "sent_again", "may_be_taken": verdict.may_be_taken }),
        Some(EventVerdict { verdict, kept }) => {
            let mut shown = classified(verdict);
            if let Some(members) = shown.as_object_mut().filter(|_| !kept.is_empty()) {
                members.insert("kept".to_owned(), kept.iter().cloned().collect());
            }
            shown
        }
    };
    match &verdict.events[..] {
        [only] => of_event(only),
        several => json!({ "events": several.iter().map(of_event).collect::<Vec<_>>() }),
    }
}

pub(crate) fn classified(verdict: &ReplyVerdict) -> Json {
    let word = verdict.as_str();
    match verdict {
        ReplyVerdict::Delivered { warnings, confirmation } => {
            let mut shown = json!({ "verdict": word, "warnings": warnings });
            let certain = *confirmation == Confirmation::Confirmed;
            if let Some(members) = shown.as_object_mut().filter(|_| !certain) {
                members.insert("confirmation".to_owned(), json!(confirmation.as_str()));
            }
            shown
        }
        ReplyVerdict::Retry { reason, after_ms, hold_ms } => {
            let mut shown = reasoned(word, reason);
            if let Some(members) = shown.as_object_mut() {
                members.insert("after_ms".to_owned(), Json::from(*after_ms));
                // Named where there is one only: most answers ask for none.
                members.extend(hold_ms.map(|hold_ms| ("hold_ms".to_owned(), Json::from(hold_ms))));
            }
            shown
        }
        ReplyVerdict::Dead { reason } => reasoned(word, reason),
        ReplyVerdict::Park { reason } => reasoned(word, reason),
        ReplyVerdict::Skipped { reason } => reasoned(word, reason),
    }
}

fn reasoned(verdict: &str, reason: &impl CodedReason) -> Json {
    json!({ "verdict": verdict, "code": reason.code().as_str(), "reason": reason.sentence() })
}

/// The stories of a template, those of its replies last.
fn stories(directory: &Path) -> Vec<PathBuf> {
    let mut stories = folders(directory);
    stories.retain(|folder| ![lint::BROKEN, REPLIES, CONFIRM].contains(&file_name(folder).as_str()));
    let outcomes = folders(&directory.join(REPLIES));
    stories.extend(outcomes.iter().flat_map(|outcome| folders(outcome)));
    stories.extend(folders(&directory.join(CONFIRM)));
    stories
}

/// The folder of all stories of the template that a story is of.
fn template_folder(story: &Path) -> &Path {
    let mut above = story.ancestors().skip(1);
    match (above.next(), above.next(), above.next()) {
        (_, Some(replies), Some(template)) if file_name(replies) == REPLIES => template,
        (Some(confirm), Some(template), _) if file_name(confirm) == CONFIRM => template,
        (template, ..) => template.unwrap_or(story),
    }
}

/// The folders of a directory in alphabetical order; none if it is not there.
fn folders(directory: &Path) -> Vec<PathBuf> {
    let found = fs::read_dir(directory).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let folders: BTreeMap<String, PathBuf> =
        found.filter(|path| path.is_dir()).map(|path| (file_name(&path), path)).collect();
    folders.into_values().collect()
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
