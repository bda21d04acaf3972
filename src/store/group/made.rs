//! What an arrival turned out to be, before the group is written.

use crate::domain::conversion::Conversion;
use crate::domain::ids::{ConversionId, Seq, SourceId};
use crate::domain::postback::{RawRequest, Verdict};
use crate::domain::rejection::Rejection;
use crate::domain::rejection::sale::SaleProblem;
use crate::domain::time::Time;
use crate::store::layout::DeliveryStates;
use crate::store::records::Record;

/// The most changes one conversion can go through. Each change rewrites it whole.
pub(in crate::store) const MAX_CHANGES: usize = 500;

/// What an arrival turned out to be.
pub(super) enum ArrivalOutcome {
    New(Box<Conversion>, DeliveryStates),
    Update {
        number: u64,
        old: Box<Record>,
        new: Box<Record>,
    },
    Duplicate(Box<Conversion>),
    Nothing(Verdict),
    /// It takes back a sale that has one of these ids, and none of them is known.
    UnknownSale(Rejection, Vec<ConversionId>),
}

impl ArrivalOutcome {
    pub(super) fn quarantined(rejection: Rejection) -> ArrivalOutcome {
        ArrivalOutcome::Nothing(Verdict::Quarantined(rejection))
    }

    pub(super) fn outcome(&self) -> (Verdict, Option<bool>) {
        let matched = |conversion: &Conversion| Some(conversion.attribution.is_matched());
        match self {
            ArrivalOutcome::New(new, _) => (Verdict::Accepted { conversion: new.id }, matched(new)),
            ArrivalOutcome::Update { new, .. } => {
                (Verdict::Updated { conversion: new.conversion.id }, matched(&new.conversion))
            }
            ArrivalOutcome::Duplicate(known) => (Verdict::Duplicate { conversion: known.id }, matched(known)),
            ArrivalOutcome::Nothing(verdict) => (verdict.clone(), None),
            ArrivalOutcome::UnknownSale(rejection, _) => (Verdict::Quarantined(rejection.clone()), None),
        }
    }
}

/// What an arrival brings whatever it turns out to be.
pub(super) struct ArrivedPostback {
    pub seq: Seq,
    pub received_at: Time,
    pub source: Option<SourceId>,
    pub raw: RawRequest,
    pub again: Option<Seq>,
}

pub(super) fn too_often(conversion: &Conversion) -> Rejection {
    SaleProblem::TooManyChanges { conversion: conversion.id, most: MAX_CHANGES as u64 }.into()
}
