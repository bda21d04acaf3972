//! From two networks to a platform that accepts requests and says later what became of them: of some the first time that it
//! is asked, of some the second, of some never, and of some in part; the program killed again and again over a night and a
//! day.

use std::collections::BTreeMap;
use std::time::Duration;

use postbridge::template::catalog::Catalog;
use serde_json::Value;

use crate::journeys::accounts::{DeliveryKey, deliveries, is_event, is_final, setup};
use crate::journeys::ledger::{JourneyFacts, check_ledger};
use crate::journeys::moved_relay::{now_ahead, start_ahead};
use crate::journeys::sales::{Acknowledged, SALES, Wave, change, record_clicks, report};
use crate::support::known_events::settings_of;
use crate::support::payload_fixture::time;
use crate::support::platform_folder::Failing;
use crate::support::relay::{Relay, wait_until};
use crate::support::stand_in::{LaterWord, StandIn, Word};
use crate::support::trial::Chance;

const PLATFORM: &str = "google-data-manager";
/// How many events a request may carry.
const EVENTS: usize = 4;
const SECOND: u64 = 1;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
/// A run lasts for seconds: what is due at its beginning is done, or waits for its time again.
const REST: Duration = Duration::from_secs(20);

/// The journey so far.
struct Night<'a> {
    catalog: &'a Catalog,
    stand_ins: [StandIn; 1],
    folder: tempfile::TempDir,
    chance: Chance,
    run: usize,
}

impl<'a> Night<'a> {
    fn at(catalog: &'a Catalog) -> Night<'a> {
        let mut chance = Chance::of_this_run();
        let seed = u64::from(chance.byte()) << 8 | u64::from(chance.byte());
        let settings = settings_of(&catalog.destination(PLATFORM).unwrap());
        let failing = Failing { of_hundred: 16, seed };
        let stand_in = StandIn::start_that_says(LaterWord::InTime, PLATFORM, &settings, failing);
        let folder = tempfile::tempdir().unwrap();
        Night { catalog, stand_ins: [stand_in], folder, chance, run: 0 }
    }

    /// Starts the next run, so many seconds after the first.
    fn begin(&mut self, ahead: u64) -> (Relay, Duration) {
        let ahead = Duration::from_secs(ahead);
        let setup = setup(self.folder.path(), self.catalog, &self.stand_ins, (EVENTS, self.run));
        self.run += 1;
        (start_ahead(setup, ahead), ahead)
    }

    /// Waits until nothing is due, then kills the relay; answers how the deliveries are.
    fn end(&mut self, (relay, ahead): (Relay, Duration)) -> BTreeMap<DeliveryKey, Value> {
        let mut found = BTreeMap::new();
        let rests = wait_until(REST, || {
            let now = now_ahead(ahead);
            found = deliveries(&relay).unwrap_or_default();
            let waits =
                |delivery: &Value, name: &str| delivery[name].as_str().is_some_and(|at| time(at) > now);
            let rests =
                |delivery: &Value| is_final(delivery) || waits(delivery, "due") || waits(delivery, "poll_at");
            !found.is_empty() && found.values().all(rests)
        });
        assert!(rests, "{:#?}", found.values().find(|delivery| !is_final(delivery)));
        std::thread::sleep(Duration::from_millis(u64::from(self.chance.byte()) / 4));
        relay.kill();
        found
    }

    /// One whole run.
    fn pass(&mut self, ahead: u64) -> BTreeMap<DeliveryKey, Value> {
        let begun = self.begin(ahead);
        self.end(begun)
    }

    /// Several whole runs.
    fn pass_all(&mut self, all: impl IntoIterator<Item = u64>) {
        all.into_iter().for_each(|ahead| drop(self.pass(ahead)));
    }

    /// Sales change in two runs.
    fn change(&mut self, acknowledged: &BTreeMap<String, Acknowledged>, from: u64) {
        for (ahead, wave) in [(from, Wave::Late), (from + 10, Wave::Last)] {
            let begun = self.begin(ahead);
            change(&begun.0, acknowledged, wave, 0..SALES);
            self.end(begun);
        }
    }

    /// How often the platform took an event or a change.
    fn taken(&self) -> usize {
        self.stand_ins[0].takings("").len()
    }

    /// The word of the request that a sale was accepted with last.
    fn word(&self, acknowledged: &BTreeMap<String, Acknowledged>, key: &DeliveryKey) -> Option<Word> {
        let of_id = self.stand_ins[0].words(&key.1);
        of_id.last().copied().or(self.stand_ins[0].words(&acknowledged[&key.1].event_id).last().copied())
    }
}

/// The first deliveries that the platform accepted and has not said more of.
fn unsaid(found: &BTreeMap<DeliveryKey, Value>) -> Vec<(&DeliveryKey, &Value)> {
    found.iter().filter(|(_, delivery)| is_event(delivery) && delivery["state"] == "confirming").collect()
}

/// Each was asked about so often, and says what was said last.
fn assert_asked(unsaid: &[(&DeliveryKey, &Value)], tries: std::ops::RangeInclusive<u64>) {
    for (_, delivery) in unsaid {
        let asked = delivery["later_verdict"]["tries"].as_u64().unwrap();
        assert!(tries.contains(&asked) && delivery["reason_code"].is_string(), "{delivery:#}");
        assert!(delivery["reason"].as_str().unwrap().contains("PROCESSING"), "{delivery:#}");
    }
}

#[test]
fn what_is_said_late_in_part_or_never_is_waited_for_over_kills_and_is_not_sent_again_meanwhile() {
    let catalog = Catalog::load(None).unwrap();
    let mut night = Night::at(&catalog);
    let mut acknowledged = BTreeMap::new();
    let begun = night.begin(0);
    record_clicks(&begun.0, &catalog, &[PLATFORM]);
    report(&begun.0, &mut acknowledged, 0..SALES);
    night.end(begun);
    // What failed is sent again after seconds, and asked about a minute after it was accepted.
    night.pass_all([10, 75, 120, 200]);
    let asked_once = night.pass(4 * MINUTE);
    let unsaid_once = unsaid(&asked_once);
    assert_asked(&unsaid_once, 1..=2);
    let before = night.pass(9 * MINUTE);
    let asked_twice = unsaid(&before);
    assert_asked(&asked_twice, 2..=2);
    let late: Vec<_> = unsaid_once.iter().filter(|(key, _)| is_final(&before[*key])).collect();
    assert!(!late.is_empty() && !asked_twice.is_empty(), "{} late, {} never", late.len(), asked_twice.len());
    let is_late = |(key, _): &&(&DeliveryKey, &Value)| night.word(&acknowledged, key) == Some(Word::Late);
    assert!(late.iter().all(is_late), "{late:#?}");
    night.change(&acknowledged, 9 * MINUTE + 10);
    night.pass_all([11, 12, 15, 20, 45].map(|minutes| minutes * MINUTE));
    let taken = night.taken();
    let at_night = night.pass(3 * HOUR);
    let never = unsaid(&at_night);
    assert_eq!(never.len(), asked_twice.len());
    assert_asked(&never, 4..=5);
    let waiting = at_night.values().filter(|delivery| delivery["state"] == "waiting").count();
    assert_eq!(night.taken(), taken, "something was sent again");
    let in_the_end = night.pass(25 * HOUR);
    for (key, _) in &never {
        let delivery = &in_the_end[*key];
        let (state, confirmation) = (&delivery["state"], &delivery["confirmation"]);
        assert!(state == "delivered" && confirmation == "unverified", "{delivery:#}");
    }
    night.pass_all([75, 3 * MINUTE, 10 * MINUTE].map(|more| 25 * HOUR + more));
    let last = night.pass(52 * HOUR);
    let open: Vec<_> = last.values().filter(|delivery| !is_final(delivery)).collect();
    assert!(open.is_empty(), "{open:#?}");
    let [stand_in] = &night.stand_ins;
    println!(
        "{} runs; said late of {}, never of {}, in part of {} requests; {waiting} changes waited for a verdict; {} \
         times nothing was said yet",
        night.run,
        late.len(),
        never.len(),
        stand_in.said_in_part(),
        stand_in.unsettled()
    );
    assert!(stand_in.said_in_part() > 0 && waiting > 0, "nothing was said in part, or waited for it");
    let facts = JourneyFacts { catalog: &catalog, acknowledged: &acknowledged, before: &before, last: &last };
    let faults = check_ledger(stand_in, &facts);
    assert!(faults.is_empty(), "{faults:#?}");
}
