//! A person who is signed in to the pages of a relay that runs.

use crate::support::relay::{Relay, TOKEN};

/// Sign-in, and the pages by its cookie.
pub struct SignedIn {
    pub relay: Relay,
    cookie: String,
}

impl SignedIn {
    pub fn of(relay: Relay) -> SignedIn {
        let form = "Content-Type: application/x-www-form-urlencoded\r\n";
        let head = relay.send("POST", "/sign-in", form, &format!("token={TOKEN}")).head;
        let line = head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).expect("a cookie");
        SignedIn { cookie: line.split(';').next().unwrap().to_owned(), relay }
    }

    pub fn get(&self, path: &str) -> String {
        let answer = self.relay.send("GET", path, &format!("Cookie: {}\r\n", self.cookie), "");
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.text().replace("&#x3D;", "=").replace("&quot;", "\"").replace("&amp;", "&")
    }
}
