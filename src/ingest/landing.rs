//! A visitor's request on its way to a click: what its link carries, and what is known of the browser.
//!
//! Nothing a visitor sends is an error: what is too long or too much is left out and named, bytes that are
//! not UTF-8 are replaced where a text is kept, and handed on as they are.

use std::borrow::Cow;
use std::net::IpAddr;

use percent_encoding::percent_decode;
use serde::Deserialize;

use crate::domain::click::{Click, ClickContext, ClickKind, ClickOrigin, Pairs, find, is_covered};
use crate::domain::filter::{ClickFacts, classify};
use crate::domain::omission::{Omission, OmissionReason, Omissions};
use crate::domain::ruleset::Ruleset;
use crate::enrich::agent::{self, LinkPreview};
use crate::enrich::country::Countries;
use crate::ingest::click::ClickDraft;
use crate::template::source::character_reference::without_ampersands;
use crate::template::source::params::segments;

/// The most parameters that are looked at.
const MOST_READ: usize = 256;
/// The most that are kept of each sort.
const MOST_KEPT: usize = 64;
/// The most cookies that are kept of one name with a `*`: pages of many shops have one for each shop.
const MOST_OF_PATTERN: usize = 8;
/// The longest value, in bytes; a longer one is left out: half an id is none.
const LONGEST_VALUE: usize = 2048;
/// The longest name that a `*` matches.
const LONGEST_NAME: usize = 64;
/// The longest user agent that is looked at and kept; of a longer one its beginning.
pub const LONGEST_AGENT: usize = 1024;

/// What is seen of visitors, as configured.
#[derive(Default)]
pub struct VisitorEnricher {
    /// Which country an address is in; without a file, none.
    pub countries: Countries,
    /// What is kept of a link, by name.
    pub landing: Landing,
}

/// What a request says of the browser behind it.
#[derive(Debug, Clone)]
pub struct Browser {
    /// Its address, as a declared proxy has it.
    pub ip: IpAddr,
    /// What it says it is.
    pub user_agent: Option<String>,
    /// How many bytes of user agent it sent, of which [`LONGEST_AGENT`] are looked at.
    pub agent_bytes: usize,
    /// As its method and headers say; a preview is recognized by its user agent.
    pub asked: ClickKind,
}

impl VisitorEnricher {
    /// A click of this browser, with what its link and its cookies carry.
    pub fn draft(
        &self,
        origin: ClickOrigin,
        browser: Browser,
        carried: &CarriedPairs<'_>,
        cookies: &CarriedPairs<'_>,
    ) -> ClickDraft {
        let mut context = self.context(origin, &browser);
        let omitted = &mut context.omitted;
        let params = self.landing.params.pick(carried).named("params", omitted);
        let cookies = self.landing.cookies.pick_few(cookies).named("cookies", omitted);
        let sub_ids = self.landing.sub_ids.pick(carried).named("sub_ids", omitted);
        if browser.agent_bytes > LONGEST_AGENT {
            let bytes = (browser.agent_bytes, LONGEST_AGENT);
            omitted.add(Omission::new("user_agent", OmissionReason::ClickValueTooLong, bytes));
        }
        let (ip, user_agent) = (Some(browser.ip), browser.user_agent);
        ClickDraft { params, cookies, sub_ids, context, ip, user_agent, ..ClickDraft::default() }
    }

    /// How a click of this browser is recorded.
    pub fn context(&self, origin: ClickOrigin, browser: &Browser) -> ClickContext {
        let reported = agent::read(browser.user_agent.as_deref());
        let kind = match (browser.asked, reported.preview) {
            (ClickKind::Visit, LinkPreview::Yes) => ClickKind::Preview,
            (asked, _) => asked,
        };
        let country = self.countries.of(browser.ip);
        ClickContext { origin, kind, agent: Some(reported.agent), country, ..ClickContext::default() }
    }
}

/// Whether the filters keep an unrecorded click's visitor from the offer, as far as they need no memory: of
/// repeats and of the offer's clicks today nothing is known.
pub fn is_kept_away(rules: &Ruleset, click: &mut Click) -> bool {
    let offer = click.context.campaign_ref.as_ref().and_then(|placed| rules.offer(&placed.offer)).cloned();
    click.context.verdicts = classify(&rules.filters, offer.as_deref(), click, &ClickFacts::default());
    click.context.is_blocked()
}

/// Which parameters, cookies and sub ids of a click are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Landing {
    /// Parameters of the link.
    pub params: NamePatterns,
    /// Cookies of the request.
    pub cookies: NamePatterns,
    /// Parameters that are sub ids.
    pub sub_ids: NamePatterns,
}

impl Landing {
    /// Those of `templates/landing.toml`.
    pub fn built_in() -> Landing {
        // A test reads the file; what is compiled in cannot become unreadable later.
        toml::from_str(include_str!("../../templates/landing.toml")).unwrap_or_default()
    }

    /// With what a destination's template declares in addition.
    pub fn declare(&mut self, params: &[String], cookies: &[String]) {
        self.params.add(params);
        self.cookies.add(cookies);
    }

    /// With the parameter that brings the click id of a configured postback's receiver; a sub id is kept anyway.
    pub fn declare_param(&mut self, param: &str) {
        if self.params.rank(param) == 2 && self.sub_ids.rank(param) == 2 {
            self.params.add(&[param.to_owned()]);
        }
    }
}

/// Names, and with a `*` at the end beginnings of names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct NamePatterns(Vec<String>);

impl NamePatterns {
    /// Each as it was declared.
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }

    fn add(&mut self, names: &[String]) {
        for name in names {
            if !self.0.contains(name) {
                self.0.push(name.clone());
            }
        }
    }

    /// What is kept of these pairs: each name once, the first, with a value.
    pub fn pick(&self, carried: &CarriedPairs<'_>) -> PickedPairs {
        self.pick_at_most(MOST_KEPT, carried)
    }

    /// The same, and at most eight of those that one `*` covers.
    pub fn pick_few(&self, carried: &CarriedPairs<'_>) -> PickedPairs {
        self.pick_at_most(MOST_OF_PATTERN, carried)
    }

    fn pick_at_most(&self, most_of_pattern: usize, carried: &CarriedPairs<'_>) -> PickedPairs {
        let mut picked = PickedPairs::default();
        let mut of_pattern = vec![0_usize; self.0.len()];
        for (name, value) in carried.0.iter().filter(|(_, value)| !value.is_empty()) {
            let name = String::from_utf8_lossy(name);
            let Some(known) = self.spelling(&name) else { continue };
            if picked.pairs.iter().any(|(had, _)| *had == known) {
                continue;
            }
            let value = String::from_utf8_lossy(value);
            let covered = self.pattern(&known).and_then(|number| of_pattern.get_mut(number));
            let reason = match picked.pairs.len() {
                _ if value.len() > LONGEST_VALUE => OmissionReason::ClickValueTooLong,
                MOST_KEPT => OmissionReason::TooManyNames,
                _ if covered.as_ref().is_some_and(|kept| **kept >= most_of_pattern) => {
                    OmissionReason::TooManyNames
                }
                _ => {
                    covered.into_iter().for_each(|kept| *kept += 1);
                    picked.pairs.push((known, value.into_owned()));
                    continue;
                }
            };
            picked.missing.push((known, reason, value.len()));
        }
        picked
    }

    /// The number of the name with a `*` that covers this one; `None` of one that is declared itself.
    fn pattern(&self, name: &str) -> Option<usize> {
        let is_declared = self.0.iter().any(|known| known == name);
        let covers = |known: &String| known.ends_with('*') && is_covered_in_any_case(known, name.as_bytes());
        if is_declared { None } else { self.0.iter().position(covers) }
    }

    /// Which names are kept first where there are too many: 0 is declared, 1 is covered by a `*`, 2 is neither.
    pub fn rank(&self, name: &str) -> u8 {
        if self.0.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            return 0;
        }
        if self.spelling(name).is_some() { 1 } else { 2 }
    }

    /// A name as it is declared; where a `*` covers it, as it was received, or in lower case where only the
    /// case differs.
    pub fn spelling(&self, name: &str) -> Option<String> {
        let exact = self.0.iter().find(|known| *known == name);
        let same = || self.0.iter().find(|known| known.eq_ignore_ascii_case(name));
        if let Some(known) = exact.or_else(same) {
            return Some(known.clone());
        }
        if name.len() > LONGEST_NAME {
            return None;
        }
        if self.0.iter().any(|pattern| is_covered(pattern, name.as_bytes())) {
            return Some(name.to_owned());
        }
        let in_any_case = |pattern: &String| is_covered_in_any_case(pattern, name.as_bytes());
        self.0.iter().any(in_any_case).then(|| name.to_ascii_lowercase())
    }
}

/// What is kept of one sort of pairs, and what would be if it were shorter, or fewer.
#[derive(Debug, Default)]
pub struct PickedPairs {
    /// What was found, under the names that are asked for.
    pub pairs: Pairs,
    /// Names, with the lengths of their values.
    missing: Vec<(String, OmissionReason, usize)>,
}

impl PickedPairs {
    /// Without those whose names are known already.
    pub fn without(mut self, known: &Pairs) -> PickedPairs {
        self.pairs.retain(|(name, _)| find(known, name).is_none());
        self.missing.retain(|(name, ..)| find(known, name).is_none());
        self
    }

    /// The pairs; what is missing is named as of this sort.
    pub fn named(self, sort: &str, omitted: &mut Omissions) -> Pairs {
        for (name, reason, bytes) in self.missing {
            omitted.add(Omission::new(&format!("{sort}.{name}"), reason, (bytes, 0)));
        }
        self.pairs
    }
}

/// As [`is_covered`], whatever the name's case.
fn is_covered_in_any_case(pattern: &str, name: &[u8]) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => {
            name.get(..beginning.len()).is_some_and(|front| front.eq_ignore_ascii_case(beginning.as_bytes()))
        }
        None => name.eq_ignore_ascii_case(pattern.as_bytes()),
    }
}

/// Names and values of a query or of cookies, decoded once, in the order in which they were received. They are bytes,
/// and those of the request where nothing is encoded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CarriedPairs<'a>(Vec<CarriedPair<'a>>);

/// A name and its value.
type CarriedPair<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

impl<'a> CarriedPairs<'a> {
    /// Those of a raw query, repaired as a postback's: `amp;` before a name, as a URL copied from HTML leaves
    /// it, is taken off, and a second `?` divides like `&`: so it is where one query was appended to another.
    pub fn of_query(query: &'a [u8]) -> CarriedPairs<'a> {
        let named = segments(query).filter(|(segment, _)| !segment.is_empty()).take(MOST_READ);
        let pairs = named.map(|(segment, _)| {
            let (name, value) = split(segment);
            (bare(decoded(name)), decoded(value))
        });
        CarriedPairs(pairs.collect())
    }

    /// Those in the query of a page's address.
    pub fn of_address(address: &'a str) -> CarriedPairs<'a> {
        let before_fragment = address.split('#').next().unwrap_or_default();
        let (_, query) = before_fragment.split_once('?').unwrap_or_default();
        CarriedPairs::of_query(query.as_bytes())
    }

    /// Those of a `Cookie` header; cookies are not encoded.
    pub fn of_cookies(headers: impl IntoIterator<Item = &'a [u8]>) -> CarriedPairs<'a> {
        let cookies = headers.into_iter().flat_map(|header| header.split(|b| *b == b';'));
        let pairs = cookies.map(|pair| split(pair.trim_ascii())).take(MOST_READ);
        CarriedPairs(pairs.map(|(name, value)| (Cow::Borrowed(name), Cow::Borrowed(value))).collect())
    }

    /// Those that were decoded already.
    pub fn of_pairs(pairs: &'a Pairs) -> CarriedPairs<'a> {
        let pairs = pairs.iter().take(MOST_READ);
        let bytes = |text: &'a String| Cow::Borrowed(text.as_bytes());
        CarriedPairs(pairs.map(|(name, value)| (bare(bytes(name)), bytes(value))).collect())
    }

    /// These, and behind them `others`, of which a name that is here counts no more.
    pub fn before(mut self, others: CarriedPairs<'a>) -> CarriedPairs<'a> {
        self.0.extend(others.0);
        self
    }

    /// The first value of this name, as text.
    pub fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        let found = self.0.iter().find(|(known, _)| **known == *name.as_bytes());
        found.map(|(_, value)| String::from_utf8_lossy(value))
    }

    /// The first value of a parameter by which a link names its campaign, whatever the case of its name.
    /// One without a value says nothing.
    pub fn link_value(&self, name: &str) -> Option<Cow<'_, str>> {
        let is_it = |known: &[u8]| known.eq_ignore_ascii_case(name.as_bytes());
        let found = self.0.iter().find(|(known, value)| !value.is_empty() && is_it(known));
        found.map(|(_, value)| String::from_utf8_lossy(value))
    }

    /// Whether a parameter has this name, whatever its case, also one without a value.
    pub fn names(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known.eq_ignore_ascii_case(name.as_bytes()))
    }

    /// What the offer's `pass` hands on: each name once and as it was received, but for those that are the
    /// link's own; whatever their case.
    pub fn passed(&self, patterns: &[String], own: &[&str]) -> Vec<(&[u8], &[u8])> {
        let mut passed: Vec<(&[u8], &[u8])> = Vec::new();
        for (name, value) in &self.0 {
            let wanted = patterns.iter().any(|pattern| is_covered_in_any_case(pattern, name));
            let is_new = !passed.iter().any(|(known, _)| *known == &**name);
            if wanted && is_new && !own.iter().any(|own| name.eq_ignore_ascii_case(own.as_bytes())) {
                passed.push((name, value));
            }
        }
        passed
    }
}

/// A name without the `amp;` that a URL copied from HTML leaves before it.
fn bare(name: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    fn bare_of(name: &[u8]) -> Option<&[u8]> {
        std::str::from_utf8(name).ok().and_then(without_ampersands).map(str::as_bytes)
    }
    match name {
        Cow::Borrowed(name) => Cow::Borrowed(bare_of(name).unwrap_or(name)),
        Cow::Owned(name) => Cow::Owned(bare_of(&name).map(<[u8]>::to_vec).unwrap_or(name)),
    }
}

fn split(pair: &[u8]) -> (&[u8], &[u8]) {
    match pair.iter().position(|b| *b == b'=') {
        Some(at) => (pair.get(..at).unwrap_or(&[]), pair.get(at + 1..).unwrap_or(&[])),
        None => (pair, &[]),
    }
}

/// A form's encoding undone once: `+` is a space, `%2B` is a plus.
fn decoded(raw: &[u8]) -> Cow<'_, [u8]> {
    if !raw.contains(&b'+') {
        return percent_decode(raw).into();
    }
    let spaced: Vec<u8> = raw.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect();
    Cow::Owned(percent_decode(&spaced).collect())
}

/// A header's bytes as a text; `None` where nothing is in it.
pub fn header_text(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}
