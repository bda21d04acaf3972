//! `postbridge preview`: what a postback would become and what would be sent, by the code that does
//! it, without a store and without sending.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde_json::Value;

use crate::cli::pasted_request::PastedRequestArgs;
use crate::cli::{ConfigPath, Failure, print, print_json};
use crate::clock::Clock;
use crate::config::configuration::Config;
use crate::config::part::unknown;
use crate::config::source::Source;
use crate::dispatch::prepare::forecast;
use crate::domain::attribution::Attribution;
use crate::domain::click::Click;
use crate::domain::code::{CodedReason, ReasonCode};
use crate::domain::conversion::Conversion;
use crate::domain::delivery::DeliveryState;
use crate::domain::ids::ClickId;
use crate::domain::item::SoldItem;
use crate::domain::money::Money;
use crate::domain::rejection::note::{NoteCode, omission_notes};
use crate::domain::routing::Route;
use crate::domain::ruleset::Ruleset;
use crate::domain::time::Time;
use crate::ingest::click::ClickDraft;
use crate::ingest::landing::Landing;
use crate::ingest::postback::Network;
use crate::preview::pasted::PastedRequest;
use crate::preview::signature::{PreviewedSignature, SignatureFinding, UnshownSignature};
use crate::preview::{NoConversion, PastedPostback, Preview, PreviewSetup, PreviewedDelivery, preview};
use crate::template::destination::ready::ReadyDestination;
use crate::template::diagnostic::Problem;
use crate::view::preview::{PreviewView, body};
use crate::view::reason::ReasonView;
use crate::web::click_body;

#[derive(Args)]
pub struct PreviewArgs {
    /// The id of the [[source]] that the postback is for. Not needed where there is only one.
    #[arg(long, value_name = "SOURCE")]
    source: Option<String>,
    /// Only this [[destination]] or outgoing postback (campaign:8599, affiliate:200, postback:all); else
    /// every one that takes the conversion.
    #[arg(long, value_name = "DESTINATION")]
    destination: Option<String>,
    /// A JSON file with the click it belongs to, as for POST /api/v1/clicks. Without a click_id in it,
    /// it is the click that the postback names.
    #[arg(long, value_name = "FILE")]
    click: Option<PathBuf>,
    /// The campaign whose link the click was made on: its postbacks are previewed too.
    #[arg(long, value_name = "CAMPAIGN")]
    campaign: Option<String>,
    /// Print one JSON document: {"postback","conversion","attribution","requests","skipped"}.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigPath,
    #[command(flatten)]
    request: PastedRequestArgs,
    /// The postback's parameters: the part after the `?`, the whole URL, or a request line of a log.
    #[arg(value_name = "QUERY", required_unless_present = "body")]
    query: Option<String>,
}

/// A destination and what it takes.
type Chosen = (Arc<ReadyDestination>, Route);

impl PreviewArgs {
    pub fn run(self) -> Result<(), Failure> {
        let config = self.config.load()?;
        let usage = |problem| Failure::usage(vec![problem]);
        let source = self.source(&config).map_err(usage)?;
        let chosen = self.chosen(&config).map_err(usage)?;
        let found = self.preview(&config, (source, chosen), Clock::system().now()).map_err(usage)?;
        if self.json { print_json(&PreviewView::of(&found)) } else { print(&in_words(&found)) }
    }

    /// The source that is named, or the only one.
    fn source<'c>(&self, config: &'c Config) -> Result<&'c Source, Problem> {
        let known = || config.sources.iter().map(|source| source.id.as_str()).collect::<Vec<_>>();
        match (&self.source, config.sources.as_slice()) {
            (Some(id), _) => config.source(id).ok_or_else(|| unknown("source", id, &known())),
            (None, [only]) => Ok(only),
            (None, []) => Err(Problem::new("there is no [[source]]", "add the one that the postback is for")),
            (None, _) => {
                let hint =
                    format!("name the one that the postback is for: --source {}", known().join(" or "));
                Err(Problem::new("there are several sources", hint))
            }
        }
    }

    /// Every destination and outgoing postback, or the one that is asked for.
    fn chosen(&self, config: &Config) -> Result<Vec<Chosen>, Problem> {
        let destinations = config.destinations.iter().map(|to| (Arc::clone(&to.ready), to.route.clone()));
        let postbacks = config.outgoing.iter().map(|to| (Arc::clone(&to.ready), to.route.clone()));
        let all: Vec<Chosen> = destinations.chain(postbacks).collect();
        let Some(id) = &self.destination else { return Ok(all) };
        match all.iter().find(|(destination, _)| destination.id().as_str() == id) {
            Some(found) => Ok(vec![found.clone()]),
            None => {
                let known: Vec<&str> = all.iter().map(|(destination, _)| destination.id().as_str()).collect();
                Err(unknown("destination", id, &known))
            }
        }
    }

    fn preview(
        &self,
        config: &Config,
        (source, chosen): (&Source, Vec<Chosen>),
        now: Time,
    ) -> Result<Preview, Problem> {
        let (destinations, routes): (Vec<Arc<ReadyDestination>>, Vec<Route>) = chosen.into_iter().unzip();
        let network = Network {
            template: Arc::clone(&source.template),
            binding: source.binding.clone(),
            policy: Arc::clone(&source.policy),
            mapping: source.mapping,
            verify: config.verify_rules(source).map(Arc::new),
            rules: Arc::new(Ruleset { routes, ..config.ruleset() }),
        };
        let most = source.template.max_body_bytes().unwrap_or(config.server.max_body_bytes);
        let given = self.request.read(most)?;
        let request = PastedRequest {
            pasted: self.query.as_deref().unwrap_or_default(),
            headers: given.headers.as_ref(),
            content_type: given.content_type.as_deref(),
            body: &given.body,
        };
        let pasted = PastedPostback::read(&network, &request, now);
        // Also when the postback is wrong, so that a wrong file is reported too.
        let named = pasted.clicks().into_iter().next();
        let named = named.unwrap_or_else(|| ClickId::mint(now.as_millis(), [0; 16]));
        let click = self.click(config, named, now)?;
        let setup = PreviewSetup { network: &network, destinations: &destinations, forecast };
        Ok(preview(setup, pasted, click.as_slice(), now))
    }

    /// The click of `--click`, with the campaign of `--campaign`; the campaign alone makes one of nothing
    /// but that. Where the file has no id, it is `named`.
    fn click(&self, config: &Config, named: ClickId, now: Time) -> Result<Option<Click>, Problem> {
        let read = |path: &PathBuf| read_click(path, named.clone(), now);
        let click = self.click.as_ref().map(read).transpose()?;
        let Some(id) = &self.campaign else { return Ok(click) };
        let known = || config.campaigns.iter().map(|one| one.campaign.id.as_str()).collect::<Vec<_>>();
        let found = config.campaigns.iter().find(|one| one.campaign.id.as_str() == id);
        let found = found.ok_or_else(|| unknown("campaign", id, &known()))?;
        let mut click = click.unwrap_or_else(|| ClickDraft::default().into_click(named, now));
        click.context.campaign_ref = Some(found.campaign.campaign_ref());
        Ok(Some(click))
    }
}

/// Reads the click in the file at `path`, recorded `now`. Without a `click_id` it is `otherwise`.
///
/// # Errors
/// When the file cannot be read, or is not what `POST /api/v1/clicks` takes.
fn read_click(path: &Path, otherwise: ClickId, now: Time) -> Result<Click, Problem> {
    let file = path.display().to_string();
    let body = std::fs::read(path).map_err(|error| {
        Problem::new(format!("the click cannot be read: {error}"), "name a JSON file").in_file(&file)
    })?;
    let read = click_body::read(&body, &Landing::built_in(), now).map_err(|cause| {
        let hint =
            "write it as for POST /api/v1/clicks: {\"click_id\": …, \"ip\": …, \"params\": {\"fbclid\": …}}";
        Problem::new(format!("the click is not understood: {}", cause.sentence()), hint).in_file(&file)
    })?;
    // A preview is to show what would be sent, so a member that would be lost is a mistake in the file.
    let click = read.draft.into_click(otherwise, now);
    if let Some(note) = read.notes.into_iter().chain(omission_notes(&click.context.omitted)).next() {
        let (what, hint) = (note.sentence(), "correct or remove that member");
        return Err(
            Problem::new(format!("a member of the click would not be kept: {what}"), hint).in_file(&file)
        );
    }
    Ok(click)
}

fn reason_words(text: &mut String, reason: &impl CodedReason) {
    line(text, "reason code", reason.code().as_str());
    if let Some(field) = reason.field() {
        line(text, "field", field);
    }
    line(text, "reason", &reason.sentence());
    line(text, "hint", &reason.hint());
}

/// What the document says, for people.
fn in_words(preview: &Preview) -> String {
    let mut text = String::from("parameters\n");
    let params = preview.params.as_ref().ok();
    for param in params.into_iter().flat_map(|params| &params.pairs) {
        line(&mut text, &param.name, &param.value);
    }
    match &preview.conversion {
        Ok(conversion) => conversion_words(&mut text, conversion, preview.signature.as_ref()),
        Err(none) => {
            text.push_str(&format!("\n{}\n", none.verdict().as_str()));
            match none {
                NoConversion::Quarantined(rejection) => reason_words(&mut text, rejection),
                NoConversion::Ignored(reason) => reason_words(&mut text, reason),
            }
        }
    }
    if let Some(signature) = &preview.signature {
        signature_words(&mut text, signature);
    }
    // What is wrong with the signature is said already.
    for note in preview.all_notes().filter(|note| note.code() != NoteCode::NotVerified) {
        line(&mut text, "note", &note.sentence());
    }
    if let Some(unsent) = &preview.unsent {
        line(&mut text, "not sent", &format!("{}: {}", unsent.code().as_str(), unsent.sentence()));
        line(&mut text, "hint", &unsent.hint());
    }
    for delivery in &preview.deliveries {
        delivery_words(&mut text, delivery);
    }
    text
}

fn signature_words(text: &mut String, signature: &PreviewedSignature) {
    let PreviewedSignature { kind, place, finding, .. } = signature;
    let said = |words: String| format!("{kind}, in {place}: {words}");
    match finding {
        SignatureFinding::Taken => line(text, "signature", &said("it is taken".to_owned())),
        SignatureFinding::NotShown(missing) => {
            let wanted = match missing {
                UnshownSignature::Header => {
                    format!("give its header: --header '{}: …'", signature.place.name())
                }
                UnshownSignature::WholeUrl => "give the whole URL, which it is over".to_owned(),
                UnshownSignature::Text => "what is given has it masked".to_owned(),
                UnshownSignature::ReadableBody => "the body cannot be read".to_owned(),
            };
            line(text, "signature", &said(format!("not looked at; {wanted}")));
        }
        SignatureFinding::Refused(problem) => {
            let ends = if signature.is_quarantined() {
                "refused, and the postback is quarantined"
            } else {
                "it would be refused, but the source only observes"
            };
            line(text, "signature", &said(ends.to_owned()));
            reason_words(text, problem);
        }
    }
}

/// What is known of one thing of an order, on one line.
fn item_words(item: &SoldItem) -> String {
    let texts = [item.id.clone(), item.name.clone(), item.category.clone()].into_iter().flatten();
    let quantity = item.quantity.map(|quantity| format!("× {quantity}"));
    let price = item.price.map(|price| format!("at {price}"));
    texts.chain(quantity).chain(price).collect::<Vec<_>>().join(" ")
}

fn conversion_words(text: &mut String, conversion: &Conversion, signature: Option<&PreviewedSignature>) {
    let is_refused = signature.is_some_and(PreviewedSignature::is_quarantined);
    text.push_str(if is_refused { "\naccepted, but for its signature\n" } else { "\naccepted\n" });
    line(text, "event", conversion.event.as_str());
    line(text, "status", conversion.status.as_str());
    let money = |money: Option<Money>| money.map(|money| money.to_string());
    for (name, value) in [
        ("transaction id", conversion.transaction_id.clone()),
        ("item id", conversion.item_id.clone()),
        ("value", money(conversion.value)),
        ("payout", money(conversion.payout)),
        ("revenue", money(conversion.revenue)),
        ("sale amount", money(conversion.sale_amount)),
    ] {
        if let Some(value) = value {
            line(text, name, &value);
        }
    }
    for item in &conversion.items {
        line(text, "item", &item_words(item));
    }
    for (name, value) in &conversion.params {
        line(text, name, value);
    }
    for (name, value) in &conversion.traits.0 {
        line(text, name.name(), value);
    }
    line(text, "event id", &conversion.id.event_id().to_string());
    let attribution = match &conversion.attribution {
        Attribution::NoClickId => "unmatched: no click id was received".to_owned(),
        Attribution::Unmatched { given } => {
            format!("unmatched: no click `{given}` was supplied (--click FILE)")
        }
        Attribution::Matched { click, reading, .. } => {
            format!("matched: click {click} ({})", reading.as_str())
        }
        Attribution::Expired { click, .. } => format!("expired: the session of click {click} was over"),
        Attribution::Visitor { click, model, .. } => {
            format!("matched: click {click} of the same visitor, by {}", model.as_str())
        }
    };
    line(text, "attribution", &attribution);
}

fn delivery_words(text: &mut String, delivery: &PreviewedDelivery) {
    text.push_str(&format!("\n{}, mode {}", delivery.destination, delivery.mode.as_str()));
    match &delivery.state {
        DeliveryState::Held { until } => text.push_str(&format!(": held for its click until {until}")),
        DeliveryState::Skipped { .. } | DeliveryState::Dead { .. } => {
            text.push_str(&format!(": {}", delivery.state.as_str()));
        }
        DeliveryState::Waiting { .. }
        | DeliveryState::Confirming { .. }
        | DeliveryState::Delivered { .. } => {}
    }
    text.push('\n');
    if let Some(reason) = delivery.reason().as_ref().map(ReasonView::of_undelivered) {
        line(text, "not sent", &format!("{}: {}", reason.code(), reason.sentence()));
        line(text, "hint", reason.hint());
    }
    match &delivery.request {
        Err(_) => {}
        Ok(request) => {
            text.push_str(&format!("  {} {}\n", request.method, request.url));
            for (name, value) in &request.headers {
                text.push_str(&format!("  {name}: {value}\n"));
            }
            let body = match body(request) {
                Value::Null => String::new(),
                Value::String(text) => text,
                json => format!("{json:#}"),
            };
            for row in body.lines() {
                text.push_str(&format!("  {row}\n"));
            }
        }
    }
    for remark in &delivery.remarks {
        line(text, "note", &remark.line());
    }
}

fn line(text: &mut String, name: &str, value: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "  {name:<16} {value}");
}
