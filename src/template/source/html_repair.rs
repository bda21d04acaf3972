//! Parameters that a page took for character references: `&section=4` shown in a page reads `§ion=4`.

use std::borrow::Cow;

use percent_encoding::percent_decode;

use crate::domain::rejection::note::ReportNote;
use crate::template::source::character_reference::{LEGACY, character};
use crate::template::source::params::{Param, Params, listed};

/// The longest name of a parameter that is looked for behind a character.
const LONGEST_NAME: usize = 64;
/// No URL that was copied loses more names than this; what has more was made to cost time.
const MOST_REPAIRS: usize = 64;

/// The parameters with those put back that a page took for references, where `reads` knows the name that
/// results. What may be one and is not known is named in a note and left alone. `names` are those that
/// `reads` knows in their usual spelling.
pub(crate) fn repaired<'a, N: AsRef<str>>(
    params: &'a Params,
    names: &[N],
    reads: impl Fn(&str) -> bool,
) -> Cow<'a, Params> {
    // `&amplitude=1` leaves `litude`, which looks like any other name: it is looked for only where wanted.
    let behind_amp = names.iter().any(|name| {
        name.as_ref().as_bytes().get(..3).is_some_and(|front| front.eq_ignore_ascii_case(b"amp"))
    });
    if !behind_amp && !params.pairs.iter().any(is_suspicious) {
        return Cow::Borrowed(params);
    }
    let mut repair = Repair { reads: &reads, behind_amp, restored: Vec::new(), left: Vec::new() };
    let mut pairs: Vec<Param> = Vec::with_capacity(params.pairs.len() + 1);
    let mut repeated = params.repeated.clone();
    for param in &params.pairs {
        let parts = repair.parts(param);
        let is_put_back = parts.is_some() || repair.restored.contains(&param.name);
        for part in parts.unwrap_or_else(|| vec![param.clone()]) {
            // What was received under its right name too is one parameter, or one with two values.
            match pairs.iter().find(|known| is_put_back && known.name == part.name) {
                Some(known) if known.value == part.value => {}
                Some(_) if repeated.iter().any(|known| known.name == part.name) => {}
                Some(_) => repeated.push(part),
                None => pairs.push(part),
            }
        }
    }
    let Repair { restored, left, .. } = repair;
    if restored.is_empty() && left.is_empty() {
        return Cow::Borrowed(params);
    }
    let mut notes = params.notes.clone();
    if !restored.is_empty() {
        notes.push(ReportNote::NamesPutBack(listed(&restored)));
    }
    if !left.is_empty() {
        notes.push(ReportNote::PageCharacter(listed(&left)));
    }
    Cow::Owned(Params { pairs, repeated, notes, ..params.clone() })
}

/// Whether a look is worth its time: a name is not a plain word, or another `name=` may be in the value.
fn is_suspicious(param: &Param) -> bool {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    !param.name.bytes().all(is_plain) || param.value.contains('=')
}

struct Repair<'r> {
    reads: &'r dyn Fn(&str) -> bool,
    behind_amp: bool,
    /// Names put back.
    restored: Vec<String>,
    /// What was left alone, as it is in the value.
    left: Vec<String>,
}

impl Repair<'_> {
    /// The parameters that one holds. `None` where it is itself, as it is nearly always.
    fn parts(&mut self, param: &Param) -> Option<Vec<Param>> {
        if let Some(name) = self.renamed(&param.name) {
            self.restored.push(name.clone());
            let renamed = Param { name, ..param.clone() };
            return Some(self.split_param(&renamed).unwrap_or_else(|| vec![renamed]));
        }
        self.split_param(param)
    }

    fn split_param(&mut self, param: &Param) -> Option<Vec<Param>> {
        if !is_suspicious(param) || self.restored.len() >= MOST_REPAIRS {
            return None;
        }
        self.split(&format!("{}={}", param.name, param.value)).or_else(|| self.split(&as_latin(param)?))
    }

    /// The name that `sect;ion`, `#167;ion` and, behind an eaten `amp`, `litude` were.
    fn renamed(&self, name: &str) -> Option<String> {
        if (self.reads)(name) {
            return None;
        }
        if let Some((reference, rest)) = name.split_once(';') {
            let character = match reference.strip_prefix('#') {
                Some(number) => character(number),
                None => LEGACY.iter().find(|(known, _)| *known == reference).map(|(_, character)| *character),
            };
            return self.known(character?, rest);
        }
        let is_eaten = self.behind_amp && name.len() <= LONGEST_NAME;
        is_eaten.then(|| format!("amp{name}")).filter(|name| (self.reads)(name))
    }

    /// The name that is read, of those that a page may have made `character` of.
    fn known(&self, character: char, rest: &str) -> Option<String> {
        let mut names = LEGACY.iter().filter(|(_, known)| *known == character);
        names.find_map(|(front, _)| Some(format!("{front}{rest}")).filter(|name| (self.reads)(name)))
    }

    /// `tid=1§ion=4` as `tid=1` and `section=4`. `None` where nothing is to be put back.
    fn split(&mut self, text: &str) -> Option<Vec<Param>> {
        let mut parts: Vec<Param> = Vec::new();
        // The part that is being read: a name put back and where its value begins, or where the text does.
        let (mut name, mut from, mut is_url) = (None::<String>, 0, false);
        for (at, found) in text.char_indices() {
            // A URL as a value has a query of its own.
            is_url |= found == ':' && text.get(at..at + 3) == Some("://");
            if at < from || is_url || !LEGACY.iter().any(|(_, known)| *known == found) {
                continue;
            }
            let behind = text.get(at + found.len_utf8()..).unwrap_or_default();
            let Some(rest) = rest_of_name(behind) else { continue };
            match self.known(found, rest) {
                Some(put_back) if self.restored.len() < MOST_REPAIRS => {
                    parts.extend(part(name.take(), text.get(from..at).unwrap_or_default()));
                    self.restored.push(put_back.clone());
                    name = Some(put_back);
                    from = at + found.len_utf8() + rest.len() + 1;
                }
                // A letter may as well be a part of a word.
                None if !found.is_ascii() && !found.is_alphabetic() && self.left.len() < MOST_REPAIRS => {
                    self.left.push(format!("{found}{rest}="));
                }
                Some(_) | None => {}
            }
        }
        let last = name?;
        parts.extend(part(Some(last), text.get(from..).unwrap_or_default()));
        Some(parts)
    }
}

/// One parameter of a text that was split: its value behind a name put back, or a name with its value.
fn part(name: Option<String>, text: &str) -> Option<Param> {
    let (name, value) = match &name {
        Some(name) => (name.as_str(), text),
        None => text.split_once('=').unwrap_or((text, "")),
    };
    let param = Param { name: name.to_owned(), value: value.to_owned(), raw: value.as_bytes().to_vec() };
    (!param.name.is_empty()).then_some(param)
}

/// What is between a character and the next `=`, where that can be the rest of a parameter's name.
fn rest_of_name(behind: &str) -> Option<&str> {
    let end = behind.bytes().take(LONGEST_NAME).position(|b| b == b'=')?;
    let rest = behind.get(..end)?;
    let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'[' | b']');
    rest.bytes().all(is_name).then_some(rest)
}

/// The parameter of a page that is not UTF-8, whose `§` is one byte.
fn as_latin(param: &Param) -> Option<String> {
    if !param.value.contains('\u{fffd}') {
        return None;
    }
    let spaced: Vec<u8> = param.raw.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect();
    Some(format!("{}={}", param.name, percent_decode(&spaced).map(char::from).collect::<String>()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::source::request;

    const NAMES: [&str; 9] =
        ["tid", "section", "notify", "currency", "timestamp", "region", "copy", "amplitude", "param"];

    fn repair(query: &[u8]) -> Params {
        let read = request::read(query, None, b"").unwrap();
        repaired(&read, &NAMES, |name| NAMES.contains(&name)).into_owned()
    }

    fn pairs(query: &[u8]) -> Vec<(String, String)> {
        repair(query).pairs.into_iter().map(|param| (param.name, param.value)).collect()
    }

    fn expected(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn every_name_that_html_reads_without_a_semicolon_is_put_back() {
        for (front, character) in LEGACY {
            let name = format!("{front}_x");
            let names = ["tid".to_owned(), name.clone()];
            let encoded: String = percent_encoding::utf8_percent_encode(
                &character.to_string(),
                percent_encoding::NON_ALPHANUMERIC,
            )
            .to_string();
            for query in [
                format!("tid=1{encoded}_x=4"),
                format!("tid=1&{front};_x=4"),
                format!("tid=1&#{};_x=4", u32::from(character)),
            ] {
                // A raw `&` divides: what is left of an eaten `amp` begins the next name.
                let query = query.replace("1%26_x", "1&_x");
                let read = request::read(query.as_bytes(), None, b"").unwrap();
                let found = repaired(&read, &names, |known| {
                    names.iter().any(|name| name.eq_ignore_ascii_case(known))
                });
                if front.eq_ignore_ascii_case("amp") && query.contains(';') {
                    continue;
                }
                let one_name = found
                    .pairs
                    .iter()
                    .find(|param| param.name != "tid")
                    .map(|param| param.name.to_ascii_lowercase());
                assert_eq!(found.pairs.len(), 2, "{query}: {:?}", found.pairs);
                assert_eq!(one_name.as_deref(), Some(name.to_ascii_lowercase().as_str()), "{query}");
                assert_eq!(
                    found.pairs.iter().map(|p| p.value.as_str()).collect::<Vec<_>>(),
                    ["1", "4"],
                    "{query}"
                );
                assert!(!found.notes.is_empty());
            }
        }
    }

    #[test]
    fn several_are_put_back_in_one_value_raw_or_encoded_whatever_the_pages_charset() {
        let whole = expected(&[
            ("tid", "1"),
            ("section", "4"),
            ("notify", "1"),
            ("currency", "USD"),
            ("timestamp", "9"),
        ]);
        assert_eq!(pairs("tid=1§ion=4¬ify=1¤cy=USD×tamp=9".as_bytes()), whole);
        assert_eq!(pairs(b"tid=1%C2%A7ion=4%c2%acify%3D1%C2%A4cy=USD&%C3%97tamp=9"), whole);
        assert_eq!(pairs(b"tid=1%A7ion=4%ACify=1%A4cy=USD%D7tamp=9"), whole);
        assert_eq!(pairs(b"tid=1&litude=3"), expected(&[("tid", "1"), ("amplitude", "3")]));
        assert_eq!(pairs("tid=1©=a b".as_bytes()), expected(&[("tid", "1"), ("copy", "a b")]));
        assert_eq!(pairs("tid=1§ion=4&section=4".as_bytes()), expected(&[("tid", "1"), ("section", "4")]));
    }

    #[test]
    fn what_gives_no_name_that_is_read_is_left_alone_and_named() {
        let read = repair("tid=1¥x=4".as_bytes());
        assert_eq!(read.pairs.first().map(|param| param.value.as_str()), Some("1¥x=4"));
        assert_eq!(read.notes, [ReportNote::PageCharacter(listed(&["¥x="]))]);
        for alone in [
            "tid=1§",
            "tid=§ion",
            "tid=café=1",
            "url=https://x.example/?a=1§ion=4",
            "tid=a=b",
            "prénom=Ann",
            "tid=1<b>x=2",
        ] {
            let read = repair(alone.as_bytes());
            assert_eq!((read.pairs.len(), read.notes.len()), (1, 0), "{alone}: {read:?}");
        }
    }

    #[test]
    fn a_value_made_of_nothing_else_costs_little() {
        let many = format!("tid={}", "§ion=4".repeat(40_000));
        assert!(repair(many.as_bytes()).pairs.len() <= MOST_REPAIRS + 2);
        repair(format!("tid={}", "§".repeat(100_000)).as_bytes());
        repair(format!("tid={}=", "¥x=".repeat(100_000)).as_bytes());
    }
}
