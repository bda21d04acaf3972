//! `postbridge url SOURCE`: the postback URL to paste at the network; with the sources page the only
//! place that shows a key. `--lint` looks over one that is pasted there.

use clap::Args;

use crate::cli::{ConfigPath, Failure, count, note_other_problems, print, print_json, stderr};
use crate::domain::code::CodedReason;
use crate::template::source::definition::SourceTemplate;
use crate::template::source::url_lint::LintedUrl;
use crate::view::url_finding::LintedUrlView;

#[derive(Args)]
pub struct Url {
    /// The id of a [[source]].
    #[arg(value_name = "SOURCE")]
    source: String,
    /// Further parameters of the template to ask the network for: --with leadid,ip
    #[arg(long, value_name = "PARAMETERS", value_delimiter = ',')]
    with: Vec<String>,
    /// A constant in the place of a macro, for a network with one URL for each status or goal: --set status=hold
    #[arg(long, value_name = "FIELD=VALUE")]
    set: Vec<String>,
    /// Look over the URL as it is pasted at the network: exits with 1 where something in it is wrong.
    #[arg(long, value_name = "URL", conflicts_with_all = ["with", "set"])]
    lint: Option<String>,
    /// Print the findings of --lint as one JSON document: {"ok","url","findings"}.
    #[arg(long, requires = "lint")]
    json: bool,
    #[command(flatten)]
    config: ConfigPath,
}

impl Url {
    pub fn run(self) -> Result<(), Failure> {
        let part = self.config.load_part()?;
        let (config, source) = part.source(&self.source).map_err(Failure::usage)?;
        if let Some(pasted) = &self.lint {
            let linted = config.lint_postback_url(source, pasted, true);
            note_other_problems(&part);
            return report(&linted, self.json);
        }
        let url = config
            .postback_url(source, &self.with, &self.set)
            .map_err(|problem| Failure::usage(vec![problem]))?;
        note_other_problems(&part);
        print(&format!("{url}\n"))?;
        note_where(&source.template);
        Ok(())
    }
}

/// Says where the URL is pasted and what is to be known, on standard error: the URL alone is the result.
fn note_where(template: &SourceTemplate) {
    if let Some(place) = template.paste_at() {
        stderr::say(&format!("paste it at {}: {place}", template.title()));
    }
    for caveat in template.caveats() {
        stderr::say(&format!("note: {caveat}"));
    }
}

fn report(linted: &LintedUrl, json: bool) -> Result<(), Failure> {
    if json {
        print_json(&LintedUrlView::of(linted))?;
    } else {
        print(&in_words(linted))?;
    }
    let is_clean = linted.findings.is_empty();
    if is_clean { Ok(()) } else { Err(Failure { code: 1, problems: Vec::new() }) }
}

fn in_words(linted: &LintedUrl) -> String {
    let mut text = format!("{}\n", linted.shown);
    for finding in &linted.findings {
        text.push_str(&format!("{}\n", finding.line()));
    }
    match linted.findings.len() {
        0 => text + "nothing is wrong with it\n",
        found => text + &format!("{}\n", count(found, "finding", "findings")),
    }
}
