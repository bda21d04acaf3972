//! Whether a configuration has a secret written in it, where it could be in a file of its own.

use crate::config::configuration::Config;
use crate::template::toml_doc::table::Table;

/// Whether a token, a postback key or a secret setting of a destination is text of the file.
pub fn is_in(root: &Table<'_>, config: &Config) -> bool {
    let tokens = config.api.tokens.iter().map(|token| &token.token);
    let keys = config.sources.iter().flat_map(|source| &source.keys);
    let text = root.document().text();
    tokens.chain(keys).any(|secret| text.contains(secret.reveal()))
        || root.tables("destination").iter().any(|destination| has_secret_setting(destination, config))
}

fn has_secret_setting(destination: &Table<'_>, config: &Config) -> bool {
    let template = destination.plain("template").and_then(|name| config.catalog.destination(name));
    let settings = destination.table("settings");
    let (Some(template), Some(settings)) = (template, settings) else { return false };
    template.settings().iter().any(|setting| setting.secret && settings.plain(&setting.name).is_some())
}
