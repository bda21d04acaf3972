//! Threads that have time: those that commit and answer go first.

use rustix::process::setpriority_process;
use rustix::thread::gettid;

/// How nice a thread is that has time.
const NICE: i32 = 10;

/// This thread has time from now on. Where the system does not know such threads it goes on as the others do.
pub fn has_time() {
    // On Linux a thread's own number names that thread alone.
    if let Err(error) = setpriority_process(Some(gettid()), NICE) {
        tracing::debug!(%error, "a thread in the background runs as often as those that answer");
    }
}
