//! Rights: a data folder that others may read, secrets that others may read, and files that this user may
//! not use. The program runs as another user where only root can start it so.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use postbridge::config::configuration::Config;
use postbridge::store::embedded::Embedded;
use postbridge::store::engine::error::OpenError;

use crate::support::platform::Platform;
use crate::support::relay::{Setup, TOKEN};

/// `no one` on every system that these tests run on.
const NOBODY: u32 = 65534;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn everything_in(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![folder.to_path_buf()];
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(everything_in(&path)) } else { found.push(path) }
    }
    found
}

#[test]
fn an_existing_data_folder_is_taken_from_others_and_a_link_in_it_is_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    drop(Embedded::open_sled(&data, Arc::default()).unwrap());
    let outside = folder.path().join("outside");
    fs::write(&outside, "not ours").unwrap();
    set_mode(&outside, 0o644);
    std::os::unix::fs::symlink(&outside, data.join("link")).unwrap();
    fs::write(data.join("left-behind"), "by someone").unwrap();
    for path in everything_in(&data).iter().filter(|path| !path.is_symlink()) {
        set_mode(path, if path.is_dir() { 0o2775 } else { 0o664 });
    }
    let found = everything_in(&data);
    // The engine replaces its snapshots; what it writes is by the process's umask.
    drop(Embedded::open_sled(&data, Arc::default()).unwrap());
    for path in found.iter().filter(|path| path.exists() && !path.is_symlink()) {
        assert_eq!(mode(path) & 0o777, if path.is_dir() { 0o700 } else { 0o600 }, "{}", path.display());
    }
    assert_eq!(mode(&outside), 0o644);
}

#[test]
fn whatever_the_shells_umask_is_the_data_is_its_owners_alone() {
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let setup = Setup::cake_to_meta(folder.path(), platform.address);
    let relay = setup.start_by("umask 000; exec \"$0\" \"$@\"");
    assert_eq!(relay.postback("cake-test", b"tid=U1&price=3").status, 200);
    for path in everything_in(&folder.path().join("data")) {
        assert_eq!(mode(&path) & 0o077, 0, "{} is {:o}", path.display(), mode(&path));
    }
}

fn warnings(folder: &Path, text: &str) -> Vec<String> {
    let file = folder.join("postbridge.toml");
    fs::write(&file, text).unwrap();
    Config::load(&file).unwrap().warnings.iter().map(|warning| format!("{warning}")).collect()
}

#[test]
fn a_secret_that_others_may_read_is_named_with_its_mode_and_the_command() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    fs::write(&token, "3f9c1e0b7a52d846c0f1e2d3\n").unwrap();
    let by_file = "[api]\ntokens = [{ name = \"ops\", token = { file = \"token\" }, rights = [\"read\"] }]\n";
    for (others, warned) in [(0o600, false), (0o400, false), (0o640, true), (0o644, true), (0o604, true)] {
        set_mode(&token, others);
        let said = warnings(folder.path(), by_file);
        let named = |warning: &String| warning.contains("the file token") && warning.contains("chmod");
        assert_eq!(said.iter().any(named), warned, "{others:o}: {said:?}");
    }
    let said = warnings(folder.path(), by_file);
    assert!(said.iter().any(|warning| warning.contains("mode 0604") && warning.contains("chmod 600")));
}

#[test]
fn a_configuration_that_others_may_read_is_named_where_a_secret_is_written_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    fs::write(&secret, "3f9c1e0b7a52d846c0f1e2d3\n").unwrap();
    set_mode(&secret, 0o600);
    let token = |token: &str| {
        format!("[api]\ntokens = [{{ name = \"ops\", token = {token}, rights = [\"read\"] }}]\n")
    };
    let source =
        |key: &str| format!("[[source]]\nid = \"s\"\ntemplate = \"cake\"\ncurrency = \"USD\"\nkey = {key}\n");
    let destination = |secret: &str| {
        format!(
            "[[destination]]\nid = \"d\"\ntemplate = \"meta\"\n[destination.settings]\npixel_id = \"1234567890\"\naccess_token = {secret}\n"
        )
    };
    let (plain, kept) = ("\"3f9c1e0b7a52d846c0f1e2d3\"", "{ file = \"secret\" }");
    let keys = "[\"3f9c1e0b7a52d846\", { file = \"secret\" }]";
    for (text, warned) in [
        (token(plain), true),
        (token(kept), false),
        (source(plain), true),
        (source(keys), true),
        (source(kept), false),
        (destination(plain), true),
        (destination(kept), false),
    ] {
        let file = folder.path().join("postbridge.toml");
        let _absent = fs::remove_file(&file);
        fs::write(&file, "").unwrap();
        set_mode(&file, 0o644);
        let is_named =
            |said: &[String]| said.iter().any(|warning| warning.contains("the configuration holds a secret"));
        let said = warnings(folder.path(), &text);
        assert_eq!(is_named(&said), warned, "{text}: {said:?}");
        set_mode(&file, 0o600);
        assert!(!is_named(&warnings(folder.path(), &text)));
    }
}

#[test]
fn a_tls_key_that_others_may_read_is_named_and_the_certificate_is_not() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["cert.pem", "key.pem"] {
        fs::write(folder.path().join(file), "").unwrap();
        set_mode(&folder.path().join(file), 0o644);
    }
    let text = "[server.tls]\ncertificate = \"cert.pem\"\nkey = \"key.pem\"\n";
    let about =
        |said: Vec<String>| said.into_iter().filter(|warning| warning.contains(".pem")).collect::<Vec<_>>();
    let said = about(warnings(folder.path(), text));
    assert!(said.len() == 1 && said[0].contains("key.pem") && said[0].contains("chmod 600"), "{said:?}");
    set_mode(&folder.path().join("key.pem"), 0o600);
    assert_eq!(about(warnings(folder.path(), text)), [""; 0]);
}

#[test]
fn serve_warns_of_a_readable_secret_when_it_starts() {
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    fs::write(folder.path().join("postbridge.toml"), "").unwrap();
    set_mode(&folder.path().join("postbridge.toml"), 0o644);
    let _relay = Setup::cake_to_meta(folder.path(), platform.address).start();
    let log = fs::read_to_string(folder.path().join("serve.log")).unwrap();
    assert!(log.contains("the configuration holds a secret") && log.contains("chmod 600"), "{log}");
    assert!(!log.contains(TOKEN), "{log}");
}

/// The program in a folder that everyone may enter, run as `no one`; `None` where only root could.
struct AsNobody {
    folder: tempfile::TempDir,
}

impl AsNobody {
    fn new() -> Option<AsNobody> {
        let folder = tempfile::tempdir().unwrap();
        set_mode(folder.path(), 0o755);
        if !rustix::process::geteuid().is_root() {
            assert!(std::env::var_os("CI").is_none(), "CI is root");
            eprintln!("skipped: only root can run the program as another user");
            return None;
        }
        // By another process: a program is busy while it is open for writing, also in a child that another
        // test starts meanwhile.
        let program = folder.path().join("postbridge");
        assert!(
            Command::new("cp").arg(env!("CARGO_BIN_EXE_postbridge")).arg(program).status().unwrap().success()
        );
        Some(AsNobody { folder })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn config(&self, text: &str) {
        let config = self.path("postbridge.toml");
        fs::write(&config, text).unwrap();
        set_mode(&config, 0o644);
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(self.path("postbridge"))
            .args(arguments)
            .current_dir(self.folder.path())
            .uid(NOBODY)
            .gid(NOBODY)
            .output()
            .unwrap()
    }

    /// What `serve` says before it ends with this code.
    fn refused(&self, code: i32) -> String {
        let ended = self.run(&["serve"]);
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(code), "{said}");
        said
    }
}

const LISTEN: &str = "[server]\nlisten = \"127.0.0.1:0\"\n[store]\npath = \"data\"\n";

#[test]
fn a_file_that_this_user_may_not_use_is_named_with_its_owner_and_chown() {
    let Some(nobody) = AsNobody::new() else { return };
    let says = |said: &str, names: &[&str]| {
        for name in names {
            assert!(said.contains(name), "{name} is not in: {said}");
        }
        for word in ["move it away", "delete", "anew", "remove"] {
            assert!(!said.contains(word), "{word} is in: {said}");
        }
    };
    // The configuration.
    nobody.config(LISTEN);
    set_mode(&nobody.path("postbridge.toml"), 0o600);
    let said = nobody.refused(2);
    says(&said, &["postbridge.toml", "belongs to root", "mode 0600", "sudo chown nobody"]);
    // A secret's file, and the TLS key.
    for (file, text) in [
        (
            "token",
            "[api]\ntokens = [{ name = \"ops\", token = { file = \"token\" }, rights = [\"read\"] }]\n",
        ),
        ("key.pem", "[server.tls]\ncertificate = \"cert.pem\"\nkey = \"key.pem\"\n"),
    ] {
        fs::write(nobody.path("cert.pem"), "").unwrap();
        fs::write(nobody.path(file), "3f9c1e0b7a52d846c0f1e2d3").unwrap();
        set_mode(&nobody.path(file), 0o600);
        nobody.config(text);
        says(&nobody.refused(2), &[file, "belongs to root", "sudo chown nobody"]);
    }
    // A folder to make the data folder in.
    nobody.config(LISTEN);
    says(&nobody.refused(1), &["data", "belongs to root", "sudo chown nobody"]);
    // The data folder.
    let data = nobody.path("data");
    drop(Embedded::open_sled(&data, Arc::default()).unwrap());
    says(&nobody.refused(1), &["data", "belongs to root", "mode 0700", "sudo chown -R nobody"]);
    // A file in it, as a start as root leaves one behind; the folder's own lock is on `lock`.
    for path in everything_in(&data) {
        chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    for name in ["db", "conf", "blobs"] {
        let file = data.join("index").join(name);
        chown(&file, Some(0), Some(0)).unwrap();
        says(&nobody.refused(1), &[name, "belongs to root", "sudo chown"]);
        chown(&file, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    // Its owner took the right away.
    set_mode(&data.join("journal/manifest"), 0o400);
    says(&nobody.refused(1), &["journal/manifest", "belongs to nobody", "mode 0400", "chmod u+rw"]);
    let before: Vec<u32> = everything_in(&data).iter().map(|path| mode(path)).collect();
    nobody.refused(1);
    assert_eq!(everything_in(&data).iter().map(|path| mode(path)).collect::<Vec<_>>(), before);
}

#[test]
fn a_folder_that_others_may_read_and_this_user_may_not_tighten_is_refused() {
    let Some(nobody) = AsNobody::new() else { return };
    nobody.config(LISTEN);
    let data = nobody.path("data");
    drop(Embedded::open_sled(&data, Arc::default()).unwrap());
    for path in everything_in(&data) {
        set_mode(&path, if path.is_dir() { 0o777 } else { 0o666 });
    }
    let said = nobody.refused(1);
    for name in ["can be read by other users", "belongs to root", "sudo chown"] {
        assert!(said.contains(name), "{name}: {said}");
    }
    assert_eq!(mode(&data), 0o777, "nothing was changed");
}

#[test]
fn a_port_that_needs_a_capability_names_it() {
    let Some(nobody) = AsNobody::new() else { return };
    let first = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap();
    if first.trim().parse::<u32>().unwrap() <= 81 {
        eprintln!("skipped: ports under 1024 are for everyone here");
        return;
    }
    fs::create_dir(nobody.path("data")).unwrap();
    chown(nobody.path("data"), Some(NOBODY), Some(NOBODY)).unwrap();
    for (key, listen) in [
        ("`[server] listen`", "listen = \"127.0.0.1:81\"\n".to_owned()),
        ("`[server] admin_listen`", "listen = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:81\"\n".to_owned()),
    ] {
        nobody.config(&format!("[server]\n{listen}[store]\npath = \"data\"\n"));
        let said = nobody.refused(1);
        for name in [
            "127.0.0.1:81",
            "setcap cap_net_bind_service=+ep",
            "AmbientCapabilities=CAP_NET_BIND_SERVICE",
            key,
        ] {
            assert!(said.contains(name), "{name}: {said}");
        }
    }
}

#[test]
fn no_reason_why_a_folder_cannot_be_opened_speaks_of_doing_without_its_data() {
    let path = || PathBuf::from("data");
    let cause = || "it has a fault".to_owned();
    for error in [
        OpenError::Locked { path: path() },
        OpenError::Full { path: path() },
        OpenError::Denied { path: path() },
        OpenError::Exposed { path: path() },
        OpenError::Folder { path: path(), cause: cause() },
        OpenError::Broken { path: path(), cause: cause() },
        OpenError::Format { found: 2 },
        OpenError::Thread(cause()),
    ] {
        let said = error.to_string();
        for word in ["move it away", "delete", "anew", "remove", "new folder", "discard", "begin"] {
            assert!(!said.contains(word), "{word}: {said}");
        }
    }
}
