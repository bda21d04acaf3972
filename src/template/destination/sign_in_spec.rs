//! The ways to sign in that a template has.

/// A way to sign in, as a template has it. Settings are named by their number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SignInSpec {
    pub grant: GrantSpec,
    pub token_url: String,
    /// Empty where the request names none.
    pub scope: String,
    /// Whether an answer may bring another refresh token, which takes the place of the one before.
    pub rotates: bool,
}

/// What an account shows to be given a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum GrantSpec {
    /// RFC 6749, 6: a refresh token that a person was given once.
    RefreshToken { client_id: usize, client_secret: Option<usize>, refresh_token: usize },
    /// RFC 7523: a statement that is signed by the key of a service account.
    ServiceAccount { key: usize },
}

impl SignInSpec {
    /// The settings that it needs.
    pub(crate) fn needs(&self) -> Vec<usize> {
        match &self.grant {
            GrantSpec::RefreshToken { client_id, refresh_token, .. } => vec![*client_id, *refresh_token],
            GrantSpec::ServiceAccount { key } => vec![*key],
        }
    }

    /// Whether the setting with this number leaves by it.
    pub(crate) fn sends(&self, number: usize) -> bool {
        match &self.grant {
            GrantSpec::RefreshToken { client_secret, .. } => {
                *client_secret == Some(number) || self.needs().contains(&number)
            }
            // The key signs and stays.
            GrantSpec::ServiceAccount { .. } => false,
        }
    }
}
