//! How macros are marked in a URL.
//!
//! How macros are written is shown by an example in which `{}` is the place of the name and all else is
//! written as it is:
//!
//! | macros look like | written |
//! |---|---|
//! | `#x#` `##x##` `###x###` | `#{}#` `##{}##` `###{}###` |
//! | `{x}` `{{x}}` `${x}` `${(x)!}` | `{{}}` `{{{}}}` `${{}}` `${({})!}` |
//! | `{$x}` | `{${}}` |
//! | `[x]` `[[[x]]]` `[=x=]` | `[{}]` `[[[{}]]]` `[={}=]` |
//! | `%x%` `%%x%%` `!!x!!` `!!!x!!!` | `%{}%` `%%{}%%` `!!{}!!` `!!!{}!!!` |
//! | `<x>` `(x)` `__x__` | `<{}>` `({})` `__{}__` |
//!
//! `{}` alone has nothing around the name and is read as `{{}}`. Bare words (`REPLACE`) are no grammar:
//! nothing distinguishes them from text.

use crate::template::diagnostic::Problem;
use crate::template::macros::shape;

/// A grammar that senders are known to use.
pub(in crate::template::macros) struct KnownGrammar {
    pub(in crate::template::macros) before: &'static str,
    pub(in crate::template::macros) after: &'static str,
    /// What may be between the marks, where they are around a whole value.
    pub(in crate::template::macros) whole: Shape,
    /// The same within any text; `None` of marks that ordinary text has: `Mozilla/5.0 (X11)`.
    pub(in crate::template::macros) within: Option<Shape>,
    /// The same at an end of an id, next to other text: `8817-[goal_id]`.
    pub(in crate::template::macros) at_end: Option<Shape>,
}

/// What is between the marks.
type Shape = fn(&str) -> bool;

/// Every grammar: URLs are written by it, and what no one filled in is known by it. The longer before the shorter
/// that they contain.
pub(in crate::template::macros) const GRAMMARS: [KnownGrammar; 21] = [
    known(("###", "###"), shape::name).in_texts(shape::name),
    known(("##", "##"), shape::name).in_texts(shape::name),
    known(("#", "#"), shape::between_hashes).in_texts(shape::between_hashes),
    known(("${(", ")!}"), shape::braced),
    known(("{{", "}}"), shape::braced),
    known(("${", "}"), shape::braced),
    known(("{$", "}"), shape::braced),
    known(("{", "}"), shape::braced).in_texts(shape::braced_within),
    known(("[[[", "]]]"), shape::bracketed).in_texts(shape::word),
    known(("[[", "]]"), shape::bracketed),
    known(("[=", "=]"), shape::bracketed).in_texts(shape::word),
    known(("[", "]"), shape::bracketed).in_ids(shape::bracketed_at_end),
    known(("!!!", "!!!"), shape::word).in_texts(shape::word),
    known(("!!", "!!"), shape::word).in_texts(shape::word),
    known(("%%", "%%"), shape::between_percents).in_ids(shape::percents_at_end),
    known(("%", "%"), shape::between_percents).in_ids(shape::percents_at_end),
    known(("<", ">"), shape::dashed).in_ids(shape::dashed),
    known(("(", ")"), shape::in_parentheses),
    known(("__", "__"), shape::shouted),
    known(("@@", "@@"), shape::name),
    known(("@", "@"), shape::name),
];

const fn known((before, after): (&'static str, &'static str), whole: Shape) -> KnownGrammar {
    KnownGrammar { before, after, whole, within: None, at_end: None }
}

impl KnownGrammar {
    const fn in_texts(self, within: Shape) -> KnownGrammar {
        KnownGrammar { within: Some(within), ..self }
    }

    const fn in_ids(self, at_end: Shape) -> KnownGrammar {
        KnownGrammar { at_end: Some(at_end), ..self }
    }

    /// As configurations write it: `#{}#`.
    pub(in crate::template::macros) fn written(&self) -> String {
        format!("{}{{}}{}", self.before, self.after)
    }
}

/// The longest mark before or behind a name.
const LONGEST_MARK: usize = 8;

/// How macros are marked: what is before and behind a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grammar {
    pub(in crate::template::macros) before: String,
    pub(in crate::template::macros) after: String,
}

impl Grammar {
    /// Reads an example such as `#{}#`, in which `{}` is the place of the name.
    ///
    /// # Errors
    /// No place or two, nothing on one side of it, or marks that names or URLs are made of.
    pub fn parse(written: &str) -> Result<Grammar, Problem> {
        let refused = |why: &str| {
            let hint = "`{}` is the place of the name: `#{}#` for #x#, `{{}}` for {x}, `{{{}}}` for {{x}}, \
                        `${{}}` for ${x}, `[{}]` for [x], `%{}%` for %x%";
            Err(Problem::new(format!("the macro `{written}` {why}"), hint))
        };
        let Some((before, after)) = written.split_once("{}") else {
            return refused("does not show where a name is");
        };
        if before.is_empty() && after.is_empty() {
            return Ok(Grammar::braces());
        }
        if after.contains("{}") {
            return refused("shows two places for a name");
        }
        if before.is_empty() || after.is_empty() {
            return refused("has nothing on one side of the name");
        }
        let is_mark = |c: char| c.is_ascii_graphic() && !c.is_ascii_alphanumeric() && !"/?&:@\\".contains(c);
        if !before.chars().chain(after.chars()).all(is_mark) || before.len().max(after.len()) > LONGEST_MARK {
            return refused("is marked by what names and URLs are made of");
        }
        let plain = |mark: &str| mark.chars().all(|c| "-._~=".contains(c)) && !mark.starts_with("__");
        if plain(before) || plain(after) {
            return refused("is marked by what names and URLs are made of");
        }
        Ok(Grammar { before: before.to_owned(), after: after.to_owned() })
    }

    /// `{click_id}`.
    pub fn braces() -> Grammar {
        Grammar { before: "{".to_owned(), after: "}".to_owned() }
    }

    /// A macro of this grammar.
    pub fn shown(&self, name: &str) -> String {
        format!("{}{name}{}", self.before, self.after)
    }

    /// What is before and behind a name.
    pub(in crate::template) fn into_marks(self) -> (String, String) {
        (self.before, self.after)
    }

    /// Whether its marks stand in no URL otherwise, so that a lone one is a macro spoilt.
    pub(in crate::template::macros) fn is_plain_to_see(&self) -> bool {
        self.before.contains(['{', '<', '#'])
    }
}

pub(in crate::template::macros) fn is_name_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
}

pub(in crate::template::macros) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(is_name_part)
}
