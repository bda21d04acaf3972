//! How many events a request to a destination carries: as its configuration says, else as its template does.

use postbridge::config::configuration::Config;
use postbridge::template::destination::batch::BatchSize;

fn batch(line: &str) -> BatchSize {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\npublic_url = \"https://t.example.com\"\n[store]\npath = \"data\"\n\
         [[destination]]\nid = \"one\"\ntemplate = \"meta\"\n{line}\n[destination.settings]\n\
         pixel_id = \"1234567890\"\naccess_token = \"a-token-of-a-test\"\n"
    );
    let file = folder.path().join("postbridge.toml");
    std::fs::write(&file, text).unwrap();
    let config = Config::load(&file).map_err(|problems| format!("{problems:?}")).unwrap();
    config.destinations[0].batch
}

#[test]
fn a_request_carries_what_the_destination_says_and_else_what_its_template_does() {
    let size = |max_events, max_wait_ms| BatchSize { max_events, max_wait_ms };
    assert_eq!(batch(""), size(1, 0));
    assert_eq!(batch("batch = { max_events = 100 }"), size(100, 0));
    assert_eq!(batch("batch = { max_events = 1000, max_wait_ms = 500 }"), size(1000, 500));
}
