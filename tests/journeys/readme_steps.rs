//! The README's way to the first forwarded sale, run on a machine that has nothing yet: its code blocks in
//! their order, as they are written but for addresses, then the sale that the network reports.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::browser::Browser;
use crate::support::platform::{Act, Platform};
use crate::support::relay::{ask, wait_until};

const README: &str = include_str!("../../README.md");
const SECTION: &str = "## From CAKE to Meta: the first forwarded sale\n";

/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// A code block: its language and its text, without the indentation of the list that it is in.
struct Block {
    language: String,
    text: String,
}

/// The code blocks of the section, in order.
fn blocks() -> Vec<Block> {
    let section = README.split(SECTION).nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap();
    let fenced = section.split("```").skip(1).step_by(2);
    let block = |fenced: &str| {
        let (language, text) = fenced.split_once('\n').unwrap();
        let lines = text.lines().map(|line| line.strip_prefix("   ").unwrap_or(line));
        Block { language: language.to_owned(), text: lines.map(|line| format!("{line}\n")).collect() }
    };
    fenced.map(block).collect()
}

/// The machine on which the steps are taken.
struct Machine {
    folder: tempfile::TempDir,
    serve: Option<Child>,
    relay: SocketAddr,
    shop: SocketAddr,
    platform: Platform,
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some(serve) = &mut self.serve {
            let _ = serve.kill();
            let _ = serve.wait();
        }
    }
}

impl Machine {
    fn new(shop: SocketAddr) -> Machine {
        let relay = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("bin")).unwrap();
        let program = folder.path().join("bin/postbridge");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_postbridge"), program).unwrap();
        std::fs::create_dir(folder.path().join("relay")).unwrap();
        Machine { folder, serve: None, relay, shop, platform: Platform::accepting() }
    }

    /// What is written in the README with the addresses of this test.
    fn here(&self, text: &str) -> String {
        let (relay, shop) = (self.relay.port(), self.shop.port());
        text.replace("https://t.example.com", &format!("http://t.shop.test:{relay}"))
            .replace("127.0.0.1:8080", &self.relay.to_string())
            .replace("https://shop.example", &format!("http://www.shop.test:{shop}"))
    }

    fn home(&self) -> std::path::PathBuf {
        self.folder.path().join("relay")
    }

    fn command(&self, program: &str) -> Command {
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", self.folder.path().join("bin").display());
        let mut command = Command::new(program);
        command.current_dir(self.home()).env_clear().env("PATH", path);
        command
    }

    /// Runs shell commands; answers what they print.
    fn shell(&self, commands: &str) -> String {
        let done = self.command("/bin/sh").arg("-ec").arg(commands).output().unwrap();
        let said = String::from_utf8(done.stdout).unwrap();
        assert!(done.status.success(), "{commands}\n{said}{}", String::from_utf8_lossy(&done.stderr));
        said
    }

    /// Runs a block of commands; `postbridge serve` goes on behind it.
    fn run(&mut self, commands: &str) -> String {
        let commands = self.here(commands);
        let Some((before, behind)) = commands.split_once("postbridge serve\n") else {
            return self.shell(&commands);
        };
        let said = self.shell(before);
        let log = std::fs::File::create(self.folder.path().join("serve.log")).unwrap();
        let program = self.folder.path().join("bin/postbridge");
        let mut command = self.command(program.to_str().unwrap());
        command.arg("serve").stdout(Stdio::null()).stderr(Stdio::from(log));
        self.serve = Some(command.spawn().unwrap());
        let (relay, listens) = (self.relay, || TcpStream::connect(self.relay).is_ok());
        assert!(wait_until(PATIENCE, listens), "nothing listens on {relay}");
        said + &self.shell(behind)
    }

    /// The network reports a sale by the URL that was pasted into it; answers what the relay says.
    fn sale(&self, pasted: &str, click: &str, transaction: &str) -> serde_json::Value {
        let known = [("#s2#", click), ("#tid#", transaction), ("#price#", "7.50"), ("#oid#", "565")];
        let url = known.iter().fold(pasted.trim().to_owned(), |url, (name, value)| url.replace(name, value));
        let target = url.split_once("://").and_then(|(_, rest)| rest.split_once('/')).unwrap().1;
        // The network has nothing to say for the others.
        let (path, query) = target.split_once('?').unwrap();
        let filled: Vec<&str> = query.split('&').filter(|pair| !pair.contains('#')).collect();
        let request =
            format!("GET /{path}?{} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n", filled.join("&"));
        ask(self.relay, request.as_bytes()).unwrap().json()
    }

    /// What the ad platform was sent of a sale.
    fn sent(&self, transaction: &str) -> serde_json::Value {
        let all = || self.platform.received().into_iter().map(|received| received.json()["data"][0].clone());
        let find = || all().find(|event| event["custom_data"]["order_id"] == transaction);
        assert!(wait_until(PATIENCE, || find().is_some()), "the sale {transaction} reached no platform");
        find().unwrap()
    }
}

/// Whether the programs are here that the README's reader needs.
fn has_programs() -> bool {
    let is_missing = |name: &&str| !Path::new("/usr/bin").join(name).exists();
    let missing: Vec<&str> = ["openssl", "curl"].into_iter().filter(is_missing).collect();
    let in_ci = std::env::var_os("CI").is_some();
    assert!(missing.is_empty() || !in_ci, "missing in CI: apt-get install {}", missing.join(" "));
    if !missing.is_empty() {
        eprintln!("skipped: {} not installed", missing.join(" "));
    }
    missing.is_empty()
}

#[test]
fn the_readmes_steps_in_their_order_forward_a_sale_of_a_recorded_click_and_of_the_tags() {
    if !has_programs() {
        return;
    }
    let all = blocks();
    let html = &all.iter().find(|block| block.language == "html").unwrap().text;
    let page = std::sync::Arc::new(parking_lot::Mutex::new(String::new()));
    let shown = std::sync::Arc::clone(&page);
    let shop = Platform::start(move |_| Act::ok(&shown.lock()).with_header("Content-Type", "text/html"));
    let mut machine = Machine::new(shop.address);
    *page.lock() = format!("<!doctype html><title>Landing page</title>{}", machine.here(html));

    let mut said = Vec::new();
    for block in &all {
        match block.language.as_str() {
            "sh" => said.push(machine.run(&block.text)),
            "toml" => {
                // The platform is a stand-in; nothing else differs.
                let platform = machine.platform.address;
                let stand_in = format!(
                    "template = \"meta\"\nendpoint = \"http://{platform}\"\nallow_private_network = true\n"
                );
                let text = machine.here(&block.text).replace("template = \"meta\"\n", &stand_in);
                std::fs::write(machine.home().join("postbridge.toml"), text).unwrap();
            }
            "json" => std::fs::write(machine.home().join("click.json"), machine.here(&block.text)).unwrap(),
            "html" => {}
            other => panic!("what is to be done with a block of {other}?"),
        }
    }
    let [_secrets, checked, pasted, clicked, previewed] = &said[..] else { panic!("{said:#?}") };
    assert!(
        checked.contains("is fine: 1 source, 1 destination") && checked.matches("warning").count() == 1,
        "{checked}"
    );
    assert!(checked.contains("[doubtful_fact]"), "{checked}");
    assert!(previewed.contains("7.50 USD") && previewed.contains("POST http://"), "{previewed}");
    assert_eq!(machine.platform.count(), 0, "a preview sends nothing");

    let clicked: serde_json::Value = serde_json::from_str(clicked).unwrap();
    let answered = machine.sale(pasted, clicked["click_id"].as_str().unwrap(), "T1");
    assert_eq!((&answered["status"], &answered["attribution"]), (&"accepted".into(), &"matched".into()));
    assert_eq!(machine.sent("T1")["user_data"]["fbp"], "fb.1.1789980000000.42");

    let Some(browser) = Browser::start() else { return };
    let mut tab = browser.page();
    let landing = format!("http://www.shop.test:{}/lp?fbclid=IwAR0abc", shop.address.port());
    tab.open(&landing);
    tab.until("document.querySelector('a').search.includes('s2=')");
    let link = tab.text("document.querySelector('a').href");
    let id = link.split("s2=").nth(1).unwrap();
    assert!(link.starts_with("https://track.example.net/?a=200&c=761&s2="), "{link}");
    let matched = || machine.sale(pasted, id, "T2")["attribution"] == "matched";
    assert!(wait_until(PATIENCE, matched), "the tag's click {id} is recorded");
    assert_eq!(machine.sent("T2")["event_source_url"], landing);
}

#[test]
fn the_first_step_keeps_the_secrets_from_others() {
    use std::os::unix::fs::PermissionsExt;
    if !has_programs() {
        return;
    }
    let mut machine = Machine::new(SocketAddr::from(([127, 0, 0, 1], 1)));
    let first = blocks().into_iter().find(|block| block.language == "sh").unwrap();
    machine.run(&first.text);
    for file in ["secrets", "secrets/token", "secrets/cake-key", "secrets/meta-token"] {
        let mode = std::fs::metadata(machine.home().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{file}: {mode:o}");
    }
}
