//! The `modelhub` command; `modelhub::cli` has the roles.

use std::process::ExitCode;

#[expect(clippy::print_stderr, reason = "the last word of a command that failed")]
fn main() -> ExitCode {
    // One TLS provider for the whole process, before anything may use it.
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        eprintln!("modelhub: another TLS provider is installed already");
        return ExitCode::FAILURE;
    }
    give_large_buffers_back();
    match modelhub::cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("modelhub: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Makes the allocator give every buffer of 128 KiB and more back to the system when it is freed.
///
/// Buffers of downloads are allocated by one thread and freed by another. By default glibc takes the
/// first that is freed as a reason to keep such buffers in its arenas, which then only grow: three rounds
/// of 16 downloads left 129 MiB behind; with a fixed limit it is 8 MiB, and downloads are as fast.
#[expect(unsafe_code, reason = "std has no way to set up the allocator")]
fn give_large_buffers_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt(3) may be called at any time; here no other thread runs yet.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 128 * 1024);
    }
}
