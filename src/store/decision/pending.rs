//! What an arrival turned out to be, and what a group makes and changes, before it is written.

use std::sync::Arc;

use crate::domain::click::Click;
use crate::domain::conversion::Conversion;
use crate::domain::facts::LaterConversions;
use crate::domain::ids::ConversionId;
use crate::domain::postback::{RawRequest, Verdict};
use crate::domain::rejection::Rejection;
use crate::domain::rejection::sale::SaleProblem;
use crate::store::table::attempt::StoredAttempt;
use crate::store::table::conversion::{Record, Sketch};
use crate::store::table::delivery::DeliveryStates;
use crate::store::table::postback::PostbackBody;

/// The most changes one conversion can go through. Each change rewrites it whole.
pub const MAX_CHANGES: usize = 500;

/// What an arrival turned out to be.
pub enum ArrivalOutcome {
    New {
        conversion: Box<Conversion>,
        standing: DeliveryStates,
        /// What is kept of its transaction id then, by the id of the first conversion, where it is a further one.
        later: Option<(ConversionId, LaterConversions)>,
    },
    Update {
        number: u64,
        old: Arc<Record>,
        new: Box<Record>,
    },
    Duplicate(Box<Conversion>),
    Nothing(Verdict),
    /// It takes back a sale that has one of these ids, and none of them is known.
    UnknownSale(Rejection, Vec<ConversionId>),
}

impl ArrivalOutcome {
    pub fn quarantined(rejection: Rejection) -> ArrivalOutcome {
        ArrivalOutcome::Nothing(Verdict::Quarantined(rejection))
    }

    pub fn outcome(&self) -> (Verdict, Option<bool>) {
        let matched = |conversion: &Conversion| Some(conversion.attribution.is_matched());
        match self {
            ArrivalOutcome::New { conversion, .. } => {
                (Verdict::Accepted { conversion: conversion.id }, matched(conversion))
            }
            ArrivalOutcome::Update { new, .. } => {
                (Verdict::Updated { conversion: new.conversion.id }, matched(&new.conversion))
            }
            ArrivalOutcome::Duplicate(known) => (Verdict::Duplicate { conversion: known.id }, matched(known)),
            ArrivalOutcome::Nothing(verdict) => (verdict.clone(), None),
            ArrivalOutcome::UnknownSale(rejection, _) => (Verdict::Quarantined(rejection.clone()), None),
        }
    }
}

pub fn too_often(conversion: &Conversion) -> Rejection {
    SaleProblem::TooManyChanges { conversion: conversion.id, most: MAX_CHANGES as u64 }.into()
}

/// A postback that the group brings, with the conversion it makes.
pub struct NewPostback<'a> {
    /// Without the raw bytes.
    pub body: PostbackBody,
    pub raw: &'a RawRequest,
    pub sketch: Option<Sketch>,
    /// The sales that it takes back, none of which is known.
    pub sales: Vec<ConversionId>,
}

/// A conversion that the group changes.
pub struct ChangedConversion {
    /// As the index knows it; `None` when the group brings it.
    pub before: Option<Arc<Record>>,
    pub record: Arc<Record>,
    /// More than the deliveries' standing has changed: it is written whole.
    pub whole: bool,
}

/// An attempt that the group records.
pub struct NewAttempt {
    pub number: u64,
    pub stored: StoredAttempt,
}

/// A click that the group writes.
pub struct NewClick {
    pub click: Arc<Click>,
    /// Whether it replaces no record.
    pub is_new: bool,
}
