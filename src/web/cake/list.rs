//! `GET conversions.json`: the history, by days of the configured zone, in pages of rows.

use crate::domain::ids::{AdvertiserId, AffiliateId, OfferId};
use crate::domain::rejection::Rejection;
use crate::domain::rejection::param::ParamFault;
use crate::domain::rejection::wanted::ParamFix;
use crate::domain::status::Status;
use crate::domain::time::Time;
use crate::ingest::advertiser::LONGEST_TEXT;
use crate::ingest::parameters::{ParamReader, of_value, start_of};
use crate::store::contract::lookup::{ReportPage, ReportQuery};
use crate::template::source::params::Params;
use crate::web::cake::caller::KeyHolder;
use crate::web::cake::envelope::{HistoryReply, HistoryRow, text};
use crate::web::cake::{AdvertiserApi, CakeResult};

/// The parameters that are read.
pub(super) const NAMES: [&str; 9] = [
    "api_key",
    "start_date",
    "end_date",
    "row_limit",
    "start_at_row",
    "offer_id",
    "affiliate_id",
    "advertiser_id",
    "conversion_status",
];

const USUAL_ROWS: u64 = 100;
const MOST_ROWS: u64 = 500;

/// What is asked for, before it is known who asks.
struct ListQuery {
    from: Time,
    /// Exclusive; `None` where no day follows.
    until: Option<Time>,
    offer: Option<OfferId>,
    affiliate: Option<AffiliateId>,
    advertiser: Option<AdvertiserId>,
    status: Option<Status>,
    skip: u64,
    limit: usize,
}

impl AdvertiserApi {
    pub(super) async fn list(&self, caller: &KeyHolder, params: &Params) -> CakeResult {
        let wanted = self.wanted(params)?;
        let offers = self.offers(caller, &wanted);
        let page = if offers.as_ref().is_some_and(Vec::is_empty) {
            ReportPage::default()
        } else {
            let query = ReportQuery {
                from: Some(wanted.from),
                until: wanted.until,
                offers,
                affiliate: wanted.affiliate,
                status: wanted.status,
                after: None,
                skip: wanted.skip,
                limit: wanted.limit,
            };
            self.store.report(query).await?
        };
        let numbering = self.numbering(caller).await?;
        let rows = page.rows.iter();
        let conversions = rows.map(|row| HistoryRow::of(row, numbering.number(row.seq))).collect();
        Ok(text(&HistoryReply { request_status: "Success", total_rows: page.total, conversions }))
    }

    /// The offers whose conversions are listed. `None`: all there are.
    fn offers(&self, caller: &KeyHolder, wanted: &ListQuery) -> Option<Vec<OfferId>> {
        let visible = caller.visible(&self.rules, wanted.advertiser.as_ref());
        match (&wanted.offer, visible) {
            (None, visible) => visible,
            (Some(offer), None) => Some(vec![offer.clone()]),
            (Some(offer), Some(visible)) => Some(visible.into_iter().filter(|id| id == offer).collect()),
        }
    }

    fn wanted(&self, params: &Params) -> Result<ListQuery, Rejection> {
        let reader = ParamReader::new(params, &NAMES, LONGEST_TEXT);
        let (first, last) = (reader.date("start_date")?, reader.date("end_date")?);
        if last < first {
            let wrong = ParamFault::BeforeFirstDay { first: first.to_string() };
            return Err(of_value("end_date", &last.to_string(), wrong).into());
        }
        let limit = reader.whole("row_limit", ParamFix::Digits)?.unwrap_or(USUAL_ROWS);
        if !(1..=MOST_ROWS).contains(&limit) {
            // Fewer rows than asked for would be missed by the one who steps by what they asked for.
            let wrong = ParamFault::RowsOfPage { most: MOST_ROWS };
            return Err(of_value("row_limit", &limit.to_string(), wrong).into());
        }
        let id = |name: &str| -> Result<Option<String>, Rejection> {
            let number = reader.whole(name, ParamFix::Digits)?;
            Ok(number.filter(|number| *number > 0).map(|number| number.to_string()))
        };
        let end = last.tomorrow().ok().map(|day| start_of(day, &self.zone));
        Ok(ListQuery {
            from: start_of(first, &self.zone),
            until: end,
            offer: id("offer_id")?.and_then(|id| OfferId::parse(&id).ok()),
            affiliate: id("affiliate_id")?.and_then(|id| AffiliateId::parse(&id).ok()),
            advertiser: id("advertiser_id")?.and_then(|id| AdvertiserId::parse(&id).ok()),
            status: reader.status("conversion_status")?,
            // 0 and 1 are both the first row.
            skip: reader.whole("start_at_row", ParamFix::Digits)?.unwrap_or(1).saturating_sub(1),
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
        })
    }
}
