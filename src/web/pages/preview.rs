//! The preview of a pasted query or URL: parameters → conversion → the exact requests. Writes nothing.

use http::StatusCode;
use serde::Serialize;
use serde_json::Value;

use crate::domain::time::Time;
use crate::preview::pasted::PastedRequest;
use crate::preview::{PastedPostback, PreviewSetup, preview};
use crate::view::preview::PreviewView;
use crate::web::pages::form::PostedForm;
use crate::web::pages::mapping::{self, MappingTable};
use crate::web::pages::{PageExit, Pages, document};

/// What was asked, to be shown again, and what became of it.
#[derive(Default)]
pub struct Shown {
    pub source: String,
    pub pasted: String,
    pub body: String,
    pub preview: Option<Value>,
}

/// What the template `preview` shows of it.
#[derive(Serialize)]
struct PreviewCard<'a> {
    source: &'a str,
    mapping: MappingTable,
    /// When the click that the conversion would have was received.
    click_time: Option<Time>,
    document: PreviewView<'a>,
}

impl Pages {
    /// Runs what was pasted the whole way on paper; the click is looked up in the store.
    pub(super) async fn preview(&self, form: &PostedForm) -> Result<Shown, PageExit> {
        let pasted = form.get("pasted").trim();
        let body = form.get("body").trim();
        let chosen = form.get("source");
        let source = if chosen.is_empty() { named_source(pasted).unwrap_or_default() } else { chosen };
        let known = self.ops.networks.iter().find(|(id, _)| id.as_str() == source);
        let Some((_, network)) = known else {
            return Err(PageExit::Refused(
                StatusCode::BAD_REQUEST,
                "The pasted text names no configured source".to_owned(),
                "Choose the source in the form on the Sources page.".to_owned(),
            ));
        };
        let now = self.ops.clock.now();
        let request = PastedRequest { pasted, body: body.as_bytes(), ..PastedRequest::default() };
        let postback = PastedPostback::read(network, &request, now);
        let mut clicks = Vec::new();
        for id in postback.clicks() {
            clicks.extend(self.ops.store.click(&id).await?.as_deref().cloned());
        }
        let setup = PreviewSetup { network, destinations: &self.ops.destinations, forecast: self.forecast };
        let found = preview(setup, postback, &clicks, now);
        let card = PreviewCard {
            source,
            mapping: mapping::of(network, &found.params),
            click_time: found.click.as_ref().map(|click| click.at),
            document: PreviewView::of(&found),
        };
        Ok(Shown {
            source: source.to_owned(),
            pasted: pasted.to_owned(),
            body: body.to_owned(),
            preview: Some(document(&card)),
        })
    }
}

/// The source that a pasted postback URL names: `…/collect/{source}?…`.
fn named_source(pasted: &str) -> Option<&str> {
    let (_, rest) = pasted.split_once("/collect/")?;
    rest.split(['?', ' ', '#', '/']).next()
}
