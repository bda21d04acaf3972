//! A form as a browser posts it: its fields, and the file that came with them.

use http::{HeaderMap, header};
use memchr::memmem;

/// The fields of a posted form.
#[derive(Default)]
pub struct Form {
    fields: Vec<(String, String)>,
    file: Option<File>,
}

/// A file as it was chosen in the browser.
pub struct File {
    pub name: String,
    pub bytes: Vec<u8>,
}

impl Form {
    /// Reads a query or an URL-encoded body.
    pub fn read(body: &[u8]) -> Form {
        Form { fields: form_urlencoded::parse(body).into_owned().collect(), file: None }
    }

    /// Reads a body as its `Content-Type` says. One that is cut or mixed up has no fields, and so not the
    /// session's token either: nothing is done by it.
    pub fn posted(headers: &HeaderMap, body: &[u8]) -> Form {
        let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
        match media.strip_prefix("multipart/form-data") {
            Some(rest) => boundary(rest).and_then(|mark| parts(body, &mark)).unwrap_or_default(),
            None => Form::read(body),
        }
    }

    /// The first value of a name; empty when it did not come.
    pub fn get(&self, name: &str) -> &str {
        self.fields.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// The file, if one was chosen.
    pub fn file(&self) -> Option<&File> {
        self.file.as_ref()
    }
}

fn boundary(parameters: &str) -> Option<String> {
    let value = parameters.split(';').find_map(|one| one.trim().strip_prefix("boundary="))?;
    let value = value.trim_matches('"');
    (1..=70).contains(&value.len()).then(|| value.to_owned())
}

/// The parts between the boundaries (RFC 7578), every one of them whole.
fn parts(body: &[u8], boundary: &str) -> Option<Form> {
    let opening = format!("--{boundary}");
    let mark = format!("\r\n--{boundary}");
    let finder = memmem::Finder::new(mark.as_bytes());
    let mut rest = body.strip_prefix(opening.as_bytes())?;
    let mut form = Form::default();
    while let Some(part) = rest.strip_prefix(b"\r\n") {
        let end = finder.find(part)?;
        let (whole, after) = part.split_at_checked(end)?;
        take(&mut form, whole)?;
        rest = after.get(mark.len()..)?;
    }
    rest.starts_with(b"--").then_some(form)
}

fn take(form: &mut Form, part: &[u8]) -> Option<()> {
    let end = memmem::find(part, b"\r\n\r\n")?;
    let (head, value) = (std::str::from_utf8(part.get(..end)?).ok()?, part.get(end + 4..)?);
    let disposition = head.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-disposition").then_some(value)
    })?;
    let name = quoted(disposition, "name")?;
    match quoted(disposition, "filename") {
        // A browser sends a part without name and bytes where no file was chosen.
        Some(file) if file.is_empty() && value.is_empty() => {}
        Some(file) => form.file = Some(File { name: file.to_owned(), bytes: value.to_vec() }),
        None => form.fields.push((name.to_owned(), std::str::from_utf8(value).ok()?.to_owned())),
    }
    Some(())
}

/// The value of `name="…"`. Browsers write a quote inside it as `%22`, and leave a semicolon as it is.
fn quoted<'a>(disposition: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = disposition;
    loop {
        let (before, behind) = rest.split_once("=\"")?;
        let (value, after) = behind.split_once('"')?;
        let known = before.rsplit([';', ' ']).next().unwrap_or_default();
        if known == name {
            return Some(value);
        }
        rest = after;
    }
}
