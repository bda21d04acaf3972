//! Parameters: names and values in the order they were received, and what makes one useless whatever it is for.

use encoding_rs::Encoding;

use crate::domain::rejection::body::BodyProblem;
use crate::domain::rejection::note::ReportNote;
use crate::domain::rejection::param::{ParamFault, ParamProblem};
use crate::domain::rejection::wanted::Names;
use crate::domain::text::{trim, visible};
use crate::template::diagnostic::Problem;
use crate::template::source::charset::DAMAGE;

/// One parameter, as the sender named it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Param {
    /// Decoded, in the sender's own case.
    pub name: String,
    /// Decoded once.
    pub value: String,
    /// The value before decoding; for a JSON body its text.
    pub raw: Vec<u8>,
}

impl Param {
    /// Whether its bytes could not be read as text, or were damaged before they were sent.
    pub fn is_damaged(&self) -> bool {
        // Most values are ASCII, and that is seen faster.
        !self.value.is_ascii() && self.value.contains(DAMAGE)
    }
}

/// Every parameter of one request that is read, and the others as far as there are not too many.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Params {
    /// Names are unique.
    pub pairs: Vec<Param>,
    /// The first value that differs from the one in `pairs`, for names that were received repeatedly.
    pub repeated: Vec<Param>,
    /// What was repaired.
    pub notes: Vec<ReportNote>,
    /// The query ends right behind a `name=`: so it looks when a sender takes `#…` for a URL's
    /// fragment and keeps it to itself. Whether it was cut, a template knows by its parameters' order.
    pub cut_at_fragment: bool,
    /// How many of the pairs are the query's; the body's follow them.
    pub in_query: usize,
    /// What a template reads from headers and from name/value pairs, under its own names for it. A name may be here
    /// more than once.
    pub derived: Vec<Param>,
}

/// Who reads parameters, and so which of them may cost anything.
pub trait ParamFilter {
    /// Whether a parameter of this name is read.
    fn reads(&self, name: &str) -> bool;

    /// Whether a parameter is read whose name begins with this one and a dot.
    fn reads_within(&self, name: &str) -> bool;

    /// The most parameters that are read.
    fn max_leaves(&self) -> usize {
        MAX_PARAMS
    }

    /// The encoding of text that is not UTF-8, where its sender does not say.
    fn fallback(&self) -> Option<&'static Encoding> {
        None
    }

    /// Whether every parameter is read, whatever its name.
    fn reads_all(&self) -> bool {
        false
    }
}

/// Reads the parameters of a list.
pub struct ListReader<'a>(pub &'a [&'a str]);

impl ParamFilter for ListReader<'_> {
    fn reads(&self, name: &str) -> bool {
        self.0.contains(&name)
    }

    fn reads_within(&self, name: &str) -> bool {
        self.0.iter().any(|known| known.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
    }
}

/// So many parameters are kept whether they are read or not, to be shown; of more only those that are
/// read. It is also the usual limit of those.
pub const MAX_PARAMS: usize = 256;
/// The parameter whose value is a secret and is never repeated.
const SECRET: &str = "api_key";

impl Params {
    /// The first value received under a name; names are compared byte by byte.
    pub fn get(&self, name: &str) -> Option<&Param> {
        self.pairs.iter().find(|param| param.name == name)
    }

    /// The second value of a name that was received with two.
    pub fn other(&self, name: &str) -> Option<&Param> {
        self.repeated.iter().find(|param| param.name == name)
    }
}

pub(crate) fn too_many(most: usize) -> BodyProblem {
    BodyProblem::TooManyParameters { most: most as u64 }
}

/// The `name=value`s of a raw query, in order, each with whether it is behind a second `?`: that divides like
/// `&`, as where one query was appended to another.
pub fn segments(query: &[u8]) -> impl Iterator<Item = (&[u8], bool)> {
    query.split(|byte| *byte == b'&').flat_map(|segment| {
        let mut rest = Some((segment, false));
        std::iter::from_fn(move || {
            let (segment, is_behind_question) = rest.take()?;
            let Some((before, after)) = split_at_later_question(segment) else {
                return Some((segment, is_behind_question));
            };
            rest = Some((after, true));
            Some((before, is_behind_question))
        })
    })
}

/// Splits `a=1?b=2` at the `?`, where a parameter follows it and no URL goes before it: a URL as a
/// value has a query of its own.
fn split_at_later_question(segment: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = segment.iter().position(|byte| *byte == b'?')?;
    let (before, after) = (segment.get(..at)?, segment.get(at + 1..)?);
    let name_length = after.iter().position(|byte| *byte == b'=')?;
    let name = after.get(..name_length)?;
    let is_name = !name.is_empty()
        && name.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b';'));
    let holds_url = before.windows(3).any(|three| three == b"://");
    (is_name && !holds_url).then_some((before, after))
}

/// What was received, fit for a sentence: short, what is invisible in it written out, and never a secret.
pub fn shown(name: &str, value: &str) -> String {
    if name.eq_ignore_ascii_case(SECRET) {
        return "***".to_owned();
    }
    match value.char_indices().nth(100) {
        Some((at, _)) => format!("{}…", visible(value.get(..at).unwrap_or(""))),
        None => visible(value).into_owned(),
    }
}

/// Names as notes list them.
pub(crate) fn listed<S: AsRef<str>>(names: &[S]) -> Names {
    Names::of(names, |name| shown("", name))
}

/// Whether a parameter's name can be written in a URL as it is.
pub(crate) fn check_param(name: &str) -> Result<(), Problem> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'[' | b']');
    if name.is_empty() || !name.bytes().all(allowed) {
        let what = format!("`{name}` is not a parameter's name");
        return Err(Problem::new(what, "use letters, digits, _ - . [ ]"));
    }
    Ok(())
}

/// A parameter that is needed, if it can be used.
///
/// # Errors
/// It was received with two different values, or its bytes are no text.
pub fn usable<'a>(params: &'a Params, name: &str) -> Result<Option<&'a Param>, ParamProblem> {
    let Some(param) = params.get(name) else { return Ok(None) };
    match params.other(name) {
        _ if param.is_damaged() => Err(unreadable(param)),
        Some(other) => Err(twice(param, other)),
        None => Ok(Some(param)),
    }
}

/// The parameters that were received with two values and that no one of `read` reads.
pub fn unread_repeats(params: &Params, read: &[&str]) -> Option<ReportNote> {
    let unread = params.repeated.iter().filter(|other| !read.contains(&other.name.as_str()));
    let unread: Vec<&str> = unread.map(|other| other.name.as_str()).collect();
    (!unread.is_empty()).then(|| ReportNote::NamesNotRead(listed(&unread)))
}

/// Something wrong with a parameter that was received.
pub fn problem(param: &Param, wrong: ParamFault) -> ParamProblem {
    let value = Some(shown(&param.name, trim(&param.value)));
    ParamProblem::new(shown("", &param.name), value, wrong)
}

/// One parameter with two values. The names differ where they are compared loosely.
pub(crate) fn twice(first: &Param, second: &Param) -> ParamProblem {
    let other_value = shown(&second.name, &second.value);
    problem(first, ParamFault::DifferentValues { other: shown("", &second.name), other_value })
}

/// Bytes that are no text.
pub(crate) fn unreadable(param: &Param) -> ParamProblem {
    ParamProblem::new(shown("", &param.name), None, ParamFault::UnreadableBytes)
}
