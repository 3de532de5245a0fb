//! What the process does with memory it has done with.

/// From this size on, a block goes back to the system when it is freed.
#[cfg(target_env = "gnu")]
const LARGE: nix::libc::c_int = 128 * 1024;

/// Has large blocks go back to the system when they are freed.
///
/// The C library does so by itself at first, and less with each block: after lists of 20 MB have
/// been read and compiled, it keeps what was needed for that, which is four times what filtering
/// needs.
#[cfg(target_env = "gnu")]
#[allow(unsafe_code, reason = "there is no safe name for it")]
pub fn give_back_large_blocks() {
    // SAFETY: it changes a number of the allocator, and has no other preconditions than that the
    // number's name exists.
    unsafe { nix::libc::mallopt(nix::libc::M_MMAP_THRESHOLD, LARGE) };
}

/// Other C libraries do so anyway.
#[cfg(not(target_env = "gnu"))]
pub fn give_back_large_blocks() {}
