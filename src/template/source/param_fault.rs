//! Parameters that cannot be used whatever they are for: two different values, bytes that are no text.

use crate::domain::postback::Fault;
use crate::domain::rejection::RejectionCode;
use crate::template::source::params::{Param, Params, shown};

/// A parameter that is needed, if it can be used.
///
/// # Errors
/// It was received with two different values, or its bytes are no text.
pub fn usable<'a>(params: &'a Params, name: &str) -> Result<Option<&'a Param>, Fault> {
    let Some(param) = params.get(name) else { return Ok(None) };
    match params.other(name) {
        _ if param.is_damaged() => Err(unreadable(param)),
        Some(other) => Err(twice(param, other)),
        None => Ok(Some(param)),
    }
}

/// What is said of parameters that was received with two values and that no one of `read` reads.
pub fn unread_repeats(params: &Params, read: &[&str]) -> Option<String> {
    let unread = params.repeated.iter().filter(|other| !read.contains(&other.name.as_str()));
    let names: Vec<String> = unread.map(|other| format!("`{}`", shown("", &other.name))).collect();
    (!names.is_empty())
        .then(|| format!("not read, and were received with different values: {}", names.join(", ")))
}

/// The fault of one name with two values.
pub(crate) fn twice(first: &Param, second: &Param) -> Fault {
    let name = &first.name;
    let (one, other) = (shown(name, &first.value), shown(name, &second.value));
    Fault::new(
        format!("`{name}` was received twice with different values, `{one}` and `{other}`"),
        format!("leave only one `{name}` in the postback URL and the body"),
    )
}

/// The fault of bytes that are no text.
pub(crate) fn unreadable(param: &Param) -> Fault {
    let fault = Fault::new(
        format!("`{}` holds bytes that are no text in the charset of the request", param.name),
        "let the network send UTF-8, percent-encoded in a URL, or name the charset in the `Content-Type` of the body",
    );
    fault.coded(RejectionCode::UnreadableBytes, Some(&param.name))
}
