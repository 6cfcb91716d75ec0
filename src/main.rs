//! The `modelhub` command; `modelhub::cli` has the roles.

use std::process::ExitCode;

#[expect(clippy::print_stderr, reason = "the last word of a command that failed")]
fn main() -> ExitCode {
    // One TLS provider for the whole process, before anything may use it.
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        eprintln!("modelhub: another TLS provider is installed already");
        return ExitCode::FAILURE;
    }
    share_one_arena();
    match modelhub::cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("modelhub: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Makes all threads share one arena of the allocator.
///
/// Buffers of downloads are allocated by one thread and freed by another. With more arenas glibc keeps them in
/// whichever they came from, and memory creeps up with each round of downloads: to 129 MiB with one for
/// each thread, to 90 with four, to 72 with this. Giving each buffer back to the system at once keeps 8, and
/// costs a fifth of the speed of downloads from a fast upstream.
#[expect(unsafe_code, reason = "std has no way to set up the allocator")]
fn share_one_arena() {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt(3) may be called at any time; here no other thread runs yet.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}
