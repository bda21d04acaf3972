//! Makes a script of ours small: comments and blanks are left out, the names that it declares are shortened, and all are
//! declared by `let`.
//!
//! It is not a parser of JavaScript. A script that it takes is one closure, `(() => { … })();`, whose own
//! statements declare one name each. Names are declared by `const`, `let`, `catch` and the parameters of
//! arrows. Texts are in quotes, never in backticks; each statement ends with `;`, and none is empty.

use std::collections::{BTreeMap, HashMap, HashSet};

/// How many brackets deep the closure's own statements are.
const BODY: usize = 2;
/// The short names that every statement of the closure uses anew for what only it declares.
const LOCAL_NAMES: usize = 12;
const LETTERS: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_$";
/// The words of the language: those that scripts use, and those that a short name could be.
const WORDS: [&str; 34] = [
    "as",
    "async",
    "await",
    "break",
    "case",
    "catch",
    "const",
    "continue",
    "delete",
    "do",
    "else",
    "false",
    "finally",
    "for",
    "if",
    "in",
    "instanceof",
    "is",
    "let",
    "new",
    "null",
    "of",
    "return",
    "switch",
    "this",
    "throw",
    "true",
    "try",
    "typeof",
    "undefined",
    "var",
    "void",
    "while",
    "yield",
];

/// The smallest part that means something.
struct ScriptToken<'a> {
    text: &'a str,
    /// Whether there was a blank before it.
    spaced: bool,
    /// How many brackets are open around it, and the innermost of them.
    depth: usize,
    inside: &'a str,
    /// Which of the closure's statements it belongs to.
    statement: usize,
}

/// What a token names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TokenRole {
    Variable,
    /// `{ name }`, which is `{ name: name }`.
    Shorthand,
    /// A property, a number, a sign: whatever keeps its text.
    Fixed,
}

/// The script with the same meaning and fewer bytes.
pub fn minified(source: &str) -> String {
    let tokens = tokens(source);
    let names = ShortNames::of(&tokens);
    let mut out = String::with_capacity(source.len());
    // What the statement at each depth began with.
    let mut begun: Vec<&str> = Vec::new();
    let mut joined = false;
    for (at, token) in tokens.iter().enumerate() {
        let (before, after) = (text(&tokens, at.wrapping_sub(1)), text(&tokens, at + 1));
        begun.resize(token.depth + 1, "");
        if matches!(before, ";" | "{" | "}" | "")
            && !matches!(token.text, ";" | "," | "." | ")" | "}")
            && let Some(begun) = begun.last_mut()
        {
            *begun = token.text;
        }
        if std::mem::take(&mut joined) {
            continue;
        }
        if token.text == ";" && declares(after) && begun.last().is_some_and(|begun| declares(begun)) {
            out.push(',');
            joined = true;
        } else if !matches!((token.text, after), (";", "}") | (",", "}" | ")" | "]")) {
            push(&mut out, token, &names.written(&tokens, at));
        }
    }
    out
}

/// Appends a token, with a blank where it would run into the one before.
fn push(out: &mut String, token: &ScriptToken<'_>, written: &str) {
    let meets = out.chars().last().zip(written.chars().next());
    let runs_together = |(last, first): (char, char)| {
        is_word(last) && is_word(first) || last == first && matches!(first, '+' | '-')
    };
    if token.spaced && meets.is_some_and(runs_together) {
        out.push(' ');
    }
    out.push_str(written);
}

/// The short names: of the closure's own declarations, and of each statement's.
struct ShortNames<'a> {
    own: HashMap<&'a str, String>,
    local: HashMap<(usize, &'a str), String>,
}

impl<'a> ShortNames<'a> {
    fn of(tokens: &[ScriptToken<'a>]) -> ShortNames<'a> {
        let declared: Vec<&ScriptToken<'a>> =
            declared(tokens).into_iter().filter_map(|at| tokens.get(at)).collect();
        let is_own = |token: &ScriptToken<'a>| token.depth == BODY && !is_parameter(tokens, token);
        let mut counts: BTreeMap<&str, usize> =
            declared.iter().filter(|token| is_own(token)).map(|token| (token.text, 0)).collect();
        let mut taken: HashSet<&str> = WORDS.into_iter().collect();
        let variables = tokens.iter().enumerate().filter(|(at, _)| role(tokens, *at) != TokenRole::Fixed);
        for (_, token) in variables {
            taken.insert(token.text);
            if let Some(count) = counts.get_mut(token.text) {
                *count += 1;
            }
        }
        let mut short = short_names().filter(|name| !taken.contains(name.as_str()));
        let pool: Vec<String> = short.by_ref().take(LOCAL_NAMES).collect();
        let mut by_use: Vec<(&str, usize)> = counts.into_iter().collect();
        by_use.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let own: HashMap<&str, String> = by_use.iter().map(|(name, _)| *name).zip(short).collect();
        let mut local: HashMap<(usize, &str), String> = HashMap::new();
        let mut used: HashMap<usize, usize> = HashMap::new();
        for token in declared.iter().filter(|token| !own.contains_key(token.text)) {
            let next = used.entry(token.statement).or_default();
            // A statement with more names than there are short ones keeps the rest as they are.
            if let Some(name) = pool.get(*next)
                && !local.contains_key(&(token.statement, token.text))
            {
                local.insert((token.statement, token.text), name.clone());
                *next += 1;
            }
        }
        ShortNames { own, local }
    }

    fn written(&self, tokens: &[ScriptToken<'a>], at: usize) -> String {
        let Some(token) = tokens.get(at) else { return String::new() };
        let short = self.own.get(token.text).or_else(|| self.local.get(&(token.statement, token.text)));
        match (role(tokens, at), short) {
            (TokenRole::Variable, Some(short)) => short.clone(),
            (TokenRole::Shorthand, Some(short)) => format!("{}:{short}", token.text),
            // A script that works assigns to no constant.
            _ if token.text == "const" => "let".to_owned(),
            _ => token.text.to_owned(),
        }
    }
}

/// Whether a statement that begins so declares names.
fn declares(word: &str) -> bool {
    matches!(word, "const" | "let")
}

/// `a` to `$`, then two of them.
fn short_names() -> impl Iterator<Item = String> {
    let pairs =
        LETTERS.chars().flat_map(|first| LETTERS.chars().map(move |second| format!("{first}{second}")));
    LETTERS.chars().map(String::from).chain(pairs)
}

/// Whether the token is the one parameter of an arrow, without parentheses.
fn is_parameter(tokens: &[ScriptToken<'_>], token: &ScriptToken<'_>) -> bool {
    let mut pairs = tokens.iter().zip(tokens.iter().skip(1));
    pairs.any(|(one, next)| std::ptr::eq(one, token) && next.text == "=>")
}

/// Where names are declared.
fn declared(tokens: &[ScriptToken<'_>]) -> Vec<usize> {
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        match token.text {
            word if declares(word) && is_name(text(tokens, at + 1)) => found.push(at + 1),
            word if declares(word) => found.extend(group(tokens, at + 1)),
            "catch" => found.push(at + 2),
            "=>" if text(tokens, at.wrapping_sub(1)) == ")" => {
                let depth = tokens.get(at - 1).map_or(0, |close| close.depth);
                let open = (0..at).rev().find(|at| is_open(tokens, *at, depth));
                found.extend(open.into_iter().flat_map(|open| group(tokens, open)));
            }
            "=>" => found.push(at.wrapping_sub(1)),
            _ => {}
        }
    }
    found.retain(|at| is_name(text(tokens, *at)));
    found
}

fn is_open(tokens: &[ScriptToken<'_>], at: usize, depth: usize) -> bool {
    tokens.get(at).is_some_and(|token| token.depth == depth && token.text == "(")
}

/// The names between the bracket at `open` and the one that closes it.
fn group(tokens: &[ScriptToken<'_>], open: usize) -> impl Iterator<Item = usize> {
    let depth = tokens.get(open).map_or(0, |token| token.depth);
    let inside = tokens.iter().skip(open + 1).take_while(|token| token.depth > depth).count();
    open + 1..open + 1 + inside
}

fn role(tokens: &[ScriptToken<'_>], at: usize) -> TokenRole {
    let (before, after) = (text(tokens, at.wrapping_sub(1)), text(tokens, at + 1));
    let is_member = tokens.get(at).is_some_and(|token| token.inside == "{") && matches!(before, "{" | ",");
    match after {
        _ if !is_name(text(tokens, at)) || before == "." => TokenRole::Fixed,
        ":" if is_member => TokenRole::Fixed,
        "," | "}" if is_member => TokenRole::Shorthand,
        _ => TokenRole::Variable,
    }
}

/// A token's text; nothing where there is no token.
fn text<'a>(tokens: &[ScriptToken<'a>], at: usize) -> &'a str {
    tokens.get(at).map_or("", |token| token.text)
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '$')
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c| is_word(c) && !c.is_ascii_digit()) && !WORDS.contains(&text)
}

fn tokens(source: &str) -> Vec<ScriptToken<'_>> {
    let mut found: Vec<ScriptToken<'_>> = Vec::new();
    let mut open: Vec<&str> = Vec::new();
    let (mut rest, mut statement, mut spaced) = (source, 0, false);
    loop {
        let trimmed = rest.trim_start();
        spaced |= trimmed.len() < rest.len();
        if let Some(comment) = trimmed.strip_prefix("//") {
            rest = comment.split_once('\n').map_or("", |(_, after)| after);
            spaced = true;
            continue;
        }
        let before = found.last().map_or("", |token| token.text);
        let (text, after) = trimmed.split_at(length(trimmed, before));
        if text.is_empty() {
            return found;
        }
        if matches!(text, ")" | "]" | "}") {
            open.pop();
        }
        let inside = open.last().copied().unwrap_or_default();
        let spaced = std::mem::take(&mut spaced);
        found.push(ScriptToken { text, spaced, depth: open.len(), inside, statement });
        if matches!(text, "(" | "[" | "{") {
            open.push(text);
        }
        if text == ";" && open.len() == BODY {
            statement += 1;
        }
        rest = after;
    }
}

/// How many bytes the token has that `rest` begins with.
fn length(rest: &str, before: &str) -> usize {
    let Some(first) = rest.chars().next() else { return 0 };
    if is_word(first) {
        return rest.find(|c| !is_word(c)).unwrap_or(rest.len());
    }
    match first {
        '\'' | '"' => closing(rest, first),
        '/' if begins_value(before) => {
            let end = closing(rest, '/');
            let flags = rest.get(end..).unwrap_or_default();
            end + flags.find(|c| !is_word(c)).unwrap_or(flags.len())
        }
        _ => {
            let signs = ["...", "=>", "&&", "||", "++", "--"];
            signs.into_iter().find(|sign| rest.starts_with(sign)).map_or(first.len_utf8(), str::len)
        }
    }
}

/// Whether a `/` after this token begins a pattern; else it divides.
fn begins_value(before: &str) -> bool {
    let signs = ["", "(", ",", "=", ":", "[", "!", "&&", "||", "?", "{", "}", ";", "=>", "return"];
    signs.contains(&before)
}

/// The bytes up to the end of a text or pattern, which is not escaped and, in a pattern, in no class.
fn closing(rest: &str, mark: char) -> usize {
    let (mut escaped, mut class) = (false, false);
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '[' if mark == '/' => class = true,
            ']' if mark == '/' => class = false,
            _ if c == mark && !class => return at + c.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}
