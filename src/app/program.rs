//! What the pages show of the network's side, taken from a configuration.

use crate::config::configuration::Config;
use crate::config::creative::Creative;
use crate::config::links::CreativeLinks;
use crate::config::offer::{Campaign, Offer};
use crate::config::outgoing::Outgoing;
use crate::template::macros::url::MacroUrl;
use crate::template::tag_script::TagScript;
use crate::web::pages::program::{
    CampaignCard, CreativeCard, CreativeLink, DirectLink, OfferCard, PostbackCard, Program, TagCard,
};

/// `script` is the tag's as it is served now. Where no site may use it, the pages do not show it.
pub fn build(config: &Config, script: &TagScript) -> Program {
    let tag = (!config.tag.origins.is_empty()).then(|| TagCard {
        pinned_path: format!("/{}", script.file_name()),
        integrity: script.integrity.clone(),
        origins: config.tag.origins.clone(),
    });
    let campaign = |campaign: &Campaign| CampaignCard {
        campaign: campaign.campaign.clone(),
        name: campaign.name.clone(),
        link: config.tracking_link(campaign),
        creatives: config.links(campaign).into_iter().map(|links| creative_link(config, links)).collect(),
    };
    Program {
        public_url: config.server.public_url.clone(),
        offers: config.offers.iter().map(offer).collect(),
        campaigns: config.campaigns.iter().map(campaign).collect(),
        creatives: config.creatives.iter().map(creative).collect(),
        affiliates: config.affiliates.iter().map(|one| (one.id.clone(), one.name.clone())).collect(),
        postbacks: config.outgoing.iter().map(postback).collect(),
        tag,
    }
}

fn offer(offer: &Offer) -> OfferCard {
    OfferCard {
        terms: offer.terms.clone(),
        name: offer.name.clone(),
        landing: offer.landing.shown(),
        pass: offer.pass.clone(),
        fallback_url: offer.fallback_url.clone(),
    }
}

fn creative(creative: &Creative) -> CreativeCard {
    CreativeCard {
        id: creative.id.clone(),
        offer: creative.offer.clone(),
        name: creative.name.clone(),
        landing: creative.landing.as_ref().map(MacroUrl::shown),
    }
}

fn creative_link(config: &Config, links: CreativeLinks) -> CreativeLink {
    CreativeLink {
        name: config.creative(&links.creative).map(|creative| creative.name.clone()),
        id: links.creative,
        link: links.tracking,
        by_creative: links.by_creative,
        direct: links.direct.map(|direct| DirectLink {
            url: direct.url,
            origin: direct.origin,
            takes_tag: direct.takes_tag,
        }),
    }
}

fn postback(outgoing: &Outgoing) -> PostbackCard {
    PostbackCard {
        id: outgoing.id.clone(),
        route: outgoing.route.clone(),
        url: outgoing.url.shown(),
        scale: outgoing.scale,
        mode: outgoing.mode,
    }
}
