//! Locks between the builders at work on one layout.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

/// From one try to the next. A lock is held for as long as `index.json` or an archive takes to write.
const PAUSE: Duration = Duration::from_millis(20);

/// The file `path` under this process's own lock. Waits for whoever has it, until `stop`.
pub(super) fn locked(path: &Path, stop: &AtomicBool) -> io::Result<File> {
    loop {
        // Network file systems give locks only to who may write.
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .or_else(|_| File::open(path))?;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if stop.load(Ordering::Relaxed) => {
                    return Err(io::Error::other(
                        "stopped while another builder had the lock",
                    ));
                }
                Err(TryLockError::WouldBlock) => thread::sleep(PAUSE),
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        // Whoever had the lock may have put another file in this one's place.
        if is_at(&file, path)? {
            return Ok(file);
        }
    }
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let (this, there) = (file.metadata()?, std::fs::metadata(path)?);
    Ok(this.dev() == there.dev() && this.ino() == there.ino())
}

/// A file that is open cannot be replaced there.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> io::Result<bool> {
    Ok(true)
}
