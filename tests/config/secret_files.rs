//! The files of settings that a platform replaces: what is read of them, whatever a crash left behind.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use postbridge::config::secret_files::SecretFiles;
use postbridge::domain::code::{CodedReason, ReasonCode};
use postbridge::domain::secret_store::SecretStore;

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

    fn next(&self) -> PathBuf {
        self.folder.path().join(".token.next")
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
    let kept = Kept::new();
    kept.files.stage("token", "two").unwrap();
    let next = std::fs::File::options().write(true).open(kept.next()).unwrap();
    next.set_modified(SystemTime::now() - Duration::from_secs(60)).unwrap();
    assert_eq!(kept.files.read("token").as_deref(), Some("one"));
}

#[cfg(unix)]
#[test]
fn behind_a_link_it_is_the_file_itself_that_is_replaced() {
    let kept = Kept::new();
    let link = kept.folder.path().join("link");
    std::os::unix::fs::symlink("token", &link).unwrap();
    let files = SecretFiles([("token".to_owned(), link.clone())].into());
    files.replace("token", "two").unwrap();
    assert_eq!(kept.files.read("token").as_deref(), Some("two"));
    assert!(std::fs::symlink_metadata(link).unwrap().file_type().is_symlink());
}

#[test]
fn why_a_setting_cannot_be_replaced_names_it_and_no_path() {
    let gone = SecretFiles([("token".to_owned(), PathBuf::from("/nowhere/at/all/token"))].into());
    let why = gone.refusal("token").unwrap();
    assert_eq!((why.code().as_str(), why.field()), ("token_file_unwritable", Some("token")));
    assert!(!why.sentence().contains("nowhere"), "{}", why.sentence());
    assert_eq!(gone.refusal("other").unwrap().code().as_str(), "token_in_no_file");
}
