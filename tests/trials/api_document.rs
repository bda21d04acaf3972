//! The API under requests that its document allows and others that it does not, made by schemathesis.

use std::process::Command;
use std::time::Duration;

use crate::support::platform::Platform;
use crate::support::relay::{CAMPAIGN, Setup, TOKEN, wait_until};
use crate::support::trial::{Chance, rounds};

/// What is not looked at here: wrong tokens lock out the address that presents them, those of this very run too.
const LEFT_OUT: &str = "ignored_auth";

#[test]
fn the_api_keeps_to_its_document_whatever_is_sent() {
    let program = "schemathesis";
    if !Command::new(program).arg("--version").output().is_ok_and(|said| said.status.success()) {
        let is_wanted = std::env::var_os("CI").is_some() && rounds(1) > 1;
        assert!(!is_wanted, "no {program} on the path: tests/run --long installs it");
        eprintln!("left out: no {program} on this machine");
        return;
    }
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let mut setup = Setup::cake_to_meta(folder.path(), platform.address);
    setup.extra.push_str(CAMPAIGN);
    let relay = setup.start();
    let click = r#"{"click_id":"c1","ip":"203.0.113.7","user_agent":"Mozilla/5.0","landing_url":"https://shop.example/"}"#;
    relay.post("/api/v1/clicks", click);
    relay.post("/api/v1/suppression/fraud", "someone@example.com");
    for query in ["s2=c1&tid=A-1&price=7", "s2=x&tid=A-2&price=-5", "s2=c2&tid=A-3&price=7"] {
        relay.postback("cake-test", query.as_bytes());
    }
    let is_sent = || relay.api("/api/v1/deliveries?state=delivered")["items"].as_array().unwrap().len() == 1;
    assert!(wait_until(Duration::from_secs(10), is_sent), "{}", relay.api("/api/v1/deliveries"));
    // No one makes a cursor up: it is the one thing of which the document cannot say what is right.
    std::fs::write(folder.path().join("schemathesis.toml"), "[parameters]\ncursor = \"\"\n").unwrap();
    let ran = Command::new(program)
        .current_dir(folder.path())
        .args(["run", &format!("http://{}/api/v1/openapi.json", relay.address)])
        .args(["--header", &format!("Authorization: Bearer {TOKEN}")])
        .args(["--exclude-checks", LEFT_OUT, "--max-examples", &rounds(20).to_string()])
        .args(["--seed", &(Chance::of_this_run().seed % u64::from(u32::MAX)).to_string()])
        .args(["--suppress-health-check", "all", "--continue-on-failure", "--no-color"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    println!("{said}");
    assert!(ran.status.success(), "{said}\n{}", String::from_utf8_lossy(&ran.stderr));
}
