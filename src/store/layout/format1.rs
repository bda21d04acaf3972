//! Records of format 1 as they were written then, and what they are today. Nothing here ever changes.

use std::net::IpAddr;

use serde::Deserialize;

use crate::domain::attribution::Attribution;
use crate::domain::click::{Click, Pairs, Passage, Traits};
use crate::domain::conversion::{Change, Conversion, EventName, Status};
use crate::domain::delivery::{Answer, Attempt, Judgement, SentRequest};
use crate::domain::ids::{ClickId, ConversionId, Seq, SourceId};
use crate::domain::money::Money;
use crate::domain::postback::Postback;
use crate::domain::time::Time;
use crate::store::layout::{
    Entry, EntryHead, LayoutError, Numbers, Sketch, Standing, Stored, StoredAttempt, VerdictWord, plain,
};

/// Reads today's form of a type that format 1 wrote otherwise.
macro_rules! once {
    ($($today:ty = $then:ty),* $(,)?) => {
        $(impl Stored for $today {
            fn read(format: u8, bytes: &[u8]) -> Result<$today, LayoutError> {
                match format {
                    1 => plain::<$then>(bytes).map(Today::today),
                    _ => plain(bytes),
                }
            }
        })*
    };
}

once! {
    Click = OldClick,
    Conversion = OldConversion,
    Numbers = OldNumbers,
    Sketch = OldSketch,
    Vec<EntryHead> = Vec<OldEntryHead>,
    Vec<Option<Entry>> = Vec<Option<OldEntry>>,
    Vec<Option<StoredAttempt>> = Vec<Option<OldStoredAttempt>>,
}

/// Something that was written then, and what it is now: what nobody told yet is absent.
trait Today {
    type As;

    fn today(self) -> Self::As;
}

impl<T: Today> Today for Vec<T> {
    type As = Vec<T::As>;

    fn today(self) -> Vec<T::As> {
        self.into_iter().map(Today::today).collect()
    }
}

impl<T: Today> Today for Option<T> {
    type As = Option<T::As>;

    fn today(self) -> Option<T::As> {
        self.map(Today::today)
    }
}

#[derive(Deserialize)]
struct OldClick {
    id: ClickId,
    at: Time,
    recorded_at: Time,
    landing_url: Option<String>,
    referrer: Option<String>,
    ip: Option<IpAddr>,
    user_agent: Option<String>,
    params: Pairs,
    cookies: Pairs,
    sub_ids: Pairs,
    customer: Traits,
}

impl Today for OldClick {
    type As = Click;

    fn today(self) -> Click {
        Click {
            id: self.id,
            at: self.at,
            recorded_at: self.recorded_at,
            landing_url: self.landing_url,
            referrer: self.referrer,
            ip: self.ip,
            user_agent: self.user_agent,
            params: self.params,
            cookies: self.cookies,
            sub_ids: self.sub_ids,
            customer: self.customer,
            passage: Passage::default(),
        }
    }
}

#[derive(Deserialize)]
struct OldConversion {
    id: ConversionId,
    seq: Seq,
    source: SourceId,
    event: EventName,
    status: Status,
    transaction_id: Option<String>,
    attribution: Attribution,
    item_id: Option<String>,
    value: Option<Money>,
    payout: Option<Money>,
    revenue: Option<Money>,
    sale_amount: Option<Money>,
    event_time: Time,
    received_at: Time,
    traits: Traits,
    params: Pairs,
    history: Vec<Change>,
}

impl Today for OldConversion {
    type As = Conversion;

    fn today(self) -> Conversion {
        Conversion {
            id: self.id,
            seq: self.seq,
            source: self.source,
            event: self.event,
            status: self.status,
            transaction_id: self.transaction_id,
            attribution: self.attribution,
            item_id: self.item_id,
            value: self.value,
            payout: self.payout,
            revenue: self.revenue,
            sale_amount: self.sale_amount,
            event_time: self.event_time,
            received_at: self.received_at,
            traits: self.traits,
            params: self.params,
            history: self.history,
            placement: None,
            payout_from: None,
            reason: None,
            considered: Vec::new(),
            disposition: None,
        }
    }
}

#[derive(Deserialize)]
struct OldSketch {
    id: ConversionId,
    waits_for: Vec<u64>,
    transaction: Option<u32>,
    click: Option<u32>,
    standing: Standing,
}

impl Today for OldSketch {
    type As = Sketch;

    fn today(self) -> Sketch {
        Sketch {
            id: self.id,
            waits_for: self.waits_for,
            transaction: self.transaction,
            click: self.click,
            standing: self.standing,
            report: None,
            disposition: None,
        }
    }
}

#[derive(Deserialize)]
struct OldEntryHead {
    at: Time,
    word: VerdictWord,
    again: Option<Seq>,
    raw: bool,
    gone: bool,
    sketch: Option<OldSketch>,
}

impl Today for OldEntryHead {
    type As = EntryHead;

    fn today(self) -> EntryHead {
        EntryHead {
            at: self.at,
            word: self.word,
            again: self.again,
            raw: self.raw,
            gone: self.gone,
            sketch: self.sketch.today(),
        }
    }
}

#[derive(Deserialize)]
struct OldEntry {
    postback: Postback,
    conversion: Option<OldConversion>,
}

impl Today for OldEntry {
    type As = Entry;

    fn today(self) -> Entry {
        Entry { postback: self.postback, conversion: self.conversion.today() }
    }
}

#[derive(Deserialize)]
struct OldAttempt {
    at: Time,
    took_ms: u32,
    request: Option<SentRequest>,
    answer: Option<Answer>,
    judgement: Judgement,
}

#[derive(Deserialize)]
struct OldStoredAttempt {
    seq: u64,
    delivery: u32,
    previous: Option<u64>,
    attempt: OldAttempt,
}

impl Today for OldStoredAttempt {
    type As = StoredAttempt;

    fn today(self) -> StoredAttempt {
        let OldAttempt { at, took_ms, request, answer, judgement } = self.attempt;
        let attempt = Attempt { at, took_ms, request, answer, judgement, remark: None };
        StoredAttempt { seq: self.seq, delivery: self.delivery, previous: self.previous, attempt }
    }
}

#[derive(Deserialize)]
struct OldNumbers {
    next_postback: u64,
    next_attempt: u64,
}

impl Today for OldNumbers {
    type As = Numbers;

    fn today(self) -> Numbers {
        Numbers { next_postback: self.next_postback, next_attempt: self.next_attempt, next_click: 1 }
    }
}
