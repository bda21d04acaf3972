//! A click on its way in: its id is given or minted, its time clamped, and it is durable when answered.

use std::net::IpAddr;

use crate::domain::click::{Click, Pairs, Traits};
use crate::domain::ids::ClickId;
use crate::domain::time::Time;
use crate::store::{ClickRecorded, Store, StoreError};

/// A click as its recorder tells it.
#[derive(Debug, Clone, Default)]
pub struct ClickDraft {
    /// Minted when absent.
    pub id: Option<ClickId>,
    /// Now when absent; a time to come is taken as now.
    pub at: Option<Time>,
    pub landing_url: Option<String>,
    pub referrer: Option<String>,
    pub ip: Option<IpAddr>,
    pub user_agent: Option<String>,
    pub params: Pairs,
    pub cookies: Pairs,
    pub sub_ids: Pairs,
    pub customer: Traits,
}

/// Records a click and answers its id when it is durable. A known id only gains what it lacked.
///
/// # Errors
/// Only the store's.
pub async fn record(
    store: &dyn Store,
    draft: ClickDraft,
    now: Time,
    entropy: [u8; 16],
) -> Result<(ClickId, ClickRecorded), StoreError> {
    let id = draft.id.unwrap_or_else(|| ClickId::mint(now.as_millis(), entropy));
    let click = Click {
        id: id.clone(),
        at: draft.at.map_or(now, |told| told.min(now)),
        recorded_at: now,
        landing_url: draft.landing_url,
        referrer: draft.referrer,
        ip: draft.ip,
        user_agent: draft.user_agent,
        params: draft.params,
        cookies: draft.cookies,
        sub_ids: draft.sub_ids,
        customer: draft.customer,
    };
    let recorded = store.record_click(click).await?;
    Ok((id, recorded))
}
