//! The body and the headers of a postback that a person tries: `--body`, `--header`, `--content-type`.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use http::HeaderName;

use crate::domain::postback::{CONTENT_TYPE, KeptHeaders};
use crate::template::diagnostic::Problem;

#[derive(Args)]
pub(super) struct PastedRequestArgs {
    /// A file with the postback's body, byte for byte as it is sent; `-` is the standard input.
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
    /// A header of the postback, as 'Name: value'. May be repeated. A signature in a header is looked at
    /// where headers are given.
    #[arg(long = "header", value_name = "HEADER")]
    headers: Vec<String>,
    /// What the body is: application/json. Without it the body is read by its looks.
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
}

/// What was given in addition to the URL.
pub(super) struct GivenRequest {
    /// `None`: none were given.
    pub(super) headers: Option<KeptHeaders>,
    pub(super) content_type: Option<String>,
    pub(super) body: Vec<u8>,
}

impl PastedRequestArgs {
    /// Reads what is named; the source takes a body of `most` bytes.
    ///
    /// # Errors
    /// The body cannot be read or is too large, or something is no header.
    pub(super) fn read(&self, most: usize) -> Result<GivenRequest, Problem> {
        let mut headers = KeptHeaders::default();
        for text in &self.headers {
            let (name, value) = header(text)?;
            if name == CONTENT_TYPE && self.content_type.is_some() {
                let what = "the content type is given twice";
                return Err(Problem::new(what, "leave out --content-type or that --header"));
            }
            headers.push(&name, value.as_bytes());
        }
        Ok(GivenRequest {
            headers: (!self.headers.is_empty()).then_some(headers),
            content_type: self.content_type.clone(),
            body: self.body.as_deref().map(|path| body(path, most)).transpose()?.unwrap_or_default(),
        })
    }
}

/// The name in lower case, and the value.
fn header(text: &str) -> Result<(String, &str), Problem> {
    let parts = text.split_once(':').map(|(name, value)| (name.trim(), value.trim()));
    let named = parts.and_then(|(name, value)| Some((HeaderName::try_from(name).ok()?, value)));
    let (name, value) = named.filter(|(_, value)| !value.contains(['\r', '\n'])).ok_or_else(|| {
        Problem::new("a --header is not a header", "write each as 'X-Shop-Topic: orders/paid'")
    })?;
    if name == http::header::CONTENT_ENCODING || name == http::header::TRANSFER_ENCODING {
        let what = format!("the header `{name}` says how a body is sent, and not what it is");
        return Err(Problem::new(what, "leave it out, and give the body as it is before it is compressed"));
    }
    Ok((name.as_str().to_owned(), value))
}

fn body(path: &Path, most: usize) -> Result<Vec<u8>, Problem> {
    let file = path.display().to_string();
    let wrong = |what: String, hint: &str| Problem::new(what, hint).in_file(&file);
    let unread = |error: std::io::Error| {
        wrong(format!("the body cannot be read: {error}"), "name a file, or - for the standard input")
    };
    let input: Box<dyn Read> = match file.as_str() {
        "-" => Box::new(std::io::stdin().lock()),
        _ => Box::new(std::fs::File::open(path).map_err(unread)?),
    };
    let mut bytes = Vec::new();
    input.take(most as u64 + 1).read_to_end(&mut bytes).map_err(unread)?;
    if bytes.len() > most {
        let hint = "such a postback is answered 413: set [server] max_body_bytes, or [body] max_bytes of the template";
        return Err(wrong(format!("the body is larger than the {most} bytes that the source takes"), hint));
    }
    Ok(bytes)
}
