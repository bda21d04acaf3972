//! What a visitor's request reports: the user agent, the address's country, the parameters of the link.

use postbridge::domain::click::{ClickKind, ClickOrigin};
use postbridge::enrich::agent::{self, LinkPreview};
use postbridge::enrich::country::Countries;
use postbridge::ingest::landing::{Browser, CarriedPairs, Landing, VisitorEnricher};

use crate::support::country_file;

const DESKTOP: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36";
const PHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1";

fn device(user_agent: &str) -> String {
    agent::read(Some(user_agent)).agent.device
}

fn bot(user_agent: &str) -> Option<String> {
    agent::read(Some(user_agent)).agent.bot
}

#[test]
fn a_browser_reports_its_device_its_system_and_itself() {
    let desktop = agent::read(Some(DESKTOP)).agent;
    assert_eq!(
        (desktop.device.as_str(), desktop.system.as_deref(), desktop.browser.as_deref(), desktop.bot),
        ("desktop", Some("Windows 10"), Some("Chrome 131"), None)
    );
    let phone = agent::read(Some(PHONE)).agent;
    assert_eq!(
        (phone.device.as_str(), phone.system.as_deref(), phone.browser.as_deref()),
        ("mobile", Some("iOS 18.1"), Some("Safari 18.1"))
    );
}

#[test]
fn tablets_televisions_and_consoles_are_reported_from_computers_and_phones() {
    let webkit = "AppleWebKit/537.36 (KHTML, like Gecko)";
    for (user_agent, expected) in [
        ("Mozilla/5.0 (iPad; CPU OS 17_6 like Mac OS X) AppleWebKit/605.1.15 Version/17.6 Mobile/15E148 Safari/604.1".to_owned(), "tablet"),
        (format!("Mozilla/5.0 (Linux; Android 14; SM-X700) {webkit} Chrome/130.0.0.0 Safari/537.36"), "tablet"),
        (format!("Mozilla/5.0 (Linux; Android 14; Pixel 8) {webkit} Chrome/130.0.0.0 Mobile Safari/537.36"), "mobile"),
        (format!("Mozilla/5.0 (SMART-TV; Linux; Tizen 7.0) {webkit} Version/7.0 TV Safari/537.36"), "tv"),
        (format!("Mozilla/5.0 (PlayStation 5 8.00) {webkit} Version/13.0 Safari/605.1.15"), "console"),
        ("curl/8.5.0".to_owned(), "bot"),
        ("something else".to_owned(), "other"),
    ] {
        assert_eq!(device(&user_agent), expected, "{user_agent}");
    }
}

#[test]
fn programs_are_reported_by_name() {
    for (user_agent, expected) in [
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "Googlebot"),
        ("curl/8.5.0", "curl"),
        ("python-requests/2.31.0", "python-requests"),
        (
            "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
            "GPTBot",
        ),
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/131.0.0.0 Safari/537.36",
            "HeadlessChrome",
        ),
        ("Mozilla/5.0 (compatible; pinterest.com/bot.html)", "pinterest.com/bot"),
    ] {
        assert_eq!(bot(user_agent).as_deref(), Some(expected), "{user_agent}");
    }
    assert_eq!(bot(DESKTOP), None);
    assert_eq!(
        bot(
            "Mozilla/5.0 (Linux; Android 12; CUBOT X30) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36"
        ),
        None
    );
    assert_eq!(agent::read(None).agent.bot.as_deref(), Some("a client that does not name itself"));
}

#[test]
fn a_link_preview_is_reported_from_a_person_inside_the_same_networks_app() {
    for preview in [
        "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
        "WhatsApp/2.23.20.0 A",
        "TelegramBot (like TwitterBot)",
        "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
        "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)",
        "Mozilla/5.0 (compatible; Pinterestbot/1.0; +http://www.pinterest.com/bot.html)",
        "kakaotalk-scrap/1.0; +https://devtalk.kakao.com/",
    ] {
        let reported = agent::read(Some(preview));
        assert_eq!(
            (reported.preview, reported.agent.device.as_str()),
            (LinkPreview::Yes, "bot"),
            "{preview}"
        );
    }
    let phone = "Mozilla/5.0 (Linux; Android 14; SM-S918B; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/131.0.0.0 Mobile Safari/537.36";
    for inside in [
        "MetaIAB Facebook",
        "[FB_IAB/FB4A;FBAV/490.0.0.63.82;IABMV/1;]",
        "Instagram 357.0.0.27.109 Android",
        "Pinterest/12.40",
        "Viber/22.1",
        "Bluesky/1.9",
        "WhatsApp/2.24",
    ] {
        let reported = agent::read(Some(&format!("{phone} {inside}")));
        assert_eq!((reported.preview, reported.agent.bot), (LinkPreview::No, None), "{inside}");
        assert_eq!(reported.agent.device, "mobile", "{inside}");
    }
}

#[test]
fn the_words_and_names_that_are_compiled_in_can_be_read() {
    let landing = Landing::built_in();
    for name in [
        "fbclid",
        "gclid",
        "gbraid",
        "wbraid",
        "ttclid",
        "ScCid",
        "epik",
        "msclkid",
        "rdt_cid",
        "twclid",
        "li_fat_id",
        "tblci",
        "dicbo",
        "qclid",
    ] {
        assert!(landing.params.as_slice().iter().any(|known| known == name), "{name}");
    }
    assert!(landing.cookies.as_slice().iter().any(|known| known == "_fbp"));
    // With no words at all a television would be a computer.
    assert_eq!(device("Mozilla/5.0 (SMART-TV; Linux) AppleWebKit/537.36 Safari/537.36"), "tv");
}

#[test]
fn only_declared_parameters_and_cookies_are_kept() {
    let mut landing = Landing::built_in();
    landing.declare(&["newclid".to_owned()], &["_new".to_owned()]);
    let carried =
        CarriedPairs::of_query(b"fbclid=F1&newclid=N1&password=secret&sccid=S1&utm_source=x&s1=a&gclid=");
    let kept = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        landing.params.pick(&carried).pairs,
        [kept("fbclid", "F1"), kept("newclid", "N1"), kept("ScCid", "S1"), kept("utm_source", "x")]
    );
    assert_eq!(landing.sub_ids.pick(&carried).pairs, [kept("s1", "a")]);
    let cookies =
        CarriedPairs::of_cookies([b"_fbp=fb.1.2.3; session=secret".as_slice(), b"_new=1; _ga_AB=GS1"]);
    assert_eq!(
        landing.cookies.pick(&cookies).pairs,
        [kept("_fbp", "fb.1.2.3"), kept("_new", "1"), kept("_ga_AB", "GS1")]
    );
}

#[test]
fn a_value_is_decoded_exactly_once() {
    let landing = Landing::built_in();
    for (raw, expected) in [
        ("s1=a+b", "a b"),
        ("s1=a%20b", "a b"),
        ("s1=a%2Bb", "a+b"),
        ("s1=a%2520b", "a%20b"),
        ("s1=100%25", "100%"),
        ("s1=100%", "100%"),
        ("s1=caf%C3%A9", "café"),
        ("s1=caf%E9", "caf\u{fffd}"),
        ("s1=a%26b", "a&b"),
        ("amp;s1=x", "x"),
        ("s1=a=b", "a=b"),
    ] {
        let picked = landing.sub_ids.pick(&CarriedPairs::of_query(raw.as_bytes())).pairs;
        assert_eq!(picked, [("s1".to_owned(), expected.to_owned())], "{raw}");
    }
}

#[test]
fn a_second_question_mark_divides_as_on_a_postback() {
    let landing = Landing::built_in();
    let kept = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    for query in [
        "x=1?fbclid=F1",
        "x=1?fbclid=F1&y=2",
        "?fbclid=F1",
        "x?fbclid=F1",
        "x=1&amp;fbclid=F1",
        "x=1&#038;fbclid=F1",
    ] {
        assert_eq!(
            landing.params.pick(&CarriedPairs::of_query(query.as_bytes())).pairs,
            [kept("fbclid", "F1")],
            "{query}"
        );
    }
    let three = CarriedPairs::of_query(b"x=1?gclid=G1?utm_source=a?b");
    assert_eq!(landing.params.pick(&three).pairs, [kept("gclid", "G1"), kept("utm_source", "a?b")]);
    let url = CarriedPairs::of_query(b"utm_source=https://x.example/?fbclid=F1");
    assert_eq!(landing.params.pick(&url).pairs, [kept("utm_source", "https://x.example/?fbclid=F1")]);
    let landed = CarriedPairs::of_address("https://shop.example/lp?x=1?fbclid=F1#top?gclid=G1");
    assert_eq!(landing.params.pick(&landed).pairs, [kept("fbclid", "F1")]);
    let many = "a=1?".repeat(100_000);
    let many = CarriedPairs::of_query(many.as_bytes());
    assert_eq!(many.get("a").as_deref(), Some("1"));
}

#[test]
fn click_ids_and_campaign_parameters_are_kept_whatever_their_case() {
    let landing = Landing::built_in();
    let kept = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        landing
            .params
            .pick(&CarriedPairs::of_query(b"FBCLID=F1&Gclid=G1&UTM_Source=x&utm_Own=y&SCCID=S1"))
            .pairs,
        [
            kept("fbclid", "F1"),
            kept("gclid", "G1"),
            kept("utm_source", "x"),
            kept("utm_Own", "y"),
            kept("ScCid", "S1")
        ]
    );
    let passed = CarriedPairs::of_query(b"A=200&C=761&FBCLID=F1");
    let pass = ["fbclid".to_owned(), "a".to_owned()];
    assert_eq!(passed.passed(&pass, &["a", "c"]), [(b"FBCLID".as_slice(), b"F1".as_slice())]);
}

#[test]
fn what_is_too_much_is_left_out_and_never_cut() {
    let landing = Landing::built_in();
    let query = format!("s1={}&s2=ok", "x".repeat(2049));
    let picked = landing.sub_ids.pick(&CarriedPairs::of_query(query.as_bytes())).pairs;
    assert_eq!(picked, [("s2".to_owned(), "ok".to_owned())]);
    let many: String = (0..1000).map(|n| format!("utm_{n}=1&")).collect();
    assert_eq!(landing.params.pick(&CarriedPairs::of_query(many.as_bytes())).pairs.len(), 64);
}

#[test]
fn of_two_values_the_first_is_kept() {
    let landing = Landing::built_in();
    let picked = landing.sub_ids.pick(&CarriedPairs::of_query(b"s1=first&S1=second&s1=third")).pairs;
    assert_eq!(picked, [("s1".to_owned(), "first".to_owned())]);
}

#[test]
fn a_country_is_reported_by_the_users_file_and_by_nothing_else() {
    let file = country_file::of(&[("203.0.113.0/24", "DE"), ("2001:db8::/32", "fr")]);
    let countries = Countries::from_bytes(file).unwrap();
    let of = |address: &str| countries.of(address.parse().unwrap());
    assert_eq!(of("203.0.113.9").as_deref(), Some("DE"));
    assert_eq!(of("::ffff:203.0.113.9").as_deref(), Some("DE"));
    assert_eq!(of("2001:db8::1").as_deref(), Some("FR"));
    assert_eq!(of("198.51.100.1"), None);
    assert_eq!(Countries::default().of("203.0.113.9".parse().unwrap()), None);
}

#[test]
fn a_file_in_another_format_is_refused_at_once() {
    assert!(Countries::from_bytes(b"network,country\n203.0.113.0/24,DE\n".to_vec()).is_err());
    let mut cut = country_file::of(&[("203.0.113.0/24", "DE")]);
    cut.truncate(100);
    assert!(Countries::from_bytes(cut).is_err());
    assert!(Countries::open(std::path::Path::new("/nonexistent.mmdb")).is_err());
}

#[test]
fn a_preview_is_no_visit_and_neither_is_a_head_of_a_preview() {
    let enricher = VisitorEnricher { landing: Landing::built_in(), ..VisitorEnricher::default() };
    let kind = |user_agent: &str, asked| {
        let browser = Browser {
            ip: "203.0.113.9".parse().unwrap(),
            user_agent: Some(user_agent.to_owned()),
            agent_bytes: user_agent.len(),
            asked,
        };
        enricher.context(ClickOrigin::Link, &browser).kind
    };
    assert_eq!(kind(DESKTOP, ClickKind::Visit), ClickKind::Visit);
    assert_eq!(kind("WhatsApp/2.23.20.0 A", ClickKind::Visit), ClickKind::Preview);
    assert_eq!(kind("WhatsApp/2.23.20.0 A", ClickKind::Head), ClickKind::Head);
    assert_eq!(kind(DESKTOP, ClickKind::Prefetch), ClickKind::Prefetch);
}
