//! Postbacks that were kept but not understood: the reason, the mend, and "map again".

use serde_json::{Value, json};

use crate::domain::built_in;
use crate::domain::postback::{Fault, Postback};
use crate::domain::time::Time;
use crate::web::api::Refused;
use crate::web::pages::conversions::{Filters, options};
use crate::web::pages::raw::RawCard;
use crate::web::pages::session::Flash;
use crate::web::pages::{Pages, Sheet, Stop, advice};

impl Pages {
    /// `/quarantine`: what still waits for a mend, newest first.
    pub(super) async fn quarantine(&self, query: &[u8]) -> Result<Sheet, Stop> {
        let filters = Filters::read(query);
        let asked = filters.query()?;
        let mut filter = asked.postback_filter()?;
        filter.verdict = Some("quarantined".to_owned());
        filter.open_only = true;
        let page = self.store.postbacks(filter, asked.page()?).await?;
        let now = self.clock.now();
        let data = json!({
            "items": page.items.iter().map(|one| self.quarantined(one, now)).collect::<Vec<_>>(),
            "narrow": filters.narrow(),
            "more": page.next_cursor.is_some(),
            "links": filters.links("/quarantine", page.next_cursor.as_deref()),
            "sources": options(self.source_ids(), filters.get("source")),
        });
        Ok(Sheet::new("quarantine", "Quarantine", data))
    }

    fn quarantined(&self, postback: &Postback, now: Time) -> Value {
        let (reason, hint) = match postback.verdict.fault() {
            Some(fault) => (fault.reason.as_str(), fault.hint.as_str()),
            None => (postback.verdict.word(), ""),
        };
        let configured = postback.source.as_ref().is_some_and(|source| self.networks.contains_key(source));
        let own_door =
            postback.source.as_ref().is_some_and(|source| built_in::ALL.contains(&source.as_str()));
        let was_closed = own_door && postback.verdict.fault().is_some_and(Fault::may_reopen);
        let hindrance = match (&postback.raw, configured) {
            (Some(raw), _) if was_closed && raw.reporter.is_some() => None,
            _ if own_door => {
                Some("It was received by an endpoint of Postbridge's own: its sender has to send it again.")
            }
            (None, _) => {
                Some("Its bytes were purged after `keep_postbacks_days`, so it cannot be mapped again.")
            }
            (_, false) => Some("Its source is not configured any more, so it cannot be mapped again."),
            _ => None,
        };
        json!({
            "seq": postback.seq.to_string(),
            "received_at": postback.received_at.to_string(),
            "distance": advice::distance(postback.received_at, now),
            "source": postback.source.as_ref().map(|source| source.as_str()),
            "reason": reason,
            "hint": hint,
            "again": postback.again.map(|seq| seq.to_string()),
            "raw": postback.raw.as_ref().map(RawCard::of),
            "hindrance": hindrance,
        })
    }

    /// Maps a quarantined record again by today's template, and words what came of it.
    pub(super) async fn map_again(&self, seq: &str) -> Result<Flash, Stop> {
        let view = match self.api().map_again(seq).await {
            Ok(view) => view,
            Err(Refused::Asked(_, _, message, _)) => {
                let text = format!("Postback {seq} was not mapped again: {message}");
                return Ok(Flash { good: false, text, hint: String::new(), link: None });
            }
            Err(Refused::Store(error)) => return Err(error.into()),
        };
        let word = |name: &str| view.get(name).and_then(Value::as_str).unwrap_or_default();
        let conversion = word("conversion_id");
        let link = (!conversion.is_empty())
            .then(|| (format!("/conversions/{conversion}"), "See the conversion".to_owned()));
        let text = match (link.is_some(), word("reason")) {
            (true, _) => format!("Postback {seq} was mapped again: {}", word("status")),
            (false, reason) => format!("Postback {seq} was mapped again and is still quarantined: {reason}"),
        };
        Ok(Flash { good: link.is_some(), text, hint: word("hint").to_owned(), link })
    }
}
