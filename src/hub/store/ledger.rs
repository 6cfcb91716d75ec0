//! How much the store may take, and who was promised a part of it.
//!
//! Used is what is stored, in quarantine, and in partial files, as it was measured last; and what this process has promised
//! to its flights since. What other processes of the same store take shows at the next measurement: close to the limit one
//! is never older than a second.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{DiskBytes, Space};
use crate::domain::{ByteSize, ContentId, KeepFree};
use crate::hub::Error;

/// A measurement that counts while much is left, and one while little is.
const FRESH: Duration = Duration::from_secs(15);
const FRESH_NEAR: Duration = Duration::from_secs(1);

/// What may be taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::hub) struct Limits {
    /// 0: no limit.
    pub(in crate::hub) bytes: u64,
    pub(in crate::hub) keep_free: KeepFree,
}

impl Limits {
    pub(super) fn is_none(self) -> bool {
        self.bytes == 0 && self.keep_free.is_none()
    }
}

/// What was found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Measured {
    pub(super) at: Duration,
    /// Without the partial files of contents that hold promises.
    pub(super) space: Space,
    pub(super) disk: DiskBytes,
}

/// What is missing for a promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shortfall {
    /// Of what was asked for.
    pub(super) needed: u64,
    /// So much has to go.
    pub(super) missing: u64,
    pub(super) bound: Bound,
}

/// What keeps the store from growing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    Limit { limit: u64, quarantined: u64 },
    KeepFree { keep: KeepFree, disk: u64 },
}

impl Shortfall {
    /// Whether it would not fit into an empty store.
    pub(super) fn is_hopeless(self) -> bool {
        match self.bound {
            Bound::Limit { limit, quarantined } => self.needed > limit.saturating_sub(quarantined),
            Bound::KeepFree { keep, disk } => self.needed > disk.saturating_sub(keep.of(disk)),
        }
    }
}

impl From<Shortfall> for Error {
    fn from(short: Shortfall) -> Self {
        let Shortfall { needed, missing, bound } = short;
        let left = needed.saturating_sub(missing);
        match bound {
            Bound::Limit { limit, quarantined } => Self::OverLimit { needed, limit, left, quarantined },
            Bound::KeepFree { .. } => Self::NoRoom { needed, free: left },
        }
    }
}

/// Why something is removed, for people.
impl std::fmt::Display for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Limit { limit, .. } => write!(f, "the store limit of {}", ByteSize(*limit)),
            Self::KeepFree { keep, .. } => write!(f, "{keep} of the disk to be kept free"),
        }
    }
}

/// See the module's text. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Ledger(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    limits: Limits,
    measured: Option<Measured>,
    promised: HashMap<ContentId, Promised>,
    /// What went from one side of the account to the other since the start: promises that ended, and what was removed. A
    /// measurement that something moved beside has counted it on both sides or on none.
    moved: Moved,
    /// Until then nothing can be removed for a request, as was found; and by upkeep.
    full_until: Duration,
    rests_until: Duration,
}

/// See `State::moved`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Moved {
    times: u64,
    /// Of promises that ended.
    bytes: u64,
}

/// A measurement that has begun.
#[derive(Debug, Clone)]
pub(super) struct Begun {
    /// Contents that hold promises: their partial files are not measured.
    pub(super) promised: HashSet<ContentId>,
    moved: Moved,
}

#[derive(Default, Clone, Copy)]
struct Promised {
    bytes: u64,
    /// Of them what the disk has set aside already.
    allocated: u64,
}

/// A part of the store that a flight may fill; what it does not is given back when this is dropped.
pub(in crate::hub) struct Promise {
    ledger: Ledger,
    content: ContentId,
    is_kept: bool,
}

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_limits(&self, limits: Limits) {
        let mut state = self.lock();
        if state.limits != limits {
            state.limits = limits;
            (state.full_until, state.rests_until) = (Duration::ZERO, Duration::ZERO);
        }
    }

    pub(super) fn limits(&self) -> Limits {
        self.lock().limits
    }

    pub(super) fn promise(&self, content: ContentId) -> Promise {
        self.lock().promised.insert(content, Promised::default());
        Promise { ledger: self.clone(), content, is_kept: false }
    }

    pub(super) fn begin(&self) -> Begun {
        let state = self.lock();
        Begun { promised: state.promised.keys().copied().collect(), moved: state.moved }
    }

    /// Takes a measurement, if nothing moved beside it.
    pub(super) fn put(&self, begun: &Begun, measured: Measured) -> bool {
        let mut state = self.lock();
        let is_exact = state.moved == begun.moved;
        if is_exact {
            state.measured = Some(measured);
        }
        is_exact
    }

    /// Takes a measurement although something moved beside it; what may be missing from it is counted, perhaps twice.
    pub(super) fn put_at_most(&self, begun: &Begun, mut measured: Measured) {
        let mut state = self.lock();
        let arriving = &mut measured.space.arriving;
        *arriving = arriving.saturating_add(state.moved.bytes.saturating_sub(begun.moved.bytes));
        state.measured = Some(measured);
    }

    /// Whether so much more can be decided on by what was measured.
    pub(super) fn is_fresh(&self, now: Duration, more: u64) -> bool {
        let state = self.lock();
        let Some(measured) = state.measured else { return false };
        let fresh = if state.is_near(&measured, more) { FRESH_NEAR } else { FRESH };
        now.saturating_sub(measured.at) < fresh
    }

    /// Promises that a content may take `bytes` in all.
    pub(super) fn grow(&self, content: ContentId, bytes: u64) -> Result<(), Shortfall> {
        let mut state = self.lock();
        let has = state.promised.get(&content).map_or(0, |promised| promised.bytes);
        let more = bytes.saturating_sub(has);
        if more > 0 {
            state.check(more)?;
            state.promised.entry(content).or_default().bytes = bytes;
        }
        Ok(())
    }

    /// Whether so much more would fit.
    pub(super) fn check(&self, more: u64) -> Result<(), Shortfall> {
        self.lock().check(more)
    }

    pub(super) fn is_full(&self, now: Duration) -> bool {
        now < self.lock().full_until
    }

    pub(super) fn set_full(&self, until: Duration) {
        self.lock().full_until = until;
    }

    pub(super) fn rests(&self, now: Duration) -> bool {
        now < self.lock().rests_until
    }

    pub(super) fn rest(&self, until: Duration) {
        self.lock().rests_until = until;
    }

    /// Something was removed.
    pub(super) fn freed(&self, bytes: u64) {
        let mut state = self.lock();
        (state.full_until, state.rests_until) = (Duration::ZERO, Duration::ZERO);
        state.moved.times += 1;
        if let Some(measured) = &mut state.measured {
            measured.space.stored.bytes = measured.space.stored.bytes.saturating_sub(bytes);
            measured.disk.free = measured.disk.free.saturating_add(bytes);
        }
    }
}

impl State {
    fn promised_bytes(&self) -> u64 {
        self.promised.values().map(|promised| promised.bytes).sum()
    }

    /// Whether what is used and `more` come close to a limit, so that what others take matters.
    fn is_near(&self, measured: &Measured, more: u64) -> bool {
        let Limits { bytes, keep_free } = self.limits;
        let used = measured.space.used().saturating_add(self.promised_bytes()).saturating_add(more);
        let keep = keep_free.of(measured.disk.total);
        (bytes > 0 && used > bytes / 10 * 8)
            || (keep > 0
                && measured.disk.free.saturating_sub(self.promised_bytes()).saturating_sub(more)
                    < keep.saturating_mul(2))
    }

    fn check(&self, more: u64) -> Result<(), Shortfall> {
        let Some(Measured { space, disk, .. }) = self.measured else { return Ok(()) };
        let Limits { bytes: limit, keep_free } = self.limits;
        let over = |bound: Bound, has: u64, may: u64| {
            let missing = has.saturating_add(more).saturating_sub(may);
            (missing > 0).then_some(Shortfall { needed: more, missing, bound })
        };
        let mut short = None;
        if limit > 0 {
            let has = space.used().saturating_add(self.promised_bytes());
            short = over(Bound::Limit { limit, quarantined: space.quarantined }, has, limit);
        }
        let keep = keep_free.of(disk.total);
        if keep > 0 {
            let to_come: u64 =
                self.promised.values().map(|promised| promised.bytes - promised.allocated.min(promised.bytes)).sum();
            let bound = Bound::KeepFree { keep: keep_free, disk: disk.total };
            let other = over(bound, keep.saturating_add(to_come), disk.free);
            short = short.into_iter().chain(other).max_by_key(|short| short.missing);
        }
        short.map_or(Ok(()), Err)
    }
}

impl Promise {
    pub(super) fn content(&self) -> ContentId {
        self.content
    }

    /// The disk has set aside the whole of it.
    pub(super) fn allocated(&self) {
        let mut state = self.ledger.lock();
        if let Some(promised) = state.promised.get_mut(&self.content) {
            let new = promised.bytes - promised.allocated.min(promised.bytes);
            promised.allocated = promised.bytes;
            if let Some(measured) = &mut state.measured {
                measured.disk.free = measured.disk.free.saturating_sub(new);
            }
        }
    }

    /// What was promised is stored now.
    pub(in crate::hub) fn kept(mut self) {
        self.is_kept = true;
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        let mut state = self.ledger.lock();
        let Some(Promised { bytes, .. }) = state.promised.remove(&self.content) else { return };
        let is_kept = self.is_kept;
        if bytes > 0 {
            state.moved.times += 1;
            state.moved.bytes = state.moved.bytes.saturating_add(bytes);
        }
        if let Some(Measured { space, .. }) = &mut state.measured {
            // What arrived of one that was broken off stays, until a measurement tells how much that is.
            let part = if is_kept { &mut space.stored.bytes } else { &mut space.arriving };
            *part = part.saturating_add(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::StoreTotals;
    use crate::domain::Digest;

    fn content(n: u8) -> ContentId {
        ContentId::Sha256(Digest::from_bytes([n; 32]))
    }

    fn ledger(limit: u64, keep_free: u64, stored: u64, free: u64) -> Ledger {
        let ledger = Ledger::default();
        ledger.set_limits(Limits { bytes: limit, keep_free: KeepFree { bytes: keep_free, percent: 0 } });
        let stored = StoreTotals { blobs: 1, bytes: stored };
        let space = Space { stored, arriving: 0, quarantined: 5 };
        let disk = DiskBytes { free, total: 1000 };
        assert!(ledger.put(&ledger.begin(), Measured { at: Duration::ZERO, space, disk }));
        ledger
    }

    #[test]
    fn what_is_kept_beside_a_measurement_is_not_forgotten() {
        let ledger = ledger(100, 0, 60, 1000);
        let found = |stored: u64| {
            let stored = StoreTotals { blobs: 1, bytes: stored };
            let space = Space { stored, arriving: 0, quarantined: 5 };
            Measured { at: Duration::ZERO, space, disk: DiskBytes { free: 1000, total: 1000 } }
        };
        let one = ledger.promise(content(1));
        assert_eq!(ledger.grow(content(1), 20), Ok(()));
        // Read before the file was stored, and put after that.
        let (begun, before) = (ledger.begin(), found(60));
        one.kept();
        assert!(!ledger.put(&begun, before), "a measurement that misses a file is none");
        assert_eq!(ledger.check(16).unwrap_err().missing, 1);
        ledger.put_at_most(&begun, before);
        assert_eq!(ledger.check(16).unwrap_err().missing, 1, "what may be missing is counted");
        assert!(ledger.put(&ledger.begin(), found(80)));
        assert_eq!(ledger.check(15), Ok(()));
        let begun = ledger.begin();
        ledger.freed(20);
        assert!(!ledger.put(&begun, found(80)), "nor is one that has what was removed");
        assert_eq!(ledger.check(35), Ok(()));
    }

    #[test]
    fn promises_count_until_they_are_kept_or_broken() {
        let ledger = ledger(100, 0, 60, 1000);
        let (one, two) = (ledger.promise(content(1)), ledger.promise(content(2)));
        assert_eq!(ledger.grow(content(1), 20), Ok(()));
        assert_eq!(ledger.grow(content(1), 20), Ok(()), "the same again is no more");
        let short = ledger.grow(content(2), 20).unwrap_err();
        assert_eq!((short.needed, short.missing), (20, 5));
        one.kept();
        assert_eq!(ledger.grow(content(2), 15), Ok(()));
        drop(two);
        assert_eq!(ledger.check(1).unwrap_err().missing, 1, "a partial file keeps its place until it was measured");
        ledger.freed(10);
        assert_eq!(ledger.check(10), Ok(()));
    }

    #[test]
    fn the_disk_keeps_its_free_part_and_what_is_set_aside_counts_once() {
        let ledger = ledger(0, 100, 60, 150);
        let one = ledger.promise(content(1));
        assert_eq!(ledger.grow(content(1), 30), Ok(()));
        assert_eq!(ledger.check(21).unwrap_err().missing, 1);
        one.allocated();
        assert_eq!(ledger.check(20), Ok(()));
        assert_eq!(ledger.check(21).unwrap_err().missing, 1);
    }

    #[test]
    fn what_is_larger_than_the_limit_is_hopeless() {
        let ledger = ledger(100, 0, 60, 1000);
        assert!(ledger.check(96).unwrap_err().is_hopeless() && !ledger.check(95).unwrap_err().is_hopeless());
    }

    #[test]
    fn close_to_the_limit_a_measurement_is_soon_old() {
        let ledger = ledger(1000, 0, 60, 1000);
        let after = Duration::from_secs(5);
        assert!(ledger.is_fresh(after, 100) && !ledger.is_fresh(after, 900));
    }
}
