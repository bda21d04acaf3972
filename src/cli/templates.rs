//! `postbridge templates list|show|test`: the catalog, one template of it, and the stories of a user's own.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};

use crate::cli::{ConfigPath, Failure, count, print, print_json};
use crate::config::templates;
use crate::domain::test_event::TestCounts;
use crate::story::expected::Expectations;
use crate::story::lint;
use crate::story::preset::run_preset_stories;
use crate::story::run::run_destination_stories;
use crate::story::source::run_source_stories;
use crate::template::catalog::Catalog;
use crate::template::destination::definition::DestinationTemplate;
use crate::template::destination::file::SettingSpec;
use crate::template::diagnostic::{Problem, did_you_mean};
use crate::template::preset::definition::PostbackPreset;
use crate::template::provenance::{FactDoubt, FactLevel, PlatformFact, Provenance};
use crate::template::source::definition::SourceTemplate;
use crate::template::source::facts::NetworkFact;
use crate::template::story_counts::StoryCounts;
use crate::view::template::CatalogView;

#[derive(Subcommand)]
pub enum Templates {
    /// Name every template: the built-in ones and your own.
    List(ListTemplates),
    /// Show one template: what it needs, and where its facts are from.
    Show(ShowTemplate),
    /// Run the fixture stories of your own templates.
    Test(TestTemplates),
}

#[derive(Args)]
pub struct ListTemplates {
    /// A folder of your own templates [default: the one that the configuration names, if any]
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Print one JSON document: {"sources","destinations","presets"}.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigPath,
}

#[derive(Args)]
pub struct ShowTemplate {
    /// Its name; where templates of several kinds have it, all are shown.
    name: String,
    /// A folder of your own templates [default: the one that the configuration names, if any]
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Print one JSON document: {"sources","destinations","presets"}.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigPath,
}

#[derive(Args)]
pub struct TestTemplates {
    /// A folder with sources/, destinations/ or presets/, and their stories in fixtures/sources/NAME/,
    /// fixtures/destinations/NAME/ and fixtures/presets/NAME/ [default: the one that the configuration names]
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigPath,
}

impl Templates {
    pub fn run(self) -> Result<(), Failure> {
        match self {
            Templates::List(command) => command.run(),
            Templates::Show(command) => command.run(),
            Templates::Test(command) => command.run(),
        }
    }
}

impl ListTemplates {
    fn run(self) -> Result<(), Failure> {
        let folder = own_folder(self.folder, &self.config)?;
        let catalog = Catalog::load(folder.as_deref()).map_err(Failure::usage)?;
        let sources = catalog.source_names().into_iter().filter_map(|name| catalog.source(name));
        let destinations = catalog.destination_names().into_iter();
        let destinations = destinations.filter_map(|name| catalog.destination(name));
        let presets = catalog.preset_names().into_iter().filter_map(|name| catalog.preset(name));
        let found = FoundTemplates {
            sources: sources.collect(),
            destinations: destinations.collect(),
            presets: presets.collect(),
            stories: StoryCounts::of(folder.as_deref()),
        };
        found.show(self.json)
    }
}

impl ShowTemplate {
    fn run(self) -> Result<(), Failure> {
        let folder = own_folder(self.folder, &self.config)?;
        let catalog = Catalog::load(folder.as_deref()).map_err(Failure::usage)?;
        let found = FoundTemplates {
            sources: Vec::from_iter(catalog.source(&self.name)),
            destinations: Vec::from_iter(catalog.destination(&self.name)),
            presets: Vec::from_iter(catalog.preset(&self.name)),
            stories: StoryCounts::of(folder.as_deref()),
        };
        if found.sources.is_empty() && found.destinations.is_empty() && found.presets.is_empty() {
            let of_accounts = catalog.destination_names().into_iter().chain(catalog.preset_names());
            let names = || catalog.source_names().into_iter().chain(of_accounts.clone());
            let hint = match did_you_mean(&self.name, names()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "`postbridge templates list` names them all".to_owned(),
            };
            let what = format!("there is no template `{}`", self.name);
            return Err(Failure::usage(vec![Problem::new(what, hint)]));
        }
        found.show(self.json)
    }
}

/// The templates that are shown, by kind.
struct FoundTemplates {
    sources: Vec<Arc<SourceTemplate>>,
    destinations: Vec<Arc<DestinationTemplate>>,
    presets: Vec<Arc<PostbackPreset>>,
    stories: StoryCounts,
}

impl FoundTemplates {
    fn show(&self, json: bool) -> Result<(), Failure> {
        let FoundTemplates { sources, destinations, presets, stories } = self;
        if json {
            return print_json(&CatalogView::of(sources, destinations, presets, stories));
        }
        let mut text = String::new();
        let head = |text: &mut String, word: &str| {
            let space = if text.is_empty() { "" } else { "\n" };
            text.push_str(&format!("{space}{word}\n"));
        };
        if !sources.is_empty() {
            head(&mut text, "sources");
            sources.iter().for_each(|template| source_lines(&mut text, template, stories));
        }
        if !destinations.is_empty() {
            head(&mut text, "destinations");
            destinations.iter().for_each(|template| destination_lines(&mut text, template));
        }
        if !presets.is_empty() {
            head(&mut text, "presets");
            presets.iter().for_each(|preset| preset_lines(&mut text, preset));
        }
        print(&text)
    }
}

impl TestTemplates {
    fn run(self) -> Result<(), Failure> {
        let Some(folder) = own_folder(self.folder, &self.config)? else {
            let what = "there is no folder of your own templates";
            let hint = "name one: postbridge templates test DIR, or set [templates] path";
            return Err(Failure::usage(vec![Problem::new(what, hint)]));
        };
        let catalog = Catalog::load(Some(&folder)).map_err(Failure::usage)?;
        let bless = std::env::var_os("BLESS").is_some_and(|bless| bless == "1");
        let expectations = if bless { Expectations::Rewrite } else { Expectations::Check };
        let (sources, destinations) =
            (own_names(&folder.join("sources")), own_names(&folder.join("destinations")));
        let fixtures = folder.join("fixtures");
        let wanted: Vec<&str> = sources.iter().map(String::as_str).collect();
        let mut report = run_source_stories(&catalog, &wanted, &fixtures.join("sources"), expectations);
        let wanted: Vec<&str> = destinations.iter().map(String::as_str).collect();
        let more = run_destination_stories(&catalog, &wanted, &fixtures.join("destinations"), expectations);
        report.take_all(more);
        let presets = own_names(&folder.join("presets"));
        let wanted: Vec<&str> = presets.iter().map(String::as_str).collect();
        report.take_all(run_preset_stories(&catalog, &wanted, &fixtures.join("presets"), expectations));
        let own = destinations.iter().filter_map(|name| catalog.destination(name));
        report.problems.extend(own.flat_map(|template| lint::lacking(&template)));
        let templates = sources.len() + destinations.len() + presets.len();
        if templates == 0 {
            let what = format!("there is no template in {}", folder.display());
            let hint = "put them into sources/*.toml, destinations/<name>/ or presets/*.toml";
            report.problems.push(Problem::new(what, hint));
        }
        let ended = |story: &String| match report.written.get(story) {
            Some(change) => format!("written {story}: {change}\n"),
            None => format!("ok {story}\n"),
        };
        let passed: String = report.passed.iter().map(ended).collect();
        let unverified = report.unverified.iter().map(|story| {
            format!("not verified {story}: it has a signature, and no `secret` in its source.toml\n")
        });
        print(&format!(
            "{passed}{}{}, {} as expected, {}\n",
            unverified.collect::<String>(),
            count(templates, "template", "templates"),
            count(report.passed.len(), "story", "stories"),
            count(report.problems.len(), "problem", "problems")
        ))?;
        if report.problems.is_empty() { Ok(()) } else { Err(Failure { code: 1, problems: report.problems }) }
    }
}

/// The templates of a folder: its TOML files, or its folders, by name without an ending.
fn own_names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_template =
        |path: &PathBuf| path.is_dir() || path.extension().is_some_and(|ending| ending == "toml");
    let name = |path: PathBuf| path.file_stem().map(|name| name.to_string_lossy().into_owned());
    let mut names: Vec<String> = entries.filter(is_template).filter_map(name).collect();
    names.sort();
    names
}

/// The folder typed, else the one that the configuration names. A missing file names none, unless it
/// was asked for.
fn own_folder(typed: Option<PathBuf>, config: &ConfigPath) -> Result<Option<PathBuf>, Failure> {
    let path = config.path();
    if typed.is_some() || (!config.is_given() && !path.exists()) {
        return Ok(typed);
    }
    templates::templates_folder(&path).map_err(Failure::usage)
}

fn source_lines(text: &mut String, template: &SourceTemplate, stories: &StoryCounts) {
    line(text, template.name(), if template.title() == template.name() { "" } else { template.title() });
    if let Some(of) = template.alias_of() {
        line(text, "  as", of);
    }
    if !template.maps_currency() {
        line(text, "  currency", "needs one in the configuration");
    }
    let mut said = |name: &str, value: &str| {
        if !value.is_empty() {
            line(text, name, value);
        }
    };
    said("  paste at", template.paste_at().unwrap_or_default());
    said("  link param", template.link_param().unwrap_or_default());
    said("  dedup", template.default_dedup().as_str());
    let fields = template.field_params().into_iter();
    let fields: Vec<String> =
        fields.map(|(field, params)| format!("{field} = {}", params.join(" or "))).collect();
    said("  fields", &fields.join(", "));
    let statuses: Vec<String> =
        template.statuses().map(|(theirs, ours)| format!("{theirs} = {}", ours.as_str())).collect();
    said("  statuses", &statuses.join(", "));
    let verify = template.verification().map(|scheme| format!("{}, in {}", scheme.kind(), scheme.place()));
    said("  verify", &verify.unwrap_or_default());
    if template.alias_of().is_none() {
        said("  stories", &stories.source(template.name()).to_string());
    }
    template.caveats().iter().for_each(|caveat| said("  note", caveat));
    line(text, "  verified", if template.is_verified() { "yes" } else { "no" });
    doubt_line(text, template.doubts().into_iter().map(|(_, doubt)| doubt));
    for NetworkFact { about, provenance } in template.facts() {
        let about: Vec<&str> = about.iter().map(|kind| kind.as_str()).collect();
        known_from(text, provenance, &format!("{}: {}", about.join(", "), provenance.fact));
    }
}

fn destination_lines(text: &mut String, template: &DestinationTemplate) {
    line(text, template.name(), template.label());
    template.settings().iter().for_each(|setting| setting_line(text, setting));
    let events: Vec<&str> = template.events().keys().map(String::as_str).collect();
    line(text, "  events", &events.join(", "));
    for (name, kept) in [("  landing params", template.landing_params()), ("  cookies", template.cookies())] {
        if !kept.is_empty() {
            line(text, name, &format!("{} (to be recorded with the click)", kept.join(", ")));
        }
    }
    line(text, "  test mode", template.test_counts().map_or("none", TestCounts::sentence));
    if let Some(note) = template.test_note() {
        line(text, "  of a test", note);
    }
    line(text, "  verified", if template.is_verified() { "yes" } else { "no" });
    fact_lines(text, &template.doubts(), template.facts());
}

fn preset_lines(text: &mut String, preset: &PostbackPreset) {
    line(text, preset.name(), preset.label());
    line(text, "  url", preset.url());
    preset.settings().iter().for_each(|setting| setting_line(text, setting));
    let events: Vec<String> =
        preset.events().iter().map(|(ours, theirs)| format!("{ours} = {theirs}")).collect();
    if !events.is_empty() {
        line(text, "  events", &events.join(", "));
    }
    if let Some(click) = preset.click() {
        line(
            text,
            "  landing param",
            &format!("{} (kept with the click while the preset is used)", click.param),
        );
        if let Some(tracking) = preset.tracking(&click.param) {
            line(text, "  tracking URL", &format!("write {tracking} into it"));
        }
    }
    line(text, "  level", preset.level().map_or("no_source", FactLevel::as_str));
    fact_lines(text, &preset.doubts(), preset.facts());
}

fn setting_line(text: &mut String, setting: &SettingSpec) {
    let needed = match (setting.required, &setting.default) {
        (true, None) => "required",
        _ => "optional",
    };
    let secret = match (setting.secret, setting.secret_path) {
        (true, _) => ", secret",
        (false, true) => ", secret behind the host",
        (false, false) => "",
    };
    line(text, &format!("  {}", setting.name), &format!("{} ({needed}{secret})", setting.label));
}

/// What is in doubt, and where each fact is from.
fn fact_lines(text: &mut String, doubts: &[FactDoubt], facts: &[PlatformFact]) {
    doubt_line(text, doubts.iter().copied());
    for PlatformFact { about, provenance } in facts {
        known_from(text, provenance, &format!("{}: {}", about.as_str(), provenance.fact));
    }
}

fn doubt_line(text: &mut String, doubts: impl Iterator<Item = FactDoubt>) {
    let doubts: Vec<String> = doubts.map(|doubt| format!("{} ({})", doubt.about, doubt.reason())).collect();
    if !doubts.is_empty() {
        line(text, "  in doubt", &doubts.join(", "));
    }
}

fn known_from(text: &mut String, provenance: &Provenance, fact: &str) {
    let Provenance { from, seen, level, .. } = provenance;
    line(text, "  known from", &format!("{from} ({seen}, {}): {fact}", level.as_str()));
}

fn line(text: &mut String, name: &str, value: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{}", format!("  {name:<20} {value}").trim_end());
}
