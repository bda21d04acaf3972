//! Examples of what can be wrong with a report, and of what is noted about one: for `docs/reason-codes.md`.

use postbridge::domain::event::EventName;
use postbridge::domain::forwarding::HidingProxy;
use postbridge::domain::ids::{ConversionId, OfferId, SourceId};
use postbridge::domain::ignored::IgnoredReason;
use postbridge::domain::money::{NoCurrency, NumberFormat};
use postbridge::domain::omission::{Omission, OmissionReason};
use postbridge::domain::rejection::RejectionCause;
use postbridge::domain::rejection::access::{AccessProblem, KeyPlace};
use postbridge::domain::rejection::body::BodyProblem;
use postbridge::domain::rejection::click_not_taken::ClickNotTaken;
use postbridge::domain::rejection::note::ReportNote;
use postbridge::domain::rejection::param::{MissingClue, ParamFault, ParamProblem};
use postbridge::domain::rejection::sale::{CandidateSale, CandidateSales, ReceivedValue, SaleProblem};
use postbridge::domain::rejection::signature::{
    NotKept, ProofKind, SignaturePlace, SignatureProblem, WantedSignature,
};
use postbridge::domain::rejection::wanted::{LengthLimit, MemberOf, Names, ParamFix, WantedValue};
use postbridge::domain::reporter::ReportRoute;
use postbridge::domain::status::Status;

use crate::docs::reason_codes::{Family, stored_family};
use crate::support::known_facts::{noon, usd};

pub fn offer(id: &str) -> OfferId {
    OfferId::parse(id).unwrap()
}

fn conversion() -> ConversionId {
    ConversionId::derive(&SourceId::parse("my-network").unwrap(), "Purchase", "transaction:T-1001")
}

fn names(names: &[&str]) -> Names {
    Names::of(names, str::to_owned)
}

fn param(field: &str, value: &str, wrong: ParamFault) -> ParamProblem {
    let value = (!value.is_empty()).then(|| value.to_owned());
    ParamProblem::new(field.to_owned(), value, wrong).of_the_sale()
}

/// One of each that is about a parameter.
fn params() -> Vec<ParamProblem> {
    let text = str::to_owned;
    let clue = MissingClue { near: None, entry: text("price=#price#"), last_before: None };
    let other = ParamFault::DifferentValues { other: text("tid"), other_value: text("T-2") };
    let unknown =
        ParamFault::UnknownStatus { template: text("cake"), known: names(&["approved", "pending"]) };
    vec![
        param("s1", "#s1#", ParamFault::UnexpandedMacro { decoded: None }),
        param("tid", "TRANSACTION_ID", ParamFault::Placeholder),
        param("s3", "null", ParamFault::MeansNothing),
        param("tid", "T-1", other),
        param("s2", "", ParamFault::UnreadableBytes),
        param("S2", "abc", ParamFault::OtherCase { known: text("s2") }),
        param(
            "price",
            "",
            ParamFault::MissingValue { needed_by: Some(EventName::purchase()), clue: Box::new(clue) },
        ),
        param("click_id", "", ParamFault::MissingParameter).with_fix(ParamFix::ClickIdOfLink),
        param("event", "", ParamFault::MissingEvent),
        param("price", "", ParamFault::MissingCurrency { param: Some(text("currency")) }),
        param("currency", "dollars", ParamFault::InvalidCurrency { why: NoCurrency::Unknown }),
        param("price", "7,50", ParamFault::NotANumber { format: NumberFormat::Plain, other_fits: true }),
        param("row_limit", "many", ParamFault::InvalidValue { wanted: WantedValue::WholeNumber })
            .with_fix(ParamFix::Digits),
        param("total", "12.5", ParamFault::InvalidValue { wanted: WantedValue::SmallestUnits })
            .with_fix(ParamFix::WholeUnits),
        param("payout", "-3", ParamFault::BelowZero).with_fix(ParamFix::ReverseByStatus),
        param("order_id", "A-1…", ParamFault::TooLong { limit: LengthLimit::Characters(200) }),
        param("status", "paid", unknown),
        param("event_time", "soon", ParamFault::InvalidTime),
        param("event_time", "19990101", ParamFault::TimeTooOld { read: noon(-24 * 10_000) }),
        param("event_time", "20991231", ParamFault::TimeAhead { read: noon(24 * 10_000) }),
        param("ip", "10.0.0.1", ParamFault::NotVisitorsAddress),
        param("consent", "maybe", ParamFault::NotYesOrNo),
        param("value", "", ParamFault::PriceNotTaken),
        param("s1", "", ParamFault::CutAtFragment { unexpanded: text("#s1#") }),
        param("o", "999", ParamFault::UnknownOffer).with_fix(ParamFix::NameOffer),
        param("conversion_id", "99", ParamFault::UnknownConversion),
        param("session", "", ParamFault::UnknownMember { of: MemberOf::Click }),
        param("params.", "", ParamFault::InvalidName { limit: LengthLimit::Bytes(256) }),
    ]
}

fn bodies() -> Vec<BodyProblem> {
    vec![
        BodyProblem::TooManyParameters { most: 256 },
        BodyProblem::JsonArray,
        BodyProblem::NotAnObject,
        BodyProblem::JsonTooDeep { field: "a.a.a".to_owned(), most: 16 },
        BodyProblem::BrokenJson { error: "expected value at line 1 column 6".to_owned() },
        BodyProblem::BrokenMultipart,
        BodyProblem::UnsupportedEncoding { encoding: "br".to_owned() },
        BodyProblem::DamagedEncoding { encoding: "gzip".to_owned() },
        BodyProblem::InvalidMessage { error: "`click_id` is missing".to_owned() },
        BodyProblem::TooLarge,
        BodyProblem::NoClickObject,
    ]
}

fn sales() -> Vec<SaleProblem> {
    let one = CandidateSale { conversion: conversion(), click: Some("c1".to_owned()), item: None };
    let transaction = "T-1001".to_owned();
    vec![
        SaleProblem::AmbiguousTransaction {
            transaction: transaction.clone(),
            click: None,
            candidates: CandidateSales { first: vec![one], count: 3 },
        },
        SaleProblem::UnknownTransaction {
            received: Some(ReceivedValue { param: "price".to_owned(), text: "-7.50".to_owned() }),
            value: usd("-7.50"),
            transaction: Some(transaction),
        },
        SaleProblem::UnknownClick { click: Some("abc".to_owned()) },
        SaleProblem::ClickOfAnotherOffer {
            click: "c1".to_owned(),
            offer: offer("566"),
            wanted: offer("565"),
        },
        SaleProblem::TooManyFurtherSales { most: 100 },
        SaleProblem::TooManyChanges { conversion: conversion(), most: 500 },
    ]
}

fn accesses() -> Vec<AccessProblem> {
    let (route, open) = (ReportRoute::Server, vec![ReportRoute::Api]);
    let proxy = HidingProxy::Undeclared("10.0.0.2".parse().unwrap());
    vec![
        AccessProblem::RouteClosed { offer: offer("565"), route, open },
        AccessProblem::EventClosed {
            field: "e".to_owned(),
            offer: offer("565"),
            event: EventName::parse("Signup").unwrap(),
            open: vec![EventName::purchase()],
        },
        AccessProblem::SenderBehindProxy { offer: offer("565"), proxy },
        AccessProblem::ReadOnlyKey { name: "reports".to_owned() },
        AccessProblem::MissingKey { place: KeyPlace::Query },
        AccessProblem::NoKeyConfigured,
        AccessProblem::BadPathKey,
        AccessProblem::UnknownSource,
        AccessProblem::TooFast,
        AccessProblem::MalformedRequest { error: "the request line has no HTTP version".to_owned() },
        AccessProblem::RequestLineTooLong,
        AccessProblem::HeadersTooLarge,
        AccessProblem::RequestTimeout,
        AccessProblem::Overloaded,
        AccessProblem::InternalError,
    ]
}

/// Why a report was quarantined or refused.
fn signatures() -> Vec<SignatureProblem> {
    let header = || SignaturePlace::Header("x-signature".to_owned());
    vec![
        SignatureProblem::MissingSignature { place: SignaturePlace::Parameter("sig".to_owned()) },
        SignatureProblem::UnreadableSignature { place: header(), wanted: WantedSignature::Hex },
        SignatureProblem::UnreadableSignature { place: header(), wanted: WantedSignature::Base64 },
        SignatureProblem::UnreadableSignature { place: header(), wanted: WantedSignature::TimeAndSignature },
        SignatureProblem::WrongSignature { place: header(), proof: ProofKind::Signature },
        SignatureProblem::WrongSignature { place: header(), proof: ProofKind::Token },
        SignatureProblem::WrongSignature { place: header(), proof: ProofKind::Basic },
        SignatureProblem::OutsideTimeWindow {
            place: header(),
            signed_at: noon(-1),
            received_at: noon(0),
            tolerance_s: 300,
        },
        SignatureProblem::CannotDecrypt { member: "notification".to_owned() },
        SignatureProblem::AddressNotAllowed,
        SignatureProblem::CannotVerifyAgain { why: NotKept::Masked },
        SignatureProblem::CannotVerifyAgain { why: NotKept::Header("x-signature".to_owned()) },
        SignatureProblem::CannotVerifyAgain { why: NotKept::Presented },
    ]
}

pub fn rejections() -> Family {
    let params = params().into_iter().map(RejectionCause::from);
    let bodies = bodies().into_iter().map(RejectionCause::from);
    let sales = sales().into_iter().map(RejectionCause::from);
    let accesses = accesses().into_iter().map(RejectionCause::from);
    let signatures = signatures().into_iter().map(RejectionCause::from);
    let examples: Vec<RejectionCause> =
        params.chain(bodies).chain(sales).chain(accesses).chain(signatures).collect();
    let place = "`reason_code` of a postback that is quarantined or refused, with `field`, `value`, `reason` and \
                 `hint`; the beginning of what a pixel or the network's API answers; `reason_code` of a note that \
                 says what was left out; the label `reason_code` of `postbridge_quarantined_total` and, of what is refused, of \
                 `postbridge_refused_total`.";
    stored_family("Why a report was not taken, or a value of it left out", place, &examples)
}

/// Why a report that was understood is not a conversion.
pub fn ignored() -> Family {
    let place = "`reason_code` of a postback whose status is `ignored`.";
    let examples = [
        IgnoredReason::ByTemplate { field: "event".to_owned(), value: "ping".to_owned() },
        IgnoredReason::Challenge { field: "challenge".to_owned() },
    ];
    stored_family("Why a postback is ignored", place, &examples)
}

/// What is noted about a report that counts.
pub fn notes() -> Family {
    let text = str::to_owned;
    let (field, value) = (text("s2"), text("C,C"));
    let left_out = || Box::new(param("s1", "#s1#", ParamFault::UnexpandedMacro { decoded: None }));
    let first = conversion();
    let examples = [
        ReportNote::LeftOut(left_out()),
        ReportNote::IdLeftOut(Box::new(left_out().with_fix(ParamFix::MacroSpelling))),
        ReportNote::NamesNotRead(names(&["utm_source"])),
        ReportNote::UnreadableLeftOut(names(&["a", "b"])),
        ReportNote::NamelessLeftOut { count: 2 },
        ReportNote::FilesNotRead(names(&["invoice"])),
        ReportNote::JsonWrittenTwice,
        ReportNote::JsonCalledForm,
        ReportNote::FormCalledJson,
        ReportNote::UnknownCharset { charset: text("klingon") },
        ReportNote::AmpersandEntities(names(&["s2"])),
        ReportNote::SecondQuestionMark,
        ReportNote::NamesPutBack(names(&["section"])),
        ReportNote::PageCharacter(names(&["¥x="])),
        ReportNote::EqualIdsJoined { field: field.clone(), value, one: text("C") },
        ReportNote::InvisibleKept { field: text("tid"), value: text("T-1U+200B001") },
        ReportNote::InvisibleRemoved { field, value: text("cU+200B1") },
        ReportNote::SpaceReadAsPlus { field: text("email") },
        ReportNote::NoIdentity,
        ReportNote::VisitorsClickTaken { given: text("abc") },
        ReportNote::TransactionReused { first, click: Some(text("c1")) },
        ReportNote::AnotherValue,
        ReportNote::SecondSaleIndistinct,
        ReportNote::AnotherClick { given: text("c2"), kept: text("c1") },
        ReportNote::ClickNotTaken(ClickNotTaken::HasItsSale { first }),
        ReportNote::StaysScrubbed { reported: Status::Approved },
        ReportNote::RequestCut { sent: 9000, kept: 2048 },
        ReportNote::MoreOmitted,
        ReportNote::Omitted(Omission::new("landing_url", OmissionReason::ClickTooLarge, (7000, 5000))),
        ReportNote::BodyNotUtf8,
        ReportNote::FirstAddressTaken { field: text("ip") },
        ReportNote::NamesLeftOut { field: text("cookies"), most: 64, names: names(&["a1", "a2"]) },
        ReportNote::NotVerified(Box::new(SignatureProblem::MissingSignature {
            place: SignaturePlace::Header(text("x-signature")),
        })),
        ReportNote::QueryNotSigned(names(&["click_id"])),
        ReportNote::BodyNotSigned,
        ReportNote::SignedPartUnread(Box::new(BodyProblem::TooManyParameters { most: 256 })),
        ReportNote::Erased { at: noon(0) },
    ];
    let place = "`code` of a postback's `notes`, of the `notes` that `POST /api/v1/clicks` answers, and of what is \
                 `omitted` of a click: what was repaired, read otherwise than it was received, or left out. The \
                 report counts all the same.";
    stored_family("What is noted about a report or a click that counts", place, &examples)
}
