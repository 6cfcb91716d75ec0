//! Lines on their way to stderr: whoever logs never waits for whoever reads, and never fails because of him.
//!
//! 1. `push` appends a line to what waits. Is that as much as it may be, the line is dropped and counted.
//! 2. One thread takes all that waits and writes it. What cannot be written, because the reader has left, is counted
//!    too, and the thread goes on: a terminal may be gone while the process is needed.
//! 3. `flush` waits until everything is written, for a limited time: a pipe that nobody reads stays full.
//!
//! tracing-appender's `non_blocking` does nearly this. But it counts by lines, whatever their size, not those that it
//! fails to write, and it prints at the end of a process whose pipe is full, which may wait for ever or panic.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::metrics;

/// Bytes that wait; as many again may be on their way. Some thousand lines: more than a burst of errors, and less than
/// anybody has to think about as memory.
const MOST: usize = 1 << 20;

/// A queue of lines; clones share it.
#[derive(Clone)]
pub(super) struct Lines(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Told when something waits, and when everything is written.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    /// The thread has taken what it has not written yet.
    writing: bool,
    /// Lines that were dropped since the reader was last told.
    dropped: u64,
}

impl Lines {
    /// Starts the thread that writes to `out`, for as long as the process lives.
    pub(super) fn start(out: impl Write + Send + 'static) -> io::Result<Self> {
        let lines = Self(Arc::new(Shared { state: Mutex::default(), changed: Condvar::new() }));
        let writer = lines.clone();
        std::thread::Builder::new().name("log".into()).spawn(move || writer.write_all(out))?;
        Ok(lines)
    }

    /// Puts a line (or several, with their ends) behind what waits; never waits itself.
    pub(super) fn push(&self, text: &[u8]) {
        let mut state = self.lock();
        if state.waiting.len() + text.len() > MOST {
            state.dropped += lines_in(text);
            drop(state);
            metrics::dropped_log_lines(lines_in(text));
            return;
        }
        state.waiting.extend_from_slice(text);
        drop(state);
        self.0.changed.notify_all();
    }

    /// Waits until all that was pushed is written, but not longer than `limit`.
    pub(super) fn flush(&self, limit: Duration) {
        let pending = |state: &mut State| state.writing || !state.waiting.is_empty();
        let _ = self.0.changed.wait_timeout_while(self.lock(), limit, pending);
    }

    fn write_all(self, mut out: impl Write) {
        let mut batch = Vec::new();
        loop {
            let idle = |state: &mut State| state.waiting.is_empty();
            let mut state = self.0.changed.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner);
            std::mem::swap(&mut batch, &mut state.waiting);
            state.writing = true;
            drop(state);
            let lost = write(&mut out, &batch);
            batch.clear();
            metrics::dropped_log_lines(lost);
            let mut state = self.lock();
            state.dropped += lost;
            // Told where the gap is, and only to a reader who is there: to others it would be the next line lost.
            let gap = if lost == 0 { std::mem::take(&mut state.dropped) } else { 0 };
            drop(state);
            if gap > 0 {
                tracing::warn!(lines = gap, "log lines were dropped: nobody read the log fast enough");
            }
            self.lock().writing = false;
            self.0.changed.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes the text as far as it goes; gives the number of lines that were lost.
fn write(out: &mut impl Write, mut text: &[u8]) -> u64 {
    while !text.is_empty() {
        match out.write(text) {
            Ok(written @ 1..) => text = &text[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(_) | Err(_) => return lines_in(text),
        }
    }
    0
}

fn lines_in(text: &[u8]) -> u64 {
    text.iter().filter(|byte| **byte == b'\n').count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_bounded_and_comes_out_in_order() {
        let (mut reader, writer) = io::pipe().unwrap();
        let lines = Lines::start(writer).unwrap();
        // Nobody reads: the pipe fills, then what waits, and nothing of it blocks.
        let line = |number: u32| format!("{number:0>99}\n");
        (0..50_000).for_each(|number| lines.push(line(number).as_bytes()));
        lines.flush(Duration::from_millis(10));
        assert!(lines.lock().waiting.len() <= MOST);
        assert!(lines.lock().dropped > 20_000);
        let mut first = vec![0; 100_000];
        io::Read::read_exact(&mut reader, &mut first).unwrap();
        assert_eq!(first, (0..1000).map(line).collect::<String>().into_bytes());
        // The reader leaves, and what waited for him (1 MiB) is counted; then a flush has nothing to wait for.
        drop(reader);
        lines.flush(Duration::from_secs(60));
        assert!(lines.lock().waiting.is_empty() && lines.lock().dropped > 5_000);
    }
}
