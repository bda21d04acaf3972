//! Requests with signatures, and what the schemes of a template say of them.

use std::collections::BTreeMap;

use postbridge::domain::code::{CodedReason, ReasonCode};
use postbridge::domain::postback::KeptHeaders;
use postbridge::domain::time::Time;
use postbridge::template::diagnostic::Problem;
use postbridge::template::source::definition::SourceTemplate;
use postbridge::template::source::verify::request::SignedRequest;
use postbridge::template::source::verify::scheme::{SecretTexts, SignatureTerms, Unverified, Verification};

/// A template of a click id and an amount, with this section.
pub fn template_with(verify: &str) -> Result<SourceTemplate, Vec<Problem>> {
    let text = format!(
        "name = \"signed\"\nmacro = \"{{{{}}}}\"\npostback = [\"cid\", \"amount\"]\n\
         [map]\nclick_id = \"cid\"\nvalue = \"amount\"\n\
         [event]\nby_value = {{ positive = \"Purchase\", zero = \"Lead\" }}\n[verify]\n{verify}"
    );
    SourceTemplate::parse("signed.toml", &text)
}

/// The scheme of this section.
pub fn scheme(verify: &str) -> Verification {
    template_with(verify).unwrap().verification().expect("a scheme").clone()
}

/// A request, whole.
#[derive(Debug, Clone, Default)]
pub struct Signed {
    pub line: Vec<u8>,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
    pub secrets: Vec<String>,
    pub base_url: String,
    pub received_at: Option<Time>,
}

impl Signed {
    /// A request with this line, signed by `secret`.
    pub fn of(line: &str, secret: &str) -> Signed {
        Signed {
            line: line.as_bytes().to_vec(),
            secrets: vec![secret.to_owned()],
            base_url: "https://relay.example".to_owned(),
            ..Signed::default()
        }
    }

    /// The same with a header.
    pub fn header(mut self, name: &str, value: &str) -> Signed {
        self.headers.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The same with a body of this type.
    pub fn body(self, content_type: &str, body: &str) -> Signed {
        Signed { body: body.as_bytes().to_vec(), ..self.header("content-type", content_type) }
    }

    /// What the scheme says of it: the code of what is wrong.
    pub fn check(&self, verification: &Verification) -> Result<(), &'static str> {
        self.problem(verification).map_err(|why| match why {
            Unverified::Signature(problem) => problem.code().as_str(),
            Unverified::Unread(rejection) => rejection.code().as_str(),
        })
    }

    /// The same, whole.
    pub fn problem(&self, verification: &Verification) -> Result<(), Unverified> {
        let mut headers = KeptHeaders::default();
        self.headers.iter().for_each(|(name, value)| headers.push(name, value.as_bytes()));
        let request = SignedRequest { line: &self.line, headers: &headers, body: &self.body };
        let secrets = SecretTexts::new(self.secrets.iter().map(String::as_str));
        let received_at = self.received_at.unwrap_or(Time::EPOCH);
        let terms = SignatureTerms { secrets: &secrets, base_url: &self.base_url, received_at };
        verification.check(&request, terms)
    }
}
