//! A configuration as far as it can be read: for commands that need a part of it, whatever the rest says.

use std::fmt::Display;
use std::path::Path;

use crate::config::configuration::Config;
use crate::config::file::{self, TableIds, with_examples};
use crate::config::offer::CampaignConfig;
use crate::config::source::Source;
use crate::domain::ids::CreativeId;
use crate::template::diagnostic::{Problem, access, did_you_mean};
use crate::template::toml_doc::document::Document;
use crate::template::toml_doc::outside::Env;
use crate::template::toml_doc::table::Table;

/// What was read of a file, and what is wrong with the rest of it.
pub struct PartlyRead {
    /// Holds of each kind of table those that are whole; any other section that has a problem is as in the
    /// default file. `None` where the file is not TOML, or what printed URLs begin with is not known.
    config: Option<Config>,
    ids: TableIds,
    /// In the order of the file, those of templates before them.
    /// Whether a secret is written in the file itself.
    holds_secret: bool,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl PartlyRead {
    /// Reads the file at `path`, its secrets from the process's environment and from files.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn load(path: &Path) -> Result<PartlyRead, Vec<Problem>> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| {
            let hint = "write one with `postbridge init`, or name yours with --config or $POSTBRIDGE_CONFIG";
            vec![access::problem(path, "the configuration cannot be read", &error, hint).in_file(&file)]
        })?;
        let mut part = PartlyRead::parse(&file, &text, &|name| std::env::var(name).ok());
        if part.holds_secret
            && let Some(mode) = access::readable_by_others(path)
        {
            part.warnings.insert(0, access::exposed("the configuration", path, mode).in_file(&file));
        }
        Ok(part)
    }

    /// Reads `text` as if it were in `file`.
    pub fn parse(file: &str, text: &str, env: Env<'_>) -> PartlyRead {
        let document = Document::new(file, text).with_env(env);
        let defaults = Document::new("default.toml", with_examples()).with_env(env);
        let mut ids = TableIds::default();
        let (mut config, mut holds_secret) = (None, false);
        if let (Some(table), Some(default)) = (document.parse(), defaults.parse()) {
            let root = Table::root(&document, &table, Some(&default));
            config = file::read(&root, &mut ids);
            holds_secret = config.as_ref().is_some_and(|config| has_plain_secret(&root, config));
        }
        let (mut problems, warnings) = document.into_findings();
        problems.extend(defaults.into_findings().0);
        if config.is_none() && problems.is_empty() {
            let what = "the configuration was not understood";
            problems.push(Problem::new(what, "please report this file").in_file(file));
        }
        PartlyRead { config, ids, holds_secret, problems, warnings }
    }

    /// The whole configuration.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn into_whole(self) -> Result<Config, Vec<Problem>> {
        match self.config {
            Some(config) if self.problems.is_empty() => Ok(Config { warnings: self.warnings, ..config }),
            _ => Err(self.problems),
        }
    }

    /// How many problems the file has.
    pub fn count_problems(&self) -> usize {
        self.problems.len()
    }

    /// One source, and the configuration that it is of.
    ///
    /// # Errors
    /// There is none with this id, or something is wrong with it or with what printed URLs begin with.
    pub fn source(&self, id: &str) -> Result<(&Config, &Source), Vec<Problem>> {
        let config = self.known("source", id, &self.ids.sources)?;
        let source = config.source(id).ok_or_else(|| self.problems.clone())?;
        Ok((config, source))
    }

    /// One campaign, and the configuration that it is of.
    ///
    /// # Errors
    /// As [`PartlyRead::source`].
    pub fn campaign(&self, id: &str) -> Result<(&Config, &CampaignConfig), Vec<Problem>> {
        let config = self.known("campaign", id, &self.ids.campaigns)?;
        let campaign = config.campaign(id).ok_or_else(|| self.problems.clone())?;
        Ok((config, campaign))
    }

    /// Whether the pages that a campaign's creative leads to are known: its own, or its offer's.
    ///
    /// # Errors
    /// Something is wrong with either.
    pub fn check_landing(
        &self,
        campaign: &CampaignConfig,
        creative: &CreativeId,
    ) -> Result<(), Vec<Problem>> {
        let config = self.config.as_ref().ok_or_else(|| self.problems.clone())?;
        let offer = &campaign.campaign.offer;
        let lost_offer = self.ids.offers.contains(offer) && config.offer(offer).is_none();
        let lost_creative = self.ids.creatives.contains(creative) && config.creative(creative).is_none();
        if lost_offer || lost_creative { Err(self.problems.clone()) } else { Ok(()) }
    }

    /// The configuration, where exactly one table of this kind has the id.
    fn known<T: Display>(&self, kind: &str, id: &str, ids: &[T]) -> Result<&Config, Vec<Problem>> {
        let config = self.config.as_ref().ok_or_else(|| self.problems.clone())?;
        let ids: Vec<String> = ids.iter().map(T::to_string).collect();
        match ids.iter().filter(|known| *known == id).count() {
            0 => Err(vec![unknown(kind, id, &ids.iter().map(String::as_str).collect::<Vec<_>>())]),
            1 => Ok(config),
            _ => Err(self.problems.clone()),
        }
    }
}

/// Says that nothing of this kind has the id that was typed, and which was meant.
pub fn unknown(kind: &str, typed: &str, known: &[&str]) -> Problem {
    let hint = match did_you_mean(typed, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => format!("the configuration has no [[{kind}]]"),
        None => format!("the configuration has: {}", known.join(", ")),
    };
    Problem::new(format!("there is no {kind} `{typed}`"), hint)
}

impl Config {
    /// Reads the file at `path`, its secrets from the process's environment and from files.
    ///
    /// # Errors
    /// Every problem of the file, of what it names and of its templates.
    pub fn load(path: &Path) -> Result<Config, Vec<Problem>> {
        PartlyRead::load(path)?.into_whole()
    }

    /// Reads `text` as if it were in `file`. Looks at nothing outside but the files it names:
    /// secrets, certificates and the folder of templates.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(file: &str, text: &str, env: Env<'_>) -> Result<Config, Vec<Problem>> {
        PartlyRead::parse(file, text, env).into_whole()
    }
}

/// Whether a token, a postback key or a secret setting of a destination is text of the file.
pub fn has_plain_secret(root: &Table<'_>, config: &Config) -> bool {
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
