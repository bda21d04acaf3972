//! How the texts of the views are described in the API's document: times, and words of closed lists.

use std::borrow::Cow;
use std::collections::BTreeSet;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::domain::attempt::AttemptPurpose;
use crate::domain::code::ReasonCode;
use crate::domain::delivery::DeliveryStateName;
use crate::domain::delivery_reason::RetryRefusedCode;
use crate::domain::erasure::subject::SubjectRefusedCode;
use crate::domain::error_code::ErrorCode;
use crate::domain::import_refusal::ImportRefusedCode;
use crate::domain::postback::VerdictName;
use crate::domain::rejection::code::RejectionCode;
use crate::domain::reprocess_refusal::ReprocessRefusedCode;
use crate::domain::sent::{Confirmation, DeliveryKind};
use crate::domain::status::Status;
use crate::domain::status_move::MoveRefused;
use crate::domain::test_event::TestRefusedCode;

/// A time, RFC 3339 in UTC.
pub struct TimeText;

impl JsonSchema for TimeText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "date-time"})
    }
}

/// What a visitor answered; null where a question was not answered.
pub struct ConsentAnswers;

impl JsonSchema for ConsentAnswers {
    fn schema_name() -> Cow<'static, str> {
        "Consent".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let answer = |what: &str| json_schema!({"type": ["boolean", "null"], "description": what});
        json_schema!({
            "type": "object",
            "properties": {
                "ad_user_data": answer("data about the visitor may be sent to ad platforms"),
                "ad_personalization": answer("ads may be chosen by it"),
            },
            "required": ["ad_user_data", "ad_personalization"],
        })
    }
}

/// What the API may answer as the code of an error: those of a request, of what is asked for, and of its head and body.
fn error_words() -> BTreeSet<&'static str> {
    let asked = RetryRefusedCode::words().chain(ReprocessRefusedCode::words()).chain(MoveRefused::words());
    let asked = asked.chain(TestRefusedCode::words()).chain(SubjectRefusedCode::words());
    let of_request = RejectionCode::words().chain(ImportRefusedCode::words());
    ErrorCode::words().chain(asked).chain(of_request).collect()
}

/// Defines a text that is one word of a closed list.
macro_rules! word {
    ($(#[$meaning:meta])* $name:ident, $title:literal, $words:expr) => {
        $(#[$meaning])*
        pub struct $name;

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                $title.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"type": "string", "enum": $words})
            }
        }
    };
}

word!(
    /// The status of a conversion.
    StatusWord, "Status", Status::ALL.map(Status::as_str)
);
word!(
    /// The state of a delivery.
    DeliveryStateWord, "DeliveryState", DeliveryStateName::ALL.map(DeliveryStateName::as_str)
);
word!(
    /// How certain it is that the platform took what is delivered: `confirmed` by its answer, a `duplicate` of what it
    /// had, `counted` where it only says how many it took, `unverified` where it never says.
    ConfirmationWord, "Confirmation", Confirmation::ALL.map(Confirmation::as_str)
);
word!(
    /// What the request of an attempt was for.
    AttemptPurposeWord, "AttemptPurpose", AttemptPurpose::ALL.map(AttemptPurpose::as_str)
);
word!(
    /// What a delivery says of its conversion.
    DeliveryKindWord, "DeliveryKind", DeliveryKind::ALL.map(DeliveryKind::as_str)
);
word!(
    /// The code of an error.
    ErrorWord, "ErrorCode", error_words()
);
word!(
    /// What became of a postback.
    VerdictWord, "Verdict", VerdictName::ALL.map(VerdictName::as_str)
);
