//! A network that another one's template serves as it is: a name and a title over that template.

use std::sync::Arc;

use crate::template::diagnostic::Problem;
use crate::template::source::definition::SourceTemplate;
use crate::template::source::facts::{self, NetworkFact};
use crate::template::source::file;
use crate::template::source::guide::SourceGuide;
use crate::template::toml_doc::table::{self, Table};

/// What a file of source templates holds.
#[derive(Debug)]
pub(crate) enum SourceFile {
    /// A template of its own.
    Template(Box<SourceTemplate>),
    /// Another name of one.
    Alias(SourceAlias),
}

/// Another name of a template.
#[derive(Debug, Clone)]
pub(crate) struct SourceAlias {
    /// The word that a source's `template` uses; also the file's name.
    pub(crate) name: String,
    /// The name of the template.
    pub(crate) of: String,
    docs: Option<String>,
    guide: SourceGuide,
    facts: Vec<NetworkFact>,
}

impl SourceFile {
    /// Reads a file with `alias_of` as an alias, any other as a template.
    ///
    /// # Errors
    /// Every problem of the file at once, each with its line.
    pub(crate) fn parse(place: &str, text: &str) -> Result<SourceFile, Vec<Problem>> {
        table::read(place, text, |root| {
            Some(match root.has("alias_of") {
                true => SourceFile::Alias(alias(root)),
                false => SourceFile::Template(Box::new(file::compile(root, text))),
            })
        })
    }

    /// The name that the file gives itself.
    pub(crate) fn name(&self) -> &str {
        match self {
            SourceFile::Template(template) => template.name(),
            SourceFile::Alias(alias) => &alias.name,
        }
    }
}

fn alias(root: &Table<'_>) -> SourceAlias {
    SourceAlias {
        name: file::name(root).unwrap_or_default(),
        of: root.text("alias_of").map(|text| text.value).unwrap_or_default(),
        docs: root.text("docs").map(|text| text.value),
        guide: SourceGuide::read(root),
        facts: facts::read(root),
    }
}

impl SourceAlias {
    /// The template under this name: with the alias's own title, page, caveats and facts, and all else as it is there.
    pub(crate) fn over(self, template: &SourceTemplate) -> SourceTemplate {
        let SourceAlias { name, of, docs, guide, facts } = self;
        let SourceGuide { title, paste_at, caveats } = guide;
        let mut aliased = template.clone();
        aliased.name = name;
        aliased.alias_of = Some(of);
        aliased.docs = docs.unwrap_or(aliased.docs);
        aliased.guide.title = title;
        aliased.guide.paste_at = paste_at.or(aliased.guide.paste_at);
        aliased.guide.caveats.extend(caveats);
        aliased.facts.extend(facts);
        aliased
    }

    /// Resolves it by the template that it names, where that is one and no alias itself.
    ///
    /// # Errors
    /// There is no such template.
    pub(crate) fn resolved(
        self,
        find: impl Fn(&str) -> Option<Arc<SourceTemplate>>,
    ) -> Result<SourceTemplate, Problem> {
        match find(&self.of) {
            Some(template) if template.alias_of.is_none() => Ok(self.over(&template)),
            Some(template) => {
                let what = format!("`{}` is an alias itself", self.of);
                let of = template.alias_of.as_deref().unwrap_or_default();
                Err(Problem::new(what, format!("write alias_of = \"{of}\"")))
            }
            None => {
                let what = format!(
                    "there is no source template `{}` for `{}` to be another name of",
                    self.of, self.name
                );
                Err(Problem::new(
                    what,
                    "name a template that is whole: `postbridge templates list` shows them",
                ))
            }
        }
    }
}
