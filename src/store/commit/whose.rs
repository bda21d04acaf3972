//! How much of a record is of the persons whose data is to be erased.

use serde::Serialize;

use crate::domain::click::Click;
use crate::domain::conversion::Conversion;
use crate::domain::erasure::find::MaskLength;
use crate::domain::erasure::identity::KnownIdentities;
use crate::domain::erasure::persons::{ErasedPart, PersonMarks};
use crate::domain::erasure::texts::TextMask;
use crate::domain::ids::ConversionId;
use crate::domain::postback::Verdict;
use crate::store::codec::{self, corrupt};
use crate::store::contract::error::StoreError;
use crate::store::records::StoreShared;
use crate::store::table::delivery::DeliveryStates;
use crate::store::table::postback::{PostbackBody, RawPostback};

/// A postback with the conversion that it made and its bytes, as far as they are kept.
#[derive(Clone, Copy)]
pub struct WholePostback<'a> {
    pub body: &'a PostbackBody,
    /// See [`caused`].
    pub caused: &'a CausedConversions,
    pub raw: Option<&'a RawPostback<'static>>,
    /// As it is now.
    pub conversion: Option<&'a Conversion>,
    pub standing: Option<&'a DeliveryStates>,
}

impl WholePostback<'_> {
    /// Whether any of its texts names them.
    pub fn is_named(&self, known: &KnownIdentities) -> Result<bool, StoreError> {
        is_named_in(known, &(self.body, self.raw, self.conversion, self.standing))
    }

    /// How much of it is theirs; `None`: nothing.
    pub fn part(&self, known: &KnownIdentities) -> Result<Option<ErasedPart>, StoreError> {
        let is_whole =
            |conversion: &Conversion| PersonMarks::of_conversion(conversion).part(known) == ErasedPart::Whole;
        if [self.body.conversion.as_ref(), self.conversion].into_iter().flatten().any(is_whole) {
            return Ok(Some(ErasedPart::Whole));
        }
        let is_of_theirs = self.body.conversion.is_none() && self.caused.is_known(known);
        // Nothing was made of it: no one else's data is in it, as far as is known.
        let is_theirs = is_of_theirs || !self.caused.is_settled && self.is_named(&known.with_ids())?;
        if is_theirs || self.names_them_alone(known)? {
            return Ok(Some(ErasedPart::Whole));
        }
        Ok(self.is_named(&known.in_others())?.then_some(ErasedPart::Texts))
    }

    /// Whether it made a conversion that no one is known by, and its texts name these persons and no one else.
    fn names_them_alone(&self, known: &KnownIdentities) -> Result<bool, StoreError> {
        let mut conversions =
            [self.body.conversion.as_ref(), self.conversion].into_iter().flatten().peekable();
        if conversions.peek().is_none()
            || conversions.any(|one| PersonMarks::of_conversion(one).names_mailbox())
        {
            return Ok(false);
        }
        are_alone_in(known, &(self.body, self.raw, self.conversion, self.standing))
    }
}

/// How much of a click is theirs; `None`: nothing.
pub fn part_of_click(click: &Click, known: &KnownIdentities) -> Result<Option<ErasedPart>, StoreError> {
    let marks = PersonMarks::of_click(click);
    if marks.part(known) == ErasedPart::Whole || !marks.names_mailbox() && are_alone_in(known, click)? {
        return Ok(Some(ErasedPart::Whole));
    }
    Ok(is_named_in(&known.in_others(), click)?.then_some(ErasedPart::Texts))
}

/// Whether the texts of a record name the mailbox of one of them, and none of anyone else.
fn are_alone_in<T: Serialize>(known: &KnownIdentities, record: &T) -> Result<bool, StoreError> {
    let mailboxes = known.mailboxes();
    let mask = TextMask::new(&mailboxes, MaskLength::Marker).looking_for_others();
    codec::record(&mask.of(record)).map_err(|error| corrupt(b"a text", &error))?;
    Ok(mask.has_found() && !mask.has_found_another())
}

/// The conversions that a postback is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CausedConversions {
    /// The one that it made, changed or repeated, or that was made of its bytes once they were reprocessed; of one that
    /// takes back a sale that is not known, those that the sale may be.
    pub conversions: Vec<ConversionId>,
    /// Whether anything was made, changed or repeated.
    pub is_settled: bool,
}

impl CausedConversions {
    /// Whether any of them is one of those persons'.
    pub fn is_known(&self, known: &KnownIdentities) -> bool {
        self.conversions.iter().any(|id| known.knows_conversion(id))
    }

    /// The only one.
    pub fn only(&self) -> Option<ConversionId> {
        self.conversions.first().copied().filter(|_| self.conversions.len() == 1)
    }
}

/// What a postback is about.
pub fn caused(
    shared: &StoreShared,
    (day, number): (i32, u64),
    body: &PostbackBody,
) -> Result<CausedConversions, StoreError> {
    if let Some(id) = body.postback.verdict.conversion() {
        return Ok(CausedConversions { conversions: vec![id], is_settled: true });
    }
    let taken = {
        let index = shared.index.lock();
        let taken = index.taken_by(index.first_of(number));
        taken.and_then(|by| Some((index.days.of(by)?, by)))
    };
    let mut conversions = match body.postback.verdict {
        Verdict::Quarantined(_) => {
            shared.reader.head_of(day, number)?.map(|head| head.sales).unwrap_or_default()
        }
        _ => Vec::new(),
    };
    let by = match taken {
        Some((day, by)) => shared.reader.body_of(day, by)?,
        None => None,
    };
    let made = by.and_then(|by| by.postback.verdict.conversion());
    conversions.extend(made);
    Ok(CausedConversions { conversions, is_settled: made.is_some() })
}

/// Whether a text of a record names any of them.
pub fn is_named_in<T: Serialize>(known: &KnownIdentities, record: &T) -> Result<bool, StoreError> {
    let mask = TextMask::new(known, MaskLength::Marker);
    codec::record(&mask.of(record)).map_err(|error| corrupt(b"a text", &error))?;
    Ok(mask.has_found())
}
