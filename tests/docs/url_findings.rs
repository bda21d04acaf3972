//! What is found in a pasted postback URL: this family, for `docs/reason-codes.md`.

use postbridge::domain::url_finding::UrlFinding;

use crate::docs::reason_codes::{Family, family};

/// What is found in a pasted URL.
pub fn url_findings() -> Family {
    let text = str::to_owned;
    family(
        "What is wrong with a pasted postback URL",
        "what `postbridge url SOURCE --lint URL` says (`reason_code` of `findings` with `--json`), and the page *Sources*.",
        &[
            UrlFinding::NotAnAddress,
            UrlFinding::PlainHttp,
            UrlFinding::OtherHost { found: text("t.example.org"), wanted: text("t.example.com") },
            UrlFinding::OtherPath { found: text("/***/collect/tune"), wanted: text("/***/collect/my-tune") },
            UrlFinding::OtherKey,
            UrlFinding::Fragment { parameter: Some(text("sub2")) },
            UrlFinding::EscapedAmpersand,
            UrlFinding::TwoQuestionMarks { parameter: text("status") },
            UrlFinding::RepeatedParameter { parameter: text("payout") },
            UrlFinding::UnreadParameter { parameter: text("pay_out"), meant: Some(text("payout")) },
            UrlFinding::SkeletonWord {
                parameter: text("click_id"),
                value: text("REPLACE"),
                wanted: Some(text("{sub1}")),
            },
            UrlFinding::UnknownMacro {
                parameter: text("click_id"),
                found: text("{Sub1}"),
                meant: Some(text("{sub1}")),
            },
            UrlFinding::EncodedMacro {
                parameter: text("click_id"),
                found: text("%7Bsub1%7D"),
                plain: text("{sub1}"),
            },
            UrlFinding::WrongConstant { parameter: text("st"), field: "status", value: text("ok") },
            UrlFinding::ConstantId { parameter: text("tid"), field: "transaction_id", value: text("1001") },
            UrlFinding::MissingStatus { entry: text("status={status}") },
            UrlFinding::MissingField { field: "transaction_id", entry: text("tid=#tid#") },
        ],
    )
}
