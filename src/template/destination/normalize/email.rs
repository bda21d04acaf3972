//! E-mail addresses: lower case, and only what a mail server would take.

use crate::template::destination::normalize::{Unreadable, unless_hashed};

/// The longest address and the longest part before its `@`, in bytes (RFC 5321, 4.5.3.1).
const MAX_ADDRESS: usize = 254;
const MAX_LOCAL: usize = 64;

/// What of an address a platform takes for another way of writing the same one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct AliasRule {
    /// What of addresses at [`GMAIL`] is.
    pub gmail: GmailRule,
    /// Dots before the `@`, whatever the domain.
    pub dots: bool,
    /// What is from a `+` on, whatever the domain.
    pub plus: bool,
}

/// What of a Gmail address is another way of writing the same one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum GmailRule {
    /// Nothing.
    #[default]
    Whole,
    /// The dots before the `@`.
    Dots,
    /// The dots, and what is from a `+` on.
    DotsAndPlus,
}

/// Where dots and `+tag` make no other mailbox, as its help pages said in 2026-11.
const GMAIL: [&str; 2] = ["gmail.com", "googlemail.com"];

/// Trimmed and lower-cased; dots and `+tag` are kept unless `rule` drops them. Letters of every script may stand on both
/// sides.
pub(crate) fn email(text: &str, rule: AliasRule) -> Result<String, Unreadable> {
    unless_hashed(text, |text| {
        let lower = text.to_lowercase();
        let (local, domain) = lower.split_once('@').ok_or(Unreadable::Malformed)?;
        if !is_local_part(local) || !is_domain(domain) || text.len() > MAX_ADDRESS {
            return Err(Unreadable::Malformed);
        }
        let gmail = if GMAIL.contains(&domain) { rule.gmail } else { GmailRule::Whole };
        let drops_plus = rule.plus || gmail == GmailRule::DotsAndPlus;
        let kept = if drops_plus { local.split('+').next().unwrap_or_default() } else { local };
        let drops_dots = rule.dots || gmail != GmailRule::Whole;
        let kept = if drops_dots { kept.replace('.', "") } else { kept.to_owned() };
        if kept.is_empty() { Err(Unreadable::Malformed) } else { Ok(format!("{kept}@{domain}")) }
    })
}

/// Dotted words of letters, digits and the marks that RFC 5322 allows without quotes. Braces are among them
/// too, but only macros that were not filled in have them.
fn is_local_part(local: &str) -> bool {
    let allowed = |c: char| c.is_alphanumeric() || is_combining(c) || "!#$%&'*+/=?^_`|~-.".contains(c);
    local.len() <= MAX_LOCAL
        && local.chars().all(allowed)
        && local.chars().any(char::is_alphanumeric)
        && local.split('.').all(|word| !word.is_empty())
}

/// At least two labels; the last has a letter, so that an IP address is none.
fn is_domain(domain: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_alphanumeric() || is_combining(c) || c == '-')
    };
    let Some((_, top)) = domain.rsplit_once('.') else { return false };
    top.chars().count() >= 2 && top.chars().any(char::is_alphabetic) && domain.split('.').all(is_label)
}

/// Marks that belong to the letter before them, as in a name typed with decomposed accents.
fn is_combining(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36F}' | '\u{900}'..='\u{DFF}' | '\u{E00}'..='\u{EFF}' | '\u{200C}' | '\u{200D}')
}
