//! A request's query and body as parameters. A body is JSON, a form or a multipart form, as it is declared and
//! as it looks.
//!
//! What cannot be repaired without guessing is left to who reads the parameter: a name with two values, bytes
//! that are no text. Only what is read can stop a request.

use std::borrow::Cow;

use crate::domain::rejection::Rejection;
use crate::domain::rejection::body::BodyProblem;
use crate::domain::rejection::note::ReportNote;
use crate::template::source::charset::{self, Charset};
use crate::template::source::json_body;
use crate::template::source::multipart;
use crate::template::source::params::{ParamFilter, Params, listed};
use crate::template::source::reader::ParamsReader;

/// Reads whatever is there.
struct AllParams;

impl ParamFilter for AllParams {
    fn reads(&self, _: &str) -> bool {
        true
    }

    fn reads_within(&self, _: &str) -> bool {
        true
    }

    fn reads_all(&self) -> bool {
        true
    }
}

/// Reads the raw `query` (the bytes behind the target's first `?`), then the `body`: JSON, a form or a
/// multipart form.
///
/// # Errors
/// More than 256 parameters; JSON that is broken, nested too deep, or no object; a multipart body that
/// cannot be read.
pub fn read(query: &[u8], content_type: Option<&str>, body: &[u8]) -> Result<Params, Rejection> {
    read_for(&AllParams, query, content_type, body)
}

/// The same for someone who reads only some of the parameters: the others neither count nor stop anything.
///
/// # Errors
/// As [`read`]; the number of parameters is that of those which are read.
pub fn read_for(
    reads: &dyn ParamFilter,
    query: &[u8],
    content_type: Option<&str>,
    body: &[u8],
) -> Result<Params, Rejection> {
    let mut reader = ParamsReader::new(reads);
    reader.query(query)?;
    if !body.is_empty() {
        read_body(content_type, body, &mut reader)?;
    }
    Ok(reader.finish())
}

/// Reads a body into `reader`, by its content type; where that says neither, as JSON if it begins with
/// `{` or `[`, else as a form. A body that holds no parameter (`null`, `[]`, `""`, a byte order mark) is
/// none.
///
/// # Errors
/// JSON that is broken or no object, a multipart form without any part, and the reader's own faults.
fn read_body(
    content_type: Option<&str>,
    body: &[u8],
    reader: &mut ParamsReader<'_>,
) -> Result<(), Rejection> {
    let (charset, body) = charset::narrowed(content_type, body);
    let charset = reader.with_fallback(charset);
    let body = charset::without_end(&body).trim_ascii();
    if body.first() == Some(&b'"')
        && let Some(inner) = json_body::written_twice(body)
    {
        reader.note(ReportNote::JsonWrittenTwice);
        return json_body::read(&inner, reader);
    }
    if body.is_empty() || json_body::holds_nothing(body) {
        return Ok(());
    }
    if let Some(label) = &charset.unknown {
        reader.note(ReportNote::UnknownCharset { charset: shown(label) });
    }
    match kind(content_type, body) {
        BodyKind::Json => json(&charset, body, reader),
        BodyKind::Form => form(charset, body, reader),
        BodyKind::JsonCalledForm => {
            reader.note(ReportNote::JsonCalledForm);
            json(&charset, body, reader)
        }
        BodyKind::FormCalledJson => {
            reader.note(ReportNote::FormCalledJson);
            form(charset, body, reader)
        }
        BodyKind::Multipart => fields(content_type, charset, body, reader),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BodyKind {
    Json,
    Form,
    /// Declared a form, but an object: what `curl -d '{…}'` sends.
    JsonCalledForm,
    /// Declared JSON, but names and values.
    FormCalledJson,
    Multipart,
}

fn kind(content_type: Option<&str>, body: &[u8]) -> BodyKind {
    let media = content_type.unwrap_or("").split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    let first = body.first();
    let begins_like_json = matches!(first, Some(b'{' | b'['));
    // A header that a person set by hand does not turn what the HTTP library writes into something else.
    if multipart::begins_like_one(body) {
        return BodyKind::Multipart;
    }
    let says_json = matches!(media.as_str(), "application/json" | "text/json") || media.ends_with("+json");
    match media.as_str() {
        _ if says_json && !begins_like_json && first != Some(&b'"') && body.contains(&b'=') => {
            BodyKind::FormCalledJson
        }
        _ if says_json => BodyKind::Json,
        _ if media.starts_with("multipart/") && multipart::read(content_type, body).is_some() => {
            BodyKind::Multipart
        }
        "application/x-www-form-urlencoded" if first == Some(&b'{') && json_body::check(body) => {
            BodyKind::JsonCalledForm
        }
        "application/x-www-form-urlencoded" => BodyKind::Form,
        _ if begins_like_json => BodyKind::Json,
        _ => BodyKind::Form,
    }
}

fn json(charset: &Charset, body: &[u8], reader: &mut ParamsReader<'_>) -> Result<(), Rejection> {
    let text = charset.text(Cow::Borrowed(body));
    json_body::read(&text, reader)
}

fn form(charset: Charset, body: &[u8], reader: &mut ParamsReader<'_>) -> Result<(), Rejection> {
    reader.charset = charset;
    reader.form(body)
}

/// The fields of a multipart form; its files are left out.
fn fields(
    content_type: Option<&str>,
    charset: Charset,
    body: &[u8],
    reader: &mut ParamsReader<'_>,
) -> Result<(), Rejection> {
    let read = multipart::read(content_type, body).unwrap_or_default();
    if read.parts.is_empty() && !read.is_whole {
        return Err(BodyProblem::BrokenMultipart.into());
    }
    let value = |part: &multipart::FormPart<'_>| body.get(part.value.clone()).unwrap_or_default();
    // RFC 7578 §4.6: the field `_charset_` names the charset of the others.
    let named = read.parts.iter().find(|part| &*part.name == b"_charset_");
    let default = named.map_or(charset, |part| Charset::of_label(&String::from_utf8_lossy(value(part))));
    let mut files = Vec::new();
    for part in &read.parts {
        let name = default.text(Cow::Borrowed(&part.name));
        if part.is_file() {
            if !value(part).is_empty() {
                files.push(name);
            }
            continue;
        }
        let own = part.charset.as_deref().map(Charset::of_label).filter(|own| own.unknown.is_none());
        let bytes = value(part);
        let text = own.as_ref().unwrap_or(&default).text(Cow::Borrowed(bytes));
        reader.add(name, text, bytes.to_vec())?;
    }
    if !files.is_empty() {
        reader.note(ReportNote::FilesNotRead(listed(&files)));
    }
    Ok(())
}

/// A label, short enough for a sentence.
fn shown(label: &str) -> String {
    label.chars().take(40).collect()
}
