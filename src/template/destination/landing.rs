//! A parameter of a landing URL, read as leniently as a postback's.

use crate::template::source::character_reference::without_ampersands;
use crate::template::source::params::segments;

/// The first value of `name` in a URL's query, whatever the name's case: also behind a second `?`, where
/// one query was appended to another, and behind an `&amp;` of HTML.
pub(crate) fn parameter(url: &str, name: &str) -> Option<String> {
    let before_fragment = url.split('#').next().unwrap_or_default();
    let (_, query) = before_fragment.split_once('?')?;
    segments(query.as_bytes()).find_map(|(segment, _)| {
        let (known, value) = form_urlencoded::parse(segment).next()?;
        let known = without_ampersands(&known).unwrap_or(&known);
        (known.eq_ignore_ascii_case(name) && !value.is_empty()).then(|| value.into_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::parameter;

    #[test]
    fn a_click_id_is_found_behind_a_second_question_mark_in_any_case_and_never_in_the_fragment() {
        for (url, expected) in [
            ("https://shop.example/lp?x=1?fbclid=F1", Some("F1")),
            ("https://shop.example/lp?fbclid=F1?utm_source=a", Some("F1")),
            ("https://shop.example/lp?x=1&FBCLID=F%201#top", Some("F 1")),
            ("https://shop.example/lp?x=1&amp;fbclid=F1", Some("F1")),
            ("https://shop.example/lp?x=1&amp;amp;fbclid=F1", Some("F1")),
            ("https://shop.example/lp?fbclid=&fbclid=F1", Some("F1")),
            ("https://shop.example/lp?next=https://x.example/?fbclid=F1", None),
            ("https://shop.example/lp#a?fbclid=F1", None),
            ("https://shop.example/fbclid=F1", None),
            ("", None),
        ] {
            assert_eq!(parameter(url, "fbclid").as_deref(), expected, "{url}");
        }
    }
}
