//! Work that takes no more than a share of the time: whoever worked rests in proportion, and so less is done while the disk
//! is slow or busy with others.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::domain::Clock;

/// Nobody rests longer at once, whatever the work took.
const LONGEST: Duration = Duration::from_secs(60);

/// A share of the time, in percent.
pub(super) struct Share {
    clock: Clock,
    percent: u32,
}

impl Share {
    pub(super) fn new(clock: Clock, percent: u32) -> Self {
        Self { clock, percent: percent.clamp(1, 100) }
    }

    /// Does a piece of the work, and rests. `stop` ends the rest.
    pub(super) async fn spend<T>(&self, stop: &CancellationToken, piece: impl Future<Output = T>) -> T {
        let began = self.clock.elapsed();
        let done = piece.await;
        let rest = self.rest_after(self.clock.elapsed().saturating_sub(began));
        if !rest.is_zero() {
            tokio::select! {
                () = self.clock.sleep(rest) => {}
                () = stop.cancelled() => {}
            }
        }
        done
    }

    fn rest_after(&self, worked: Duration) -> Duration {
        (worked * (100 - self.percent) / self.percent).min(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_worked_rests_in_proportion_until_it_is_to_stop() {
        let (clock, stop) = (Clock::manual(0), CancellationToken::new());
        let share = Share::new(clock.clone(), 10);
        let work = || async { clock.advance(Duration::from_secs(1)) };
        let mut piece = std::pin::pin!(share.spend(&stop, work()));
        assert!(futures_util::poll!(&mut piece).is_pending());
        clock.advance(Duration::from_millis(8999));
        assert!(futures_util::poll!(&mut piece).is_pending(), "it worked for 1 s and rests for 9 s");
        clock.advance(Duration::from_millis(1));
        piece.await;
        assert_eq!(clock.elapsed(), Duration::from_secs(10));
        stop.cancel();
        share.spend(&stop, work()).await;
        assert_eq!(clock.elapsed(), Duration::from_secs(11));
    }

    #[test]
    fn a_slow_disk_is_read_less_and_nobody_rests_for_ever() {
        let rest = |percent, worked| Share::new(Clock::manual(0), percent).rest_after(Duration::from_millis(worked));
        for (percent, worked, rests) in
            [(10, 1, 9), (10, 100, 900), (50, 100, 100), (100, 100, 0), (1, 3_600_000, 60_000)]
        {
            assert_eq!(rest(percent, worked), Duration::from_millis(rests), "{percent} % after {worked} ms");
        }
    }
}
