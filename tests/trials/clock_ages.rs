//! What is received while the clock is wrong, however it is set, confirmed or started anew, is kept for its days
//! and deleted then.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use postbridge::clock::Clock;
use postbridge::domain::click::ClickOrigin;
use postbridge::domain::consent::Consent;
use postbridge::domain::time::Time;
use postbridge::maintenance::{Maintenance, MaintenanceSignals, RetentionDays, watch_clock};
use postbridge::store::contract::Store;
use postbridge::store::contract::arrival::ConsentArrival;
use postbridge::store::contract::conformance::fixture::engine::EngineUnderTest;
use postbridge::store::contract::conformance::fixture::received::{
    DAY, HOUR, at, click, click_id, destination, quarantined, sale, unscreened, wait,
};
use postbridge::store::contract::conformance::fixture::visit::{receive, visit};
use postbridge::store::contract::conformance::fixture::work::{first_page, transactions};
use postbridge::store::contract::lookup::{ConversionFilter, PostbackFilter};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use tokio::sync::watch;

use crate::support::engines;
use crate::support::engines::on_every_engine;
use crate::support::trial::{Chance, rounds};

on_every_engine! {
    sales_of_a_clock_that_was_behind_and_believed_outlive_its_correction,
    sales_of_a_first_start_in_1970_outlive_the_right_time,
    sales_of_a_clock_that_was_confirmed_ahead_are_deleted_when_their_days_are_over,
    answers_about_consent_outlive_a_clock_that_was_behind,
    answers_about_consent_of_a_first_start_in_1970_are_deleted_at_last,
    what_is_reprocessed_is_kept_as_long_as_what_it_maps,
    a_confirmed_jump_ages_what_was_received_by_a_right_clock,
}

const KEEP: RetentionDays =
    RetentionDays { conversions_days: 6, postbacks_days: 3, clicks_days: 4, removed_hours: 72 };

/// A relay's store, its clock and its maintenance.
struct Relay<'a> {
    engine: &'a EngineUnderTest,
    store: Option<Arc<dyn Store>>,
    clock: Clock,
}

impl<'a> Relay<'a> {
    fn start(engine: &'a EngineUnderTest, time: Time) -> Relay<'a> {
        let mut relay = Relay { engine, store: None, clock: Clock::fixed(time) };
        relay.restart(time);
        relay
    }

    fn store(&self) -> &Arc<dyn Store> {
        self.store.as_ref().unwrap()
    }

    fn restart(&mut self, time: Time) {
        if let Some(store) = self.store.take() {
            wait(store.close()).unwrap();
        }
        self.clock = Clock::fixed(time);
        self.store = Some(self.engine.open());
        wait(watch_clock(&**self.store(), &self.clock)).unwrap();
        self.tick();
    }

    /// One tick of maintenance, and as many as the pass of purging that it begins needs.
    fn tick(&mut self) {
        let (_, stop) = watch::channel(false);
        let configured = Arc::new(|| HashSet::from(["ads"].map(destination)));
        let heartbeat = Arc::new(AtomicI64::new(0));
        let signals = MaintenanceSignals {
            keep: KEEP,
            configured,
            put_back: Arc::default(),
            space: Arc::default(),
            stop,
            heartbeat,
        };
        let mut maintenance = Maintenance::new(Arc::clone(self.store()), self.clock.clone(), signals);
        (0..3).for_each(|_| wait(maintenance.tick()).unwrap());
    }

    fn run(&mut self, millis: i64) {
        self.clock.run(millis);
        self.tick();
    }

    fn set(&mut self, time: Time) {
        self.clock.set(time);
        self.tick();
    }

    fn run_days(&mut self, days: i64) {
        (0..days * 2).for_each(|_| self.run(DAY / 2));
    }

    /// Until the clock is believed, whatever it shows.
    fn until_believed(&mut self) {
        (0..25).for_each(|_| self.run(HOUR));
        assert_eq!(self.clock.doubt(), None);
    }

    fn confirm(&mut self) {
        self.clock.confirm();
        self.tick();
    }

    /// A sale of which nothing is to be sent, a click and a postback that was not understood.
    fn receive(&self, name: &str) {
        let (store, now) = (&**self.store(), self.clock.now());
        sale(name).to(&[]).at(now).receive(store);
        let mut clicked = click(name);
        (clicked.at, clicked.recorded_at) = (now, now);
        wait(store.record_click(unscreened(clicked))).unwrap();
        wait(store.arrive(quarantined("no price", now))).unwrap();
    }

    fn answer(&self, name: &str) {
        let now = self.clock.now();
        let consent = Consent { ad_user_data: Some(false), ad_personalization: None }.said_at(now);
        let arrival = ConsentArrival { click: click_id(name), visitor: None, consent, received_at: now };
        wait(self.store().record_consent(arrival)).unwrap();
    }

    /// What was answered about a click that is recorded only now.
    fn answered(&self, name: &str) -> Option<bool> {
        let mut late = visit(name, self.clock.now());
        late.context.origin = ClickOrigin::Tag;
        receive(&**self.store(), late);
        let click = wait(self.store().click(&click_id(name))).unwrap().unwrap();
        click.context.consent.answers().ad_user_data
    }

    fn sales(&self) -> HashSet<String> {
        transactions(&**self.store(), ConversionFilter::default()).into_iter().collect()
    }

    fn has_click(&self, name: &str) -> bool {
        wait(self.store().click(&click_id(name))).unwrap().is_some()
    }

    /// Sales, postbacks with their bytes, and whether the click of each of these is kept.
    fn count(&self, clicks: &[&str]) -> (usize, usize, usize) {
        let postbacks = wait(self.store().postbacks(PostbackFilter::default(), first_page(1000))).unwrap();
        let with_bytes = postbacks.items.iter().filter(|postback| postback.raw.is_some()).count();
        (self.sales().len(), with_bytes, clicks.iter().filter(|name| self.has_click(name)).count())
    }
}

fn in_1970() -> Time {
    Time::parse("1970-01-01T00:00:07Z").unwrap()
}

fn sales_of_a_clock_that_was_behind_and_believed_outlive_its_correction(engine: &EngineUnderTest) {
    for (name, confirmed) in [("agreed", false), ("confirmed", true)] {
        let mut relay = Relay::start(engine, at(0));
        relay.set(at(-500 * DAY));
        match confirmed {
            true => relay.confirm(),
            false => relay.until_believed(),
        }
        relay.run_days(1);
        relay.receive(name);
        relay.restart(relay.clock.now());
        relay.run(HOUR);
        // It is right again, and some months later than it was: a part of them it was off.
        relay.set(at(100 * DAY));
        match confirmed {
            true => relay.confirm(),
            false => relay.until_believed(),
        }
        assert_eq!(relay.count(&[name]), (1, 2, 1), "{name}: a day and a half old");
        relay.run_days(1);
        assert_eq!(relay.count(&[name]), (1, 2, 1), "{name}");
        relay.run_days(8);
        assert_eq!(relay.count(&[name]), (0, 0, 0), "{name}: deleted at last");
        relay.set(at(0));
        relay.confirm();
        wait(relay.store().close()).unwrap();
    }
}

fn sales_of_a_first_start_in_1970_outlive_the_right_time(engine: &EngineUnderTest) {
    let mut relay = Relay::start(engine, in_1970());
    relay.receive("first");
    relay.run(10 * HOUR);
    relay.receive("second");
    relay.set(at(0));
    relay.receive("third");
    relay.until_believed();
    assert_eq!(relay.count(&["first", "second", "third"]), (3, 6, 3));
    relay.run_days(1);
    assert_eq!(relay.count(&["first", "second", "third"]), (3, 6, 3));
    relay.run_days(7);
    assert_eq!(relay.count(&["first", "second", "third"]), (0, 0, 0), "deleted at last");
}

fn sales_of_a_clock_that_was_confirmed_ahead_are_deleted_when_their_days_are_over(engine: &EngineUnderTest) {
    let mut relay = Relay::start(engine, at(27_000 * DAY));
    relay.receive("ahead");
    relay.set(at(0));
    relay.until_believed();
    relay.receive("right");
    relay.run_days(1);
    assert_eq!(relay.count(&["ahead", "right"]), (2, 4, 2));
    relay.run_days(3);
    assert!(relay.sales().contains("right"), "by the time that it was received");
    relay.run_days(5);
    assert_eq!(relay.count(&["ahead", "right"]), (0, 0, 0), "not only in 74 years");
}

fn answers_about_consent_outlive_a_clock_that_was_behind(engine: &EngineUnderTest) {
    let mut relay = Relay::start(engine, at(0));
    relay.set(at(-500 * DAY));
    relay.answer("doubted");
    relay.until_believed();
    relay.answer("behind");
    relay.set(at(2 * DAY));
    relay.run(HOUR);
    relay.until_believed();
    assert_eq!(["doubted", "behind"].map(|name| relay.answered(name)), [Some(false); 2]);
}

fn answers_about_consent_of_a_first_start_in_1970_are_deleted_at_last(engine: &EngineUnderTest) {
    let mut relay = Relay::start(engine, in_1970());
    ["kept", "gone"].into_iter().for_each(|name| relay.answer(name));
    relay.set(at(0));
    relay.until_believed();
    assert_eq!(relay.answered("kept"), Some(false));
    relay.run_days(7);
    assert_eq!(relay.answered("gone"), None, "deleted at last");
}

fn what_is_reprocessed_is_kept_as_long_as_what_it_maps(engine: &EngineUnderTest) {
    let mut relay = Relay::start(engine, at(0));
    relay.set(at(-500 * DAY));
    relay.until_believed();
    let received = relay.clock.now();
    let of = wait(relay.store().arrive(quarantined("no price", received))).unwrap().postback;
    relay.run(HOUR);
    let mut again = sale("again").to(&[]).at(received).arrival();
    again.again = Some(postbridge::store::contract::arrival::Reprocess { of, now: relay.clock.now() });
    wait(relay.store().arrive(again)).unwrap();
    relay.set(at(3 * DAY));
    relay.confirm();
    assert_eq!(relay.count(&[]), (1, 2, 0));
    relay.run_days(8);
    assert_eq!(relay.count(&[]), (0, 0, 0));
}

fn a_confirmed_jump_ages_what_was_received_by_a_right_clock(engine: &EngineUnderTest) {
    let mut relay = Relay::start(engine, at(0));
    relay.receive("right");
    relay.run(HOUR);
    relay.set(at(500 * DAY));
    relay.receive("doubted");
    assert_eq!(relay.count(&["right", "doubted"]), (2, 4, 2));
    relay.confirm();
    assert_eq!(relay.count(&["right", "doubted"]), (1, 2, 1), "only what is young");
    assert!(relay.has_click("doubted"));
    relay.run_days(8);
    assert_eq!(relay.count(&["right", "doubted"]), (0, 0, 0));
}

/// What happens to a relay.
#[derive(Debug, Clone, Copy)]
enum Event {
    Runs { hours: i64 },
    IsSet(Setting),
    IsConfirmed,
    StartsAgain { off_hours: i64, setting: Option<Setting> },
    Receives,
}

/// To what a clock is set.
#[derive(Debug, Clone, Copy)]
enum Setting {
    By { hours: i64 },
    To1970,
    Right,
}

fn setting() -> impl Strategy<Value = Setting> {
    prop_oneof![
        2 => (-40i64..40).prop_map(|hours| Setting::By { hours }),
        2 => prop_oneof![Just(-500 * 24), Just(500 * 24), Just(-60), Just(60), Just(30 * 24), Just(-30 * 24)]
            .prop_map(|hours| Setting::By { hours }),
        1 => Just(Setting::To1970),
        2 => Just(Setting::Right),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (1i64..40).prop_map(|hours| Event::Runs { hours }),
        3 => setting().prop_map(Event::IsSet),
        1 => Just(Event::IsConfirmed),
        1 => (0i64..100, proptest::option::of(setting()))
            .prop_map(|(off_hours, setting)| Event::StartsAgain { off_hours, setting }),
        4 => Just(Event::Receives),
    ]
}

/// A sale with its click, and how old it may be when it is sent, in milliseconds.
struct Known {
    name: String,
    age: i64,
    /// When it was received or since then the clock was settled.
    settled: bool,
}

/// All sales that were received, and what is known of time: another reckoning than the program's.
struct Model<'a> {
    relay: Relay<'a>,
    known: Vec<Known>,
    /// What a right clock would show.
    right: Time,
    /// What the clock showed while it was believed last, and the running since then.
    shown: Time,
}

impl Model<'_> {
    fn new(engine: &EngineUnderTest, first: Time) -> Model<'_> {
        let relay = Relay::start(engine, first);
        Model { relay, known: Vec::new(), right: at(0), shown: first }
    }

    fn set_to(&self, setting: Setting) -> Time {
        match setting {
            Setting::By { hours } => self.relay.clock.now().plus_hours(hours),
            Setting::To1970 => in_1970(),
            Setting::Right => self.right,
        }
    }

    /// Lets something happen that takes so much running, and ages what is known.
    fn step(&mut self, ran: i64, act: impl FnOnce(&mut Relay<'_>)) {
        let before = self.relay.clock.record().unwrap();
        act(&mut self.relay);
        let after = self.relay.clock.record().unwrap();
        let is_jump = after.believed.millis_since(before.believed).abs() > 2 * DAY;
        let jumped = after.believed.millis_since(self.shown).max(0);
        let shown = match after.doubt {
            None => self.relay.clock.now(),
            Some(_) => self.shown.plus_millis(ran),
        };
        let moved = shown.millis_since(self.shown);
        for known in &mut self.known {
            known.age += match is_jump {
                true => ran + if known.settled { jumped } else { 0 },
                false => ran.max(moved),
            };
        }
        self.known.iter_mut().for_each(|known| known.settled |= after.is_settled());
        self.shown = shown;
        self.check();
    }

    /// Nothing is deleted that is not old enough.
    fn check(&mut self) {
        let sales = self.relay.sales();
        for Known { name, age, settled } in &self.known {
            let old = |days: u32| *age >= i64::from(days) * DAY;
            let conversions = KEEP.conversions_days;
            assert!(sales.contains(name) || old(conversions), "{name}: {} h, {settled}", age / HOUR);
            assert!(self.relay.has_click(name) || old(KEEP.clicks_days), "click {name}: {} h", age / HOUR);
        }
        self.known.retain(|known| sales.contains(&known.name) || self.relay.has_click(&known.name));
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Runs { hours } => {
                for _ in 0..hours.div_euclid(8) + 1 {
                    let part = hours * HOUR / (hours.div_euclid(8) + 1);
                    self.right = self.right.plus_millis(part);
                    self.step(part, |relay| relay.run(part));
                }
            }
            Event::IsSet(setting) => {
                let time = self.set_to(setting);
                self.step(0, |relay| relay.set(time));
            }
            Event::IsConfirmed => self.step(0, |relay| relay.confirm()),
            Event::StartsAgain { off_hours, setting } => {
                self.right = self.right.plus_hours(off_hours);
                let goes_on = self.relay.clock.now().plus_hours(off_hours);
                let time = setting.map_or(goes_on, |setting| self.set_to(setting));
                self.step(0, |relay| relay.restart(time));
            }
            Event::Receives => {
                let name = format!("s{}", self.relay.clock.now().as_millis() + self.known.len() as i64);
                if self.known.iter().any(|known| known.name == name) {
                    return;
                }
                self.relay.receive(&name);
                let settled = self.relay.clock.record().unwrap().is_settled();
                self.known.push(Known { name, age: 0, settled });
            }
        }
    }
}

/// As many cases as usual times the rounds of this run, by its seed.
fn seeded(usual: usize) -> ProptestConfig {
    let rng_seed = RngSeed::Fixed(Chance::of_this_run().seed);
    let cases = u32::try_from(rounds(usual)).unwrap();
    ProptestConfig { cases, rng_seed, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(seeded(48))]

    #[test]
    fn nothing_is_deleted_before_it_was_kept_for_its_days_and_everything_is_at_last(
        first in prop_oneof![Just(at(0)), Just(in_1970()), Just(at(9_000 * DAY))],
        events in proptest::collection::vec(event(), 1..50),
    ) {
        let engine = engines::memory();
        let mut model = Model::new(&engine, first);
        events.into_iter().for_each(|event| model.happens(event));
        model.happens(Event::Receives);
        (0..16).for_each(|_| model.happens(Event::Runs { hours: 24 }));
        prop_assert_eq!(model.relay.count(&[]), (0, 0, 0));
        prop_assert!(model.known.is_empty());
    }
}
