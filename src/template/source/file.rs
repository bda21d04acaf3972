//! The shape of a source template's TOML file: which keys there are and what each may say.

use toml::Spanned;
use toml::de::DeTable;

use crate::domain::conversion::Dedup;
use crate::domain::event::EventName;
use crate::domain::money::DecimalMark;
use crate::domain::status::Status;
use crate::template::diagnostic::Problem;
use crate::template::source::body_limits;
use crate::template::source::defaults;
use crate::template::source::definition::{
    Entry, EventRules, Field, Names, Piece, Provenance, Reading, SourceTemplate,
};
use crate::template::source::fields;
use crate::template::source::keys::{choose, missing, param_name};
use crate::template::source::links;
use crate::template::source::time;
use crate::template::toml_reader::{TomlReader, in_order};

const KEYS: [&str; 21] = [
    "name",
    "docs",
    "macro",
    "names",
    "postback",
    "extra",
    "keep",
    "link_param",
    "link_query",
    "map",
    "status",
    "event",
    "number",
    "time",
    "verify",
    "reply",
    "dedup",
    "birthdate",
    "default",
    "body",
    "provenance",
];

impl SourceTemplate {
    /// Compiles the text of a template. `file` is for the places of problems; the name is inside.
    ///
    /// # Errors
    /// Every problem of the file at once, each with its line.
    pub fn parse(file: &str, text: &str) -> Result<SourceTemplate, Vec<Problem>> {
        let mut reader = TomlReader::new(file, text);
        let root = reader.parse();
        if !reader.problems.is_empty() {
            return Err(reader.problems);
        }
        let template = build(&mut reader, root.get_ref());
        if reader.problems.is_empty() { Ok(template) } else { Err(reader.problems) }
    }
}

/// Reads everything there is, however much of it is wrong, so that all problems are told at once.
fn build(reader: &mut TomlReader<'_>, root: &DeTable<'_>) -> SourceTemplate {
    reader.only(root, &KEYS, "");
    let name = name(reader, root);
    let macro_marks = macro_marks(reader, root);
    let mut names = Names { loose: is_loose(reader, root), ..Names::default() };
    let postback = entries(reader, root, "postback", &mut names);
    let extra = entries(reader, root, "extra", &mut names);
    let decimal = decimal(reader, root);
    let (times, zone) = time::read(reader, root);
    let fields = fields::read(reader, root, &mut names, (decimal, &times));
    let keep = keep(reader, root, &mut names, &fields);
    let statuses = statuses(reader, root, &fields);
    let template = SourceTemplate {
        name: name.unwrap_or_default(),
        docs: reader.text(root, "docs").map(Spanned::into_inner).unwrap_or_default(),
        macro_marks: macro_marks.unwrap_or_default(),
        names,
        postback,
        extra,
        keep,
        events: events(reader, root),
        decimal,
        times,
        zone,
        reply: section_text(reader, root, "reply", "text"),
        dedup: dedup(reader, root),
        birthdate: time::birthdate(reader, root),
        defaults: defaults::read(reader, root, &statuses),
        body: body_limits::read(reader, root),
        statuses,
        fields,
        links: links::read(reader, root),
        provenance: provenance(reader, root),
    };
    verify(reader, root);
    whole(reader, root, &template);
    template
}

/// What only the whole can show: something must tell the event, and the URL must exist.
fn whole(reader: &mut TomlReader<'_>, root: &DeTable<'_>, template: &SourceTemplate) {
    let at = |key: &str| root.get_key_value(key).map_or(0..0, |(key, _)| key.span());
    if template.postback.is_empty() {
        reader.problem(
            &at("postback"),
            "no `postback` parameters are named",
            "list the URL's parameters: postback = [\"click_id\", …]",
        );
    }
    // Where there is no [map], or a line of it is wrong, that is said already: not what follows from it.
    let Some(map) = root.get("map").and_then(|map| map.get_ref().as_table()) else { return };
    if map.is_empty() {
        reader.problem(
            &at("map"),
            "`[map]` maps no field",
            "say which parameter is which field: transaction_id = \"tid\"",
        );
    }
    let rules = &template.events;
    let told = rules.by_value.is_some()
        || !rules.by_status.is_empty()
        || map.contains_key(Field::Event.name())
        || template.defaults.contains_key(&Field::Event);
    if !told {
        reader.problem(
            &at("event"),
            "nothing tells the event",
            "map `event` to a parameter, or set by_value in [event], or event in [default]",
        );
    }
    if rules.by_value.is_some() && !map.contains_key(Field::Value.name()) {
        reader.problem(&at("event"), "`by_value` needs a value, and `[map]` maps none", "map value = \"…\"");
    }
}

fn name(reader: &mut TomlReader<'_>, root: &DeTable<'_>) -> Option<String> {
    let Some(name) = reader.text(root, "name") else {
        if !root.contains_key("name") {
            missing(reader, "name", "name = \"…\", the word that a source's `template` names");
        }
        return None;
    };
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-');
    if name.get_ref().is_empty() || !name.get_ref().bytes().all(allowed) {
        reader.problem(
            &name.span(),
            format!("`{}` is no template name", name.get_ref()),
            "use a–z, 0–9, _ and -",
        );
    }
    Some(name.into_inner())
}

/// `"#{}#"`: `{}` is the place of the macro's name, all around it is what the network writes.
fn macro_marks(reader: &mut TomlReader<'_>, root: &DeTable<'_>) -> Option<(String, String)> {
    let Some(marks) = reader.text(root, "macro") else {
        if !root.contains_key("macro") {
            missing(reader, "macro", "macro = \"{{}}\" for macros such as {sub1}; `{}` is the name's place");
        }
        return None;
    };
    let split = marks.get_ref().split_once("{}").filter(|(_, behind)| !behind.contains("{}"));
    if split.is_none() {
        reader.problem(
            &marks.span(),
            format!("`{}` does not show where a macro's name stands", marks.get_ref()),
            "put `{}` there once: \"#{}#\" for #s2#, \"{{}}\" for {sub1}, \"[[[{}]]]\" for [[[subid]]]",
        );
    }
    split.map(|(before, behind)| (before.to_owned(), behind.to_owned()))
}

fn is_loose(reader: &mut TomlReader<'_>, root: &DeTable<'_>) -> bool {
    let Some(word) = reader.text(root, "names") else { return false };
    choose(reader, &word, "names", &[("exact", false), ("loose", true)]).unwrap_or(false)
}

/// The parameters of the postback URL: `"s1"`, or `"click_id=aff_sub"` where the macro has another name.
fn entries(reader: &mut TomlReader<'_>, root: &DeTable<'_>, key: &str, names: &mut Names) -> Vec<Entry> {
    let mut found: Vec<Entry> = Vec::new();
    for text in reader.texts(root, key) {
        let (param, macro_name) = text.get_ref().split_once('=').unwrap_or((text.get_ref(), text.get_ref()));
        let (param, macro_name) = (param.trim(), macro_name.trim());
        if !param_name(reader, param, &text.span()) {
            continue;
        }
        let entry = Entry { param: names.intern(param), macro_name: macro_name.to_owned() };
        if found.iter().any(|known| known.param == entry.param) {
            reader.problem(
                &text.span(),
                format!("`{param}` is named twice in `{key}`"),
                "leave one of them out",
            );
        } else {
            found.push(entry);
        }
    }
    found
}

/// What the URL names and no field reads is kept under its own name; `keep` adds more.
fn keep(
    reader: &mut TomlReader<'_>,
    root: &DeTable<'_>,
    names: &mut Names,
    fields: &[(Field, Vec<Reading>)],
) -> Vec<usize> {
    let from_url: Vec<usize> = (0..names.list.len()).filter(|index| !reads(fields, *index)).collect();
    let mut kept = from_url;
    for text in reader.texts(root, "keep") {
        if param_name(reader, text.get_ref(), &text.span()) {
            let index = names.intern(text.get_ref());
            if !kept.contains(&index) {
                kept.push(index);
            }
        }
    }
    kept
}

fn reads(fields: &[(Field, Vec<Reading>)], index: usize) -> bool {
    fields.iter().flat_map(|(_, readings)| readings).any(|reading| match reading {
        Reading::One(one) => *one == index,
        Reading::Join(pieces) => pieces.contains(&Piece::Param(index)),
    })
}

fn statuses(
    reader: &mut TomlReader<'_>,
    root: &DeTable<'_>,
    fields: &[(Field, Vec<Reading>)],
) -> Vec<(String, Status)> {
    let mut found = Vec::new();
    let known = Status::ALL.map(|status| (status.word(), status));
    if let Some(table) = reader.table(root, "status") {
        for (word, value) in in_order(table) {
            let Some(ours) = reader.as_text(value, word.get_ref()) else { continue };
            if let Some(status) = choose(reader, &ours, word.get_ref(), &known) {
                found.push((word.get_ref().trim().to_lowercase(), status));
            }
        }
    }
    let mapped = fields.iter().any(|(field, _)| *field == Field::Status);
    if mapped && found.is_empty() {
        missing(reader, "status", "[status] with the network's words: confirmed = \"approved\"");
    }
    found
}

fn events(reader: &mut TomlReader<'_>, root: &DeTable<'_>) -> EventRules {
    let Some(table) = reader.table(root, "event") else { return EventRules::default() };
    reader.only(table, &["by_value", "value_required", "names", "by_status"], "event");
    let by_value = reader.table(table, "by_value").and_then(|pair| {
        reader.only(pair, &["positive", "zero"], "event.by_value");
        for key in ["positive", "zero"] {
            if !pair.contains_key(key) {
                let span = table.get("by_value").map_or(0..0, Spanned::span);
                reader.problem(
                    &span,
                    format!("`by_value` lacks `{key}`"),
                    "write by_value = { positive = \"Purchase\", zero = \"Lead\" }",
                );
            }
        }
        let positive = event_under(reader, pair, "positive");
        let zero = event_under(reader, pair, "zero");
        positive.zip(zero)
    });
    let required = reader.texts(table, "value_required");
    EventRules {
        names: event_words(reader, table, "names"),
        by_status: event_words(reader, table, "by_status"),
        by_value,
        value_required: required.iter().filter_map(|text| event(reader, text)).collect(),
    }
}

fn event_under(reader: &mut TomlReader<'_>, table: &DeTable<'_>, key: &str) -> Option<EventName> {
    let text = reader.text(table, key)?;
    event(reader, &text)
}

fn event(reader: &mut TomlReader<'_>, text: &Spanned<String>) -> Option<EventName> {
    let event = EventName::parse(text.get_ref());
    if event.is_none() {
        reader.problem(&text.span(), format!("`{}` is no event name", text.get_ref()), "use 1–64 characters");
    }
    event
}

fn event_words(reader: &mut TomlReader<'_>, table: &DeTable<'_>, key: &str) -> Vec<(String, EventName)> {
    let Some(words) = reader.table(table, key) else { return Vec::new() };
    let mut found = Vec::new();
    for (word, value) in in_order(words) {
        if let Some(text) = reader.as_text(value, word.get_ref())
            && let Some(event) = event(reader, &text)
        {
            found.push((word.get_ref().trim().to_lowercase(), event));
        }
    }
    found
}

/// The one text of a small section, with nothing else in it.
fn section_text(reader: &mut TomlReader<'_>, root: &DeTable<'_>, section: &str, key: &str) -> Option<String> {
    section_word(reader, root, section, key).map(Spanned::into_inner)
}

fn section_word(
    reader: &mut TomlReader<'_>,
    root: &DeTable<'_>,
    section: &str,
    key: &str,
) -> Option<Spanned<String>> {
    let table = reader.table(root, section)?;
    reader.only(table, &[key], section);
    reader.text(table, key)
}

fn decimal(reader: &mut TomlReader<'_>, root: &DeTable<'_>) -> DecimalMark {
    let word = section_word(reader, root, "number", "decimal");
    let known = [("dot", DecimalMark::Dot), ("comma", DecimalMark::Comma)];
    word.and_then(|word| choose(reader, &word, "decimal", &known)).unwrap_or_default()
}

fn dedup(reader: &mut TomlReader<'_>, root: &DeTable<'_>) -> Dedup {
    let word = section_word(reader, root, "dedup", "mode");
    let known = [("transaction", Dedup::Transaction), ("click", Dedup::Click), ("each", Dedup::Each)];
    word.and_then(|word| choose(reader, &word, "mode", &known)).unwrap_or_default()
}

/// A scheme that is asked for and not known is refused, not passed over: it would let anybody in.
fn verify(reader: &mut TomlReader<'_>, root: &DeTable<'_>) {
    if let Some(word) = section_word(reader, root, "verify", "kind") {
        choose(reader, &word, "kind", &[("none", ())]);
    }
}

fn provenance(reader: &mut TomlReader<'_>, root: &DeTable<'_>) -> Vec<Provenance> {
    let Some(value) = root.get("provenance") else { return Vec::new() };
    let Some(items) = value.get_ref().as_array() else {
        reader.problem(&value.span(), "`provenance` is not a list of tables", "write it as [[provenance]]");
        return Vec::new();
    };
    let mut found = Vec::new();
    for item in items.iter() {
        let Some(table) = item.get_ref().as_table() else { continue };
        reader.only(table, &["what", "source", "date"], "provenance");
        let [what, source, date] = ["what", "source", "date"].map(|key| reader.text(table, key));
        match (what, source, date) {
            (Some(what), Some(source), Some(date)) => found.push(Provenance {
                what: what.into_inner(),
                source: source.into_inner(),
                date: date.into_inner(),
            }),
            _ => reader.problem(
                &item.span(),
                "a provenance lacks a key",
                "say what, source and date, each as text",
            ),
        }
    }
    found
}
