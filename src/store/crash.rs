//! Named points at which a test can end the process as `kill -9` would. Nothing in release builds.

/// Ends the process here when `POSTBRIDGE_CRASH_AT` is `<name>:<count>` and it is reached for the count-th
/// time (1 and up). Debug builds only.
#[cfg(debug_assertions)]
pub fn point(name: &str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static PLAN: OnceLock<Option<(String, u64)>> = OnceLock::new();
    static PASSED: AtomicU64 = AtomicU64::new(0);

    let plan = PLAN.get_or_init(|| {
        let text = std::env::var("POSTBRIDGE_CRASH_AT").ok()?;
        let (name, count) = text.split_once(':').unwrap_or((&text, "1"));
        Some((name.to_owned(), count.parse().ok()?))
    });
    if let Some((planned, count)) = plan
        && planned == name
        && PASSED.fetch_add(1, Ordering::SeqCst) + 1 == *count
    {
        // Time for an answer that was sent too early to reach anyone it would deceive.
        std::thread::sleep(std::time::Duration::from_millis(20));
        std::process::abort();
    }
}

/// Nothing in release builds.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn point(_name: &str) {}
