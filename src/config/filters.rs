//! `[filters]`: which clicks are odd, and whether that keeps them from the offer.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::config::source::host_name;
use crate::domain::filter::{DuplicateBy, DuplicateRule, FilterRules, ListRule, NO_REFERRER};
use crate::domain::filter_verdict::FilterMode;
use crate::template::diagnostic::{Problem, access};
use crate::template::toml_doc::table::Table;
use crate::template::toml_doc::text::Text;

/// The rules, and the file that knows the countries of addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FiltersConfig {
    pub rules: FilterRules,
    pub country_file: Option<PathBuf>,
}

/// Reads `[filters]`; what has a problem is left out, its problems kept.
pub fn read(section: Table<'_>) -> FiltersConfig {
    let country_file = section.parsed("country_file", |text| country_file(&section, text));
    let country = read_list(&section, "country", country_code);
    if country.is_some() && !section.has("country_file") {
        let hint = "add country_file = \"GeoLite2-Country.mmdb\", a file in MaxMind's format";
        section.warning(
            "country",
            "without a `country_file` no country is known: the filter says nothing",
            hint,
        );
    }
    let rules = FilterRules {
        duplicate: read_duplicate(&section),
        bot: read_mode(&section, "bot"),
        country,
        device: read_list(&section, "device", device),
        referrer: read_list(&section, "referrer", referrer),
        cap: read_mode(&section, "caps").unwrap_or(FilterRules::default().cap),
    };
    section.finish();
    FiltersConfig { rules, country_file }
}

/// A filter's table, where the file has one.
fn table<'a>(filters: &Table<'a>, key: &'static str) -> Option<Table<'a>> {
    filters.table(key)
}

fn mode(section: &Table<'_>) -> Option<FilterMode> {
    let modes = [FilterMode::Observe, FilterMode::Enforce].map(|mode| (mode.as_str(), mode));
    section.required("mode", "\"observe\"", |text| text.one_of(&modes))
}

fn read_mode(filters: &Table<'_>, key: &'static str) -> Option<FilterMode> {
    let section = table(filters, key)?;
    let mode = mode(&section);
    section.finish();
    mode
}

fn read_duplicate(filters: &Table<'_>) -> Option<DuplicateRule> {
    let section = table(filters, "duplicate")?;
    let mode = mode(&section);
    // A month: no visitor is remembered longer for this.
    let seconds = section.number::<i64>("window_seconds", 1..=2_678_400);
    let words =
        [("cookie", DuplicateBy::Cookie), ("ip", DuplicateBy::Ip), ("ip_and_agent", DuplicateBy::IpAndAgent)];
    let by = section.parsed("by", |text| text.one_of(&words));
    let (has_seconds, has_by) = (section.has("window_seconds"), section.has("by"));
    section.finish();
    let window_ms = if has_seconds { seconds? } else { 3600 }.saturating_mul(1000);
    Some(DuplicateRule { mode: mode?, window_ms, by: if has_by { by? } else { DuplicateBy::Cookie } })
}

fn read_list(
    filters: &Table<'_>,
    key: &'static str,
    value: fn(&Text) -> Result<String, Problem>,
) -> Option<ListRule> {
    let section = table(filters, key)?;
    let mode = mode(&section);
    let (allow, deny) = (section.all_parsed("allow", value), section.all_parsed("deny", value));
    let lists = section.has("allow") || section.has("deny");
    let empty = |key| !section.has(key) || section.is_empty_list(key);
    if empty("allow") && empty("deny") {
        let what = format!("`{key}` in [filters] lets everything through");
        filters.problem(key, what, "name what it lets through, allow = […], or what it does not, deny = […]");
    }
    section.finish();
    lists.then_some(ListRule {
        mode: mode?,
        allow: allow.unwrap_or_default(),
        deny: deny.unwrap_or_default(),
    })
}

fn country_code(text: &Text) -> Result<String, Problem> {
    if text.value.len() == 2 && text.value.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return Ok(text.value.to_ascii_uppercase());
    }
    let hint = "write its two letters of ISO 3166: \"US\", \"DE\"";
    Err(Problem::new(format!("{} is not a country's code", text.shown()), hint))
}

fn device(text: &Text) -> Result<String, Problem> {
    let known = ["desktop", "mobile", "tablet", "tv", "console", "bot", "other"];
    text.one_of(&known.map(|word| (word, word))).map(str::to_owned)
}

fn referrer(text: &Text) -> Result<String, Problem> {
    if text.value == NO_REFERRER { Ok(text.value.clone()) } else { host_name(text) }
}

fn country_file(section: &Table<'_>, text: &Text) -> Result<PathBuf, Problem> {
    let path = section.document().path(&text.value);
    match holds_database(&path) {
        Ok(true) => Ok(path),
        Ok(false) => Err(Problem::new(
            format!("{} is not a file in MaxMind's format", text.shown()),
            "name an .mmdb file, such as GeoLite2-Country.mmdb, unpacked",
        )),
        Err(error) => {
            let usual = "name an .mmdb file; relative paths start from the configuration's folder";
            Err(access::problem(&path, &format!("{} cannot be read", text.shown()), &error, usual))
        }
    }
}

/// What begins the description at such a file's end, and how far from the end it may stand:
/// https://maxmind.github.io/MaxMind-DB/ (2026-11).
const MARKER: &[u8] = b"\xab\xcd\xefMaxMind.com";
const MARKER_WITHIN_BYTES: u64 = 128 * 1024;

fn holds_database(path: &Path) -> std::io::Result<bool> {
    let mut file = std::fs::File::open(path)?;
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(length.saturating_sub(MARKER_WITHIN_BYTES)))?;
    let mut end = Vec::new();
    file.take(MARKER_WITHIN_BYTES).read_to_end(&mut end)?;
    Ok(end.windows(MARKER.len()).any(|window| window == MARKER))
}
