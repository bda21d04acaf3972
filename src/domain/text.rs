//! Texts as senders damage them: invisible characters, a `+` that became a space, a value repeated.

use std::borrow::Cow;

/// Whether a reader of `c` sees nothing: white space other than the plain space, zero-width characters,
/// byte order marks, soft hyphens, marks of writing direction, control characters. Joiners and
/// selectors are among them: at the ends of a value they join and select nothing.
pub fn is_invisible(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    c.is_whitespace()
        || c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'
                | '\u{1160}'
                | '\u{17b4}'
                | '\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{2800}'
                | '\u{3164}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// The text without white space and invisible characters around it.
pub fn trim(text: &str) -> &str {
    // Nearly every value begins and ends with a letter or a digit, and is itself.
    let is_seen = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_graphic);
    if is_seen(text.as_bytes().first()) && is_seen(text.as_bytes().last()) {
        return text;
    }
    text.trim_matches(|c: char| c == ' ' || is_invisible(c))
}

/// Whether something in the text is invisible.
pub fn holds_invisible(text: &str) -> bool {
    // Over bytes, without a branch in the loop: nearly no value holds any.
    let is_plain = text.bytes().fold(true, |plain, byte| plain & (b' '..0x7f).contains(&byte));
    !is_plain && text.contains(is_invisible)
}

/// The text with what is invisible in it written out: `7U+200B5`. What is only around it is as well: a
/// person cannot see that either.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !holds_invisible(text) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_invisible(c) {
            shown.push_str(&format!("U+{:04X}", u32::from(c)));
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// The one value of `C,C` and `C, C`: some senders join a parameter that was given repeatedly. `None`
/// where the parts differ or there is one.
pub fn equal_repeats(text: &str) -> Option<&str> {
    let (first, others) = text.split_once(',')?;
    let first = trim(first);
    (!first.is_empty() && others.split(',').all(|part| trim(part) == first)).then_some(first)
}

/// An e-mail address with the `+` back that became a space on its way through a query: an unescaped `+`
/// means a space there, and no local part that is in use holds one. `None` where there is nothing to
/// restore, or where it may as well be a name before an address.
pub fn email_with_plus(text: &str) -> Option<String> {
    let text = trim(text);
    let (local, host) = text.split_once('@')?;
    let (before, behind) = local.split_once(' ')?;
    let is_part = |part: &str| {
        part.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&b))
    };
    (is_part(before) && is_part(behind) && !host.contains(['@', ' ']))
        .then(|| format!("{before}+{behind}@{host}"))
}

/// A phone number with the `+` back that became a space: one space, and then a country's digit.
pub fn phone_with_plus(text: &str) -> Option<String> {
    let digits = text.strip_prefix(' ')?;
    digits.bytes().next().is_some_and(|b| (b'1'..=b'9').contains(&b)).then(|| format!("+{}", trim(digits)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invisible_characters_are_trimmed_like_white_space_and_written_out_where_it_is_shown() {
        for invisible in [
            "\u{200b}", "\u{feff}", "\u{a0}", "\u{ad}", "\u{202e}", "\u{2066}", "\u{200f}", "\u{2060}", "\0",
            "\t",
        ] {
            assert_eq!(trim(&format!(" {invisible}abc {invisible}{invisible}")), "abc", "{invisible:?}");
        }
        assert_eq!(trim("a b"), "a b");
        assert_eq!(trim("\u{200b}"), "");
        assert_eq!(visible("7\u{200b}5 €"), "7U+200B5 €");
        assert!(matches!(visible("plain text"), Cow::Borrowed(_)));
    }

    #[test]
    fn equal_repeats_are_one_value_and_different_ones_are_none() {
        for repeated in ["C,C", "C, C", "C,C,C", " C ,\u{200b}C"] {
            assert_eq!(equal_repeats(repeated), Some("C"), "{repeated}");
        }
        for other in ["C", "C,D", "C,c", ",", ",,", "C,", ",C", ""] {
            assert_eq!(equal_repeats(other), None, "{other}");
        }
    }

    #[test]
    fn a_plus_that_became_a_space_is_restored_and_a_name_before_an_address_is_left_alone() {
        assert_eq!(email_with_plus("ann tag@shop.example").as_deref(), Some("ann+tag@shop.example"));
        assert_eq!(email_with_plus(" a.b x-1@shop.example ").as_deref(), Some("a.b+x-1@shop.example"));
        for not in [
            "ann@shop.example",
            "Ann Lee ann@shop.example",
            "\"ann lee\"@shop.example",
            "Ann <ann@shop.example>",
            "ann @shop.example",
            "ann tag@shop example",
            "ann tag",
            "",
        ] {
            assert_eq!(email_with_plus(not), None, "{not}");
        }
        assert_eq!(phone_with_plus(" 49 151 2345").as_deref(), Some("+49 151 2345"));
        for not in ["49 151", " 0151", "  49", "", " ", " (0)", " +49"] {
            assert_eq!(phone_with_plus(not), None, "{not}");
        }
    }
}
