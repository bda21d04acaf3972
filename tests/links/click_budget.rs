//! How many clicks strangers may have recorded, by a clock of the test, and how those that are not are counted.

use std::net::IpAddr;

use postbridge::domain::click_size::ClickSize;
use postbridge::domain::time::Time;
use postbridge::web::click_budget::{ClickBudget, ClickLimits, MOST_ADDRESSES, TextBytes};
use postbridge::web::unrecorded::{LastDay, Unrecorded, UnrecordedReason};

const USUAL: ClickLimits = ClickLimits { per_address: 200, bytes: 4096 * 1024 };

fn budget(limits: ClickLimits) -> ClickBudget {
    let budget = ClickBudget::default();
    budget.set(limits);
    budget
}

fn at(millis: i64) -> Time {
    Time::from_millis(1_795_000_000_000 + millis).unwrap()
}

fn address(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

/// How many of so many clicks at one moment are recorded whole, short and not at all.
fn press(
    budget: &ClickBudget,
    from: Option<IpAddr>,
    (clicks, texts): (usize, usize),
    now: Time,
) -> [usize; 3] {
    let mut counts = [0; 3];
    for _ in 0..clicks {
        let place = match budget.admit(from, texts, now) {
            Some(ClickSize::Full) => 0,
            Some(ClickSize::Short) => 1,
            None => 2,
        };
        counts[place] += 1;
    }
    counts
}

#[test]
fn over_its_rate_an_address_loses_long_values_and_over_twice_its_rate_the_record() {
    let budget = budget(ClickLimits { bytes: 0, ..USUAL });
    let buyer = address("203.0.113.9");
    assert_eq!(press(&budget, buyer, (5_000, 500), at(0)), [2_000, 2_000, 1_000]);
    assert_eq!(press(&budget, buyer, (500, 500), at(1_000)), [200, 200, 100]);
    assert_eq!(press(&budget, address("203.0.113.10"), (1, 500), at(1_000)), [1, 0, 0]);
    assert_eq!(press(&budget, buyer, (2_001, 500), at(60_000)), [2_000, 1, 0], "it is as good as new");
}

#[test]
fn two_hundred_ordinary_clicks_a_second_of_one_address_are_all_recorded_whole() {
    let budget = budget(USUAL);
    let carrier = address("198.51.100.7");
    assert_eq!(press(&budget, carrier, (2_000, 1_500), at(0)), [2_000, 0, 0], "a burst");
    for tick in 0..12_000 {
        let now = at(20_000 + tick * 5);
        assert_eq!(press(&budget, carrier, (1, 1_500), now), [1, 0, 0], "tick {tick}");
    }
}

/// Clicks whose parameters are in their landing URLs too: stored once, and counted twice at first.
struct Twice(usize);

impl TextBytes for Twice {
    fn at_most(&self) -> usize {
        2 * self.0
    }

    fn exactly(&self) -> usize {
        self.0
    }
}

#[test]
fn what_a_landing_url_holds_makes_no_one_lose_long_values() {
    let budget = budget(USUAL);
    let carrier = address("198.51.100.7");
    let seconds = 60;
    for tick in 0..200 * seconds {
        let size = budget.admit(carrier, Twice(1_700), at(tick * 5));
        assert_eq!(size, Some(ClickSize::Full), "tick {tick}");
    }
    // Twice as many bytes that are not in it are too many for an address.
    let later = 10_000 + seconds * 1_000;
    let whole = |tick: i64| budget.admit(carrier, 3_400, at(later + tick * 5)) == Some(ClickSize::Full);
    assert!(!(0..200 * seconds).all(whole));
}

#[test]
fn one_address_has_an_eighth_of_the_bytes_and_the_others_the_rest() {
    let budget = budget(USUAL);
    let (presses, other) = (address("203.0.113.9"), address("2001:db8::1"));
    let mut recorded = 0;
    for second in 0..60 {
        for part in 0..100 {
            let now = at(second * 1000 + part * 10);
            let [full, short, _] = press(&budget, presses, (30, 5_120), now);
            recorded += full * 5_632 + short * 1_536;
            assert_eq!(press(&budget, other, (1, 1_500), now), [1, 0, 0], "{second} {part}");
        }
    }
    assert!(recorded < (60 + 10) * 512 * 1024, "{recorded}");
    assert!(recorded > 60 * 400 * 1024, "{recorded}");
}

#[test]
fn all_addresses_together_have_the_bytes_that_are_configured() {
    let budget = budget(USUAL);
    let mut recorded = 0;
    for number in 0..400_000_u32 {
        let from = Some(IpAddr::from((0x0a00_0000 + number).to_be_bytes()));
        let now = at(i64::from(number) / 40);
        recorded += press(&budget, from, (1, 5_120), now)[0] * 5_632;
    }
    let mib = recorded / (1024 * 1024);
    assert!((72..=80).contains(&mib), "4 MiB in each of 10 s and a burst, not {mib} MiB");
}

#[test]
fn one_address_has_no_more_than_its_part_at_once_either() {
    let budget = budget(USUAL);
    let [full, short, _] = press(&budget, address("203.0.113.9"), (2_000, 5_120), at(0));
    assert!(full * 5_632 + short * 1_536 <= 5 * 1024 * 1024, "{full} {short}");
    for number in 0..2_000_u32 {
        let from = Some(IpAddr::from((0x0a00_0000 + number).to_be_bytes()));
        assert_eq!(press(&budget, from, (1, 1_500), at(0)), [1, 0, 0], "{number}");
    }
}

#[test]
fn a_home_of_ipv6_is_one_address_and_a_mapped_one_is_its_ipv4() {
    let budget = budget(ClickLimits { per_address: 1, bytes: 0 });
    assert_eq!(press(&budget, address("2001:db8:1:2::1"), (10, 9), at(0)), [10, 0, 0]);
    assert_eq!(press(&budget, address("2001:db8:1:2:ffff::9"), (1, 9), at(0)), [0, 1, 0]);
    assert_eq!(press(&budget, address("2001:db8:1:3::1"), (1, 9), at(0)), [1, 0, 0]);
    assert_eq!(press(&budget, address("::ffff:203.0.113.9"), (10, 9), at(0)), [10, 0, 0]);
    assert_eq!(press(&budget, address("203.0.113.9"), (1, 9), at(0)), [0, 1, 0]);
}

#[test]
fn a_flood_from_many_addresses_keeps_no_more_of_them_than_there_is_room_and_limits_all_the_same() {
    let budget = budget(ClickLimits { per_address: 1, bytes: 0 });
    let from = |number: u32| Some(IpAddr::from(number.to_be_bytes()));
    for number in 0..100_000 {
        budget.admit(from(number), 9, at(0));
    }
    assert_eq!(budget.addresses(), MOST_ADDRESSES);
    assert_eq!(press(&budget, from(200_000), (30, 9), at(0))[2], 30, "they share what one address has");
    assert_eq!(press(&budget, from(200_000), (30, 9), at(120_000)), [10, 10, 10], "the table is free again");
    assert!(budget.addresses() < 10);
}

#[test]
fn zero_is_no_limit_and_an_address_that_is_not_known_has_only_the_bytes_of_all() {
    assert_eq!(
        press(&budget(ClickLimits::default()), address("203.0.113.9"), (9_999, 6_000), at(0)),
        [9_999, 0, 0]
    );
    let budget = budget(USUAL);
    let [full, short, none] = press(&budget, None, (40_000, 1_000), at(0));
    assert_eq!((full, short), (40 * 1024 * 1024 / 1_512, 0), "{none} are not recorded");
    assert!(budget.unrecorded.last_day(at(0)).is_some_and(|day| day.count == none as u64));
}

#[test]
fn a_clock_that_is_set_back_holds_nothing_up() {
    let budget = budget(ClickLimits { per_address: 1, bytes: 0 });
    let buyer = address("203.0.113.9");
    assert_eq!(press(&budget, buyer, (30, 9), at(1_000_000)), [10, 10, 10]);
    assert_eq!(press(&budget, buyer, (1, 9), at(0)), [0, 0, 1]);
    assert_eq!(press(&budget, buyer, (30, 9), at(10_000)), [10, 10, 10]);
}

#[test]
fn an_endpoint_with_a_rate_of_its_own_is_charged_its_bytes_alone() {
    let budget = budget(USUAL);
    let page = address("203.0.113.9");
    for _ in 0..3_000 {
        assert_eq!(budget.admit_bytes(page, 500, at(0)), Some(ClickSize::Full));
    }
    assert_eq!(press(&budget, page, (2_000, 100), at(0)), [2_000, 0, 0], "its clicks are not counted");
    let mut last = Some(ClickSize::Full);
    while last == Some(ClickSize::Full) {
        last = budget.admit_bytes(page, 5_000, at(0));
    }
    assert_eq!(last, Some(ClickSize::Short), "its part is nearly used up");
}

#[test]
fn a_line_goes_out_once_a_minute_with_all_that_received_since_the_last() {
    let unrecorded = Unrecorded::default();
    assert_eq!(unrecorded.to_log(at(0)), None);
    for second in 0..90 {
        unrecorded.count(UnrecordedReason::Rate, at(1000 * second));
    }
    assert_eq!(unrecorded.to_log(at(1000 * 90)), Some((90, UnrecordedReason::Rate)));
    unrecorded.count(UnrecordedReason::Bytes, at(1000 * 91));
    assert_eq!(unrecorded.to_log(at(1000 * 149)), None);
    assert_eq!(unrecorded.to_log(at(1000 * 150)), Some((1, UnrecordedReason::Bytes)));
    assert_eq!(unrecorded.to_log(at(1000 * 500)), None, "nothing happened since");
}

#[test]
fn they_are_shown_for_a_day() {
    let unrecorded = Unrecorded::default();
    assert_eq!(unrecorded.last_day(at(0)), None);
    unrecorded.count(UnrecordedReason::Rate, at(0));
    unrecorded.count(UnrecordedReason::Bytes, at(1000 * 20 * 3600));
    let both = LastDay { count: 2, last: at(1000 * 20 * 3600), reason: UnrecordedReason::Bytes };
    assert_eq!(unrecorded.last_day(at(1000 * 23 * 3600)), Some(both));
    assert_eq!(unrecorded.last_day(at(1000 * 30 * 3600)).unwrap().count, 1);
    assert_eq!(unrecorded.last_day(at(1000 * 45 * 3600)), None);
}

#[test]
fn what_is_recorded_whole_or_not_at_all_counts_by_its_bytes_as_clicks_do() {
    let budget = budget(USUAL);
    let (presses, other) = (address("203.0.113.9"), address("203.0.113.10"));
    let whole = |from, now| budget.admit_whole(from, 20_000, now);
    let taken = (0..1_000).filter(|_| whole(presses, at(0))).count();
    assert_eq!(taken, 5 * 1024 * 1024 / 20_512, "its burst of an eighth");
    assert_eq!(press(&budget, presses, (10, 5_120), at(0)), [2, 0, 8], "its clicks share it");
    assert_eq!(budget.unrecorded.last_day(at(0)).map(|day| day.count), Some(8), "only clicks are counted so");
    assert!(whole(other, at(0)), "another address has its own part");
    assert!(!whole(presses, at(10)) && whole(presses, at(100)), "it empties as for clicks");
}
