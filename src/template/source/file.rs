//! The shape of a source template's TOML file: which keys there are and what each may say.

use std::collections::HashMap;

use encoding_rs::{Encoding, UTF_8};

use crate::domain::conversion::Dedup;
use crate::domain::customer::DateOrder;
use crate::domain::event::EventName;
use crate::domain::money::{Currency, NumberFormat, parse_decimal};
use crate::domain::status::Status;
use crate::template::diagnostic::Problem;
use crate::template::macros::grammar::Grammar;
use crate::template::source::constant_params;
use crate::template::source::definition::{
    BodyLimits, Field, FieldRule, NetworkLinks, SourceTemplate, UrlParam,
};
use crate::template::source::fields::{self, field};
use crate::template::source::guide::{self, SourceGuide};
use crate::template::source::map::yes_or_no;
use crate::template::source::param_names::ParamNames;
use crate::template::source::params::{MAX_PARAMS, check_param};
use crate::template::source::verify::scheme::Verification;
use crate::template::source::verify::secret_param;
use crate::template::source::{click_id, events, facts, number, reply, time, verify};
use crate::template::toml_doc::table::{self, Table};
use crate::template::toml_doc::text::Text;

impl SourceTemplate {
    /// Compiles the text of a template. `file` is for the places of problems; the name is inside.
    ///
    /// # Errors
    /// Every problem of the file at once, each with its line.
    pub fn parse(file: &str, text: &str) -> Result<SourceTemplate, Vec<Problem>> {
        table::read(file, text, |root| Some(compile(root, text)))
    }
}

/// The template in a document that is read already.
pub(crate) fn compile(root: &Table<'_>, text: &str) -> SourceTemplate {
    SourceTemplate { text: text.to_owned(), ..build(root) }
}

/// Reads everything there is, however much of it is wrong, so that all problems are reported at once.
fn build(root: &Table<'_>) -> SourceTemplate {
    let loose = root.parsed("names", |text| text.one_of(&[("exact", false), ("loose", true)]));
    let mut names = ParamNames::new(loose.unwrap_or_default());
    let postback = entries(root, "postback", &mut names);
    let extra = entries(root, "extra", &mut names);
    let amounts = number::read(root, &mut names);
    let (times, zone) = time::read(root);
    let (mut fields, items) = fields::read(root, &mut names, (amounts.format, &times));
    let constants = constant_params::read(root, &mut names, &mut fields);
    let events = events::read(root, &mut names);
    let reply = reply::read(root);
    let (dedup, adjustment_id) = dedup(root, &mut names);
    let is_read = |index: usize| {
        let is_condition =
            events.reads(index) || amounts.negative_when.iter().any(|when| when.param == index);
        reads(&fields, index)
            || items.as_ref().is_some_and(|rules| rules.reads(index))
            || is_condition
            || adjustment_id.as_ref().is_some_and(|rule| rule.reads(index))
    };
    let mut keep = keep(root, &mut names, is_read);
    let statuses = statuses(root, &fields);
    let body = body_limits(root);
    let verification = verify::file::read(root, body.max_leaves);
    let secret = secret_param::places(&names, verification.as_ref());
    secret_param::check_unread(root, &fields, &secret);
    keep.retain(|index| !secret.contains(index));
    let signed = verification.iter().filter_map(Verification::kept_header);
    let headers = signed.chain(names.headers()).collect();
    let template = SourceTemplate {
        name: name(root).unwrap_or_default(),
        text: String::new(),
        alias_of: None,
        docs: root.text("docs").unwrap_or_default().value,
        guide: SourceGuide::read(root),
        macro_marks: macro_marks(root).unwrap_or_default(),
        postback,
        extra,
        items,
        keep,
        headers,
        names,
        events,
        amounts,
        times,
        zone,
        fallback: root.read_table("encoding", |table| table.parsed("fallback", fallback)).flatten(),
        click_id: click_id::read(root),
        reply,
        dedup,
        adjustment_id,
        birthdate: root.parsed("birthdate", |text| text.one_of(&DateOrder::NAMES)),
        defaults: defaults(root, &statuses),
        body,
        statuses,
        fields,
        constants,
        links: links(root),
        facts: facts::read(root),
        verification,
    };
    check_whole(root, &template);
    template
}

/// What only the whole can show: something must name the event, and the URL must exist.
fn check_whole(root: &Table<'_>, template: &SourceTemplate) {
    guide::check_url(root);
    // Where there is no [map], or a line of it is wrong, that is said already: not what follows from it.
    let Some(map) = root.table("map") else { return };
    if map.keys().is_empty() {
        let hint = "say which parameter is which field: transaction_id = \"tid\"";
        root.problem("map", "`[map]` maps no field", hint);
    }
    let rules = &template.events;
    let names_event = rules.by_value.is_some()
        || !rules.by_status.is_empty()
        || rules.rules.iter().any(|rule| rule.event.is_some())
        || template.reads(Field::Event)
        || template.defaults.contains_key(&Field::Event);
    if !names_event {
        let hint = "map `event` to a parameter, or set by_value in [event], or event in [default]";
        root.problem("event", "nothing names the event", hint);
    }
    if rules.ignores_words() && !map.has(Field::Event.name()) {
        let hint = "map `event` to the parameter that has the words";
        root.problem("event", "`ignore` is of event words, and `[map]` maps none", hint);
    }
    if rules.by_value.is_some() && !map.has(Field::Value.name()) {
        root.problem("event", "`by_value` needs a value, and `[map]` maps none", "map value = \"…\"");
    }
}

/// The template's own name.
pub(crate) fn name(root: &Table<'_>) -> Option<String> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-');
    root.required("name", "\"my-network\"", |text| {
        if text.value.is_empty() || !text.value.bytes().all(allowed) {
            let what = format!("{} is not a template's name", text.shown());
            return Err(Problem::new(what, "use a–z, 0–9, _ and -"));
        }
        Ok(text.value.clone())
    })
}

/// `"#{}#"`: `{}` is the place of the macro's name, all around it is what the network writes.
fn macro_marks(root: &Table<'_>) -> Option<(String, String)> {
    root.parsed("macro", |text| Ok(Grammar::parse(&text.value)?.into_marks()))
}

/// The parameters of the postback URL: `"s1"`, or `"click_id=aff_sub"` where the macro has another name.
fn entries(root: &Table<'_>, key: &'static str, names: &mut ParamNames) -> Vec<UrlParam> {
    let mut found: Vec<UrlParam> = Vec::new();
    for text in root.readable_texts(key) {
        let (param, macro_name) = text.value.split_once('=').unwrap_or((&text.value, &text.value));
        let (param, macro_name) = (param.trim(), macro_name.trim());
        let checked = check_param(param).and_then(|()| {
            let entry = UrlParam { param: names.intern(param), macro_name: macro_name.to_owned() };
            let is_new = !found.iter().any(|known| known.param == entry.param);
            let what = || format!("`{param}` is named twice in `{key}`");
            is_new.then_some(entry).ok_or_else(|| Problem::new(what(), "leave one of them out"))
        });
        match checked {
            Ok(entry) => found.push(entry),
            Err(problem) => root.document().problem(text.line, problem),
        }
    }
    found
}

/// What the URL names and nothing reads is kept under its own name; `keep` adds more. A header is kept where it is
/// named there.
fn keep(root: &Table<'_>, names: &mut ParamNames, is_read: impl Fn(usize) -> bool) -> Vec<usize> {
    let mut kept: Vec<usize> = (0..names.len()).filter(|index| !is_read(*index)).collect();
    for text in root.readable_texts("keep") {
        match names.read(&text.value) {
            Ok(index) if kept.contains(&index) => {}
            Ok(index) => kept.push(index),
            Err(problem) => root.document().problem(text.line, problem),
        }
    }
    kept
}

fn reads(fields: &[(Field, Vec<FieldRule>)], index: usize) -> bool {
    fields.iter().flat_map(|(_, readings)| readings).any(|reading| reading.reads(index))
}

fn statuses(root: &Table<'_>, fields: &[(Field, Vec<FieldRule>)]) -> Vec<(String, Status)> {
    let known = Status::ALL.map(|status| (status.as_str(), status));
    let found = events::words(root, "status", |text| text.one_of(&known));
    let is_mapped = fields.iter().any(|(field, _)| *field == Field::Status);
    if is_mapped && found.is_empty() {
        let hint = "write [status] with the network's words: confirmed = \"approved\"";
        root.problem("status", "`status` is missing", hint);
    }
    found
}

/// A charset in which ASCII is ASCII: a query's names and marks are read before it is.
fn fallback(text: &Text) -> Result<&'static Encoding, Problem> {
    let known = Encoding::for_label_no_replacement(text.value.trim().as_bytes());
    match known.filter(|encoding| encoding.is_ascii_compatible()) {
        Some(encoding) if encoding == UTF_8 => {
            Err(Problem::new("UTF-8 is what is read without it", "leave `fallback` out"))
        }
        Some(encoding) => Ok(encoding),
        None => {
            let what = format!("{} is no charset in which ASCII is ASCII", text.shown());
            Err(Problem::new(what, "write a label such as \"windows-1251\" or \"iso-8859-1\""))
        }
    }
}

/// What makes two postbacks one, and where the id of a row of a sale is.
fn dedup(root: &Table<'_>, names: &mut ParamNames) -> (Dedup, Option<FieldRule>) {
    let read = root.read_table("dedup", |table| {
        let mode = table.parsed("mode", |text| text.one_of(&Dedup::NAMES)).unwrap_or_default();
        let adjustment_id = table.parsed("adjustment_id", |text| fields::reading(text, names));
        if adjustment_id.is_some() && mode != Dedup::Transaction {
            let hint = "write mode = \"transaction\", or leave `adjustment_id` out";
            let what = "`adjustment_id` adds up the rows of a transaction, and `mode` knows a sale by something else";
            table.problem("adjustment_id", what, hint);
        }
        (mode, adjustment_id)
    });
    read.unwrap_or_default()
}

/// Reads the section.
fn body_limits(root: &Table<'_>) -> BodyLimits {
    let limits = root.read_table("body", |body| BodyLimits {
        // As for the server's own limit.
        max_bytes: body.number("max_bytes", 1024..=16 * 1024 * 1024),
        max_leaves: body.number("max_leaves", 1..=65_536).unwrap_or(MAX_PARAMS),
    });
    limits.unwrap_or(BodyLimits { max_bytes: None, max_leaves: MAX_PARAMS })
}

/// Reads the section; a default that could not have been received is a problem.
fn defaults(root: &Table<'_>, statuses: &[(String, Status)]) -> HashMap<Field, String> {
    let Some(table) = root.table("default") else { return HashMap::new() };
    let mut found = HashMap::new();
    for key in table.keys() {
        let Some(field) = field(&table, key) else { continue };
        let text = table.parsed(key, |text| match wrong_default(field, &text.value, statuses) {
            None => Ok(text.value.clone()),
            Some(wrong) => Err(Problem::new(
                format!("{} {wrong}", text.shown()),
                "a default is read as if it had been received",
            )),
        });
        found.extend(text.map(|text| (field, text)));
    }
    found
}

pub(crate) fn wrong_default(field: Field, text: &str, statuses: &[(String, Status)]) -> Option<&'static str> {
    let fine = match field {
        Field::TransactionId | Field::ClickId => return Some("would be the same id for every postback"),
        Field::EventTime => return Some("would be the same time for every postback"),
        Field::Currency => Currency::parse(text).is_some(),
        Field::Status => statuses.iter().any(|(word, _)| *word == text.trim().to_lowercase()),
        Field::Event => EventName::parse(text).is_some(),
        Field::AdUserData | Field::AdPersonalization => yes_or_no(text).is_some(),
        Field::Value | Field::Payout | Field::Revenue | Field::SaleAmount => {
            parse_decimal(text, NumberFormat::Plain).is_some()
        }
        Field::ItemId | Field::Trait(_) => !text.trim().is_empty(),
    };
    (!fine).then_some(match field {
        Field::Currency => "is not a code of ISO 4217",
        Field::Status => "is not a word of [status]",
        Field::Event => "is not an event's name",
        Field::AdUserData | Field::AdPersonalization => "is neither yes nor no",
        Field::ItemId | Field::Trait(_) => "is empty",
        _ => "is not a decimal",
    })
}

/// Reads `link_param` and `link_query`; nothing where the template has no `link_param`.
fn links(root: &Table<'_>) -> Option<NetworkLinks> {
    let query = link_query(root);
    if root.has("link_query") && !root.has("link_param") {
        root.problem(
            "link_query",
            "`link_query` finds links, and no `link_param` says what they are given",
            "add link_param = \"…\", the sub id that brings the click id back",
        );
    }
    Some(NetworkLinks { param: root.text("link_param")?.value, query })
}

fn link_query(root: &Table<'_>) -> Vec<String> {
    if root.is_empty_list("link_query") {
        root.problem(
            "link_query",
            "`link_query` is empty, so no link has its shape",
            "name the parameters that every link of the network has, or leave the key out",
        );
    }
    let mut names: Vec<String> = Vec::new();
    for text in root.readable_texts("link_query") {
        let is_new = !names.iter().any(|known| known.eq_ignore_ascii_case(&text.value));
        let twice = || {
            let hint = "leave one of them out; upper and lower case are the same here";
            Problem::new(format!("{} is named twice in `link_query`", text.shown()), hint)
        };
        match is_new.then_some(()).ok_or_else(twice).and_then(|()| check_param(&text.value)) {
            Ok(()) => names.push(text.value),
            Err(problem) => root.document().problem(text.line, problem),
        }
    }
    names
}
