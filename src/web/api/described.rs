//! What each call of the API reads and answers, for the document. A call without its line here does not compile.

use std::collections::BTreeMap;

use schemars::{Schema, json_schema};

use crate::domain::code::ReasonCode;
use crate::domain::delivery::DeliveryStateName;
use crate::domain::postback::VerdictName;
use crate::domain::rejection::code::RejectionCode;
use crate::domain::status::Status;
use crate::domain::suppression::SuppressedKind;
use crate::domain::unsent::UndeliveredCode;
use crate::ops::suppression::MOST_LINES;
use crate::view::click::ClickView;
use crate::view::clock::ClockView;
use crate::view::conversion::{ListedConversionView, TraceView};
use crate::view::delivery::{DeliveryView, ListedDeliveryView};
use crate::view::erasure::{ErasureView, ErasureWorksView};
use crate::view::postback::{ClickReceiptView, PostbackView, ReprocessedView};
use crate::view::reason_code::ReasonCodeView;
use crate::view::store_work::{BackupsView, VerificationsView};
use crate::view::suppression::{EntryView, ListChangeView, ListView, RemovedListView};
use crate::view::test_event::TestEventView;
use crate::view::value::PageView;
use crate::web::api::StatusBody;
use crate::web::api::clicks::ClickWithConversions;
use crate::web::api::data_folder::BackupBody;
use crate::web::api::destinations::DestinationList;
use crate::web::api::erasures::ErasureBody;
use crate::web::api::operation::{Content, Parameter, RequestBody, Schemas};
use crate::web::list_query::{CLICKS, CONVERSIONS, DELIVERIES, PAGE, POSTBACKS};
use crate::web::routes::ApiCall;

/// What the document says of a call in addition to its row.
pub struct Described {
    pub body: Option<RequestBody>,
    /// With which status it answers where it is not refused.
    pub status: u16,
    pub answer: Schema,
    /// The statuses of refusals that not every call has.
    pub errors: &'static [u16],
}

/// The parameters of the query that a call reads.
pub fn query_names(call: ApiCall) -> Vec<&'static str> {
    let list = |filters: &[&'static str]| filters.iter().copied().chain(PAGE).collect();
    match call {
        ApiCall::Clicks => list(CLICKS),
        ApiCall::Conversions => list(CONVERSIONS),
        ApiCall::Postbacks => list(POSTBACKS),
        ApiCall::Deliveries => list(DELIVERIES),
        ApiCall::Destinations | ApiCall::Erasures | ApiCall::SuppressionList => list(&[]),
        ApiCall::SendTest => vec!["event", "anyway"],
        ApiCall::Suppress | ApiCall::Unsuppress => vec!["kind"],
        ApiCall::RecordClick
        | ApiCall::Click
        | ApiCall::Conversion
        | ApiCall::SetStatus
        | ApiCall::Postback
        | ApiCall::Reprocess
        | ApiCall::RetryDelivery
        | ApiCall::Clock
        | ApiCall::ConfirmClock
        | ApiCall::Erasure
        | ApiCall::ErasureWork
        | ApiCall::Erase
        | ApiCall::Backups
        | ApiCall::BackUp
        | ApiCall::Verifications
        | ApiCall::Verify
        | ApiCall::SuppressionLists
        | ApiCall::RemoveList
        | ApiCall::ReasonCodes
        | ApiCall::OpenApi => Vec::new(),
    }
}

/// The description of a call.
pub fn of(call: ApiCall, schemas: &mut Schemas) -> Described {
    let read = |answer: Schema, errors| Described { body: None, status: 200, answer, errors };
    let send = |answer: Schema, body, errors| Described { body: Some(body), ..read(answer, errors) };
    match call {
        ApiCall::Clicks => read(schemas.answer::<PageView<'static, ClickView<'static>>>(), &[]),
        ApiCall::Click => read(schemas.answer::<ClickWithConversions<'static>>(), &[404]),
        ApiCall::RecordClick => {
            send(schemas.answer::<ClickReceiptView<'static>>(), click_body(), &[413, 415])
        }
        ApiCall::Conversions => {
            read(schemas.answer::<PageView<'static, ListedConversionView<'static>>>(), &[])
        }
        ApiCall::Conversion => read(schemas.answer::<TraceView<'static>>(), &[404]),
        ApiCall::SetStatus => {
            let content = Content { schema: schemas.body::<StatusBody>() };
            let content = BTreeMap::from([("application/json", content)]);
            let body =
                RequestBody { description: "the status and, if you like, why", required: true, content };
            send(schemas.answer::<TraceView<'static>>(), body, &[404, 409, 413, 415])
        }
        ApiCall::Postbacks => read(schemas.answer::<PageView<'static, PostbackView<'static>>>(), &[]),
        ApiCall::Postback => read(schemas.answer::<PostbackView<'static>>(), &[404]),
        ApiCall::Reprocess => read(schemas.answer::<ReprocessedView>(), &[404, 409]),
        ApiCall::Deliveries => read(schemas.answer::<PageView<'static, ListedDeliveryView<'static>>>(), &[]),
        ApiCall::RetryDelivery => read(schemas.answer::<DeliveryView<'static>>(), &[404, 409]),
        ApiCall::Destinations => read(schemas.answer::<DestinationList<'static>>(), &[]),
        ApiCall::SendTest => read(schemas.answer::<TestEventView<'static>>(), &[404, 409]),
        ApiCall::Clock | ApiCall::ConfirmClock => read(schemas.answer::<ClockView>(), &[]),
        ApiCall::Erasures => read(schemas.answer::<PageView<'static, ErasureView<'static>>>(), &[]),
        ApiCall::Erasure => read(schemas.answer::<ErasureView<'static>>(), &[404]),
        ApiCall::ErasureWork => read(schemas.answer::<ErasureWorksView<'static>>(), &[]),
        ApiCall::Erase => {
            let content = Content { schema: schemas.body::<ErasureBody>() };
            let content = BTreeMap::from([("application/json", content)]);
            let description = "whose data, and whether it is to be done";
            let body = RequestBody { description, required: true, content };
            let answer = schemas.answer::<ErasureWorksView<'static>>();
            Described { status: 202, ..send(answer, body, &[404, 409, 413, 415]) }
        }
        ApiCall::Backups => read(schemas.answer::<BackupsView>(), &[]),
        ApiCall::BackUp => {
            let content =
                BTreeMap::from([("application/json", Content { schema: schemas.body::<BackupBody>() })]);
            let body = RequestBody { description: "where the backup is to be", required: true, content };
            send(schemas.answer::<BackupsView>(), body, &[409, 413, 415])
        }
        ApiCall::Verifications => read(schemas.answer::<VerificationsView>(), &[]),
        ApiCall::Verify => read(schemas.answer::<VerificationsView>(), &[409]),
        ApiCall::SuppressionLists => read(schemas.answer::<PageView<'static, ListView<'static>>>(), &[]),
        ApiCall::SuppressionList => read(schemas.answer::<PageView<'static, EntryView<'static>>>(), &[404]),
        ApiCall::Suppress | ApiCall::Unsuppress => {
            send(schemas.answer::<ListChangeView<'static>>(), entries_body(), &[413, 415])
        }
        ApiCall::RemoveList => read(schemas.answer::<RemovedListView<'static>>(), &[404]),
        ApiCall::ReasonCodes => read(schemas.answer::<PageView<'static, ReasonCodeView>>(), &[]),
        ApiCall::OpenApi => read(json_schema!({"type": "object", "required": ["openapi"]}), &[]),
    }
}

/// A click, as an own server reports it. `click_body` reads the members one by one: what cannot be used of one is
/// left out, so that the click is not lost.
fn click_body() -> RequestBody {
    let member = |description: &str| json_schema!({"description": description});
    let schema = json_schema!({
        "type": "object",
        "properties": {
            "click_id": {
                "type": ["string", "number", "boolean", "null"],
                "pattern": format!("^{BLANK}({CLICK_ID})?{BLANK}$"),
                "description": "Without one the click gets a fresh one. What a known click lacks is filled in.",
            },
            "time": member("RFC 3339; without it, now"),
            "landing_url": member("A long one is cut. What it carries and `params` and `sub_ids` lack is taken from it."),
            "referrer": member("The page before"),
            "ip": member("One address, or a list"),
            "user_agent": member("As the browser sends it"),
            "params": member("Parameters that ad platforms need, such as `fbclid`: an object of texts"),
            "cookies": member("Cookies that ad platforms need, such as `_fbp`: an object of texts"),
            "sub_ids": member("`s1` and the like: an object of texts"),
            "customer": member("What is known of the person, such as `email`: an object of texts"),
            "consent": member("`ad_user_data` and `ad_personalization`, each true or false"),
        },
    });
    RequestBody {
        description: "the click; a member that cannot be used is left out, and named in `notes`",
        required: true,
        content: BTreeMap::from([("application/json", Content { schema })]),
    }
}

fn entries_body() -> RequestBody {
    // Whatever is sent is a text.
    let text = || Content { schema: json_schema!({"description": "text"}) };
    let entries = json_schema!({
        "type": "object",
        "required": ["entries"],
        "properties": {
            "entries": {
                "type": "array",
                "maxItems": MOST_LINES,
                "items": {"description": "`{\"kind\", \"value\"}`, or a text where the query says the kind"},
            },
        },
    });
    let content = BTreeMap::from([
        ("application/json", Content { schema: entries }),
        ("text/csv", text()),
        ("text/plain", text()),
    ]);
    let description = "JSON, one entry a line, or a table whose first line names its columns: at most 100,000 lines and 16 MiB";
    // An empty one changes nothing.
    RequestBody { description, required: false, content }
}

const CONFIG_ID: &str = "[A-Za-z0-9][A-Za-z0-9_:-]{0,63}";
const CLICK_ID: &str = "[A-Za-z0-9._~-]{1,100}";
/// White space and control characters: what is around a text is left out.
const BLANK: &str = "[\\u0000-\\u0020\\u007f-\\u00a0]*";

/// A text that is wholly as the pattern says.
fn pattern(pattern: &str) -> Schema {
    json_schema!({"type": "string", "pattern": format!("^{pattern}$")})
}

/// A part of the path.
pub fn in_path(call: ApiCall, name: &'static str) -> Parameter {
    let (description, schema) = match call {
        _ if name == "list" => (
            "the name of a suppression list",
            pattern("[^\\s./\\u0000-\\u001f\\u007f-\\u009f][^\\u0000-\\u001f\\u007f-\\u009f]{0,63}"),
        ),
        ApiCall::Click => ("the id of a click", pattern(CLICK_ID)),
        ApiCall::Erasure => ("the number of an erasure", pattern("[1-9][0-9]{0,14}")),
        ApiCall::Postback | ApiCall::Reprocess => ("the id of a postback", pattern("[1-9][0-9]{0,14}")),
        ApiCall::RetryDelivery => (
            "the id of a delivery: conversion, destination and occasion",
            pattern(&format!("[0-9a-f]{{32}}~{CONFIG_ID}~(first|[1-9][0-9]{{0,8}})")),
        ),
        ApiCall::SendTest => ("the id of a destination", pattern(CONFIG_ID)),
        ApiCall::Conversion | ApiCall::SetStatus => ("the id of a conversion", pattern("[0-9a-f]{32}")),
        _ => ("an id", json_schema!({"type": "string"})),
    };
    Parameter { name, r#in: "path", description, required: true, schema }
}

/// A filter of a list, or another parameter of the query.
pub fn in_query(call: ApiCall, name: &'static str) -> Parameter {
    let any = || json_schema!({"type": "string"});
    let words = |words: &[&str]| json_schema!({"type": "string", "enum": words});
    let time = || json_schema!({"type": "string", "format": "date-time"});
    let (description, schema) = match name {
        "limit" => (
            "how many at most",
            json_schema!({"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}),
        ),
        "cursor" => ("the `next_cursor` of the page before, unchanged", any()),
        "source" => ("the id of a source", pattern(CONFIG_ID)),
        "destination" => ("the id of a destination or outgoing postback", pattern(CONFIG_ID)),
        "offer" => ("the id of an offer", pattern(CONFIG_ID)),
        "campaign" => ("the id of a campaign", pattern(CONFIG_ID)),
        "affiliate" => ("the id of an affiliate", pattern(CONFIG_ID)),
        "creative" => ("the id of a creative", pattern(CONFIG_ID)),
        "s1" | "s2" | "s3" | "s4" | "s5" => {
            ("this sub id of the conversion's click, or of its report", any())
        }
        "visitor" => ("the id of a visitor", pattern("[A-Za-z0-9_-]{16,64}")),
        "state" => ("the state of a delivery", words(&DeliveryStateName::ALL.map(DeliveryStateName::as_str))),
        "irreversible" => (
            "`true`: only those that some destination counts otherwise than they are, and is not informed of",
            json_schema!({"type": "boolean"}),
        ),
        "reason_code" if call == ApiCall::Postbacks => (
            "the code of the reason, of docs/reason-codes.md",
            words(&RejectionCode::words().collect::<Vec<_>>()),
        ),
        "reason_code" => {
            let codes: Vec<&str> = UndeliveredCode::words().into_iter().collect();
            ("the code of the reason, of docs/reason-codes.md", words(&codes))
        }
        "field" => ("the field or parameter that the reason is about", any()),
        "event" if call == ApiCall::SendTest => (
            "the event that is sent; without it `Purchase`, or another where the destination takes none",
            any(),
        ),
        "anyway" => (
            "`true`: the event is sent although the platform uses test events for bidding or in reports, or may",
            json_schema!({"type": "boolean"}),
        ),
        "event" => ("the name of an event, such as `Purchase`", any()),
        "status" if call == ApiCall::Postbacks => {
            ("what became of the postback", words(&VerdictName::ALL.map(VerdictName::as_str)))
        }
        "status" => ("the status of the conversion", words(&Status::ALL.map(Status::as_str))),
        "transaction_id" => ("the transaction id, as it was received", any()),
        "click_id" => ("the click id, as it was received or found", any()),
        "since" => ("what is not older than this", time()),
        "until" => ("what is older than this", time()),
        "open" => ("`true`: only what no one reprocessed", json_schema!({"type": "boolean"})),
        "marked" => ("`true`: only clicks that a filter marked", json_schema!({"type": "boolean"})),
        "kind" => ("what all entries are", words(&SuppressedKind::ALL.map(SuppressedKind::as_str))),
        _ => ("", any()),
    };
    // A form sends all its fields: an empty one counts as absent.
    let schema = json_schema!({"anyOf": [schema, {"const": ""}]});
    Parameter { name, r#in: "query", description, required: false, schema }
}
