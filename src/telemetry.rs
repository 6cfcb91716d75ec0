//! Logs: readable text on a terminal, JSON elsewhere. They go to stderr; stdout is for results.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::config::{Log, LogFormat};

/// Sets up logging for this process, once.
pub fn init(log: &Log) -> anyhow::Result<()> {
    let filter = filter(&log.level).map_err(anyhow::Error::msg)?;
    let json = match log.format {
        LogFormat::Json => true,
        LogFormat::Human => false,
        LogFormat::Auto => !std::io::stderr().is_terminal(),
    };
    // It would say on stderr that stderr cannot be written, and panic: a log on a full disk.
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).log_internal_errors(false);
    let outcome = if json {
        builder.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init()
    } else {
        builder.with_target(false).with_ansi(std::io::stderr().is_terminal()).try_init()
    };
    outcome.map_err(|e| anyhow::anyhow!("cannot set up logging: {e}"))
}

/// What `log.level` lets through. A word alone has to be a level: as a target it would silence everything else.
pub fn filter(level: &str) -> Result<EnvFilter, String> {
    let rule = "expected off, error, warn, info, debug or trace, or directives such as info,modelhub=debug";
    let parts = || level.split(',').map(str::trim);
    let is_target = |part: &&str| !part.contains(['=', '[']) && part.parse::<LevelFilter>().is_err();
    if let Some(word) = parts().find(is_target) {
        return Err(format!("log.level is `{level}`: unknown level `{word}`; {rule}"));
    }
    EnvFilter::try_new(level).map_err(|error| format!("log.level is `{level}`: {error}; {rule}"))
}
