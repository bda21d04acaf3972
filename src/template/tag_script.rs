//! The script of the tag as pages load it: its source made small, with the configuration in place.

use std::io::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use data_encoding::HEXLOWER;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;
use sha2::{Digest, Sha384};

use crate::template::minify::minified;

static SOURCE: &str = include_str!("../../templates/tag/tag.js");

/// The word in the source that the configuration takes the place of.
const PLACE: &str = "CONFIGURATION";

/// What the tag is given. It is public: every visitor can read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagConfig {
    /// What the relay's own URLs begin with.
    pub public_url: String,
    /// Landing parameters to keep; another value of one is another click. A `*` at a name's end matches
    /// for any ending.
    pub params: Vec<String>,
    /// The parameters of a direct link, as [`TagConfig::params`] where the page's URL has both `a` and `c`.
    pub direct: Vec<String>,
    /// Cookies to keep, written alike.
    pub cookies: Vec<String>,
    /// The kinds of links that are decorated, one for each source template with a `link_param`.
    pub groups: Vec<LinkGroup>,
}

/// Links that lead to offers of one kind of network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkGroup {
    /// What a page says to name it: `data-tracking-group="…"` or `rel="…"`.
    pub name: String,
    /// The sub id that carries the click id.
    pub param: String,
    /// A link to another host is of this network where its query has all of these, each a number. None: no
    /// link is.
    pub query: Vec<String>,
    /// Each covers its subdomains.
    pub hosts: Vec<String>,
    /// Paths on the page's own host; a `*` at the end matches any ending.
    pub paths: Vec<String>,
}

/// A version of the script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagScript {
    /// The script as it is served.
    pub text: String,
    /// The same, compressed as `gzip`.
    pub gzip: Vec<u8>,
    /// What its immutable URL and its ETag are named by: 16 hexadecimal digits.
    pub hash: String,
    /// What a page's `integrity` attribute says.
    pub integrity: String,
}

#[derive(Serialize)]
struct ScriptTexts<'a> {
    endpoint: String,
    params: String,
    direct: String,
    cookies: String,
    groups: Vec<WrittenGroup<'a>>,
}

#[derive(Serialize)]
struct WrittenGroup<'a> {
    name: String,
    param: &'a str,
    query: Vec<String>,
    hosts: &'a [String],
    paths: Vec<String>,
}

impl TagScript {
    /// Fills the script in, and makes it small.
    pub fn new(config: &TagConfig) -> TagScript {
        let written = ScriptTexts {
            endpoint: format!("{}/t/", config.public_url.trim_end_matches('/')),
            params: pattern(&config.params),
            direct: pattern(&config.direct),
            cookies: pattern(&config.cookies),
            groups: config.groups.iter().map(written).collect(),
        };
        // Only a map whose keys are no texts cannot be written.
        let json = serde_json::to_string(&written).unwrap_or_default();
        // Line ends in JSON that older JavaScript takes for its own.
        let json = json.replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029");
        TagScript::of(minified(SOURCE).replacen(PLACE, &json, 1))
    }

    /// The version that has this text.
    pub fn of(text: String) -> TagScript {
        let digest = Sha384::digest(text.as_bytes());
        let hash = format!("{:.16}", HEXLOWER.encode(&digest));
        let integrity = format!("sha384-{}", BASE64_STANDARD.encode(digest));
        let gzip = compressed(text.as_bytes());
        TagScript { text, gzip, hash, integrity }
    }

    /// The name of its immutable URL.
    pub fn file_name(&self) -> String {
        file_name(&self.hash)
    }
}

/// The name of the immutable URL of the version with this hash.
pub fn file_name(hash: &str) -> String {
    format!("tag.{hash}.js")
}

fn compressed(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    // Writing into memory does not fail; were it to, an empty answer is seen to be none.
    let written = encoder.write_all(text).and_then(|()| encoder.finish());
    written.unwrap_or_default()
}

fn written(group: &LinkGroup) -> WrittenGroup<'_> {
    let path = |path: &String| format!("^{}$", ending(path));
    WrittenGroup {
        name: group.name.to_lowercase(),
        param: &group.param,
        // The tag reads a query's names in lower case.
        query: group.query.iter().map(|name| name.to_lowercase()).collect(),
        hosts: &group.hosts,
        paths: group.paths.iter().map(path).collect(),
    }
}

/// A regular expression that any of the names fits, whole.
fn pattern(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| ending(name)).collect();
    format!("^(?:{})$", names.join("|"))
}

/// The name with what a regular expression reads otherwise escaped, and its `*` at the end as any ending.
fn ending(name: &str) -> String {
    let (head, any) = name.strip_suffix('*').map_or((name, ""), |head| (head, ".*"));
    let mut escaped = String::with_capacity(name.len() + any.len());
    for c in head.chars() {
        if "\\^$.|?*+()[]{}".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped + any
}
