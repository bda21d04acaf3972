//! What a request asks for, by its path and query: both are read here, once.

use std::sync::Arc;

use crate::web::link::LinkRequest;
use crate::web::pixel::PixelPath;
use crate::web::postback::{Endpoint, Postbacks, Turned};
use crate::web::tag::{ScriptPath, TagRoute};

/// What a request asks for. Which of it a listener answers is the listener's.
pub enum Route<'a> {
    Alive,
    Ready,
    Metrics,
    /// What is behind `/api/v1/`.
    Api(&'a str),
    /// What is behind `/api/2/`.
    NetworkApi(&'a str),
    Tag(TagRoute),
    /// The endpoint that its key opens, or why none.
    Postback(Result<Arc<Endpoint>, Turned>),
    Script(ScriptPath<'a>),
    ClickPixel,
    Pixel(PixelPath),
    Link(LinkRequest<'a>),
    /// One of the pages, if anything.
    Page,
}

impl<'a> Route<'a> {
    pub fn of(postbacks: &Postbacks, path: &'a str, query: &'a [u8]) -> Route<'a> {
        match path {
            "/livez" => return Route::Alive,
            "/readyz" => return Route::Ready,
            "/metrics" => return Route::Metrics,
            "/t/click" => return Route::Tag(TagRoute::Click),
            "/t/event" => return Route::Tag(TagRoute::Event),
            "/click.gif" => return Route::ClickPixel,
            _ => {}
        }
        if let Some(rest) = path.strip_prefix("/api/v1/") {
            Route::Api(rest)
        } else if let Some(rest) = path.strip_prefix("/api/2/") {
            Route::NetworkApi(rest)
        } else if let Some(entered) = postbacks.enter(path) {
            Route::Postback(entered)
        } else if let Some(script) = ScriptPath::of(path) {
            Route::Script(script)
        } else if let Some(pixel) = PixelPath::of(path) {
            Route::Pixel(pixel)
        } else {
            LinkRequest::read(path, query).map_or(Route::Page, Route::Link)
        }
    }

    /// Whether visitors' browsers ask for it: links, pixels and what the tag sends.
    pub fn is_visitors(&self) -> bool {
        matches!(self, Route::Tag(_) | Route::ClickPixel | Route::Pixel(_) | Route::Link(_))
    }
}
