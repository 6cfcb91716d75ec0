//! Stored files looked at and read again by themselves, so that what a disk has lost is found before somebody needs it.
//!
//! `scrub` takes a step, if anything is due and no other process is at it → each day the sizes and times of all files are
//! compared (`look_at_sizes`): one that is missing or of another size is damaged, one that was written to is next to be
//! read → of the files that were verified longest ago those are read whose turn has come (`read_again`), which is so after
//! half of `scrub.every`: the other half is for reading them, in `scrub.share` of the time.
//!
//! What was done is in the database: when each file was verified, and how far the one is that is being read, so that
//! nothing is read twice after a restart but the last half minute. What is damaged is dealt with as by a verification
//! (`recovery`). Nothing of this is a use of a file.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::recovery::{Damages, Harm};
use super::share::Share;
use super::{Models, Result};
use crate::blob::{Check, Piece, Rereading};
use crate::db::{BlobRow, SizesLook};
use crate::domain::{Digest, Millis, WorkerId, millis};
use crate::hub::Error;
use crate::hub::store::Seen;
use crate::metrics;

/// How often the sizes of all files are looked at, unless `scrub.every` is shorter.
const SIZES_EVERY: Duration = Duration::from_secs(24 * 3600);
/// Files whose sizes are looked at together, and how often that is done in one step.
const SIZES_PAGE: u64 = 500;
const SIZES_PAGES: usize = 10;
/// Files that one step may read, and after how long it begins no other.
const PAGE: u64 = 100;
const STEP: Duration = Duration::from_secs(60);
/// A file of which that takes long.
const LARGE: u64 = 1 << 30;
/// How often it is noted how far a file is read.
const MARK_EVERY: Duration = Duration::from_secs(30);
/// Before files that could not be read, which says nothing about their bytes, are tried again.
const TRY_AGAIN: Duration = Duration::from_secs(3600);

/// The total of damaged files that were found, over the lifetime of this installation.
const DAMAGED: &str = "damaged_files";

/// Where a process is among the files whose turn has come.
#[derive(Default)]
pub struct Scrub {
    /// The last one that was tried.
    after: Option<(Millis, Digest)>,
    /// Some could not be read.
    has_failed: bool,
    not_before: Duration,
}

impl Models {
    /// Takes a step, if one is due and no other process is at it; whether the next one is due right after it.
    /// A process that has not said for as long as `lease` that it is has left it to others.
    pub async fn scrub(
        &self,
        scrub: &mut Scrub,
        who: &WorkerId,
        lease: Duration,
        stop: &CancellationToken,
    ) -> Result<bool> {
        if self.settings.scrub.every.duration().is_zero() {
            return Ok(false);
        }
        let is_due = self.are_sizes_due(&self.db.sizes_look().await?) || self.is_any_due(scrub).await?;
        if !is_due || !self.lease(who, lease).await? {
            return Ok(false);
        }
        let stop = stop.child_token();
        // Beside the step, never instead of it: that may hold the connection to the database that this waits for.
        let has_more = tokio::select! {
            has_more = self.step(scrub, &stop) => has_more,
            () = self.keep_lease(who, lease, &stop) => Ok(false),
        };
        self.db.release_scrub(who).await?;
        has_more
    }

    /// Renews the lease for ever; `stop` when it is another's by now.
    async fn keep_lease(&self, who: &WorkerId, lease: Duration, stop: &CancellationToken) {
        loop {
            self.clock.sleep(lease / 3).await;
            match self.lease(who, lease).await {
                Ok(true) => {}
                Ok(false) => stop.cancel(),
                // Two who read the same do no harm.
                Err(error) => tracing::debug!(%error, "could not renew the lease of the scrub"),
            }
        }
    }

    async fn is_any_due(&self, scrub: &Scrub) -> Result<bool> {
        if self.clock.elapsed() < scrub.not_before {
            return Ok(false);
        }
        Ok(scrub.after.is_some() || !self.db.scrub_page(self.turn(), None, 1).await?.is_empty())
    }

    async fn lease(&self, who: &WorkerId, lease: Duration) -> Result<bool> {
        let now = self.clock.now();
        Ok(self.db.lease_scrub(who, now + millis(lease), now).await?)
    }

    async fn step(&self, scrub: &mut Scrub, stop: &CancellationToken) -> Result<bool> {
        let share = Share::new(self.clock.clone(), self.settings.scrub.share);
        let mut damages = Damages::default();
        let looking = self.look_at_sizes(&share, &mut damages, stop).await;
        let reading = match &looking {
            Ok(_) => self.read_again(scrub, &share, &mut damages, stop).await,
            Err(_) => Ok(false),
        };
        // Also if it was stopped: nobody will find these again.
        self.report(damages).await;
        let have_more = [looking?, reading?];
        Ok(have_more.contains(&true) && !stop.is_cancelled())
    }

    /// Files verified at this time or before have their turn.
    fn turn(&self) -> Millis {
        self.clock.now() - millis(self.settings.scrub.every.duration()) / 2
    }

    fn are_sizes_due(&self, look: &SizesLook) -> bool {
        let every = millis(SIZES_EVERY.min(self.settings.scrub.every.duration()));
        // Also if the clock was wrong when that was written down.
        look.after.is_some() || !(0..every).contains(&(self.clock.now() - look.ended_at))
    }

    /// Compares the sizes and times of the next files; whether there are more.
    async fn look_at_sizes(&self, share: &Share, damages: &mut Damages, stop: &CancellationToken) -> Result<bool> {
        let mut look = self.db.sizes_look().await?;
        if !self.are_sizes_due(&look) {
            return Ok(false);
        }
        for _ in 0..SIZES_PAGES {
            if stop.is_cancelled() {
                return Ok(true);
            }
            let page = self.db.blob_page(look.after, SIZES_PAGE).await?;
            let Some(last) = page.last() else {
                self.db.put_sizes_look(&SizesLook { ended_at: self.clock.now(), after: None }).await?;
                return Ok(false);
            };
            look.after = Some(last.digest);
            for (blob, seen) in share.spend(stop, self.store.changed_outside(page)).await? {
                match harm_of(seen) {
                    Some(harm) => self.found(&blob, harm, damages).await?,
                    // It is the next to be read.
                    None => self.db.put_unverified(&blob).await?,
                }
            }
            self.db.put_sizes_look(&look).await?;
        }
        Ok(true)
    }

    /// Reads the next files whose turn has come; whether there are more.
    async fn read_again(
        &self,
        scrub: &mut Scrub,
        share: &Share,
        damages: &mut Damages,
        stop: &CancellationToken,
    ) -> Result<bool> {
        let began = self.clock.elapsed();
        if began < scrub.not_before {
            return Ok(false);
        }
        let page = self.db.scrub_page(self.turn(), scrub.after, PAGE).await?;
        let is_last = (page.len() as u64) < PAGE;
        for (blob, verified_at) in page {
            // What was found is told before hours are spent on another file.
            if stop.is_cancelled() || blob.size > LARGE && !damages.is_empty() {
                return Ok(true);
            }
            match self.verify_blob(&blob, share, damages, stop).await {
                Ok(()) => {}
                Err(error @ (Error::Stopping | Error::DatabaseAway { .. } | Error::Conflict(_))) => return Err(error),
                Err(error) => {
                    scrub.has_failed = true;
                    tracing::warn!(blob.digest = %blob.digest, %error, "could not read a stored file again; it will be tried later");
                }
            }
            // Also one that could not be read: it is not in the way of the others.
            scrub.after = Some((verified_at, blob.digest));
            if self.clock.elapsed().saturating_sub(began) >= STEP {
                return Ok(true);
            }
        }
        if is_last {
            let not_before = if scrub.has_failed { self.clock.elapsed() + TRY_AGAIN } else { Duration::ZERO };
            *scrub = Scrub { not_before, ..Scrub::default() };
        }
        Ok(!is_last)
    }

    /// Reads one whole, and writes down what it is.
    async fn verify_blob(
        &self,
        blob: &BlobRow,
        share: &Share,
        damages: &mut Damages,
        stop: &CancellationToken,
    ) -> Result<()> {
        let seen = self.store.changed_outside(vec![*blob]).await?;
        if let Some(harm) = seen.first().and_then(|(_, seen)| harm_of(*seen)) {
            return self.found(blob, harm, damages).await;
        }
        // What is wrong has to be so twice, and from the beginning: a good file is not given up for a bit of this machine's
        // memory, or for a note of how far it was read.
        for resume in [Some(self.turn()), None] {
            let reading = match self.store.reread(blob, resume).await? {
                Ok(reading) => reading,
                Err(Check::Missing) => return self.found(blob, Harm::Missing, damages).await,
                Err(_) => return self.found(blob, Harm::Wrong, damages).await,
            };
            let modified_ns = reading.modified_ns();
            match self.read_through(blob, reading, share, stop).await? {
                Some(Check::Right) => return self.store.note_verified(blob, Some(modified_ns)).await,
                Some(_) => {}
                None => return Ok(()),
            }
        }
        self.found(blob, Harm::Wrong, damages).await
    }

    /// Reads to the end; `None` if the file has left the store meanwhile.
    async fn read_through(
        &self,
        blob: &BlobRow,
        mut reading: Rereading,
        share: &Share,
        stop: &CancellationToken,
    ) -> Result<Option<Check>> {
        let mut marked_at = self.clock.elapsed();
        loop {
            let piece;
            (reading, piece) = share.spend(stop, self.store.next_piece(reading)).await?;
            match piece {
                Piece::More(bytes) => metrics::scrubbed_bytes(bytes),
                Piece::Last(bytes, check) => {
                    metrics::scrubbed_bytes(bytes);
                    return Ok(Some(check));
                }
                Piece::Gone => return Ok(None),
            }
            let now = self.clock.elapsed();
            if stop.is_cancelled() || now.saturating_sub(marked_at) >= MARK_EVERY {
                self.store.mark(blob, &reading).await?;
                marked_at = now;
            }
            if stop.is_cancelled() {
                return Err(Error::Stopping);
            }
        }
    }

    /// Takes a damaged blob out of the store, unless another file has its name by now.
    async fn found(&self, blob: &BlobRow, harm: Harm, damages: &mut Damages) -> Result<()> {
        if harm == Harm::Missing {
            self.store.check_in_place().await?;
        }
        let damage = self.damage_of(blob).await?;
        let has_left = match harm {
            // Only the store's own link: the original stays where it is.
            Harm::Changed => self.store.remove(blob).await?,
            Harm::Wrong | Harm::Missing => self.store.quarantine(blob).await?,
        };
        if has_left {
            let text = damages.note(blob, harm, damage);
            tracing::error!(blob.digest = %blob.digest, "{text}");
        }
        Ok(())
    }

    /// Orders again what was found damaged, and tells people.
    async fn report(&self, mut damages: Damages) {
        for (_, text) in self.order(&mut damages).await {
            tracing::info!("{text}");
        }
        let Some(error) = damages.error() else { return };
        if let Error::Damaged { files, .. } = error {
            metrics::damaged_files(files);
            if let Err(error) = self.db.add_to_counter(DAMAGED, files).await {
                tracing::warn!(%error, "could not count damaged files");
            }
        }
        self.events.note("store.damaged", format!("the scrub found {error}"), "", None).await;
    }
}

/// What is wrong with a file by what is seen of it; `None`: it has to be read.
fn harm_of(seen: Seen) -> Option<Harm> {
    match seen {
        Seen::Missing => Some(Harm::Missing),
        Seen::Wrong => Some(Harm::Wrong),
        Seen::Relinked => Some(Harm::Changed),
        Seen::Touched => None,
    }
}
