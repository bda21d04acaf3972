//! Every input of a corpus, whole and cut off, passes its fuzz target; every target has one of each.

use std::fs;
use std::path::{Path, PathBuf};

#[path = "../../fuzz/targets.rs"]
pub mod targets;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// The inputs of a target's corpus, with the files they are from.
pub fn inputs(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(folder().join("corpus").join(target)).unwrap();
    let seeds = entries.map(|entry| entry.unwrap().path());
    let seeds = seeds.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("seed-"));
    let mut inputs: Vec<_> = seeds.map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    inputs.sort();
    inputs
}

#[test]
fn every_input_of_every_corpus_passes_whole_and_cut_off() {
    for (name, run) in targets::ALL {
        let inputs = inputs(name);
        assert!(inputs.len() >= 3, "{name} has {} inputs", inputs.len());
        for (path, bytes) in inputs {
            eprintln!("{}", path.display());
            run(&bytes);
            // Eight places, spread over it.
            for eighth in 0..8 {
                run(&bytes[..bytes.len() * eighth / 8]);
            }
        }
    }
}

#[test]
fn every_target_has_its_program_and_its_row_in_the_readme() {
    let manifest = fs::read_to_string(folder().join("Cargo.toml")).unwrap();
    let readme = fs::read_to_string(folder().join("README.md")).unwrap();
    for (name, _) in targets::ALL {
        let program = fs::read_to_string(folder().join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(program.contains(&format!("targets::{name}(data)")), "{name}");
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
        assert!(readme.contains(&format!("| `{name}` |")), "{name}");
    }
    let programs = fs::read_dir(folder().join("fuzz_targets")).unwrap().count();
    assert_eq!(programs, targets::ALL.len());
}
