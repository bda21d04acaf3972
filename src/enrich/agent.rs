//! What a user agent says of itself: device, system, browser, and whether it is a program's.
//!
//! Programs are recognized by the list of a crate that is kept up; `templates/agents.toml` says what it does not.

use std::sync::LazyLock;

use quick_cache::sync::Cache;
use serde::Deserialize;
use woothee::parser::{Parser, WootheeResult};

use crate::domain::click::Agent;
use crate::domain::landing_url::up_to;

/// What was made of a user agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedAgent {
    /// What is known of program and device.
    pub agent: Agent,
    /// Whether a program looks at the link, and no person.
    pub preview: LinkPreview,
}

/// Whether a program draws a preview of the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkPreview {
    /// A preview, as a messenger makes one.
    Yes,
    /// Not known as one.
    No,
}

/// The words of `templates/agents.toml`, in lower case.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct AgentWords {
    preview_marks: Vec<String>,
    previews: Vec<String>,
    tablets: Vec<String>,
    tvs: Vec<String>,
    consoles: Vec<String>,
}

// A test reads the file; what is compiled in cannot become unreadable later.
static WORDS: LazyLock<AgentWords> =
    LazyLock::new(|| toml::from_str(include_str!("../../templates/agents.toml")).unwrap_or_default());

static PARSER: LazyLock<Parser> = LazyLock::new(Parser::new);

/// What was made of the user agents that were received lately: most visitors have one of a few, and to read one
/// takes longer than the rest of a click.
static READ: LazyLock<Cache<String, ParsedAgent>> = LazyLock::new(|| Cache::new(MOST_READ));
const MOST_READ: usize = 1024;

/// The tag by which the list marks what draws previews.
const PREVIEW_TAG: &str = "social-preview";

/// Does now what the first look would do: the list's patterns take some milliseconds to compile.
pub fn warm_up() {
    read(Some("warm"));
}

/// Reads a user agent; `None` where none was received.
pub fn read(user_agent: Option<&str>) -> ParsedAgent {
    let Some(text) = user_agent.filter(|text| !text.trim().is_empty()) else {
        // Every browser names itself.
        let bot = Some("a client that does not name itself".to_owned());
        return ParsedAgent {
            agent: Agent { device: "bot".into(), system: None, browser: None, bot },
            preview: LinkPreview::No,
        };
    };
    if let Some(parsed) = READ.get(text) {
        return parsed;
    }
    let parsed = parse(text);
    READ.insert(text.to_owned(), parsed.clone());
    parsed
}

fn parse(text: &str) -> ParsedAgent {
    let lower = text.to_lowercase();
    let has = |words: &[String]| words.iter().any(|word| lower.contains(word.as_str()));
    let listed = iscrawl::crawler_info(text);
    let drawn = listed.is_some_and(|known| known.tags.iter().any(|tag| tag == PREVIEW_TAG));
    let inside_app = drawn && lower.starts_with("mozilla/") && !has(&WORDS.preview_marks);
    let known = listed.filter(|_| !inside_app).map(|known| name_of(&known.pattern, &known.description));
    let preview = has(&WORDS.previews);
    let bot = known.or_else(|| preview.then(|| name_of(text, text)));
    let parsed = PARSER.parse(text);
    let device = match parsed.as_ref().map(|parsed| parsed.category) {
        _ if bot.is_some() => "bot",
        _ if has(&WORDS.tvs) => "tv",
        _ if has(&WORDS.consoles) => "console",
        _ if has(&WORDS.tablets) => "tablet",
        // Phones say `Mobile`, tablets with this system do not.
        Some("smartphone") if lower.contains("android") && !lower.contains("mobile") => "tablet",
        Some("smartphone" | "mobilephone") => "mobile",
        Some("pc") => "desktop",
        _ => "other",
    };
    let agent = Agent {
        device: device.to_owned(),
        system: parsed.as_ref().and_then(system),
        browser: parsed.as_ref().and_then(|parsed| with_version(parsed.name, parsed.version)),
        bot,
    };
    let preview = if preview || (drawn && !inside_app) { LinkPreview::Yes } else { LinkPreview::No };
    ParsedAgent { agent, preview }
}

/// The plain text that a pattern begins with, which is a bot's name; else `otherwise`.
fn name_of(pattern: &str, otherwise: &str) -> String {
    let mut name = String::new();
    let mut letters = pattern.trim_start_matches('^').chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some(plain) if !plain.is_alphanumeric() => name.push(plain),
                _ => break,
            },
            '[' | '(' | '*' | '+' | '?' | '{' | '|' | '$' | '.' => break,
            plain => name.push(plain),
        }
    }
    let name = name.trim_matches(|c: char| !c.is_alphanumeric());
    let name = if name.is_empty() { otherwise } else { name };
    name.chars().take(MOST_NAME).collect()
}

/// The most characters of a bot's name, and the most bytes of a version.
const MOST_NAME: usize = 64;
const MOST_VERSION: usize = 24;

fn system(parsed: &WootheeResult<'_>) -> Option<String> {
    match parsed.os {
        // The name says the version; what is given as such is the kernel's.
        name if name.starts_with("Windows") => with_version(name, ""),
        "iPhone" | "iPad" | "iPod" => with_version("iOS", &parsed.os_version),
        "ChromeOS" | "Linux" => with_version(parsed.os, ""),
        name => with_version(name, &parsed.os_version),
    }
}

/// `Chrome 131`: the name and the version up to its second part that is not 0.
fn with_version(name: &str, version: &str) -> Option<String> {
    let known = |text: &&str| !text.is_empty() && *text != UNKNOWN;
    let name = Some(name).filter(known)?;
    let Some(version) = Some(version).filter(known) else { return Some(name.to_owned()) };
    let version = up_to(version, MOST_VERSION);
    let mut parts = version.split('.');
    let major = parts.next().unwrap_or_default();
    match parts.next().filter(|minor| minor.bytes().any(|b| b != b'0')) {
        Some(minor) => Some(format!("{name} {major}.{minor}")),
        None => Some(format!("{name} {major}")),
    }
}

/// The parser's word for what it does not know.
const UNKNOWN: &str = "UNKNOWN";
