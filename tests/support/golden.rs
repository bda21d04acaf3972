//! Files that tests compare with what the code makes.

/// Whether this run writes them anew.
pub fn is_rewritten() -> bool {
    std::env::var_os("BLESS").is_some_and(|bless| bless == "1")
}

/// Compares a file of the repository, or writes it.
pub fn compare(file: &str, made: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if is_rewritten() {
        std::fs::write(&path, made).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(written, made, "run this test with BLESS=1 and look at what it changed in {file}");
}
