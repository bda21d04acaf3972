//! Each source: the URL to paste, how it is set up, what was received lately; and the preview's form.

use std::collections::BTreeMap;

use http::StatusCode;
use serde::Serialize;
use serde_json::json;

use crate::domain::conversion::Dedup;
use crate::domain::dedup::shown_id;
use crate::domain::event::EventName;
use crate::domain::ids::SourceId;
use crate::domain::routing::Unmatched;
use crate::domain::status::Status;
use crate::domain::time::Time;
use crate::ingest::postback::Network;
use crate::store::contract::lookup::ReusedTransaction;
use crate::store::contract::lookup::{PageRequest, PostbackFilter};
use crate::template::source::verify::rules::VerifyMode;
use crate::view::url_finding::LintedUrlView;
use crate::web::auth::RequiredRight;
use crate::web::pages::form::PostedForm;
use crate::web::pages::list::options;
use crate::web::pages::preview::Shown;
use crate::web::pages::session::SignedIn;
use crate::web::pages::{PageContent, PageExit, Pages};

/// How many of a source's latest postbacks are counted: a bounded read, not a scan.
const LATEST: usize = 100;
/// How many of a source's reused transaction ids are named.
const REUSED: usize = 5;

impl Pages {
    /// `/sources`, where nothing was asked for.
    pub(super) async fn plain_sources(&self, visitor: &SignedIn) -> Result<PageContent, PageExit> {
        self.sources(visitor, SourcesForms::default()).await
    }

    /// `/sources`, with what was asked for by one of its forms.
    pub(super) async fn sources(
        &self,
        visitor: &SignedIn,
        forms: SourcesForms,
    ) -> Result<PageContent, PageExit> {
        let mut networks: Vec<(&SourceId, &Network)> = self.ops.networks.iter().collect();
        networks.sort_unstable_by_key(|(id, _)| id.as_str());
        let shows_keys = self.allows(visitor, RequiredRight::Change);
        let mut items = Vec::with_capacity(networks.len());
        for (id, network) in networks {
            let linted = forms.linted.as_ref().filter(|(of, _)| of == id).map(|(_, linted)| linted);
            items.push(SourceCard { linted, ..self.source(id, network, shows_keys).await? });
        }
        let shown = forms.preview;
        let ids = self.source_ids();
        // Where there is only one source, no one needs to choose it.
        let chosen =
            if let ([only], "") = (ids.as_slice(), shown.source.as_str()) { only } else { &*shown.source };
        let data = json!({
            "items": items,
            "shows_keys": shows_keys,
            "form": {
                "sources": options(ids.iter().copied(), chosen),
                "pasted": shown.pasted,
                "body": shown.body,
            },
            "preview": shown.preview,
        });
        Ok(PageContent::new("sources", "Sources", data))
    }

    async fn source<'a>(
        &'a self,
        id: &'a SourceId,
        network: &'a Network,
        shows_keys: bool,
    ) -> Result<SourceCard<'a>, PageExit> {
        let template = &network.template;
        let policy = &network.policy;
        let forwarded: Vec<&str> = policy.forward_status.iter().copied().map(Status::as_str).collect();
        let events = template.default_events().map(|(positive, zero)| EventsByValue {
            positive: network.binding.positive_event.clone().unwrap_or(positive),
            zero: network.binding.zero_event.clone().unwrap_or(zero),
        });
        let url = self.urls.get(id.as_str());
        Ok(SourceCard {
            id,
            template: template.name(),
            mapping: network.mapping.to_string(),
            docs: web_address(template.docs()),
            title: Some(template.title()).filter(|title| *title != template.name()),
            is_webhook: template.is_webhook(),
            paste_at: template.paste_at(),
            caveats: template.caveats(),
            url: url.map(|url| if shows_keys { url.whole.as_str() } else { &url.masked }),
            linted: None,
            extra: template.extra_params().join(", "),
            link_param: template.link_param(),
            currency: network.binding.currency.map(|currency| currency.to_string()),
            dedup: dedup(policy.dedup),
            forwarded: forwarded.join(", "),
            unmatched: unmatched(policy.unmatched),
            verified: verified(network),
            events,
            latest: self.latest(id).await?,
            reused: self.reused(id).await?,
        })
    }

    /// Looks over what was pasted. Whether its key is right is said to those alone who may see keys.
    pub(super) fn lint_url(
        &self,
        visitor: &SignedIn,
        id: &str,
        form: &PostedForm,
    ) -> Result<SourcesForms, PageExit> {
        let Some(source) = self.config.source(id) else {
            let hint = "Go back to the page Sources: it may have been taken out of the configuration.";
            let what = format!("There is no source {id}");
            return Err(PageExit::Refused(StatusCode::NOT_FOUND, what, hint.to_owned()));
        };
        let knows_keys = self.allows(visitor, RequiredRight::Change);
        let linted = self.config.lint_postback_url(source, form.get("pasted"), knows_keys);
        let linted = Some((source.id.clone(), LintedUrlView::of(&linted)));
        Ok(SourcesForms { linted, ..SourcesForms::default() })
    }

    /// The transaction ids that are received again and again with different clicks.
    async fn reused(&self, id: &SourceId) -> Result<Vec<ReusedIdRow>, PageExit> {
        let reused = self.ops.store.reused_transactions(id.clone(), REUSED).await?;
        Ok(reused.iter().map(|one| ReusedIdRow::of(id, one)).collect())
    }

    /// The verdicts of the latest postbacks, and when the last one was received.
    async fn latest(&self, id: &SourceId) -> Result<LatestPostbacks, PageExit> {
        let filter = PostbackFilter { source: Some(id.clone()), ..PostbackFilter::default() };
        let page = self.ops.store.postbacks(filter, PageRequest { cursor: None, limit: LATEST }).await?;
        let mut counts: BTreeMap<&'static str, u64> = BTreeMap::new();
        for postback in &page.items {
            *counts.entry(postback.verdict.as_str()).or_default() += 1;
        }
        let last = page.items.first().map(|postback| postback.received_at);
        Ok(LatestPostbacks { total: page.items.len(), counts, last })
    }
}

/// What was asked for on the page.
#[derive(Default)]
pub struct SourcesForms {
    preview: Shown,
    linted: Option<(SourceId, LintedUrlView)>,
}

impl SourcesForms {
    pub fn of_preview(preview: Shown) -> SourcesForms {
        SourcesForms { preview, linted: None }
    }
}

/// A source, as the template `sources` shows it.
#[derive(Serialize)]
struct SourceCard<'a> {
    id: &'a SourceId,
    template: &'a str,
    /// What postbacks are mapped by now, as their records name it.
    mapping: String,
    docs: Option<&'a str>,
    /// What the network calls itself, where the template says so.
    title: Option<&'a str>,
    is_webhook: bool,
    paste_at: Option<&'a str>,
    caveats: &'a [String],
    url: Option<&'a str>,
    linted: Option<&'a LintedUrlView>,
    extra: String,
    link_param: Option<&'a str>,
    currency: Option<String>,
    dedup: &'static str,
    forwarded: String,
    unmatched: String,
    /// How postbacks are known as the network's; `None`: by the key in their URL alone.
    verified: Option<String>,
    events: Option<EventsByValue>,
    latest: LatestPostbacks,
    reused: Vec<ReusedIdRow>,
}

/// What is verified, and what becomes of what is not the network's.
fn verified(network: &Network) -> Option<String> {
    let rules = network.verify.as_deref()?;
    let scheme = network.template.verification().map(|scheme| format!("the signature ({})", scheme.kind()));
    let addresses = (!rules.allow_ips.is_empty()).then(|| "the sender's address".to_owned());
    let what: Vec<String> = scheme.into_iter().chain(addresses).collect();
    let then = match rules.mode {
        VerifyMode::Enforce => "what is wrong is quarantined",
        VerifyMode::Observe => "what is wrong counts, and is noted",
        VerifyMode::Off => "not looked at",
    };
    Some(format!("{}: {then}", what.join(" and ")))
}

/// The events that are meant where none is named.
#[derive(Serialize)]
struct EventsByValue {
    positive: EventName,
    zero: EventName,
}

/// What became of the latest postbacks.
#[derive(Serialize)]
struct LatestPostbacks {
    total: usize,
    counts: BTreeMap<&'static str, u64>,
    last: Option<Time>,
}

/// A transaction id that was received with many clicks.
#[derive(Serialize)]
struct ReusedIdRow {
    id: String,
    event: EventName,
    conversions: u32,
    last: Time,
    /// Its conversions.
    link: String,
}

impl ReusedIdRow {
    fn of(source: &SourceId, reused: &ReusedTransaction) -> ReusedIdRow {
        let newest = &reused.newest;
        let transaction = newest.transaction_id.as_deref().unwrap_or_default();
        let query: String = form_urlencoded::Serializer::new(String::new())
            .append_pair("source", source.as_str())
            .append_pair("transaction_id", transaction)
            .finish();
        ReusedIdRow {
            id: shown_id(transaction),
            event: newest.event.clone(),
            conversions: reused.conversions,
            last: newest.received_at,
            link: format!("/conversions?{query}"),
        }
    }
}

/// Only an address that a browser may follow becomes a link.
fn web_address(text: &str) -> Option<&str> {
    (text.starts_with("https://") || text.starts_with("http://")).then_some(text)
}

fn dedup(mode: Dedup) -> &'static str {
    match mode {
        Dedup::Transaction => {
            "transaction: one conversion per transaction id and event; reported with the click of another \
             visitor it is another conversion; without a transaction id, per click id and event"
        }
        Dedup::Click => "click: one conversion per click id; without one, per transaction id",
        Dedup::Each => "each: every postback is a conversion of its own",
    }
}

fn unmatched(rule: Unmatched) -> String {
    match rule {
        Unmatched::Hold { hours } => format!("hold: waits {hours} hours for its click, then is skipped"),
        Unmatched::Forward => "forward: sent without the click".to_owned(),
        Unmatched::Drop => "drop: kept here, sent nowhere".to_owned(),
    }
}
