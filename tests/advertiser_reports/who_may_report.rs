//! By whom an offer's conversions may be reported: what is open, what is said of a closed endpoint, and what is
//! taken once it is open.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::link_fixture::{browse, header, location, parameter, relay_with, visit};
use crate::support::relay::wait_until;
use crate::support::report_fixture::{ReportFixture, result, word};

#[test]
fn without_report_by_only_the_api_is_open_and_every_other_endpoint_says_so_in_its_own_shape() {
    let fixture = ReportFixture::new("");
    let (click, cookie) = fixture.visitor();
    let image = browse(&fixture.relay, &format!("/pixel.gif?offer=565&click_id={click}&transaction_id=T1"));
    assert_eq!((image.status, header(&image, "content-type").as_deref()), (200, Some("image/gif")));
    assert!(result(&image).starts_with("endpoint_closed: "), "{}", result(&image));
    assert!(result(&image).contains("`report_by = [\"api\", \"pixel\"]`"), "{}", result(&image));
    let script = browse(&fixture.relay, &format!("/pixel.js?offer=565&click_id={click}")).text();
    assert!(script.starts_with("/* endpoint_closed: ") && script.ends_with(" */\n"), "{script}");
    let frame = browse(&fixture.relay, &format!("/p.ashx?o=565&r={click}&t=T2")).text();
    assert!(frame.contains("<p>endpoint_closed: "), "{frame}");
    let headers = format!("Cookie: {cookie}\r\n");
    let classic = visit(&fixture.relay, "GET", b"/p.ashx?o=565&f=img", &headers);
    assert!(result(&classic).starts_with("endpoint_closed: "), "{}", result(&classic));
    let server = fixture.server(&format!("r={click}&t=T3"));
    assert!(server.starts_with("endpoint_closed: ") && !server.contains("SUCCESS"), "{server}");
    assert!(server.contains("`report_by = [\"api\", \"server\"]`"), "{server}");
    assert_eq!(fixture.conversions(), [] as [Value; 0]);
    let kept = fixture.quarantined();
    assert_eq!(kept.len(), 5, "{kept:?}");
    for record in &kept {
        assert_eq!(record["reason_code"], "endpoint_closed", "{record}");
    }
    assert_eq!((word(&kept[0], "field"), word(&kept[0], "value")), ("report_by", "server"));
    assert_eq!((word(&kept[4], "field"), word(&kept[4], "value")), ("report_by", "pixel"));
}

#[test]
fn what_was_kept_at_a_closed_endpoint_is_taken_when_a_reload_opens_it() {
    let fixture = ReportFixture::new("report_by = [\"api\"]");
    let (click, _) = fixture.visitor();
    let (_, cookie) = fixture.visitor();
    fixture.server(&format!("r={click}&t=T1"));
    // The cookie alone says whose sale it is.
    visit(&fixture.relay, "GET", b"/pixel.gif?offer=565&transaction_id=T2", &format!("Cookie: {cookie}\r\n"));
    browse(&fixture.relay, &format!("/pixel.gif?offer=565&transaction_id=T3&junk={}", "x".repeat(3000)));
    fixture.reload("report_by = [\"api\"]", "report_by = [\"pixel\"]");
    let pixel = fixture.waits_for(1).remove(0);
    assert_eq!(word(&pixel, "transaction_id"), "T2", "{pixel}");
    assert_eq!(word(&pixel["attribution"], "state"), "matched", "{pixel}");
    assert_eq!(word(&pixel["campaign_ref"], "affiliate"), "200", "{pixel}");
    fixture.reload("report_by = [\"pixel\"]", "report_by = [\"pixel\", \"server\"]");
    let server = fixture.waits_for(2).remove(0);
    assert_eq!((word(&server, "transaction_id"), word(&server, "status")), ("T1", "approved"), "{server}");
    let left = fixture.quarantined();
    assert_eq!(left.len(), 1, "what was cut says no more what it reported: {left:?}");
    let again = fixture.relay.post(&format!("/api/v1/postbacks/{}/retry", word(&left[0], "id")), "");
    assert_eq!(again.status, 409, "{}", again.text());
}

#[test]
fn what_was_kept_is_taken_at_a_start_that_opens_its_endpoint_and_by_hand() {
    let mut fixture = ReportFixture::new("report_by = [\"api\"]");
    let (click, _) = fixture.visitor();
    fixture.server(&format!("r={click}&t=T1"));
    let kept = fixture.quarantined().remove(0);
    let retry = |fixture: &ReportFixture| {
        fixture.relay.post(&format!("/api/v1/postbacks/{}/retry", word(&kept, "id")), "")
    };
    let closed = retry(&fixture);
    assert_eq!(closed.status, 409, "{}", closed.text());
    let error = closed.json()["error"].clone();
    assert_eq!(error["code"], "route_closed");
    assert_eq!(
        (&error["message"], &error["hint"]),
        (&kept["reason"], &kept["hint"]),
        "as the quarantine says"
    );
    assert_eq!(fixture.quarantined().len(), 1, "a try in vain leaves nothing behind");
    fixture.relay.kill();
    let offer = "report_by = [\"server\"]";
    fixture.relay = relay_with(fixture.folder.path(), "", offer, "[pixel]\nmax_per_second_per_ip = 1000\n");
    assert_eq!(word(&fixture.waits_for(1)[0], "transaction_id"), "T1");
    assert_eq!(retry(&fixture).status, 409, "once more would count it twice");
}

#[test]
fn a_call_of_the_api_for_an_offer_that_is_closed_to_it_is_an_error_and_is_taken_once_it_is_open() {
    let fixture = ReportFixture::new("report_by = [\"pixel\"]");
    let (click, _) = fixture.visitor();
    let token = crate::support::relay::TOKEN;
    let path = format!("/api/2/conversion.json?api_key={token}&offer_id=565&click_id={click}&unique_id=U1");
    let answer = browse(&fixture.relay, &path).json();
    assert_eq!(answer["request_status"], "Error", "{answer}");
    assert!(word(&answer, "message").starts_with("endpoint_closed: "), "{answer}");
    let kept = fixture.quarantined().remove(0);
    assert_eq!((word(&kept, "reason_code"), word(&kept, "source")), ("endpoint_closed", "cake-api"));
    fixture.reload("report_by = [\"pixel\"]", "report_by = [\"pixel\", \"api\"]");
    let taken = fixture.waits_for(1).remove(0);
    assert_eq!((word(&taken, "transaction_id"), word(&taken, "source")), ("U1", "cake-api"), "{taken}");
    assert_eq!(browse(&fixture.relay, &path).json()["unique_id"], "U1", "a repeat is the same");
    assert_eq!(fixture.conversions().len(), 1);
}

#[test]
fn a_server_reports_only_from_the_addresses_that_the_offer_names() {
    let proxied = "trusted_proxies = [\"127.0.0.1\"]\n";
    let folder = tempfile::tempdir().unwrap();
    let offer = "report_by = [\"server\", \"pixel\"]\nreport_from = [\"203.0.113.0/24\", \"2001:db8::7\"]";
    let relay = relay_with(folder.path(), proxied, offer, "");
    let fixture = ReportFixture { relay, folder };
    let from = |address: &str, path: &str| {
        let headers = format!("X-Forwarded-For: {address}\r\n");
        visit(&fixture.relay, "GET", path.as_bytes(), &headers)
    };
    for (n, address) in ["198.51.100.1", "203.0.114.1", "2001:db8::8"].into_iter().enumerate() {
        let (click, _) = fixture.visitor();
        let said = from(address, &format!("/p.ashx?o=565&r={click}&t=N{n}&f=pb")).text();
        assert!(said.starts_with("endpoint_closed: ") && said.contains("report_from"), "{address}: {said}");
    }
    assert_eq!(word(&fixture.quarantined()[0], "field"), "report_from");
    for (n, address) in ["203.0.113.9", "::ffff:203.0.113.10", "2001:db8::7"].into_iter().enumerate() {
        let (click, _) = fixture.visitor();
        let said = from(address, &format!("/p.ashx?o=565&r={click}&t=Y{n}&f=pb")).text();
        assert_eq!(said, "SUCCESS\n", "{address}");
    }
    let (click, _) = fixture.visitor();
    let pixel = from("198.51.100.1", &format!("/pixel.gif?offer=565&click_id={click}&transaction_id=P1"));
    assert_eq!(result(&pixel), "SUCCESS", "browsers are anywhere");
    fixture.reload("\"2001:db8::7\"", "\"198.51.100.1\"");
    assert_eq!(word(&fixture.waits_for(5)[0], "transaction_id"), "N0");
}

/// A relay of servers that report from 203.0.113.0/24, behind these declared proxies.
fn of_named_servers(server: &str) -> ReportFixture {
    let folder = tempfile::tempdir().unwrap();
    let offer = "report_by = [\"server\"]\nreport_from = [\"203.0.113.0/24\"]";
    let relay = relay_with(folder.path(), server, offer, "[pixel]\nmax_per_second_per_ip = 1000\n");
    ReportFixture { relay, folder }
}

#[test]
fn a_server_behind_an_undeclared_proxy_is_reported_so_and_a_person_takes_it_once_the_proxy_is_declared() {
    for (server, forwarded, declared) in [
        ("trusted_proxies = []\n", "203.0.113.9", "trusted_proxies = [\"127.0.0.1\"]\n"),
        (
            "trusted_proxies = [\"127.0.0.1\"]\n",
            "198.51.100.1, 203.0.113.9, 10.9.0.7",
            "trusted_proxies = [\"127.0.0.1\", \"10.9.0.7\"]\n",
        ),
    ] {
        let fixture = of_named_servers(server);
        let said = fixture.forwarded(forwarded, "Y1");
        assert!(said.starts_with("sender_behind_proxy: ") && said.contains("`trusted_proxies`"), "{said}");
        assert!(!said.contains("add the sender") && !said.contains("10.9.0.7"), "{said}");
        fixture.forwarded(&forwarded.replace("203.0.113.9", "203.0.114.9"), "N1");
        let kept = fixture.quarantined();
        assert_eq!(kept.len(), 2);
        let (stranger, named) = (&kept[0], &kept[1]);
        assert_eq!(
            (word(named, "reason_code"), word(named, "field")),
            ("sender_behind_proxy", "report_from")
        );
        let hops: Vec<&str> = forwarded.split(", ").collect();
        assert_eq!(named["raw"]["forwarded_for"], json!(hops), "a person sees what the headers said");
        let retried = |one: &Value| {
            let answer = fixture.relay.post(&format!("/api/v1/postbacks/{}/retry", word(one, "id")), "");
            (answer.status, word(&answer.json(), "status").to_owned())
        };
        assert_eq!(retried(named).0, 409, "its proxy is not declared yet");

        fixture.reload(server, declared);
        let is_declared = || fixture.forwarded(forwarded, "Y2") == "SUCCESS\n";
        assert!(wait_until(Duration::from_secs(10), is_declared), "one that is received now is taken");
        assert_eq!(retried(named), (200, "accepted".to_owned()));
        let before = fixture.quarantined();
        assert!(before.contains(stranger));
        assert_eq!(retried(stranger).0, 409, "it may not report");
        assert_eq!(fixture.quarantined(), before, "a try in vain leaves nothing behind");
    }
}

/// A proxy that passes on what its clients write lets them write who they are: nothing that was received while
/// it was not declared is believed because it is declared later.
#[test]
fn what_headers_said_through_an_undeclared_proxy_counts_only_where_a_person_says_so() {
    let (open, closed) = ("report_by = [\"server\"]", "report_by = [\"api\"]");
    let (none, declared) = ("trusted_proxies = []\n", "trusted_proxies = [\"127.0.0.1\"]\n");
    let mut fixture = of_named_servers(none);
    fixture.forwarded("203.0.113.9", "FORGED-1");
    fixture.reload(open, closed);
    let is_closed = || fixture.forwarded("203.0.113.9", "FORGED-2").starts_with("endpoint_closed: ");
    assert!(wait_until(Duration::from_secs(10), is_closed));
    let pixel = |fixture: &ReportFixture, id: &str| {
        let (click, _) = fixture.visitor();
        browse(&fixture.relay, &format!("/pixel.gif?offer=565&click_id={click}&transaction_id={id}"));
    };
    pixel(&fixture, "PIXEL-1");
    let kept = fixture.quarantined();
    fixture.reload(none, declared);
    fixture.reload(closed, "report_by = [\"server\", \"pixel\"]");
    assert_eq!(word(&fixture.waits_for(1)[0], "transaction_id"), "PIXEL-1", "it had no sender to believe");
    // Neither is a start a person, nor is an offer that takes reports from anywhere now.
    for (had, now) in [("", ""), ("report_from = [\"203.0.113.0/24\"]", "")] {
        let config = std::fs::read_to_string(fixture.folder.path().join("postbridge.toml")).unwrap();
        fixture.relay.kill();
        let setup =
            crate::support::relay::Setup::cake_to_meta(fixture.folder.path(), "127.0.0.1:9".parse().unwrap());
        fixture.relay = setup.run(&config.replace(had, now)).unwrap();
        pixel(&fixture, &format!("AFTER{}", had.len()));
    }
    let refused: Vec<Value> =
        kept.into_iter().filter(|one| one["reason_code"] == "sender_behind_proxy").collect();
    let left = fixture.quarantined();
    assert!(!refused.is_empty() && refused.iter().all(|one| left.contains(one)), "{left:?}");
    let taken =
        fixture.relay.post(&format!("/api/v1/postbacks/{}/retry", word(refused.last().unwrap(), "id")), "");
    assert_eq!(word(&taken.json(), "status"), "accepted", "{}", taken.text());
}

#[test]
fn what_a_program_on_a_declared_proxys_machine_reported_is_taken_once_its_endpoint_is_open_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let proxied = "trusted_proxies = [\"127.0.0.1\"]\n";
    let fixture =
        ReportFixture { relay: relay_with(folder.path(), proxied, "report_by = [\"api\"]", ""), folder };
    let (click, _) = fixture.visitor();
    assert!(fixture.server(&format!("r={click}&t=S1")).starts_with("endpoint_closed: "));
    let open = "report_by = [\"server\"]\nreport_from = [\"127.0.0.1\"]";
    fixture.reload("report_by = [\"api\"]", open);
    assert_eq!(word(&fixture.waits_for(1)[0], "transaction_id"), "S1");
}

#[test]
fn where_an_offer_takes_reports_from_anywhere_a_hidden_sender_is_no_obstacle_and_lends_no_address() {
    let folder = tempfile::tempdir().unwrap();
    let relay = relay_with(folder.path(), "trusted_proxies = []\n", "report_by = [\"api\"]", "");
    let fixture = ReportFixture { relay, folder };
    let (click, _) = fixture.visitor();
    let path = format!("/pixel.gif?offer=565&click_id={click}&transaction_id=P1");
    visit(&fixture.relay, "GET", path.as_bytes(), "X-Forwarded-For: 203.0.113.9\r\n");
    fixture.reload("trusted_proxies = []", "trusted_proxies = [\"127.0.0.1\"]");
    fixture.reload("report_by = [\"api\"]", "report_by = [\"pixel\"]");
    let taken = fixture.waits_for(1).remove(0);
    let trace = fixture.relay.api(&format!("/api/v1/conversions/{}", word(&taken, "id")));
    assert!(!trace["traits"].to_string().contains("203.0.113.9"), "{trace}");
}

#[test]
fn the_network_of_an_undeclared_proxy_in_report_from_opens_the_endpoint_to_no_one_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let offer = "report_by = [\"server\"]\nreport_from = [\"127.0.0.0/8\"]";
    let fixture = ReportFixture { relay: relay_with(folder.path(), "", offer, ""), folder };
    let (click, _) = fixture.visitor();
    let path = format!("/p.ashx?o=565&r={click}&t=S1&f=pb");
    let said = visit(&fixture.relay, "GET", path.as_bytes(), "X-Forwarded-For: 198.51.100.1\r\n").text();
    assert!(said.starts_with("sender_behind_proxy: "), "{said}");
    assert_eq!(fixture.server(&format!("r={click}&t=S2")), "SUCCESS\n", "a program of this machine");
}

#[test]
fn a_report_through_a_declared_proxy_that_names_no_one_says_what_the_proxy_has_to_send() {
    let fixture = of_named_servers("trusted_proxies = [\"127.0.0.1\"]\n");
    let (click, _) = fixture.visitor();
    let said = fixture.server(&format!("r={click}&t=S1"));
    assert!(said.starts_with("sender_behind_proxy: ") && said.contains("`X-Forwarded-For`"), "{said}");
}

#[test]
fn reports_of_an_offer_that_is_out_of_the_configuration_for_a_while_wait_for_it() {
    let mut fixture = ReportFixture::new("report_by = [\"api\"]");
    let (click, _) = fixture.visitor();
    fixture.server(&format!("r={click}&t=T1"));
    browse(&fixture.relay, &format!("/pixel.gif?offer=565&click_id={click}&transaction_id=T2&event=Lead"));
    let config = fixture.folder.path().join("postbridge.toml");
    let closed = std::fs::read_to_string(&config).unwrap();
    let other = closed.replace("\"565\"", "\"566\"");
    fixture.relay.kill();
    let setup =
        crate::support::relay::Setup::cake_to_meta(fixture.folder.path(), "127.0.0.1:9".parse().unwrap());
    fixture.relay = setup.run(&other.replace("report_by = [\"api\"]", "report_by = [\"pixel\"]")).unwrap();
    let kept = fixture.quarantined();
    let retry = fixture.relay.post(&format!("/api/v1/postbacks/{}/retry", word(&kept[0], "id")), "");
    assert_eq!(retry.status, 409, "{}", retry.text());
    let error = retry.json()["error"].clone();
    assert_eq!(error["code"], "route_closed");
    assert_ne!(error["hint"], kept[0]["hint"], "it is not the route that is to be opened: {error:#}");
    assert_eq!(fixture.quarantined(), kept, "nothing was made of them");
    // Back by a reload, and open.
    std::fs::write(&config, closed.replace("report_by = [\"api\"]", "report_by = [\"pixel\", \"server\"]"))
        .unwrap();
    fixture.relay.signal(libc::SIGHUP);
    fixture.waits_for(2);
    assert_eq!(fixture.quarantined(), [] as [Value; 0]);
}

#[test]
fn many_reports_that_are_open_at_once_are_few_commits_and_one_line_in_the_log() {
    let fixture = ReportFixture::new("report_by = [\"pixel\"]");
    let (click, _) = fixture.visitor();
    let mut connection = crate::support::relay::Connection::open(fixture.relay.address).unwrap();
    for n in 0..128 {
        let path = format!(
            "/api/2/conversion.json?api_key={}&offer_id=565&click_id={click}&unique_id=U{n}",
            crate::support::relay::TOKEN
        );
        connection.get(&path).unwrap();
    }
    let commits = || fixture.relay.metric("postbridge_commit_group_size_count");
    let before = commits();
    fixture.reload("report_by = [\"pixel\"]", "report_by = [\"api\"]");
    fixture.waits_for(128);
    let took = commits() - before;
    assert!(took <= 64, "{took} commits for 128 reports");
    let line = || {
        let log = std::fs::read_to_string(fixture.folder.path().join("serve.log")).unwrap();
        let lines: Vec<String> =
            log.lines().filter(|line| line.contains("reprocessed")).map(str::to_owned).collect();
        lines
    };
    assert!(wait_until(Duration::from_secs(10), || !line().is_empty()));
    assert_eq!(line().len(), 1);
    assert!(line()[0].contains("reports=128") && line()[0].contains("accepted=128"), "{:?}", line());
    let oldest_first = fixture.conversions();
    assert_eq!(word(oldest_first.last().unwrap(), "transaction_id"), "U0");
}

#[test]
fn only_the_events_that_the_offer_names_are_taken_without_a_key() {
    let fixture = ReportFixture::new("report_by = [\"pixel\", \"server\"]");
    let (click, _) = fixture.visitor();
    for event in ["Signup", "AddToCart", "4"] {
        let image = browse(&fixture.relay, &format!("/pixel.gif?offer=565&click_id={click}&event={event}"));
        assert!(result(&image).starts_with("event_closed: "), "{event}: {}", result(&image));
        assert!(fixture.server(&format!("r={click}&e={event}")).starts_with("event_closed: "), "{event}");
    }
    let latest = &fixture.quarantined()[0];
    let about = ["reason_code", "field", "value"].map(|member| word(latest, member));
    assert_eq!(about, ["event_closed", "e", "4"]);
    assert_eq!(fixture.conversions().len(), 0);
    for event in ["Lead", "purchase"] {
        let image = browse(&fixture.relay, &format!("/pixel.gif?offer=565&click_id={click}&event={event}"));
        assert_eq!(result(&image), "SUCCESS", "{event}");
    }
    let events = "report_by = [\"pixel\", \"server\"]\npixel_events = [\"Signup\", \"Lead\"]";
    fixture.reload("report_by = [\"pixel\", \"server\"]", events);
    assert_eq!(word(&fixture.waits_for(3)[0], "event"), "Signup");
    let (click, _) = fixture.visitor();
    let unnamed = fixture.server(&format!("r={click}&t=T9"));
    assert!(unnamed.starts_with("event_closed: "), "a sale without a name is a Purchase: {unnamed}");
}

#[test]
fn pixel_calls_that_make_no_conversion_share_the_strangers_budget_and_keep_little() {
    let fixture = ReportFixture::new("report_by = [\"server\"]\naccept_pixel_value = true");
    let (click, _) = fixture.visitor();
    let junk = "x".repeat(6000);
    let other = "/p.ashx?o=565&f=pb&r=";
    let mut connection = crate::support::relay::Connection::open(fixture.relay.address).unwrap();
    let started = std::time::Instant::now();
    let mut sent = 0;
    while sent < 300 {
        for path in [
            format!("{other}{click}&p=7,50&junk={junk}"),
            format!("{other}{click}&e=%7Bevent%7D&junk={junk}"),
            format!("{other}&junk={junk}"),
            format!("/pixel.gif?offer=565&click_id={click}&junk={junk}"),
            format!("/pixel.gif?offer=none&junk={junk}"),
        ] {
            assert_eq!(connection.get(&path).unwrap().status, 200);
            sent += 1;
        }
    }
    let most = 10 * (usize::try_from(started.elapsed().as_secs()).unwrap() + 2);
    let kept = fixture.quarantined();
    assert!((1..=most).contains(&kept.len()), "{} of {sent}, at most {most}", kept.len());
    for record in &kept {
        assert!(record["raw"]["line"].as_str().unwrap().len() <= 2048);
    }
    assert!(fixture.server(&format!("r={click}&t=T1")).starts_with("SUCCESS"), "what is sound is taken");
}

#[test]
fn an_advertisers_numbers_are_the_same_after_a_restart_and_the_network_sees_both() {
    let folder = tempfile::tempdir().unwrap();
    let key = "KEY-OF-THE-ADVERTISER-31-0123456789";
    let start = || {
        let setup = relay_with(folder.path(), "", "advertiser = \"31\"", "");
        drop(setup);
        let config = folder.path().join("postbridge.toml");
        let text = std::fs::read_to_string(&config).unwrap();
        let token = format!(
            "tokens = [{{ name = \"acme\", token = \"{key}\", rights = [\"advertiser\"], advertiser = \"31\" }}, "
        );
        let text = text.replace("tokens = [", &token);
        let relay = crate::support::relay::Setup::cake_to_meta(folder.path(), "127.0.0.1:9".parse().unwrap())
            .run(&text);
        relay.unwrap()
    };
    let relay = start();
    let click = parameter(&location(&browse(&relay, "/c/8599")), "cid").unwrap();
    let path = format!("/api/2/conversion.json?api_key={key}&offer_id=565&click_id={click}&unique_id=U1");
    let reported = browse(&relay, &path).json()["conversion_id"].as_u64().unwrap();
    assert!(reported > 1_000_000, "{reported}");
    relay.kill();
    let relay = start();
    assert_eq!(browse(&relay, &path).json()["conversion_id"], reported);
    let conversion = relay.api("/api/v1/conversions")["items"][0].clone();
    let trace = relay.api(&format!("/api/v1/conversions/{}", word(&conversion, "id")));
    assert_eq!((&trace["advertiser_number"], &trace["sequence"]), (&json!(reported), &json!(1)), "{trace}");
}
