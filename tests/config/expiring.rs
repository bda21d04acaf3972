//! A setting whose value the platform soon refuses is warned of where it is used.

use postbridge::config::configuration::Config;
use postbridge::domain::time::Time;

/// What is warned of a destination at Meta with these further settings, on a day.
fn warned(settings: &str, day: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\npublic_url = \"https://t.example.com\"\n[store]\npath = \"data\"\n\
         [[destination]]\nid = \"m\"\ntemplate = \"meta\"\n[destination.settings]\npixel_id = \"1\"\n\
         access_token = \"an-invented-token\"\n{settings}\n"
    );
    let file = folder.path().join("postbridge.toml");
    std::fs::write(&file, text).unwrap();
    let config = Config::load(&file).map_err(|problems| format!("{problems:?}")).unwrap();
    let now = Time::parse(&format!("{day}T00:00:00Z")).unwrap();
    config
        .expiring(now)
        .iter()
        .map(|problem| problem.to_string().replace(&file.display().to_string(), ""))
        .collect()
}

#[test]
fn a_version_is_warned_of_from_60_days_before_the_platform_refuses_it() {
    assert_eq!(warned("", "2028-04-01"), [""; 0]);
    let [soon] = warned("", "2028-04-02").try_into().unwrap();
    assert!(
        soon.contains(":9: the setting `version` is `v26.0`, which the platform takes until 2028-06-01"),
        "{soon}"
    );
    let [over] = warned("", "2028-06-01").try_into().unwrap();
    assert!(over.contains("which the platform takes no longer, since 2028-06-01"), "{over}");
}

#[test]
fn another_version_than_the_one_that_ends_is_not_warned_of_and_that_very_one_is_at_its_line() {
    assert_eq!(warned("version = \"v27.0\"", "2029-01-01"), [""; 0]);
    let [written] = warned("version = \"v26.0\"", "2028-04-02").try_into().unwrap();
    assert!(written.contains(":12: the setting `version`"), "{written}");
}
