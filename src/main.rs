//! The `modelhub` command; `modelhub::cli` has the roles.

use std::process::ExitCode;

#[expect(clippy::print_stderr, reason = "the last word of a command that failed")]
fn main() -> ExitCode {
    // One TLS provider for the whole process, before anything may use it.
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        eprintln!("modelhub: another TLS provider is installed already");
        return ExitCode::FAILURE;
    }
    match modelhub::cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("modelhub: {error:#}");
            ExitCode::FAILURE
        }
    }
}
