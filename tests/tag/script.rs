//! The script of the tag: how small it is, what is taken out of its source, and what it is sent.

use std::io::Read;

use postbridge::ingest::landing::Landing;
use postbridge::template::catalog::Catalog;
use postbridge::template::minify::minified;
use postbridge::template::tag_script::{LinkGroup, TagConfig, TagScript};

/// The most that pages have to load for it.
const MOST_BYTES: usize = 3072;

/// A relay that knows every platform that has a template, and links of one network.
fn config() -> TagConfig {
    config_of(&Landing::built_in())
}

/// What the script is written from at a relay that takes this from landing pages.
fn config_of(landing: &Landing) -> TagConfig {
    let params = landing.params.as_slice().iter().filter(|name| !name.starts_with("utm_"));
    TagConfig {
        public_url: "https://t.example.com".to_owned(),
        params: params.cloned().collect(),
        direct: ["a", "c", "s1", "s2", "s3", "s4", "s5"].map(str::to_owned).to_vec(),
        cookies: landing.cookies.as_slice().to_vec(),
        groups: vec![LinkGroup {
            name: "cake".to_owned(),
            param: "s2".to_owned(),
            query: vec!["a".to_owned(), "C".to_owned()],
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
fn a_preset_in_use_adds_only_the_name_of_its_parameter() {
    let mut landing = Landing::built_in();
    let without = TagScript::new(&config_of(&landing)).gzip.len();
    let catalog = Catalog::load(None).unwrap();
    let presets: Vec<_> =
        catalog.preset_names().into_iter().filter_map(|name| catalog.preset(name)).collect();
    presets.iter().filter_map(|preset| preset.click()).for_each(|click| landing.declare_param(&click.param));
    let more = TagScript::new(&config_of(&landing)).gzip.len() - without;
    let most = 8 * presets.len();
    assert!(more <= most, "{more} bytes more for {} presets", presets.len());
}

/// A closure around these statements, made small; what is around them is taken off again.
fn small(statements: &str) -> String {
    let text = minified(&format!("// what it is for\n(() => {{\n{statements}\n}})();\n"));
    text.strip_prefix("(()=>{").unwrap().strip_suffix("})();").unwrap().to_owned()
}

#[test]
fn comments_and_blanks_are_left_out_but_not_out_of_texts_and_patterns() {
    let source =
        "  // why\n  go('http://x//y  z'); // here\n\n  go(/[/ ]\\/ \\//g, \"a  'b\");\n  return   typeof x;";
    assert_eq!(small(source), "go('http://x//y  z');go(/[/ ]\\/ \\//g,\"a  'b\");return typeof x");
    assert_eq!(small("x = y / 2 / z; // half\n// of it\nw = 1 - -1 + +x++;"), "x=y/2/z;w=1- -1+ +x++");
    assert_eq!(small("// a\nlet\n// b\nx;"), "let m");
}

#[test]
fn declared_names_are_shortened_and_those_of_others_are_not() {
    let source = "const total = things => things.map(thing => thing.total + other);\nlet total2;\ntotal2 = total(window.things);";
    assert_eq!(small(source), "let m=a=>a.map(b=>b.total+other),n;n=m(window.things)");
}

#[test]
fn a_propertys_name_is_kept_where_a_variable_has_the_same() {
    let source = "const click = { click: 1, x: given };\nsend(click.click, { click, other: click, }, [click, 2,], yes ? click : no);";
    assert_eq!(small(source), "let m={click:1,x:given};send(m.click,{click:m,other:m},[m,2],yes?m:no)");
    let source = "const go = ([first, ...rest]) => { const { value, x } = rest; try { f(value, x, first); } catch (error) { g(error); } };";
    assert_eq!(small(source), "let o=([a,...b])=>{let{value:c,x:d}=b;try{f(c,d,a)}catch(e){g(e)}}");
}

#[test]
fn a_short_name_is_never_one_that_is_in_use() {
    let source = "const long = a + b + $;\nconst other = (one, two) => one + c + two;";
    assert_eq!(small(source), "let p=a+b+$,q=(d,e)=>d+c+e");
    // More names than there are letters, and more in one statement than are used anew.
    let many: String = (0..200).map(|n| format!("const name{n} = 1;\n")).collect();
    let many = small(&many);
    let mut names: Vec<&str> = many.trim_start_matches("let ").split(',').collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 200, "{many}");
    for word in ["as=", "do=", "if=", "in=", "is=", "of="] {
        assert!(!names.iter().any(|name| name.starts_with(word)), "{word}");
    }
    let crowd: String = (0..20).map(|n| format!("const name{n} = 1;\n")).collect();
    let crowd = small(&format!("const f = () => {{\n{crowd}go(name0, name19);\n}};"));
    assert!(crowd.ends_with("go(a,name19)}"), "{crowd}");
}

#[test]
fn what_is_no_script_is_no_panic() {
    for odd in [
        "", "'", "/", "(", "=>", ")=>", "const", "let [", "catch", "}}}", "é{,:", "a.", "...", "// only",
        "const{a:",
    ] {
        minified(odd);
    }
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
fn its_settings_are_written_into_it_as_json() {
    let script = TagScript::new(&config());
    let json = &script.text[script.text.find("{\"endpoint\"").unwrap()..];
    let reported: serde_json::Value =
        serde_json::Deserializer::from_str(json).into_iter().next().unwrap().unwrap();
    assert_eq!(reported["endpoint"], "https://t.example.com/t/");
    assert_eq!(reported["groups"][0]["paths"][0], "^\\/go\\/.*$".replace("\\/", "/"));
    assert_eq!(reported["groups"][0]["hosts"][1], "go.example.net");
    assert_eq!(reported["groups"][0]["query"], serde_json::json!(["a", "c"]));
    assert_eq!(reported["direct"], "^(?:a|c|s1|s2|s3|s4|s5)$");
    let params = reported["params"].as_str().unwrap();
    assert!(params.starts_with("^(?:fbclid|") && params.ends_with(")$"), "{params}");
    assert!(reported["cookies"].as_str().unwrap().contains("|_ga_.*|"), "{}", reported["cookies"]);
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
