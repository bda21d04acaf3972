//! `postbridge init [DIR]`: writes a commented `postbridge.toml`, and never over an existing one.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use crate::cli::{Failure, print};
use crate::config;
use crate::problem::Problem;

#[derive(Args)]
pub struct Init {
    /// The folder to write it into; made if it is not there.
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,
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
        file.write_all(config::DEFAULT.as_bytes()).map_err(failed)?;
        print(&next_steps(&path.display().to_string()))
    }
}

fn next_steps(path: &str) -> String {
    let variables: Vec<String> = variables().map(|name| format!("  export {name}=…\n")).collect();
    let option = if path == "./postbridge.toml" { String::new() } else { format!(" --config {path}") };
    format!(
        "wrote {path}\nnext: set the secrets that it names,\n{}then: postbridge check{option}\n",
        variables.concat()
    )
}

/// The environment variables that the default file takes secrets from, in its order.
fn variables() -> impl Iterator<Item = &'static str> {
    let active = config::DEFAULT.lines().filter(|line| !line.starts_with('#'));
    active.filter_map(|line| line.split_once("env = \"")?.1.split_once('"').map(|(name, _)| name))
}
