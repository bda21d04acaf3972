//! A destination template: one folder that says how one platform wants events to be reported.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use crate::domain::change_rules::{OnRejected, OnValue};
use crate::domain::event::EventName;
use crate::domain::test_event::TestCounts;
use crate::template::destination::auth::Auth;
use crate::template::destination::batch::{BatchSize, RateUnit};
use crate::template::destination::change_request::{self, CHANGE_FILES};
use crate::template::destination::changes_file::ChangesSpec;
use crate::template::destination::compile::{CompileContext, Encoding, TemplatedLine};
use crate::template::destination::confirm::ConfirmRules;
use crate::template::destination::envelope::{ENVELOPE_FILE, Envelope};
use crate::template::destination::file::{self, DestinationFile, SettingSpec};
use crate::template::destination::late_request::{self, LATE_FILES};
use crate::template::destination::parameters::ParameterTable;
use crate::template::destination::payload::Payload;
use crate::template::destination::payload_text;
use crate::template::destination::reply::ReplyRules;
use crate::template::destination::request_variant::RequestVariant;
use crate::template::destination::require::{self, EventBody, RequestParts};
use crate::template::diagnostic::{LintCode, Problem};
use crate::template::toml_doc::text::Text;

/// One platform's dialect, read and checked as a whole; shared by every account that speaks it.
pub struct DestinationTemplate {
    name: String,
    /// Its folder, as problems name it.
    pub(crate) place: String,
    setup: String,
    /// What `schema.json` holds.
    pub(crate) schema: Option<String>,
    /// What `change.schema.json` holds.
    pub(crate) change_schema: Option<String>,
    /// What `late.schema.json` holds.
    pub(crate) late_schema: Option<String>,
    pub(crate) file: DestinationFile,
    pub(crate) url: TemplatedLine,
    pub(crate) headers: Vec<(String, TemplatedLine)>,
    pub(crate) query: ParameterTable,
    pub(crate) form: ParameterTable,
    /// What is around the events; `None` where a request is one event.
    pub(crate) envelope: Option<Envelope>,
    /// How a change is asked of the platform; `None`: it is sent none.
    pub(crate) change: Option<RequestVariant>,
    /// How an event is sent that is late; `None`: as any other.
    pub(crate) late: Option<RequestVariant>,
    pub(crate) bodies: Vec<EventBody>,
    /// Our event → the number of its own body; under [`ALL_EVENTS`] the body of every other event.
    body_of: BTreeMap<String, usize>,
}

impl DestinationTemplate {
    /// Reads a folder: `destination.toml`, `event.json.hbs`, optionally `event.<Event>.json.hbs`,
    /// `envelope.json.hbs`, `schema.json`, the same of changes and of late events, and `setup.md`. `name` is the folder's name; the folder is at
    /// `place`, which is how problems name it.
    ///
    /// # Errors
    /// Everything that is wrong in any of the files, at once.
    pub fn parse(
        name: &str,
        place: &str,
        files: &BTreeMap<String, String>,
    ) -> Result<DestinationTemplate, Vec<Problem>> {
        let Some(text) = files.get("destination.toml") else {
            let problem = Problem::new("the file destination.toml is missing", "a template begins with it");
            return Err(vec![problem.in_file(place)]);
        };
        let toml = format!("{place}/destination.toml");
        let file = file::read(&toml, text)?;
        let settings: Vec<String> = file.settings.iter().map(|setting| setting.name.clone()).collect();
        let mut problems = Vec::new();
        let line = |text: &Text, encoding| {
            let source = CompileContext {
                file: &toml,
                first_line: text.line,
                settings: &settings,
                is_envelope: false,
            };
            TemplatedLine::parse(&source, &text.value, encoding)
        };
        let url = keep(line(&file.request.url, Encoding::Url), &mut problems);
        let headers = file.request.headers.iter().map(|(name, text)| {
            keep(line(text, Encoding::None), &mut problems).map(|line| (name.to_lowercase(), line))
        });
        let headers: Vec<_> = headers.collect();
        let parameters = |table| ParameterTable::parse((&toml, &settings), table);
        let query = keep(parameters(&file.request.query), &mut problems).unwrap_or_default();
        let form = keep(parameters(&file.request.form), &mut problems).unwrap_or_default();
        let envelope = files.get(ENVELOPE_FILE).and_then(|text| {
            let file = format!("{place}/{ENVELOPE_FILE}");
            let source =
                CompileContext { file: &file, first_line: 1, settings: &settings, is_envelope: true };
            keep(Envelope::parse(&source, text), &mut problems)
        });
        let (bodies, body_of) = bodies((place, files), &file, (&query, &form), &mut problems);
        let change = keep(change_request::parse((place, files), &file, (&query, &form)), &mut problems);
        let late = keep(late_request::parse((place, files), &file, (&query, &form)), &mut problems).flatten();
        problems.extend(batch_problems((place, files), &file));
        match (url, headers.into_iter().collect::<Option<Vec<_>>>()) {
            (Some(url), Some(headers)) if problems.is_empty() => restating(DestinationTemplate {
                name: name.to_owned(),
                place: place.to_owned(),
                setup: files.get("setup.md").cloned().unwrap_or_default(),
                schema: files.get("schema.json").cloned(),
                change_schema: files.get(CHANGE_FILES.schema).cloned(),
                late_schema: files.get(LATE_FILES.schema).cloned(),
                file,
                url,
                headers,
                query,
                form,
                envelope,
                change,
                late,
                bodies,
                body_of,
            }),
            _ => Err(problems),
        }
    }

    /// The folder's name, by which a configuration names the template.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What a person calls the platform.
    pub fn label(&self) -> &str {
        &self.file.label
    }

    /// The platform's own documentation.
    pub fn docs(&self) -> &str {
        &self.file.docs
    }

    /// Whether an event that is none of ours is sent under its own name.
    pub fn passes_custom_events(&self) -> bool {
        self.file.pass_custom_events
    }

    /// What a person has to say about the account, in the order of the file.
    pub fn settings(&self) -> &[SettingSpec] {
        &self.file.settings
    }

    /// Our event names and the platform's.
    pub fn events(&self) -> &BTreeMap<String, String> {
        &self.file.events
    }

    /// Where a person finds what the settings ask for, as Markdown.
    pub fn setup(&self) -> &str {
        &self.setup
    }

    /// What a person does where the platform refuses the account: that part of the setup guide, else how it begins.
    pub fn when_refused(&self) -> &str {
        let (begins, _) = self.setup.split_once("\n## ").unwrap_or((&self.setup, ""));
        let part = self.setup.split_once(WHEN_REFUSED).map(|(_, behind)| behind);
        part.map_or(begins, |behind| behind.split("\n## ").next().unwrap_or(behind)).trim()
    }

    /// The landing parameters that a click must keep for this platform.
    pub fn landing_params(&self) -> &[String] {
        &self.file.landing_params
    }

    /// The cookies that a click must keep for this platform.
    pub fn cookies(&self) -> &[String] {
        &self.file.cookies
    }

    /// How old an event may be, in milliseconds since it happened.
    pub fn max_age_ms(&self) -> Option<i64> {
        self.file.max_age_ms
    }

    /// How many events a request carries, and how long one waits for others, unless the account says otherwise.
    pub fn batch(&self) -> BatchSize {
        BatchSize { max_events: self.file.batch.usual, max_wait_ms: self.file.batch.max_wait_ms }
    }

    /// The most events that a request may carry.
    pub fn max_batch(&self) -> usize {
        self.file.batch.max
    }

    /// What the platform's rate counts.
    pub fn rate_unit(&self) -> RateUnit {
        self.file.rate_unit
    }

    /// How much the platform takes in a second unless the account says otherwise.
    pub fn max_per_second(&self) -> Option<NonZeroU32> {
        self.file.max_per_second
    }

    /// For how long the platform counts an event once that it is sent again, in milliseconds; `None`: it counts each.
    pub fn dedup_ms(&self) -> Option<i64> {
        self.file.dedup_ms
    }

    /// Whether the platform says later what became of what it accepted.
    pub fn confirms(&self) -> bool {
        self.file.confirm.is_some()
    }

    /// How the platform says later what became of what it accepted; `None`: it never does.
    pub(crate) fn confirm(&self) -> Option<&ConfirmRules> {
        self.file.confirm.as_ref()
    }

    /// What the platform can be informed of after it was sent an event.
    pub(crate) fn changes(&self) -> &ChangesSpec {
        &self.file.changes
    }

    /// Whether that holds for our event of this name.
    pub fn can_change(&self, event: &EventName) -> bool {
        let events = &self.file.changes.events;
        events.is_empty() || events.iter().any(|known| known == event.as_str())
    }

    /// Whether the platform has a test mode.
    pub fn has_test_mode(&self) -> bool {
        self.file.test.is_some()
    }

    /// Whether the platform may use a test event for bidding or in reports; `None`: it has no test mode.
    pub fn test_counts(&self) -> Option<TestCounts> {
        self.file.test.as_ref().map(|test| test.counts)
    }

    /// What a test event cannot show, as a sentence.
    pub fn test_note(&self) -> Option<&str> {
        self.file.test.as_ref()?.note.as_deref()
    }

    /// What the click of a test event has: names of parameters and cookies, and a value for each.
    pub(crate) fn test_click(&self) -> &[(String, String)] {
        self.file.test.as_ref().map_or(&[], |test| test.click.as_slice())
    }

    /// The most events of a request in the platform's test mode.
    pub fn max_test_batch(&self) -> usize {
        let most = self.file.test.as_ref().and_then(|test| test.max_events);
        most.map_or(self.max_batch(), |most| most.min(self.max_batch()))
    }

    /// Whether it is an ad platform's: nothing is sent to it of a visitor who refused `ad_user_data`.
    pub fn is_personal(&self) -> bool {
        self.file.personal
    }

    pub(crate) fn reply(&self) -> &ReplyRules {
        &self.file.reply
    }

    pub(crate) fn auth(&self) -> &[Auth] {
        &self.file.request.auth
    }

    /// The payload of our event; `None` where the platform takes none.
    pub(crate) fn body(&self, event: &str) -> Option<&EventBody> {
        self.bodies.get(*self.body_of.get(event).or_else(|| self.body_of.get(ALL_EVENTS))?)
    }

    /// The platform's name of an event; a custom one passes as it is where the template allows it.
    pub(crate) fn event_name<'a>(&'a self, event: &'a str) -> Option<&'a str> {
        let passes =
            self.file.pass_custom_events && !crate::domain::event::EventName::STANDARD.contains(&event);
        self.file.events.get(event).map(String::as_str).or(passes.then_some(event))
    }
}

/// What several events in a request need that is not there.
fn batch_problems((place, files): (&str, &BTreeMap<String, String>), file: &DestinationFile) -> Vec<Problem> {
    let mut problems = Vec::new();
    if file.batch.max > 1 && !files.contains_key(ENVELOPE_FILE) {
        let what = format!("`max` in [batch] is above 1, and there is no {ENVELOPE_FILE}");
        let hint = "write what is around the events, with `{{events}}` in their place, or max = 1";
        problems.push(Problem::new(what, hint).in_file(place));
    }
    if file.batch.max > 1
        && file.request.auth.iter().any(|auth| matches!(auth, Auth::StandardWebhooks { .. }))
    {
        let what = "`standard-webhooks` signs one event, and `max` in [batch] is above 1";
        let hint = "write max = 1: the receiver knows a repeat by the id of the one event";
        problems.push(Problem::new(what, hint).in_file(&format!("{place}/destination.toml")));
    }
    problems
}

/// The template, if what it restates is in its requests.
fn restating(template: DestinationTemplate) -> Result<DestinationTemplate, Vec<Problem>> {
    let spec = &template.file.changes;
    let by_status = spec.rules.on_rejected == OnRejected::Status;
    let names_value = || template.request_names(template.change.as_ref(), "value");
    if spec.rules.on_value == OnValue::None || by_status || names_value() {
        return Ok(template);
    }
    let what = "`on_value` is \"restate\", and no request names `value`";
    let problem =
        Problem::new(what, "write `{{number value}}` where the platform takes it, or on_value = \"none\"");
    Err(vec![problem.at(&format!("{}/destination.toml", template.place), spec.line)])
}

fn keep<T>(result: Result<T, Vec<Problem>>, problems: &mut Vec<Problem>) -> Option<T> {
    result.map_err(|found| problems.extend(found)).ok()
}

/// Every body of the folder: first the one for all events, then those of single events.
fn bodies(
    (place, files): (&str, &BTreeMap<String, String>),
    file: &DestinationFile,
    (query, form): (&ParameterTable, &ParameterTable),
    problems: &mut Vec<Problem>,
) -> (Vec<EventBody>, BTreeMap<String, usize>) {
    let settings: Vec<String> = file.settings.iter().map(|setting| setting.name.clone()).collect();
    let mut bodies = Vec::new();
    let mut body_of = BTreeMap::new();
    let mut unknown: Option<Vec<(usize, String)>> = None;
    let mut add = |event: &str, mut payload: Option<Payload>| {
        let parts = RequestParts { payload: payload.as_mut(), query, form };
        let (requirements, missing) = require::bind(&file.requirements, &file.dedup_by, parts);
        // A place may be absent from one event's request, but not from all.
        unknown = Some(match unknown.take() {
            Some(before) => before.into_iter().filter(|pointer| missing.contains(pointer)).collect(),
            None => missing,
        });
        body_of.insert(event.to_owned(), bodies.len());
        bodies.push(EventBody { payload, requirements });
    };
    if files.contains_key(ENVELOPE_FILE) && !files.contains_key(EVENT_FILE) {
        let what = format!("{ENVELOPE_FILE} is around events, and there is no {EVENT_FILE}");
        problems.push(
            Problem::new(what, "write what one event looks like, or take the envelope out").in_file(place),
        );
    }
    match (files.contains_key(EVENT_FILE), file.request.method == "GET" || !form.is_empty()) {
        (true, _) if !form.is_empty() => {
            let what = format!("a request has one body: {EVENT_FILE}, or [request.form]");
            problems.push(Problem::new(what, "take one out").in_file(place));
        }
        (false, true) => add(ALL_EVENTS, None),
        (false, false) => {
            let problem =
                Problem::new(format!("the file {EVENT_FILE} is missing"), "it is the payload of one event");
            problems.push(problem.in_file(place));
        }
        (true, _) => {}
    }
    for (file_name, text) in event_files(files) {
        let file_place = format!("{place}/{file_name}");
        if let Some(event) = own_event(file_name).filter(|event| !file.events.contains_key(*event)) {
            let what = format!("`{event}` is not among the template's [events]");
            problems.push(Problem::new(what, "add it there or rename the file").in_file(&file_place));
        }
        let source =
            CompileContext { file: &file_place, first_line: 1, settings: &settings, is_envelope: false };
        let Some(payload) = keep(payload_text::parse(&source, text), problems) else { continue };
        add(own_event(file_name).unwrap_or(ALL_EVENTS), Some(payload));
    }
    for (line, required) in unknown.unwrap_or_default() {
        problems.push(nowhere(&required).at(&format!("{place}/destination.toml"), line));
    }
    (bodies, body_of)
}

/// What is said of a place that no request of the template has: a requirement on it would never be met.
fn nowhere(required: &str) -> Problem {
    let (part, hint) = match required.chars().next() {
        Some('?') => ("query", "name a parameter of [request.query]"),
        Some('/') => ("payload", "name a member that is in the template"),
        _ if required.starts_with("form:") => ("form", "name a parameter of [request.form]"),
        _ => ("request", "write `/member/of/the/payload`, `?parameter` or `form:parameter`"),
    };
    Problem::new(format!("the {part} has no `{required}`"), hint).coded(LintCode::UnknownPlace)
}

/// The heading of `setup.md` under which it says what to do where the platform refuses the account.
const WHEN_REFUSED: &str = "\n## When the token is refused\n";
const EVENT_FILE: &str = "event.json.hbs";
pub(crate) const ALL_EVENTS: &str = "";

/// The payload files, the one for all events first.
fn event_files(files: &BTreeMap<String, String>) -> impl Iterator<Item = (&str, &String)> {
    let all = files.get_key_value(EVENT_FILE);
    let own = files.iter().filter(|(name, _)| own_event(name).is_some());
    all.into_iter().chain(own).map(|(name, text)| (name.as_str(), text))
}

/// `event.Purchase.json.hbs` → `Purchase`.
fn own_event(file_name: &str) -> Option<&str> {
    file_name.strip_prefix("event.")?.strip_suffix(".json.hbs").filter(|event| !event.is_empty())
}
