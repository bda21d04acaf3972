//! The endpoint for recorded clicks: `POST /api/v1/clicks` from own servers, by token.

use std::sync::Arc;

use http::StatusCode;

use crate::clock::{self, Clock};
use crate::domain::ids::ClickId;
use crate::domain::rejection::note::{ReportNote, omission_notes};
use crate::ingest::landing::VisitorEnricher;
use crate::store::contract::Store;
use crate::store::contract::arrival::{ClickArrival, ClickRecorded, Screening};
use crate::view::postback::ClickReceiptView;
use crate::view::reason::NoteView;
use crate::web::answer::{self, Answer};
use crate::web::click_body::{self, ReadClick};
use crate::web::health::ProcessHealth;

/// The parts this endpoint works with.
#[derive(Clone)]
pub struct Clicks {
    /// Where clicks are recorded.
    pub store: Arc<dyn Store>,
    /// Which parameters platforms need, and how they are written.
    pub enricher: Arc<VisitorEnricher>,
    /// Says when a click was received.
    pub clock: Clock,
    /// Says whether there is room on the disk, and hears of a store that failed.
    pub health: Arc<ProcessHealth>,
}

impl Clicks {
    /// Records the click that `body` describes and answers its id when it is durable.
    /// What of it could not be kept is named in `notes`.
    pub async fn record(&self, body: &[u8]) -> Answer {
        if !self.health.admits_postback() {
            return answer::disk_low();
        }
        let now = self.clock.now();
        let ReadClick { draft, notes } = match click_body::read(body, &self.enricher.landing, now) {
            Ok(read) => read,
            Err(cause) => return answer::refused(StatusCode::BAD_REQUEST, &cause),
        };
        let entropy = match clock::entropy::<16>() {
            Ok(entropy) => entropy,
            Err(error) => {
                tracing::error!(%error, "the operating system gave no entropy for a click id");
                return answer::unavailable();
            }
        };
        let click = draft.into_click(ClickId::mint(now.as_millis(), entropy), now);
        let mut omitted = click.context.omitted.clone();
        match self.store.record_click(ClickArrival { click, screening: Screening::None }).await {
            Ok(receipt) => {
                if receipt.recorded == ClickRecorded::Filled {
                    // A known click may have no room for all of it.
                    omitted.clone_from(&receipt.click.context.omitted);
                }
                let notes: Vec<ReportNote> = notes.into_iter().chain(omission_notes(&omitted)).collect();
                let notes = NoteView::all(&notes);
                answer::json(StatusCode::OK, &ClickReceiptView { click_id: &receipt.click.id, notes })
            }
            Err(error) => self.health.not_kept(&error),
        }
    }
}
