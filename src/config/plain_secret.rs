//! Whether a configuration has a secret written in it, where it could be in a file of its own.

use crate::config::configuration::Config;
use crate::config::read::Section;

/// Whether a token, a postback key or a secret setting of a destination is text of the file.
pub fn is_in(root: &Section<'_>, config: &Config) -> bool {
    let tokens = config.api.tokens.iter().map(|token| &token.token);
    let keys = config.sources.iter().flat_map(|source| &source.keys);
    let text = root.reader().text();
    tokens.chain(keys).any(|secret| text.contains(secret.reveal()))
        || root.sections("destination", &[]).iter().any(|destination| has_secret_setting(destination, config))
}

fn has_secret_setting(destination: &Section<'_>, config: &Config) -> bool {
    let template = destination.plain("template").and_then(|name| config.catalog.destination(name));
    let settings = destination.section("settings", Some(&[]));
    let (Some(template), Some(settings)) = (template, settings) else { return false };
    template.settings().iter().any(|setting| setting.secret && settings.plain(&setting.name).is_some())
}
