//! How fast something goes.

use std::time::Duration;

/// Bytes a second over the last five seconds.
#[derive(Default)]
pub(super) struct Speed(std::collections::VecDeque<(Duration, u64)>);

impl Speed {
    pub(super) fn note(&mut self, now: Duration, bytes: u64) -> u64 {
        self.0.push_back((now, bytes));
        while self.0.len() > 2 && now.saturating_sub(self.0[0].0) > Duration::from_secs(5) {
            self.0.pop_front();
        }
        let (then, before) = self.0[0];
        let millis = now.saturating_sub(then).as_millis() as u64;
        (bytes.saturating_sub(before) * 1000).checked_div(millis).unwrap_or(0)
    }
}
