//! The URL of a preset with the settings of one postback in it, and the macros that such a URL may have.

use url::Url;

use crate::template::destination::file::{SettingKind, SettingSpec};
use crate::template::diagnostic::{Problem, did_you_mean};
use crate::template::macros::grammar::Grammar;
use crate::template::macros::names::POSTBACK;
use crate::template::macros::url::{ENCODED, MacroUrl};

/// The macros of a preset's URL in addition to those of every outgoing postback, and what they say.
pub static MACROS: [(&str, &str); 4] = [
    ("landing_click_id", "The receiver's own click id, as the landing parameter under `[click]` brought it."),
    ("event_name", "The receiver's name of the event."),
    (
        "earned",
        "The payout, times `scale`; of a conversion that no affiliate brought and that has none, what it is worth.",
    ),
    ("earned_currency", "The currency of that amount."),
];

/// What marks a setting in the URL, before its name.
const SETTING: &str = "{settings.";
/// In the place of a setting that is absent: no URL holds it as it is.
const ABSENT: char = '\u{1}';

/// Every macro that a preset's URL may name.
pub(crate) fn known_macros() -> Vec<&'static str> {
    POSTBACK.iter().copied().chain(MACROS.map(|(name, _)| name)).collect()
}

/// The number of each setting that the URL names, in its order.
///
/// # Errors
/// One is not declared, or its macro is not closed.
pub(crate) fn named_settings(url: &str, specs: &[SettingSpec]) -> Result<Vec<usize>, Problem> {
    let mut numbers = Vec::new();
    for part in url.split(SETTING).skip(1) {
        let Some((name, _)) = part.split_once('}') else {
            let what = format!("the macro that begins with `{SETTING}` is not closed");
            return Err(Problem::new(what, "write `{settings.name}`"));
        };
        let known = || specs.iter().map(|spec| spec.name.as_str());
        match known().position(|known| known == name) {
            Some(number) => numbers.push(number),
            None => {
                let hint = match did_you_mean(name, known()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "declare it as a [[setting]]".to_owned(),
                };
                return Err(Problem::new(format!("there is no setting `{name}`"), hint));
            }
        }
    }
    Ok(numbers)
}

/// The URL with the settings filled in, each encoded, but for a web address, which is what the URL begins with. A
/// parameter of the query whose setting is absent is left out.
pub(crate) fn filled(url: &str, specs: &[SettingSpec], values: &[Option<String>]) -> String {
    let mut text = String::new();
    let mut parts = url.split(SETTING);
    text.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (name, behind) = part.split_once('}').unwrap_or((part, ""));
        let found = specs.iter().zip(values).find(|(spec, _)| spec.name == name);
        match found.and_then(|(spec, value)| Some((spec.kind, value.as_deref()?))) {
            Some((SettingKind::Url, address)) => text.push_str(address.trim_end_matches('/')),
            Some((_, value)) => text.extend(percent_encoding::utf8_percent_encode(value, ENCODED)),
            None => text.push(ABSENT),
        }
        text.push_str(behind);
    }
    let Some((address, query)) = text.split_once('?') else { return text };
    let pairs: Vec<&str> = query.split('&').filter(|pair| !pair.contains(ABSENT)).collect();
    format!("{address}?{}", pairs.join("&"))
}

/// The same URL at another scheme and host.
pub(crate) fn at_endpoint(url: &str, endpoint: &str) -> String {
    let behind = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = behind.find(['/', '?']).and_then(|at| behind.get(at..)).unwrap_or_default();
    format!("{}{path}", endpoint.trim().trim_end_matches('/'))
}

/// The URL compiled. A parameter of its query is left out where a macro in it has no value.
///
/// # Errors
/// As [`MacroUrl::compile`]; it has a part behind `#`, or a query in the address that it begins with.
pub(crate) fn compiled(url: &str) -> Result<MacroUrl, Problem> {
    let compiled = MacroUrl::compile(url, &Grammar::braces(), &known_macros())?;
    if compiled.has_fragment() {
        return Err(Problem::new("it has a `#`: what is behind it is never sent", "take it out"));
    }
    Ok(compiled.leaving_out_absent())
}

/// Whether an address may be what a URL begins with.
///
/// # Errors
/// It has a query or a fragment, behind which no path can be.
pub(crate) fn check_address(name: &str, address: &str) -> Result<(), Problem> {
    match Url::parse(address) {
        Ok(url) if url.query().is_some() || url.fragment().is_some() => {
            let what = format!("`{name}` has a query or a fragment");
            Err(Problem::new(what, "end it after the host or a path: the preset's own path and query follow"))
        }
        _ => Ok(()),
    }
}
