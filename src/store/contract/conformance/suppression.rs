//! What must hold of suppression lists.

use crate::domain::click::CustomerTrait;
use crate::domain::status::Status;
use crate::domain::status_reason::StatusReason;
use crate::domain::suppression::{ListChange, Suppressed, SuppressedKind};
use crate::store::contract::arrival::Receipt;
use crate::store::contract::change::SuppressionOrder;
use crate::store::contract::conformance::fixture::engine::{EngineUnderTest, before_and_after_reopening};
use crate::store::contract::conformance::fixture::offer::{arrive, arrive_together, now_of};
use crate::store::contract::conformance::fixture::received::{Sale, at, click, sale, unscreened, wait};
use crate::store::contract::conformance::fixture::work::{backlog, claim, first_page, transactions};
use crate::store::contract::error::StoreError;
use crate::store::contract::lookup::{ConversionFilter, PageRequest};
use crate::store::contract::{Store, StoreFuture};

pub fn entry(kind: SuppressedKind, text: &str) -> Suppressed {
    Suppressed::parse(kind, text).unwrap()
}

pub fn put_on(list: &str, entries: &[Suppressed]) -> SuppressionOrder {
    let (list, actor) = (list.to_owned(), "ops".to_owned());
    SuppressionOrder { list, wish: ListChange::Add, entries: entries.to_vec(), actor, now: at(7) }
}

pub fn take_off(list: &str, entries: &[Suppressed]) -> SuppressionOrder {
    SuppressionOrder { wish: ListChange::TakeOff, ..put_on(list, entries) }
}

pub fn suppress(store: &dyn Store, list: &str, entries: &[Suppressed]) -> Vec<bool> {
    wait(store.change_list(put_on(list, entries))).unwrap()
}

/// The reason why a sale with these facts is scrubbed, if it is.
pub fn reason(store: &dyn Store, name: &str, shape: impl Fn(&mut Sale)) -> Option<StatusReason> {
    let mut reported = sale(name);
    shape(&mut reported);
    let reported = now_of(store, &arrive(store, reported.arrival()));
    assert_eq!(reported.status == Status::Scrubbed, reported.reason.is_some());
    reported.reason
}

pub fn with(name: CustomerTrait, value: &'static str) -> impl Fn(&mut Sale) {
    move |sale| drop(sale.draft.traits.0.insert(name, value.to_owned()))
}

pub fn on(kind: SuppressedKind, list: &str) -> Option<StatusReason> {
    Some(StatusReason::Suppressed { list: list.to_owned(), kind })
}

pub fn what_is_on_a_list_is_scrubbed_naming_the_list(engine: &EngineUnderTest) {
    let store = engine.open();
    suppress(
        &*store,
        "people",
        &[
            entry(SuppressedKind::Email, " Eve@Example.COM"),
            entry(SuppressedKind::Phone, "+1 (202) 555-0143"),
        ],
    );
    suppress(
        &*store,
        "orders",
        &[entry(SuppressedKind::OrderId, "A-1"), entry(SuppressedKind::ClickId, "c9")],
    );
    before_and_after_reopening(engine, store, |store, reopened| {
        let reported =
            |name: &str, shape: &dyn Fn(&mut Sale)| reason(store, &format!("{name}{reopened}"), shape);
        assert_eq!(
            reported("a", &with(CustomerTrait::Email, "eve@example.com ")),
            on(SuppressedKind::Email, "people")
        );
        assert_eq!(
            reported("b", &with(CustomerTrait::Phone, "12025550143")),
            on(SuppressedKind::Phone, "people")
        );
        assert_eq!(reported("c", &with(CustomerTrait::Email, "adam@example.com")), None);
        let ordered = |sale: &mut Sale| sale.draft.params.push(("order_id".to_owned(), "A-1".to_owned()));
        assert_eq!(reported("d", &ordered), on(SuppressedKind::OrderId, "orders"));
        assert_eq!(
            reported("e", &|sale| sale.draft.click_id = Some("c9".to_owned())),
            on(SuppressedKind::ClickId, "orders")
        );
        assert_eq!(reported("f", &|sale| sale.draft.click_id = Some("c99".to_owned())), None);
        assert_eq!(claim(store, "ads", at(0)).len(), 0, "nothing of it is sent");
    });
}

pub fn an_address_is_found_in_a_network_of_any_length(engine: &EngineUnderTest) {
    let store = engine.open();
    let nets = ["203.0.113.0/24", "198.51.100.7", "10.0.0.0/8", "2001:db8:1::/48", "2001:db8:2::1"];
    suppress(&*store, "nets", &nets.map(|net| entry(SuppressedKind::Ip, net)));
    before_and_after_reopening(engine, store, |store, reopened| {
        let reported = |ip: &'static str| {
            reason(store, &format!("{ip}{reopened}"), with(CustomerTrait::Ip, ip)).is_some()
        };
        for ip in ["203.0.113.200", "198.51.100.7", "10.255.0.1", "2001:db8:1:ffff::9", "2001:db8:2::1"] {
            assert!(reported(ip), "{ip}");
        }
        let mut visitor = click(&format!("c-{reopened}"));
        visitor.ip = Some("::ffff:203.0.113.9".parse().unwrap());
        let name = visitor.id.as_str().to_owned();
        wait(store.record_click(unscreened(visitor))).unwrap();
        let reported_click = reason(store, &name, |sale| sale.draft.click_id = Some(name.clone()));
        assert_eq!(
            reported_click,
            on(SuppressedKind::Ip, "nets"),
            "the same address in the other notation, of the click"
        );
        for ip in ["203.0.114.1", "198.51.100.8", "11.0.0.1", "2001:db8:3::9", "2001:db8:2::2"] {
            assert!(!reported(ip), "{ip}");
        }
    });
}

pub fn of_several_lists_the_first_by_name_is_named(engine: &EngineUnderTest) {
    let store = engine.open();
    let eve = [entry(SuppressedKind::Email, "eve@example.com")];
    let phone = [entry(SuppressedKind::Phone, "12025550143")];
    let reported = |name: &str| {
        reason(&*store, name, |sale| {
            with(CustomerTrait::Email, "eve@example.com")(sale);
            with(CustomerTrait::Phone, "12025550143")(sale);
        })
    };
    suppress(&*store, "m", &phone);
    suppress(&*store, "z", &eve);
    assert_eq!(reported("t1"), on(SuppressedKind::Phone, "m"));
    suppress(&*store, "b", &eve);
    suppress(&*store, "a", &[entry(SuppressedKind::OrderId, "other")]);
    assert_eq!(reported("t2"), on(SuppressedKind::Email, "b"));
    wait(store.change_list(take_off("b", &eve))).unwrap();
    wait(store.remove_list("m".to_owned())).unwrap();
    assert_eq!(reported("t3"), on(SuppressedKind::Email, "z"));
}

pub fn an_entry_counts_for_what_is_decided_after_it_and_changes_nothing_before(engine: &EngineUnderTest) {
    let store = engine.open();
    let listed = [entry(SuppressedKind::OrderId, "t1"), entry(SuppressedKind::OrderId, "t2")];
    // All at once: they are decided in this order, perhaps in one commit.
    let before = store.arrive(sale("t1").forward().arrival());
    let put_on = store.change_list(put_on("orders", &listed));
    let after = store.arrive(sale("t2").forward().arrival());
    let taken_off = store.change_list(take_off("orders", &listed[1..]));
    let mut again = sale("t3").forward();
    again.draft.params.push(("order_id".to_owned(), "t2".to_owned()));
    let last = store.arrive(again.arrival());
    assert_eq!((wait(put_on).unwrap(), wait(taken_off).unwrap()), (vec![true, true], vec![true]));
    let status = |reported: StoreFuture<'_, Receipt>| now_of(&*store, &wait(reported).unwrap()).status;
    assert_eq!(
        [status(before), status(after), status(last)],
        [Status::Approved, Status::Scrubbed, Status::Approved]
    );
    assert_eq!(wait(store.lists()).unwrap()[0].entries, 1);
}

pub fn sales_that_wait_for_a_click_are_freed_however_many_are_looked_up_on_lists(engine: &EngineUnderTest) {
    let store = engine.open();
    suppress(&*store, "orders", &[entry(SuppressedKind::OrderId, "other")]);
    arrive_together(&*store, (0..1100).map(|n| sale(&format!("t{n}")).click("c1").arrival()));
    // A sale in the middle of those that wait is on a list by the time at which its click is received.
    suppress(&*store, "orders", &[entry(SuppressedKind::OrderId, "t700")]);
    wait(store.record_click(unscreened(click("c1")))).unwrap();
    // The answer is given with the first step; the write after it goes along with the next one.
    wait(store.probe()).unwrap();
    let scrubbed = ConversionFilter { status: Some(Status::Scrubbed), ..ConversionFilter::default() };
    assert_eq!(transactions(&*store, scrubbed), ["t700"]);
    assert_eq!(backlog(&*store, "ads", at(0)).unwrap().held, 0);
}

pub fn what_is_taken_off_converts_again(engine: &EngineUnderTest) {
    let store = engine.open();
    let eve = [entry(SuppressedKind::Email, "eve@example.com")];
    suppress(&*store, "people", &eve);
    assert!(reason(&*store, "t1", with(CustomerTrait::Email, "eve@example.com")).is_some());
    assert_eq!(wait(store.change_list(take_off("people", &eve))).unwrap(), [true]);
    before_and_after_reopening(engine, store, |store, reopened| {
        let name = format!("t{reopened}");
        assert_eq!(reason(store, &name, with(CustomerTrait::Email, "eve@example.com")), None);
    });
}

pub fn putting_on_and_taking_off_report_what_was_new_and_what_was_there(engine: &EngineUnderTest) {
    let store = engine.open();
    let (a, b) = (entry(SuppressedKind::Email, "a@example.com"), entry(SuppressedKind::Ip, "10.0.0.0/8"));
    let (c, d) = (entry(SuppressedKind::OrderId, "c"), entry(SuppressedKind::ClickId, "c"));
    assert_eq!(wait(store.change_list(take_off("l", &[a.clone(), b.clone()]))).unwrap(), [false, false]);
    let both = [a.clone(), b.clone(), a.clone()];
    assert_eq!(suppress(&*store, "l", &both), [true, true, false]);
    assert_eq!(suppress(&*store, "l", &[b.clone(), c.clone(), d.clone()]), [false, true, true]);
    assert_eq!(suppress(&*store, "other", std::slice::from_ref(&a)), [true], "each list has its own");
    before_and_after_reopening(engine, store, |store, reopened| {
        let again = wait(store.change_list(put_on("l", &both))).unwrap();
        assert_eq!(again, [false; 3]);
        if reopened {
            let off = wait(store.change_list(take_off("l", &[a.clone(), a.clone(), c.clone()]))).unwrap();
            assert_eq!(off, [true, false, true]);
        }
    });
}

pub fn a_list_is_there_while_it_has_entries(engine: &EngineUnderTest) {
    let store = engine.open();
    let entries = [entry(SuppressedKind::OrderId, "a"), entry(SuppressedKind::OrderId, "b")];
    assert_eq!(suppress(&*store, "later", &entries[..1]), [true]);
    suppress(&*store, "früh", &entries);
    suppress(&*store, "empty", &[]);
    before_and_after_reopening(engine, store, |store, reopened| {
        let lists = wait(store.lists()).unwrap();
        let lists: Vec<_> = lists.iter().map(|list| (&*list.name, list.entries, list.changed_at)).collect();
        assert_eq!(lists, [("früh", 2, at(7)), ("later", 1, at(7))]);
        if reopened {
            wait(store.change_list(take_off("later", &entries))).unwrap();
            assert_eq!(wait(store.remove_list("früh".to_owned())).unwrap(), 2);
            assert_eq!(wait(store.remove_list("früh".to_owned())).unwrap(), 0);
            assert_eq!(wait(store.lists()).unwrap(), []);
            assert_eq!(wait(store.listed("früh".to_owned(), first_page(9))).unwrap().items, []);
        }
    });
}

pub fn a_long_list_is_removed_whole(engine: &EngineUnderTest) {
    let store = engine.open();
    let many: Vec<_> = (0..2500).map(|n| entry(SuppressedKind::OrderId, &format!("o{n}"))).collect();
    assert_eq!(suppress(&*store, "long", &many).iter().filter(|new| **new).count(), 2500);
    suppress(&*store, "longer", &many[..3]);
    let (removed, late) =
        (store.remove_list("long".to_owned()), store.change_list(put_on("long", &many[..1])));
    wait(late).unwrap();
    let removed = wait(removed).unwrap();
    assert!((2500..=2501).contains(&removed), "what was received meanwhile goes too: {removed}");
    before_and_after_reopening(engine, store, |store, reopened| {
        let lists = wait(store.lists()).unwrap();
        assert_eq!(lists.iter().map(|list| &*list.name).collect::<Vec<_>>(), ["longer"]);
        let ordered = |sale: &mut Sale| sale.draft.params.push(("order_id".to_owned(), "o7".to_owned()));
        assert_eq!(reason(store, &format!("t{reopened}"), ordered), None);
    });
}

pub fn a_list_is_shown_page_by_page_by_kind_and_value_without_what_is_hashed(engine: &EngineUnderTest) {
    let store = engine.open();
    let kinds = [
        (SuppressedKind::Phone, "12025550143"),
        (SuppressedKind::Email, "eve@example.com"),
        (SuppressedKind::ClickId, "c1"),
        (SuppressedKind::OrderId, "b"),
        (SuppressedKind::OrderId, "a"),
        (SuppressedKind::Ip, "2001:db8::/32"),
        (SuppressedKind::Ip, "203.0.113.7"),
        (SuppressedKind::Ip, "10.0.0.0/8"),
    ];
    suppress(&*store, "all", &kinds.map(|(kind, text)| entry(kind, text)));
    suppress(&*store, "all2", &[entry(SuppressedKind::OrderId, "elsewhere")]);
    before_and_after_reopening(engine, store, |store, _| {
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let page = wait(store.listed("all".to_owned(), PageRequest { cursor, limit: 3 })).unwrap();
            assert!(page.items.iter().all(|item| (item.added_at, &*item.actor) == (at(7), "ops")));
            seen.extend(page.items.into_iter().map(|item| (item.kind.as_str(), item.value)));
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        let seen: Vec<_> = seen.iter().map(|(kind, value)| (*kind, value.as_deref())).collect();
        let expected = [
            ("ip", Some("10.0.0.0/8")),
            ("ip", Some("203.0.113.7")),
            ("ip", Some("2001:db8::/32")),
            ("order_id", Some("a")),
            ("order_id", Some("b")),
            ("click_id", Some("c1")),
            ("email", None),
            ("phone", None),
        ];
        assert_eq!(seen, expected);
        let nonsense = PageRequest { cursor: Some("nonsense".to_owned()), limit: 3 };
        let refused = wait(store.listed("all".to_owned(), nonsense));
        assert!(matches!(refused, Err(StoreError::Cursor(cursor)) if cursor == "nonsense"));
    });
}
