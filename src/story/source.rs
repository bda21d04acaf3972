//! Runs the fixture stories of source templates: a request next to what it must become.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value as Json};

use crate::config::source_words;
use crate::domain::conversion::Draft;
use crate::domain::ids::SourceId;
use crate::domain::postback::{CONTENT_TYPE, KeptHeaders};
use crate::domain::rejection::Rejection;
use crate::ingest::verify;
use crate::story::expected::{Compared, Expectations, compare};
use crate::story::repeat;
use crate::story::request_files::{self, BODIES, CONTENT_TYPE_FILE, HEADERS, QUERY, SOURCE};
use crate::story::run::{StoryReport, no_template, run_each};
use crate::story::signature::{self, StorySignature};
use crate::template::catalog::Catalog;
use crate::template::diagnostic::Problem;
use crate::template::source::definition::{SourceBinding, SourceTemplate};
use crate::template::source::explain;
use crate::template::source::mapped_report::MappedReport;
use crate::template::toml_doc::table;
use crate::template::toml_doc::text::Text;
use crate::template::typed_text::{currency, event_name, time_zone};

/// How a story ends that is quarantined for its signature.
const REFUSED: &str = "refused";

/// Runs `directory/<template>/<story>/` for every source template of the catalog that `wanted`
/// names. A template lacks stories until one is accepted and one is quarantined, and, where it has a `[verify]`, one is
/// refused for its signature.
pub fn run_source_stories(
    catalog: &Catalog,
    wanted: &[&str],
    directory: &Path,
    expectations: Expectations,
) -> StoryReport {
    let mut report = StoryReport::default();
    for name in wanted {
        let Some(template) = catalog.source(name) else {
            report.problems.push(no_template("source", name));
            continue;
        };
        // Another name of a template says nothing that its stories do not.
        if template.alias_of().is_some() && !directory.join(name).exists() {
            continue;
        }
        let endings = run_each(directory, name, &mut report, |folder| run(&template, folder, expectations));
        let Some(endings) = endings else { continue };
        let place = directory.join(name).display().to_string();
        let lacking = lacking(&template, &endings).into_iter();
        report.problems.extend(lacking.map(|problem| problem.in_file(&place)));
        report.unverified.extend(endings.into_iter().filter_map(|ending| ending.unverified));
    }
    report
}

/// The kinds of stories that a template needs and that none of its own is.
fn lacking(template: &SourceTemplate, endings: &[StoryEnding]) -> Vec<Problem> {
    let signed = template.verification().map(|_| REFUSED);
    let wanted = ["accepted", "quarantined"].into_iter().chain(signed);
    let lacking = wanted.filter(|word| !endings.iter().any(|ending| ending.word == *word));
    let hint = |word: &str| match (word, signed) {
        (REFUSED, _) => {
            "add one that is signed wrongly, or not at all: its headers in headers.txt, `secret` in its source.toml; \
             then run with BLESS=1"
        }
        ("quarantined", Some(_)) => {
            "add a folder with query.txt (or body.json, headers.txt) whose content is wrong, and run with BLESS=1: one \
             that is signed wrongly counts as refused and not as quarantined"
        }
        _ => "add a folder with query.txt (or body.json, headers.txt) and run with BLESS=1",
    };
    let problem = |word| Problem::new(format!("no story of `{}` ends {word}", template.name()), hint(word));
    lacking.map(problem).collect()
}

/// How a story ends.
struct StoryEnding {
    /// Its verdict, or [`REFUSED`].
    word: String,
    /// The story's name, where it has a signature and nothing verifies it.
    unverified: Option<String>,
}

/// A story's postback as its template maps it.
struct ReceivedStory {
    mapped: Result<MappedReport, Rejection>,
    /// The stories of the same template that were received before it.
    after: Vec<Text>,
    /// Whether it has a signature, and `source.toml` says nothing of it.
    is_unverified: bool,
}

/// How the story ends, and whether that is what was expected.
fn run(
    template: &SourceTemplate,
    folder: &Path,
    expectations: Expectations,
) -> Result<(StoryEnding, Result<Compared, Problem>), Vec<Problem>> {
    let ReceivedStory { mapped, after, is_unverified } = receive(template, folder)?;
    let found = match &mapped {
        Ok(MappedReport::Conversion(draft)) if !after.is_empty() => {
            let earlier: Result<Vec<Draft>, _> =
                after.iter().map(|story| earlier(template, folder, story)).collect();
            match repeat::verdict(template, &earlier?, draft) {
                Ok((verdict, notes)) => {
                    let draft = Draft { notes, ..Draft::clone(draft) };
                    Json::Object(Map::from_iter([(verdict.as_str().to_owned(), explain::draft_json(&draft))]))
                }
                Err(rejection) => explain::outcome(&Err(rejection)),
            }
        }
        mapped => explain::outcome(mapped),
    };
    let word = match &mapped {
        Err(rejection) if rejection.is_of_signature() => REFUSED.to_owned(),
        _ => found.as_object().and_then(|members| members.keys().next().cloned()).unwrap_or_default(),
    };
    let name = |part: &Path| part.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let unverified = is_unverified.then(|| format!("{}/{}", template.name(), name(folder)));
    Ok((StoryEnding { word, unverified }, compare(folder, &found, expectations)))
}

/// What an earlier story of the template reports.
fn earlier(template: &SourceTemplate, folder: &Path, story: &Text) -> Result<Draft, Vec<Problem>> {
    let wrong = |what: String| {
        let hint = "name the folder of a story of the same template that is accepted";
        let place = folder.join(SOURCE).display().to_string();
        vec![Problem::new(what, hint).at(&place, story.line)]
    };
    let name = &story.value;
    let earlier = folder.with_file_name(name);
    if earlier.parent() != folder.parent() || earlier == *folder || !earlier.is_dir() {
        return Err(wrong(format!("there is no story {} that can be before it", story.shown())));
    }
    let drafted = receive(template, &earlier)?.mapped.ok().and_then(MappedReport::draft);
    drafted.ok_or_else(|| wrong(format!("the story {} makes no conversion", story.shown())))
}

/// Reads the request of a story, and maps it as the relay does.
fn receive(template: &SourceTemplate, folder: &Path) -> Result<ReceivedStory, Vec<Problem>> {
    let unknown = request_files::unknown(folder);
    if !unknown.is_empty() {
        return Err(unknown);
    }
    let StorySource { binding, signature, after } = source(template, folder)?;
    // The line end that an editor leaves is not part of the request.
    let read = |name: &str| {
        fs::read(folder.join(name)).ok().map(|bytes| bytes.strip_suffix(b"\n").unwrap_or(&bytes).to_vec())
    };
    let body = BODIES.into_iter().find_map(|(name, kind)| read(name).map(|bytes| (kind, bytes)));
    let query = read(QUERY);
    if query.is_none() && body.is_none() {
        let hint = "add query.txt, body.json, body.form or body.txt";
        let problem = Problem::new("the story has no request", hint);
        return Err(vec![problem.in_file(&folder.display().to_string())]);
    }
    let kind = read(CONTENT_TYPE_FILE).or_else(|| Some(body.as_ref()?.0?.as_bytes().to_vec()));
    let headers = headers(template, kind, &read(HEADERS).unwrap_or_default())
        .map_err(|problem| vec![problem.in_file(&folder.join(HEADERS).display().to_string())])?;
    let (query, body) = (query.unwrap_or_default(), body.map(|(_, bytes)| bytes).unwrap_or_default());
    let raw = signature::request(&query, headers, body);
    let mapped = signature.verify(template, &raw).and_then(|notes| {
        let params = signature.read(template, (&query, &raw));
        verify::noted(params.and_then(|params| template.map(&binding, &params)), notes)
    });
    let is_unverified = signature.is_passed_over(template, &raw);
    Ok(ReceivedStory { mapped, after, is_unverified })
}

/// The request's headers as they would be kept: its content type, and those of `headers.txt`, each as `Name: value`.
fn headers(
    template: &SourceTemplate,
    content_type: Option<Vec<u8>>,
    written: &[u8],
) -> Result<KeptHeaders, Problem> {
    let mut headers = KeptHeaders::default();
    if let Some(kind) = content_type {
        headers.push(CONTENT_TYPE, &kind);
    }
    for line in written.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let shown = String::from_utf8_lossy(line);
        let (name, _) = shown.split_once(':').ok_or_else(|| {
            Problem::new(format!("`{shown}` is no header"), "write each on a line: X-Shop-Topic: orders/paid")
        })?;
        let value = line.get(name.len() + 1..).unwrap_or_default().trim_ascii();
        headers.push(&name.trim().to_ascii_lowercase(), value);
    }
    headers.fit(KeptHeaders::MOST_BYTES, template.read_headers());
    Ok(headers)
}

/// What `source.toml` says.
struct StorySource {
    binding: SourceBinding,
    signature: StorySignature,
    after: Vec<Text>,
}

/// The source of a story: `source.toml` next to it, else US dollars where the template maps no currency.
fn source(template: &SourceTemplate, folder: &Path) -> Result<StorySource, Vec<Problem>> {
    let path = folder.join(SOURCE);
    let default = if template.maps_currency() { "" } else { "currency = \"USD\"" };
    let text = fs::read_to_string(&path).unwrap_or_else(|_| default.to_owned());
    table::read(&path.display().to_string(), &text, |root| {
        // Empty: there is none, and the template maps none either.
        let currency = root.parsed("currency", |text| match text.value.as_str() {
            "" => Ok(None),
            _ => currency(text).map(Some),
        });
        let (statuses, events) = source_words::read(root, Some(template));
        let signature = signature::read(root, template);
        let after = root.readable_texts("after");
        let binding = SourceBinding {
            source: SourceId::parse("story").ok()?,
            currency: currency.flatten(),
            positive_event: root.parsed("positive_event", event_name),
            zero_event: root.parsed("zero_event", event_name),
            statuses,
            events,
            time_zone: root.parsed("time_zone", time_zone),
        };
        Some(StorySource { binding, signature, after })
    })
}
