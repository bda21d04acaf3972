//! What a template says of the ages of events and clicks is what its destinations go by.

use postbridge::config::configuration::Config;

const HOUR_MS: i64 = 3_600_000;

#[test]
fn the_ages_of_a_template_are_those_of_its_destinations() {
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("mine/destinations/sink");
    std::fs::create_dir_all(&own).unwrap();
    let toml = "label = \"Sink\"\nmax_age_hours = 48\nmax_click_age_hours = 720\nmin_click_age_hours = 6\n\
                [events]\nPurchase = \"buy\"\n[request]\nmethod = \"GET\"\nurl = \"https://a.example/?id={{event_id}}\"\n";
    std::fs::write(own.join("destination.toml"), toml).unwrap();
    let text = "[server]\nlisten = \"127.0.0.1:0\"\npublic_url = \"https://t.example.com\"\n[store]\npath = \"data\"\n\
                [templates]\npath = \"mine\"\n[[destination]]\nid = \"one\"\ntemplate = \"sink\"\n";
    let file = folder.path().join("postbridge.toml");
    std::fs::write(&file, text).unwrap();
    let config = Config::load(&file).map_err(|problems| format!("{problems:?}")).unwrap();
    let route = &config.destinations[0].route;
    let hours = [route.max_age_ms, route.max_click_age_ms, route.min_click_age_ms];
    assert_eq!(hours.map(|age| age.map(|age| age / HOUR_MS)), [Some(48), Some(720), Some(6)]);
    assert!(route.asks_for_click_age());
}
