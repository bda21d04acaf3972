//! What is stored, as decisions look it up: the one side of them that differs by engine.

use std::sync::Arc;

use crate::domain::attempt::AttemptEffect;
use crate::domain::click::Click;
use crate::domain::facts::LaterConversions;
use crate::domain::ids::{ClickId, ConversionId, DestinationId, OfferId, Seq, VisitorId};
use crate::domain::postback::Postback;
use crate::domain::time::Time;
use crate::store::contract::arrival::ArrivalId;
use crate::store::contract::error::StoreError;
use crate::store::contract::work::LeaseToken;
use crate::store::decision::need::{Known, Need};
use crate::store::table::conversion::Record;
use crate::store::table::delivery::DeliverySlot;
use crate::store::table::early_answer::EarlyAnswer;
use crate::store::table::suppression::{LookupClass, SuppressionKey};
use crate::store::table::visitor::Visits;

/// What became of the bytes of a postback that is reprocessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReprocessedChain {
    /// The postback that was received with them.
    pub first: u64,
    /// The one by which they became a conversion, or a part of one.
    pub taken_by: Option<Seq>,
    /// Whether the postback asked for was reprocessed.
    pub is_reprocessed: bool,
}

/// Something that is due and cannot be read: it would come first again and again.
#[derive(Debug, Clone, Copy)]
pub enum UnreadableDue<'a> {
    Expiry(&'a DestinationId, DeliverySlot),
    Holds(u64),
    Disposition(u64),
}

/// What is stored, as of the last commit. What is not at hand is [`Missing`](crate::store::decision::need::Undecided),
/// and known once it was fetched, for as long as one group is decided. A record that is damaged fails what looks it up
/// alone, as [`StoreError::Corrupt`].
pub trait StoredFacts {
    /// Makes all of these known, so far as they are not.
    fn fetch(&self, needs: Vec<Need>);

    /// Whether this is known without [`StoredFacts::fetch`].
    fn is_at_hand(&self, need: &Need) -> bool;

    /// The postback that an arrival became before, where this may be asked for again.
    fn arrived(&self, id: ArrivalId) -> Known<Option<u64>>;

    /// The numbers of the postbacks that may have made the conversion; each has to be confirmed on its record.
    fn candidates(&self, id: &ConversionId) -> Known<Vec<u64>>;

    /// The conversion that postback `number` made, as it is now.
    fn conversion(&self, number: u64) -> Known<Option<Arc<Record>>>;

    /// What is kept of a transaction id besides its first conversion.
    fn later(&self, first: &ConversionId) -> Known<Option<LaterConversions>>;

    /// Up to `most` conversions after `after`, ascending, that may have the claim with this hash; to be confirmed.
    fn claimants(&self, claim: u64, after: u64, most: usize) -> Known<Vec<u64>>;

    /// Up to `most` unmatched conversions after `after`, ascending, that may wait for the click; to be confirmed.
    fn waiting_for(&self, click: &ClickId, after: u64, most: usize) -> Known<Vec<u64>>;

    /// How many conversions count on the offer and the day: see [`crate::store::table::cap_tally::cap_place`].
    fn conversions_on(&self, offer: &OfferId, day: i64) -> Known<i64>;

    /// What became of the bytes of a postback.
    fn chain(&self, of: Seq) -> Known<ReprocessedChain>;

    /// A postback, without its raw bytes.
    fn postback(&self, number: u64) -> Known<Option<Postback>>;

    /// The click with this id.
    fn click(&self, id: &ClickId) -> Known<Option<Arc<Click>>>;

    /// Answers about consent that were received ahead of a click.
    fn answers_ahead(&self, click: &ClickId) -> Known<Option<EarlyAnswer>>;

    /// A browser's clicks and its visitor's answers.
    fn visits(&self, visitor: &VisitorId) -> Known<Visits>;

    /// How many clicks have counted on the offer and the day.
    fn clicks_on(&self, day: i64, offer: &OfferId) -> Known<u64>;

    /// The latest click that a repeat at `at` is known by, within the window of the filters.
    fn earlier_click(&self, likeness: u64, at: Time) -> Known<Option<ClickId>>;

    /// What an attempt meant that was recorded by the lease before, among those of the conversion that end with
    /// number `last`.
    fn attempt_by(
        &self,
        lease: LeaseToken,
        conversion: u64,
        last: Option<u64>,
    ) -> Known<Option<AttemptEffect>>;

    /// Whether the lease is its delivery's latest, and has not ended. From then on no one else is given the delivery
    /// until the commit has ended.
    fn hold(&self, lease: LeaseToken) -> Known<bool>;

    /// Whether a lease of the delivery ran out, and nothing was recorded since.
    fn has_run_out(&self, slot: DeliverySlot) -> Known<bool>;

    /// Whether someone has the delivery in hand.
    fn is_leased(&self, destination: &DestinationId, slot: DeliverySlot) -> Known<bool>;

    /// Up to `most` deliveries to configured destinations that wait past their last moment.
    fn expired(&self, now: Time, most: usize) -> Known<Vec<(DestinationId, DeliverySlot)>>;

    /// Up to `most` conversions with a hold that has ended, the longest ended first.
    fn ended_holds(&self, now: Time, most: usize) -> Known<Vec<u64>>;

    /// Up to `most` conversions whose status changes automatically by now.
    fn due_dispositions(&self, now: Time, most: usize) -> Known<Vec<u64>>;

    /// Up to `most` unfinished deliveries of a destination.
    fn unfinished(&self, destination: &DestinationId, most: usize) -> Known<Vec<DeliverySlot>>;

    /// Leaves something out of what is due, until the next start.
    fn leave_out(&self, due: UnreadableDue<'_>);

    /// Whether a value is on the list.
    fn is_listed(&self, list: &str, token: &SuppressionKey) -> Known<bool>;

    /// The lists that a value is on, by name.
    fn lists_of(&self, token: &SuppressionKey) -> Known<Vec<String>>;

    /// Up to `most` entries of a list.
    fn list_entries(&self, list: &str, most: usize) -> Known<Vec<(LookupClass, SuppressionKey)>>;

    /// Whether a text is kept under this name.
    fn has_text(&self, name: &str) -> Known<bool>;

    /// Ends the store, because of what no decision can go on without.
    fn fail(&self, doing: &'static str, cause: String) -> StoreError;
}
