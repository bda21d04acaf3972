//! *Generate link*: affiliate, campaign, creative, and then what is handed out for them.

use http::StatusCode;
use serde_json::{Value, json};

use crate::config::configuration::Config;
use crate::config::offer::CampaignConfig;
use crate::domain::ids::CreativeId;
use crate::domain::offer;
use crate::web::pages::form::PostedForm;
use crate::web::pages::{PageContent, Pages};

/// What is chosen so far. Each needs the one before it.
struct LinkChoice<'c> {
    affiliate: Option<&'c str>,
    campaign: Option<&'c CampaignConfig>,
    creative: Option<&'c CreativeId>,
    /// What was asked for and is not configured.
    fault: Option<String>,
}

impl Pages {
    /// `/generate-link`: each step narrows the next one; where only one is left, it is chosen.
    pub(super) fn generate_link(&self, query: &[u8]) -> PageContent {
        let config = self.config.as_ref();
        let choice = LinkChoice::of(config, &PostedForm::read(query));
        let data = json!({
            "affiliates": config.affiliates.iter().map(|one| {
                option(one.id.as_str(), Some(&one.name), choice.affiliate == Some(one.id.as_str()))
            }).collect::<Vec<_>>(),
            "affiliate_chosen": choice.affiliate.is_some(),
            "campaigns": choice.affiliate.map(|affiliate| campaigns(config, affiliate, choice.campaign)),
            "creatives": choice.campaign.map(|campaign| creatives(config, campaign, choice.creative)),
            "links": choice.links(config),
            "fault": choice.fault,
        });
        let status = if choice.fault.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
        PageContent { status, ..PageContent::new("generate-link", "Generate link", data) }
    }
}

impl<'c> LinkChoice<'c> {
    /// What a form asks for. A campaign of another affiliate than the one that is chosen now, and a
    /// creative of another campaign, are what was chosen before: they are asked for again.
    fn of(config: &'c Config, form: &PostedForm) -> LinkChoice<'c> {
        let [affiliate, campaign, creative] =
            ["affiliate", "campaign", "creative"].map(|name| form.get(name));
        let mut choice = LinkChoice { affiliate: None, campaign: None, creative: None, fault: None };
        let named = config.campaign(campaign);
        if named.is_none() && !campaign.is_empty() {
            choice.fault = Some(format!("No campaign with the id `{campaign}` is configured."));
        }
        choice.affiliate = match affiliate {
            "" => named.map(|one| one.campaign.affiliate.as_str()),
            _ => config.affiliates.iter().map(|one| one.id.as_str()).find(|id| *id == affiliate),
        };
        let Some(chosen) = choice.affiliate else {
            if !affiliate.is_empty() {
                choice.fault = Some(format!("No affiliate with the id `{affiliate}` is configured."));
            }
            return choice;
        };
        let mine = || of_affiliate(config, chosen);
        choice.campaign = mine().find(|one| one.campaign.id.as_str() == campaign).or_else(|| only(mine()));
        let Some(run) = choice.campaign else { return choice };
        choice.creative = run.campaign.creatives.iter().find(|one| one.as_str() == creative);
        if choice.creative.is_none() {
            choice.creative = only(run.campaign.creatives.iter());
            if !creative.is_empty() && !is_known(config, creative) {
                choice.fault = Some(format!("No campaign has a creative with the id `{creative}`."));
            }
        }
        choice
    }

    /// What is handed out, once all is chosen that there is to choose.
    fn links(&self, config: &Config) -> Option<Value> {
        let campaign = self.campaign?;
        if self.creative.is_none() && !campaign.campaign.creatives.is_empty() {
            return None;
        }
        let links = self.creative.map(|creative| config.links_of(campaign, creative));
        let direct = links.as_ref().map(|links| links.direct.as_ref());
        let page = direct.and_then(Result::ok);
        let missing = direct.and_then(Result::err);
        Some(json!({
            "tracking": links.as_ref().map_or(config.tracking_link(campaign), |links| links.tracking.clone()),
            "by_creative": links.as_ref().map(|links| &links.by_creative),
            "direct": page.map(|page| &page.url),
            "origin": page.map(|page| &page.origin),
            "takes_tag": page.is_some_and(|page| page.takes_tag),
            "missing": missing.map(|problem| json!({"what": problem.what, "hint": problem.hint})),
            "pixel": click_pixel(&config.server.public_url, &campaign.campaign, self.creative),
        }))
    }
}

fn of_affiliate<'c>(config: &'c Config, affiliate: &str) -> impl Iterator<Item = &'c CampaignConfig> {
    config.campaigns.iter().filter(move |one| one.campaign.affiliate.as_str() == affiliate)
}

/// The one that is there, where no other is.
fn only<T>(mut all: impl Iterator<Item = T>) -> Option<T> {
    let first = all.next();
    first.filter(|_| all.next().is_none())
}

fn is_known(config: &Config, creative: &str) -> bool {
    config.campaigns.iter().flat_map(|one| &one.campaign.creatives).any(|one| one.as_str() == creative)
}

fn campaigns(config: &Config, affiliate: &str, chosen: Option<&CampaignConfig>) -> Vec<Value> {
    let view = |one: &CampaignConfig| {
        let is_chosen = chosen.is_some_and(|chosen| chosen.campaign.id == one.campaign.id);
        let offer = config.offer(&one.campaign.offer).map(|offer| offer.name.as_str());
        option(one.campaign.id.as_str(), one.name.as_deref().or(offer), is_chosen)
    };
    of_affiliate(config, affiliate).map(view).collect()
}

fn creatives(config: &Config, campaign: &CampaignConfig, chosen: Option<&CreativeId>) -> Vec<Value> {
    let view = |id: &CreativeId| {
        let name = config.creative(id).map(|creative| creative.name.as_str());
        option(id.as_str(), name, chosen == Some(id))
    };
    campaign.campaign.creatives.iter().map(view).collect()
}

fn option(id: &str, name: Option<&str>, is_chosen: bool) -> Value {
    json!({"id": id, "name": name.filter(|name| *name != id), "chosen": is_chosen})
}

/// The image that records a click on a page without JavaScript. It names the campaign, and a creative that
/// is not the campaign's first.
pub fn click_pixel(base: &str, campaign: &offer::Campaign, creative: Option<&CreativeId>) -> String {
    let first = campaign.creatives.first();
    let other = creative.filter(|one| first.is_some_and(|first| first != *one));
    let creative = other.map(|one| format!("&c={one}")).unwrap_or_default();
    let campaign = campaign.id.as_str();
    // Without the policy a browser names only the page's host, and the landing parameters are lost.
    format!(
        "<img src=\"{base}/click.gif?campaign={campaign}{creative}\" referrerpolicy=\"unsafe-url\" width=\"1\" height=\"1\" alt=\"\">"
    )
}
