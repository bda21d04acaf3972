//! Texts in single quotes between `{{` and `}}`, in which a backslash is itself, as patterns are written.

use std::borrow::Cow;

/// Where in a template a character is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Outside,
    Inside,
    InSingle,
    /// And whether a backslash is before it.
    InDouble(bool),
}

/// The template with such backslashes doubled: the crate that reads it takes texts for JSON, where one begins an
/// escape. Lines stay as they are.
pub(crate) fn with_backslashes_doubled(template: &str) -> Cow<'_, str> {
    if !template.contains('\\') {
        return Cow::Borrowed(template);
    }
    let mut doubled = String::with_capacity(template.len() + 16);
    let mut place = Place::Outside;
    for (at, c) in template.char_indices() {
        let rest = template.get(at..).unwrap_or_default();
        doubled.push_str(if place == Place::InSingle && c == '\\' { "\\" } else { "" });
        doubled.push(c);
        place = match (place, c) {
            (Place::Outside, '{') if rest.starts_with("{{") && !rest.starts_with("{{!") => Place::Inside,
            (Place::Inside, '}') if rest.starts_with("}}") => Place::Outside,
            (Place::Inside, '\'') => Place::InSingle,
            (Place::Inside, '"') => Place::InDouble(false),
            (Place::InSingle, '\'') | (Place::InDouble(false), '"') => Place::Inside,
            (Place::InDouble(escaped), c) => Place::InDouble(c == '\\' && !escaped),
            (place, _) => place,
        };
    }
    Cow::Owned(doubled)
}

#[cfg(test)]
mod tests {
    use super::with_backslashes_doubled;

    #[test]
    fn a_backslash_is_itself_in_single_quotes_inside_of_an_expression_alone() {
        for (template, doubled) in [
            (
                r#"{"a": {{json (capture x pattern='^a\.(\d+)"$')}}}"#,
                r#"{"a": {{json (capture x pattern='^a\\.(\\d+)"$')}}}"#,
            ),
            (r#"{{join a b separator="it's \" \n"}}"#, r#"{{join a b separator="it's \" \n"}}"#),
            (r#"{{! it's \d }}{"a's \n": 1}"#, r#"{{! it's \d }}{"a's \n": 1}"#),
            (r"{{a x='\'}}{{b y='\'}}", r"{{a x='\\'}}{{b y='\\'}}"),
            (r"no\thing", r"no\thing"),
        ] {
            assert_eq!(with_backslashes_doubled(template), doubled);
        }
    }
}
