//! URLs whose macros no one filled in, fired by the programs that people try them with: none becomes a sale.

use std::process::{Command, Output};

use postbridge::template::source::definition::SourceTemplate;
use serde_json::Value;

use crate::support::relay::{Relay, Setup};

const KEY: &str = "unfilled-key-0123456789";

/// Every grammar that networks, trackers and traffic sources are known to write.
const GRAMMARS: [&str; 19] = [
    "#{}#", "##{}##", "###{}###", "{{}}", "{{{}}}", "{${}}", "${{}}", "${({})!}", "[{}]", "[[{}]]",
    "[[[{}]]]", "[={}=]", "%{}%", "%%{}%%", "!!{}!!", "!!!{}!!!", "<{}>", "({})", "__{}__",
];

/// Fires each of its arguments by `urllib`, then by `http.client`, and prints an answer a line.
const PYTHON: &str = "
import http.client, sys, urllib.request
for url in sys.argv[1:]:
    print(urllib.request.urlopen(url).read().decode().strip())
    host, target = url.removeprefix('http://').split('/', 1)
    connection = http.client.HTTPConnection(host)
    connection.request('GET', '/' + target)
    print(connection.getresponse().read().decode().strip())
    connection.close()
";

/// A relay with one source for each grammar, and the URL of each as it is pasted.
struct UnfilledFixture {
    relay: Relay,
    urls: Vec<String>,
    _folder: tempfile::TempDir,
}

fn template(number: usize, grammar: &str) -> String {
    // Between underscores only capitals are a macro.
    let names = if grammar == "__{}__" { ["SUB", "TID", "SUM"] } else { ["sub1", "tid", "sum"] };
    format!(
        "name = \"g{number}\"\nmacro = \"{grammar}\"\n\
         postback = [\"click={}\", \"order={}\", \"paid={}\"]\n\
         [map]\nclick_id = \"click\"\ntransaction_id = \"order\"\nvalue = \"paid\"\n\
         [event]\nby_value = {{ positive = \"Purchase\", zero = \"Lead\" }}\n[default]\ncurrency = \"USD\"\n",
        names[0], names[1], names[2]
    )
}

fn fixture() -> UnfilledFixture {
    let folder = tempfile::tempdir().unwrap();
    let sources = folder.path().join("mine/sources");
    std::fs::create_dir_all(&sources).unwrap();
    let mut setup = Setup::of(folder.path());
    setup.extra = "[templates]\npath = \"mine\"\n".to_owned();
    let mut queries = Vec::new();
    for (number, grammar) in GRAMMARS.iter().enumerate() {
        let text = template(number, grammar);
        std::fs::write(sources.join(format!("g{number}.toml")), &text).unwrap();
        let key = format!("{KEY}-{number}");
        setup.extra.push_str(&format!(
            "[[source]]\nid = \"g{number}\"\ntemplate = \"g{number}\"\nkey = \"{key}\"\n"
        ));
        let query = SourceTemplate::parse("g.toml", &text).unwrap().postback_query(&[]).unwrap();
        queries.push(format!("/{key}/collect/g{number}?{query}"));
    }
    let relay = setup.start();
    let urls = queries.into_iter().map(|query| format!("http://{}{query}", relay.address)).collect();
    UnfilledFixture { relay, urls, _folder: folder }
}

/// The program, where it is here; without it the test is skipped, but for where all are expected.
fn program(name: &str) -> Option<Command> {
    let known = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(name).exists()));
    assert!(known || std::env::var_os("CI").is_none(), "missing in CI: apt-get install {name}");
    if !known {
        eprintln!("skipped: {name} is not installed");
    }
    known.then(|| Command::new(name))
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// The answer says which macro was not filled in, or where the sender cut the URL.
#[track_caller]
fn assert_understood(answer: &str, url: &str, sender: &str) {
    let answer: Value =
        serde_json::from_str(answer).unwrap_or_else(|error| panic!("{sender} {url}: {error}: {answer}"));
    assert_eq!(answer["status"], "quarantined", "{sender} {url}: {answer}");
    let code = answer["reason_code"].as_str().unwrap();
    assert!(matches!(code, "unexpanded_macro" | "cut_at_fragment"), "{sender} {url}: {answer}");
}

#[test]
fn urls_with_unfilled_macros_of_every_grammar_are_understood_as_curl_sends_them() {
    let Some(_) = program("curl") else { return };
    let fixture = fixture();
    for url in &fixture.urls {
        let whole = Command::new("curl").args(["--globoff", "--silent", url]).output().unwrap();
        assert_understood(&said(&whole), url, "curl --globoff");
        // As people type it, curl takes braces for a list and refuses brackets.
        let typed = Command::new("curl").args(["--silent", url]).output().unwrap();
        if !typed.status.success() {
            assert!(url.contains(['{', '[']), "{url}: {typed:?}");
            continue;
        }
        let answer: Value = serde_json::from_str(&said(&typed)).unwrap();
        assert_eq!(answer["status"], "quarantined", "curl {url}: {answer}");
    }
    assert!(fixture.relay.api("/api/v1/conversions")["items"].as_array().unwrap().is_empty());
}

#[test]
fn urls_with_unfilled_macros_of_every_grammar_are_understood_as_python_sends_them() {
    let Some(mut python) = program("python3") else { return };
    let fixture = fixture();
    let output = python.args(["-c", PYTHON]).args(&fixture.urls).env("no_proxy", "*").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answers = said(&output);
    let answers: Vec<&str> = answers.lines().collect();
    assert_eq!(answers.len(), 2 * fixture.urls.len(), "{answers:#?}");
    for (url, both) in fixture.urls.iter().zip(answers.chunks(2)) {
        assert_understood(both[0], url, "urllib");
        assert_understood(both[1], url, "http.client");
    }
    assert!(fixture.relay.api("/api/v1/conversions")["items"].as_array().unwrap().is_empty());
}

#[test]
fn an_id_that_is_its_own_macros_name_without_the_marks_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Setup { extra: source_of_tune(), ..Setup::of(folder.path()) }.start();
    // `curl` made `aff_sub` of `{aff_sub}`, and someone filled in the payout by hand.
    let query = "click_id=aff_sub&transaction_id=transaction_id&payout=7&currency=USD&offer_id=offer_id";
    let answer = relay.get(&format!("/{KEY}/collect/tune?{query}")).json();
    assert_eq!(
        (&answer["status"], &answer["attribution"]),
        (&"accepted".into(), &"unmatched".into()),
        "{answer}"
    );
    let id = answer["conversion_id"].as_str().unwrap();
    let conversion = relay.api(&format!("/api/v1/conversions/{id}"));
    assert!(conversion["transaction_id"].is_null(), "{conversion}");
    assert!(conversion["click_id"].is_null(), "{conversion}");
}

fn source_of_tune() -> String {
    format!("[[source]]\nid = \"tune\"\ntemplate = \"tune\"\nkey = \"{KEY}\"\n")
}
