//! What a destination template asks a person for: tokens, ids, addresses.

/// A value that a person must give before a template can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingSpec {
    pub name: String,
    pub label: String,
    pub required: bool,
    /// A secret is masked wherever a request is shown or stored.
    pub secret: bool,
    /// Of an address, what is behind the host is masked in the same way: it may hold a key.
    pub secret_path: bool,
    /// Where to find it.
    pub hint: String,
    pub default: Option<String>,
    pub kind: SettingKind,
}

/// What a setting must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettingKind {
    Text,
    /// Digits only.
    Digits,
    /// A whole http or https address.
    Url,
    /// `whsec_` and base64 of 24–64 bytes.
    SigningKey,
}
