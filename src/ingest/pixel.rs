//! A conversion that a pixel reports: what its parameters say → whose click → one write.
//!
//! Anyone can read a pixel's URL in a page and ask for it again, so it is believed little: only where the offer
//! opens the route, the price only where the offer says so, and of one click, offer and event the first sale.

use std::sync::Arc;

use crate::domain::address;
use crate::domain::click::{CustomerTrait, CustomerTraits};
use crate::domain::consent::Consent;
use crate::domain::conversion::{Draft, EventClaim, NetworkClaim};
use crate::domain::earning::misplaced;
use crate::domain::event::EventName;
use crate::domain::forwarding::Sender;
use crate::domain::ids::OfferId;
use crate::domain::money::Money;
use crate::domain::offer::Offer;
use crate::domain::once::MeantEvent;
use crate::domain::postback::Fault;
use crate::domain::reporter::{BuiltInSource, Keyless, ParamSpelling, ReportRoute};
use crate::domain::ruleset::Ruleset;
use crate::domain::text::trim;
use crate::ingest::parameters::{ParamReader, TextLimit, fault};
use crate::ingest::submit::with_click;
use crate::store::contract::arrival::MappedArrival;
use crate::store::{Store, StoreError};
use crate::template::macros::detect::ValueUse;
use crate::template::source::params::{ListReader, shown};
use crate::template::source::{html_repair, request};

/// How a pixel's parameters are called. An empty name: it has no such parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    pub offer: &'static str,
    pub event: &'static str,
    pub click_id: &'static str,
    pub transaction_id: &'static str,
    /// What the sale is worth.
    pub value: &'static str,
    /// What the advertiser pays for it.
    pub revenue: &'static str,
    pub currency: &'static str,
    pub order_id: &'static str,
}

impl Dialect {
    /// The parameters that are read.
    fn names(&self) -> [&'static str; 8] {
        let Dialect { offer, event, click_id, transaction_id, value, revenue, currency, order_id } = *self;
        [offer, event, click_id, transaction_id, value, revenue, currency, order_id]
    }
}

/// Written out.
pub const LONG: Dialect = Dialect {
    offer: "offer",
    event: "event",
    click_id: "click_id",
    transaction_id: "transaction_id",
    value: "value",
    revenue: "",
    currency: "currency",
    order_id: "order_id",
};

/// As `p.ashx` calls them: `r` is the click's id there, `p` the revenue.
pub const SHORT: Dialect = Dialect {
    offer: "o",
    event: "e",
    click_id: "r",
    transaction_id: "t",
    value: "",
    revenue: "p",
    currency: "",
    order_id: "",
};

/// The longest text that is kept: anyone may call a pixel.
const LONGEST_TEXT: TextLimit = TextLimit::Bytes(256);

/// Who calls, and from where.
#[derive(Debug, Clone, Copy)]
pub struct PixelCaller<'a> {
    pub keyless: &'a Keyless,
    pub sender: Option<Sender>,
}

/// What a pixel reports, read and found sound.
#[derive(Debug, Clone)]
pub struct PixelReport(Draft);

/// Reads a pixel's query.
///
/// # Errors
/// No offer, a route that the offer has not opened, or a value that a person has to fix.
pub fn read(rules: &Ruleset, query: &[u8], caller: PixelCaller<'_>) -> Result<PixelReport, Fault> {
    let dialect = dialect(caller.keyless.spelling);
    let names = dialect.names();
    let params = request::read_for(&ListReader(&names), query, None, &[])?;
    let params = html_repair::repaired(&params, &names, |name| names.contains(&name));
    let reader = ParamReader::new(&params, &names, LONGEST_TEXT);
    let offer = offer(&reader, rules, dialect)?;
    if let Some(closed) = offer.reports.closed(&offer.id, caller.keyless.route, caller.sender) {
        return Err(closed);
    }
    let draft = draft(reader, offer, dialect, caller)?;
    let event = MeantEvent::by(&draft, Some(offer)).event;
    match offer.reports.closed_to_event(&offer.id, &event, dialect.event) {
        Some(closed) => Err(closed),
        None => Ok(PixelReport(draft)),
    }
}

/// Whether a pixel's query names an offer that is configured.
pub fn names_offer(rules: &Ruleset, query: &[u8], spelling: ParamSpelling) -> bool {
    let dialect = dialect(spelling);
    let names = dialect.names();
    let Ok(params) = request::read_for(&ListReader(&names), query, None, &[]) else { return false };
    let params = html_repair::repaired(&params, &names, |name| names.contains(&name));
    offer(&ParamReader::new(&params, &names, LONGEST_TEXT), rules, dialect).is_ok()
}

fn dialect(spelling: ParamSpelling) -> &'static Dialect {
    match spelling {
        ParamSpelling::Long => &LONG,
        ParamSpelling::Short => &SHORT,
    }
}

/// Looks up the click that a report names: here, so that the one writer thread need not.
///
/// # Errors
/// The outer ones are the store's; the inner says that the click is of another offer.
pub async fn find(
    store: &dyn Store,
    report: PixelReport,
) -> Result<Result<MappedArrival, Fault>, StoreError> {
    let mapped = with_click(store, report.0).await?;
    Ok(match mapped.click.as_ref().and_then(|found| misplaced(&mapped.draft, found)) {
        Some(fault) => Err(fault),
        None => Ok(mapped),
    })
}

fn offer<'a>(
    reader: &ParamReader<'_>,
    rules: &'a Ruleset,
    dialect: &Dialect,
) -> Result<&'a Arc<Offer>, Fault> {
    let name = dialect.offer;
    let hint = format!("name one of the [[offer]] ids: {name}=565");
    // What is configured is an id, also where it reads as a word that others are asked to replace.
    let named = reader.given(name)?.and_then(|id| OfferId::parse(id).ok());
    if let Some(offer) = named.and_then(|id| rules.offer(&id)) {
        return Ok(offer);
    }
    let given = reader.needed(name, &hint)?;
    Err(Fault::new(format!("no offer `{}` is configured", shown(name, &given)), hint))
}

fn draft(
    mut reader: ParamReader<'_>,
    offer: &Offer,
    dialect: &Dialect,
    caller: PixelCaller<'_>,
) -> Result<Draft, Fault> {
    let PixelCaller { keyless, sender } = caller;
    let event = event(&reader, dialect.event)?;
    let click_id = reader.id(dialect.click_id)?.map(str::to_owned);
    let transaction_id = reader.id(dialect.transaction_id)?.map(|id| trim(id).to_owned());
    // A server shows no cookie, so without a click id no one could ever say whose sale it is.
    if click_id.is_none() && keyless.visitor.is_none() && keyless.route == ReportRoute::Server {
        return Err(nobodys(&reader, dialect.click_id)?);
    }
    let order_id = reader.text(dialect.order_id, ValueUse::Id)?;
    let value = money(&mut reader, dialect.value, dialect, offer)?;
    let revenue = money(&mut reader, dialect.revenue, dialect, offer)?;
    Ok(Draft {
        source: BuiltInSource::Pixel.id(),
        event,
        status: None,
        transaction_id,
        click_id,
        item_id: None,
        value,
        negative_received: None,
        payout: None,
        revenue,
        sale_amount: value,
        event_time: None,
        traits: traits(keyless, sender),
        consent: Consent::default(),
        params: order_id.map(|id| ("order_id".to_owned(), id)).into_iter().collect(),
        note: reader.note(),
        // The commit makes the key: by the transaction id, else by the click that it finds.
        network: NetworkClaim {
            offer: Some(offer.id.clone()),
            visitor: keyless.visitor.clone(),
            ..NetworkClaim::default()
        },
    })
}

/// # Errors
/// As of any parameter that cannot be used.
fn nobodys(reader: &ParamReader<'_>, name: &str) -> Result<Fault, Fault> {
    let what = match reader.given(name)? {
        None => format!("no `{name}` was received"),
        Some(given) => format!("`{name}` was received as `{}`, which is no click id", shown(name, given)),
    };
    Ok(Fault::new(what, format!("put there the click id that the offer's URL carried: {name}=0mwpk…")))
}

fn event(reader: &ParamReader<'_>, name: &str) -> Result<EventClaim, Fault> {
    let hint = "write the event's name there, or leave the parameter out";
    let Some(word) = reader.word(name, ValueUse::Text, hint)? else { return Ok(EventClaim::sale_or_lead()) };
    EventName::parse(word).map(EventClaim::Named).ok_or_else(|| {
        let hint = "an event is 1–64 characters: Purchase, Lead, or a name of your own";
        fault(name, word, "which is no event", hint)
    })
}

/// An amount, in the currency reported or the offer's; only where the offer believes pixels.
fn money(
    reader: &mut ParamReader<'_>,
    name: &str,
    dialect: &Dialect,
    offer: &Offer,
) -> Result<Option<Money>, Fault> {
    // Also where another price follows a `null`: a sale without its price is worth more than none.
    if !reader.names_amount(name) {
        return Ok(None);
    }
    if !offer.accept_pixel_value {
        reader.leave_out(name, "the offer takes no prices from pixels (`accept_pixel_value`)");
        return Ok(None);
    }
    let Some(amount) = reader.amount(name, "send 0 or more; a pixel takes no sale back")? else {
        return Ok(None);
    };
    let hint = "write three letters of ISO 4217, such as USD, or leave it out for the offer's";
    let currency = reader.currency(dialect.currency, hint)?.unwrap_or(offer.currency);
    Ok(Some(Money::new(amount, currency)))
}

/// What is known of the customer where the customer's browser calls.
fn traits(keyless: &Keyless, sender: Option<Sender>) -> CustomerTraits {
    if keyless.route != ReportRoute::Pixel {
        return CustomerTraits::default();
    }
    let agent = keyless.user_agent.clone().map(|agent| (CustomerTrait::UserAgent, agent));
    let is_known = |sender: &Sender| sender.hidden_by.is_none() && address::is_visitors(sender.address);
    let visitors = sender.filter(is_known);
    let ip = visitors.map(|sender| (CustomerTrait::Ip, sender.address.to_string()));
    CustomerTraits(ip.into_iter().chain(agent).collect())
}
