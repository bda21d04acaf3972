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
use crate::domain::rejection::Rejection;
use crate::domain::rejection::param::{ParamFault, ParamProblem};
use crate::domain::rejection::sale::SaleProblem;
use crate::domain::rejection::wanted::{LengthLimit, ParamFix, WantedValue};
use crate::domain::reporter::{BuiltInSource, Keyless, ParamSpelling, ReportRoute};
use crate::domain::ruleset::Ruleset;
use crate::domain::text::trim;
use crate::ingest::parameters::{ParamReader, invalid, missing, of_value};
use crate::ingest::submit::named_click;
use crate::store::contract::Store;
use crate::store::contract::error::StoreError;
use crate::template::macros::detect::ValueUse;
use crate::template::source::params::ListReader;
use crate::template::source::{html_repair, request};

/// How a pixel's parameters are called. An empty name: it has no such parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    /// The offer's id.
    pub offer: &'static str,
    /// An event's name; without it the report is of a sale where there is something to pay, else of a lead.
    pub event: &'static str,
    /// The id of the click that is to earn it, in place of the visitor's cookie.
    pub click_id: &'static str,
    /// The sale's number at the advertiser; of two with the same one in one offer the first counts.
    pub transaction_id: &'static str,
    /// What the sale is worth.
    pub value: &'static str,
    /// What the advertiser pays for it.
    pub revenue: &'static str,
    /// The code of the amounts; without it the offer's currency.
    pub currency: &'static str,
    /// Kept among the conversion's parameters, and nothing goes by it.
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
const LONGEST_TEXT: LengthLimit = LengthLimit::Bytes(256);

/// Who calls, and from where.
#[derive(Debug, Clone, Copy)]
pub struct PixelCaller<'a> {
    /// By which route and in which spelling, and what the browser said of itself.
    pub keyless: &'a Keyless,
    /// Where it was sent from: an offer may list the servers that it hears. `None` where it is not known.
    pub sender: Option<Sender>,
}

/// What a pixel reports, read and found sound.
#[derive(Debug, Clone)]
pub struct PixelReport(Draft);

/// Reads a pixel's query.
///
/// # Errors
/// No offer, a route that the offer has not opened, or a value that a person has to fix.
pub fn read(rules: &Ruleset, query: &[u8], caller: PixelCaller<'_>) -> Result<PixelReport, Rejection> {
    let dialect = dialect(caller.keyless.spelling);
    let names = dialect.names();
    let params = request::read_for(&ListReader(&names), query, None, &[])?;
    let params = html_repair::repaired(&params, &names, |name| names.contains(&name));
    let reader = ParamReader::new(&params, &names, LONGEST_TEXT);
    let offer = offer(&reader, rules, dialect)?;
    if let Some(closed) = offer.reports.closed(&offer.id, caller.keyless.route, caller.sender) {
        return Err(closed.into());
    }
    let draft = draft(reader, offer, dialect, caller)?;
    let event = MeantEvent::by(&draft, Some(offer)).event;
    match offer.reports.closed_to_event(&offer.id, &event, dialect.event) {
        Some(closed) => Err(closed.into()),
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

/// A report, unless the click that it names is of another offer.
///
/// # Errors
/// The outer ones are the store's; the inner says so.
pub async fn find(store: &dyn Store, report: PixelReport) -> Result<Result<Draft, SaleProblem>, StoreError> {
    let draft = report.0;
    let found = named_click(store, &draft).await?;
    Ok(match found.and_then(|found| misplaced(&draft, &found)) {
        Some(problem) => Err(problem),
        None => Ok(draft),
    })
}

fn offer<'a>(
    reader: &ParamReader<'_>,
    rules: &'a Ruleset,
    dialect: &Dialect,
) -> Result<&'a Arc<Offer>, Rejection> {
    let name = dialect.offer;
    // What is configured is an id, also where it reads as a word that others are asked to replace.
    let named = reader.given(name)?.and_then(|id| OfferId::parse(id).ok());
    if let Some(offer) = named.and_then(|id| rules.offer(&id)) {
        return Ok(offer);
    }
    let given = reader.needed(name, ParamFix::NameOffer)?;
    Err(of_value(name, &given, ParamFault::UnknownOffer).with_fix(ParamFix::NameOffer).into())
}

fn draft(
    mut reader: ParamReader<'_>,
    offer: &Offer,
    dialect: &Dialect,
    caller: PixelCaller<'_>,
) -> Result<Draft, Rejection> {
    let PixelCaller { keyless, sender } = caller;
    let event = event(&reader, dialect.event)?;
    let click_id = reader.id(dialect.click_id)?.map(str::to_owned);
    let transaction_id = reader.id(dialect.transaction_id)?.map(|id| trim(id).to_owned());
    // A server shows no cookie, so without a click id no one could ever say whose sale it is.
    if click_id.is_none() && keyless.visitor.is_none() && keyless.route == ReportRoute::Server {
        return Err(nobodys(&reader, dialect.click_id)?.into());
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
        items: Vec::new(),
        adjustment_id: None,
        value,
        negative_received: None,
        payout: None,
        revenue,
        sale_amount: value,
        event_time: None,
        traits: traits(keyless, sender),
        consent: Consent::default(),
        params: order_id.map(|id| ("order_id".to_owned(), id)).into_iter().collect(),
        notes: reader.notes(),
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
fn nobodys(reader: &ParamReader<'_>, name: &str) -> Result<ParamProblem, Rejection> {
    Ok(match reader.given(name)? {
        None => missing(name, ParamFix::ClickIdOfUrl),
        Some(given) => invalid((name, given), WantedValue::ClickId, ParamFix::ClickIdOfUrl),
    })
}

fn event(reader: &ParamReader<'_>, name: &str) -> Result<EventClaim, Rejection> {
    let Some(word) = reader.word(name, ValueUse::Text, ParamFix::EventOrNothing)? else {
        return Ok(EventClaim::sale_or_lead());
    };
    let event = EventName::parse(word);
    let wrong = || invalid((name, word), WantedValue::Event, ParamFix::EventName);
    Ok(EventClaim::Named(event.ok_or_else(wrong)?))
}

/// An amount, in the currency reported or the offer's; only where the offer believes pixels.
fn money(
    reader: &mut ParamReader<'_>,
    name: &str,
    dialect: &Dialect,
    offer: &Offer,
) -> Result<Option<Money>, Rejection> {
    // Also where another price follows a `null`: a sale without its price is worth more than none.
    if !reader.names_amount(name) {
        return Ok(None);
    }
    if !offer.accept_pixel_value {
        reader.leave_out(ParamProblem::new(name.to_owned(), None, ParamFault::PriceNotTaken));
        return Ok(None);
    }
    let Some(amount) = reader.amount(name, ParamFix::PixelTakesNothingBack)? else {
        return Ok(None);
    };
    let currency = reader.currency(dialect.currency)?.unwrap_or(offer.currency);
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
