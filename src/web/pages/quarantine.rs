//! Postbacks that were kept but not understood: the reason, the fix, and "reprocess".

use serde::Serialize;
use serde_json::json;

use crate::domain::code::CodedReason;
use crate::domain::code::ReasonCode;
use crate::domain::ids::Seq;
use crate::domain::postback::{Postback, VerdictName};
use crate::domain::rejection::Rejection;
use crate::domain::rejection::code::RejectionCode;
use crate::domain::rejection::note::notes_text;
use crate::domain::reporter::BuiltInSource;
use crate::domain::reprocess_refusal::ReprocessRefused;
use crate::ingest::postback::ReprocessError;
use crate::ops;
use crate::store::contract::lookup::PostbackFilter;
use crate::view::postback::PostbackVerdictView;
use crate::web::list_query::{self, BadParameter, Query};
use crate::web::pages::list::{Filters, ListTemplate, options};
use crate::web::pages::raw::RawCard;
use crate::web::pages::session::{Flash, sentence};
use crate::web::pages::{PageContent, PageExit, Pages};

const QUARANTINE: ListTemplate = ListTemplate {
    template: "quarantine",
    path: "/quarantine",
    title: "Quarantine",
    filters: list_query::POSTBACKS,
    fixed: &["status", "open"],
};

impl Pages {
    /// `/quarantine`: what still waits for a fix, newest first.
    pub(super) async fn quarantine(&self, query: &[u8]) -> Result<PageContent, PageExit> {
        let filters = Filters::read(query);
        let read = |filter: PostbackFilter, page| {
            let verdict = Some(VerdictName::Quarantined);
            self.ops.store.postbacks(PostbackFilter { verdict, open_only: true, ..filter }, page)
        };
        let found = filters.find(QUARANTINE, Query::postback_filter, read).await?;
        let codes = RejectionCode::ALL.iter().map(|code| code.as_str());
        let own = json!({
            "sources": options(self.source_ids(), filters.get("source")),
            "reason_codes": options(codes, filters.get("reason_code")),
            "field": filters.get("field"),
        });
        Ok(filters.page(QUARANTINE, &found, |one| self.quarantined(one), own))
    }

    fn quarantined<'a>(&self, postback: &'a Postback) -> QuarantinedCard<'a> {
        let configured =
            postback.source.as_ref().is_some_and(|source| self.ops.networks.contains_key(source));
        let own_endpoint = postback.source.as_ref().and_then(BuiltInSource::of).is_some();
        let was_closed = own_endpoint && postback.verdict.rejection().is_some_and(Rejection::may_reopen);
        let source = || postback.source.as_ref().map(ToString::to_string).unwrap_or_default();
        let hindrance = match (&postback.raw, configured) {
            (Some(raw), _) if was_closed && raw.reporter.is_some() => None,
            _ if own_endpoint => Some(ReprocessRefused::SenderInformed(source())),
            (None, _) => Some(ReprocessRefused::without_bytes(postback)),
            (_, false) => Some(ReprocessRefused::NoSource(postback.source.is_some().then(source))),
            _ => None,
        };
        QuarantinedCard {
            verdict: PostbackVerdictView::of(postback),
            raw: postback.raw.as_ref().map(RawCard::of),
            hindrance: hindrance
                .map(|why| format!("{} {}", sentence(&why.sentence()), sentence(&why.hint()))),
        }
    }

    /// Maps a quarantined record again by today's template, and words the result.
    pub(super) async fn retry_postback(&self, id: &str) -> Result<Flash, PageExit> {
        let refused =
            |why: &str, hint: &str| Flash::refused(&format!("Postback {id} was not reprocessed"), why, hint);
        let seq = match list_query::id(id, Seq::parse) {
            Ok(seq) => seq,
            Err(BadParameter(why)) => return Ok(refused(&why, BadParameter::HINT)),
        };
        let receipt = match ops::reprocess(&self.ops, seq).await {
            Ok(receipt) => receipt,
            Err(ReprocessError::Store(error)) => return Err(error.into()),
            Err(ReprocessError::Refused(why)) => return Ok(refused(&why.sentence(), &why.hint())),
        };
        let rejection = receipt.verdict.rejection();
        let link = receipt
            .verdict
            .conversion()
            .map(|conversion| (format!("/conversions/{conversion}"), "See the conversion".to_owned()));
        let text = match rejection {
            None => format!("Postback {seq} was reprocessed: {}", receipt.verdict.as_str()),
            Some(rejection) => {
                format!("Postback {seq} was reprocessed and is still quarantined: {}", rejection.sentence())
            }
        };
        let hint =
            rejection.map(CodedReason::hint).or_else(|| notes_text(&receipt.notes)).unwrap_or_default();
        Ok(Flash { good: link.is_some(), text, hint, link })
    }
}

/// A quarantined postback, as the template `quarantine` shows it.
#[derive(Serialize)]
struct QuarantinedCard<'a> {
    #[serde(flatten)]
    verdict: PostbackVerdictView<'a>,
    raw: Option<RawCard<'a>>,
    /// Why it cannot be reprocessed.
    hindrance: Option<String>,
}
