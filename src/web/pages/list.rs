//! A page of a list: what narrows it, its lines, where the next ones begin, and what is wrong with a filter.

use http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};

use crate::domain::time::Time;
use crate::store::contract::StoreFuture;
use crate::store::contract::error::StoreError;
use crate::store::contract::lookup::{self, PageRequest};
use crate::web::list_query::{BadParameter, PAGE, Query};
use crate::web::pages::{PageContent, document};

/// Lines on one page, where the query does not say.
const LINES: &str = "50";

/// A list of the pages.
#[derive(Clone, Copy)]
pub struct ListTemplate {
    pub template: &'static str,
    pub path: &'static str,
    pub title: &'static str,
    /// What narrows it, as the API's list of the same.
    pub filters: &'static [&'static str],
    /// Those of the filters that the page itself sets.
    pub fixed: &'static [&'static str],
}

impl ListTemplate {
    /// The parameters that are read.
    fn parameters(&self) -> Vec<&'static str> {
        let free = self.filters.iter().filter(|name| !self.fixed.contains(name));
        free.copied().chain(PAGE).collect()
    }
}

/// One page of a list, or what is wrong with a filter.
pub type Found<T> = Result<lookup::Page<T>, BadParameter>;

/// What the template of a list shows.
#[derive(Serialize)]
struct ListPage<'a, L> {
    path: &'static str,
    title: &'static str,
    items: Vec<L>,
    fault: Option<&'a str>,
    /// Whether anything narrows the list.
    narrow: bool,
    /// Whether there are older lines.
    more: bool,
    links: Links,
    /// The choices of its form, and what else is its own.
    #[serde(flatten)]
    own: Value,
}

/// The links to newer and older lines, for the template `older`.
#[derive(Serialize)]
pub struct Links {
    older: Option<String>,
    newest: Option<String>,
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
    pub fn query(&self) -> Result<Query, BadParameter> {
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

    pub fn links(&self, path: &str, next_cursor: Option<&str>) -> Links {
        let kept = || self.0.iter().filter(|(name, _)| name != "cursor");
        let link = |cursor: Option<&str>| {
            let mut text = form_urlencoded::Serializer::new(String::new());
            text.extend_pairs(kept());
            text.extend_pairs(cursor.map(|cursor| ("cursor", cursor)));
            let query = text.finish();
            if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
        };
        Links {
            older: next_cursor.map(|cursor| link(Some(cursor))),
            newest: (!self.get("cursor").is_empty()).then(|| link(None)),
        }
    }

    /// Reads the page of a list that these ask for. A filter that cannot be used, or that the page sets itself, is
    /// what was found.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn find<'s, F, T>(
        &self,
        list: ListTemplate,
        filter: impl FnOnce(&Query) -> Result<F, BadParameter>,
        read: impl FnOnce(F, PageRequest) -> StoreFuture<'s, lookup::Page<T>>,
    ) -> Result<Found<T>, StoreError> {
        let asked = self.query().and_then(|query| {
            query.only(&list.parameters())?;
            Ok((filter(&query)?, query.page()?))
        });
        match asked {
            Ok((filter, page)) => Ok(Ok(read(filter, page).await?)),
            Err(bad) => Ok(Err(bad)),
        }
    }

    /// The page of a list with what was found, a line for each.
    pub fn page<'a, T, L: Serialize>(
        &self,
        list: ListTemplate,
        found: &'a Found<T>,
        line: impl Fn(&'a T) -> L,
        own: Value,
    ) -> PageContent {
        let ListTemplate { template, path, title, .. } = list;
        let next_cursor = found.as_ref().ok().and_then(|found| found.next_cursor.as_deref());
        let data = document(&ListPage {
            path,
            title,
            items: found.iter().flat_map(|found| &found.items).map(line).collect(),
            fault: found.as_ref().err().map(|BadParameter(message)| message.as_str()),
            narrow: self.0.iter().any(|(name, _)| name != "cursor" && name != "limit"),
            more: next_cursor.is_some(),
            links: self.links(path, next_cursor),
            own,
        });
        let mut page = PageContent::new(template, title, data);
        if found.is_err() {
            page.status = StatusCode::BAD_REQUEST;
        }
        page
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
