//! How macros are marked in a URL.
//!
//! How macros are written is shown by an example in which `{}` is the place of the name and all else is
//! written as it is:
//!
//! | macros look like | written |
//! |---|---|
//! | `#x#` `##x##` `###x###` | `#{}#` `##{}##` `###{}###` |
//! | `{x}` `{{x}}` `${x}` `${(x)!}` | `{{}}` `{{{}}}` `${{}}` `${({})!}` |
//! | `[x]` `[[[x]]]` `[=x=]` | `[{}]` `[[[{}]]]` `[={}=]` |
//! | `%x%` `!!x!!` `!!!x!!!` | `%{}%` `!!{}!!` `!!!{}!!!` |
//! | `<x>` `(x)` `__x__` | `<{}>` `({})` `__{}__` |
//!
//! `{}` alone has nothing around the name and is read as `{{}}`. Bare words (`REPLACE`) are no grammar:
//! nothing distinguishes them from text.

use crate::template::diagnostic::Problem;

/// The grammars in use, as they are written; the longer before the shorter that they contain.
pub(in crate::template::macros) const GRAMMARS: [&str; 16] = [
    "###{}###", "##{}##", "#{}#", "${({})!}", "{{{}}}", "${{}}", "{{}}", "[[[{}]]]", "[={}=]", "[{}]",
    "!!!{}!!!", "!!{}!!", "%{}%", "<{}>", "({})", "__{}__",
];

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
