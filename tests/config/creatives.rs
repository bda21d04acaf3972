//! `[[creative]]`: what a campaign shows, where each leads, and which links lead there.

use postbridge::config::configuration::Config;
use postbridge::config::links::CreativeLinks;
use postbridge::template::macros::grammar::Grammar;
use postbridge::template::macros::url::{LANDING_NAMES, MacroUrl};

fn read(text: &str) -> Config {
    Config::parse("postbridge.toml", text, &|_| None).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// An offer with three creatives, of which its campaign lists two.
fn config(url: &str, creative: &str) -> Config {
    read(&format!(
        r#"
[server]
public_url = "https://t.example.com"
[tag]
origins = ["https://advertiser.example"]
[[affiliate]]
id = "200"
[[offer]]
id = "565"
url = "{url}"
currency = "USD"
[[creative]]
id = "761"
offer = "565"
name = "Spring"
[[creative]]
id = "762"
offer = "565"
url = "https://summer.example:8443/{{campaign_id}}?k={{creative_id}}&cid={{click_id}}#top"
[[creative]]
id = "763"
offer = "565"
[[campaign]]
id = "8599"
offer = "565"
affiliate = "200"
creative = {creative}
"#
    ))
}

const PAGE: &str = "https://advertiser.example/lp?cid={click_id}&s1={s1}&lang=en";

fn links(config: &Config) -> Vec<CreativeLinks> {
    config.links(&config.campaigns[0])
}

#[test]
fn the_first_creative_has_the_campaigns_own_link_and_the_others_name_themselves() {
    let config = config(PAGE, "[\"761\", \"762\"]");
    let links = links(&config);
    let tracking: Vec<&str> = links.iter().map(|one| one.tracking.as_str()).collect();
    assert_eq!(tracking, ["https://t.example.com/c/8599", "https://t.example.com/c/8599?c=762"]);
    let by_creative: Vec<&str> = links.iter().map(|one| one.by_creative.as_str()).collect();
    assert_eq!(by_creative, ["https://t.example.com/?a=200&c=761", "https://t.example.com/?a=200&c=762"]);
    let reversed = self::config(PAGE, "[\"762\", \"761\"]");
    assert_eq!(self::links(&reversed)[0].tracking, "https://t.example.com/c/8599");
    assert_eq!(self::links(&reversed)[1].tracking, "https://t.example.com/c/8599?c=761");
}

#[test]
fn a_direct_link_is_the_creatives_page_or_the_offers_without_what_only_a_click_fills_in() {
    let config = config(PAGE, "[\"761\", \"762\"]");
    let links = links(&config);
    let first = links[0].direct.as_ref().unwrap();
    assert_eq!(first.url, "https://advertiser.example/lp?lang=en&a=200&c=761");
    assert_eq!((first.origin.as_str(), first.takes_tag), ("https://advertiser.example", true));
    let second = links[1].direct.as_ref().unwrap();
    assert_eq!(second.url, "https://summer.example:8443/8599?k=762&a=200&c=762#top");
    assert_eq!((second.origin.as_str(), second.takes_tag), ("https://summer.example:8443", false));
}

#[test]
fn a_page_that_only_a_click_can_name_has_no_direct_link_and_says_so() {
    for (url, named) in [
        ("https://advertiser.example/lp/{click_id}", "{click_id}"),
        ("https://advertiser.example/{s3}/lp?x=1&cid={click_id}", "{s3}"),
        ("https://advertiser.example/lp?x=1#/go?cid={click_id}", "{click_id}"),
        ("https://advertiser.example/lp?C=5&cid={click_id}", "`c`"),
        ("https://advertiser.example/lp?cid={click_id}&%61=7", "`a`"),
    ] {
        let config = config(url, "\"761\"");
        let problem = links(&config)[0].direct.clone().unwrap_err();
        assert!(problem.what.contains(named), "{url}: {problem}");
        assert!(problem.hint.contains("[[creative]]"), "{problem}");
    }
}

#[test]
fn what_a_page_says_already_is_said_once() {
    for (url, direct) in [
        (
            "https://a.example/?c={creative_id}&A={affiliate_id}&x={click_id}",
            "https://a.example/?a=200&c=761",
        ),
        ("https://a.example/p?a=200&cid={click_id}&z=%26", "https://a.example/p?z=%26&a=200&c=761"),
        ("https://a.example/p?cid={click_id}", "https://a.example/p?a=200&c=761"),
        ("https://a.example/p?&&cid=x-{click_id}-y&b", "https://a.example/p?b&a=200&c=761"),
    ] {
        assert_eq!(links(&config(url, "\"761\""))[0].direct.as_ref().unwrap().url, direct, "{url}");
    }
}

#[test]
fn one_creative_alone_needs_no_table_while_its_offer_has_none() {
    let text = |creative: &str| {
        format!(
            r#"
[[affiliate]]
id = "200"
[[offer]]
id = "565"
url = "https://advertiser.example/lp?cid={{click_id}}"
currency = "USD"
[[campaign]]
id = "8599"
offer = "565"
affiliate = "200"
creative = {creative}
"#
        )
    };
    for creative in ["\"761\"", "[\"761\"]"] {
        let config = read(&text(creative));
        assert_eq!(config.campaigns[0].campaign.creatives[0].as_str(), "761");
        let direct = links(&config)[0].direct.clone().unwrap();
        assert_eq!(direct.url, "https://advertiser.example/lp?a=200&c=761");
    }
    assert!(read(&text("[]")).campaigns[0].campaign.creatives.is_empty());
}

#[test]
fn a_creatives_page_is_read_as_an_offers_is() {
    let config = config(PAGE, "[\"761\", \"762\"]");
    let [spring, summer, other] = &config.creatives[..] else { panic!("three creatives") };
    assert_eq!((spring.name.as_str(), summer.name.as_str(), other.name.as_str()), ("Spring", "762", "763"));
    assert!(spring.landing.is_none());
    assert_eq!(summer.landing.as_ref().unwrap().names(), ["campaign_id", "creative_id", "click_id"]);
    let warned: Vec<&str> = config.warnings.iter().map(|warning| warning.what.as_str()).collect();
    assert!(warned.iter().any(|what| what.contains("no campaign lists the creative `763`")), "{warned:?}");
}

#[test]
fn a_direct_link_of_any_address_leads_to_the_page_of_that_address() {
    let known = |name: &str| (name == "offer_id").then(|| "5 6/5".to_owned());
    for url in
        ["https://a.example", "https://a.example?", "https://a.example/?x={offer_id}", "https://a.example#f"]
    {
        let page = MacroUrl::compile(url, &Grammar::braces(), LANDING_NAMES).unwrap();
        let direct = url::Url::parse(&page.direct(&known, &[("a", "x:1"), ("c", "2")]).unwrap()).unwrap();
        assert_eq!((direct.host_str(), direct.path()), (Some("a.example"), "/"), "{url}");
        let pairs: Vec<_> = direct.query_pairs().filter(|(name, _)| name != "x").collect();
        assert_eq!(pairs, [("a".into(), "x:1".into()), ("c".into(), "2".into())], "{url}");
    }
}
