//! What becomes of a delivery before it is sent, and after an answer was received.

use postbridge::dispatch::decide::after;
use postbridge::dispatch::schedule::Schedule;
use postbridge::domain::attribution::Attribution;
use postbridge::domain::change_rules::Changes;
use postbridge::domain::code::{CodedReason, ReasonCode};
use postbridge::domain::consent::{Consent, ConsentNeed};
use postbridge::domain::conversion::{Conversion, Dedup};
use postbridge::domain::delivery::{Delivery, DeliveryState, OutgoingRequest, ReplyVerdict};
use postbridge::domain::delivery_reason::{DeathReason, LimitKind, RetryReason};
use postbridge::domain::exchange::NoAnswer;
use postbridge::domain::expiry::{AgeRule, ClickEnd, EndedUnsent, PATIENCE_MS, last_retry};
use postbridge::domain::history::{Cause, Change};
use postbridge::domain::ids::{DeliveryId, DestinationId, Occasion, Seq, SourceId};
use postbridge::domain::reconcile::{Observed, reconcile, superseded};
use postbridge::domain::remark::Remark;
use postbridge::domain::routing::{SourcePolicy, Unmatched};
use postbridge::domain::send_check::{AtItsTurn, SendRules, by_ids_alone, ended_unsent};
use postbridge::domain::sent::DeliveryKind;
use postbridge::domain::skip::SkipReason;
use postbridge::domain::status::Status;
use postbridge::domain::time::{DAY_MS, HOUR_MS, Time};
use postbridge::store::contract::conformance::fixture::reason::{
    account_refused, dead, rejected, skipped, unavailable,
};
use postbridge::store::contract::work::{Claimed, Lease, LeaseToken};

use crate::support::payload_fixture;

const WEEK: i64 = 7 * DAY_MS;

fn at(millis: i64) -> Time {
    Time::from_millis(1_790_000_000_000 + millis).unwrap()
}

/// A waiting delivery, due at 0, of an event that happened at 0.
fn claimed() -> Claimed {
    let conversion = Conversion {
        attribution: Attribution::NoClickId,
        event_time: at(0),
        received_at: at(0),
        value: None,
        ..payload_fixture::conversion()
    };
    let delivery = Delivery {
        destination: DestinationId::parse("d").unwrap(),
        occasion: Occasion::First,
        kind: DeliveryKind::Event,
        state: DeliveryState::Waiting { due: at(0) },
        not_before: None,
        expires_at: Some(at(WEEK)),
        first_attempt_at: None,
        attempts: 0,
        possible_repeat: false,
        may_be_known: false,
    };
    let id: DeliveryId = delivery.id(conversion.id);
    let lease = Lease { token: LeaseToken::new(1), lasts: std::time::Duration::ZERO };
    Claimed { id, lease, conversion, delivery, click: None, sent_before: false, before: Default::default() }
}

fn policy() -> SourcePolicy {
    SourcePolicy {
        source: SourceId::parse("s").unwrap(),
        customer: Default::default(),
        click_sub_id: None,
        dedup: Dedup::Transaction,
        forward_status: vec![Status::Approved, Status::Pending],
        unmatched: Unmatched::Forward,
    }
}

fn rules(policy: Option<&SourcePolicy>) -> SendRules<'_> {
    SendRules {
        changes: Changes::Never,
        age: AgeRule::Counts,
        policy,
        on: None,
        consent: ConsentNeed::default(),
        max_click_age_ms: None,
    }
}

fn turn(claimed: &Claimed) -> AtItsTurn<'_> {
    let Claimed { conversion, delivery, sent_before, .. } = claimed;
    AtItsTurn { conversion, delivery, click: None, sent_before: *sent_before, may_be_known: false }
}

fn ended(rules: &SendRules<'_>, claimed: &Claimed, now: Time) -> Option<(&'static str, &'static str)> {
    ended_unsent(rules, turn(claimed), now).map(|end| match end {
        EndedUnsent::Skipped(reason) => ("skipped", reason.code().as_str()),
        EndedUnsent::Dead(reason) => ("dead", reason.code().as_str()),
    })
}

#[test]
fn what_its_source_forwards_is_sent() {
    let policy = policy();
    assert_eq!(ended(&rules(Some(&policy)), &claimed(), at(0)), None);
}

#[test]
fn a_status_that_is_no_longer_forwarded_is_skipped() {
    let (policy, mut claimed) = (policy(), claimed());
    claimed.conversion.status = Status::Rejected;
    assert_eq!(ended(&rules(Some(&policy)), &claimed, at(0)), Some(("skipped", "status_not_forwarded")));
}

#[test]
fn a_destination_that_hears_of_changes_is_reported_of_the_rejection() {
    let (policy, mut claimed) = (policy(), claimed());
    claimed.conversion.status = Status::Rejected;
    let rules = SendRules { changes: Changes::EACH, ..rules(Some(&policy)) };
    assert_eq!(ended(&rules, &claimed, at(0)), Some(("skipped", "status_not_forwarded")), "it never knew");
    claimed.delivery.occasion = Occasion::Change(1);
    assert_eq!(
        ended(&rules, &claimed, at(0)),
        Some(("skipped", "status_not_forwarded")),
        "a change made it forwardable, and another took it back before anyone was notified"
    );
    claimed.sent_before = true;
    assert_eq!(ended(&rules, &claimed, at(0)), None);
}

#[test]
fn of_a_source_that_is_no_longer_configured_what_is_approved_is_sent() {
    let mut claimed = claimed();
    assert_eq!(ended(&rules(None), &claimed, at(0)), None);
    claimed.conversion.status = Status::Pending;
    assert_eq!(ended(&rules(None), &claimed, at(0)), Some(("skipped", "status_not_forwarded")));
}

#[test]
fn what_the_visitor_refused_meanwhile_is_skipped_and_a_change_goes_by_ids_alone() {
    let (policy, mut claimed) = (policy(), claimed());
    let refuse = |ad_user_data| Consent { ad_user_data, ad_personalization: None }.said_at(at(0));
    let ads = ConsentNeed { personal: true, explicit: false };
    let rules = SendRules { consent: ads, changes: Changes::EACH, ..rules(Some(&policy)) };
    assert_eq!(ended(&rules, &claimed, at(0)), None, "not known is not refused");
    claimed.conversion.consent = refuse(Some(false));
    assert_eq!(ended(&rules, &claimed, at(0)), Some(("skipped", "consent_denied")));
    let own = SendRules { consent: ConsentNeed::default(), ..rules };
    assert_eq!(ended(&own, &claimed, at(0)), None);
    assert!(!by_ids_alone(&own, turn(&claimed)));

    claimed.sent_before = true;
    assert_eq!(ended(&rules, &claimed, at(0)), None, "it hears of the change");
    assert!(by_ids_alone(&rules, turn(&claimed)));
    let deaf = SendRules { changes: Changes::Never, ..rules };
    assert_eq!(ended(&deaf, &claimed, at(0)), Some(("skipped", "consent_denied")));

    claimed.sent_before = false;
    claimed.conversion.consent = refuse(None);
    let strict = SendRules { consent: ConsentNeed { personal: true, explicit: true }, ..rules };
    assert_eq!(ended(&strict, &claimed, at(0)), Some(("skipped", "consent_unknown")));
    claimed.conversion.consent = refuse(Some(true));
    assert_eq!(ended(&strict, &claimed, at(0)), None);
}

#[test]
fn once_a_person_is_erased_an_ad_platform_hears_of_changes_by_ids_alone_and_others_of_what_is_left() {
    let mut claimed = claimed();
    claimed.conversion.remarks.push(Remark::Erased { at: at(0) });
    let policy = policy();
    let own = SendRules { changes: Changes::EACH, ..rules(Some(&policy)) };
    let ads = SendRules { consent: ConsentNeed { personal: true, explicit: false }, ..own };
    assert_eq!(ended(&ads, &claimed, at(0)), Some(("skipped", "erased")));
    assert_eq!(ended(&own, &claimed, at(0)), None);
    assert!(!by_ids_alone(&own, turn(&claimed)));
    claimed.sent_before = true;
    claimed.delivery.kind = DeliveryKind::Status;
    assert_eq!(ended(&ads, &claimed, at(0)), None, "it hears of the change");
    assert!(by_ids_alone(&ads, turn(&claimed)));
}

#[test]
fn an_event_that_was_too_old_from_the_first_is_skipped_naming_the_field() {
    let (policy, mut claimed) = (policy(), claimed());
    claimed.delivery.state = DeliveryState::Waiting { due: at(WEEK + 1) };
    let end = ended_unsent(&rules(Some(&policy)), turn(&claimed), at(WEEK + 2)).unwrap();
    let reason = SkipReason::TooOld { event_time: at(0), max_age_ms: WEEK };
    assert_eq!(end.state(at(WEEK + 2)), skipped(at(WEEK + 2), reason.clone()));
    assert_eq!(reason.field(), Some("event_time"));
}

#[test]
fn an_event_that_grew_too_old_while_it_waited_is_dead() {
    let (policy, mut claimed) = (policy(), claimed());
    let rules = rules(Some(&policy));
    assert_eq!(ended(&rules, &claimed, at(WEEK)), None);
    assert_eq!(ended(&rules, &claimed, at(WEEK + 1)), Some(("dead", "too_old")));
    claimed.delivery.attempts = 3;
    claimed.delivery.state = DeliveryState::Waiting { due: at(WEEK + 5) };
    assert_eq!(ended(&rules, &claimed, at(WEEK + 6)), Some(("dead", "too_old")));
}

#[test]
fn without_an_age_limit_nothing_is_too_old_and_patience_ends_retries_alone() {
    let (policy, mut claimed) = (policy(), claimed());
    claimed.delivery.expires_at = None;
    claimed.conversion.received_at = at(DAY_MS);
    let rules = rules(Some(&policy));
    assert_eq!(ended(&rules, &claimed, at(400 * DAY_MS)), None);
    let limit = |claimed: &Claimed, now| last_retry(&claimed.delivery, &claimed.conversion, None, now);
    let patience = LimitKind::Patience(PATIENCE_MS);
    assert_eq!(limit(&claimed, at(3 * DAY_MS)), (at(3 * DAY_MS + PATIENCE_MS), patience), "from now");
    claimed.delivery.first_attempt_at = Some(at(2 * DAY_MS));
    let from_the_first = (at(2 * DAY_MS + PATIENCE_MS), patience);
    assert_eq!(limit(&claimed, at(3 * DAY_MS)), from_the_first, "from its first attempt");
    let click_end = Some(ClickEnd { click: at(0), max_age_ms: 5 * DAY_MS });
    claimed.delivery.expires_at = Some(at(5 * DAY_MS));
    let by_click = last_retry(&claimed.delivery, &claimed.conversion, click_end, at(0));
    assert_eq!(by_click, (at(5 * DAY_MS), LimitKind::ClickAge(5 * DAY_MS)));
}

#[test]
fn by_a_clock_that_is_not_believed_nothing_is_too_old() {
    let (policy, claimed) = (policy(), claimed());
    let doubted = SendRules { age: AgeRule::Suspended, ..rules(Some(&policy)) };
    assert_eq!(ended(&doubted, &claimed, at(400 * DAY_MS)), None);
    let late = after(retry(None), &claimed, AgeRule::Suspended, &Schedule::default(), at(400 * DAY_MS));
    assert_eq!(late.state.as_str(), "waiting");
}

fn retry(after_ms: Option<i64>) -> ReplyVerdict {
    ReplyVerdict::Retry { reason: unavailable(503, "down"), after_ms, hold_ms: None }
}

#[test]
fn a_retry_waits_by_the_schedule_and_is_charged() {
    let settled = after(retry(None), &claimed(), AgeRule::Counts, &Schedule::default(), at(0));
    assert_eq!((settled.attempts, settled.code()), (1, "platform_unavailable"));
    match settled.state {
        DeliveryState::Waiting { due } => assert!((5_000..=6_250).contains(&due.millis_since(at(0)))),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_retry_never_goes_before_the_destinations_delay_is_over() {
    let mut claimed = claimed();
    claimed.delivery.not_before = Some(at(HOUR_MS));
    let settled = after(retry(None), &claimed, AgeRule::Counts, &Schedule::default(), at(0));
    assert_eq!(
        settled.state,
        DeliveryState::Waiting { due: at(HOUR_MS) },
        "a person had asked for it before"
    );
}

#[test]
fn a_retry_that_would_come_after_the_platforms_age_is_dead_now() {
    let mut claimed = claimed();
    claimed.delivery.attempts = 20;
    let settled = after(retry(None), &claimed, AgeRule::Counts, &Schedule::default(), at(WEEK - HOUR_MS));
    assert_eq!((settled.attempts, settled.code()), (21, "gave_up"));
    assert_eq!(settled.verdict, retry(None), "the attempt keeps what the answer meant");
    let DeliveryState::Dead { reason, .. } = settled.state else { panic!("{settled:?}") };
    let DeathReason::GaveUp { attempts, limit, last, .. } = *reason else { panic!("{reason:?}") };
    assert_eq!((attempts, limit, last), (21, LimitKind::PlatformAge(WEEK), unavailable(503, "down")));
}

#[test]
fn a_platform_that_asks_for_more_time_than_is_left_ends_it_too() {
    let claimed = claimed();
    let late = at(WEEK - 2 * HOUR_MS);
    let plain = after(retry(None), &claimed, AgeRule::Counts, &Schedule::default(), late);
    assert_eq!(plain.code(), "platform_unavailable");
    let asked = after(retry(Some(3 * HOUR_MS)), &claimed, AgeRule::Counts, &Schedule::default(), late);
    assert_eq!(asked.code(), "gave_up");
}

#[test]
fn a_park_charges_nothing_and_keeps_the_place_in_the_queue() {
    let mut claimed = claimed();
    claimed.delivery.attempts = 2;
    claimed.delivery.state = DeliveryState::Waiting { due: at(77) };
    let verdict = ReplyVerdict::Park { reason: account_refused("token") };
    let settled = after(verdict, &claimed, AgeRule::Counts, &Schedule::default(), at(1_000));
    assert_eq!(settled.state, DeliveryState::Waiting { due: at(77) });
    assert_eq!((settled.attempts, settled.code()), (2, "account_refused"));
}

#[test]
fn delivered_dead_and_skipped_end_a_delivery() {
    for (verdict, word, code) in [
        (ReplyVerdict::delivered(), "delivered", "delivered"),
        (ReplyVerdict::Dead { reason: rejected("no") }, "dead", "platform_rejected"),
        (ReplyVerdict::Skipped { reason: SkipReason::Off }, "skipped", "off"),
    ] {
        let settled = after(verdict, &claimed(), AgeRule::Counts, &Schedule::default(), at(1));
        assert_eq!((settled.state.as_str(), settled.code(), settled.attempts), (word, code, 1));
    }
}

#[test]
fn a_request_is_shown_without_its_secrets_plain_or_encoded() {
    let request = OutgoingRequest {
        method: "GET".to_owned(),
        url: "https://p.example/?key=t%2F0p%20s&k2=alnum99&x=alnum9".to_owned(),
        headers: vec![("authorization".to_owned(), "Bearer t/0p s".to_owned())],
        body: "t/0p st/0p s alnum99 tt/0p s \u{e9}t/0p s".as_bytes().to_vec(),
        secrets: vec!["t/0p s".to_owned(), "alnum99".to_owned(), String::new()],
    };
    let shown = request.masked();
    assert_eq!(shown.url, "https://p.example/?key=***&k2=***&x=alnum9");
    assert_eq!(shown.headers[0].1, "Bearer ***");
    assert_eq!(shown.body, "****** *** t*** \u{e9}***");
}

fn delivery(occasion: Occasion, state: DeliveryState) -> Delivery {
    Delivery { occasion, state, ..claimed().delivery }
}

fn died(millis: i64) -> DeliveryState {
    dead(at(millis))
}

fn change(number: u32) -> Change {
    let cause = Cause::Postback(Seq::new(u64::from(number) + 1).unwrap());
    Change { number, at: at(i64::from(number)), cause, fields: Vec::new(), status: Status::Approved }
}

#[test]
fn a_change_that_received_during_a_retry_is_reported_though_an_older_change_was_given_up() {
    let mut conversion = claimed().conversion;
    conversion.history = vec![change(1), change(2)];
    let observed = Observed { changes: 1, hears: Changes::EACH };
    let delivered = DeliveryState::delivered(at(9));
    for end in [delivered.clone(), died(9)] {
        let older = delivery(Occasion::Change(1), died(5));
        let mut deliveries = vec![delivery(Occasion::First, end), older];
        assert!(reconcile(&conversion, &mut deliveries, 0, observed));
        let reported = delivery(Occasion::Change(2), DeliveryState::Waiting { due: at(9) });
        let reported = Delivery { kind: DeliveryKind::Status, expires_at: None, ..reported };
        assert_eq!(deliveries[2..], [reported]);
    }
    for other in [delivered, died(8), DeliveryState::Waiting { due: at(8) }] {
        let first = delivery(Occasion::First, died(9));
        let mut deliveries = vec![first, delivery(Occasion::Change(2), other)];
        assert!(!reconcile(&conversion, &mut deliveries, 0, observed), "another one reports it, or did");
        assert_eq!(deliveries.len(), 2);
    }
}

#[test]
fn a_delivery_is_superseded_by_any_that_was_delivered_after_it_ended() {
    let reported = |millis| delivery(Occasion::First, DeliveryState::delivered(at(millis)));
    let skipped = skipped(at(5), SkipReason::NoClick);
    for ended in [died(5), skipped] {
        let change = delivery(Occasion::Change(1), ended);
        let id = change.id(claimed().conversion.id);
        let is = |first: Delivery| superseded(&[first, change.clone()], &id);
        assert!(is(reported(9)), "a retry of the first sent the sale as the change left it");
        assert!(is(reported(5)));
        assert!(!is(reported(4)), "the change is news to it");
        assert!(!is(delivery(Occasion::First, died(9))), "no one sent it");
        let elsewhere = Delivery { destination: DestinationId::parse("other").unwrap(), ..reported(9) };
        assert!(!is(elsewhere));
    }
}

#[test]
fn what_a_request_said_is_kept_where_the_platform_took_it_or_may_have() {
    let no_answer =
        |cause| ReplyVerdict::Retry { reason: RetryReason::NoAnswer(cause), after_ms: None, hold_ms: None };
    let cause = || "reset by peer".to_owned();
    for taken in [
        ReplyVerdict::delivered(),
        no_answer(NoAnswer::Timeout { after_ms: 30_000 }),
        no_answer(NoAnswer::ConnectionEnded { cause: cause() }),
        no_answer(NoAnswer::BrokeOff { status: 200, cause: cause() }),
    ] {
        assert!(taken.may_be_taken(), "{taken:?}");
    }
    for not_taken in [
        no_answer(NoAnswer::ConnectTimeout),
        no_answer(NoAnswer::NoConnection { cause: cause() }),
        ReplyVerdict::Dead { reason: rejected("bad token") },
        ReplyVerdict::Park { reason: account_refused("token") },
        ReplyVerdict::Skipped { reason: SkipReason::Shadow },
    ] {
        assert!(!not_taken.may_be_taken(), "{not_taken:?}");
    }
}
