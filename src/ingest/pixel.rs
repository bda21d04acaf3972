//! A conversion that a pixel reports: what its parameters say → whose click → one write.
//!
//! Anyone can read a pixel's URL in a page and ask for it again, so it is believed little: only where the offer
//! opens the route, the price only where the offer says so, and of one click, offer and event the first sale.

use std::sync::Arc;

use crate::domain::address;
use crate::domain::built_in;
use crate::domain::click::{Trait, Traits};
use crate::domain::consent::Consent;
use crate::domain::conversion::{Draft, EventClaim, NetworkClaim};
use crate::domain::earning::misplaced;
use crate::domain::event::EventName;
use crate::domain::forwarding::Sender;
use crate::domain::ids::{OfferId, SourceId};
use crate::domain::money::{Currency, DecimalMark, Money, parse_decimal};
use crate::domain::offer::Offer;
use crate::domain::once::Meant;
use crate::domain::postback::Fault;
use crate::domain::reporter::{Keyless, ReportRoute, Spelling};
use crate::domain::ruleset::Ruleset;
use crate::domain::text::trim;
use crate::ingest::submit::with_click;
use crate::store::{MappedArrival, Store, StoreError};
use crate::template::macros::detect::{Classified, Use, classify};
use crate::template::source::html_repair;
use crate::template::source::param_fault::{unread_repeats, usable};
use crate::template::source::params::{Listed, Params, shown};
use crate::template::source::request;

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

/// The longest text of a parameter that is kept, in bytes.
const LONGEST: usize = 256;

/// Who calls, and from where.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'a> {
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
pub fn read(rules: &Ruleset, query: &[u8], caller: Caller<'_>) -> Result<PixelReport, Fault> {
    let dialect = dialect(caller.keyless.spelling);
    let names = dialect.names();
    let params = request::read_for(&Listed(&names), query, None, &[])?;
    let params = html_repair::repaired(&params, &names, |name| names.contains(&name));
    let notes = params.notes.iter().cloned().chain(unread_repeats(&params, &names)).collect();
    let mut reader = Reader { params: &params, notes };
    let offer = reader.offer(rules, dialect)?;
    if let Some(closed) = offer.reports.closed(&offer.id, caller.keyless.route, caller.sender) {
        return Err(closed);
    }
    let draft = reader.draft(&offer, dialect, caller)?;
    let event = Meant::by(&draft, Some(&offer)).event;
    match offer.reports.closed_to_event(&offer.id, &event, dialect.event) {
        Some(closed) => Err(closed),
        None => Ok(PixelReport(draft)),
    }
}

/// Whether a pixel's query names an offer that is configured.
pub fn names_offer(rules: &Ruleset, query: &[u8], spelling: Spelling) -> bool {
    let dialect = dialect(spelling);
    let names = dialect.names();
    let Ok(params) = request::read_for(&Listed(&names), query, None, &[]) else { return false };
    let params = html_repair::repaired(&params, &names, |name| names.contains(&name));
    Reader { params: &params, notes: Vec::new() }.offer(rules, dialect).is_ok()
}

fn dialect(spelling: Spelling) -> &'static Dialect {
    match spelling {
        Spelling::Long => &LONG,
        Spelling::Short => &SHORT,
    }
}

/// Looks up the click that a report names: here, so that the one writer thread need not.
///
/// # Errors
/// The outer ones are the store's; the inner says that the click is of another offer.
pub async fn find(
    store: &dyn Store,
    reported: PixelReport,
) -> Result<Result<MappedArrival, Fault>, StoreError> {
    let mapped = with_click(store, reported.0).await?;
    Ok(match mapped.click.as_ref().and_then(|found| misplaced(&mapped.draft, found)) {
        Some(fault) => Err(fault),
        None => Ok(mapped),
    })
}

/// Reads parameters, and notes what it leaves out.
struct Reader<'a> {
    params: &'a Params,
    notes: Vec<String>,
}

impl Reader<'_> {
    fn offer(&mut self, rules: &Ruleset, dialect: &Dialect) -> Result<Arc<Offer>, Fault> {
        let name = dialect.offer;
        let hint = format!("name one of the [[offer]] ids: {name}=565");
        // What is configured is an id, also where it reads as a word that others are asked to replace.
        let named = usable(self.params, name)?.and_then(|param| OfferId::parse(trim(&param.value)).ok());
        if let Some(offer) = named.and_then(|id| rules.offer(&id)) {
            return Ok(Arc::clone(offer));
        }
        let Some(given) = self.id(name)? else {
            return Err(Fault::new(
                format!("no `{name}` was received: no one knows which offer converted"),
                hint,
            ));
        };
        Err(Fault::new(format!("no offer `{}` is configured", shown(name, &given)), hint))
    }

    fn draft(mut self, offer: &Offer, dialect: &Dialect, caller: Caller<'_>) -> Result<Draft, Fault> {
        let Caller { keyless, sender } = caller;
        let event = self.event(dialect.event)?;
        let (click_id, transaction_id) = (self.id(dialect.click_id)?, self.id(dialect.transaction_id)?);
        // A server shows no cookie, so without a click id no one could ever say whose sale it is.
        if click_id.is_none() && keyless.visitor.is_none() && keyless.route == ReportRoute::Server {
            return Err(self.nobodys(dialect.click_id));
        }
        let transaction_id = transaction_id.map(|id| trim(&id).to_owned());
        let order_id = self.kept_id(dialect.order_id)?;
        let value = self.money(dialect.value, dialect, offer)?;
        let revenue = self.money(dialect.revenue, dialect, offer)?;
        Ok(Draft {
            source: SourceId::parse(built_in::PIXEL).map_err(|error| Fault::new(error.to_string(), ""))?,
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
            params: order_id.map(|id| ("order_id".to_owned(), trim(&id).to_owned())).into_iter().collect(),
            note: Some(self.notes.join("; ")).filter(|note| !note.is_empty()),
            // The commit makes the key: by the transaction id, else by the click that it finds.
            network: NetworkClaim {
                offer: Some(offer.id.clone()),
                visitor: keyless.visitor.clone(),
                ..NetworkClaim::default()
            },
        })
    }

    fn nobodys(&self, name: &str) -> Fault {
        let what = match self.params.get(name).map(|param| trim(&param.value)) {
            None | Some("") => format!("no `{name}` was received"),
            Some(received_text) => {
                format!("`{name}` was received as `{}`, which is no click id", shown(name, received_text))
            }
        };
        Fault::new(what, format!("put there the click id that the offer's URL carried: {name}=0mwpk…"))
    }

    /// An id as it was received; what is for none is absent, and said.
    fn id(&mut self, name: &str) -> Result<Option<String>, Fault> {
        let Some(param) = usable(self.params, name)? else { return Ok(None) };
        match classify(&param.value, &param.raw, Use::Id) {
            Classified::Sound if param.value.len() > LONGEST => Err(too_long(name, &param.value)),
            Classified::Sound => Ok(Some(param.value.clone())),
            Classified::Empty => Ok(None),
            Classified::Nothing | Classified::Skeleton | Classified::Macro(_) => {
                let received_text = shown(name, trim(&param.value));
                self.notes.push(format!(
                    "`{name}` was left out: it was received as `{received_text}`, which is no id"
                ));
                Ok(None)
            }
        }
    }

    /// An id that nothing depends on: one that cannot be used is left out.
    fn kept_id(&mut self, name: &str) -> Result<Option<String>, Fault> {
        if let Err(fault) = usable(self.params, name) {
            self.notes.push(format!("`{name}` was left out: {}", fault.reason));
            return Ok(None);
        }
        self.id(name)
    }

    fn event(&mut self, name: &str) -> Result<EventClaim, Fault> {
        let Some(param) = usable(self.params, name)? else { return Ok(EventClaim::sale_or_lead()) };
        let received_text = || shown(name, trim(&param.value));
        match classify(&param.value, &param.raw, Use::Text) {
            Classified::Empty | Classified::Nothing => Ok(EventClaim::sale_or_lead()),
            Classified::Sound => EventName::parse(&param.value).map(EventClaim::Named).ok_or_else(|| {
                let hint = "an event is 1–64 characters: Purchase, Lead, or a name of your own";
                Fault::new(format!("`{name}` is `{}`, which is no event", received_text()), hint)
            }),
            Classified::Skeleton | Classified::Macro(_) => {
                let hint = "write the event's name there, or leave the parameter out";
                Err(Fault::new(
                    format!("`{name}` was received as `{}`, which no one filled in", received_text()),
                    hint,
                ))
            }
        }
    }

    /// An amount, in the currency reported or the offer's; only where the offer believes pixels.
    fn money(&mut self, name: &str, dialect: &Dialect, offer: &Offer) -> Result<Option<Money>, Fault> {
        let Some(param) = self.params.get(name) else { return Ok(None) };
        let text = trim(&param.value);
        match classify(&param.value, &param.raw, Use::Amount) {
            Classified::Empty | Classified::Nothing => return Ok(None),
            _ if !offer.accept_pixel_value => {
                self.notes.push(format!(
                    "`{name}` does not count: the offer takes no prices from pixels (`accept_pixel_value`)"
                ));
                return Ok(None);
            }
            Classified::Skeleton | Classified::Macro(_) => {
                let hint = "put the amount there, written like 12.00, or leave the parameter out";
                let received_text = shown(name, text);
                return Err(Fault::new(
                    format!("`{name}` was received as `{received_text}`, which no one filled in"),
                    hint,
                ));
            }
            Classified::Sound => {}
        }
        usable(self.params, name)?;
        let wrong = |why: &str| {
            let hint = "write it like 12.00: digits and a dot, 0 or more; a pixel takes no sale back";
            Fault::new(format!("`{name}` is `{}`, {why}", shown(name, text)), hint)
        };
        let amount = parse_decimal(text, DecimalMark::Dot).ok_or_else(|| wrong("not a decimal number"))?;
        if amount.is_sign_negative() && !amount.is_zero() {
            return Err(wrong("below 0"));
        }
        Ok(Some(Money::new(amount, self.currency(dialect.currency, offer)?)))
    }

    fn currency(&self, name: &str, offer: &Offer) -> Result<Currency, Fault> {
        let reported =
            usable(self.params, name)?.map(|param| trim(&param.value)).filter(|text| !text.is_empty());
        let Some(reported) = reported else { return Ok(offer.currency) };
        Currency::check(reported).map_err(|why| {
            let hint = "write three letters of ISO 4217, such as USD, or leave it out for the offer's";
            Fault::new(format!("`{name}` is `{}`, {}", shown(name, reported), why.why()), hint)
        })
    }
}

fn too_long(name: &str, value: &str) -> Fault {
    let what = format!("`{name}` is `{}`, longer than {LONGEST} bytes", shown(name, value));
    Fault::new(what, "send a shorter one")
}

/// What is known of the customer where the customer's browser calls.
fn traits(keyless: &Keyless, sender: Option<Sender>) -> Traits {
    if keyless.route != ReportRoute::Pixel {
        return Traits::default();
    }
    let agent = keyless.user_agent.clone().map(|agent| (Trait::UserAgent, agent));
    let is_known = |sender: &Sender| sender.hidden_by.is_none() && address::is_visitors(sender.address);
    let visitors = sender.filter(is_known);
    let ip = visitors.map(|sender| (Trait::Ip, sender.address.to_string()));
    Traits(ip.into_iter().chain(agent).collect())
}
