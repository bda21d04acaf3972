//! Families for `docs/reason-codes.md`: why a status may not change, no test event is sent, a refresh token cannot be kept, a
//! person's data is not erased; and what is missing of a click.

use postbridge::domain::code::ReasonCode;
use postbridge::domain::erasure::subject::SubjectRefused;
use postbridge::domain::event::EventName;
use postbridge::domain::omission::{Omission, OmissionReason};
use postbridge::domain::secret_store::SecretNotKept;
use postbridge::domain::skip::{MissingValue, SkipReason};
use postbridge::domain::status_move::MoveRefused;
use postbridge::domain::test_event::{MissingSetting, TestRefused};

use crate::docs::reason_codes::{Family, family, stored_family};

/// What a test event is refused for.
pub fn refused_tests() -> Family {
    let place = "`error.code` of `POST /api/v1/destinations/{id}/test`, what `postbridge send-test` says, and the page's \
                 answer.";
    let setting = |name: &str, label: &str, hint: &str| MissingSetting {
        name: name.to_owned(),
        label: label.to_owned(),
        hint: hint.to_owned(),
    };
    family(
        "Why no test event is sent",
        place,
        &[
            TestRefused::NoTestMode,
            TestRefused::SettingMissing(vec![setting(
                "test_code",
                "Test code",
                "Events Manager → Test events",
            )]),
            TestRefused::EventNotMapped {
                event: EventName::parse("Quiz").unwrap(),
                known: vec!["Lead".to_owned(), "Purchase".to_owned()],
            },
            TestRefused::Counts,
            TestRefused::MayCount,
            TestRefused::SameAsLive,
            TestRefused::NothingToSend(SkipReason::PayloadIncomplete(Box::new(MissingValue {
                fields: vec!["/user/cid".to_owned()],
                any: false,
                why: "the platform finds the person by it".to_owned(),
                click: None,
                hint: None,
            }))),
            TestRefused::Unrendered {
                what: "`url` is no web address".to_owned(),
                hint: "write it whole".to_owned(),
            },
            TestRefused::TooSoon { seconds: 3 },
            TestRefused::NotReady,
        ],
    )
}

/// What is missing of a click.
pub fn omissions() -> Family {
    let long = Omission::new("cookies._ga", OmissionReason::ClickValueTooLong, (5000, 0));
    let many = Omission::new("params.x64", OmissionReason::TooManyNames, (12, 0));
    let large = Omission::new("landing_url", OmissionReason::ClickTooLarge, (7000, 5000));
    let rate = Omission::new("referrer", OmissionReason::AddressRate, (900, 200));
    let place = "`reason_code` of what is `omitted` of a click, where its `code` is `left_out` or `cut`, and of such a \
                 note of `POST /api/v1/clicks`.";
    let erased = Omission::new("click", OmissionReason::Erased, (1, 0));
    stored_family("What is missing of a click", place, &[long, many, large, rate, erased])
}

/// Why no one's data is erased.
pub fn refused_erasures() -> Family {
    let place = "`work.reason_code` of `GET /api/v1/erasures/work`, `error.code` of `POST /api/v1/erasures`, what `postbridge erase` says, \
         and the page's answer.";
    let examples = [
        SubjectRefused::Empty,
        SubjectRefused::NotAnEmail,
        SubjectRefused::NotAPhone,
        SubjectRefused::NoCallingCode,
        SubjectRefused::TooLong,
        SubjectRefused::SeveralPersons { persons: 3 },
        SubjectRefused::TooMany { most: 10_000 },
        SubjectRefused::NothingFound,
    ];
    family("Why an erasure is refused", place, &examples)
}

/// What keeps a refresh token that takes the place of another out of its file.
pub fn unkept_tokens() -> Family {
    let setting = || "refresh_token".to_owned();
    family(
        "Why another refresh token cannot be kept",
        "`sign_in_warning` of `GET /api/v1/destinations`, a warning of `postbridge check`, and the page *Destinations*.",
        &[
            SecretNotKept::NoFile { setting: setting() },
            SecretNotKept::Unwritable { setting: setting(), cause: "permission denied".to_owned() },
            SecretNotKept::Mounted { setting: setting() },
        ],
    )
}

/// What a wish for another status is refused for.
pub fn status_moves() -> Family {
    let place = "`error.code` of `POST /api/v1/conversions/{id}/status`, the beginning of the message of \
                 `update_conversion.json`, and the page's answer.";
    family("Why a status may not change", place, MoveRefused::ALL)
}
