//! Deliveries that gave up: what left, what came back, why, and the retry.

use serde_json::{Value, json};

use crate::domain::delivery::LaneState;
use crate::domain::time::Time;
use crate::store::ListedDelivery;
use crate::web::pages::conversions::{Filters, options};
use crate::web::pages::{Pages, Sheet, Stop, exchange};

impl Pages {
    /// `/dead-letters`, newest first.
    pub(super) async fn dead_letters(&self, query: &[u8]) -> Result<Sheet, Stop> {
        let filters = Filters::read(query);
        let asked = filters.query()?;
        let mut filter = asked.delivery_filter()?;
        filter.state = Some("dead".to_owned());
        let page = self.store.deliveries(filter, asked.page()?).await?;
        let (now, lanes) = (self.clock.now(), (self.lanes)());
        let destinations = self.accounts.iter().map(|account| account.id().as_str());
        let data = json!({
            "items": page.items.iter().map(|one| letter(one, &lanes, now)).collect::<Vec<_>>(),
            "narrow": filters.narrow(),
            "more": page.next_cursor.is_some(),
            "links": filters.links("/dead-letters", page.next_cursor.as_deref()),
            "sources": options(self.source_ids(), filters.get("source")),
            "destinations": options(destinations, filters.get("destination")),
        });
        Ok(Sheet::new("dead-letters", "Dead letters", data))
    }
}

fn letter(listed: &ListedDelivery, lanes: &[LaneState], now: Time) -> Value {
    let conversion = &listed.conversion;
    let attempts = listed.last_attempt.as_slice();
    json!({
        "path": format!("/conversions/{}", conversion.id),
        "source": conversion.source.as_str(),
        "event": conversion.event.as_str(),
        "value": conversion.value.map(|value| value.to_string()),
        "transaction_id": conversion.transaction_id,
        "delivery": exchange::delivery(conversion, &listed.delivery, attempts, lanes, now),
    })
}
