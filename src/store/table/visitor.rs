//! Visitors: the clicks of each browser, and what its visitor answered about consent.

use std::sync::Arc;

use crate::domain::attribution::EarlierClick;
use crate::domain::click::Click;
use crate::domain::consent::ConsentRecord;
use crate::domain::ids::VisitorId;
use crate::store::codec::{self, corrupt};
use crate::store::contract::error::StoreError;
use crate::store::engine::kv::Batch;
use crate::store::reader::Reader;

/// A browser's clicks, and its visitor's consent.
#[derive(Clone, Default)]
pub struct Visits {
    pub visits: Vec<EarlierClick>,
    /// What its visitor answered last, anywhere.
    pub consent: ConsentRecord,
}

pub fn visitor_key(id: &VisitorId) -> Vec<u8> {
    [b"V", id.as_str().as_bytes()].concat()
}

impl Reader {
    /// A browser's clicks and its visitor's consent.
    pub fn visits(&self, visitor: &VisitorId) -> Result<Option<Visits>, StoreError> {
        let key = visitor_key(visitor);
        let Some(bytes) = self.get(&key)? else { return Ok(None) };
        let unpack = || Ok(Visits { visits: codec::body(&bytes)?, consent: codec::head(&bytes)? });
        unpack().map(Some).map_err(|error| corrupt(&key, &error))
    }

    /// What a browser's visitor answered last.
    pub fn consent_of(&self, visitor: &VisitorId) -> Result<ConsentRecord, StoreError> {
        Ok(self.head(&visitor_key(visitor))?.unwrap_or_default())
    }
}

/// A click with its visitor's latest answers, wherever they were given.
pub fn answered(click: Arc<Click>, of_visitor: ConsentRecord) -> Arc<Click> {
    let consent = click.context.consent.latest(of_visitor);
    if consent == click.context.consent {
        return click;
    }
    let mut answered = Click::clone(&click);
    answered.context.consent = consent;
    Arc::new(answered)
}

/// Puts a browser's clicks over what was kept of them; without any, removes the record.
pub fn put_visits(batch: &mut Batch, visitor: &VisitorId, visits: &Visits) -> Result<(), StoreError> {
    let key = visitor_key(visitor);
    if visits.visits.is_empty() {
        batch.remove(key);
        return Ok(());
    }
    let packed = codec::pack(&visits.consent, &visits.visits).map_err(|error| corrupt(&key, &error))?;
    batch.put(key, packed);
    Ok(())
}
