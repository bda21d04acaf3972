//! What a list is asked for: its filters, limit and cursor, read from the query for the API and the pages alike.

use std::fmt::Display;

use crate::domain::code::ReasonCode;
use crate::domain::delivery::DeliveryStateName;
use crate::domain::ids::{
    AffiliateId, CampaignId, ClickId, CreativeId, DestinationId, OfferId, SourceId, VisitorId,
};
use crate::domain::postback::VerdictName;
use crate::domain::rejection::code::RejectionCode;
use crate::domain::status::Status;
use crate::domain::time::Time;
use crate::domain::unsent::{UndeliveredCode, UnsentContext};
use crate::store::contract::lookup::{
    ClickFilter, ConversionFilter, DeliveryFilter, PageRequest, PostbackFilter, ReasonFilter,
};
use crate::template::diagnostic::did_you_mean;

/// A parameter that cannot be used, in a sentence.
#[derive(Debug)]
pub struct BadParameter(pub String);

impl BadParameter {
    /// How to fix it.
    pub const HINT: &str = "correct it, or leave it out";

    pub fn new(name: &str, received_text: &str, allowed: &str) -> BadParameter {
        BadParameter(format!("`{name}` is `{received_text}`: {allowed}"))
    }
}

/// An id that was received in a path.
///
/// # Errors
/// A text that is none.
pub fn id<T, E: Display>(
    received_text: &str,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<T, BadParameter> {
    parse(received_text).map_err(|error| BadParameter::new("id", received_text, &error.to_string()))
}

/// The query of a list, its names checked.
pub struct Query(Vec<(String, String)>);

/// The filters that each list reads.
pub const CONVERSIONS: &[&str] = &[
    "source",
    "state",
    "irreversible",
    "event",
    "status",
    "transaction_id",
    "click_id",
    "offer",
    "campaign",
    "affiliate",
    "creative",
    "s1",
    "s2",
    "s3",
    "s4",
    "s5",
    "since",
    "until",
];
pub const POSTBACKS: &[&str] = &["source", "status", "reason_code", "field", "open", "since", "until"];
/// What the page of a list is chosen by.
pub const PAGE: [&str; 2] = ["limit", "cursor"];
pub const CLICKS: &[&str] = &["offer", "campaign", "affiliate", "visitor", "marked", "since", "until"];
pub const DELIVERIES: &[&str] = &[
    "destination",
    "reason_code",
    "source",
    "state",
    "event",
    "status",
    "transaction_id",
    "click_id",
    "since",
    "until",
];

impl Query {
    /// Reads a raw query. Empty values count as absent, so that a form can send all its fields.
    ///
    /// # Errors
    /// A name that occurs twice.
    pub fn read(query: &[u8]) -> Result<Query, BadParameter> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(query) {
            if pairs.iter().any(|(known, _)| *known == name) {
                return Err(BadParameter::new(&name, &value, "it occurs twice"));
            }
            if !value.trim().is_empty() {
                pairs.push((name.into_owned(), value.trim().to_owned()));
            }
        }
        Ok(Query(pairs))
    }

    /// Refuses a name that is not read, so that no one acts on an answer that did not hear what was asked.
    ///
    /// # Errors
    /// A name other than these.
    pub fn only(&self, known: &[&str]) -> Result<(), BadParameter> {
        let Some((name, value)) = self.0.iter().find(|(name, _)| !known.contains(&name.as_str())) else {
            return Ok(());
        };
        let allowed = match known {
            [] => "no parameter is read here".to_owned(),
            [one] => format!("the only parameter here is {one}"),
            [most @ .., last] => format!("the parameters here are {} and {last}", most.join(", ")),
        };
        Err(BadParameter::new(name, value, &allowed))
    }

    /// The value of a name, if it was received.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn parsed<T>(
        &self,
        name: &str,
        allowed: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, BadParameter> {
        self.get(name)
            .map(|received_text| {
                parse(received_text).ok_or_else(|| BadParameter::new(name, received_text, allowed))
            })
            .transpose()
    }

    /// A reason's code; one that is not known is answered with the nearest that is.
    fn reason_code<T>(
        &self,
        parse: impl Fn(&str) -> Option<T>,
        known: impl IntoIterator<Item = &'static str>,
    ) -> Result<Option<T>, BadParameter> {
        let name = "reason_code";
        let Some(received_text) = self.get(name) else { return Ok(None) };
        if let Some(code) = parse(received_text) {
            return Ok(Some(code));
        }
        let allowed = match did_you_mean(received_text, known) {
            Some(nearest) => format!("there is no such code here; did you mean `{nearest}`?"),
            None => "there is no such code here; docs/reason-codes.md lists them".to_owned(),
        };
        Err(BadParameter::new(name, received_text, &allowed))
    }

    fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    /// The id of something that the configuration names.
    fn configured<T, E>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Option<T>, BadParameter> {
        let any = "no id in the configuration is written so";
        self.parsed(name, any, |received_text| parse(received_text).ok())
    }

    fn time(&self, name: &str) -> Result<Option<Time>, BadParameter> {
        self.parsed(name, "a time is written 2026-11-20T10:00:00Z", Time::parse)
    }

    /// Whether a parameter says `true`: not where it is absent.
    pub fn flag(&self, name: &str) -> Result<bool, BadParameter> {
        let read = self.parsed(name, "it is true or false", |received_text| received_text.parse().ok());
        Ok(read?.unwrap_or(false))
    }

    fn source(&self) -> Result<Option<SourceId>, BadParameter> {
        self.parsed("source", "no source can have this id", |received_text| {
            SourceId::parse(received_text).ok()
        })
    }

    fn state(&self) -> Result<Option<DeliveryStateName>, BadParameter> {
        let allowed = "a state is held, waiting, delivered, dead or skipped";
        self.parsed("state", allowed, DeliveryStateName::parse)
    }

    /// Limit and cursor.
    ///
    /// # Errors
    /// A limit outside 1–1000.
    pub fn page(&self) -> Result<PageRequest, BadParameter> {
        let limit = self.parsed("limit", "a limit is 1 to 1000", |received_text| {
            received_text.parse().ok().filter(|n| (1..=1000).contains(n))
        })?;
        Ok(PageRequest { cursor: self.text("cursor"), limit: limit.unwrap_or(100) })
    }

    /// # Errors
    /// A value that its field cannot have.
    pub fn conversion_filter(&self) -> Result<ConversionFilter, BadParameter> {
        Ok(ConversionFilter {
            source: self.source()?,
            event: self.text("event"),
            status: self.parsed("status", Status::EXPECTED, Status::parse)?,
            transaction_id: self.text("transaction_id"),
            click_id: self.text("click_id"),
            since: self.time("since")?,
            until: self.time("until")?,
            offer: self.configured("offer", OfferId::parse)?,
            campaign: self.configured("campaign", CampaignId::parse)?,
            affiliate: self.configured("affiliate", AffiliateId::parse)?,
            creative: self.configured("creative", CreativeId::parse)?,
            sub_ids: ["s1", "s2", "s3", "s4", "s5"].map(|name| self.text(name)),
            state: self.state()?,
            irreversible_only: self.flag("irreversible")?,
        })
    }

    /// # Errors
    /// A value that its field cannot have.
    pub fn postback_filter(&self) -> Result<PostbackFilter, BadParameter> {
        Ok(PostbackFilter {
            source: self.source()?,
            verdict: self.parsed(
                "status",
                "a postback is accepted, updated, duplicate, quarantined or refused",
                VerdictName::parse,
            )?,
            reason_code: self.reason_code(RejectionCode::parse, RejectionCode::words())?,
            field: self.text("field"),
            open_only: self.flag("open")?,
            since: self.time("since")?,
            until: self.time("until")?,
        })
    }

    /// # Errors
    /// A value that its field cannot have.
    pub fn delivery_filter(&self, circumstances: &UnsentContext) -> Result<DeliveryFilter, BadParameter> {
        let any = "no destination can have this id";
        let destination =
            self.parsed("destination", any, |received_text| DestinationId::parse(received_text).ok())?;
        let code = self.reason_code(UndeliveredCode::parse, UndeliveredCode::words())?;
        let reason = code.map(|code| ReasonFilter { code, circumstances: circumstances.clone() });
        Ok(DeliveryFilter { destination, state: self.state()?, reason, of: self.conversion_filter()? })
    }

    /// # Errors
    /// A value that its field cannot have.
    pub fn click_filter(&self) -> Result<ClickFilter, BadParameter> {
        Ok(ClickFilter {
            offer: self.configured("offer", OfferId::parse)?,
            campaign: self.configured("campaign", CampaignId::parse)?,
            affiliate: self.configured("affiliate", AffiliateId::parse)?,
            visitor: self.parsed("visitor", "no visitor can have this id", |received_text| {
                VisitorId::parse(received_text).ok()
            })?,
            since: self.time("since")?,
            until: self.time("until")?,
            marked_only: self.flag("marked")?,
        })
    }
}

/// The most conversions that are shown with their click.
const MOST_CONVERSIONS: usize = 100;

/// What asks for the conversions that name a click or were joined to it.
pub fn conversions_of(click: &ClickId) -> (ConversionFilter, PageRequest) {
    let filter =
        ConversionFilter { click_id: Some(click.as_str().to_owned()), ..ConversionFilter::default() };
    (filter, PageRequest { cursor: None, limit: MOST_CONVERSIONS })
}
