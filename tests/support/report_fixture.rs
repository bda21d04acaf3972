//! A relay whose one offer is reported by pixels and servers.

use std::time::Duration;

use serde_json::Value;

use crate::support::link_fixture::{browse, header, location, parameter, relay_with, visit};
use crate::support::relay::{Answer, Relay, wait_until};

/// A relay whose offer has these further lines.
pub struct ReportFixture {
    pub relay: Relay,
    pub folder: tempfile::TempDir,
}

impl ReportFixture {
    pub fn new(offer: &str) -> ReportFixture {
        let folder = tempfile::tempdir().unwrap();
        let relay = relay_with(folder.path(), "", offer, "[pixel]\nmax_per_second_per_ip = 1000\n");
        ReportFixture { relay, folder }
    }

    /// A visitor who followed the link: the click's id and the cookie.
    pub fn visitor(&self) -> (String, String) {
        let answer = browse(&self.relay, "/c/8599");
        let cookie = header(&answer, "set-cookie").unwrap();
        (parameter(&location(&answer), "cid").unwrap(), cookie.split(';').next().unwrap().to_owned())
    }

    /// The offer's line that was `had` is another from the next reload on.
    pub fn reload(&self, had: &str, now: &str) {
        let config = self.folder.path().join("postbridge.toml");
        let text = std::fs::read_to_string(&config).unwrap();
        assert!(text.contains(had), "{text}");
        std::fs::write(&config, text.replace(had, now)).unwrap();
        self.relay.signal(libc::SIGHUP);
    }

    pub fn conversions(&self) -> Vec<Value> {
        self.relay.api("/api/v1/conversions?limit=1000")["items"].as_array().unwrap().clone()
    }

    pub fn quarantined(&self) -> Vec<Value> {
        let kept = self.relay.api("/api/v1/postbacks?status=quarantined&open=true&limit=1000");
        kept["items"].as_array().unwrap().clone()
    }

    pub fn server(&self, query: &str) -> String {
        browse(&self.relay, &format!("/p.ashx?o=565&f=pb&{query}")).text()
    }

    /// What `p.ashx` says of a sale by a new click that a proxy forwards, which writes this `X-Forwarded-For`.
    pub fn forwarded(&self, addresses: &str, transaction: &str) -> String {
        let (click, _) = self.visitor();
        let path = format!("/p.ashx?o=565&r={click}&t={transaction}&f=pb");
        visit(&self.relay, "GET", path.as_bytes(), &format!("X-Forwarded-For: {addresses}\r\n")).text()
    }

    pub fn waits_for(&self, conversions: usize) -> Vec<Value> {
        let there = || self.conversions().len() == conversions;
        assert!(wait_until(Duration::from_secs(15), there), "{:?}", self.conversions());
        self.conversions()
    }
}

pub fn result(answer: &Answer) -> String {
    header(answer, "x-pixel-result").unwrap()
}

pub fn word<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}
