//! `postbridge init [DIR]`: writes a commented `postbridge.toml`, and never over an existing one.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use crate::cli::{Failure, print};
use crate::config::file;
use crate::template::diagnostic::Problem;

#[derive(Args)]
pub struct Init {
    /// The folder to write it into; made if it is not there.
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    /// Switch the file's examples on: a network, an ad account, an offer with its campaign.
    #[arg(long)]
    example: bool,
}

impl Init {
    pub fn run(self) -> Result<(), Failure> {
        let path = self.folder.join("postbridge.toml");
        let failed = |error: std::io::Error| {
            let (what, hint) = if error.kind() == std::io::ErrorKind::AlreadyExists {
                let hint = "keep it, name another folder, or move it away first";
                (format!("{} exists already", path.display()), hint)
            } else {
                let hint = "name a folder that you may write to";
                (format!("{} cannot be written: {error}", path.display()), hint)
            };
            Failure::running(Problem::new(what, hint))
        };
        std::fs::create_dir_all(&self.folder).map_err(failed)?;
        let mut file = std::fs::File::create_new(&path).map_err(failed)?;
        let text = if self.example { file::with_examples() } else { file::DEFAULT };
        file.write_all(text.as_bytes()).map_err(failed)?;
        print(&next_steps(&path.display().to_string(), text))
    }
}

/// What to type next; first the secrets that the file takes from the environment, where it takes any.
fn next_steps(path: &str, text: &str) -> String {
    let option = if path == "./postbridge.toml" { String::new() } else { format!(" --config {path}") };
    let secrets: String = variables(text).map(|name| format!("  export {name}=…\n")).collect();
    let next = if secrets.is_empty() {
        format!(
            "next: postbridge serve{option}\nit knows no network yet: edit the file, then postbridge check{option}\n"
        )
    } else {
        format!("next: set the secrets that it names,\n{secrets}then: postbridge check{option}\n")
    };
    format!("wrote {path}\n{next}")
}

/// The environment variables that the file takes secrets from, in its order.
fn variables(text: &str) -> impl Iterator<Item = &str> {
    let active = text.lines().filter(|line| !line.starts_with('#'));
    active.filter_map(|line| line.split_once("env = \"")?.1.split_once('"').map(|(name, _)| name))
}
