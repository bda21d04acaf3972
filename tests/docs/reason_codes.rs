//! `docs/reason-codes.md` is what the code says: every family of codes, an example of each. `BLESS=1` rewrites it.

use std::collections::BTreeSet;
use std::fmt::Write;

use postbridge::domain::attribution::AttributionState;
use postbridge::domain::candidate::NotChosen;
use postbridge::domain::clock_rule::Doubt;
use postbridge::domain::code::{CodedReason, ReasonCode};
use postbridge::domain::code_family::CodeFamily;
use postbridge::domain::delivery_reason::{DeathReason, LimitKind, ParkReason, RetryReason, RetryRefused};
use postbridge::domain::error_code::ErrorCode;
use postbridge::domain::event::EventName;
use postbridge::domain::exchange::{NoAnswer, PlatformAnswer, Said, SendRefused};
use postbridge::domain::filter_verdict::{FilterHit, ListedTrait};
use postbridge::domain::history::{FieldChange, FromTo};
use postbridge::domain::ids::{ClickId, ConversionId, DestinationId, Seq};
use postbridge::domain::import_refusal::ImportRefused;
use postbridge::domain::money::Money;
use postbridge::domain::offer::OfferStatus;
use postbridge::domain::postback::VerdictName;
use postbridge::domain::rejection::access::AccessProblem;
use postbridge::domain::remark::Remark;
use postbridge::domain::reporter::ReportRoute;
use postbridge::domain::reprocess_refusal::ReprocessRefused;
use postbridge::domain::skip::{ClickParts, ForwardedBy, LowValue, MissingValue, SkipReason, Unneeded};
use postbridge::domain::sought_click::SoughtClick;
use postbridge::domain::status::Status;
use postbridge::domain::status_reason::StatusReason;
use postbridge::domain::suppression::SuppressedKind;
use postbridge::domain::time::DAY_MS;
use postbridge::domain::unsent::Unsent;
use serde::Serialize;

use crate::docs::refusals::{omissions, refused_erasures, refused_tests, status_moves, unkept_tokens};
use crate::docs::rejection_codes::{ignored, notes, offer, rejections};
use crate::docs::url_findings::url_findings;
use crate::support::golden;
use crate::support::known_facts::{noon, usd};

const BEGINNING: &str = "# Reason codes

Programs compare codes, never sentences. API, pages, metrics and logs carry the code; the sentence next to it is for
people and may change. This page is made from the program's own lists: `BLESS=1` with the test
`docs::reason_codes` writes it anew.
";

/// One family of codes.
pub struct Family {
    /// Where its codes are, and a table of them.
    page: String,
    /// Each example as records hold it; empty of a family that is not stored.
    stored: String,
}

/// A family that records hold.
#[track_caller]
pub fn stored_family<R: CodedReason + Serialize>(title: &str, place: &str, examples: &[R]) -> Family {
    let kind = std::any::type_name::<R>().rsplit("::").next().unwrap();
    let line = |example: &R| {
        let bytes = postcard::to_stdvec(example).unwrap();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{kind} {} {hex}\n", example.code().as_str())
    };
    Family { stored: examples.iter().map(line).collect(), ..family(title, place, examples) }
}

/// One family: its word, where its codes are, and a table of them. The caller is blamed for a missing example.
#[track_caller]
pub fn family<R: CodedReason>(title: &str, place: &str, examples: &[R]) -> Family {
    let word = R::Code::FAMILY;
    let head = "| code | means | fix | example |\n|---|---|---|---|\n";
    let mut text = format!("\n## {title}\n\nFamily `{word}`: {place}\n\n{head}");
    for code in R::Code::ALL {
        let Some(example) = examples.iter().find(|example| example.code() == *code) else {
            panic!("{word}: {code:?} has no example here");
        };
        let example = example.sentence();
        let (code, means, fix) = (code.as_str(), code.meaning(), code.fix());
        let cells = [means, fix, &example].map(|cell| cell.replace('|', "\\|"));
        writeln!(text, "| `{code}` | {} |", cells.join(" | ")).unwrap();
    }
    Family { page: text, stored: String::new() }
}

fn families() -> Vec<Family> {
    let reports = vec![rejections(), notes(), ignored()];
    let deliveries = vec![skips(), deaths(), retries(), parks(), unsent(), refused_retries(), remarks()];
    let conversions = vec![status_reasons(), status_moves(), reprocessing(), history(), candidates()];
    let requests = family(
        "Why a request is refused",
        "`error.code` of every answer but a postback's, a pixel's and those of `/api/2`. What has a family of its own has \
         the code of that: a status, a retry, a body.",
        ErrorCode::ALL,
    );
    [
        reports,
        deliveries,
        conversions,
        vec![filters(), omissions(), imports(), clock()],
        vec![refused_tests(), unkept_tokens(), url_findings(), refused_erasures(), requests],
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn status_reasons() -> Family {
    let click = ClickId::parse("0mwpksvhilar8xlr3p1necay2ja82").unwrap();
    let place = "`reason_code` of a conversion, with `reason` and `hint`. Of one that waits for a person it is \
                 the remark's that holds it, `second_sale_of_click`.";
    stored_family(
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

fn reprocessing() -> Family {
    let place = "`error.code` of `POST /api/v1/postbacks/{id}/retry`, and the page's answer.";
    family(
        "Why a postback is not reprocessed",
        place,
        &[
            ReprocessRefused::Unknown,
            ReprocessRefused::NotQuarantined(VerdictName::Accepted),
            ReprocessRefused::Purged,
            ReprocessRefused::Erased,
            ReprocessRefused::ReprocessedAlready { by: Seq::new(7).unwrap() },
            ReprocessRefused::SenderInformed("pixel".to_owned()),
            ReprocessRefused::Closed(
                AccessProblem::RouteClosed {
                    offer: offer("565"),
                    route: ReportRoute::Pixel,
                    open: vec![ReportRoute::Api],
                }
                .into(),
            ),
            ReprocessRefused::NoSource(Some("cake-test".to_owned())),
        ],
    )
}

fn history() -> Family {
    let amount = |from: Option<Money>, to: Option<Money>| FromTo { from, to };
    let answer = |from, to| FromTo { from, to };
    let reason = Some(StatusReason::ConversionCap { most: 500, observed: false });
    let place = "`field` of a change in a conversion's `history`, with the values before (`from`) and after (`to`). \
                 What is known of the person is never in it.";
    stored_family(
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
            FieldChange::Attribution(FromTo {
                from: AttributionState::Unmatched,
                to: AttributionState::Matched,
            }),
            FieldChange::AdUserData(answer(Some(true), Some(false))),
            FieldChange::AdPersonalization(answer(None, Some(true))),
            FieldChange::TransactionId(FromTo { from: None, to: Some("T-1001".to_owned()) }),
            FieldChange::ItemId(FromTo { from: None, to: Some("565".to_owned()) }),
            FieldChange::Adjustment(FromTo { from: None, to: Some("row-2".to_owned()) }),
        ],
    )
}

fn candidates() -> Family {
    let place = "`reason_code` of a conversion's `candidates`: the visitor's other clicks.";
    stored_family(
        "Why another click did not earn a conversion",
        place,
        &[
            NotChosen::OtherOffer { of: Some(offer("566")) },
            NotChosen::NoVisit,
            NotChosen::Blocked,
            NotChosen::AfterConversion,
            NotChosen::TooOld { days: 30 },
            NotChosen::LaterClick,
            NotChosen::EarlierClick,
        ],
    )
}

fn filters() -> Family {
    let (earlier, window_ms) = (ClickId::parse("c1").unwrap(), 3_600_000);
    let denied = FilterHit::Denied { what: ListedTrait::Device, value: "tv".to_owned() };
    let not_allowed = FilterHit::NotAllowed { what: ListedTrait::Country, value: "FR".to_owned() };
    let place = "`reason_code` of a click's `verdicts`, with `field`, `value`, `reason` and `hint`.";
    stored_family(
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

fn imports() -> Family {
    let error = "expected value at line 1 column 1".to_owned();
    let examples = [
        ImportRefused::Empty,
        ImportRefused::TooLong(201),
        ImportRefused::NotAnEmail,
        ImportRefused::NotAPhone,
        ImportRefused::NotAnIp,
        ImportRefused::KindUnclear,
        ImportRefused::KindMissing,
        ImportRefused::UnknownKind,
        ImportRefused::NotUtf8,
        ImportRefused::OpenQuote,
        ImportRefused::ColumnsEmpty,
        ImportRefused::Utf16,
        ImportRefused::NotText,
        ImportRefused::TooManyLines(100_000),
        ImportRefused::NotCsv("record 2 is not whole".to_owned()),
        ImportRefused::NoSuchColumn("ip"),
        ImportRefused::NotJson(error),
        ImportRefused::NoEntries,
    ];
    let place = "`reason_code` of a line that `POST /api/v1/suppression/{list}` refused, on the page too; `error.code` \
                 where nothing was read.";
    family("Why a line for a suppression list is not taken", place, &examples)
}

fn clock() -> Family {
    let doubt = |wall| Doubt { believed: noon(0), wall, until: noon(24) };
    let place = "`reason_code` of `/api/v1/clock` while retention is paused.";
    family("Why the clock is not believed", place, &[doubt(noon(24 * 365)), doubt(noon(-24 * 365))])
}

fn answer(status: u16, words: &str) -> PlatformAnswer {
    PlatformAnswer { status, why: None, said: Said::Words(words.to_owned()) }
}

fn skips() -> Family {
    let parts =
        ClickParts { click: None, params: vec!["fbclid".to_owned()], cookies: vec!["_fbp".to_owned()] };
    let missing = MissingValue {
        fields: vec!["user_data.client_user_agent".to_owned()],
        any: false,
        why: "an event on a website needs the visitor's user agent".to_owned(),
        click: Some(parts),
        hint: None,
    };
    let low = LowValue {
        field: "custom_data.value".to_owned(),
        value: "-7.00".to_owned(),
        least: "0".to_owned(),
        why: "the platform has no negative values".to_owned(),
    };
    let examples = [
        SkipReason::NoClick,
        SkipReason::NotChosen { percent: 50 },
        SkipReason::StatusNotForwarded { status: Status::Rejected, by: ForwardedBy::Source },
        SkipReason::Off,
        SkipReason::Shadow,
        SkipReason::ConsentDenied,
        SkipReason::ConsentUnknown,
        SkipReason::DestinationRemoved,
        SkipReason::TooOld { event_time: noon(0), max_age_ms: 7 * DAY_MS },
        SkipReason::EventNotMapped { event: EventName::parse("Install").unwrap() },
        SkipReason::PayloadIncomplete(Box::new(missing)),
        SkipReason::ValueTooLow(Box::new(low)),
        SkipReason::StaleClick { click_time: noon(0), max_age_ms: 90 * DAY_MS },
        SkipReason::Erased,
    ];
    use Unneeded::{AsSent, NotDelivered, NotRestated};
    let unneeded = [NotDelivered, AsSent, NotRestated].map(SkipReason::NothingToChange);
    let irreversible = [Status::Rejected, Status::Approved].map(|status| SkipReason::Irreversible { status });
    let place = "`reason_code` of deliveries and attempts, and the label `reason_code` of \
                 `postbridge_skipped_total`.";
    stored_family("Why a delivery was skipped", place, &[&examples[..], &unneeded, &irreversible].concat())
}

fn deaths() -> Family {
    let gave_up = DeathReason::GaveUp {
        attempts: 14,
        next_due: noon(0),
        limit: LimitKind::PlatformAge(7 * DAY_MS),
        last: RetryReason::PlatformUnavailable(answer(503, "down")),
    };
    let unrendered = DeathReason::Unrendered {
        what: "the header `X-Key` holds a control character".to_owned(),
        hint: "fix the setting".to_owned(),
    };
    let examples = [
        DeathReason::PlatformRejected(answer(400, "Invalid parameter, code 100")),
        DeathReason::Redirected(answer(302, "moved")),
        DeathReason::TooOld { event_time: noon(0), max_age_ms: 7 * DAY_MS },
        gave_up,
        unrendered,
        DeathReason::RenderingFailed,
        DeathReason::Refused(SendRefused::Private("10.0.0.1".parse().unwrap())),
        DeathReason::Refused(SendRefused::HeaderName("X Key".to_owned())),
        DeathReason::Refused(SendRefused::Unreadable("no host".to_owned())),
        DeathReason::Refused(SendRefused::Scheme("ftp".to_owned())),
        DeathReason::Refused(SendRefused::UserInfo),
        DeathReason::Refused(SendRefused::PrivateName("10.0.0.1".parse().unwrap(), 1)),
        DeathReason::Refused(SendRefused::Method("BR EW".to_owned())),
        DeathReason::Refused(SendRefused::HeaderValue("X-Key".to_owned())),
        DeathReason::StaleClick { click_time: noon(0), max_age_ms: 90 * DAY_MS },
    ];
    let place = "`reason_code` of deliveries and attempts, and the label `reason_code` of \
                 `postbridge_dead_total`.";
    stored_family("Why a delivery is dead", place, &examples)
}

fn retries() -> Family {
    let examples = [
        RetryReason::NoAnswer(NoAnswer::ConnectTimeout),
        RetryReason::NoAnswer(NoAnswer::NoConnection { cause: "refused".to_owned() }),
        RetryReason::NoAnswer(NoAnswer::ConnectionEnded { cause: "reset".to_owned() }),
        RetryReason::NoAnswer(NoAnswer::BrokeOff { status: 200, cause: "reset".to_owned() }),
        RetryReason::NoAnswer(NoAnswer::Timeout { after_ms: 30_000 }),
        RetryReason::PlatformUnavailable(answer(429, "slow down")),
        RetryReason::AttemptFailed,
        RetryReason::SignInUnanswered(NoAnswer::Timeout { after_ms: 30_000 }),
        RetryReason::SignInUnavailable(answer(503, "down")),
        RetryReason::FirstUnconfirmed,
    ];
    let place = "`reason_code` of attempts, of `last_error` and of `on_hold`.";
    stored_family("Why an attempt is repeated", place, &examples)
}

fn parks() -> Family {
    let examples = [
        ParkReason::AccountRefused(answer(401, "the token has expired")),
        ParkReason::SignInRefused(answer(400, "invalid_grant: the refresh token was revoked")),
        ParkReason::SignInImpossible("the address 10.0.0.1 is not on the public internet".to_owned()),
    ];
    let place = "`reason_code` of `parked`.";
    stored_family("Why a destination is parked", place, &examples)
}

fn unsent() -> Family {
    let examples = [
        Unsent::Pending { becomes: Some((noon(0), Status::Approved)) },
        Unsent::StatusNotForwarded { status: Status::Rejected, by: ForwardedBy::Source },
        Unsent::NoDestination,
        Unsent::NotRouted,
        Unsent::NotTaken,
        Unsent::ConfiguredLater,
        Unsent::DestinationRemoved { until: noon(0) },
        Unsent::NoClick { click: SoughtClick::Named("abc-1".to_owned()) },
        Unsent::ClickTooLate,
        Unsent::AwaitsClick { click: SoughtClick::Named("abc-1".to_owned()), until: noon(72) },
        Unsent::DestinationParked(ParkReason::AccountRefused(answer(401, "the token has expired"))),
        Unsent::DestinationOnHold {
            until: noon(1),
            last: RetryReason::PlatformUnavailable(answer(429, "slow down")),
        },
        Unsent::DestinationPaused { until: noon(1) },
        Unsent::AwaitsTurn { due: noon(0) },
        Unsent::AwaitsRetry { attempts: 2, due: noon(1) },
        Unsent::AwaitsConfirmation { tries: 3, poll_at: noon(1), last: None },
    ];
    let place = "`reason_code` of `unsent` of a conversion without deliveries, `reason_code` of a \
                 delivery that is held, waits, or was skipped for want of its click.";
    family("Why nothing is sent now", place, &examples)
}

fn refused_retries() -> Family {
    let examples = [
        RetryRefused::Unknown,
        RetryRefused::NotConfigured(DestinationId::parse("meta-main").unwrap()),
        RetryRefused::Delivered,
        RetryRefused::TooOld,
        RetryRefused::Superseded,
    ];
    let place = "`error.code` of `POST /api/v1/deliveries/{id}/retry`.";
    family("Why a delivery is not retried", place, &examples)
}

fn remarks() -> Family {
    let first = ConversionId::parse("0123456789abcdef0123456789abcdef").unwrap();
    let field = |name: &str| name.to_owned();
    let examples = [
        Remark::ValueLeftOut { field: field("traits.city") },
        Remark::BirthdateAmbiguous { field: field("traits.birthdate") },
        Remark::CallingCodeMissing { field: field("traits.phone") },
        Remark::PayoutScaled { payout: usd("7.00"), sent: usd("5.60"), scale: "0.80".to_owned() },
        Remark::PersonalizationNotExpressed,
        Remark::PercentWithoutAmount { offer: offer("565") },
        Remark::NoClick { named: false },
        Remark::TransactionReused { first, nth: 2 },
        Remark::SecondSaleOfClick { first },
        Remark::Erased { at: noon(0) },
    ];
    let place = "`reason_code` of `remarks`, with `reason` and `hint`.";
    stored_family("What is remarked of a conversion or an attempt", place, &examples)
}

#[test]
fn the_page_of_reason_codes_is_what_the_code_says() {
    let pages: String = families().into_iter().map(|family| family.page).collect();
    golden::compare("docs/reason-codes.md", &format!("{BEGINNING}{pages}"));
}

/// A difference is another format: see "A stored record" in CONTRIBUTING.md.
#[test]
fn every_reason_is_stored_by_the_number_and_the_fields_that_records_have() {
    let stored: String = families().into_iter().map(|family| family.stored).collect();
    golden::compare("fixtures/store/reasons.txt", &stored);
}

/// The codes of several families: each says the same in all of them.
const SHARED: &str = "click_of_another_offer destination_removed erased no_click not_found offer_not_active \
    stale_click status_not_forwarded too_long too_old transaction_reused";

#[test]
fn one_code_is_not_the_name_of_two_things() {
    let families = CodeFamily::all();
    let mut codes: Vec<&str> =
        families.iter().flat_map(|family| &family.codes).map(|code| code.code).collect();
    codes.sort_unstable();
    let repeated: BTreeSet<&str> =
        codes.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
    assert_eq!(repeated.into_iter().collect::<Vec<_>>().join(" "), SHARED);
}
