//! The table of routes: every row is served as it says.

use std::collections::{BTreeMap, BTreeSet};

use http::Method;
use postbridge::web::routes::{self, Endpoint, Permission, RouteRow, RouteSide, table};

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
