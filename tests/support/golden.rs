//! Files that tests compare with what the code makes.

/// Whether this run writes them anew.
pub fn is_rewritten() -> bool {
    std::env::var_os("BLESS").is_some_and(|bless| bless == "1")
}
