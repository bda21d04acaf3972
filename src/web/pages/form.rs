//! A form as a browser posts it: its fields, and the file that was received with them.

use http::{HeaderMap, header};

use crate::template::source::multipart::{self, Parts};

/// The fields of a posted form.
#[derive(Default)]
pub struct PostedForm {
    fields: Vec<(String, String)>,
    file: Option<File>,
}

/// A file as it was chosen in the browser.
pub struct File {
    pub name: String,
    pub bytes: Vec<u8>,
}

impl PostedForm {
    /// Reads a query or an URL-encoded body.
    pub fn read(body: &[u8]) -> PostedForm {
        PostedForm { fields: form_urlencoded::parse(body).into_owned().collect(), file: None }
    }

    /// Reads a body as its `Content-Type` says. One that is cut or mixed up has no fields, and so not the
    /// session's token either: nothing is done by it.
    pub fn posted(headers: &HeaderMap, body: &[u8]) -> PostedForm {
        let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
        if !media.trim_start().to_ascii_lowercase().starts_with("multipart/") {
            return PostedForm::read(body);
        }
        let read = multipart::read(Some(media), body).filter(|read| read.is_whole);
        read.and_then(|read| PostedForm::of_parts(&read, body)).unwrap_or_default()
    }

    /// The fields and the file; `None` where a field is no text, or a name is none.
    fn of_parts(read: &Parts<'_>, body: &[u8]) -> Option<PostedForm> {
        let mut form = PostedForm::default();
        let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(str::to_owned);
        for part in &read.parts {
            let value = body.get(part.value.clone())?;
            match &part.file {
                // A browser sends a part without name and bytes where no file was chosen.
                Some(file) if file.is_empty() && value.is_empty() => {}
                Some(file) => form.file = Some(File { name: text(file)?, bytes: value.to_vec() }),
                None => form.fields.push((text(&part.name)?, text(value)?)),
            }
        }
        Some(form)
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
