//! The script of the tag: how small it is, what is taken out of its source, and what it is told.

use std::io::Read;

use postbridge::ingest::visit::Landing;
use postbridge::template::tag_script::{LinkGroup, TagConfig, TagScript, stripped};

/// The most that pages have to load for it.
const MOST_BYTES: usize = 3072;

/// A relay that knows every platform of this house, and links of one network.
fn config() -> TagConfig {
    let landing = Landing::built_in();
    let params = landing.params.as_slice().iter().filter(|name| !name.starts_with("utm_"));
    TagConfig {
        public_url: "https://t.example.com".to_owned(),
        params: params.cloned().collect(),
        cookies: landing.cookies.as_slice().to_vec(),
        groups: vec![LinkGroup {
            name: "cake".to_owned(),
            param: "s2".to_owned(),
            hosts: vec!["network.example".to_owned(), "go.example.net".to_owned()],
            paths: vec!["/go/*".to_owned()],
        }],
    }
}

#[test]
fn the_tag_is_at_most_three_kilobytes_compressed() {
    let script = TagScript::new(&config());
    eprintln!("tag.js: {} bytes, {} compressed", script.text.len(), script.gzip.len());
    assert!(script.gzip.len() <= MOST_BYTES, "{} bytes are more than {MOST_BYTES}", script.gzip.len());
    let mut text = String::new();
    flate2::read::GzDecoder::new(script.gzip.as_slice()).read_to_string(&mut text).unwrap();
    assert_eq!(text, script.text);
}

#[test]
fn comment_lines_and_indentation_are_left_out_and_nothing_else() {
    let source = "// what it is for\n(() => {\n  // why\n  const there = 'http://x//y'; // stays\n\n    return /\\/\\//;\n})();\n";
    assert_eq!(stripped(source), "(() => {\nconst there = 'http://x//y'; // stays\nreturn /\\/\\//;\n})();");
}

#[test]
fn the_script_needs_nothing_and_evaluates_no_text() {
    let script = TagScript::new(&config());
    for word in ["eval(", "new Function", "document.write", "import ", "require(", "innerHTML"] {
        assert!(!script.text.contains(word), "{word}");
    }
    // Syntax younger than ES2017.
    for word in ["?.", "??", "catch {", "...{", "#!", "replaceAll", ".flat("] {
        assert!(!script.text.contains(word), "{word}");
    }
    assert!(!script.text.contains("CONFIGURATION"));
}

#[test]
fn what_it_is_told_stands_in_it_as_json() {
    let script = TagScript::new(&config());
    let line = script.text.lines().find(|line| line.starts_with("const config = ")).unwrap();
    let json = line.strip_prefix("const config = ").unwrap().strip_suffix(';').unwrap();
    let told: serde_json::Value = serde_json::from_str(json).unwrap();
    assert_eq!(told["endpoint"], "https://t.example.com/t/");
    assert_eq!(told["groups"][0]["paths"][0], "^\\/go\\/.*$".replace("\\/", "/"));
    assert_eq!(told["groups"][0]["hosts"][1], "go.example.net");
    let params = told["params"].as_str().unwrap();
    assert!(params.starts_with("^(?:fbclid|") && params.ends_with(")$"), "{params}");
    assert!(told["cookies"].as_str().unwrap().contains("|_ga_.*|"), "{}", told["cookies"]);
}

#[test]
fn what_a_regular_expression_reads_otherwise_is_escaped() {
    let mut odd = config();
    odd.params = vec!["a.b[c]".to_owned(), "d*".to_owned()];
    let text = TagScript::new(&odd).text;
    assert!(text.contains(r#""params":"^(?:a\\.b\\[c\\]|d.*)$""#), "{text}");
}

#[test]
fn another_configuration_is_another_version_and_the_same_one_is_the_same() {
    let (one, same) = (TagScript::new(&config()), TagScript::new(&config()));
    let mut other = config();
    other.groups.clear();
    assert_eq!(one, same);
    assert_ne!(one.hash, TagScript::new(&other).hash);
    assert_eq!(one.file_name(), format!("tag.{}.js", one.hash));
    assert!(one.integrity.starts_with("sha384-") && one.integrity.len() == 71, "{}", one.integrity);
}
