//! A relay that is killed while a platform replaces its refresh token: nothing is sent with a token whose successor is
//! not on disk, and what can be known of the new one is known after the next start.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::support::platform::{Act, Platform, Received};
use crate::support::relay::{Relay, Setup, wait_until};
#[cfg(target_os = "linux")]
use crate::support::small_disk::BoundMount;

/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// Gives `access-N` with `refresh-N`, to who shows `refresh-(N-1)`: each refresh token is good once.
fn strict_tokens() -> (Platform, Arc<Mutex<usize>>) {
    let given = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&given);
    let platform = Platform::start(move |request| {
        let mut given = counted.lock();
        if shown(request) != format!("refresh-{given}") {
            return Act::status(400, r#"{"error":"invalid_grant","error_description":"It was replaced."}"#);
        }
        *given += 1;
        let answer = json!({
            "access_token": format!("access-{given}"), "expires_in": 3600, "token_type": "Bearer",
            "refresh_token": format!("refresh-{given}"),
        });
        Act::ok(&answer.to_string())
    });
    (platform, given)
}

fn shown(request: &Received) -> String {
    let form = form_urlencoded::parse(&request.body).into_owned();
    form.into_iter().find(|(name, _)| name == "refresh_token").map(|(_, token)| token).unwrap_or_default()
}

/// One account that signs in with the refresh token of a file.
struct Account {
    folder: tempfile::TempDir,
    platform: Platform,
    tokens: Platform,
    given: Arc<Mutex<usize>>,
}

impl Account {
    fn new() -> Account {
        let (tokens, given) = strict_tokens();
        let platform = Platform::start(|_| Act::ok(r#"{"PartialErrors":[]}"#));
        let account = Account { folder: tempfile::tempdir().unwrap(), platform, tokens, given };
        std::fs::create_dir(account.secrets()).unwrap();
        std::fs::write(account.file(), "refresh-0\n").unwrap();
        account
    }

    fn secrets(&self) -> PathBuf {
        self.folder.path().join("secrets")
    }

    fn file(&self) -> PathBuf {
        self.secrets().join("refresh-token")
    }

    fn kept(&self) -> String {
        std::fs::read_to_string(self.file()).unwrap()
    }

    /// The names of all that is next to it.
    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.secrets()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    fn setup(&self) -> Setup {
        let mut setup = Setup::cake_to_meta(self.folder.path(), self.platform.address);
        let source = setup.extra.split("[[destination]]").next().unwrap().to_owned();
        setup.extra =
            format!("{source}{}", destination(&self.platform, &self.tokens, &file_of(&self.file())));
        setup
    }

    /// Starts a relay that ends itself at a point, reports a sale to it and waits for that end.
    fn killed_at(&self, point: &str) {
        let relay = self.setup().env("POSTBRIDGE_CRASH_AT", format!("{point}:1")).start();
        let click = json!({"click_id": "c1", "params": {"msclkid": "6f1e2d3c4b5a69788796a5b4c3d2e1f0"}});
        assert_eq!(relay.post("/api/v1/clicks", &click.to_string()).status, 200);
        assert_eq!(relay.postback("cake-test", b"s2=c1&tid=A-1&price=7").status, 200);
        let status = relay.wait(PATIENCE).expect("it is killed");
        assert!(!status.success());
    }
}

fn file_of(path: &Path) -> String {
    format!("{{ file = \"{}\" }}", path.display())
}

fn destination(platform: &Platform, tokens: &Platform, refresh_token: &str) -> String {
    format!(
        "[[destination]]\nid = \"offline\"\ntemplate = \"microsoft-offline\"\nendpoint = \"{}\"\ntoken_endpoint = \"{}\"\n\
         allow_private_network = true\n[destination.events]\nPurchase = \"Offline sale\"\n[destination.settings]\n\
         developer_token = \"developer-token-1\"\ncustomer_id = \"12345678\"\naccount_id = \"87654321\"\n\
         client_id = \"client-7\"\nclient_secret = \"client-secret-7\"\nrefresh_token = {refresh_token}\n",
        platform.url(""),
        tokens.url(""),
    )
}

fn of(relay: &Relay) -> Value {
    relay.api("/api/v1/destinations")["items"][0].clone()
}

fn is_delivered(relay: &Relay) -> bool {
    relay.api("/api/v1/deliveries")["items"][0]["state"] == "delivered"
}

#[test]
fn a_refresh_token_that_a_crash_kept_from_its_place_is_taken_up_by_the_next_start() {
    let account = Account::new();
    account.killed_at("sign_in.after_stage");
    assert_eq!((account.kept().as_str(), account.platform.count()), ("refresh-0\n", 0), "nothing was sent");
    assert_eq!(account.files(), [".refresh-token.47a07fe72c52e036.next", "refresh-token"]);
    // The clock ran ahead when the file was written, and is right again.
    let file = std::fs::File::options().write(true).open(account.file()).unwrap();
    file.set_modified(SystemTime::now() + Duration::from_secs(86_400)).unwrap();
    let relay = account.setup().start();
    assert!(wait_until(PATIENCE, || is_delivered(&relay)), "{:#}", of(&relay));
    let asked: Vec<String> = account.tokens.received().iter().map(shown).collect();
    assert_eq!(asked, ["refresh-0", "refresh-1"], "no token was shown twice");
    assert_eq!((account.kept().as_str(), account.files().len()), ("refresh-2\n", 1));
    assert_eq!(account.platform.received()[0].header("authorization"), Some("Bearer access-2"));
}

#[test]
fn a_refresh_token_that_was_lost_in_a_crash_parks_the_account_with_what_to_do() {
    let account = Account::new();
    account.killed_at("sign_in.before_stage");
    assert_eq!((account.kept().as_str(), account.files().len()), ("refresh-0\n", 1));
    let relay = account.setup().start();
    assert!(wait_until(PATIENCE, || of(&relay)["state"] == "parked"), "{:#}", of(&relay));
    let parked = of(&relay)["parked"].clone();
    assert_eq!(parked["reason_code"], "sign_in_refused");
    assert!(parked["reason"].as_str().unwrap().contains("It was replaced."), "{parked:#}");
    assert!(parked["hint"].as_str().unwrap().contains("setup guide"), "{parked:#}");
    assert_eq!(account.platform.count(), 0, "nothing leaves without a token");
    let asked: Vec<String> = account.tokens.received().iter().map(shown).collect();
    assert!(asked.iter().all(|token| token == "refresh-0"), "the old one is tried: {asked:?}");
    // A person signs in again.
    std::fs::write(account.file(), format!("refresh-{}\n", account.given.lock())).unwrap();
    relay.signal(1);
    assert!(wait_until(PATIENCE, || is_delivered(&relay)), "{:#}", of(&relay));
    assert_eq!((account.kept().as_str(), account.platform.count()), ("refresh-2\n", 1));
}

#[test]
fn a_refresh_token_that_cannot_be_replaced_is_warned_of_before_it_is_lost() {
    let account = Account::new();
    let relay = account.setup().start();
    assert_eq!(of(&relay)["sign_in_warning"], Value::Null, "its file can be replaced");
    drop(relay);
    let mut setup = account.setup();
    setup.extra = setup.extra.replace(&file_of(&account.file()), "\"refresh-0\"");
    let warning = of(&setup.start())["sign_in_warning"].clone();
    assert_eq!(
        (&warning["reason_code"], &warning["field"]),
        (&json!("token_in_no_file"), &json!("refresh_token")),
        "{warning:#}"
    );
    assert!(warning["hint"].as_str().unwrap().contains("{ file = "), "{warning:#}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_refresh_token_whose_file_is_mounted_alone_is_warned_of_before_it_is_lost() {
    let account = Account::new();
    let mounted = account.folder.path().join("mounted");
    std::fs::write(&mounted, "").unwrap();
    let Some(_mount) = BoundMount::of(&account.file(), &mounted) else {
        assert!(std::env::var_os("CI").is_none(), "CI is root and can mount a file");
        eprintln!("skipped: only root can mount a file");
        return;
    };
    let mut setup = account.setup();
    setup.extra = setup.extra.replace(&file_of(&account.file()), &file_of(&mounted));
    let warning = of(&setup.start())["sign_in_warning"].clone();
    assert_eq!(
        (&warning["reason_code"], &warning["field"]),
        (&json!("token_file_mounted"), &json!("refresh_token")),
        "{warning:#}"
    );
    assert!(warning["hint"].as_str().unwrap().contains("mount the folder"), "{warning:#}");
}
