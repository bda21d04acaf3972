//! A recorded click: where the visitor was before, what was kept of it, and what the filters said.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::click::{Agent, Click};
use crate::domain::consent::Consent;
use crate::domain::filter_verdict::FilterVerdict;
use crate::domain::ids::{ClickId, VisitorId};
use crate::domain::omission::Omissions;
use crate::domain::rejection::note::{ReportNote, omission_notes};
use crate::domain::time::Time;
use crate::view::reason::{NoteView, ReasonView};
use crate::view::schema::{ConsentAnswers, TimeText};
use crate::view::value::{CampaignRefView, PairsView, answered};

/// A click with all that is known of it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Click")]
pub struct ClickView<'a> {
    /// What a postback names to have this click earn its conversion.
    #[schemars(with = "String")]
    click_id: &'a ClickId,
    /// When the visitor clicked; never after `recorded_at`.
    #[schemars(with = "TimeText")]
    time: Time,
    /// When it was received here; it is kept `keep_clicks_days` from then.
    #[schemars(with = "TimeText")]
    recorded_at: Time,
    /// The page on which the visitor landed, or was sent to.
    landing_url: Option<&'a str>,
    /// The page before, as far as the browser says.
    referrer: Option<&'a str>,
    /// The visitor's address.
    ip: Option<IpAddr>,
    /// The browser's own words.
    user_agent: Option<&'a str>,
    /// Landing parameters: `fbclid`, `gclid`, `utm_source`…
    params: PairsView<'a>,
    /// First-party cookies of ad platforms: `_fbp`, `_fbc`…
    cookies: PairsView<'a>,
    /// `s1`…`s5` and their like, for reports.
    sub_ids: PairsView<'a>,
    /// What was known of the customer when the click was recorded, such as `email`.
    customer: PairsView<'a>,
    /// By which way it was recorded: `api`, `link`, `tag` or `pixel`.
    origin: &'static str,
    /// `visit`; or `head`, `prefetch` or `preview` where no one may have clicked.
    kind: &'static str,
    /// Null where the click names no campaign or offer that is configured.
    campaign_ref: Option<CampaignRefView<'a>>,
    /// The visitor's cookie: other clicks with the same one are of the same browser.
    #[schemars(with = "Option<String>")]
    visitor: Option<&'a VisitorId>,
    /// Null where the browser said nothing of itself.
    agent: Option<AgentView<'a>>,
    /// Two capital letters of ISO 3166; null without a country file, or where it does not know the address.
    country: Option<&'a str>,
    /// Whether it counts for caps, duplicates and conversions: a visit that no filter kept from the offer.
    billable: bool,
    verdicts: Vec<FilterVerdictView>,
    /// Null where nothing was answered.
    #[schemars(with = "Option<ConsentAnswers>")]
    consent: Option<Consent>,
    /// What was sent with it and is not kept, or not whole.
    omitted: Vec<OmissionView>,
}

impl<'a> ClickView<'a> {
    pub fn of(click: &'a Click) -> ClickView<'a> {
        let context = &click.context;
        ClickView {
            click_id: &click.id,
            time: click.at,
            recorded_at: click.recorded_at,
            landing_url: click.landing_url.as_deref(),
            referrer: click.referrer.as_deref(),
            ip: click.ip,
            user_agent: click.user_agent.as_deref(),
            params: PairsView::of(&click.params),
            cookies: PairsView::of(&click.cookies),
            sub_ids: PairsView::of(&click.sub_ids),
            customer: PairsView::of_traits(&click.customer),
            origin: context.origin.as_str(),
            kind: context.kind.as_str(),
            campaign_ref: context.campaign_ref.as_ref().map(CampaignRefView::of),
            visitor: context.visitor.as_ref(),
            agent: context.agent.as_ref().map(AgentView::of),
            country: context.country.as_deref(),
            billable: context.is_billable(),
            verdicts: context.verdicts.iter().map(FilterVerdictView::of).collect(),
            consent: answered(context.consent.answers()),
            omitted: OmissionView::all(&context.omitted),
        }
    }
}

/// What the user agent says of itself.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Agent")]
struct AgentView<'a> {
    /// `desktop`, `mobile`, `tablet`, `tv`, `console`, `bot` or `other`.
    device: &'a str,
    /// Name and version: `Windows 10`, `iOS 18`.
    system: Option<&'a str>,
    /// Name and version: `Chrome 131`.
    browser: Option<&'a str>,
    /// The bot's name, where it is a known one.
    bot: Option<&'a str>,
}

impl<'a> AgentView<'a> {
    fn of(agent: &'a Agent) -> AgentView<'a> {
        AgentView {
            device: &agent.device,
            system: agent.system.as_deref(),
            browser: agent.browser.as_deref(),
            bot: agent.bot.as_deref(),
        }
    }
}

/// What one filter said of the click.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "FilterVerdict")]
pub struct FilterVerdictView {
    filter: &'static str,
    /// `observe`: the click is only marked. `enforce`: one that it hits is kept away from the offer.
    mode: &'static str,
    /// False: the filter found nothing, and the members below are null.
    hit: bool,
    #[serde(flatten)]
    reason: ReasonView,
}

impl FilterVerdictView {
    pub fn of(verdict: &FilterVerdict) -> FilterVerdictView {
        let hit = verdict.hit.as_ref();
        FilterVerdictView {
            filter: verdict.filter.as_str(),
            mode: verdict.mode.as_str(),
            hit: hit.is_some(),
            reason: hit.map(ReasonView::of).unwrap_or_default(),
        }
    }
}

/// What was sent with the click and is not kept, or not whole.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Omission")]
struct OmissionView {
    #[serde(flatten)]
    note: NoteView,
    /// How many bytes were sent; null where more is missing than is named.
    sent_bytes: Option<u64>,
    /// 0 where it is left out, because it is good only whole.
    kept_bytes: Option<u64>,
}

impl OmissionView {
    fn all(omitted: &Omissions) -> Vec<OmissionView> {
        omission_notes(omitted).map(|note| OmissionView::of(&note)).collect()
    }

    fn of(note: &ReportNote) -> OmissionView {
        let bytes = match note {
            ReportNote::Omitted(omission) => Some((omission.sent, omission.kept)),
            _ => None,
        };
        OmissionView {
            note: NoteView::of(note),
            sent_bytes: bytes.map(|(sent, _)| sent),
            kept_bytes: bytes.map(|(_, kept)| kept),
        }
    }
}
