//! Ids in the configuration: each unique among its kind, and known where another table names it.

use std::fmt::Display;

use crate::domain::ids::{AdvertiserId, AffiliateId, CampaignId, IdError, OfferId, SourceId};
use crate::template::diagnostic::{Problem, did_you_mean};
use crate::template::toml_doc::table::Table;
use crate::template::toml_doc::text::Text;

/// A kind of thing that has ids: how messages call it, and how its ids are read.
pub struct IdKind<T> {
    /// `offer`, as in `[[offer]]`.
    pub word: &'static str,
    pub parse: fn(&str) -> Result<T, IdError>,
    /// An id that could be one.
    pub example: &'static str,
    /// Where ids of this kind come from, for one that names none.
    pub whose_id: &'static str,
    /// Why two may not have the same, from the colon on.
    pub why_unique: &'static str,
}

impl<T: Clone + PartialEq + Display> IdKind<T> {
    /// The `id` of the table; kept among `ids`, also where it is there already, which is a problem.
    pub fn own(&self, section: &Table<'_>, ids: &mut Vec<T>) -> Option<T> {
        let id = section.required("id", &format!("\"{}\"", self.example), |text| self.read(text))?;
        if ids.contains(&id) {
            let what = format!("two {}s have the id `{id}`", self.word);
            section.problem("id", what, format!("give each its own: {}", self.why_unique));
        }
        ids.push(id.clone());
        Some(id)
    }

    /// An id in the right form.
    pub fn read(&self, text: &Text) -> Result<T, Problem> {
        (self.parse)(&text.value).map_err(|error| {
            let hint = format!("{error}; such as \"{}\"", self.example);
            Problem::new(format!("{} is not an id", text.shown()), hint)
        })
    }

    /// An id that is among `known`.
    pub fn one_of(&self, text: &Text, known: &[T]) -> Result<T, Problem> {
        if let Some(id) = known.iter().find(|id| id.to_string() == text.value) {
            return Ok(id.clone());
        }
        let names: Vec<String> = known.iter().map(T::to_string).collect();
        let hint = match did_you_mean(&text.value, names.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("name {} of this file", self.whose_id),
        };
        Err(Problem::new(format!("there is no {} {}", self.word, text.shown()), hint))
    }
}

/// Affiliates and their ids.
pub const AFFILIATE: IdKind<AffiliateId> = IdKind {
    word: "affiliate",
    parse: AffiliateId::parse,
    whose_id: "the id of an [[affiliate]]",
    example: "200",
    why_unique: "campaigns and conversions name it",
};

/// Campaigns and their ids.
pub const CAMPAIGN: IdKind<CampaignId> = IdKind {
    word: "campaign",
    parse: CampaignId::parse,
    whose_id: "the id of a [[campaign]]",
    example: "8599",
    why_unique: "its tracking link is /c/ and the id",
};

pub const OFFER: IdKind<OfferId> = IdKind {
    word: "offer",
    parse: OfferId::parse,
    whose_id: "the id of an [[offer]]",
    example: "565",
    why_unique: "campaigns and conversions name it",
};

pub const ADVERTISER: IdKind<AdvertiserId> = IdKind {
    word: "advertiser",
    parse: AdvertiserId::parse,
    whose_id: "the `advertiser` of an [[offer]]",
    example: "31",
    why_unique: "tokens name it",
};

pub const SOURCE: IdKind<SourceId> = IdKind {
    word: "source",
    parse: SourceId::parse,
    whose_id: "the id of a [[source]]",
    example: "my-network",
    why_unique: "it is part of its postback URL",
};
