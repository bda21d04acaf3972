//! docs/http-api.md: its table is the table of routes, and its examples work as they are written.

use std::path::Path;
use std::process::Command;

use postbridge::web::auth::RequiredRight;
use postbridge::web::routes::{BodyLimit, Permission, RouteRow, RouteSide, StrangerLimit, table};

use crate::support::golden;
use crate::support::platform::Platform;
use crate::support::relay::{Setup, TOKEN};

const BEGIN: &str = "<!-- routes: made by tests/docs/http_api.rs -->\n";
const END: &str = "<!-- end of routes -->\n";

fn needs(permission: Permission) -> &'static str {
    match permission {
        Permission::Open => "nothing",
        Permission::SourceKey => "the source's key",
        Permission::TagOrigin => "a page of `[tag] origins`",
        Permission::ApiKey => "`api_key`",
        Permission::Token(RequiredRight::Look) => "token, `read`",
        Permission::Token(RequiredRight::Change) => "token, `network`",
        Permission::SignedIn => "signed in",
        Permission::Session(RequiredRight::Look) => "signed in, `read`",
        Permission::Session(RequiredRight::Change) => "signed in, `network`",
    }
}

fn body(limit: BodyLimit) -> &'static str {
    match limit {
        BodyLimit::Unread => "",
        BodyLimit::Server => "`max_body_bytes`",
        BodyLimit::Source => "the template's `max_bytes`",
        BodyLimit::Tag => "8 KiB",
        BodyLimit::Import => "16 MiB",
    }
}

fn strangers(limit: StrangerLimit) -> &'static str {
    match limit {
        StrangerLimit::Nothing => "",
        StrangerLimit::Refused => "refused requests",
        StrangerLimit::WrongTokens => "wrong tokens",
        StrangerLimit::Clicks => "`[links]`",
        StrangerLimit::Pixels => "`[pixel]`, refused requests",
        StrangerLimit::Tag => "`[tag]`, `[links]`, refused requests",
    }
}

fn side(side: RouteSide) -> &'static str {
    match side {
        RouteSide::Public => "public",
        RouteSide::Admin => "admin",
        RouteSide::Both => "both",
    }
}

fn line(row: &RouteRow) -> String {
    let methods: Vec<&str> = row.methods.iter().map(|method| method.as_str()).collect();
    format!(
        "| `{} {}` | {} | {} | {} | {} | {} |\n",
        methods.join("\\|"),
        row.path,
        row.does,
        needs(row.permission),
        side(row.side),
        body(row.body),
        strangers(row.strangers)
    )
}

#[test]
fn the_guide_to_the_http_api_has_the_table_of_routes() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/http-api.md");
    let guide = std::fs::read_to_string(&file).unwrap();
    let (before, rest) = guide.split_once(BEGIN).expect("a beginning of the table");
    let (written, after) = rest.split_once(END).expect("an end of the table");
    let head = "| methods and path | does | needs | listener | largest body | limit for strangers |\n|---|---|---|---|---|---|\n";
    let rows: String = table::ROUTES.iter().map(line).collect();
    let made = format!("{head}{rows}");
    if golden::is_rewritten() {
        std::fs::write(&file, format!("{before}{BEGIN}{made}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(written, made, "run this test with BLESS=1 and look at what it changed in docs/http-api.md");
}

#[test]
fn the_guides_examples_work_as_they_are_written() {
    let guide = include_str!("../../docs/http-api.md");
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let mut setup = Setup::cake_to_meta(folder.path(), platform.address);
    setup.extra.push_str("test_event_code = \"TEST12345\"\n");
    let relay = setup.start();
    relay.postback("cake-test", b"s2=x&tid=A-1001&price=-5");
    let examples: Vec<&str> =
        guide.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(examples.len() >= 3, "{}", examples.len());
    for example in examples {
        let ran = Command::new("sh")
            .args(["-euc", example])
            .env("POSTBRIDGE", format!("http://{}", relay.address))
            .env("TOKEN", TOKEN)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ran.stdout);
        assert!(ran.status.success(), "{example}\n{said}\n{}", String::from_utf8_lossy(&ran.stderr));
        assert!(said.starts_with('{') && !said.contains("\"error\""), "{example}\n{said}");
    }
}
