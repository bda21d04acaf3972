//! Requests that carry several events: what shares one, what its answer does to each, what is sent again in parts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use postbridge::domain::attempt::Attempt;
use postbridge::domain::click::CustomerTrait;
use postbridge::domain::delivery::Delivery;
use postbridge::domain::erasure::subject::SubjectKind;
use postbridge::domain::ids::ConversionId;
use postbridge::domain::status::Status;
use postbridge::ops::erasure;
use postbridge::template::destination::batch::BatchSize;
use serde_json::Value;

use crate::support::dispatch_fixture::{DispatchFixture, MAX_AGE_MS, TAKEN, Target, draft};
use crate::support::platform::{Act, Gate, Platform, Received};

const ALL: &str = "[batch]\nmax = 100\nverdict = \"all\"\n";
const EACH: &str = "[batch]\nmax = 100\nverdict = \"each\"\naccepted = \"/received\"\n\
                    rows = { at = \"/errors\", index = \"index\" }\n";

fn batching(platform: &Platform, batching: &'static str) -> Target {
    let batch = BatchSize { max_events: 100, max_wait_ms: 0 };
    Target { batch, batching, ..Target::new("a", platform.url("")) }
}

/// The transaction ids of a request, in its order.
fn names(request: &Received) -> Vec<String> {
    let events = request.json()["events"].as_array().cloned().unwrap_or_default();
    events.iter().map(|event| event["transaction"].as_str().unwrap_or_default().to_owned()).collect()
}

fn is_bad(name: &str) -> bool {
    name.starts_with("bad")
}

/// Takes all or, with one of the bad among them, none.
fn all_or_none(request: &Received) -> Act {
    let events = names(request);
    match events.iter().any(|name| is_bad(name)) {
        true => Act::status(400, "{\"error\":\"an event is wrong\"}"),
        false => Act::ok(&format!("{{\"received\":{}}}", events.len())),
    }
}

/// Takes the good and names the bad.
fn each(request: &Received) -> Act {
    let events = names(request);
    let rows: Vec<String> = (0..events.len())
        .filter(|index| is_bad(&events[*index]))
        .map(|index| format!("{{\"index\":{index}}}"))
        .collect();
    let taken = events.len() - rows.len();
    Act::ok(&format!("{{\"received\":{taken},\"errors\":[{}]}}", rows.join(",")))
}

async fn kept(
    fixture: &DispatchFixture,
    sales: &[ConversionId],
    word: &str,
) -> Vec<(Delivery, Vec<Attempt>)> {
    let mut kept = Vec::new();
    for sale in sales {
        kept.push(fixture.reaches(*sale, word).await);
    }
    kept
}

/// How often each transaction was in a request that the platform took.
fn taken(platform: &Platform, is_taken: impl Fn(&Received) -> bool) -> BTreeMap<String, usize> {
    let mut taken = BTreeMap::new();
    for request in platform.received().iter().filter(|request| is_taken(request)) {
        for name in names(request) {
            *taken.entry(name).or_default() += 1;
        }
    }
    taken
}

#[tokio::test]
async fn what_is_due_shares_requests_and_each_event_finds_its_own_part() {
    let platform = Platform::start(all_or_none);
    let targets = [batching(&platform, ALL)];
    let fixture = DispatchFixture::new(&targets);
    let sales = fixture.sales("t", 250).await;
    let dispatch = fixture.dispatch(&targets);
    let kept = kept(&fixture, &sales, "delivered").await;
    let requests = platform.received();
    // The first is a probe, and so about one event.
    assert!((4..=8).contains(&requests.len()), "{}", requests.len());
    assert_eq!(names(&requests[0]).len(), 1);
    assert!(requests.iter().all(|request| names(request).len() <= 100));
    let taken = taken(&platform, |_| true);
    assert_eq!((taken.len(), taken.values().max()), (250, Some(&1)));
    let mut exchanges = BTreeSet::new();
    for (number, (delivery, attempts)) in kept.iter().enumerate() {
        let [attempt] = &attempts[..] else { panic!("{attempts:?}") };
        assert_eq!(delivery.attempts, 1);
        let request = attempt.request().unwrap();
        exchanges.insert(request.body.clone());
        let own = match attempt.place {
            None => serde_json::from_str::<Value>(&request.body).unwrap()["events"][0].clone(),
            Some(place) => {
                let all: Value = serde_json::from_str(&request.body).unwrap();
                let own: Value = serde_json::from_str(place.own_part(&request.body).unwrap()).unwrap();
                assert_eq!(all["events"][place.position as usize - 1], own);
                assert_eq!(all["events"].as_array().unwrap().len(), place.events as usize);
                own
            }
        };
        assert_eq!(own["transaction"], format!("t-{number}"));
    }
    assert_eq!(exchanges.len(), requests.len(), "one exchange is kept for a request");
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_bad_event_is_found_by_halves_and_takes_no_good_one_with_it() {
    let platform = Platform::start(all_or_none);
    let targets = [batching(&platform, ALL)];
    let fixture = DispatchFixture::new(&targets);
    let probe = fixture.sale("first").await;
    let good = fixture.sales("t", 63).await;
    let bad = fixture.sale("bad").await;
    let more = fixture.sales("u", 36).await;
    let dispatch = fixture.dispatch(&targets);
    fixture.reaches(probe, "delivered").await;
    let (dead, attempts) = fixture.reaches(bad, "dead").await;
    assert_eq!((dead.attempts, attempts.len()), (1, 1));
    assert!(attempts[0].place.is_none(), "it was alone in the end");
    is_halved_down(&attempts[0]);
    for (delivery, attempts) in
        kept(&fixture, &good, "delivered").await.into_iter().chain(kept(&fixture, &more, "delivered").await)
    {
        assert_eq!((delivery.attempts, attempts.len(), delivery.possible_repeat), (1, 1, false));
        is_halved_down(&attempts[0]);
    }
    // 100 events after the probe: 2·log₂ n requests, besides the first of them and the probe.
    assert!(platform.count() <= 2 + 14, "{} requests", platform.count());
    let taken = taken(&platform, |request| !names(request).iter().any(|name| is_bad(name)));
    assert_eq!((taken.len(), taken.values().max()), (100, Some(&1)), "each of the good ones once");
    dispatch.stop(Duration::from_secs(5)).await;
}

/// Every request that carried its event is on record, from the first with all of them.
fn is_halved_down(attempt: &Attempt) {
    let mut carried: Vec<u32> = attempt.before().iter().map(|larger| larger.events).collect();
    assert_eq!(carried.first(), Some(&100));
    carried.push(attempt.place.map_or(1, |place| place.events));
    assert!(
        carried.windows(2).all(|pair| pair[1] == pair[0] / 2 || pair[1] == pair[0].div_ceil(2)),
        "{carried:?}"
    );
    for larger in attempt.before() {
        let answer = larger.answer.as_ref().unwrap();
        assert_eq!((answer.status, &answer.body[..]), (400, &b"{\"error\":\"an event is wrong\"}"[..]));
        assert!(larger.at <= attempt.at);
    }
}

#[tokio::test]
async fn events_that_the_answer_names_are_dead_and_the_others_delivered_by_the_same_request() {
    let platform = Platform::start(each);
    let targets = [batching(&platform, EACH)];
    let fixture = DispatchFixture::new(&targets);
    let sales = fixture.sales("t", 40).await;
    let bad = fixture.sales("bad", 3).await;
    let dispatch = fixture.dispatch(&targets);
    kept(&fixture, &sales, "delivered").await;
    kept(&fixture, &bad, "dead").await;
    assert!(platform.count() <= 3, "{} requests", platform.count());
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn what_passes_for_all_is_tried_again_as_it_is() {
    for status in [429, 500, 503] {
        let platform = Platform::start(move |request| match request.number {
            1 => Act::status(status, "{}"),
            _ => Act::ok(&format!("{{\"received\":{}}}", names(request).len())),
        });
        let targets = [batching(&platform, ALL)];
        let fixture = DispatchFixture::new(&targets);
        let probe = fixture.sale("probe").await;
        let dispatch = fixture.dispatch(&targets);
        fixture.reaches(probe, "delivered").await;
        let sales = fixture.sales("t", 20).await;
        for (delivery, attempts) in kept(&fixture, &sales, "delivered").await {
            assert_eq!(delivery.attempts as usize, attempts.len(), "{status}");
        }
        let refused = names(&platform.received()[1]);
        let taken = taken(&platform, |request| request.number != 1);
        assert!(refused.iter().all(|name| taken[name] == 1), "{status}: {taken:?}");
        dispatch.stop(Duration::from_secs(5)).await;
    }
}

#[tokio::test]
async fn where_the_answer_does_not_add_up_events_are_sent_again_and_say_that_they_may_be_there_twice() {
    for (dedup, repeats) in [("", true), ("dedup_hours = 48\n", false)] {
        // Takes three of four and does not say which; alone it takes each.
        let platform = Platform::start(|request| match names(request).len() {
            4 => Act::ok("{\"received\":3}"),
            sent => Act::ok(&format!("{{\"received\":{sent}}}")),
        });
        let mut target = batching(&platform, EACH);
        target.top = dedup;
        target.batch.max_wait_ms = 200;
        let targets = [target];
        let fixture = DispatchFixture::new(&targets);
        let dispatch = fixture.dispatch(&targets);
        fixture.reaches(fixture.sale("probe").await, "delivered").await;
        let sales = fixture.sales("t", 4).await;
        for (delivery, attempts) in kept(&fixture, &sales, "delivered").await {
            assert_eq!((delivery.attempts, attempts.len()), (1, 1));
            assert_eq!(delivery.possible_repeat, repeats, "{dedup}");
        }
        let sizes: Vec<usize> =
            platform.received().iter().skip(1).map(|request| names(request).len()).collect();
        assert_eq!(sizes, [4, 2, 2]);
        dispatch.stop(Duration::from_secs(5)).await;
    }
}

#[tokio::test]
async fn no_answer_makes_a_repeat_possible_only_where_the_platform_counts_each() {
    for (top, repeats) in [("", true), ("dedup_hours = 48\n", false)] {
        let platform = Platform::start(|request| match request.number {
            0 => Act::Reset,
            _ => Act::ok(TAKEN),
        });
        let targets = [Target { top, ..Target::new("a", platform.url("")) }];
        let fixture = DispatchFixture::new(&targets);
        let sale = fixture.sale("t").await;
        let dispatch = fixture.dispatch(&targets);
        let (delivery, attempts) = fixture.reaches(sale, "delivered").await;
        assert_eq!((attempts.len(), delivery.possible_repeat), (2, repeats), "{top}");
        dispatch.stop(Duration::from_secs(5)).await;
    }
}

#[tokio::test]
async fn what_is_too_old_is_taken_out_before_the_others_leave() {
    let platform = Platform::start(all_or_none);
    let targets = [batching(&platform, ALL)];
    let fixture = DispatchFixture::new(&targets);
    let long_ago = fixture.clock.now().plus_millis(-MAX_AGE_MS - 1_000);
    let old = fixture.receive("bad-old", Status::Approved, Some(long_ago)).await;
    let sales = fixture.sales("t", 20).await;
    let dispatch = fixture.dispatch(&targets);
    kept(&fixture, &sales, "delivered").await;
    let (delivery, _) = fixture.delivery(old).await;
    assert_ne!(delivery.state.as_str(), "delivered");
    assert!(platform.received().iter().all(|request| !names(request).iter().any(|name| is_bad(name))));
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_sale_waits_for_others_as_long_as_it_may_and_no_longer() {
    let platform = Platform::start(all_or_none);
    let mut target = batching(&platform, ALL);
    target.batch.max_wait_ms = 400;
    let targets = [target];
    let fixture = DispatchFixture::new(&targets);
    let dispatch = fixture.dispatch(&targets);
    fixture.reaches(fixture.sale("probe").await, "delivered").await;
    let began = Instant::now();
    let first = fixture.sale("one").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let second = fixture.sale("two").await;
    fixture.all_reach(&[first, second], "delivered").await;
    assert!(began.elapsed() >= Duration::from_millis(300), "{:?}", began.elapsed());
    assert_eq!(platform.count(), 2, "both in one request, after the probe");
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn what_is_cut_off_in_the_middle_is_given_back_and_sent_once_more() {
    let gate = Gate::shut();
    let kept_gate = gate.clone();
    let platform = Platform::start(move |request| match names(request).len() {
        1 => Act::ok(TAKEN),
        _ => Act::Behind(kept_gate.clone(), Box::new(all_or_none(request))),
    });
    let targets = [batching(&platform, ALL)];
    let fixture = DispatchFixture::new(&targets);
    let dispatch = fixture.dispatch(&targets);
    fixture.reaches(fixture.sale("probe").await, "delivered").await;
    let sales = fixture.sales("t", 30).await;
    platform.wait_for(2).await;
    dispatch.stop(Duration::from_millis(50)).await;
    let cut: Vec<String> =
        platform.received().iter().filter(|sent| names(sent).len() > 1).flat_map(names).collect();
    assert!(cut.len() > 20, "{cut:?}");
    gate.open();
    let dispatch = fixture.dispatch(&targets);
    for (number, (delivery, attempts)) in kept(&fixture, &sales, "delivered").await.iter().enumerate() {
        // No one knows what became of the request that was cut off; it is on record, and not charged.
        let was_cut = cut.contains(&format!("t-{number}"));
        let found = (delivery.attempts, attempts.len(), delivery.possible_repeat);
        assert_eq!(found, (1, 1 + usize::from(was_cut), was_cut), "{number}");
        assert_eq!(format!("{:?}", attempts[0].verdict).contains("CutOff"), was_cut);
    }
    dispatch.stop(Duration::from_secs(5)).await;
    let store = Arc::clone(&fixture.store);
    drop(fixture);
    assert_eq!(Arc::strong_count(&store), 1, "nothing of it still runs");
}

#[tokio::test]
async fn a_request_that_is_too_large_is_halved_and_the_next_carry_less() {
    let platform = Platform::start(|request| match names(request).len() {
        0..=20 => all_or_none(request),
        _ => Act::status(413, "too large"),
    });
    let targets = [batching(&platform, ALL)];
    let fixture = DispatchFixture::new(&targets);
    let sales = fixture.sales("t", 300).await;
    let dispatch = fixture.dispatch(&targets);
    for (delivery, attempts) in kept(&fixture, &sales, "delivered").await {
        assert_eq!((delivery.attempts, attempts.len(), delivery.possible_repeat), (1, 1, false));
    }
    let taken = taken(&platform, |request| names(request).len() <= 20);
    assert_eq!((taken.len(), taken.values().max()), (300, Some(&1)));
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn events_that_a_refusal_names_are_dead_and_the_others_are_sent_without_them() {
    let platform = Platform::start(|request| {
        let bad: Vec<String> = names(request)
            .iter()
            .enumerate()
            .filter(|(_, name)| is_bad(name))
            .map(|(index, _)| format!("{{\"index\":{index}}}"))
            .collect();
        match bad.is_empty() {
            true => all_or_none(request),
            false => Act::status(400, &format!("{{\"errors\":[{}]}}", bad.join(","))),
        }
    });
    let named = "[batch]\nmax = 100\nverdict = \"all\"\nrows = { at = \"/errors\", index = \"index\" }\n";
    let targets = [batching(&platform, named)];
    let fixture = DispatchFixture::new(&targets);
    let probe = fixture.sale("probe").await;
    let (sales, bad) = (fixture.sales("t", 30).await, fixture.sales("bad", 2).await);
    let dispatch = fixture.dispatch(&targets);
    fixture.reaches(probe, "delivered").await;
    kept(&fixture, &sales, "delivered").await;
    for (delivery, attempts) in kept(&fixture, &bad, "dead").await {
        let place = attempts[0].place.unwrap();
        let own = place.own_part(&attempts[0].request().unwrap().body).unwrap().to_owned();
        assert!(own.contains("\"bad-"), "{own}");
        assert_eq!((delivery.attempts, place.events), (1, 32));
    }
    assert_eq!(platform.count(), 3, "a probe, what was refused, and the rest");
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn what_was_not_explained_when_the_account_is_refused_is_on_record_and_may_be_there_twice() {
    let platform = Platform::start(|request| match request.number {
        1 => Act::ok("{\"received\":3}"),
        2 => Act::status(401, "{\"error\":\"token\"}"),
        _ => Act::ok(&format!("{{\"received\":{}}}", names(request).len())),
    });
    let mut target = batching(&platform, EACH);
    target.batch.max_wait_ms = 200;
    let targets = [target];
    let fixture = DispatchFixture::new(&targets);
    let dispatch = fixture.dispatch(&targets);
    fixture.reaches(fixture.sale("probe").await, "delivered").await;
    let sales = fixture.sales("t", 4).await;
    let kept = kept(&fixture, &sales, "delivered").await;
    assert_eq!(platform.received()[1..3].iter().map(|sent| names(sent).len()).collect::<Vec<_>>(), [4, 2]);
    for (delivery, attempts) in &kept {
        assert_eq!((delivery.attempts, delivery.possible_repeat), (1, true), "{attempts:?}");
        assert!(attempts.len() >= 2, "the account's refusal, or that nothing was explained: {attempts:?}");
    }
    let cut_off = kept.iter().filter(|(_, attempts)| format!("{:?}", attempts[0].verdict).contains("CutOff"));
    let exchanges: Vec<&str> =
        cut_off.map(|(_, attempts)| attempts[0].request().unwrap().body.as_str()).collect();
    assert_eq!(exchanges.len(), 2, "those that were not sent again before the refusal");
    assert!(exchanges.iter().all(|body| body.contains("t-0") && body.contains("t-3")), "{exchanges:?}");
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_rate_of_events_is_used_to_the_full_and_nothing_waits_until_its_lease_is_over() {
    let platform = Platform::start(all_or_none);
    let mut target = batching(&platform, "[rate]\ncounts = \"events\"\n[batch]\nmax = 100\n");
    target.max_per_second = Some(100);
    let targets = [target];
    let fixture = DispatchFixture::new(&targets);
    let sales = fixture.sales("t", 250).await;
    let began = Instant::now();
    let dispatch = fixture.dispatch(&targets);
    for (delivery, attempts) in kept(&fixture, &sales, "delivered").await {
        assert_eq!((delivery.attempts, attempts.len(), delivery.possible_repeat), (1, 1, false));
    }
    assert!(
        (Duration::from_secs(2)..Duration::from_secs(6)).contains(&began.elapsed()),
        "{:?}",
        began.elapsed()
    );
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn what_was_rendered_before_its_person_was_erased_does_not_leave_once_more() {
    let gate = Gate::shut();
    let kept_gate = gate.clone();
    let platform = Platform::start(move |request| match request.number {
        1 => Act::Behind(kept_gate.clone(), Box::new(all_or_none(request))),
        _ => all_or_none(request),
    });
    let targets = [batching(&platform, ALL)];
    let fixture = DispatchFixture::new(&targets);
    let probe = fixture.sale("probe").await;
    let mut hers = draft("hers", Status::Approved);
    hers.traits.0.insert(CustomerTrait::Email, "jane.doe@example.com".to_owned());
    let hers = fixture.arrive(hers).await;
    let good = fixture.sales("t", 6).await;
    let bad = fixture.sale("bad").await;
    let dispatch = fixture.dispatch(&targets);
    fixture.reaches(probe, "delivered").await;
    platform.wait_for(2).await;
    let now = fixture.clock.now();
    let subject = erasure::subject(SubjectKind::Email, "jane.doe@example.com").unwrap();
    let found = erasure::look(fixture.store.as_ref(), &subject, now).await.unwrap();
    erasure::carry_out(fixture.store.as_ref(), found, ("ops", false)).await.unwrap();
    erasure::finish(fixture.store.as_ref(), now).await.unwrap();
    gate.open();
    fixture.reaches(hers, "skipped").await;
    fixture.reaches(bad, "dead").await;
    kept(&fixture, &good, "delivered").await;
    let named: Vec<bool> =
        platform.received().iter().map(|request| request.json().to_string().contains("jane")).collect();
    assert_eq!(named.iter().position(|is_named| *is_named), Some(1));
    assert!(named[2..].iter().all(|is_named| !is_named), "{named:?}");
    dispatch.stop(Duration::from_secs(5)).await;
}
