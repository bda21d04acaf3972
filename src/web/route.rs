//! What a request asks for, by its path and query: both are read here, once.

use std::sync::Arc;

use crate::web::collect::{Postbacks, SourceEndpoint, TurnedAway};
use crate::web::links::LinkRequest;
use crate::web::pixel::PixelPath;
use crate::web::tag::{ScriptPath, TagRoute};

/// What a request asks for. Which of it a listener answers is the listener's.
pub enum WebRoute<'a> {
    Alive,
    Ready,
    Metrics,
    /// What is behind `/api/v1/`.
    Api(&'a str),
    /// What is behind `/api/2/`.
    NetworkApi(&'a str),
    Tag(TagRoute),
    /// The endpoint that its key opens, or why none.
    Postback(Result<Arc<SourceEndpoint>, TurnedAway>),
    Script(ScriptPath<'a>),
    ClickPixel,
    Pixel(PixelPath),
    Link(LinkRequest<'a>),
    /// One of the pages, if anything.
    Page,
}

impl<'a> WebRoute<'a> {
    pub fn of(postbacks: &Postbacks, path: &'a str, query: &'a [u8]) -> WebRoute<'a> {
        match path {
            "/livez" => return WebRoute::Alive,
            "/readyz" => return WebRoute::Ready,
            "/metrics" => return WebRoute::Metrics,
            "/t/click" => return WebRoute::Tag(TagRoute::Click),
            "/t/event" => return WebRoute::Tag(TagRoute::Event),
            "/click.gif" => return WebRoute::ClickPixel,
            _ => {}
        }
        if let Some(rest) = path.strip_prefix("/api/v1/") {
            WebRoute::Api(rest)
        } else if let Some(rest) = path.strip_prefix("/api/2/") {
            WebRoute::NetworkApi(rest)
        } else if let Some(entered) = postbacks.enter(path) {
            WebRoute::Postback(entered)
        } else if let Some(script) = ScriptPath::of(path) {
            WebRoute::Script(script)
        } else if let Some(pixel) = PixelPath::of(path) {
            WebRoute::Pixel(pixel)
        } else {
            LinkRequest::read(path, query).map_or(WebRoute::Page, WebRoute::Link)
        }
    }

    /// Whether visitors' browsers ask for it: links, pixels and what the tag sends.
    pub fn is_visitors(&self) -> bool {
        matches!(self, WebRoute::Tag(_) | WebRoute::ClickPixel | WebRoute::Pixel(_) | WebRoute::Link(_))
    }
}
