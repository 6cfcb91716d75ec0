//! Logs: readable text on a terminal, JSON elsewhere. They go to stderr; stdout is for results.
//!
//! Nobody waits for the reader of the log, and nothing ends because he left (`lines`): such lines are dropped and counted.
//! A panic is a line of the log like any other.

mod condition;
mod lines;

use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::config::{Log, LogFormat};
use lines::Lines;

pub use condition::{Condition, DATABASE_AWAY, DISK_FULL, STORE_FULL};

/// How long the end of a process waits for the reader of its log.
const LAST_LINES: Duration = Duration::from_secs(2);

static LINES: OnceLock<Lines> = OnceLock::new();

/// Sets up logging for this process, once. What ends the process calls `flush` after its last line.
pub fn init(log: &Log) -> anyhow::Result<()> {
    let filter = filter(&log.level).map_err(anyhow::Error::msg)?;
    let json = match log.format {
        LogFormat::Json => true,
        LogFormat::Human => false,
        LogFormat::Auto => !std::io::stderr().is_terminal(),
    };
    let lines = Lines::start(io::stderr())?;
    let _ = LINES.set(lines.clone());
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(move || Pen(lines.clone()));
    let outcome = if json {
        builder.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init()
    } else {
        builder.with_target(false).with_ansi(std::io::stderr().is_terminal()).try_init()
    };
    outcome.map_err(|e| anyhow::anyhow!("cannot set up logging: {e}"))?;
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let backtrace = std::backtrace::Backtrace::capture();
        let backtrace = matches!(backtrace.status(), std::backtrace::BacktraceStatus::Captured).then_some(backtrace);
        let backtrace = backtrace.as_ref().map(tracing::field::display);
        tracing::error!(thread = thread.name().unwrap_or("unnamed"), backtrace, "{panic}");
    }));
    Ok(())
}

/// Waits, for a limited time, until what was logged is written.
pub fn flush() {
    if let Some(lines) = LINES.get() {
        lines.flush(LAST_LINES);
    }
}

/// Says a line on stderr besides the log, and behind what was logged. It may be lost, as a line of the log may.
pub fn say(line: &str) {
    match LINES.get() {
        Some(lines) => {
            lines.push(format!("{line}\n").as_bytes());
            flush();
        }
        None => _ = writeln!(io::stderr(), "{line}"),
    }
}

/// What the lines of the log are written with, each in one piece.
struct Pen(Lines);

impl Write for Pen {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
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
