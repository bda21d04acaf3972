//! How places are shared: retries cannot take them all, and neither queue waits for the other for ever.

use postbridge::dispatch::shares::{ShareRequest, Shares};
use postbridge::domain::time::Time;
use proptest::prelude::*;

fn now() -> Time {
    Time::from_millis(1_790_000_000_000).unwrap()
}

/// A destination of `places` places before queues of these lengths. Answers what is in flight when
/// nothing more is asked for.
fn fill(places: usize, mut fresh: usize, mut retries: usize) -> ShareRequest {
    let mut shares = Shares::new(places);
    let mut flying = ShareRequest::default();
    while let Some(asked) = shares.ask(flying.fresh + flying.retries, flying.retries, usize::MAX, now()) {
        let got = ShareRequest { fresh: asked.fresh.min(fresh), retries: asked.retries.min(retries) };
        fresh -= got.fresh;
        retries -= got.retries;
        flying.fresh += got.fresh;
        flying.retries += got.retries;
        shares.got(asked, got, None, now());
    }
    flying
}

#[test]
fn first_attempts_alone_get_every_place() {
    assert_eq!(fill(64, 1_000, 0), ShareRequest { fresh: 64, retries: 0 });
}

#[test]
fn retries_alone_leave_a_quarter_free() {
    assert_eq!(fill(64, 0, 1_000), ShareRequest { fresh: 0, retries: 48 });
}

#[test]
fn with_both_due_first_attempts_get_most_places_and_retries_some() {
    let flying = fill(64, 1_000, 1_000);
    assert_eq!(flying.fresh + flying.retries, 64);
    assert!((8..=24).contains(&flying.retries), "{flying:?}");
}

#[test]
fn a_single_place_is_used_by_both_in_turn() {
    let mut shares = Shares::new(1);
    let asks: Vec<ShareRequest> = (0..8)
        .map(|_| {
            let asked = shares.ask(0, 0, 1, now()).unwrap();
            shares.got(asked, asked, None, now());
            asked
        })
        .collect();
    assert_eq!(asks.iter().map(|ask| ask.retries).sum::<usize>(), 2);
    assert_eq!(asks.iter().map(|ask| ask.fresh).sum::<usize>(), 6);
}

#[test]
fn a_queue_found_empty_is_asked_again_after_news_or_a_second() {
    let mut shares = Shares::new(4);
    while let Some(asked) = shares.ask(0, 0, 4, now()) {
        shares.got(asked, ShareRequest::default(), None, now());
    }
    assert_eq!(shares.ask(0, 0, 4, now().plus_millis(999)), None);
    assert!(shares.ask(0, 0, 4, now().plus_millis(1_000)).is_some());
    let mut woken = shares.clone();
    woken.news();
    assert!(woken.ask(0, 0, 4, now()).is_some());
}

proptest! {
    #[test]
    fn places_are_never_overbooked_and_retries_never_take_the_last(
        places in 1usize..200, fresh in 0usize..400, retries in 0usize..400,
    ) {
        let flying = fill(places, fresh, retries);
        prop_assert!(flying.fresh + flying.retries <= places);
        if places > 1 {
            prop_assert!(flying.retries < places);
        }
        let wanted = fresh.min(places) + retries.min(Shares::new(places).most_retries());
        prop_assert!(flying.fresh + flying.retries >= wanted.min(places), "{flying:?}: a place stays empty");
    }
}
