//! Folders that are gone after a test.

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
