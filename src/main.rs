//! The `modelhub` command; `modelhub::cli` has the roles.

use std::process::ExitCode;

use modelhub::telemetry;

/// Buffers of downloads are allocated by one thread and freed by another, and the C library's allocator then keeps
/// them: 100 MiB and more after some rounds of downloads. This one gives back what was not used for a second.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// jemalloc's own options; it reads this symbol when it starts.
#[expect(unsafe_code, reason = "the name is an agreement with jemalloc")]
#[unsafe(export_name = "_rjem_malloc_conf")]
static OPTIONS: &[u8; 60] = b"background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0\0";

fn main() -> ExitCode {
    // One TLS provider for the whole process, before anything may use it.
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        telemetry::say("modelhub: another TLS provider is already installed");
        return ExitCode::FAILURE;
    }
    match modelhub::cli::run() {
        Ok(code) => code,
        Err(error) => {
            telemetry::say(&format!("modelhub: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
