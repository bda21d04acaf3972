//! What a conversion or an attempt is shown with though it stopped nothing: closed codes with typed fields.

use serde::{Deserialize, Serialize};

use crate::domain::code::{CodedReason, ReasonCode, codes};
use crate::domain::ids::{ConversionId, OfferId};
use crate::domain::money::Money;
use crate::domain::time::Time;

codes! {
    /// What a conversion or an attempt is shown with.
    RemarkCode = "remark" {
        ValueLeftOut = "value_left_out",
            "the value of the field could not be used as it was received; it was left out of the request",
            "have the source send the value as its template reads it";
        BirthdateAmbiguous = "birthdate_ambiguous",
            "day and month of the birthdate cannot be distinguished; it was left out of the request",
            "say which is first: `birthdate = \"dmy\"` or `\"mdy\"` in `[[source]]`";
        CallingCodeMissing = "calling_code_missing",
            "the phone number has no country's calling code in front; it was left out of the request",
            "say whose numbers the source reports: `phone_region = \"DE\"` in `[[source]]`";
        PayoutScaled = "payout_scaled",
            "the outgoing postback names the payout times its `scale`",
            "nothing to do: the conversion keeps its own payout";
        PersonalizationNotExpressed = "personalization_not_expressed",
            "the visitor refused personalized ads (`ad_personalization`), and the template has no field for it",
            "add the platform's field for it to the template";
        PercentWithoutAmount = "percent_without_amount",
            "the offer pays a percentage of the sale, and no amount was reported: nothing is paid",
            "report the sale's amount";
        NoClick = "no_click",
            "no recorded click belongs to it, so no affiliate earns it",
            "report it by the offer's postback URL, with the click id that the visitor arrived with and the same transaction id";
        TransactionReused = "transaction_reused",
            "its transaction id was received before with another click",
            "an id that every sale has is a constant: put the macro of the order's number in its place at the network";
        SecondSaleOfClick = "second_sale_of_click",
            "its click has had its sale of this offer and event; it waits until a person approves it",
            "approve it if it is another sale; `repeat = true` in the offer's table counts such sales at once";
        Erased = "erased",
            "the data of its person was erased; amounts and ids are left",
            "nothing: it was asked for";
    }
}

/// Something that a person should know of a conversion or of a request that was sent. Values that may be
/// personal are not copied here: they are read from the conversion.
///
/// It is stored: new variants go to the end, and those that are here keep their order and their fields.
#[allow(missing_docs, reason = "the comment of a variant says what its fields are")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Remark {
    /// The conversion has a value for the field that could not be used, so the request was made without it.
    ValueLeftOut { field: String },
    /// The day and the month of a birthdate could not be distinguished, so it was left out.
    BirthdateAmbiguous { field: String },
    /// A phone number is written without its country's calling code, and no one said which country that is.
    CallingCodeMissing { field: String },
    /// The payout that an outgoing postback names is not the conversion's, but that times the configured `scale`.
    PayoutScaled { payout: Money, sent: Money, scale: String },
    /// The visitor refused that ads are chosen by their data (`ad_personalization`), and the platform has no
    /// field for it.
    PersonalizationNotExpressed,
    /// The offer pays a percentage of the sale, and the sale's amount was not reported.
    PercentWithoutAmount { offer: OfferId },
    /// A pixel reported it, and no recorded click belongs to it; with whether it named one.
    NoClick { named: bool },
    /// Its transaction id was received before with another click; it is the `nth` conversion of it.
    TransactionReused { first: ConversionId, nth: u32 },
    /// A route without a key reported it, and the first sale of its click, offer and event is another one:
    /// it waits for a person.
    SecondSaleOfClick { first: ConversionId },
    /// The data of its person was erased then.
    Erased { at: Time },
}

impl CodedReason for Remark {
    type Code = RemarkCode;

    fn code(&self) -> RemarkCode {
        match self {
            Remark::ValueLeftOut { .. } => RemarkCode::ValueLeftOut,
            Remark::BirthdateAmbiguous { .. } => RemarkCode::BirthdateAmbiguous,
            Remark::CallingCodeMissing { .. } => RemarkCode::CallingCodeMissing,
            Remark::PayoutScaled { .. } => RemarkCode::PayoutScaled,
            Remark::PersonalizationNotExpressed => RemarkCode::PersonalizationNotExpressed,
            Remark::PercentWithoutAmount { .. } => RemarkCode::PercentWithoutAmount,
            Remark::NoClick { .. } => RemarkCode::NoClick,
            Remark::TransactionReused { .. } => RemarkCode::TransactionReused,
            Remark::SecondSaleOfClick { .. } => RemarkCode::SecondSaleOfClick,
            Remark::Erased { .. } => RemarkCode::Erased,
        }
    }

    /// As templates name it: `traits.phone`, `payout`…
    fn field(&self) -> Option<&str> {
        Some(match self {
            Remark::Erased { .. } => return None,
            Remark::ValueLeftOut { field }
            | Remark::BirthdateAmbiguous { field }
            | Remark::CallingCodeMissing { field } => field,
            Remark::PersonalizationNotExpressed => "ad_personalization",
            Remark::PayoutScaled { .. } | Remark::PercentWithoutAmount { .. } => "payout",
            Remark::NoClick { .. } => "click_id",
            Remark::TransactionReused { .. } | Remark::SecondSaleOfClick { .. } => "transaction_id",
        })
    }

    fn sentence(&self) -> String {
        match self {
            Remark::ValueLeftOut { field } => {
                format!("`{field}` could not be used as it was received; it was left out of the request")
            }
            Remark::BirthdateAmbiguous { field } => {
                format!("day and month of `{field}` cannot be distinguished; it was left out of the request")
            }
            Remark::CallingCodeMissing { field } => {
                format!("`{field}` has no country's calling code in front; it was left out of the request")
            }
            Remark::PayoutScaled { payout, sent, scale } => {
                format!("payout {payout} sent as {sent} (scale {scale})")
            }
            Remark::PersonalizationNotExpressed => "the visitor refused personalized ads \
                 (`ad_personalization`), and the template has no field of the platform's that says so"
                .to_owned(),
            Remark::PercentWithoutAmount { offer } => format!(
                "the offer {offer} pays a percentage of the sale, and no amount was reported: nothing is paid"
            ),
            Remark::NoClick { named: true } => {
                "the click that it names is not recorded, so no affiliate earns it \
                 before that click is received"
                    .to_owned()
            }
            Remark::NoClick { named: false } => {
                "no recorded click belongs to it (many browsers hold back the cookies of other \
                 sites), so no affiliate earns it"
                    .to_owned()
            }
            Remark::TransactionReused { first, nth } => format!(
                "its transaction id was received before with another click: it is conversion {nth} of this \
                 id, the first one is {first}"
            ),
            Remark::Erased { at } => {
                format!("the data of its person was erased at {at}; amounts and ids are left")
            }
            Remark::SecondSaleOfClick { first } => format!(
                "its click has had its sale of this offer and event, {first}; anyone who has seen a click id can \
                 report more of them, so it waits until a person approves it"
            ),
        }
    }

    fn hint(&self) -> String {
        match self {
            Remark::NoClick { named: true } => {
                "report it again, by the pixel or by the offer's postback URL, with \
                 the click id that the visitor arrived with and the same transaction id"
                    .to_owned()
            }
            _ => self.code().fix().to_owned(),
        }
    }
}

/// When the data of the person was erased whom these remarks are about; `None`: it was not.
pub fn erased_at(remarks: &[Remark]) -> Option<Time> {
    remarks.iter().find_map(|remark| match remark {
        Remark::Erased { at } => Some(*at),
        _ => None,
    })
}
