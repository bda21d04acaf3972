//! The form of the page Sources that looks over a URL as it is pasted at the network.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::support::relay::{Answer, KEY, Relay, Setup, TOKEN};
use crate::support::signed_in::{FORM, cookie, csrf};

const READER: &str = "reader-token-0123456789";

fn relay(folder: &std::path::Path) -> Relay {
    let mut setup = Setup::of(folder);
    setup.extra = format!("[[source]]\nid = \"tune\"\ntemplate = \"tune\"\nkey = \"{KEY}\"\n");
    let text = setup.text().replace(
        &format!("[{{ name = \"test\", token = \"{TOKEN}\" }}]"),
        &format!(
            "[{{ name = \"test\", token = \"{TOKEN}\", rights = [\"network\"] }}, \
             {{ name = \"reader\", token = \"{READER}\", rights = [\"read\"] }}]"
        ),
    );
    setup.run(&text).expect("it listens")
}

fn pasted(relay: &Relay, token: &str, url: &str) -> Answer {
    let cookie = cookie(relay, token);
    let page = relay.send("GET", "/sources", &cookie, "").text();
    let url = utf8_percent_encode(url, NON_ALPHANUMERIC);
    let body = format!("csrf={}&pasted={url}", csrf(&page));
    relay.send("POST", "/sources/tune/url", &format!("{cookie}{FORM}"), &body)
}

#[test]
fn a_pasted_url_is_looked_over_and_its_key_stays_masked() {
    let folder = tempfile::tempdir().unwrap();
    let relay = relay(folder.path());
    let url = format!(
        "http://127.0.0.1/{KEY}/collect/tune?click_id={{aff_sub}}&transaction_id=%7Btransaction_id%7D&payout={{payout}}"
    );
    let answer = pasted(&relay, TOKEN, &url);
    assert_eq!(answer.status, 200);
    let page = answer.text();
    for shown in [
        "<code>encoded_macro</code>",
        "http://127.0.0.1/***/collect/tune?click_id",
        "<code>missing_field</code>",
    ] {
        assert!(page.contains(shown), "{shown} in {page}");
    }
    assert!(!page.contains("<code>other_key</code>"), "{page}");
    assert_eq!(page.matches(KEY).count(), 1, "only where the URL to paste is shown");
    let before = relay.api("/api/v1/postbacks")["items"].as_array().unwrap().len();
    assert_eq!(before, 0, "nothing is kept");
}

#[test]
fn someone_who_may_only_look_does_not_learn_whether_a_key_is_right() {
    let folder = tempfile::tempdir().unwrap();
    let relay = relay(folder.path());
    let url = "http://127.0.0.1/guessed-key-0123456789/collect/tune?click_id={aff_sub}&transaction_id={transaction_id}\
               &payout={payout}&currency={currency}&offer_id={offer_id}";
    let reader = pasted(&relay, READER, url);
    assert_eq!(reader.status, 200, "{}", reader.text());
    assert!(reader.text().contains("Nothing is wrong with it."), "{}", reader.text());
    let operator = pasted(&relay, TOKEN, url);
    assert!(operator.text().contains("<code>other_key</code>"), "{}", operator.text());
    assert!(!reader.text().contains(KEY) && !operator.text().contains("guessed-key"));
}

#[test]
fn a_form_of_another_session_or_a_source_that_is_not_there_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let relay = relay(folder.path());
    let cookie = cookie(&relay, TOKEN);
    let foreign = relay.send("POST", "/sources/tune/url", &format!("{cookie}{FORM}"), "csrf=x&pasted=y");
    assert_eq!(foreign.status, 403);
    let page = relay.send("GET", "/sources", &cookie, "").text();
    let body = format!("csrf={}&pasted=y", csrf(&page));
    assert_eq!(relay.send("POST", "/sources/other/url", &format!("{cookie}{FORM}"), &body).status, 404);
}
