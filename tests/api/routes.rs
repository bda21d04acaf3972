//! The table of routes: every row is served as it says.

use std::collections::{BTreeMap, BTreeSet};

use http::Method;
use postbridge::web::api::openapi;
use postbridge::web::routes::{self, ApiCall, Endpoint, Permission, RouteRow, RouteSide, table};
use serde_json::Value;

use crate::support::access_fixture::header;
use crate::support::relay::{CAMPAIGN, Setup, TOKEN};
use crate::support::sample_paths::sample;

fn by_path() -> BTreeMap<&'static str, Vec<&'static RouteRow>> {
    let mut paths: BTreeMap<&str, Vec<&RouteRow>> = BTreeMap::new();
    for row in table::ROUTES {
        paths.entry(row.path).or_default().push(row);
    }
    paths
}

#[test]
fn a_path_is_found_by_its_rows_and_no_row_says_twice_who_answers() {
    for (path, rows) in by_path() {
        let methods: Vec<&Method> = rows.iter().flat_map(|row| row.methods).collect();
        assert_eq!(methods.iter().collect::<BTreeSet<_>>().len(), methods.len(), "{path}");
        assert!(rows.windows(2).all(|pair| pair[0].side == pair[1].side), "{path}");
        if table::READ_APART.contains(&path) {
            continue;
        }
        let sample = sample(path);
        let found = routes::find(&sample).unwrap_or_else(|| panic!("{path} is not served"));
        assert!(found.rows.rows.iter().all(|row| row.path == path), "{path}");
        assert_eq!(
            found.id(),
            if path.contains('{') { sample.split('/').nth_back(found_at(path)).unwrap() } else { "" }
        );
    }
}

/// Where the first part in braces is, counted from the end.
fn found_at(path: &str) -> usize {
    path.split('/').rev().position(|part| part.starts_with('{')).unwrap()
}

#[test]
fn a_path_refuses_every_other_method_and_names_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let mut setup = Setup::cake_to_meta(folder.path(), "127.0.0.1:9".parse().unwrap());
    setup.extra.push_str(CAMPAIGN);
    let relay = setup.start();
    let bearer = format!("Authorization: Bearer {TOKEN}\r\n");
    for (path, rows) in by_path().into_iter().filter(|(path, _)| *path != table::STYLE) {
        let methods: Vec<&str> = rows.iter().flat_map(|row| row.methods).map(Method::as_str).collect();
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
            if methods.contains(&method) {
                continue;
            }
            let answer = relay.send(method, &sample(path), &bearer, "");
            assert_eq!(answer.status, 405, "{method} {path}: {}", answer.text());
            assert_eq!(header(&answer, "allow"), methods.join(", "), "{method} {path}");
        }
    }
}

#[test]
fn what_a_row_needs_fits_what_answers() {
    for row in table::ROUTES {
        let fits = match row.endpoint {
            Endpoint::Api(_) => {
                matches!(row.permission, Permission::Token(_)) && row.side == RouteSide::Admin
            }
            Endpoint::NetworkApi(_) => row.permission == Permission::ApiKey,
            Endpoint::Page(_) => row.side == RouteSide::Admin,
            _ => true,
        };
        assert!(fits, "{}", row.path);
        let takes_changes = row.methods.iter().any(|method| !method.is_safe());
        assert!(row.change.is_none() || takes_changes, "{} changes something on a GET", row.path);
        assert!(!row.does.ends_with('.') && !row.does.is_empty(), "{}", row.path);
    }
}

#[test]
fn a_call_refuses_every_parameter_that_it_does_not_read_and_names_those_that_it_reads() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Setup::of(folder.path()).start();
    let bearer = format!("Authorization: Bearer {TOKEN}\r\n");
    let document: Value = serde_json::from_str(openapi::text()).unwrap();
    for row in table::ROUTES {
        let Endpoint::Api(call) = row.endpoint else { continue };
        if call == ApiCall::RecordClick {
            // A click is recorded whatever it is sent with.
            continue;
        }
        let path = format!("{}?undreamt=1", sample(row.path));
        let answer = relay.send(row.methods[0].as_str(), &path, &bearer, "");
        assert_eq!(answer.status, 400, "{path}: {}", answer.text());
        let error = answer.json()["error"].clone();
        assert_eq!(error["code"], "bad_parameter", "{path}");
        let message = error["message"].as_str().unwrap();
        assert!(message.starts_with("`undreamt` is `1`: "), "{message}");
        let operation = &document["paths"][row.path][row.methods[0].as_str().to_lowercase()];
        let parameters = operation["parameters"].as_array().unwrap().iter();
        for read in parameters.filter(|parameter| parameter["in"] == "query") {
            assert!(message.contains(read["name"].as_str().unwrap()), "{read}: {message}");
        }
    }
    for flag in ["postbacks?open", "clicks?marked"] {
        for (value, status) in
            [("true", 200), ("false", 200), ("", 200), ("1", 400), ("TRUE", 400), ("yes", 400)]
        {
            let path = format!("/api/v1/{flag}={value}");
            assert_eq!(relay.send("GET", &path, &bearer, "").status, status, "{path}");
        }
    }
}

#[test]
fn a_list_may_have_the_name_of_any_word_of_a_path() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Setup::of(folder.path()).start();
    for name in ["remove", "clicks", "collect", "a%2Fb"] {
        let path = format!("/api/v1/suppression/{name}");
        let done = relay.post(&format!("{path}?kind=ip"), "198.51.100.7");
        assert_eq!(done.status, 200, "{name}: {}", done.text());
        assert_eq!(relay.api(&path)["items"][0]["value"], "198.51.100.7");
    }
}
