//! The list of conversions with its filters: is my sale here, and where does it stand?

use http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};

use crate::domain::built_in;
use crate::domain::conversion::Conversion;
use crate::domain::delivery::Delivery;
use crate::domain::event::EventName;
use crate::domain::ids::DestinationId;
use crate::domain::status::Status;
use crate::domain::time::Time;
use crate::view::conversion::ConversionView;
use crate::web::api::{Query, Refused};
use crate::web::pages::{Page, Pages, Stop, document};

/// Lines on one page, where the query does not say.
const LINES: &str = "50";

/// The lines of one page of a list, and where the next one begins.
#[derive(Default)]
pub struct Found {
    pub items: Vec<Value>,
    pub next_cursor: Option<String>,
}

/// What the address of a list says, times made whole: a form's `2026-11-20T10:00` is meant in UTC.
pub struct Filters(Vec<(String, String)>);

impl Filters {
    pub fn read(query: &[u8]) -> Filters {
        let pairs = form_urlencoded::parse(query).map(|(name, value)| {
            let value = value.trim();
            let whole = match name.as_ref() {
                "since" | "until" => utc(value).unwrap_or_else(|| value.to_owned()),
                _ => value.to_owned(),
            };
            (name.into_owned(), whole)
        });
        Filters(pairs.filter(|(_, value)| !value.is_empty()).collect())
    }

    /// The same as the API reads it.
    ///
    /// # Errors
    /// A name that no filter has.
    pub fn query(&self) -> Result<Query, Refused> {
        let mut text = form_urlencoded::Serializer::new(String::new());
        text.extend_pairs(&self.0);
        if self.get("limit").is_empty() {
            text.append_pair("limit", LINES);
        }
        Query::read(text.finish().as_bytes())
    }

    /// The value of a name; empty when it did not come.
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// Whether anything narrows the list.
    pub fn narrow(&self) -> bool {
        self.0.iter().any(|(name, _)| name != "cursor" && name != "limit")
    }

    /// The links to newer and older lines, for the template `older`.
    pub fn links(&self, path: &str, next_cursor: Option<&str>) -> Value {
        let kept = || self.0.iter().filter(|(name, _)| name != "cursor");
        let link = |cursor: Option<&str>| {
            let mut text = form_urlencoded::Serializer::new(String::new());
            text.extend_pairs(kept());
            text.extend_pairs(cursor.map(|cursor| ("cursor", cursor)));
            let query = text.finish();
            if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
        };
        json!({
            "older": next_cursor.map(|cursor| link(Some(cursor))),
            "newest": (!self.get("cursor").is_empty()).then(|| link(None)),
        })
    }

    /// The page of a list that these narrow: what was found, or what is wrong with a filter. `filter` is
    /// what the template's form shows.
    pub fn page(
        &self,
        (template, title): (&'static str, &str),
        found: Result<Found, Refused>,
        filter: Value,
    ) -> Result<Page, Stop> {
        let (found, fault) = match found {
            Ok(found) => (found, None),
            Err(Refused::Asked(_, _, message, _)) => (Found::default(), Some(message)),
            Err(Refused::Store(error)) => return Err(error.into()),
        };
        let data = json!({
            "items": found.items,
            "fault": fault,
            "narrow": self.narrow(),
            "more": found.next_cursor.is_some(),
            "links": self.links(&format!("/{template}"), found.next_cursor.as_deref()),
            "filter": filter,
        });
        let mut page = Page::new(template, title, data);
        if fault.is_some() {
            page.status = StatusCode::BAD_REQUEST;
        }
        Ok(page)
    }

    /// A time as a form's field wants it: to the minute, in UTC.
    pub fn minute(&self, name: &str) -> String {
        self.get(name).get(..16).unwrap_or_default().to_owned()
    }
}

/// A time without an offset is UTC; a day begins at midnight.
fn utc(text: &str) -> Option<String> {
    let whole = match text.len() {
        10 => format!("{text}T00:00:00Z"),
        16 => format!("{text}:00Z"),
        19 => format!("{text}Z"),
        _ => text.to_owned(),
    };
    Time::parse(&whole).map(|time| time.to_string())
}

/// The options of a choice, the one that is set marked.
pub fn options<'a>(all: impl IntoIterator<Item = &'a str>, set: &str) -> Value {
    all.into_iter().map(|value| json!({"value": value, "set": value == set})).collect()
}

impl Pages {
    /// `/conversions`.
    pub(super) async fn conversions(&self, query: &[u8]) -> Result<Page, Stop> {
        let filters = Filters::read(query);
        let found = self.found(&filters).await;
        let mut page = filters.page(("conversions", "Conversions"), found, self.filter_view(&filters))?;
        if let Value::Object(members) = &mut page.data {
            members.insert("notices".to_owned(), document(&self.notices()));
            members.insert("unrecorded".to_owned(), self.unrecorded_clicks());
        }
        Ok(page)
    }

    /// The clicks of the last day of which no record is kept; null where there were none.
    fn unrecorded_clicks(&self) -> Value {
        let now = self.clock.now();
        self.unrecorded.last_day(now).map_or(Value::Null, |day| {
            json!({
                "count": day.count,
                "last": day.last,
                "reason": day.reason.sentence(),
            })
        })
    }

    async fn found(&self, filters: &Filters) -> Result<Found, Refused> {
        let query = filters.query()?;
        let page = self.store.conversions(query.conversion_filter()?, query.page()?).await?;
        let items =
            page.items.iter().map(|(conversion, deliveries)| document(&SaleLine::of(conversion, deliveries)));
        Ok(Found { items: items.collect(), next_cursor: page.next_cursor })
    }

    fn filter_view(&self, filters: &Filters) -> Value {
        let further = ["source", "event", "status", "since", "until"];
        json!({
            "more": further.iter().any(|name| !filters.get(name).is_empty()),
            "sources": options(self.origins(), filters.get("source")),
            "states": options(["held", "waiting", "delivered", "dead", "skipped"], filters.get("state")),
            "statuses": options(Status::ALL.map(Status::as_str), filters.get("status")),
            "events": EventName::STANDARD,
            "event": filters.get("event"),
            "transaction_id": filters.get("transaction_id"),
            "click_id": filters.get("click_id"),
            "since": filters.minute("since"),
            "until": filters.minute("until"),
        })
    }

    /// Where conversions come from: the configured sources, and the endpoints of the network's side.
    pub(super) fn origins(&self) -> Vec<&str> {
        self.source_ids().into_iter().chain(built_in::ALL).collect()
    }

    /// The configured sources, in the order of their ids.
    pub(super) fn source_ids(&self) -> Vec<&str> {
        let mut ids: Vec<&str> = self.networks.keys().map(|id| id.as_str()).collect();
        ids.sort_unstable();
        ids
    }
}

/// One line of the list.
#[derive(Serialize)]
pub struct SaleLine<'a> {
    path: String,
    #[serde(flatten)]
    conversion: ConversionView<'a>,
    deliveries: Vec<DeliveryBadge<'a>>,
}

#[derive(Serialize)]
struct DeliveryBadge<'a> {
    destination: &'a DestinationId,
    state: &'static str,
}

impl<'a> SaleLine<'a> {
    pub fn of(conversion: &'a Conversion, deliveries: &'a [Delivery]) -> SaleLine<'a> {
        let badge =
            |one: &'a Delivery| DeliveryBadge { destination: &one.destination, state: one.state.as_str() };
        SaleLine {
            path: format!("/conversions/{}", conversion.id),
            conversion: ConversionView::of(conversion),
            deliveries: deliveries.iter().map(badge).collect(),
        }
    }
}
