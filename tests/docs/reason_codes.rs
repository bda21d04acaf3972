//! `docs/reason-codes.md` is what the code says: every family of codes, and of each code an example. `BLESS=1`
//! rewrites it.

use std::fmt::Write;
use std::path::Path;

use postbridge::domain::attribution::AttributionState;
use postbridge::domain::candidate::NotChosen;
use postbridge::domain::clock_rule::Doubt;
use postbridge::domain::code::{CodedReason, ReasonCode};
use postbridge::domain::filter_verdict::{FilterHit, ListedTrait};
use postbridge::domain::history::{FieldChange, FromTo};
use postbridge::domain::ids::{ClickId, OfferId};
use postbridge::domain::money::Money;
use postbridge::domain::offer::OfferStatus;
use postbridge::domain::omission::{Omission, OmissionReason};
use postbridge::domain::status::Status;
use postbridge::domain::status_move::MoveRefused;
use postbridge::domain::status_reason::StatusReason;
use postbridge::domain::suppression::SuppressedKind;

use crate::docs::rejection_codes::{notes, rejections};
use crate::support::known_facts::{noon, usd};

const BEGINNING: &str = "# Reason codes

Programs compare codes, never sentences. API, pages, metrics and logs carry the code; the sentence next to it is for
people and may change. This page is made from the program's own lists: `BLESS=1` with the test
`docs::reason_codes` writes it anew.
";

/// One family: where its codes are, and a table of them.
pub fn family<R: CodedReason>(title: &str, place: &str, examples: &[R]) -> String {
    let mut text =
        format!("\n## {title}\n\n{place}\n\n| code | means | fix | example |\n|---|---|---|---|\n");
    for code in R::Code::ALL {
        let example = examples.iter().find(|example| example.code() == *code);
        let example = example.unwrap_or_else(|| panic!("{title}: no example of {code:?}")).sentence();
        let (code, means, fix) = (code.as_str(), code.meaning(), code.fix());
        let cells = [means, fix, &example].map(|cell| cell.replace('|', "\\|"));
        writeln!(text, "| `{code}` | {} |", cells.join(" | ")).unwrap();
    }
    text
}

fn families() -> String {
    [
        rejections(),
        notes(),
        status_reasons(),
        status_moves(),
        history(),
        candidates(),
        filters(),
        omissions(),
        clock(),
    ]
    .concat()
}

fn offer(id: &str) -> OfferId {
    OfferId::parse(id).unwrap()
}

fn status_reasons() -> String {
    let click = ClickId::parse("0mwpksvhilar8xlr3p1necay2ja82").unwrap();
    let place = "`reason_code` of a conversion, with `reason` and `hint`.";
    family(
        "Why a conversion is as it is",
        place,
        &[
            StatusReason::ClickExpired { click, clicked_at: Some(noon(-800)), session_hours: Some(720) },
            StatusReason::Suppressed { list: "refunds".to_owned(), kind: SuppressedKind::Email },
            StatusReason::OfferNotActive { status: OfferStatus::Paused },
            StatusReason::ConversionCap { most: 500, observed: false },
            StatusReason::PageValueIgnored,
            StatusReason::ClickOfAnotherOffer {
                click: "c1".to_owned(),
                of: offer("566"),
                wanted: offer("565"),
            },
        ],
    )
}

fn status_moves() -> String {
    let place = "`error.code` of `POST /api/v1/conversions/{id}/status`, the beginning of the message of \
                 `update_conversion.json`, and the page's answer.";
    family("Why a status may not change", place, MoveRefused::ALL)
}

fn history() -> String {
    let amount = |from: Option<Money>, to: Option<Money>| FromTo { from, to };
    let answer = |from, to| FromTo { from, to };
    let (from, to) = (AttributionState::Unmatched, AttributionState::Matched);
    let reason = Some(StatusReason::ConversionCap { most: 500, observed: false });
    let place = "`field` of a change in a conversion's `history`, with the values before (`from`) and after (`to`). \
                 What is known of the person is never in it.";
    family(
        "What changed of a conversion",
        place,
        &[
            FieldChange::Status(FromTo { from: Status::Pending, to: Status::Approved }),
            FieldChange::Reason(FromTo { from: reason, to: None }),
            FieldChange::Value(amount(Some(usd("40.00")), Some(usd("25.00")))),
            FieldChange::Payout(amount(Some(usd("4.00")), Some(usd("2.50")))),
            FieldChange::Revenue(amount(None, Some(usd("12.00")))),
            FieldChange::SaleAmount(amount(None, Some(usd("25.00")))),
            FieldChange::ClickId(FromTo { from: None, to: Some("c1".to_owned()) }),
            FieldChange::Attribution(FromTo { from, to }),
            FieldChange::AdUserData(answer(Some(true), Some(false))),
            FieldChange::AdPersonalization(answer(None, Some(true))),
        ],
    )
}

fn candidates() -> String {
    let place = "`reason_code` of a conversion's `candidates`: the visitor's other clicks.";
    family(
        "Why another click did not earn a conversion",
        place,
        &[
            NotChosen::OtherOffer { of: Some(offer("566")) },
            NotChosen::NotBillable,
            NotChosen::AfterConversion,
            NotChosen::TooOld { days: 30 },
            NotChosen::LaterClick,
            NotChosen::EarlierClick,
        ],
    )
}

fn filters() -> String {
    let (earlier, window_ms) = (ClickId::parse("c1").unwrap(), 3_600_000);
    let denied = FilterHit::Denied { what: ListedTrait::Device, value: "tv".to_owned() };
    let not_allowed = FilterHit::NotAllowed { what: ListedTrait::Country, value: "FR".to_owned() };
    let place = "`reason_code` of a click's `verdicts`, with `field`, `value`, `reason` and `hint`.";
    family(
        "What a filter says of a click",
        place,
        &[
            FilterHit::Duplicate { earlier, window_ms },
            FilterHit::Bot { name: "Examplebot".to_owned() },
            denied,
            not_allowed,
            FilterHit::Cap { most: 10_000 },
            FilterHit::OfferStatus { status: OfferStatus::Expired },
        ],
    )
}

fn omissions() -> String {
    let long = Omission::new("cookies._ga", OmissionReason::ValueTooLong, (5000, 0));
    let many = Omission::new("params.x64", OmissionReason::TooManyNames, (12, 0));
    let large = Omission::new("landing_url", OmissionReason::ClickTooLarge, (7000, 5000));
    let rate = Omission::new("referrer", OmissionReason::AddressRate, (900, 200));
    let place = "`code` of what is `omitted` of a click; `more` says that more is missing than is named.";
    family("What is missing of a click", place, &[long, many, large, rate])
}

fn clock() -> String {
    let doubt = |wall| Doubt { believed: noon(0), wall, until: noon(24) };
    let place = "`reason_code` of `/api/v1/clock` while retention is paused.";
    family("Why the clock is not believed", place, &[doubt(noon(24 * 365)), doubt(noon(-24 * 365))])
}

#[test]
fn the_page_of_reason_codes_is_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reason-codes.md");
    let made = format!("{BEGINNING}{}", families());
    if std::env::var_os("BLESS").is_some_and(|bless| bless == "1") {
        std::fs::write(&path, &made).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(written, made, "run this test with BLESS=1 and look at docs/reason-codes.md");
}
