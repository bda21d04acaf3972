//! Networks whose goals share a transaction id: each goal is a conversion of its own, as the network has it.

use postbridge::domain::conversion::{Conversion, Dedup, Draft};
use postbridge::domain::event::EventName;
use postbridge::domain::ids::SourceId;
use postbridge::domain::status::Status;
use postbridge::template::catalog::Catalog;
use postbridge::template::source::definition::SourceBinding;
use postbridge::template::source::request;

use crate::support::known_conversions::{Known, duplicate, new, update};

/// What a query says, where both `ftd` and `dep2` are a Purchase.
fn draft(template: &str, query: &str) -> Draft {
    let template = Catalog::load(None).unwrap().source(template).unwrap();
    let events = ["ftd", "dep2"].map(|word| (word.to_owned(), EventName::purchase())).to_vec();
    let binding = SourceBinding { events, ..SourceBinding::of(SourceId::parse("net").unwrap()) };
    let read = request::read(query.as_bytes(), None, b"").unwrap();
    template.map(&binding, &read).unwrap().draft().unwrap()
}

fn state(conversion: &Conversion) -> (String, Status) {
    (conversion.value.unwrap().to_string(), conversion.status)
}

/// Two goals of one click, each sent again, then the second one's status changes. The first stays.
fn two_goals(template: &str, (first, second, changed): (&str, &str, Option<&str>)) {
    let mut known = Known::new(Dedup::Transaction);
    let (first, second) = (draft(template, first), draft(template, second));
    let one = new(known.receive(&first));
    let other = new(known.receive(&second));
    assert_ne!(one.id, other.id, "{template}");
    assert_eq!(duplicate(known.receive(&first)).0.id, one.id, "{template}");
    assert_eq!(duplicate(known.receive(&second)).0.id, other.id, "{template}");
    if let Some(changed) = changed {
        let declined = update(known.receive(&draft(template, changed)));
        assert_eq!((declined.id, declined.status), (other.id, Status::Rejected), "{template}");
        assert_eq!(state(&known.conversions[&one.id]), state(&one), "{template}");
    }
    assert_eq!(known.conversions.len(), 2, "{template}");
}

const HEAD: &str = "click_id=c1&payout=60.00&currency=USD";

#[test]
fn two_goals_of_one_transaction_are_two_conversions_and_a_status_changes_its_own() {
    for template in ["affise", "traforce"] {
        // Of goals that no one names the payout decides; `ftd` and `dep2` are named alike.
        for (first, second) in [("1", "2"), ("ftd", "dep2"), ("ftd", "2"), ("0", "1")] {
            let of =
                |goal: &str, status: &str| format!("{HEAD}&transaction_id=T1&goal={goal}&status={status}");
            two_goals(template, (&of(first, "1"), &of(second, "1"), Some(&of(second, "3"))));
        }
    }
}

#[test]
fn goals_without_the_advertisers_id_are_two_conversions_of_the_click() {
    for id in ["", "&transaction_id=", "&transaction_id={transactionid}"] {
        let of = |goal: &str, status: &str| format!("{HEAD}{id}&goal={goal}&status={status}");
        two_goals("affise", (&of("1", "1"), &of("2", "1"), Some(&of("2", "3"))));
    }
}

#[test]
fn a_lead_and_a_sale_of_one_transaction_are_two_conversions() {
    let lead = "click_id=c1&transaction_id=T1&payout=0&currency=USD&goal=1&status=1";
    let sale = "click_id=c1&transaction_id=T1&payout=60&currency=USD&goal=2&status=1";
    two_goals("affise", (lead, sale, None));
}

#[test]
fn without_a_goal_the_transaction_is_known_by_its_id_and_a_click_is_one_conversion() {
    for id in ["&transaction_id=T1", ""] {
        let of = |goal: &str, status: &str| format!("{HEAD}{id}{goal}&status={status}");
        let mut known = Known::new(Dedup::Transaction);
        let sale = new(known.receive(&draft("affise", &of("", "2"))));
        assert_eq!(duplicate(known.receive(&draft("affise", &of("&goal=", "2")))).0.id, sale.id);
        assert_eq!(duplicate(known.receive(&draft("affise", &of("&goal={goal}", "2")))).0.id, sale.id);
        let approved = update(known.receive(&draft("affise", &of("", "1"))));
        assert_eq!((approved.id, approved.status), (sale.id, Status::Approved));
    }
}

#[test]
fn a_url_of_a_goals_own_says_the_event_and_the_goal_still_says_which_conversion() {
    let of = |goal: &str, status: &str| {
        format!("{HEAD}&transaction_id=T1&status={status}&goal={goal}&event=Purchase")
    };
    two_goals("affise", (&of("1", "1"), &of("2", "1"), Some(&of("2", "3"))));
}

#[test]
fn two_goals_of_a_click_that_have_one_event_are_two_conversions_where_the_id_is_the_clicks() {
    for param in ["event", "goal_ref"] {
        let of = |goal: &str| format!("{HEAD}&transaction_id=102a&{param}={goal}");
        two_goals("tune", (&of("ftd"), &of("dep2"), None));
    }
    // What is sent for all goals by one URL says no goal.
    let mut known = Known::new(Dedup::Transaction);
    let base = draft("tune", &format!("{HEAD}&transaction_id=102a"));
    let sale = new(known.receive(&base));
    assert_eq!(duplicate(known.receive(&base)).0.id, sale.id);
}
