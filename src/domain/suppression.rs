//! Suppression lists: what must not convert. E-mail and phone are known only by a keyed hash.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::domain::import_refusal::ImportRefused;
use crate::domain::time::Time;

/// What a list's entry names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SuppressedKind {
    /// Kept as a keyed hash of the normalized address.
    Email,
    /// Kept as a keyed hash of the digits.
    Phone,
    /// An address or a network.
    Ip,
    /// The advertiser's number of an order.
    OrderId,
    /// The id of one click.
    ClickId,
}

impl SuppressedKind {
    /// Every kind, in the order in which pages offer them.
    pub const ALL: [SuppressedKind; 5] = [
        SuppressedKind::Email,
        SuppressedKind::Phone,
        SuppressedKind::Ip,
        SuppressedKind::OrderId,
        SuppressedKind::ClickId,
    ];

    /// As lists and the API write it.
    pub fn as_str(self) -> &'static str {
        match self {
            SuppressedKind::Email => "email",
            SuppressedKind::Phone => "phone",
            SuppressedKind::Ip => "ip",
            SuppressedKind::OrderId => "order_id",
            SuppressedKind::ClickId => "click_id",
        }
    }

    /// The kind that is written so, in lower case.
    pub fn parse(word: &str) -> Option<SuppressedKind> {
        SuppressedKind::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// Whether only a keyed hash of it is kept.
    pub fn is_hashed(self) -> bool {
        matches!(self, SuppressedKind::Email | SuppressedKind::Phone)
    }
}

/// One thing to suppress, normalized: an e-mail address trimmed and in lower case, a phone number as
/// its digits, a network with its host bits cleared, the rest trimmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Suppressed {
    /// An address, trimmed and in lower case.
    Email(String),
    /// Digits alone, 7 to 15 of them.
    Phone(String),
    /// One address, or a network.
    Ip(IpNet),
    /// As it was reported.
    OrderId(String),
    /// As it was minted or reported.
    ClickId(String),
}

impl Suppressed {
    /// Reads `text` as an entry of this kind.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(kind: SuppressedKind, text: &str) -> Result<Suppressed, ImportRefused> {
        let text = text.trim();
        let plain = || match text.len() {
            0 => Err(ImportRefused::Empty),
            1..=200 => Ok(text.to_owned()),
            bytes => Err(ImportRefused::TooLong(bytes)),
        };
        match kind {
            SuppressedKind::Email => {
                normal_email(text).map(Suppressed::Email).ok_or(ImportRefused::NotAnEmail)
            }
            SuppressedKind::Phone => {
                normal_phone(text).map(Suppressed::Phone).ok_or(ImportRefused::NotAPhone)
            }
            SuppressedKind::Ip => {
                let single =
                    || text.parse::<IpAddr>().ok().map(|address| IpNet::from(address.to_canonical()));
                let net = text.parse::<IpNet>().ok().map(|net| net.trunc()).or_else(single);
                net.map(Suppressed::Ip).ok_or(ImportRefused::NotAnIp)
            }
            SuppressedKind::OrderId => plain().map(Suppressed::OrderId),
            SuppressedKind::ClickId => plain().map(Suppressed::ClickId),
        }
    }

    /// What the value is.
    pub fn kind(&self) -> SuppressedKind {
        match self {
            Suppressed::Email(_) => SuppressedKind::Email,
            Suppressed::Phone(_) => SuppressedKind::Phone,
            Suppressed::Ip(_) => SuppressedKind::Ip,
            Suppressed::OrderId(_) => SuppressedKind::OrderId,
            Suppressed::ClickId(_) => SuppressedKind::ClickId,
        }
    }
}

fn normal_email(text: &str) -> Option<String> {
    let text = text.to_lowercase();
    let sane = text.split_once('@').is_some_and(|(user, host)| !user.is_empty() && host.contains('.'))
        && !text.chars().any(|c| c.is_whitespace() || c.is_control())
        && text.matches('@').count() == 1
        && text.len() <= 254;
    sane.then_some(text)
}

/// Digits only; 7 to 15 of them, as E.164 allows.
fn normal_phone(text: &str) -> Option<String> {
    let allowed = |c: char| c.is_ascii_digit() || matches!(c, '+' | ' ' | '-' | '.' | '(' | ')' | '/');
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let digits = digits.strip_prefix("00").map(str::to_owned).unwrap_or(digits);
    (text.chars().all(allowed) && (7..=15).contains(&digits.len())).then_some(digits)
}

/// What of a conversion and its click may stand on a list. Normalized as the entries are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Traces {
    /// E-mail addresses of the customer, normalized as on a list.
    pub email: Vec<String>,
    /// Phone numbers of the customer, normalized as on a list.
    pub phone: Vec<String>,
    /// Addresses of the click and of the report.
    pub ip: Vec<IpAddr>,
    /// Numbers of the order.
    pub order_id: Vec<String>,
    /// Ids of the click, and what was reported for one.
    pub click_id: Vec<String>,
}

impl Traces {
    /// Adds what was reported, where it can be on a list of this kind.
    pub fn add(&mut self, kind: SuppressedKind, text: Option<&str>) {
        let Some(Ok(entry)) = text.map(|text| Suppressed::parse(kind, text)) else { return };
        match entry {
            Suppressed::Email(text) => self.email.push(text),
            Suppressed::Phone(text) => self.phone.push(text),
            Suppressed::Ip(net) => self.ip.push(net.addr()),
            Suppressed::OrderId(text) => self.order_id.push(text),
            Suppressed::ClickId(text) => self.click_id.push(text),
        }
    }
}

/// Where something was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuppressionHit {
    /// The name of the list.
    pub list: String,
    /// What was found on it.
    pub kind: SuppressedKind,
}

/// The name of a list: 1–64 visible characters, spaces inside. Not `.` and `..`: in a path they lead elsewhere,
/// however they are spelled.
pub fn list_name(text: &str) -> Option<String> {
    let text = text.trim();
    let sane = (1..=64).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    let sane = sane && text != "." && text != "..";
    sane.then(|| text.to_owned())
}

/// One list, counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListSummary {
    /// The name by which API and pages know it.
    pub name: String,
    /// How many entries are on it.
    pub entries: u64,
    /// When an entry was put on it or taken off last.
    pub changed_at: Time,
}

/// One entry as it may be shown: a hashed one without its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedEntry {
    /// What the entry is.
    pub kind: SuppressedKind,
    /// `None`: only its hash is kept.
    pub value: Option<String>,
    /// When it was put on the list.
    pub added_at: Time,
    /// Who added it.
    pub actor: String,
}

/// What is wanted of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListChange {
    /// Put the entries on the list.
    Add,
    /// Take them off.
    TakeOff,
}

/// What a line of a change did to the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineEffect {
    /// The list has changed by it.
    Changed,
    /// The list was so before.
    Unchanged,
    /// It could not be read.
    Refused,
}

impl LineEffect {
    /// As API and pages write it.
    pub fn as_str(self, wish: ListChange) -> &'static str {
        match (self, wish) {
            (LineEffect::Changed, ListChange::Add) => "added",
            (LineEffect::Unchanged, ListChange::Add) => "already_there",
            (LineEffect::Changed, ListChange::TakeOff) => "removed",
            (LineEffect::Unchanged, ListChange::TakeOff) => "not_there",
            (LineEffect::Refused, _) => "refused",
        }
    }
}

/// What became of one line of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedLine {
    /// The line in what was sent, from 1.
    pub number: u64,
    /// The line as it was received.
    pub received_text: String,
    /// What it was read as, and whether the list has changed by it; or why it was not read.
    pub outcome: Result<(SuppressedKind, bool), ImportRefused>,
}

impl ChangedLine {
    /// What it did to the list.
    pub fn effect(&self) -> LineEffect {
        match self.outcome {
            Err(_) => LineEffect::Refused,
            Ok((_, true)) => LineEffect::Changed,
            Ok((_, false)) => LineEffect::Unchanged,
        }
    }
}
