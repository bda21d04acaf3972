//! A person who is signed in to the pages of a relay that runs.

use crate::support::relay::{Relay, TOKEN};

/// Sign-in, and the pages by its cookie.
pub struct SignedIn {
    pub relay: Relay,
    cookie: String,
}

impl SignedIn {
    pub fn of(relay: Relay) -> SignedIn {
        SignedIn { cookie: cookie(&relay, TOKEN), relay }
    }

    pub fn get(&self, path: &str) -> String {
        let answer = self.relay.send("GET", path, &self.cookie, "");
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.text().replace("&#x3D;", "=").replace("&quot;", "\"").replace("&amp;", "&")
    }
}

/// The header line of a form that is sent.
pub const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

/// Signs in with a token; the header line with the session's cookie.
pub fn cookie(relay: &Relay, token: &str) -> String {
    let head = relay.send("POST", "/sign-in", FORM, &format!("token={token}")).head;
    let set = head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).expect("a cookie");
    format!("Cookie: {}\r\n", set.split(';').next().unwrap())
}

/// What every form of the session sends back, of a page that has one.
pub fn csrf(page: &str) -> &str {
    page.split_once("name=\"csrf\" value=\"").expect("a form").1.split('"').next().unwrap()
}
