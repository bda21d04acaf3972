//! Campaigns that send to one host share its places, its rate and its breaker; thousands that wait cost little.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use postbridge::dispatch::Dispatch;
use postbridge::dispatch::target_health::HOST_PLACES;
use postbridge::template::destination::rendering::DestinationMode;

use crate::support::dispatch_fixture::{quick, until};
use crate::support::outgoing_fixture::{
    CampaignPostback, dispatch, fixture, plan, reload, rules, sale, taking, wake_ups, words,
};
use crate::support::platform::{Act, Platform};

#[tokio::test]
async fn campaigns_that_report_one_host_share_its_rate() {
    let tracker = taking().await;
    let reported: Vec<CampaignPostback> = ["1", "2", "3"]
        .map(|id| CampaignPostback { max_per_second: Some(40), ..CampaignPostback::to(id, &tracker) })
        .into();
    let fixture = fixture(&reported);
    let mut sales = Vec::new();
    for n in 0..20 {
        for campaign in ["1", "2", "3"] {
            sales.push(sale(&fixture, &format!("k{campaign}-{n}"), campaign).await);
        }
    }
    let begun = postbridge::clock::stopwatch();
    let dispatch = dispatch(&fixture, &reported);
    fixture.all_reach(&sales, "delivered").await;
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(1_300), "60 at 40 a second took {took:?}");
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_postback_that_sends_nothing_slows_no_other_of_its_host() {
    let tracker = taking().await;
    let off = CampaignPostback {
        mode: DestinationMode::Off,
        max_per_second: Some(1),
        ..CampaignPostback::to("1", &tracker)
    };
    let reported = [off, CampaignPostback::to("2", &tracker)];
    let fixture = fixture(&reported);
    let mut sales = Vec::new();
    for n in 0..20 {
        sales.push(sale(&fixture, &format!("k{n}"), "2").await);
    }
    let begun = postbridge::clock::stopwatch();
    let dispatch = dispatch(&fixture, &reported);
    fixture.all_reach(&sales, "delivered").await;
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(8), "20 without a limit took {took:?}");
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn campaigns_that_report_one_host_share_its_places() {
    let tracker = Platform::start(|_| Act::After(Duration::from_millis(30), Box::new(Act::status(200, ""))));
    let reported: Vec<CampaignPostback> =
        ["1", "2", "3", "4"].map(|id| CampaignPostback::to(id, &tracker)).into();
    let fixture = fixture(&reported);
    let mut sales = Vec::new();
    for n in 0..25 {
        for campaign in ["1", "2", "3", "4"] {
            sales.push(sale(&fixture, &format!("k{campaign}-{n}"), campaign).await);
        }
    }
    let dispatch = dispatch(&fixture, &reported);
    fixture.all_reach(&sales, "delivered").await;
    assert!(tracker.most_at_once() <= HOST_PLACES, "{} at once", tracker.most_at_once());
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_sick_host_rests_for_all_its_campaigns_and_delays_no_other() {
    let sick = Platform::start(|_| Act::status(500, "down"));
    let well = taking().await;
    let reported = [
        CampaignPostback::to("1", &sick),
        CampaignPostback::to("2", &sick),
        CampaignPostback::to("3", &well),
    ];
    let fixture = fixture(&reported);
    let dispatch = dispatch(&fixture, &reported);
    for n in 0..10 {
        sale(&fixture, &format!("s{n}"), "1").await;
    }
    let open = |id: &str| {
        let states = dispatch.states();
        states.iter().any(|state| state.destination.as_str() == id && state.open_until.is_some())
    };
    until("the host's breaker is open", || open("campaign:1")).await;
    assert!(open("campaign:2"), "one breaker a host");
    assert!(!open("campaign:3"));
    until("what was out is back", || dispatch.states().iter().all(|state| state.in_flight == 0)).await;
    let asked = sick.count();
    let kept_back = sale(&fixture, "x", "2").await;
    let healthy = sale(&fixture, "y", "3").await;
    fixture.reaches(healthy, "delivered").await;
    assert_eq!(words(&fixture.deliveries(kept_back).await), ["waiting"]);
    assert_eq!(sick.count(), asked, "nothing is sent to a host that rests");
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_host_that_rests_still_rests_after_a_reload_and_a_worker_that_turns_to_another_host_goes_on() {
    let sick = Platform::start(|_| Act::status(500, "down"));
    let well = taking().await;
    let reported = [CampaignPostback::to("1", &sick), CampaignPostback::to("2", &sick)];
    let fixture = fixture(&reported);
    let dispatch = dispatch(&fixture, &reported);
    let mut sales = Vec::new();
    for n in 0..10 {
        sales.push(sale(&fixture, &format!("s{n}"), "1").await);
    }
    until("the host's breaker is open", || dispatch.states()[0].open_until.is_some()).await;
    let moved = [CampaignPostback::to("1", &well), CampaignPostback::to("2", &sick)];
    reload(&fixture, &dispatch, &moved).await;
    let states = dispatch.states();
    assert!(states[0].open_until.is_none() && states[1].open_until.is_some(), "{states:?}");
    fixture.all_reach(&sales, "delivered").await;
    dispatch.stop(Duration::from_secs(5)).await;
}

/// What the process has in memory.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok()).unwrap_or_default()
}

#[tokio::test]
async fn ten_thousand_campaigns_of_one_host_have_one_worker() {
    let reported: Vec<CampaignPostback> = (0..10_000)
        .map(|n| CampaignPostback::of(format!("{n}").leak(), "https://aff.example/pb?cid=#s2#".to_owned()))
        .collect();
    let fixture = fixture(&[]);
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let (plan, store) = (plan(&reported), Arc::clone(&fixture.store));
    let (tasks_before, kib_before) = (tasks(), resident_kib());
    let dispatch = Dispatch::start_at_pace(store, plan, fixture.clock.clone(), quick());
    tokio::task::yield_now().await;
    let (added, kib) = (tasks() - tasks_before, resident_kib().saturating_sub(kib_before));
    // Other tests of the process may take memory too: it is shown, not asserted.
    println!("10,000 postbacks to one host run in {added} tasks and {kib} KiB");
    assert!(added <= 2, "the worker and who waits for its end, not {added} tasks");
    assert_eq!(dispatch.states().len(), 10_000);
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_postback_in_shadow_waits_for_no_sick_host_and_is_sent_there_once_it_is_live() {
    let tracker = Platform::start(|_| Act::status(500, "down"));
    let shadow = CampaignPostback { mode: DestinationMode::Shadow, ..CampaignPostback::to("1", &tracker) };
    let reported = [shadow, CampaignPostback::to("2", &tracker)];
    let fixture = fixture(&reported);
    let dispatch = dispatch(&fixture, &reported);
    for n in 0..10 {
        sale(&fixture, &format!("s{n}"), "2").await;
    }
    let open = || dispatch.states().iter().any(|state| state.open_until.is_some());
    until("the host's breaker is open", open).await;
    let shown = sale(&fixture, "x", "1").await;
    fixture.reaches(shown, "skipped").await;
    // It waits while it is in no one's plan, and goes on with its new target.
    tracker.script(|_| Act::status(204, ""));
    reload(&fixture, &dispatch, &reported[1..]).await;
    fixture.store.change_rules(rules(&reported)).await.unwrap();
    let waiting = sale(&fixture, "y", "1").await;
    reload(&fixture, &dispatch, &[CampaignPostback::to("1", &tracker), CampaignPostback::to("2", &tracker)])
        .await;
    assert_eq!(words(&fixture.deliveries(waiting).await), ["waiting"]);
    let states = dispatch.states();
    assert!(states[0].open_until.is_some(), "its host still rests: {states:?}");
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn two_thousand_campaigns_that_wait_wake_nothing() {
    let campaigns: Vec<&'static str> = (0..2_000).map(|n| &*format!("{n}").leak()).collect();
    let reported: Vec<CampaignPostback> = campaigns
        .iter()
        .map(|id| CampaignPostback::of(id, format!("https://aff{}.example/pb?cid=#s2#", id.len() % 7)))
        .collect();
    let fixture = fixture(&[]);
    let dispatch = dispatch(&fixture, &reported);
    // Once the start is over: three seconds, a tenth at a time.
    let mut seen = VecDeque::from([wake_ups()]);
    let quiet = async {
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            seen.push_back(wake_ups());
            let woken = seen.back().unwrap() - seen.front().unwrap();
            if seen.len() > 30 {
                seen.pop_front();
                if woken < 300 {
                    return;
                }
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), quiet).await.expect("never quiet for 3 s");
    // From then on it stays so: the very next three seconds.
    let before = wake_ups();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let woken = wake_ups() - before;
    println!("2,000 postbacks woke up {woken} times in 3 s");
    assert!(woken < 300, "2,000 postbacks woke up {woken} times in 3 s");
    dispatch.stop(Duration::from_secs(5)).await;
}
