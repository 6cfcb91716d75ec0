//! The store keeps within its limit: it makes room before something comes, and from time to time.
//!
//! What may go is what clients have not used for longest, and of the oldest rather large files than small ones, and what is
//! left of a model rather than a part of a whole one. Never what is pinned, was used a moment ago, is being sent, or is what a
//! download job is about; and never what could not be downloaded again. More goes than has to, so that not each new file
//! looks for another one (`SLACK`). If what may go does not suffice, nothing goes.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::ledger::{Bound, Limits, Measured, Promise, Shortfall};
use super::{DiskBytes, Error, Result, Space, Store};
use crate::db::{Amount, Victim, VictimFilter};
use crate::domain::{ByteSize, ContentId, Expiry, Millis, ModelId, counted, millis};
use crate::hub::events::Happening;
use crate::metrics;
use crate::telemetry::STORE_FULL;

/// One part in so many of the limit is freed beyond what has to be; and the store begins to remove by itself when less than
/// a third of that is left.
const SLACK: u64 = 20;
/// Candidates are looked at until they would free so many times what is wanted: among them size counts.
const CHOICE: u64 = 3;
/// Blobs that are candidates at the same time, at most.
const CANDIDATES: usize = 100_000;
const PAGE: u64 = 500;
/// Measurements in a row that something may move beside, before one has to do.
const MEASUREMENTS: u32 = 3;
/// Nobody waits longer for room to be made, by others or in their own turn: then their file passes through.
const PATIENCE: Duration = Duration::from_secs(5);
/// What goes beyond what has to go takes no longer than this.
const AT_ONCE: Duration = Duration::from_secs(1);
/// After nothing could be removed, before somebody looks again for a request; and for upkeep.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
const UPKEEP_AGAIN: Duration = Duration::from_secs(120);
/// Files below these sizes weigh less.
const SMALL: u64 = 1 << 20;
const MEDIUM: u64 = 64 << 20;
/// Models that the history names for one removal.
const NAMED: usize = 50;

/// How much more the store could take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::hub) struct Room {
    /// With what may be removed for it.
    pub(in crate::hub) bytes: u64,
    /// The store's limit, if that is what bounds it.
    pub(in crate::hub) limit: Option<u64>,
    pub(in crate::hub) quarantined: u64,
}

impl Store {
    /// `may_remove`: what is removed can be downloaded again now.
    pub(in crate::hub) fn set_limit(&self, bytes: u64, may_remove: bool) {
        self.0.ledger.set_limits(Limits { bytes, keep_free: self.0.keeping.keep_free });
        self.0.may_remove.store(may_remove, Ordering::Relaxed);
    }

    /// From now on only what the object store has is removed to make room.
    pub(in crate::hub) fn keep_until_durable(&self) {
        self.0.only_durable.store(true, Ordering::Relaxed);
    }

    /// For a flight: nothing is promised yet.
    pub(in crate::hub) fn promise(&self, content: ContentId) -> Promise {
        self.0.ledger.promise(content)
    }

    /// Promises that a content may take `bytes` in all; makes room for them. `OverLimit` or `NoRoom` if there is none.
    pub(in crate::hub) async fn grow(&self, promise: &Promise, bytes: u64) -> Result<()> {
        let content = promise.content();
        self.find_room(bytes, || self.0.ledger.grow(content, bytes)).await
    }

    /// Makes room for what comes next; nothing is promised.
    pub(in crate::hub) async fn make_room(&self, bytes: u64) -> Result<()> {
        self.find_room(bytes, || self.0.ledger.check(bytes)).await
    }

    async fn find_room(&self, bytes: u64, fits: impl Fn() -> Result<(), Shortfall>) -> Result<()> {
        let ledger = &self.0.ledger;
        if ledger.limits().is_none() {
            return Ok(fits()?);
        }
        if !ledger.is_fresh(self.0.clock.elapsed(), bytes) {
            self.measure().await?;
        }
        let Err(short) = fits() else { return Ok(()) };
        let refused = |short: Shortfall| {
            STORE_FULL.met(Error::from(short));
            Err(short.into())
        };
        if short.is_hopeless() || ledger.is_full(self.0.clock.elapsed()) {
            return refused(short);
        }
        let Ok(_turn) = self.0.clock.timeout(PATIENCE, self.0.making_room.lock()).await else { return refused(short) };
        self.measure().await?;
        let Err(short) = fits() else { return Ok(()) };
        self.remove_for(short, false).await?;
        let Err(short) = fits() else { return Ok(()) };
        ledger.set_full(self.0.clock.elapsed() + LOOK_AGAIN);
        refused(short)
    }

    /// Keeps the store within its limit, whoever has filled it. For upkeep.
    pub(in crate::hub) async fn keep_within_limit(&self) -> Result<()> {
        let ledger = &self.0.ledger;
        if ledger.limits().is_none() || ledger.rests(self.0.clock.elapsed()) {
            return Ok(());
        }
        self.measure().await?;
        let spare = self.slack() / 3;
        let Err(short) = ledger.check(spare) else {
            STORE_FULL.is_over();
            return Ok(());
        };
        let _turn = self.0.making_room.lock().await;
        // A limit that cannot be kept to is come as close to as can be; but whoever else fills the disk empties no store.
        let in_part = matches!(short.bound, Bound::Limit { .. }) && ledger.check(0).is_err();
        if self.remove_for(short, in_part).await? == 0 {
            ledger.rest(self.0.clock.elapsed() + UPKEEP_AGAIN);
        }
        Ok(())
    }

    /// How much the store could take of `needed` bytes besides partial files of `these`: what is free, and if that does not
    /// suffice what may go, which is nothing of `model`.
    pub(in crate::hub) async fn room(&self, needed: u64, these: HashSet<ContentId>, model: &ModelId) -> Result<Room> {
        let disk = self.disk_bytes()?;
        let limits = self.0.ledger.limits();
        if limits.is_none() {
            return Ok(Room { bytes: disk.free, limit: None, quarantined: 0 });
        }
        let space = self.space_but(these).await?;
        let room = |removable: u64| {
            let free = disk.free.saturating_sub(limits.keep_free.of(disk.total)).saturating_add(removable);
            let left = limits.bytes.saturating_sub(space.used().saturating_sub(removable));
            match limits.bytes > 0 && left < free {
                true => Room { bytes: left, limit: Some(limits.bytes), quarantined: space.quarantined },
                false => Room { bytes: free, limit: None, quarantined: 0 },
            }
        };
        if needed <= room(0).bytes || !self.may_remove() {
            return Ok(room(0));
        }
        let filter = VictimFilter { but: Some(model), ..self.filter(self.0.keeping.keep_used) };
        Ok(room(self.0.db.removable_bytes(filter).await?))
    }

    fn may_remove(&self) -> bool {
        self.0.may_remove.load(Ordering::Relaxed)
    }

    /// Blobs that clients have not used for so long.
    fn filter(&self, unused: Duration) -> VictimFilter<'_> {
        let used_before = self.0.clock.now().saturating_sub(millis(unused)).saturating_add(1);
        VictimFilter {
            used_before,
            pinned: &self.0.keeping.pinned,
            of: None,
            but: None,
            durable: self.0.only_durable.load(Ordering::Relaxed),
        }
    }

    async fn measure(&self) -> Result<()> {
        let mut tries = MEASUREMENTS;
        loop {
            let begun = self.0.ledger.begin();
            let at = self.0.clock.elapsed();
            let space = self.space_but(begun.promised.clone()).await?;
            let measured = Measured { at, space, disk: self.disk_bytes()? };
            tries -= 1;
            if self.0.ledger.put(&begun, measured) {
                return Ok(());
            }
            if tries == 0 {
                self.0.ledger.put_at_most(&begun, measured);
                return Ok(());
            }
        }
    }

    fn slack(&self) -> u64 {
        let Limits { bytes, keep_free } = self.0.ledger.limits();
        let DiskBytes { total, .. } = self.disk_bytes().unwrap_or_default();
        (if bytes > 0 { bytes } else { keep_free.of(total) }) / SLACK
    }

    /// Removes at least what is missing, and more if there is more; if there is not so much nothing, or with `in_part`
    /// what there is. What was freed.
    async fn remove_for(&self, short: Shortfall, in_part: bool) -> Result<u64> {
        let Shortfall { missing, bound, .. } = short;
        if !self.may_remove() {
            return Ok(0);
        }
        self.flush_uses().await;
        // Which models are here as a whole.
        self.0.db.recount_models(PAGE).await?;
        let wanted = missing.saturating_add(self.slack());
        let filter = self.filter(self.0.keeping.keep_used);
        let (mut victims, bytes) = self.candidates(filter, wanted.saturating_mul(CHOICE)).await?;
        // Of very many small files only the first are candidates.
        let are_all = victims.len() < CANDIDATES;
        if bytes < missing && !in_part && (are_all || self.0.db.removable_bytes(filter).await? < missing) {
            return Ok(0);
        }
        let now = self.0.clock.now();
        victims.sort_by_cached_key(|victim| std::cmp::Reverse(weight(victim, now)));
        let wanted = if bytes < wanted { missing.min(bytes) } else { wanted };
        self.remove_all(victims, missing.min(wanted), wanted, &format!("to stay within {bound}")).await
    }

    /// The blobs that clients have not used for longest and that nobody needs, until they have `wanted` bytes.
    async fn candidates(&self, filter: VictimFilter<'_>, wanted: u64) -> Result<(Vec<Victim>, u64)> {
        let (mut found, mut bytes, mut after) = (Vec::new(), 0u64, None);
        while bytes < wanted && found.len() < CANDIDATES {
            let page = self.0.db.victims(filter, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some((last.last_used_at, last.blob.digest));
            for victim in page.into_iter().filter(|victim| !self.0.open.is_sent(victim.blob.digest)) {
                bytes = bytes.saturating_add(victim.blob.size);
                found.push(victim);
            }
        }
        Ok((found, bytes))
    }

    /// Removes blobs until `wanted` bytes are free; after a while `missing` will do, and in the end whatever is free by
    /// then, as somebody may wait.
    async fn remove_all(&self, victims: Vec<Victim>, missing: u64, wanted: u64, why: &str) -> Result<u64> {
        let began = self.0.clock.elapsed();
        let mut freed = 0u64;
        let mut models: BTreeMap<String, (Option<ModelId>, Amount, Millis)> = BTreeMap::new();
        for Victim { blob, last_used_at, model, .. } in victims {
            let enough = match self.0.clock.elapsed().saturating_sub(began) {
                spent if spent > PATIENCE => 0,
                spent if spent > AT_ONCE => missing,
                _ => wanted,
            };
            if freed >= enough {
                break;
            }
            if self.0.open.is_sent(blob.digest) || !self.remove(&blob).await? {
                continue;
            }
            freed = freed.saturating_add(blob.size);
            metrics::removed_by_itself(blob.size);
            let (id, name) = model.map_or((None, String::new()), |(id, name)| (Some(id), name));
            let name = if models.contains_key(&name) || models.len() < NAMED { name } else { "other models".into() };
            let (_, amount, used) = models.entry(name).or_insert((id, Amount::default(), 0));
            amount.add(blob.size);
            *used = last_used_at.max(*used);
        }
        for (name, (id, Amount { files, bytes }, used)) in models {
            let unused = ago(self.0.clock.now().saturating_sub(used));
            let whose = if name.is_empty() { String::new() } else { format!(" of {name}") };
            let text =
                format!("removed {} ({}){whose}, unused for {unused}, {why}", counted(files, "file"), ByteSize(bytes));
            tracing::info!(model = %name, files, bytes, unused = %unused, why, "removed files to make room");
            self.0.events.note("store.removed", text, &name, None).await;
            if let Some(id) = id {
                self.0.events.publish(Happening::Model(id));
            }
        }
        Ok(freed)
    }

    /// Removes what no client has used for the time that its models have.
    pub(in crate::hub) async fn expire(&self) -> Result<()> {
        if !self.may_remove() {
            return Ok(());
        }
        for Expiry { models, after } in &self.0.keeping.expiries {
            let filter = VictimFilter { of: Some(models), ..self.filter(*after) };
            let (victims, bytes) = self.candidates(filter, u64::MAX).await?;
            if !victims.is_empty() {
                let _turn = self.0.making_room.lock().await;
                let why = format!("as {} expires after {}", models.as_str(), ago(millis(*after)));
                self.remove_all(victims, bytes, bytes, &why).await?;
            }
        }
        Ok(())
    }

    /// What takes space besides partial files of these contents.
    async fn space_but(&self, but: HashSet<ContentId>) -> Result<Space> {
        let stored = self.totals().await?;
        let arriving = self.blocking(move |disk| disk.partial_bytes(&but)).await?;
        let quarantined = self.quarantined().await?.iter().map(|file| file.size).sum();
        Ok(Space { stored, arriving, quarantined })
    }

    pub(in crate::hub) async fn space(&self) -> Result<Space> {
        self.space_but(HashSet::new()).await
    }
}

/// How much a blob is worth removing: the longer it is unused, the larger it is, and the less is lost with it.
fn weight(victim: &Victim, now: Millis) -> u64 {
    let unused = now.saturating_sub(victim.last_used_at).max(0) as u64;
    let size = match victim.blob.size {
        0..SMALL => 1,
        SMALL..MEDIUM => 2,
        _ => 4,
    };
    unused.saturating_mul(size * if victim.is_of_whole { 1 } else { 2 })
}

/// A time in words.
fn ago(time: Millis) -> String {
    let seconds = (time / 1000).max(0) as u64;
    match seconds {
        0..120 => counted(seconds, "second"),
        120..7200 => counted(seconds / 60, "minute"),
        7200..172_800 => counted(seconds / 3600, "hour"),
        _ => counted(seconds / 86_400, "day"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::BlobRow;
    use crate::domain::Digest;

    fn victim(size: u64, last_used_at: Millis, is_of_whole: bool) -> Victim {
        let digest = Digest::from_bytes([1; 32]);
        let blob = BlobRow { digest, size, generation: 1, modified_ns: None, is_linked: false };
        Victim { blob, last_used_at, is_of_whole, model: None }
    }

    #[test]
    fn large_files_and_remains_go_before_small_ones_and_whole_models() {
        let now = 1000;
        let of = |size, used, whole| weight(&victim(size, used, whole), now);
        assert!(of(1 << 30, 500, true) > of(1000, 500, true), "of the same age the larger one");
        assert!(of(1000, 0, true) > of(1000, 500, true), "of the same size the older one");
        assert!(of(1 << 30, 500, false) > of(1 << 30, 500, true), "remains before a part of a whole model");
        assert!(of(1000, 0, true) < of(1 << 30, 500, true), "a small file is kept longer");
        assert_eq!(of(1 << 30, 2000, true), 0, "of a clock that was put back");
    }

    #[test]
    fn times_are_in_words() {
        assert_eq!(
            [0, 1_000, 119_999, 7_199_000, 90_000_000, 200_000_000].map(ago),
            ["0 seconds", "1 second", "119 seconds", "119 minutes", "25 hours", "2 days"]
        );
    }
}
