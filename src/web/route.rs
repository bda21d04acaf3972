//! What a request asks for, by its path and query: both are read here, once.

use std::sync::Arc;

use crate::web::collect::{Postbacks, SourceEndpoint, TurnedAway};
use crate::web::links::LinkRequest;
use crate::web::routes::{self, Endpoint, PathMatch, PathRows};
use crate::web::tag::ScriptPath;

/// What a request asks for. Which of it a listener answers is the listener's.
pub enum WebRoute<'a> {
    /// The endpoint that its key opens, or why none.
    Postback(Result<Arc<SourceEndpoint>, TurnedAway>),
    Link(&'static PathRows, LinkRequest<'a>),
    Script(&'static PathRows, ScriptPath<'a>),
    /// A path of the table that nothing more has to be read of.
    Listed(PathMatch<'a>),
    /// A path that the table does not have.
    Unlisted(RouteArea),
}

/// Who words what is wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteArea {
    /// What networks, visitors and operators ask for.
    Open,
    /// `/api/v1`.
    Api,
    /// `/api/2`.
    NetworkApi,
    Page,
}

impl<'a> WebRoute<'a> {
    pub fn of(postbacks: &Postbacks, path: &'a str, query: &'a [u8]) -> WebRoute<'a> {
        // What is asked most is found first: neither look makes anything.
        if let Some(entered) = postbacks.enter(path) {
            return WebRoute::Postback(entered);
        }
        if let Some(link) = LinkRequest::read(path, query) {
            let rows = if path == "/" { routes::direct_link() } else { routes::campaign_link() };
            return WebRoute::Link(rows, link);
        }
        match (routes::find(path), ScriptPath::of(path)) {
            (Some(found), Some(script)) => WebRoute::Script(found.rows, script),
            (Some(found), None) => WebRoute::Listed(found),
            (None, Some(script)) => WebRoute::Script(routes::script_version(), script),
            (None, None) => WebRoute::Unlisted(RouteArea::of_unlisted(path)),
        }
    }

    /// The rows of the table that the path has.
    pub fn rows(&self) -> Option<&'static PathRows> {
        match self {
            WebRoute::Postback(_) => Some(routes::postback()),
            WebRoute::Link(rows, _) | WebRoute::Script(rows, _) => Some(rows),
            WebRoute::Listed(found) => Some(found.rows),
            WebRoute::Unlisted(_) => None,
        }
    }

    /// Whether visitors' browsers ask for it: links, pixels and what the tag sends.
    pub fn is_visitors(&self) -> bool {
        let row = self.rows().and_then(PathRows::first);
        row.is_some_and(|row| row.strangers.is_of_visitors())
    }

    pub fn area(&self) -> RouteArea {
        match (self, self.rows().and_then(PathRows::first).map(|row| row.endpoint)) {
            (WebRoute::Unlisted(area), _) => *area,
            (_, Some(Endpoint::Api(_))) => RouteArea::Api,
            (_, Some(Endpoint::NetworkApi(_))) => RouteArea::NetworkApi,
            (_, Some(Endpoint::Page(_))) => RouteArea::Page,
            _ => RouteArea::Open,
        }
    }
}

impl RouteArea {
    /// Whose a path is that the table does not have.
    fn of_unlisted(path: &str) -> RouteArea {
        if path.starts_with("/api/v1/") {
            RouteArea::Api
        } else if path.starts_with("/api/2/") {
            RouteArea::NetworkApi
        } else {
            RouteArea::Page
        }
    }
}
