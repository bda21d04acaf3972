//! The preview of a pasted query or URL: parameters → conversion → the exact requests. Writes nothing.

use std::collections::HashMap;

use http::StatusCode;
use serde_json::{Value, json};

use crate::domain::attribution;
use crate::domain::click::Click;
use crate::domain::postback::Fault;
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
use crate::web::pages::{Pages, Stop, mapping};

/// What was asked, to be shown again, and what it came to.
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
        let outcome = match &found.outcome {
            PreviewOutcome::Quarantined(fault) => quarantined(fault),
            PreviewOutcome::Conversion(previewed) => would_be(previewed, &clicks, now),
        };
        let view =
            json!({"mapping": mapping::of(network, &found.params), "outcome": outcome, "source": source});
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

fn quarantined(fault: &Fault) -> Value {
    json!({"fault": {"reason": fault.reason, "hint": fault.hint}, "made": null})
}

fn would_be(previewed: &Previewed, clicks: &HashMap<String, Click>, now: Time) -> Value {
    let click = previewed.conversion.attribution.click().and_then(|id| clicks.get(id.as_str()));
    // The preview has said itself what would become of each.
    let circumstances = Circumstances::default();
    let present = Present { lanes: &[], circumstances: &circumstances, now };
    let deliveries: Vec<Value> = previewed
        .deliveries
        .iter()
        .map(|PreviewedDelivery { delivery, request, remarks }| {
            let (request, missing) = match request {
                PreviewedRequest::Request(request) => (Some(RequestView::of(request)), None),
                PreviewedRequest::Skipped(reason) | PreviewedRequest::Broken(reason) => (None, Some(reason)),
            };
            let view = DeliveryCard::of(&previewed.conversion, (delivery, false), &[], &present);
            let remarks: Vec<RemarkView> = remarks.iter().map(RemarkView::of).collect();
            json!({"delivery": view, "request": request, "missing": missing, "remarks": remarks})
        })
        .collect();
    let made = json!({
        "conversion": ConversionView::of(&previewed.conversion),
        "click": click.map(ClickView::of),
        "note": previewed.note,
        "deliveries": deliveries,
    });
    json!({"fault": null, "made": made})
}

/// The source that a pasted postback URL names: `…/collect/{source}?…`.
fn named_source(pasted: &str) -> Option<&str> {
    let (_, rest) = pasted.split_once("/collect/")?;
    rest.split(['?', ' ', '#', '/']).next()
}
