//! The allocator's one setting.

/// Blocks of this size and more go back to the system when they are freed. Left alone, glibc raises the limit with every
/// large block that is freed, up to 32 MiB, and then keeps what ztocs of that size leave behind: on a real image of
/// 775 MB that made a peak of 58 to 67 MB instead of 37 to 41 MB.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const RETURNED_FROM: libc::c_int = 1024 * 1024;

/// Keeps the process as small as what it holds. To be called first, before there is a second thread.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(
    unsafe_code,
    reason = "glibc's settings have no safe interface; this is the only call"
)]
pub(crate) fn return_large_blocks() {
    // SAFETY: mallopt takes two numbers and stores one of them; no other thread exists that could allocate meanwhile.
    // Where it refuses, memory is only used less well.
    unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, RETURNED_FROM) };
}

/// Other allocators need no telling.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn return_large_blocks() {}
