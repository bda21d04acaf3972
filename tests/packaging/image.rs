//! The image: built from this repository alone, run without root, with its data on a volume and its health asked.

const FILE: &str = include_str!("../../packaging/Containerfile");
const IGNORED: &str = include_str!("../../.dockerignore");
const MANIFEST: &str = include_str!("../../Cargo.toml");

/// The instructions, each on one line.
fn instructions() -> Vec<String> {
    let joined = FILE.replace("\\\n", " ");
    let lines = joined.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn the_image_is_built_in_two_stages_and_runs_without_root() {
    let all = instructions();
    let stages = all.iter().filter(|line| line.starts_with("FROM ")).count();
    assert_eq!(stages, 2);
    let last = all.iter().rposition(|line| line.starts_with("FROM ")).unwrap();
    let has = |beginning: &str| all[last..].iter().any(|line| line.starts_with(beginning));
    for beginning in [
        "COPY --from=build /build/target/dist/postbridge ",
        "USER 10001",
        "VOLUME /var/lib/postbridge",
        "HEALTHCHECK ",
        "STOPSIGNAL SIGTERM",
        "ENTRYPOINT [\"/usr/bin/postbridge\"]",
    ] {
        assert!(has(beginning), "{beginning}");
    }
    let health = all.iter().find(|line| line.starts_with("HEALTHCHECK ")).unwrap();
    assert!(health.contains("/readyz"), "{health}");
    assert!(all.iter().any(|line| line.contains("cargo build --locked --profile dist")));
    assert!(MANIFEST.contains("[profile.dist]"));
}

#[test]
fn what_the_build_needs_is_not_left_out_of_its_context() {
    let kept: Vec<&str> = IGNORED.lines().filter_map(|line| line.strip_prefix('!')).collect();
    for needed in ["Cargo.toml", "Cargo.lock", "build.rs", "src", "templates"] {
        assert!(kept.contains(&needed), "{needed}");
    }
    // Cargo reads where every bench and test is, also of those that it does not build.
    assert!(kept.contains(&"benches") && kept.contains(&"tests/main.rs"));
}
