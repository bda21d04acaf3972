//! Who used what: log lines and numbers of sign-ins, refusals and changes. By a token's name, never its text.

use metrics::Counter;
use parking_lot::Mutex;
use tracing::{info, warn};

use crate::domain::time::Time;

/// What a token opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenArea {
    /// The pages, their sign-in included.
    Pages,
    /// `/api/v1`.
    Api,
    /// `/api/2`.
    NetworkApi,
    /// `/metrics`.
    Metrics,
}

impl TokenArea {
    const ALL: [TokenArea; 4] = [TokenArea::Pages, TokenArea::Api, TokenArea::NetworkApi, TokenArea::Metrics];

    fn as_str(self) -> &'static str {
        match self {
            TokenArea::Pages => "pages",
            TokenArea::Api => "api_v1",
            TokenArea::NetworkApi => "api_2",
            TokenArea::Metrics => "metrics",
        }
    }
}

/// Why someone was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// No token has this text.
    WrongToken,
    /// The token may not do this.
    LacksRight,
    /// More wrong tokens within a minute than one address may present.
    TooMany,
    /// A sign-in link that was used already, or is too old.
    StaleLink,
}

impl Reason {
    const ALL: [Reason; 4] = [Reason::WrongToken, Reason::LacksRight, Reason::TooMany, Reason::StaleLink];

    fn as_str(self) -> &'static str {
        match self {
            Reason::WrongToken => "wrong_token",
            Reason::LacksRight => "lacks_right",
            Reason::TooMany => "too_many",
            Reason::StaleLink => "stale_link",
        }
    }

    fn sentence(self) -> &'static str {
        match self {
            Reason::WrongToken => "refused: a wrong token was presented",
            Reason::LacksRight => "refused: the token lacks the right",
            Reason::TooMany => "refused: too many wrong tokens from one address within a minute",
            Reason::StaleLink => "refused: a sign-in link that was used already or is too old",
        }
    }
}

/// Keeps the lines of each kind of refusal to one a minute, and counts all of them.
pub struct AccessLog(Vec<RefusalKind>);

struct RefusalKind {
    area: TokenArea,
    reason: Reason,
    counter: Counter,
    lines: Mutex<RefusalLines>,
}

#[derive(Default)]
struct RefusalLines {
    last: Option<Time>,
    /// Refusals since that line.
    since: u64,
    /// The name of the token of the last of them, where it is one of the configured ones.
    token: Option<String>,
}

/// Between two lines of one kind.
const MINUTE_MS: i64 = 60_000;

impl Default for AccessLog {
    fn default() -> AccessLog {
        let all = TokenArea::ALL.into_iter().flat_map(|area| Reason::ALL.map(|reason| (area, reason)));
        let kind = |(area, reason): (TokenArea, Reason)| RefusalKind {
            area,
            reason,
            counter: metrics::counter!(
                "postbridge_failed_sign_ins_total", "area" => area.as_str(), "reason_code" => reason.as_str()
            ),
            lines: Mutex::default(),
        };
        AccessLog(all.map(kind).collect())
    }
}

impl AccessLog {
    /// Counts a refusal; `token` is the name of the token that lacks a right.
    pub fn refused(&self, area: TokenArea, reason: Reason, token: Option<&str>, now: Time) {
        let Some(kind) = self.0.iter().find(|kind| kind.area == area && kind.reason == reason) else {
            return;
        };
        kind.counter.increment(1);
        let mut lines = kind.lines.lock();
        lines.since = lines.since.saturating_add(1);
        if lines.token.as_deref() != token {
            lines.token = token.map(str::to_owned);
        }
        kind.write_if_due(&mut lines, now);
    }

    /// Writes the lines that are due: the last refusals of a flood are counted too.
    pub fn flush(&self, now: Time) {
        for kind in &self.0 {
            let mut lines = kind.lines.lock();
            if lines.since > 0 {
                kind.write_if_due(&mut lines, now);
            }
        }
    }

    /// A line that someone signed in with the token of this name.
    pub fn signed_in(&self, token: &str) {
        info!(token, "signed in to the pages");
    }

    /// Notes a change that the holder of a token made; `id` names what was changed and is not its content.
    pub fn changed(&self, token: &str, area: TokenArea, what: &'static str, id: &str) {
        info!(token, area = area.as_str(), what, id, "changed");
    }
}

impl RefusalKind {
    fn write_if_due(&self, lines: &mut RefusalLines, now: Time) {
        // A clock that was set back does not silence the log.
        if lines.last.is_some_and(|last| (0..MINUTE_MS).contains(&now.millis_since(last))) {
            return;
        }
        let (area, count, token) = (self.area.as_str(), lines.since, lines.token.as_deref());
        warn!(area, token, count, "{}", self.reason.sentence());
        *lines = RefusalLines { last: Some(now), since: 0, token: None };
    }
}
