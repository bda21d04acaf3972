//! The postback URL of a configured source: as it is to be pasted at the network, and as someone pasted it.

use crate::config::configuration::Config;
use crate::config::source::Source;
use crate::template::diagnostic::Problem;
use crate::template::source::pasted_address::ExpectedAddress;
use crate::template::source::url_lint::LintedUrl;

impl Config {
    /// `{public_url}/{key}/collect/{id}?{macros}`, by the first of the source's keys: what is pasted at
    /// the network; of a webhook without a query. `with` names further parameters of the template, `set` has
    /// constants in the place of macros: `status=hold`.
    ///
    /// # Errors
    /// When the template has no such parameter or field, or the source would not understand a constant.
    pub fn postback_url(&self, source: &Source, with: &[String], set: &[String]) -> Result<String, Problem> {
        let constant = |written: &String| source.template.constant(&source.binding, written);
        let constants = set.iter().map(constant).collect::<Result<Vec<_>, Problem>>()?;
        let query = source.template.postback_query_with(with, &constants)?;
        let key = source.keys.first().map(|key| key.reveal()).unwrap_or_default();
        let mark = if query.is_empty() { "" } else { "?" };
        Ok(format!("{}/{key}/collect/{}{mark}{query}", self.server.public_url, source.id))
    }

    /// What is wrong with a URL that was pasted at the source's network. Whether its key opens the source is said
    /// where `knows_keys`.
    pub fn lint_postback_url(&self, source: &Source, pasted: &str, knows_keys: bool) -> LintedUrl {
        let keys = source.keys.iter().map(|key| key.reveal());
        let secrets = source.verify.secrets.iter().map(|secret| secret.reveal());
        let expected = ExpectedAddress {
            base: &self.server.public_url,
            keys: keys.collect(),
            secrets: secrets.collect(),
            checks_key: knows_keys,
            source: source.id.as_str(),
        };
        source.template.lint_url(&source.binding, &expected, pasted)
    }
}
