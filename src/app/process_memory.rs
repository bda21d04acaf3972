//! How the process takes memory from the operating system.

/// From now on memory is taken in small pages, where the system has huge ones of 2 MiB.
///
/// While the relay runs, what a commit or a request needs for a moment is taken anew again and again, and a huge page is
/// cleared whole each time: that is 5 to 10 % of all CPU, and memory that nothing uses. Opening a store fills what it
/// takes, and is faster in huge pages: it is called afterwards.
pub fn take_small_pages() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!(%error, "memory is taken in huge pages where the system has them");
    }
}
