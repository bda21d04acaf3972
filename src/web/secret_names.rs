//! The names of parameters, members and headers whose values are secrets, which are masked in what is kept.

use std::borrow::Cow;

use crate::domain::postback::RawRequest;
use crate::domain::presented_mask::PresentedMask;
use crate::domain::rejection::signature::SignaturePlace;
use crate::template::source::definition::SourceTemplate;
use crate::template::source::param_names::fold;
use crate::template::source::verify::request::SignedRequest;
use crate::template::source::verify::rules::VerifyRules;
use crate::template::source::verify::scheme::Verification;

/// Which names: `api_key` always, and of a source whose sender presents the secret itself the parameters and headers
/// where that is.
#[derive(Default)]
pub struct SecretNames {
    /// As [`folded`].
    params: Vec<String>,
    /// In lower case.
    headers: Vec<String>,
    /// By which a sender presents the secret itself.
    schemes: Vec<Verification>,
    /// The secrets of the one source whose names these are; `None`: they are of no one source.
    secrets: Option<PresentedMask>,
    /// The headers that are read of its requests.
    read_headers: Vec<String>,
}

const API_KEY: &[u8] = b"api_key";

impl SecretNames {
    /// `api_key` alone.
    pub const API_KEY: SecretNames = SecretNames {
        params: Vec::new(),
        headers: Vec::new(),
        schemes: Vec::new(),
        secrets: None,
        read_headers: Vec::new(),
    };

    /// Those of all of these templates together.
    pub fn of<'a>(templates: impl IntoIterator<Item = &'a SourceTemplate>) -> SecretNames {
        let mut names = SecretNames::default();
        for scheme in templates.into_iter().filter_map(SourceTemplate::verification) {
            let places = scheme.secret_places();
            if places.is_empty() || names.schemes.contains(scheme) {
                continue;
            }
            names.schemes.push(scheme.clone());
            for place in places {
                match place {
                    SignaturePlace::Header(name) => names.headers.push(name),
                    SignaturePlace::Parameter(name) => names.params.push(folded(name.as_bytes())),
                }
            }
        }
        names
    }

    /// Those of one source, with its secrets.
    pub fn of_source(template: &SourceTemplate, rules: Option<&VerifyRules>) -> SecretNames {
        let names = SecretNames::of([template]);
        let secrets = rules.into_iter().flat_map(|rules| rules.secrets.iter());
        let secrets =
            names.schemes.first().map(|scheme| scheme.mask(secrets.map(|text| text.as_bytes().to_vec())));
        let mut read_headers = template.read_headers().to_vec();
        read_headers.extend(["content-type", "x-forwarded-for"].map(str::to_owned));
        SecretNames { secrets: Some(secrets.unwrap_or_default()), read_headers, ..names }
    }

    /// Masks what `request` presents as a secret wherever else it is in what is kept of it. Of a source's own request,
    /// unless it is one of the source's secrets, only in headers that no one reads: what is wrong there may be anything,
    /// as an order's number that was put into the wrong parameter, and the sale needs it.
    pub(super) fn mask_presented(&self, request: &SignedRequest<'_>, raw: &mut RawRequest) {
        for scheme in &self.schemes {
            let presented = scheme.presented(request).ok().flatten();
            let mask = scheme.mask(presented);
            match &self.secrets {
                None => mask.mask(raw),
                Some(secrets) => {
                    secrets.mask(raw);
                    mask.mask_headers(raw, &self.read_headers);
                }
            }
        }
    }

    /// Whether a look at each pair is worth its time: only what is encoded, or what reads `api_key` somewhere, can name
    /// a secret where no source has one of its own.
    pub(super) fn may_be_in(&self, query: &[u8]) -> bool {
        let reads = |at: usize| {
            let word = at.checked_sub(3).and_then(|from| query.get(from..from + API_KEY.len()));
            word.is_some_and(|word| word.eq_ignore_ascii_case(API_KEY))
        };
        !self.params.is_empty()
            || query.contains(&b'%')
            || query.iter().enumerate().any(|(at, byte)| *byte == b'_' && reads(at))
    }

    /// Whether a parameter of this name, in any case and encoding, is a secret.
    pub(super) fn has_param(&self, name: &[u8]) -> bool {
        if self.params.is_empty() && name.len() < API_KEY.len() {
            return false;
        }
        // A `+` is a space in a form, and no name but a padded one has either.
        let padding = |b: &u8| b.is_ascii_whitespace() || *b == b'+';
        let decoded = decoded(name);
        let start = decoded.iter().position(|b| !padding(b)).unwrap_or(decoded.len());
        let end = decoded.iter().rposition(|b| !padding(b)).map_or(start, |at| at + 1);
        let Some(name) = decoded.get(start..end) else { return false };
        name.eq_ignore_ascii_case(API_KEY) || (!self.params.is_empty() && self.params.contains(&folded(name)))
    }

    /// Whether a member of this name is a secret, wherever in a JSON body it is.
    pub(super) fn has_member(&self, name: &str) -> bool {
        let name = name.trim();
        let is_last = |param: &String| param.rsplit('.').next() == Some(&folded(name.as_bytes()));
        name.eq_ignore_ascii_case("api_key")
            || self.params.iter().any(|param| is_last(param) || *param == folded(name.as_bytes()))
    }

    /// Whether a header of this name in lower case is a secret.
    pub(super) fn has_header(&self, name: &str) -> bool {
        self.headers.iter().any(|known| known == name)
    }
}

/// A name as loosely as any template reads one.
fn folded(name: &[u8]) -> String {
    fold(&String::from_utf8_lossy(name))
}

/// Senders encode what was encoded already: decoded as often as that may be.
pub(super) fn decoded(text: &[u8]) -> Cow<'_, [u8]> {
    const MOST_TIMES: usize = 3;
    let mut decoded = Cow::Borrowed(text);
    for _ in 0..MOST_TIMES {
        if !decoded.contains(&b'%') {
            break;
        }
        decoded = Cow::Owned(percent_encoding::percent_decode(&decoded).collect());
    }
    decoded
}
