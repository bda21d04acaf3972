//! Deliveries: those that gave up, with what was sent, what came back, why, and the retry; and all others.

use serde::Serialize;
use serde_json::json;

use crate::store::ListedDelivery;
use crate::view::conversion::ReportedView;
use crate::web::pages::conversions::{Filters, options};
use crate::web::pages::exchange::{DeliveryCard, Present};
use crate::web::pages::{Page, Pages, Stop};

/// Which of the two lists is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum List {
    Dead,
    All,
}

impl Pages {
    /// `/dead-letters`, newest first.
    pub(super) async fn dead_letters(&self, query: &[u8]) -> Result<Page, Stop> {
        self.delivery_list(List::Dead, query).await
    }

    /// `/deliveries`, newest first.
    pub(super) async fn deliveries(&self, query: &[u8]) -> Result<Page, Stop> {
        self.delivery_list(List::All, query).await
    }

    async fn delivery_list(&self, list: List, query: &[u8]) -> Result<Page, Stop> {
        let filters = Filters::read(query);
        let asked = filters.query()?;
        let mut filter = asked.delivery_filter()?;
        let (path, title) = match list {
            List::Dead => ("/dead-letters", "Dead letters"),
            List::All => ("/deliveries", "Deliveries"),
        };
        if list == List::Dead {
            filter.state = Some("dead".to_owned());
        }
        let page = self.store.deliveries(filter, asked.page()?).await?;
        let (now, workers, circumstances) = (self.clock.now(), (self.workers)(), self.api().circumstances());
        let present = Present { workers: &workers, circumstances: &circumstances, now };
        let destinations = self.accounts.iter().map(|account| account.id().as_str());
        let states = ["held", "waiting", "delivered", "dead", "skipped"];
        let data = json!({
            "path": path,
            "title": title,
            "dead_only": list == List::Dead,
            "items": page.items.iter().map(|one| DeliveryLine::of(one, &present)).collect::<Vec<_>>(),
            "narrow": filters.narrow(),
            "more": page.next_cursor.is_some(),
            "links": filters.links(path, page.next_cursor.as_deref()),
            "states": options(states, filters.get("state")),
            "sources": options(self.origins(), filters.get("source")),
            "destinations": options(destinations, filters.get("destination")),
        });
        Ok(Page::new("deliveries", title, data))
    }
}

/// A delivery with the conversion it is of and its last attempt.
#[derive(Serialize)]
struct DeliveryLine<'a> {
    path: String,
    conversion: ReportedView<'a>,
    delivery: DeliveryCard<'a>,
}

impl<'a> DeliveryLine<'a> {
    fn of(listed: &'a ListedDelivery, present: &Present<'_>) -> DeliveryLine<'a> {
        let (conversion, delivery) = (&listed.conversion, (&listed.delivery, listed.sent_before));
        DeliveryLine {
            path: format!("/conversions/{}", conversion.id),
            conversion: ReportedView::of(conversion),
            delivery: DeliveryCard::of(conversion, delivery, listed.last_attempt.as_slice(), present),
        }
    }
}
