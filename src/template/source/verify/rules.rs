//! What one configured source verifies of its postbacks, by its template's scheme: `verify`, `secret`, `allow_ips`.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::template::source::verify::scheme::SecretTexts;

/// What a source does with postbacks that are not signed as they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifyMode {
    /// They are quarantined.
    Enforce,
    /// They count, with a note of what is wrong.
    Observe,
    /// It does not look. What is encrypted is decrypted all the same.
    Off,
}

impl VerifyMode {
    /// As `[[source]] verify` writes it.
    pub const NAMES: [(&'static str, VerifyMode); 3] =
        [("enforce", VerifyMode::Enforce), ("observe", VerifyMode::Observe), ("off", VerifyMode::Off)];
}

/// How a source verifies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyRules {
    /// What is done with what is not verified.
    pub mode: VerifyMode,
    /// Of the network's signatures: one, or two while it is being changed.
    pub secrets: SecretTexts,
    /// The proxies that say whose a request is, as `[server]` declares them.
    pub trusted_proxies: Vec<IpNet>,
    /// The addresses that postbacks are taken from; none: from any.
    pub allow_ips: Vec<IpNet>,
    /// The keys in the source's URL, which are masked in what is kept.
    pub keys: SecretTexts,
    /// Scheme and host of the URL that the network was given, without a slash at the end.
    pub base_url: String,
}

impl VerifyRules {
    /// Whether postbacks are taken from there. `None`: no one knows from where.
    pub fn allows(&self, sender: Option<IpAddr>) -> bool {
        let is_listed = |address: IpAddr| self.allow_ips.iter().any(|net| net.contains(&address));
        self.allow_ips.is_empty() || sender.is_some_and(is_listed)
    }
}
