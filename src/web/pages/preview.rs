//! The preview of a pasted query or URL: parameters → conversion → the exact requests. Writes nothing.

use std::collections::HashMap;

use http::StatusCode;
use serde::Serialize;
use serde_json::Value;

use crate::domain::attribution;
use crate::domain::click::Click;
use crate::domain::time::Time;
use crate::domain::unsent::Circumstances;
use crate::ingest::postback::Network;
use crate::ingest::preview::{
    self, Ground, Pasted, PreviewOutcome, Previewed, PreviewedDelivery, PreviewedRequest,
};
use crate::store::StoreError;
use crate::view::attempt::RequestView;
use crate::view::click::ClickView;
use crate::view::conversion::ConversionView;
use crate::view::remark::RemarkView;
use crate::web::pages::exchange::{DeliveryCard, Present};
use crate::web::pages::form::Form;
use crate::web::pages::mapping::{FaultText, Mapping};
use crate::web::pages::{Pages, Stop, document, mapping};

/// What was asked, to be shown again, and what became of it.
#[derive(Default)]
pub struct Shown {
    pub source: String,
    pub pasted: String,
    pub body: String,
    pub preview: Option<Value>,
}

impl Pages {
    /// Runs what was pasted the whole way on paper; the click is looked up in the store.
    pub(super) async fn preview(&self, form: &Form) -> Result<Shown, Stop> {
        let pasted = form.get("pasted").trim();
        let body = form.get("body").trim();
        let chosen = form.get("source");
        let source = if chosen.is_empty() { named_source(pasted).unwrap_or_default() } else { chosen };
        let known = self.networks.iter().find(|(id, _)| id.as_str() == source);
        let Some((_, network)) = known else {
            return Err(Stop::Refused(
                StatusCode::BAD_REQUEST,
                "The pasted text names no configured source".to_owned(),
                "Choose the source in the form on the Sources page.".to_owned(),
            ));
        };
        let query = preview::query_of(pasted);
        let content_type = None;
        let asked = Pasted { query: query.as_bytes(), content_type, body: body.as_bytes() };
        let clicks = self.pasted_clicks(network, asked).await?;
        let now = self.clock.now();
        let ground = Ground { network, accounts: &self.accounts, forecast: self.forecast };
        let found = preview::preview(ground, asked, now, |id| clicks.get(id).cloned());
        let (fault, made) = match &found.outcome {
            PreviewOutcome::Quarantined(fault) => (Some(FaultText::of(fault)), None),
            PreviewOutcome::Conversion(previewed) => (None, Some(Made::of(previewed, &clicks, now))),
        };
        let mapping = mapping::of(network, &found.params);
        let view = document(&PreviewCard { source, mapping, fault, made });
        Ok(Shown {
            source: source.to_owned(),
            pasted: pasted.to_owned(),
            body: body.to_owned(),
            preview: Some(view),
        })
    }

    /// The recorded clicks that the pasted click id may mean.
    async fn pasted_clicks(
        &self,
        network: &Network,
        asked: Pasted<'_>,
    ) -> Result<HashMap<String, Click>, StoreError> {
        let draft = network
            .template
            .read(asked.query, asked.content_type, asked.body)
            .and_then(|params| network.template.map(&network.binding, &params));
        let given = draft.ok().and_then(|draft| draft.click_id).unwrap_or_default();
        let mut clicks = HashMap::new();
        for (id, _) in attribution::candidates(&given) {
            if let Some(click) = self.store.click(&id).await? {
                clicks.insert(id.as_str().to_owned(), Click::clone(&click));
            }
        }
        Ok(clicks)
    }
}

/// What the template `preview` shows of an outcome.
#[derive(Serialize)]
struct PreviewCard<'a> {
    source: &'a str,
    mapping: Mapping,
    /// Why it would be quarantined.
    fault: Option<FaultText>,
    made: Option<Made<'a>>,
}

/// The conversion that it would make.
#[derive(Serialize)]
struct Made<'a> {
    conversion: ConversionView<'a>,
    click: Option<ClickView<'a>>,
    note: Option<&'a str>,
    deliveries: Vec<Sending<'a>>,
}

/// What one destination would be sent.
#[derive(Serialize)]
struct Sending<'a> {
    delivery: DeliveryCard<'a>,
    request: Option<RequestView<'a>>,
    /// Why there is no request.
    missing: Option<&'a str>,
    remarks: Vec<RemarkView>,
}

impl<'a> Made<'a> {
    fn of(previewed: &'a Previewed, clicks: &'a HashMap<String, Click>, now: Time) -> Made<'a> {
        let click = previewed.conversion.attribution.click().and_then(|id| clicks.get(id.as_str()));
        // The preview has said itself what would become of each.
        let circumstances = Circumstances::default();
        let present = Present { workers: &[], circumstances: &circumstances, now };
        let sending = |one: &'a PreviewedDelivery| {
            let (request, missing) = match &one.request {
                PreviewedRequest::Request(request) => (Some(RequestView::of(request)), None),
                PreviewedRequest::Skipped(reason) | PreviewedRequest::Broken(reason) => {
                    (None, Some(reason.as_str()))
                }
            };
            let delivery = DeliveryCard::of(&previewed.conversion, (&one.delivery, false), &[], &present);
            Sending { delivery, request, missing, remarks: RemarkView::all(&one.remarks) }
        };
        Made {
            conversion: ConversionView::of(&previewed.conversion),
            click: click.map(ClickView::of),
            note: previewed.note.as_deref(),
            deliveries: previewed.deliveries.iter().map(sending).collect(),
        }
    }
}

/// The source that a pasted postback URL names: `…/collect/{source}?…`.
fn named_source(pasted: &str) -> Option<&str> {
    let (_, rest) = pasted.split_once("/collect/")?;
    rest.split(['?', ' ', '#', '/']).next()
}
