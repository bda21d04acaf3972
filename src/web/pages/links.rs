//! *Generate link*: affiliate, campaign, creative, and then what is handed out for them.

use http::StatusCode;
use serde_json::{Value, json};

use crate::web::pages::form::Form;
use crate::web::pages::program::{CampaignCard, CreativeLink, Program};
use crate::web::pages::{Page, Pages};

/// What is chosen so far. Each needs the one before it.
struct Choice<'p> {
    affiliate: Option<&'p str>,
    campaign: Option<&'p CampaignCard>,
    creative: Option<&'p CreativeLink>,
    /// What was asked for and is not configured.
    fault: Option<String>,
}

impl Pages {
    /// `/generate-link`: each step narrows the next one; where only one is left, it is chosen.
    pub(super) fn generate_link(&self, query: &[u8]) -> Page {
        let program = &self.program;
        let choice = Choice::of(program, &Form::read(query));
        let data = json!({
            "affiliates": program.affiliates.iter().map(|(id, name)| {
                option(id.as_str(), Some(name), choice.affiliate == Some(id.as_str()))
            }).collect::<Vec<_>>(),
            "affiliate_chosen": choice.affiliate.is_some(),
            "campaigns": choice.affiliate.map(|affiliate| campaigns(program, affiliate, choice.campaign)),
            "creatives": choice.campaign.map(|campaign| creatives(campaign, choice.creative)),
            "links": choice.links(&program.public_url),
            "fault": choice.fault,
        });
        let status = if choice.fault.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
        Page { status, ..Page::new("generate-link", "Generate link", data) }
    }
}

impl<'p> Choice<'p> {
    /// What a form asks for. A campaign of another affiliate than the one that is chosen now, and a
    /// creative of another campaign, are what was chosen before: they are asked for again.
    fn of(program: &'p Program, form: &Form) -> Choice<'p> {
        let [affiliate, campaign, creative] =
            ["affiliate", "campaign", "creative"].map(|name| form.get(name));
        let mut choice = Choice { affiliate: None, campaign: None, creative: None, fault: None };
        let named = program.campaigns.iter().find(|one| one.campaign.id.as_str() == campaign);
        if named.is_none() && !campaign.is_empty() {
            choice.fault = Some(format!("No campaign with the id `{campaign}` is configured."));
        }
        choice.affiliate = match affiliate {
            "" => named.map(|one| one.campaign.affiliate.as_str()),
            _ => program.affiliates.iter().map(|(id, _)| id.as_str()).find(|id| *id == affiliate),
        };
        let Some(chosen) = choice.affiliate else {
            if !affiliate.is_empty() {
                choice.fault = Some(format!("No affiliate with the id `{affiliate}` is configured."));
            }
            return choice;
        };
        let mine = || of_affiliate(program, chosen);
        choice.campaign = mine().find(|one| one.campaign.id.as_str() == campaign).or_else(|| only(mine()));
        let Some(run) = choice.campaign else { return choice };
        choice.creative = run.creatives.iter().find(|one| one.id.as_str() == creative);
        if choice.creative.is_none() {
            choice.creative = only(run.creatives.iter());
            if !creative.is_empty() && !is_known(program, creative) {
                choice.fault = Some(format!("No campaign has a creative with the id `{creative}`."));
            }
        }
        choice
    }

    /// What is handed out, once all is chosen that there is to choose.
    fn links(&self, base: &str) -> Option<Value> {
        let campaign = self.campaign?;
        if self.creative.is_none() && !campaign.creatives.is_empty() {
            return None;
        }
        let direct = self.creative.map(|creative| creative.direct.as_ref());
        let page = direct.and_then(Result::ok);
        let missing = direct.and_then(Result::err);
        Some(json!({
            "tracking": self.creative.map_or(&campaign.link, |creative| &creative.link),
            "by_creative": self.creative.map(|creative| &creative.by_creative),
            "direct": page.map(|page| &page.url),
            "origin": page.map(|page| &page.origin),
            "takes_tag": page.is_some_and(|page| page.takes_tag),
            "missing": missing.map(|problem| json!({"what": problem.what, "hint": problem.hint})),
            "pixel": click_pixel(base, campaign, self.creative),
        }))
    }
}

fn of_affiliate<'p>(program: &'p Program, affiliate: &str) -> impl Iterator<Item = &'p CampaignCard> {
    program.campaigns.iter().filter(move |one| one.campaign.affiliate.as_str() == affiliate)
}

/// The one that is there, where no other is.
fn only<T>(mut all: impl Iterator<Item = T>) -> Option<T> {
    let first = all.next();
    first.filter(|_| all.next().is_none())
}

fn is_known(program: &Program, creative: &str) -> bool {
    program.campaigns.iter().flat_map(|one| &one.creatives).any(|one| one.id.as_str() == creative)
}

fn campaigns(program: &Program, affiliate: &str, chosen: Option<&CampaignCard>) -> Vec<Value> {
    let view = |one: &CampaignCard| {
        let is_chosen = chosen.is_some_and(|chosen| chosen.campaign.id == one.campaign.id);
        let offer = program.offer(one.campaign.offer.as_str()).map(|offer| offer.name.as_str());
        option(one.campaign.id.as_str(), one.name.as_deref().or(offer), is_chosen)
    };
    of_affiliate(program, affiliate).map(view).collect()
}

fn creatives(campaign: &CampaignCard, chosen: Option<&CreativeLink>) -> Vec<Value> {
    let view = |one: &CreativeLink| {
        option(one.id.as_str(), one.name.as_deref(), chosen.is_some_and(|chosen| chosen.id == one.id))
    };
    campaign.creatives.iter().map(view).collect()
}

fn option(id: &str, name: Option<&str>, is_chosen: bool) -> Value {
    json!({"id": id, "name": name.filter(|name| *name != id), "chosen": is_chosen})
}

/// The image that records a click on a page without JavaScript. It names the campaign, and a creative that
/// is not the campaign's first.
pub fn click_pixel(base: &str, campaign: &CampaignCard, creative: Option<&CreativeLink>) -> String {
    let first = campaign.creatives.first();
    let other = creative.filter(|one| first.is_some_and(|first| first.id != one.id));
    let creative = other.map(|one| format!("&c={}", one.id)).unwrap_or_default();
    let campaign = campaign.campaign.id.as_str();
    // Without the policy a browser names only the page's host, and the landing parameters are lost.
    format!(
        "<img src=\"{base}/click.gif?campaign={campaign}{creative}\" referrerpolicy=\"unsafe-url\" width=\"1\" height=\"1\" alt=\"\">"
    )
}
