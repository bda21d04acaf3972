//! What the tag on a landing page reports: a click, and events of it → one durable write each.

use crate::domain::click::{Click, ClickOrigin, CustomerTraits, Pairs};
use crate::domain::consent::{Consent, ConsentRecord};
use crate::domain::conversion::{Draft, EventClaim, NetworkClaim};
use crate::domain::event::EventName;
use crate::domain::ids::{ClickId, VisitorId};
use crate::domain::money::Money;
use crate::domain::offer::CampaignRef;
use crate::domain::postback::RawRequest;
use crate::domain::rejection::Rejection;
use crate::domain::rejection::note::ReportNote;
use crate::domain::reporter::BuiltInSource;
use crate::domain::text::trim;
use crate::domain::time::Time;
use crate::ingest::click::ClickDraft;
use crate::ingest::landing::{Browser, CarriedPairs, VisitorEnricher};
use crate::ingest::submit::{Received, count, mapped, submit};
use crate::store::contract::Store;
use crate::store::contract::arrival::{ClickArrival, ConsentArrival, Finding, Screening};
use crate::store::contract::error::StoreError;
use crate::template::macros::detect::{ValueClass, ValueUse, classify};
use crate::template::source::fault::unfilled;
use crate::template::source::params::Param;

/// A click as the tag reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagClick {
    /// The one that the page's URL names or the browser keeps, else minted by the page.
    pub id: ClickId,
    /// When the page was opened.
    pub at: Time,
    /// As the page names it: not yet looked up. `None` where only its address may say it.
    pub campaign: Option<String>,
    /// The page's own address, whole.
    pub landing_url: Option<String>,
    /// The page before; browsers often name only its origin.
    pub referrer: Option<String>,
    /// Those of the address that the installed destinations need.
    pub params: Pairs,
    /// The first-party cookies that the installed destinations need, with their values.
    pub cookies: Pairs,
    /// Empty where the page asked for none, or the visitor has not answered.
    pub consent: ConsentRecord,
}

/// What is received where events are: an event, or an answer to the question of consent alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TagReport {
    /// Something that happened on the page, such as a click on a link to the network.
    Event(TagEvent),
    /// What the visitor answered; nothing else happened.
    Answer(TagAnswer),
}

/// What a visitor answered on a page whose click this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagAnswer {
    /// May be unknown yet: an answer can be received before its click.
    pub click: ClickId,
    /// With the time at which the browser says it was given.
    pub consent: ConsentRecord,
}

impl TagClick {
    /// What the page's address carries: what the tag picked goes before the address itself.
    fn carried(&self) -> CarriedPairs<'_> {
        let landing = self.landing_url.as_deref().unwrap_or_default();
        CarriedPairs::of_pairs(&self.params).before(CarriedPairs::of_address(landing))
    }
}

/// An event as the tag reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagEvent {
    /// The click that earns it.
    pub click: ClickId,
    /// What the visitor answered, where the message says it too.
    pub consent: ConsentRecord,
    /// When it happened, by our clock less what the browser says it waited.
    pub at: Time,
    /// As the page calls it: one of the industry's names or its own.
    pub name: EventName,
    /// Where the link leads that was clicked.
    pub link: Option<String>,
    /// Never below 0; `None` too where no currency was named.
    pub value: Option<Money>,
    /// As reported: a placeholder in it is noticed later.
    pub transaction_id: Option<String>,
    /// What was left out and why.
    pub notes: Vec<ReportNote>,
}

/// Whose click it is, by all that the page does not report.
pub struct ClickOwner<'a> {
    /// Address and user agent of the request that reports it.
    pub browser: Browser,
    /// Whom the request's cookie names, or a new visitor.
    pub visitor: BrowserIdentity,
    /// The configured campaign that the page names, by what its address carries.
    pub campaign_ref: &'a dyn Fn(&TagClick, &CarriedPairs<'_>) -> Option<CampaignRef>,
}

/// Whom the browser is known as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BrowserIdentity {
    /// By its cookie.
    Known(VisitorId),
    /// It was received without one: an id made for it.
    New(VisitorId),
}

impl BrowserIdentity {
    /// Whom its cookie names.
    fn known(&self) -> Option<VisitorId> {
        match self {
            BrowserIdentity::Known(id) => Some(id.clone()),
            BrowserIdentity::New(_) => None,
        }
    }

    fn id(&self) -> &VisitorId {
        match self {
            BrowserIdentity::Known(id) | BrowserIdentity::New(id) => id,
        }
    }

    /// Whom the browser is known as from now on. Of several messages that are under way before it has its
    /// cookie the first decides. A click's id is in URLs that are passed on: anyone who else knows it must
    /// not become its visitor.
    fn after(self, click: &Click, browser: &Browser, now: Time) -> VisitorId {
        let is_same = click.ip == Some(browser.ip) && click.user_agent == browser.user_agent;
        let under_way = now.millis_since(click.recorded_at) <= UNDER_WAY_MS;
        match (self, &click.context.visitor) {
            (BrowserIdentity::New(_), Some(first)) if is_same && under_way => first.clone(),
            (BrowserIdentity::Known(id) | BrowserIdentity::New(id), _) => id,
        }
    }
}

/// How long messages of one page view may be under way together.
const UNDER_WAY_MS: i64 = 60_000;

/// A click that the tag reports, and who reports it.
pub struct SeenClick {
    /// As it would be recorded, before the click filters have seen it.
    pub click: Click,
    browser: Browser,
    visitor: BrowserIdentity,
    answer: TagAnswer,
}

impl SeenClick {
    /// Puts the click together from what the page reports and what its request says; records nothing.
    pub fn new(
        enricher: &VisitorEnricher,
        reported: TagClick,
        whose: ClickOwner<'_>,
        now: Time,
    ) -> SeenClick {
        let answer = TagAnswer { click: reported.id.clone(), consent: reported.consent };
        let (browser, visitor, id) = (whose.browser.clone(), whose.visitor.clone(), reported.id.clone());
        SeenClick { click: seen(enricher, reported, whose).into_click(id, now), browser, visitor, answer }
    }

    /// Whether its visitor refuses that anything is recorded.
    pub fn is_refused(&self) -> bool {
        self.answer.consent.answers().refuses_data()
    }
}

/// Records a click of the tag, or fills what a known one lacks, and what the visitor answered. Of a visitor
/// who did not agree nothing is recorded except the answer.
///
/// Answers whom the browser is known as from now on, if it is to be.
///
/// # Errors
/// Only the store's.
pub async fn click(store: &dyn Store, seen: SeenClick, now: Time) -> Result<Option<VisitorId>, StoreError> {
    let is_refused = seen.is_refused();
    let SeenClick { click, browser, visitor, answer } = seen;
    if is_refused {
        self::answer(store, answer, visitor.known(), now).await?;
        return Ok(None);
    }
    let receipt = store.record_click(ClickArrival { click, screening: Screening::Filters }).await?;
    // After the click, which it is to find.
    self::answer(store, answer, visitor.known(), now).await?;
    Ok(Some(visitor.after(&receipt.click, &browser, now)))
}

/// Keeps what a visitor answered, if anything. `visitor` is the one that the browser is known as.
///
/// # Errors
/// Only the store's.
pub async fn answer(
    store: &dyn Store,
    answer: TagAnswer,
    visitor: Option<VisitorId>,
    now: Time,
) -> Result<(), StoreError> {
    let TagAnswer { click, consent } = answer;
    if consent.is_empty() {
        return Ok(());
    }
    store.record_consent(ConsentArrival { click, visitor, consent, received_at: now }).await
}

fn seen(enricher: &VisitorEnricher, reported: TagClick, whose: ClickOwner<'_>) -> ClickDraft {
    let carried = reported.carried();
    let cookies: Vec<String> =
        reported.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let cookies = CarriedPairs::of_cookies(cookies.iter().map(String::as_bytes));
    let mut draft = enricher.draft(ClickOrigin::Tag, whose.browser, &carried, &cookies);
    draft.context.campaign_ref = (whose.campaign_ref)(&reported, &carried);
    draft.id = Some(reported.id);
    draft.at = Some(reported.at);
    draft.landing_url = reported.landing_url;
    draft.referrer = reported.referrer;
    draft.context.visitor = Some(whose.visitor.id().clone());
    draft
}

/// Takes an event in. It leaves a record as a postback does, also where it cannot be read.
///
/// # Errors
/// Only the store's.
pub async fn event(
    store: &dyn Store,
    (raw, received_at): (RawRequest, Time),
    reported: Result<TagEvent, Rejection>,
) -> Result<(), StoreError> {
    let finding = match reported.map(draft) {
        Ok(draft) => mapped(store, draft).await?,
        Err(rejection) => Finding::Quarantined(rejection),
    };
    let source = Some(BuiltInSource::Tag.id());
    let receipt = submit(store, Received { source, raw, received_at, mapping: None }, finding).await?;
    count(BuiltInSource::Tag, &receipt);
    Ok(())
}

/// Once for a click id and link; an event that is no click on a link, once for a click id, its name and
/// its transaction id.
fn draft(event: TagEvent) -> Draft {
    let mut notes = event.notes;
    let transaction_id = event.transaction_id.and_then(|reported| transaction(&reported, &mut notes));
    let distinguished_by = event.link.as_deref().or(transaction_id.as_deref()).unwrap_or_default();
    // None of the three can hold a line end but the last.
    let key = format!("{}\n{}\n{distinguished_by}", event.click, event.name);
    Draft {
        source: BuiltInSource::Tag.id(),
        event: EventClaim::Named(event.name),
        status: None,
        transaction_id,
        click_id: Some(event.click.as_str().to_owned()),
        item_id: None,
        items: Vec::new(),
        adjustment_id: None,
        value: event.value,
        negative_received: None,
        payout: None,
        revenue: None,
        sale_amount: None,
        event_time: Some(event.at),
        traits: CustomerTraits::default(),
        consent: Consent::default(),
        params: event.link.map(|link| ("link".to_owned(), link)).into_iter().collect(),
        notes,
        network: NetworkClaim { key: Some(key), ..NetworkClaim::default() },
    }
}

/// The transaction id; one that is a placeholder or a macro is none, and is noted.
fn transaction(reported: &str, notes: &mut Vec<ReportNote>) -> Option<String> {
    let (name, raw) = ("transaction_id".to_owned(), reported.as_bytes().to_vec());
    let param = Param { name, value: reported.to_owned(), raw };
    match classify(&param.value, &param.raw, ValueUse::Id) {
        ValueClass::Sound => Some(trim(reported).to_owned()),
        ValueClass::Empty => None,
        class => {
            notes.push(ReportNote::left_out(unfilled(&param, &class).of_the_sale()));
            None
        }
    }
}
