//! A conversion end to end: its click, its postbacks, its history, and each delivery with all attempts.

use serde::Serialize;

use crate::domain::advertiser_number::AdvertiserNumbers;
use crate::domain::delivery::{Attempt, Delivery, sent_before};
use crate::domain::unsent::{self, Circumstances};
use crate::store::Trace;
use crate::view::attempt::AttemptView;
use crate::view::click::ClickView;
use crate::view::conversion::{ChangeView, ConversionView, UnsentView};
use crate::view::delivery::DeliveryView;
use crate::view::postback::PostbackView;

/// One conversion with all that belongs to it.
#[derive(Serialize)]
pub struct TraceView<'a> {
    #[serde(flatten)]
    conversion: ConversionView<'a>,
    unsent: Option<UnsentView>,
    deliveries: Vec<TracedDeliveryView<'a>>,
    /// The number by which its advertiser knows it, once an advertiser was given one.
    advertiser_number: Option<u64>,
    history: Vec<ChangeView<'a>>,
    click: Option<ClickView<'a>>,
    postbacks: Vec<PostbackView<'a>>,
}

/// A delivery with its attempts in their order.
#[derive(Serialize)]
struct TracedDeliveryView<'a> {
    #[serde(flatten)]
    delivery: DeliveryView<'a>,
    attempt_log: Vec<AttemptView<'a>>,
}

impl<'a> TraceView<'a> {
    pub fn of(
        trace: &'a Trace,
        circumstances: &Circumstances,
        numbers: Option<&AdvertiserNumbers>,
    ) -> TraceView<'a> {
        let conversion = &trace.conversion;
        let all: Vec<Delivery> = trace.deliveries.iter().map(|(delivery, _)| delivery.clone()).collect();
        let unsent = unsent::of_conversion(conversion, &all, &circumstances.rules);
        let delivery = |(one, attempts): &'a (Delivery, Vec<Attempt>)| TracedDeliveryView {
            delivery: DeliveryView::of(conversion, (one, sent_before(&all, one)), circumstances),
            attempt_log: attempts.iter().map(AttemptView::of).collect(),
        };
        let consent = conversion.consent_with(trace.click.as_deref());
        TraceView {
            conversion: ConversionView::of(conversion).with_consent(consent),
            unsent: unsent.as_ref().map(UnsentView::of),
            deliveries: trace.deliveries.iter().map(delivery).collect(),
            advertiser_number: numbers.and_then(|numbers| numbers.of(conversion)),
            history: conversion.history.iter().map(ChangeView::of).collect(),
            click: trace.click.as_deref().map(ClickView::of),
            postbacks: trace.postbacks.iter().map(PostbackView::of).collect(),
        }
    }
}
