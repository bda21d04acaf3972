//! A person who is signed in to the pages of a relay that runs.

use crate::support::relay::{Relay, TOKEN, ask};

/// Sign-in, and the pages by its cookie.
pub struct SignedIn {
    pub relay: Relay,
    cookie: String,
}

impl SignedIn {
    pub fn of(relay: Relay) -> SignedIn {
        let form = format!("token={TOKEN}");
        let request = format!(
            "POST /sign-in HTTP/1.1\r\nHost: test\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{form}",
            form.len()
        );
        let head = ask(relay.address, request.as_bytes()).unwrap().head;
        let line = head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).expect("a cookie");
        SignedIn { cookie: line.split(';').next().unwrap().to_owned(), relay }
    }

    pub fn get(&self, path: &str) -> String {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: test\r\nCookie: {}\r\nConnection: close\r\n\r\n",
            self.cookie
        );
        let answer = ask(self.relay.address, request.as_bytes()).unwrap();
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.text().replace("&#x3D;", "=").replace("&quot;", "\"").replace("&amp;", "&")
    }
}
