//! The built program with a small configuration: run once, and what it printed.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

pub const CONFIG: &str = r#"
[server]
public_url = "https://t.example.com"

[api]
tokens = [{ name = "ops", token = "t0ken-of-the-operators", rights = ["network"] }]

[[source]]
id = "cake-test"
template = "cake"
key = { env = "CAKE_KEY" }
currency = "USD"

[[destination]]
id = "meta-main"
template = "meta"
[destination.settings]
pixel_id = "1234567890"
access_token = { env = "META_ACCESS_TOKEN" }
"#;

pub const QUERY: &str = "s1=yes&s2=jxWUv1dyfyUCQnUF808u4iM7b0tMSpb88t&s3=&s4=&s5=&oid=565&affid=200&campid=8599&cid=761\
                     &tid=10232206589ae3003509aacaa07ef2&price=7.50";

pub const CLICK: &str = r#"{
    "landing_url": "https://shop.example.com/offer?x=1",
    "ip": "203.0.113.7",
    "user_agent": "Mozilla/5.0",
    "params": { "fbclid": "IwAR1" },
    "customer": { "email": "Jo@Example.com" }
}"#;

pub fn folder(config: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("postbridge.toml"), config).unwrap();
    fs::write(folder.path().join("click.json"), CLICK).unwrap();
    folder
}

pub fn postbridge(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_postbridge"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("CAKE_KEY", "hBtoE3hN-k3y")
        .env("META_ACCESS_TOKEN", "EAAB-token-of-the-destination")
        .env("POSTBRIDGE_TOKEN", "t0ken-of-the-operators")
        .output()
        .unwrap()
}

pub fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

pub fn json_of(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", out(output), err(output)))
}

/// What is behind a campaign.
pub const POSTBACK: &str = "postback = { url = \"https://aff.example/pb?cid=#s2#\" }\n";
