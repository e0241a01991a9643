//! Folders that are gone after a test.
#![allow(dead_code, reason = "no test uses all of it")]
#![allow(clippy::unwrap_used, reason = "a test harness may fail loudly")]
#![allow(
    unreachable_pub,
    reason = "test programs have no outside; `pub` marks what they are meant to use"
)]

use std::path::Path;

use tempfile::TempDir;

/// An empty folder, in memory where the machine has such a place: thousands of small files take minutes on a slow disk.
pub fn scratch() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        TempDir::new_in(memory).unwrap()
    } else {
        TempDir::new().unwrap()
    }
}
