//! A click on its way in: its id is given or minted, its time clamped, and it is no larger than any may be.

use std::net::IpAddr;

use crate::domain::click::{Click, ClickContext, CustomerTraits, Pairs};
use crate::domain::click_size::ClickSize;
use crate::domain::ids::ClickId;
use crate::domain::time::Time;

/// A click as its recorder reports it.
#[derive(Debug, Clone, Default)]
pub struct ClickDraft {
    /// Minted when absent.
    pub id: Option<ClickId>,
    /// Now when absent; a time to come is taken as now.
    pub at: Option<Time>,
    /// The page on which the visitor landed, or was sent to.
    pub landing_url: Option<String>,
    /// The page before.
    pub referrer: Option<String>,
    /// The visitor's address.
    pub ip: Option<IpAddr>,
    /// The browser's own words.
    pub user_agent: Option<String>,
    /// What the link or the landing page carried, of what platforms need.
    pub params: Pairs,
    /// The cookies that platforms need.
    pub cookies: Pairs,
    /// `s1` to `s5`.
    pub sub_ids: Pairs,
    /// What is known of the customer already.
    pub customer: CustomerTraits,
    /// Offer, campaign, visitor, program, country, and what filters say.
    pub context: ClickContext,
}

impl ClickDraft {
    /// The click as it is recorded `now`, no larger than any may be. Its id is the draft's, else `otherwise`.
    pub fn into_click(self, otherwise: ClickId, now: Time) -> Click {
        let mut click = Click {
            id: self.id.unwrap_or(otherwise),
            at: self.at.map_or(now, |reported| reported.min(now)),
            recorded_at: now,
            landing_url: self.landing_url,
            referrer: self.referrer,
            ip: self.ip,
            user_agent: self.user_agent,
            params: self.params,
            cookies: self.cookies,
            sub_ids: self.sub_ids,
            customer: self.customer,
            context: self.context,
        };
        click.fit(ClickSize::Full);
        click
    }
}
