//! A visitor's click, and what is known of the customer behind it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::domain::consent::ConsentRecord;
use crate::domain::filter_verdict::FilterVerdict;
use crate::domain::ids::{ClickId, VisitorId};
use crate::domain::offer::CampaignRef;
use crate::domain::omission::Omissions;
use crate::domain::time::Time;

/// One thing known about a customer; ad platforms match people by these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum CustomerTrait {
    /// An e-mail address, as it was reported: it is hashed when it is sent.
    Email,
    /// As it was reported, with or without its calling code.
    Phone,
    /// Given names, in any script.
    FirstName,
    /// The family name, in any script.
    LastName,
    /// Of the customer's address.
    City,
    /// Of the customer's address; in the US, its name or two letters.
    State,
    /// The postal code.
    Zip,
    /// A code of ISO 3166, or the English name.
    Country,
    /// `f`, `m`, or a word for either.
    Gender,
    /// The date as it was reported; a template says in which order it is.
    Birthdate,
    /// The customer's number at the advertiser.
    ExternalId,
    /// The customer's own address, where it is not the click's.
    Ip,
    /// The browser's own words, where they are not the click's.
    UserAgent,
}

impl CustomerTrait {
    /// Every trait with the name that templates and the API use.
    pub const NAMES: [(CustomerTrait, &'static str); 13] = [
        (CustomerTrait::Email, "email"),
        (CustomerTrait::Phone, "phone"),
        (CustomerTrait::FirstName, "first_name"),
        (CustomerTrait::LastName, "last_name"),
        (CustomerTrait::City, "city"),
        (CustomerTrait::State, "state"),
        (CustomerTrait::Zip, "zip"),
        (CustomerTrait::Country, "country"),
        (CustomerTrait::Gender, "gender"),
        (CustomerTrait::Birthdate, "birthdate"),
        (CustomerTrait::ExternalId, "external_id"),
        (CustomerTrait::Ip, "ip"),
        (CustomerTrait::UserAgent, "user_agent"),
    ];

    /// As templates and the API write it.
    pub fn as_str(self) -> &'static str {
        Self::NAMES.into_iter().find(|(named, _)| *named == self).map_or("", |(_, name)| name)
    }

    /// The trait that templates and API name so.
    pub fn parse(name: &str) -> Option<CustomerTrait> {
        CustomerTrait::NAMES.iter().find(|(_, known)| *known == name).map(|(found, _)| *found)
    }

    /// As templates and API name it.
    pub fn name(self) -> &'static str {
        CustomerTrait::NAMES.iter().find(|(known, _)| *known == self).map_or("", |(_, name)| name)
    }
}

/// The known traits of one customer, as reported (not normalized, not hashed).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerTraits(pub BTreeMap<CustomerTrait, String>);

impl CustomerTraits {
    /// What was reported; never empty.
    pub fn get(&self, name: CustomerTrait) -> Option<&str> {
        self.0.get(&name).map(String::as_str)
    }

    /// Takes from `other` what is not known yet; says whether anything was.
    pub fn fill(&mut self, other: &CustomerTraits) -> bool {
        let before = self.0.len();
        for (name, value) in &other.0 {
            self.0.entry(*name).or_insert_with(|| value.clone());
        }
        self.0.len() != before
    }
}

/// Names and values in the order in which they were received. Names are unique.
pub type Pairs = Vec<(String, String)>;

/// A click as recorded: what the ad platform needs later and the network never knew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Click {
    /// The id that travels with the visitor.
    pub id: ClickId,
    /// When the visitor clicked; never after `recorded_at`.
    pub at: Time,
    /// When it was recorded here.
    pub recorded_at: Time,
    /// The page on which the visitor landed, or was sent to.
    pub landing_url: Option<String>,
    /// The page before.
    pub referrer: Option<String>,
    /// The visitor's address.
    pub ip: Option<IpAddr>,
    /// The browser's own words.
    pub user_agent: Option<String>,
    /// Landing parameters: `fbclid`, `gclid`, `utm_source`…
    pub params: Pairs,
    /// First-party cookies: `_fbp`, `_fbc`…
    pub cookies: Pairs,
    /// `s1`…`s5` and their like.
    pub sub_ids: Pairs,
    /// What was known of the customer when the click was recorded.
    pub customer: CustomerTraits,
    /// Offer, visitor, program, country, and what filters say.
    pub context: ClickContext,
}

/// Why a click counts for no one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum NotBillable {
    /// No one clicked; its [`ClickKind`] says what it was.
    NoVisit,
    /// An enforced filter keeps it from the offer.
    Blocked,
}

/// How a click was received, and what was made of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClickContext {
    /// By which way it was recorded.
    pub origin: ClickOrigin,
    /// Whether someone clicked.
    pub kind: ClickKind,
    /// The campaign whose link it was made on, with its offer and affiliate as they were then.
    pub campaign_ref: Option<CampaignRef>,
    /// The first-party cookie of the browser.
    pub visitor: Option<VisitorId>,
    /// What is known of program and device; `None` where the browser said nothing.
    pub agent: Option<Agent>,
    /// Two capital letters of ISO 3166, where a country file is configured and knows the address.
    pub country: Option<String>,
    /// What each filter said, in order.
    pub verdicts: Vec<FilterVerdict>,
    /// What the visitor answered where this click led. What counts is the visitor's latest answer anywhere:
    /// a store adds it to the clicks that it hands out.
    pub consent: ConsentRecord,
    /// What was sent with it and is not kept, or not whole.
    pub omitted: Omissions,
}

/// By which endpoint a click was received.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClickOrigin {
    /// An own server reported it.
    #[default]
    Api,
    /// A tracking link.
    Link,
    /// The tag on a landing page.
    Tag,
    /// The click pixel: a landing page without JavaScript.
    Pixel,
}

impl ClickOrigin {
    /// As API and pages write it.
    pub fn as_str(self) -> &'static str {
        match self {
            ClickOrigin::Api => "api",
            ClickOrigin::Link => "link",
            ClickOrigin::Tag => "tag",
            ClickOrigin::Pixel => "pixel",
        }
    }
}

/// Whether someone clicked, or a program only looked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClickKind {
    /// A person's click, as far as is known.
    #[default]
    Visit,
    /// A HEAD request: someone checks the link.
    Head,
    /// The browser fetched ahead (`Sec-Purpose: prefetch`).
    Prefetch,
    /// A messenger or social network drew a preview of the link.
    Preview,
}

impl ClickKind {
    /// As API and pages write it.
    pub fn as_str(self) -> &'static str {
        match self {
            ClickKind::Visit => "visit",
            ClickKind::Head => "head",
            ClickKind::Prefetch => "prefetch",
            ClickKind::Preview => "preview",
        }
    }
}

/// What the user agent says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// `desktop`, `mobile`, `tablet`, `tv`, `console`, `bot` or `other`.
    pub device: String,
    /// Name and version, as far as reported: `Windows 10`, `iOS 18`.
    pub system: Option<String>,
    /// Name and version: `Chrome 131`.
    pub browser: Option<String>,
    /// The bot's name, where it is a known one.
    pub bot: Option<String>,
}

impl ClickContext {
    /// Whether the click counts: for caps, for duplicates and for a visitor's conversions.
    pub fn is_billable(&self) -> bool {
        self.not_billable().is_none()
    }

    /// Why it is not billable, where it is not.
    pub fn not_billable(&self) -> Option<NotBillable> {
        let is_visit = self.kind == ClickKind::Visit;
        if is_visit { self.is_blocked().then_some(NotBillable::Blocked) } else { Some(NotBillable::NoVisit) }
    }

    /// Whether an enforced filter keeps the click from the offer.
    pub fn is_blocked(&self) -> bool {
        self.verdicts.iter().any(FilterVerdict::blocks)
    }
}

/// The sub id of this number (1 to 5) by the names that links use for it: `s2`, `sub2`, `aff_sub2`; the first may
/// be `aff_sub` too. An empty one is none.
pub fn sub_id(pairs: &Pairs, number: u8) -> Option<&str> {
    let names = SUB_ID_NAMES.get(usize::from(number).checked_sub(1)?)?;
    names.iter().find_map(|name| find(pairs, name).filter(|value| !value.is_empty()))
}

/// The number (1 to 5) of the sub id that has this name; `None` of another name.
pub fn sub_id_number(name: &str) -> Option<u8> {
    (1..).zip(SUB_ID_NAMES).find(|(_, names)| names.contains(&name)).map(|(number, _)| number)
}

const SUB_ID_NAMES: [&[&str]; 5] = [
    &["s1", "sub1", "aff_sub1", "aff_sub"],
    &["s2", "sub2", "aff_sub2"],
    &["s3", "sub3", "aff_sub3"],
    &["s4", "sub4", "aff_sub4"],
    &["s5", "sub5", "aff_sub5"],
];

/// Looks a name up among pairs.
pub fn find<'a>(pairs: &'a Pairs, name: &str) -> Option<&'a str> {
    pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// Whether `pattern` is `name`, or its beginning with a `*` after it.
pub fn is_covered(pattern: &str, name: &[u8]) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning.as_bytes()),
        None => name == pattern.as_bytes(),
    }
}
