//! The unit for systemd is one that systemd takes, and the program informs its manager of what it does.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const UNIT: &str = include_str!("../../packaging/postbridge.service");

/// The most that systemd may rate the service's exposure, of 100: below 20 it calls it well protected.
const EXPOSURE: &str = "20";

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    fn signal(&self, name: &str) {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }
}

fn serve(folder: &Path, socket: &str) -> Running {
    let config = "[server]\nlisten = \"127.0.0.1:0\"\n[store]\npath = \"data\"\n";
    std::fs::write(folder.join("postbridge.toml"), config).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_postbridge"));
    command.arg("serve").current_dir(folder).env_clear().env("NOTIFY_SOCKET", socket);
    Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
}

fn next(socket: &UnixDatagram) -> String {
    let mut message = [0; 256];
    let length = socket.recv(&mut message).unwrap();
    String::from_utf8(message[..length].to_vec()).unwrap()
}

#[test]
fn the_service_manager_hears_when_it_listens_reloads_and_stops() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let relay = serve(folder.path(), path.to_str().unwrap());
    assert_eq!(next(&socket), "READY=1");
    relay.signal("HUP");
    assert_eq!([next(&socket), next(&socket)], ["RELOADING=1", "READY=1"]);
    // One with a mistake is refused, and the relay goes on.
    std::fs::write(folder.path().join("postbridge.toml"), "[server]\nlisten = 1\n").unwrap();
    relay.signal("HUP");
    assert_eq!([next(&socket), next(&socket)], ["RELOADING=1", "READY=1"]);
    relay.signal("TERM");
    assert_eq!(next(&socket), "STOPPING=1");
}

#[test]
fn a_socket_without_a_file_is_reached_and_one_that_is_gone_stops_nothing() {
    use std::os::linux::net::SocketAddrExt;
    let folder = tempfile::tempdir().unwrap();
    let name = format!("postbridge-test-{}", std::process::id());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    let socket = UnixDatagram::bind_addr(&address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut relay = serve(folder.path(), &format!("@{name}"));
    assert_eq!(next(&socket), "READY=1");
    drop(socket);
    relay.signal("TERM");
    assert_eq!(relay.0.wait().unwrap().code(), Some(0));
}

/// What systemd says of the unit, with the program where this test has it.
fn analyze(arguments: &[&str]) -> Option<(bool, String)> {
    let program = Path::new("/usr/bin/systemd-analyze");
    let in_ci = std::env::var_os("CI").is_some();
    assert!(program.exists() || !in_ci, "missing in CI: apt-get install systemd");
    if !program.exists() {
        eprintln!("skipped: systemd is not installed");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join("postbridge.service");
    let here = UNIT.replace("/usr/bin/postbridge", env!("CARGO_BIN_EXE_postbridge"));
    // Whether the pages are installed is not the unit's.
    std::fs::write(&unit, here.replace("Documentation=man:postbridge(1)\n", "")).unwrap();
    let done = Command::new(program).args(arguments).arg(&unit).output().unwrap();
    let said = [done.stdout, done.stderr].concat();
    Some((done.status.success(), String::from_utf8_lossy(&said).into_owned()))
}

#[test]
fn systemd_takes_the_unit_without_a_word() {
    let Some((is_fine, said)) = analyze(&["verify"]) else { return };
    assert!(is_fine && said.is_empty(), "{said}");
}

#[test]
fn the_service_is_well_protected() {
    let threshold = format!("--threshold={EXPOSURE}");
    let Some((is_fine, said)) = analyze(&["security", "--offline=true", &threshold]) else { return };
    assert!(is_fine, "{said}");
}

#[test]
fn the_unit_waits_for_readiness_and_reloads_by_a_checked_configuration() {
    let lines: Vec<&str> = UNIT.lines().collect();
    for line in [
        "Type=notify",
        "ExecReload=/bin/kill -HUP $MAINPID",
        "ExecReload=/usr/bin/postbridge check --config /etc/postbridge/postbridge.toml",
        "RestartPreventExitStatus=2",
        "User=postbridge",
        "UMask=0077",
    ] {
        assert!(lines.contains(&line), "{line}");
    }
}
