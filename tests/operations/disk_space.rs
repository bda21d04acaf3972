//! Free disk space: what is recorded below the reserve, and a start without room.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use postbridge::domain::disk::{DiskReserve, DiskSpace};
use postbridge::store::engine::error::OpenError;
use postbridge::store::engine::folder::says_full;
use serde_json::json;

use crate::support::damaged_folder::{Outcome, copy, killed, outcome};
use crate::support::platform::{Act, Platform};
use crate::support::relay::{CAMPAIGN, KEY, Relay, Setup, TOKEN, ask, wait_until};
use crate::support::small_disk::SmallDisk;
use crate::support::tag_fixture::message;

const MB: u64 = 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(10);

/// A small disk for the data folder; `None` where only root could have one.
fn disk(folder: &Path, size: &str) -> Option<SmallDisk> {
    let disk = SmallDisk::mount(&folder.join("disk"), size);
    if disk.is_none() {
        assert!(std::env::var_os("CI").is_none(), "CI is root and can mount a tmpfs");
        eprintln!("skipped: only root can mount a small file system");
    }
    disk
}

/// Fills the disk until `left` bytes are free; what is there already stays meanwhile.
fn fill(disk: &SmallDisk, left: u64) {
    let mut file = std::fs::File::options().create(true).append(true).open(disk.0.join("filler")).unwrap();
    let free = rustix::fs::statvfs(&disk.0).unwrap();
    let free = free.f_bavail * free.f_frsize;
    match free.checked_sub(left) {
        Some(more) => file.write_all(&vec![1u8; usize::try_from(more).unwrap()]).unwrap(),
        None => file.set_len(file.metadata().unwrap().len() - (left - free)).unwrap(),
    }
}

fn get(relay: &Relay, path: &str) -> crate::support::relay::Answer {
    let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    ask(relay.address, request.as_bytes()).unwrap()
}

fn metric(relay: &Relay, line: &str) -> bool {
    let request = format!(
        "GET /metrics HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n\r\n"
    );
    let text = ask(relay.address, request.as_bytes()).unwrap().text();
    text.lines().any(|known| known == line)
}

fn clicks(relay: &Relay) -> usize {
    relay.api("/api/v1/clicks")["items"].as_array().unwrap().len()
}

const CLICK: &str =
    r#"{"click_id":"c1","landing_url":"https://s.example/","ip":"203.0.113.1","user_agent":"UA"}"#;

#[test]
fn the_reserve_is_what_is_configured_and_at_most_a_tenth_of_the_disk() {
    assert_eq!(DiskReserve::new(512, 1024 * 1024 * MB).bytes(), 512 * MB);
    assert_eq!(DiskReserve::new(512, 1000 * MB).bytes(), 100 * MB);
    assert_eq!(DiskReserve::new(0, 1000 * MB).bytes(), 0);
}

#[test]
fn below_the_reserve_is_low_below_half_of_it_very_low_and_a_little_more_room_ends_neither() {
    let reserve = DiskReserve::new(512, 1024 * 1024 * MB);
    let after = |before: DiskSpace, free: u64| reserve.space(free * MB, before);
    for (before, free, space) in [
        (DiskSpace::Enough, 512, DiskSpace::Enough),
        (DiskSpace::Enough, 511, DiskSpace::Low),
        (DiskSpace::Low, 256, DiskSpace::Low),
        (DiskSpace::Low, 255, DiskSpace::VeryLow),
        (DiskSpace::Enough, 0, DiskSpace::VeryLow),
        (DiskSpace::VeryLow, 271, DiskSpace::VeryLow),
        (DiskSpace::VeryLow, 272, DiskSpace::Low),
        (DiskSpace::Low, 543, DiskSpace::Low),
        (DiskSpace::VeryLow, 543, DiskSpace::Low),
        (DiskSpace::VeryLow, 544, DiskSpace::Enough),
    ] {
        assert_eq!(after(before, free), space, "{free} MB after {before:?}");
    }
    let off = DiskReserve::new(0, 1024 * MB);
    assert_eq!(off.space(0, DiskSpace::Enough), DiskSpace::Enough, "0 is off");
    assert_eq!(off.space(0, DiskSpace::VeryLow), DiskSpace::Enough);
}

#[test]
fn an_engines_words_for_a_full_disk_are_known() {
    let full = std::io::Error::from_raw_os_error(rustix::io::Errno::NOSPC.raw_os_error());
    let quota = std::io::Error::from_raw_os_error(rustix::io::Errno::DQUOT.raw_os_error());
    for error in [full, quota] {
        assert!(says_full(&format!("IO error: {error}")) && says_full(&error.to_string()), "{error}");
        let open = OpenError::of_io(Path::new("data"), &error);
        assert!(matches!(open, OpenError::Full { .. }), "{open}");
    }
    assert!(!says_full("IO error: Input/output error (os error 5)"));
}

#[test]
fn below_the_reserve_visitors_go_on_without_a_record_and_below_half_postbacks_are_503() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = disk(folder.path(), "100m") else { return };
    let platform = Platform::start(|_| Act::status(400, r#"{"error":{"code":100,"message":"no"}}"#));
    let mut setup = Setup::cake_to_meta(&disk.0, platform.address);
    setup.extra += CAMPAIGN;
    setup.extra += "[tag]\norigins = [\"https://shop.example\"]\n";
    let relay = setup.start();
    relay.post("/api/v1/clicks", CLICK);
    assert_eq!(relay.postback("cake-test", b"s2=c1&tid=D1&price=3").status, 200);
    assert_eq!(get(&relay, "/c/8599").status, 302);
    assert_eq!(clicks(&relay), 2);
    assert_eq!(get(&relay, "/readyz").text(), "ready\n");
    assert!(metric(&relay, r#"postbridge_unrecorded_clicks_total{reason_code="disk"} 0"#), "it begins at 0");

    // The reserve is 10 MB: a tenth.
    fill(&disk, 8 * MB);
    assert!(wait_until(PATIENCE, || get(&relay, "/readyz").text().contains("below the reserve")));
    let visit = get(&relay, "/c/8599");
    assert_eq!(visit.status, 302, "{}", visit.text());
    assert!(visit.head.contains("https://advertiser.example/lp?cid="), "{}", visit.head);
    assert_eq!(get(&relay, "/click.gif?campaign=8599").status, 200);
    assert_eq!(tag(&relay, "click", &message("0mwprfhn25sqgpbr2ksobbbg2sqv8", json!({})).to_string()), 503);
    assert_eq!(clicks(&relay), 2, "nothing of them is kept");
    assert!(metric(&relay, r#"postbridge_unrecorded_clicks_total{reason_code="disk"} 2"#));
    for path in ["/pixel.gif?offer=565&tid=P1", "/pixel.js?offer=565", "/p.ashx?o=565&f=pb&t=P1"] {
        let pixel = get(&relay, path);
        assert_eq!(pixel.status, 503, "{path}");
        assert!(pixel.head.to_ascii_lowercase().contains("retry-after"), "{}", pixel.head);
    }
    assert_eq!(
        tag(
            &relay,
            "event",
            &message("0mwprfhn25sqgpbr2ksobbbg2sqv8", json!({"name": "Purchase"})).to_string()
        ),
        503
    );
    let not_taken = r#"postbridge_refused_total{reason_code="disk"} 5"#;
    assert!(metric(&relay, not_taken), "the tag's click and event, three pixels");
    assert_eq!(relay.postback("cake-test", b"s2=c1&tid=D2&price=3").status, 200, "postbacks are taken");
    assert_eq!(relay.post("/api/v1/clicks", &CLICK.replace("c1", "c2")).status, 200);
    let refused = get(&relay, "/wrong-key/collect/cake-test?tid=X");
    assert_eq!(refused.status, 403);
    let kept = relay.api("/api/v1/postbacks")["items"].as_array().unwrap().len();
    assert_eq!(kept, 2, "D1 and D2: of what is refused nothing is kept");

    fill(&disk, 4 * MB + MB / 2);
    assert!(wait_until(PATIENCE, || get(&relay, "/readyz").status == 503));
    for answer in [
        relay.postback("cake-test", b"s2=c1&tid=D3&price=3"),
        relay.post("/api/v1/clicks", &CLICK.replace("c1", "c3")),
        get(&relay, &format!("/api/2/conversion.json?api_key={TOKEN}&offer_id=565&cid=c1")),
    ] {
        assert_eq!(answer.status, 503, "{}", answer.text());
        assert!(answer.head.to_ascii_lowercase().contains("retry-after"), "{}", answer.head);
    }
    let not_taken = r#"postbridge_refused_total{reason_code="disk"} 8"#;
    assert!(metric(&relay, not_taken), "a postback, a click of the API, a report");
    assert_eq!(get(&relay, "/c/8599").status, 302, "visitors go on");
    // What is on record goes on being sent, and what was received of it is recorded.
    let dead = relay.api("/api/v1/deliveries?state=dead")["items"][0].clone();
    let before = platform.count();
    let retried = relay.post(&format!("/api/v1/deliveries/{}/retry", dead["id"].as_str().unwrap()), "");
    assert_eq!(retried.status, 200, "{}", retried.text());
    let attempts = || relay.api("/api/v1/deliveries?state=dead")["items"].as_array().unwrap().len();
    assert!(wait_until(PATIENCE, || platform.count() > before && attempts() == 2), "{}", attempts());

    std::fs::remove_file(disk.0.join("filler")).unwrap();
    assert!(wait_until(PATIENCE, || get(&relay, "/readyz").text() == "ready\n"));
    assert_eq!(get(&relay, "/c/8599").status, 302);
    assert_eq!(clicks(&relay), 4, "c2 and this one");
    assert_eq!(relay.postback("cake-test", b"s2=c1&tid=D3&price=3").json()["status"], "accepted");
    let log = std::fs::read_to_string(disk.0.join("serve.log")).unwrap();
    for (words, times) in [
        ("free disk space is below [store] reserve_mb", 1),
        ("below half of [store] reserve_mb", 1),
        ("enough free disk space again", 1),
    ] {
        assert_eq!(log.matches(words).count(), times, "{words} in\n{log}");
    }
}

/// What the tag of a page of the shop sends; the answer's status.
fn tag(relay: &Relay, what: &str, body: &str) -> u16 {
    let request = format!(
        "POST /t/{what} HTTP/1.1\r\nHost: t\r\nOrigin: https://shop.example\r\nContent-Type: text/plain\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    ask(relay.address, request.as_bytes()).unwrap().status
}

/// Every file under `folder` with its size, its mode and the time it was changed.
fn tree(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let (path, metadata) = (entry.as_ref().unwrap().path(), entry.unwrap().metadata().unwrap());
        let (rights, written) = (metadata.permissions(), metadata.modified().unwrap());
        found.push((path.clone(), format!("{} {rights:?} {written:?}", metadata.len())));
        if metadata.is_dir() {
            found.extend(tree(&path));
        }
    }
    found.sort();
    found
}

#[test]
fn without_room_it_does_not_start_changes_nothing_and_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = disk(folder.path(), "64m") else { return };
    let platform = Platform::accepting();
    let mut setup = Setup::cake_to_meta(folder.path(), platform.address);
    setup.store = "reserve_mb = 0\n".to_owned();
    let config = |setup: &Setup, data: &Path| {
        format!(
            "[server]\nlisten = \"127.0.0.1:0\"\npublic_url = \"http://127.0.0.1\"\n[store]\npath = \"{}\"\n{}{}",
            data.display(),
            setup.store,
            setup.extra
        )
    };
    let data = disk.0.join("data");
    let text = config(&setup, &data);
    let relay = setup.run(&text).unwrap();
    assert_eq!(relay.postback("cake-test", b"tid=R1&price=3").status, 200);
    relay.kill();

    for left in [0, 200 * 1024, 3 * MB] {
        fill(&disk, left);
        for data in [&data, &disk.0.join("new/data")] {
            let text = config(&setup, data);
            let config = folder.path().join("postbridge.toml");
            std::fs::write(&config, text).unwrap();
            let before = tree(&disk.0);
            let ended = Command::new(env!("CARGO_BIN_EXE_postbridge"))
                .args(["serve", "--config"])
                .arg(&config)
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&ended.stderr).into_owned();
            assert_eq!(ended.status.code(), Some(1), "{said}");
            assert!(said.contains("free some space, then start: nothing is lost"), "{left}: {said}");
            assert_eq!(tree(&disk.0), before, "nothing is changed with {left} bytes left");
        }
    }
    std::fs::remove_file(disk.0.join("filler")).unwrap();
    let relay = setup.run(&text).unwrap();
    assert_eq!(relay.postback("cake-test", b"tid=R1&price=3").json()["status"], "duplicate");
    let known = format!("/{KEY}/collect/cake-test?tid=R2&price=3");
    assert_eq!(get(&relay, &known).json()["status"], "accepted");
}

#[test]
fn what_a_process_left_unfinished_goes_before_a_start_is_refused_for_want_of_room() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = disk(folder.path(), "64m") else { return };
    let image = killed(30);
    let data = disk.0.join("data");
    copy(&image.data(), &data);
    std::fs::create_dir_all(data.join("index.new")).unwrap();
    for (file, bytes) in [
        ("journal/next", 4 * MB),
        ("journal/next.new", 2 * MB),
        ("journal/00000000000000000001-1.journal.new", 2 * MB),
        ("index.new/db", 4 * MB),
    ] {
        std::fs::write(data.join(file), vec![1; bytes as usize]).unwrap();
    }
    fill(&disk, MB);
    assert_eq!(outcome(&data, &image.acknowledged), Outcome::Whole);
    assert!(!data.join("index.new").exists());
    let journal = std::fs::read_dir(data.join("journal")).unwrap();
    let names: Vec<_> = journal.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(names.iter().all(|name| !name.ends_with(".new")), "{names:?}");
}
