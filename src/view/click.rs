//! A recorded click: where the visitor was before, what was kept of it, and what the filters said.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::click::{Agent, Click};
use crate::domain::code::{CodedReason, ReasonCode};
use crate::domain::consent::Consent;
use crate::domain::filter_verdict::FilterVerdict;
use crate::domain::ids::{ClickId, VisitorId};
use crate::domain::omission::{MORE, Omission, Omissions};
use crate::domain::time::Time;
use crate::view::schema::{ConsentAnswers, TimeText};
use crate::view::value::{CampaignRefView, PairsView, answered};

/// A click with all that is known of it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Click")]
pub struct ClickView<'a> {
    #[schemars(with = "String")]
    click_id: &'a ClickId,
    #[schemars(with = "TimeText")]
    time: Time,
    #[schemars(with = "TimeText")]
    recorded_at: Time,
    landing_url: Option<&'a str>,
    referrer: Option<&'a str>,
    ip: Option<IpAddr>,
    user_agent: Option<&'a str>,
    params: PairsView<'a>,
    cookies: PairsView<'a>,
    sub_ids: PairsView<'a>,
    customer: PairsView<'a>,
    origin: &'static str,
    kind: &'static str,
    campaign_ref: Option<CampaignRefView<'a>>,
    #[schemars(with = "Option<String>")]
    visitor: Option<&'a VisitorId>,
    agent: Option<AgentView<'a>>,
    country: Option<&'a str>,
    billable: bool,
    verdicts: Vec<FilterVerdictView<'a>>,
    /// Null where nothing was answered.
    #[schemars(with = "Option<ConsentAnswers>")]
    consent: Option<Consent>,
    omitted: Vec<OmissionView<'a>>,
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
    device: &'a str,
    system: Option<&'a str>,
    browser: Option<&'a str>,
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
pub struct FilterVerdictView<'a> {
    filter: &'static str,
    mode: &'static str,
    hit: bool,
    reason_code: Option<&'static str>,
    field: Option<&'a str>,
    value: Option<&'a str>,
    reason: Option<String>,
    hint: Option<String>,
}

impl<'a> FilterVerdictView<'a> {
    pub fn of(verdict: &'a FilterVerdict) -> FilterVerdictView<'a> {
        let hit = verdict.hit.as_ref();
        FilterVerdictView {
            filter: verdict.filter.as_str(),
            mode: verdict.mode.as_str(),
            hit: hit.is_some(),
            reason_code: hit.map(|hit| hit.code().as_str()),
            field: hit.and_then(CodedReason::field),
            value: hit.and_then(CodedReason::value),
            reason: hit.map(CodedReason::sentence),
            hint: hit.map(CodedReason::hint),
        }
    }
}

/// What was sent with the click and is not kept, or not whole.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Omission")]
struct OmissionView<'a> {
    code: &'static str,
    field: Option<&'a str>,
    sent_bytes: Option<u64>,
    kept_bytes: Option<u64>,
    text: String,
}

impl<'a> OmissionView<'a> {
    fn all(omitted: &'a Omissions) -> Vec<OmissionView<'a>> {
        let more = omitted.has_more().then(|| OmissionView {
            code: "more",
            field: None,
            sent_bytes: None,
            kept_bytes: None,
            text: MORE.to_owned(),
        });
        omitted.named().iter().map(OmissionView::of).chain(more).collect()
    }

    fn of(omission: &'a Omission) -> OmissionView<'a> {
        OmissionView {
            code: omission.code().as_str(),
            field: Some(&omission.field),
            sent_bytes: Some(omission.sent),
            kept_bytes: Some(omission.kept),
            text: omission.sentence(),
        }
    }
}
