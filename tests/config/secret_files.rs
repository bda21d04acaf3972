//! The files of settings that a platform replaces: what is read of them, whatever a crash left behind.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use postbridge::config::secret_files::SecretFiles;
use postbridge::domain::code::{CodedReason, ReasonCode};
use postbridge::domain::secret_store::SecretStore;

#[cfg(target_os = "linux")]
use crate::support::small_disk::BoundMount;

/// A setting `token` in a file of its own, which holds `one`.
struct Kept {
    folder: tempfile::TempDir,
    files: SecretFiles,
}

impl Kept {
    fn new() -> Kept {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), "one\n").unwrap();
        let files = SecretFiles([("token".to_owned(), folder.path().join("token"))].into());
        Kept { folder, files }
    }

    /// The file that holds what is to replace `one`.
    fn next(&self) -> PathBuf {
        self.folder.path().join(".token.7692c3ad3540bb80.next")
    }

    fn write(&self, text: &str) {
        std::fs::write(self.folder.path().join("token"), text).unwrap();
    }

    fn count(&self) -> usize {
        std::fs::read_dir(self.folder.path()).unwrap().count()
    }
}

#[test]
fn what_is_staged_is_what_is_read_and_takes_its_place_at_the_latest_then() {
    let kept = Kept::new();
    kept.files.stage("token", "two").unwrap();
    kept.files.stage("token", "three").unwrap();
    assert!(kept.next().exists());
    assert_eq!(std::fs::read_to_string(kept.folder.path().join("token")).unwrap(), "one\n");
    assert_eq!(kept.files.read("token").as_deref(), Some("three"));
    assert_eq!(std::fs::read_to_string(kept.folder.path().join("token")).unwrap(), "three\n");
    assert_eq!(kept.count(), 1);
    kept.files.adopt("token").unwrap();
    assert_eq!(kept.files.read("token").as_deref(), Some("three"));
}

#[test]
fn what_is_not_whole_is_not_taken_for_a_token() {
    for cut in ["", "tw", "tw\0\0\n", "\n", "two\nthree\n"] {
        let kept = Kept::new();
        std::fs::write(kept.next(), cut).unwrap();
        assert_eq!(kept.files.read("token").as_deref(), Some("one"), "{cut:?}");
        kept.files.replace("token", "two").unwrap();
        assert_eq!((kept.files.read("token").as_deref(), kept.count()), (Some("two"), 1), "{cut:?}");
    }
}

#[test]
fn what_a_person_wrote_since_goes_before_what_a_crash_left_behind() {
    for (wrote, count) in [("by-a-person", 2), ("one-2\n", 2), ("", 2)] {
        let kept = Kept::new();
        kept.files.stage("token", "two").unwrap();
        kept.write(wrote);
        assert_eq!(kept.files.read("token").unwrap_or_default(), wrote.trim());
        kept.files.adopt("token").unwrap();
        assert_eq!(kept.files.read("token").unwrap_or_default(), wrote.trim(), "it is worth nothing");
        assert_eq!(kept.count(), count);
        kept.files.stage("token", "three").unwrap();
        assert!(!kept.next().exists(), "it is gone when the next one is staged");
        assert_eq!((kept.files.read("token").as_deref(), kept.count()), (Some("three"), 1), "{wrote:?}");
    }
}

#[test]
fn what_is_staged_counts_whatever_the_clock_says_of_the_file_and_of_blanks_around_its_text() {
    let day = Duration::from_secs(86_400);
    for (written, staged) in
        [(SystemTime::now() + day, None), (SystemTime::now(), Some(SystemTime::now() - day))]
    {
        let kept = Kept::new();
        let set = |path: PathBuf, time| {
            std::fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
        };
        set(kept.folder.path().join("token"), written);
        kept.files.stage("token", "two").unwrap();
        if let Some(time) = staged {
            set(kept.next(), time);
        }
        assert_eq!((kept.files.read("token").as_deref(), kept.count()), (Some("two"), 1));
    }
    let kept = Kept::new();
    kept.files.stage("token", "two").unwrap();
    kept.write(" one ");
    assert_eq!(kept.files.read("token").as_deref(), Some("two"), "it is the same text");
}

#[test]
fn of_the_files_next_to_it_only_those_that_were_staged_for_it_are_removed() {
    let kept = Kept::new();
    let others = [
        ".token.next",
        ".token.7692c3ad3540bb8.next",
        ".token.7692c3ad3540bb800.next",
        ".token.7692C3AD3540BB80.next",
        ".token.7692c3ad3540bb8x.next",
        ".token.7692c3ad3540bb80.next~",
        ".token-2.7692c3ad3540bb80.next",
        "token.7692c3ad3540bb80.next",
        ".other.7692c3ad3540bb80.next",
    ];
    let staged =
        [".token.7692c3ad3540bb80.next", ".token.3fc4ccfe745870e2.next", ".token.0123456789abcdef.next"];
    for name in others.iter().chain(&staged) {
        std::fs::write(kept.folder.path().join(name), "left\n").unwrap();
    }
    kept.files.replace("token", "two").unwrap();
    for name in others {
        assert!(kept.folder.path().join(name).exists(), "{name}");
    }
    assert_eq!((kept.files.read("token").as_deref(), kept.count()), (Some("two"), others.len() + 1));
}

#[test]
fn where_the_file_is_gone_nothing_is_staged() {
    let kept = Kept::new();
    std::fs::remove_file(kept.folder.path().join("token")).unwrap();
    assert_eq!(kept.files.stage("token", "two").unwrap_err().code().as_str(), "token_file_unwritable");
    assert_eq!((kept.files.read("token"), kept.count()), (None, 0));
}

#[test]
fn a_file_that_holds_no_text_is_replaced_as_any_other() {
    let kept = Kept::new();
    std::fs::write(kept.folder.path().join("token"), b"\xff\xfe").unwrap();
    assert_eq!(kept.files.read("token"), None);
    kept.files.replace("token", "two").unwrap();
    assert_eq!((kept.files.read("token").as_deref(), kept.count()), (Some("two"), 1));
}

#[cfg(unix)]
#[test]
fn behind_a_link_it_is_the_file_itself_that_is_replaced() {
    let kept = Kept::new();
    let link = kept.folder.path().join("link");
    std::os::unix::fs::symlink("token", &link).unwrap();
    let files = SecretFiles([("token".to_owned(), link.clone())].into());
    files.stage("token", "two").unwrap();
    assert!(kept.next().exists(), "next to the file itself");
    assert_eq!(files.read("token").as_deref(), Some("two"));
    assert_eq!((kept.files.read("token").as_deref(), kept.count()), (Some("two"), 2));
    assert!(std::fs::symlink_metadata(link).unwrap().file_type().is_symlink());
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_that_is_mounted_alone_is_noticed_before_a_token_is_lost_and_one_whose_folder_is_mounted_is_fine() {
    let kept = Kept::new();
    let [alone, folder] = ["mounted alone", "mounted folder"].map(|name| kept.folder.path().join(name));
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(&alone, "").unwrap();
    let token = kept.folder.path().join("token");
    let (Some(_alone), Some(_folder)) =
        (BoundMount::of(&token, &alone), BoundMount::of(kept.folder.path(), &folder))
    else {
        assert!(std::env::var_os("CI").is_none(), "CI is root and can mount a file");
        eprintln!("skipped: only root can mount a file");
        return;
    };
    let link = kept.folder.path().join("link");
    std::os::unix::fs::symlink(&alone, &link).unwrap();
    for path in [alone, link] {
        let files = SecretFiles([("token".to_owned(), path)].into());
        let why = files.refusal("token").unwrap();
        assert_eq!((why.code().as_str(), why.field()), ("token_file_mounted", Some("token")));
        files.stage("token", "two").unwrap();
        assert!(files.adopt("token").is_err(), "no other file takes its place");
        assert_eq!(files.read("token").as_deref(), Some("two"), "as long as the folder is there");
    }
    let files = SecretFiles([("token".to_owned(), folder.join("token"))].into());
    assert_eq!(
        (files.refusal("token"), kept.files.refusal("token")),
        (None, None),
        "where it is mounted from neither"
    );
    files.replace("token", "three").unwrap();
    assert_eq!(kept.files.read("token").as_deref(), Some("three"));
}

#[test]
fn why_a_setting_cannot_be_replaced_names_it_and_no_path() {
    let gone = SecretFiles([("token".to_owned(), PathBuf::from("/nowhere/at/all/token"))].into());
    let why = gone.refusal("token").unwrap();
    assert_eq!((why.code().as_str(), why.field()), ("token_file_unwritable", Some("token")));
    assert!(!why.sentence().contains("nowhere"), "{}", why.sentence());
    assert_eq!(gone.refusal("other").unwrap().code().as_str(), "token_in_no_file");
}
