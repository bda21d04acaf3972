//! Rows of one transaction add up: further items, returns below 0, rows that were only announced.

use postbridge::domain::code::{CodedReason, ReasonCode};
use postbridge::domain::conversion::{Conversion, Dedup, Draft};
use postbridge::domain::decision::Decision;
use postbridge::domain::status::Status;

use crate::support::known_conversions::{Known, by_value, duplicate, money, named, new, update};

/// A row of the order `T`, at the click `c`.
fn row(id: &str, value: &str) -> Draft {
    Draft { adjustment_id: Some(id.to_owned()), ..by_value(Some("T"), Some("c"), value) }
}

fn of_item(item: &str, row: Draft) -> Draft {
    Draft { item_id: Some(item.to_owned()), ..row }
}

fn pending(row: Draft) -> Draft {
    Draft { status: Some(Status::Pending), ..row }
}

fn state(conversion: &Conversion) -> (String, Status) {
    (conversion.value.unwrap().to_string(), conversion.status)
}

fn worth(value: &str, status: Status) -> (String, Status) {
    (value.to_owned(), status)
}

#[test]
fn rows_of_a_transaction_add_up_and_the_same_row_again_is_a_duplicate() {
    let mut known = Known::new(Dedup::Transaction);
    let first = new(known.receive(&of_item("A", row("1", "7.50 USD"))));
    let second = update(known.receive(&of_item("B", row("2", "2.50 USD"))));
    assert_eq!((second.id, state(&second)), (first.id, worth("10.00 USD", Status::Approved)));
    for again in [row("1", "7.50 USD"), row("2", "2.50 USD"), row("2", "99 USD")] {
        let (kept, _) = duplicate(known.receive(&again));
        assert_eq!(state(&kept), worth("10.00 USD", Status::Approved), "added once");
    }
    let part = update(known.receive(&of_item("B", row("3", "-2.50 USD"))));
    assert_eq!(state(&part), worth("7.50 USD", Status::Approved));
    assert_eq!(part.history.last().unwrap().fields[0].values().to.as_deref(), Some("3"));
    let rest = update(known.receive(&of_item("A", row("4", "-7.50 USD"))));
    assert_eq!(state(&rest), worth("0.00 USD", Status::Rejected));
    let later = update(known.receive(&row("5", "3 USD")));
    assert_eq!(state(&later), worth("3 USD", Status::Approved), "the order lives again");
    assert_eq!(later.adjustments.len(), 5);
    assert_eq!(known.conversions.len(), 1);
}

#[test]
fn a_return_finds_its_order_whether_its_event_is_named_or_inferred() {
    for is_named in [false, true] {
        let event = |draft: Draft| if is_named { named("Purchase", draft) } else { draft };
        let mut known = Known::new(Dedup::Transaction);
        let lost = known.receive(&event(row("2", "-7 USD")));
        let Decision::UnknownSale { rejection, .. } = lost else { panic!("{lost:?}") };
        assert_eq!(rejection.code().as_str(), "unknown_transaction");
        let sale = new(known.receive(&event(row("1", "7 USD"))));
        let taken = update(known.receive(&event(row("2", "-7 USD"))));
        assert_eq!((taken.id, state(&taken)), (sale.id, worth("0 USD", Status::Rejected)));
    }
}

#[test]
fn a_row_without_its_click_still_belongs_to_the_only_order_of_its_number() {
    let mut known = Known::new(Dedup::Transaction);
    new(known.receive(&of_item("A", row("1", "7 USD"))));
    let taken = update(known.receive(&Draft { click_id: None, ..of_item("B", row("2", "-3 USD")) }));
    assert_eq!(state(&taken), worth("4 USD", Status::Approved));
    let more = update(known.receive(&Draft { click_id: None, ..of_item("C", row("3", "1 USD")) }));
    assert_eq!(state(&more), worth("5 USD", Status::Approved));
}

#[test]
fn a_pending_row_is_replaced_by_the_first_that_is_not() {
    let mut known = Known::new(Dedup::Transaction);
    let announced = new(known.receive(&pending(row("1", "7 USD"))));
    assert_eq!(state(&announced), worth("7 USD", Status::Pending));
    duplicate(known.receive(&pending(row("1", "7 USD"))));
    let settled = update(known.receive(&row("1", "6.50 USD")));
    assert_eq!(state(&settled), worth("6.50 USD", Status::Approved), "replaced, not added");
    duplicate(known.receive(&row("1", "7 USD")));
    duplicate(known.receive(&pending(row("1", "7 USD"))));
}

#[test]
fn a_row_with_another_id_replaces_what_was_announced_of_its_item() {
    let mut known = Known::new(Dedup::Transaction);
    new(known.receive(&pending(of_item("A", row("y1", "7 USD")))));
    let both = update(known.receive(&pending(of_item("B", row("y2", "3 USD")))));
    assert_eq!(state(&both), worth("10 USD", Status::Pending));
    let one = update(known.receive(&of_item("B", row("n2", "2 USD"))));
    assert_eq!(state(&one), worth("9 USD", Status::Approved));
    let two = update(known.receive(&of_item("A", row("n1", "7 USD"))));
    assert_eq!((state(&two), two.adjustments.len()), (worth("9 USD", Status::Approved), 2));
    let back = update(known.receive(&of_item("A", row("r1", "-7 USD"))));
    assert_eq!(state(&back), worth("2 USD", Status::Approved));
}

#[test]
fn a_row_that_is_rejected_is_taken_out_and_the_last_one_takes_the_sale_with_it() {
    let rejected = |row: Draft| Draft { status: Some(Status::Rejected), ..row };
    let mut known = Known::new(Dedup::Transaction);
    new(known.receive(&row("1", "7 USD")));
    update(known.receive(&row("2", "3 USD")));
    let one = update(known.receive(&rejected(row("2", "3 USD"))));
    assert_eq!(state(&one), worth("7 USD", Status::Approved));
    duplicate(known.receive(&rejected(row("2", "3 USD"))));
    let none = update(known.receive(&rejected(row("1", "7 USD"))));
    assert_eq!(none.status, Status::Rejected);
}

#[test]
fn amounts_of_two_currencies_are_never_added() {
    let mut known = Known::new(Dedup::Transaction);
    new(known.receive(&row("1", "7 USD")));
    let mixed = update(known.receive(&row("2", "5 EUR")));
    assert_eq!(state(&mixed), worth("7 USD", Status::Approved));
    let other = update(known.receive(&row("3", "-7 USD")));
    assert_eq!(state(&other), worth("5 EUR", Status::Approved));
    let none = update(known.receive(&row("4", "-5 EUR")));
    assert_eq!(state(&none), worth("0 USD", Status::Rejected));
}

#[test]
fn each_amount_has_its_own_sum_and_a_sale_without_a_row_id_is_one_row() {
    let mut known = Known::new(Dedup::Transaction);
    let whole = Draft { sale_amount: money("100 USD"), ..by_value(Some("T"), Some("c"), "7 USD") };
    assert!(new(known.receive(&whole)).adjustments.is_empty());
    let returned = Draft { sale_amount: money("-40 USD"), ..row("1", "-3 USD") };
    let left = update(known.receive(&returned));
    assert_eq!(state(&left), worth("4 USD", Status::Approved));
    assert_eq!(left.sale_amount.unwrap().to_string(), "60 USD");
    assert_eq!(left.adjustments[0].id, None);
}

#[test]
fn what_was_scrubbed_here_stays_so_and_its_rows_are_kept() {
    let mut known = Known::new(Dedup::Transaction);
    let sale = new(known.receive(&row("1", "7 USD")));
    known.conversions.get_mut(&sale.id).unwrap().status = Status::Scrubbed;
    let more = update(known.receive(&row("2", "3 USD")));
    assert_eq!((state(&more), more.adjustments.len()), (worth("10 USD", Status::Scrubbed), 2));
}

#[test]
fn rows_of_two_clicks_under_one_number_are_two_orders() {
    let mut known = Known::new(Dedup::Transaction);
    new(known.receive(&row("1", "7 USD")));
    let other = new(known.receive(&Draft { click_id: Some("d".to_owned()), ..row("2", "3 USD") }));
    assert_eq!(state(&other), worth("3 USD", Status::Approved));
    let back = known.receive(&Draft { click_id: None, ..row("3", "-3 USD") });
    let Decision::Quarantine(rejection) = &back else { panic!("{back:?}") };
    assert_eq!(rejection.code().as_str(), "ambiguous_transaction");
    assert_eq!(rejection.value(), Some("T"));
}

#[test]
fn an_announcement_behind_what_settles_it_counts_nothing() {
    let mut known = Known::new(Dedup::Transaction);
    new(known.receive(&of_item("A", row("n1", "3.20 USD"))));
    let (kept, _) = duplicate(known.receive(&pending(of_item("A", row("y1", "3.20 USD")))));
    assert_eq!(state(&kept), worth("3.20 USD", Status::Approved));
    let mut known = Known::new(Dedup::Transaction);
    new(known.receive(&pending(row("y1", "3.20 USD"))));
    let settled = update(known.receive(&of_item("A", row("n1", "3.20 USD"))));
    assert_eq!(state(&settled), worth("3.20 USD", Status::Approved), "one of the two names no item");
}

#[test]
fn announcements_that_are_worth_nothing_yet_are_pending() {
    let mut known = Known::new(Dedup::Transaction);
    new(known.receive(&named("Purchase", pending(of_item("A", row("1", "0 USD"))))));
    let both = update(known.receive(&named("Purchase", pending(of_item("B", row("2", "0 USD"))))));
    assert_eq!(state(&both), worth("0 USD", Status::Pending));
}

#[test]
fn a_return_settles_no_announcement() {
    let mut known = Known::new(Dedup::Transaction);
    new(known.receive(&pending(row("1", "7 USD"))));
    update(known.receive(&pending(row("2", "3 USD"))));
    let left = update(known.receive(&row("3", "-3 USD")));
    assert_eq!(left.value, money("7 USD"));
}

#[test]
fn what_a_person_decided_stays_where_the_rows_say_nothing_else_than_before() {
    let mut known = Known::new(Dedup::Transaction);
    let sale = new(known.receive(&row("1", "7 USD")));
    known.conversions.get_mut(&sale.id).unwrap().status = Status::Rejected;
    let part = update(known.receive(&row("2", "-3 USD")));
    assert_eq!(state(&part), worth("4 USD", Status::Rejected));
}

#[test]
fn rows_add_up_also_where_only_the_click_says_which_sale_they_are_of() {
    let mut known = Known::new(Dedup::Transaction);
    let of_click = |row: Draft| Draft { transaction_id: None, ..row };
    new(known.receive(&of_click(row("1", "3.20 USD"))));
    let both = update(known.receive(&of_click(row("2", "1.10 USD"))));
    assert_eq!(state(&both), worth("4.30 USD", Status::Approved));
}
