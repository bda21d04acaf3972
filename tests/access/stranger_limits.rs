//! What the table of routes says of strangers is what holds: every row is asked until its limit shows.

use http::Method;
use postbridge::web::routes::{Endpoint, PageCall, Permission, RouteRow, StrangerLimit, table};

use crate::support::platform::Platform;
use crate::support::relay::{CAMPAIGN, Relay, Setup};

const ORIGIN: &str = "https://shop.example";

/// A path that a row takes, with ids that are written as its own are.
fn path(row: &RouteRow) -> String {
    let named = [
        ("{key}/collect/{source}", "a-wrong-key/collect/cake-test"),
        ("{campaign}", "8599"),
        ("{affiliate}", "200"),
        ("{creative}", "761"),
        ("{hash}", "0123456789abcdef"),
        ("{list}", "refunds"),
    ];
    let filled = named.iter().fold(row.path.to_owned(), |path, (name, value)| path.replace(name, value));
    let id = if filled.starts_with("/api/v1/postbacks") { "1" } else { "0123456789abcdef0123456789abcdef" };
    let filled = filled.replace("{id}", id);
    match row.permission {
        Permission::ApiKey => format!("{filled}?api_key=wrong-token-0123456789"),
        _ if row.path == "/click.gif" => format!("{filled}?campaign=8599"),
        _ => filled,
    }
}

/// What a stranger at this address sends there: a wrong token, wherever one is looked for.
fn send(relay: &Relay, row: &RouteRow, address: &str) -> u16 {
    let (content_type, body) = match row.permission {
        Permission::TagOrigin => ("text/plain", "{}"),
        _ => (
            "application/x-www-form-urlencoded",
            "token=wrong-token-0123456789&api_key=wrong-token-0123456789",
        ),
    };
    let headers = format!(
        "X-Forwarded-For: {address}\r\nAuthorization: Bearer wrong-token-0123456789\r\nOrigin: {ORIGIN}\r\n\
         Content-Type: {content_type}\r\n"
    );
    let method = row.methods[0].as_str();
    let body = if row.methods[0] == Method::POST { body } else { "" };
    relay.send(method, &path(row), &headers, body).status
}

fn unrecorded(relay: &Relay) -> f64 {
    let metrics = relay.get("/metrics").text();
    let lines = metrics.lines().filter(|line| line.starts_with("postbridge_unrecorded_clicks_total"));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

/// Whether so many requests in a row meet a 429 or lose a click; at the first of either it is known.
fn meets(relay: &Relay, row: &RouteRow, (address, most): (&str, usize)) -> (bool, bool) {
    let before = unrecorded(relay);
    for _ in 0..most {
        let is_refused = send(relay, row, address) == 429;
        let loses_clicks = row.strangers != StrangerLimit::Nothing && unrecorded(relay) > before;
        if is_refused || loses_clicks {
            return (is_refused, loses_clicks);
        }
    }
    (false, unrecorded(relay) > before)
}

#[test]
fn every_row_limits_strangers_as_it_says_and_no_other_does() {
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let mut setup = Setup::cake_to_meta(folder.path(), platform.address);
    setup.server = "trusted_proxies = [\"127.0.0.1\"]\n".to_owned();
    setup.extra += CAMPAIGN;
    setup.extra += &format!(
        "[links]\nmax_per_second_per_ip = 1\n[pixel]\nmax_per_second_per_ip = 3\n[tag]\norigins = [\"{ORIGIN}\"]\nmax_per_second_per_ip = 3\n"
    );
    let relay = setup.start();
    for (number, row) in table::ROUTES.iter().enumerate() {
        let (expected, most) = match row.strangers {
            StrangerLimit::Nothing => ((false, false), 25),
            StrangerLimit::Clicks => ((false, true), 300),
            StrangerLimit::Refused
            | StrangerLimit::WrongTokens
            | StrangerLimit::Pixels
            | StrangerLimit::Tag => ((true, false), 300),
        };
        let what = format!("{} {}: {:?}", row.methods[0], row.path, row.strangers);
        let address = format!("198.51.100.{}", number + 1);
        assert_eq!(meets(&relay, row, (&address, most)), expected, "{what}");
    }
}

#[test]
fn where_a_token_is_looked_at_wrong_ones_are_limited() {
    for row in table::ROUTES {
        let takes_token = matches!(row.permission, Permission::Token(_) | Permission::ApiKey)
            || (row.endpoint == Endpoint::Page(PageCall::SignIn) && row.methods.contains(&Method::POST));
        assert_eq!(row.strangers == StrangerLimit::WrongTokens, takes_token, "{}", row.path);
    }
}
