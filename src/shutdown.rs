//! When to stop.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token that is cancelled by SIGTERM or SIGINT. A second signal ends the process immediately,
/// as a crash would: everything that matters is on disk already.
pub fn on_signals() -> std::io::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let token = stop.clone();
    tokio::spawn(async move {
        for round in 0.. {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            if round > 0 {
                tracing::warn!("second signal: stopping immediately");
                crate::telemetry::flush();
                std::process::exit(130);
            }
            token.cancel();
            tracing::info!("stopping: waiting for running requests to finish");
        }
    });
    Ok(stop)
}
