//! Blobs looked at from the outside and read again, for verifications and the scrub.

use super::{Error, Result, Store};
use crate::blob::{Check, LocalStore, Mark, Outside, Piece, Rereading};
use crate::db::{BlobRow, ScrubMark};
use crate::domain::{ContentId, Millis};

/// What can be seen of a blob's file without reading it, if it is not as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::hub) enum Seen {
    Missing,
    /// Of another size, or no file.
    Wrong,
    /// Written to since its bytes were proven.
    Touched,
    /// The same, through the original that it is a hard link to.
    Relinked,
}

impl Store {
    /// Reads a blob again and compares its hash, at once and through the page cache.
    pub(in crate::hub) async fn check(&self, row: &BlobRow, stop: impl Fn() -> bool + Send + 'static) -> Result<Check> {
        let BlobRow { digest, size, .. } = *row;
        let check = move |disk: &LocalStore| -> Result<_> {
            // Before it is read: what is written meanwhile makes it another time.
            let outside = disk.outside(digest, size)?;
            Ok((outside, disk.check_blob(digest, size, &mut || stop())?))
        };
        let (outside, found) = self.blocking(check).await??;
        if found == Check::Right {
            let modified_ns = match outside {
                // What is noted of a link is when its original was modified as it was imported.
                Outside::Modified(ns) if !row.is_linked => Some(ns),
                _ => None,
            };
            self.note_verified(row, modified_ns).await?;
        }
        Ok(found)
    }

    /// Looks at the files of these blobs without reading them; those that are not as they were.
    pub(in crate::hub) async fn changed_outside(&self, rows: Vec<BlobRow>) -> Result<Vec<(BlobRow, Seen)>> {
        let look = move |disk: &LocalStore| {
            let mut changed = Vec::new();
            for row in rows {
                let outside = match disk.outside(row.digest, row.size) {
                    Ok(outside) => outside,
                    // Nothing follows from it, and it is not in the way of the others.
                    Err(error) => {
                        tracing::warn!(blob.digest = %row.digest, %error, "could not look at a stored file");
                        continue;
                    }
                };
                let seen = match outside {
                    Outside::Missing => Seen::Missing,
                    Outside::Wrong => Seen::Wrong,
                    // An earlier version has not noted when it was modified.
                    Outside::Modified(ns) if row.modified_ns.is_none_or(|known| known == ns) => continue,
                    Outside::Modified(_) if row.is_linked => Seen::Relinked,
                    Outside::Modified(_) => Seen::Touched,
                };
                changed.push((row, seen));
            }
            changed
        };
        self.blocking(look).await
    }

    /// An error if this is not the directory that was opened, so that nothing follows from files that it does not have.
    pub(in crate::hub) async fn check_in_place(&self) -> Result<()> {
        if self.blocking(|disk| disk.is_in_place()).await? {
            return Ok(());
        }
        Err(Error::Conflict("the data directory is not the one that was opened: its disk may not be mounted".into()))
    }

    /// Opens a blob to be read again, from where that was noted at `since` or later. Else what is wrong with its file.
    pub(in crate::hub) async fn reread(
        &self,
        row: &BlobRow,
        since: Option<Millis>,
    ) -> Result<Result<Rereading, Check>> {
        let mark = match since {
            Some(since) => self.0.db.scrub_mark(row, since).await?,
            None => None,
        };
        let mark = mark.map(|ScrubMark { position, modified_ns, hasher }| Mark { position, modified_ns, hasher });
        let BlobRow { digest, size, .. } = *row;
        Ok(self.blocking(move |disk| disk.reread(digest, size, mark)).await??)
    }

    pub(in crate::hub) async fn next_piece(&self, mut reading: Rereading) -> Result<(Rereading, Piece)> {
        let read = move || reading.piece().map(|piece| (reading, piece));
        Ok(tokio::task::spawn_blocking(read).await??)
    }

    /// Notes how far a blob was read.
    pub(in crate::hub) async fn mark(&self, row: &BlobRow, reading: &Rereading) -> Result<()> {
        let Mark { position, modified_ns, hasher } = reading.mark();
        let mark = ScrubMark { position, modified_ns, hasher };
        Ok(self.0.db.put_scrub_mark(row, &mark, self.0.clock.now()).await?)
    }

    /// Records that a blob was read whole and is right, whose file was modified at `modified_ns` if that is known.
    pub(in crate::hub) async fn note_verified(&self, row: &BlobRow, modified_ns: Option<i64>) -> Result<()> {
        self.0.db.put_verified(row, modified_ns, self.0.clock.now()).await?;
        self.0.proofs.came(row);
        if modified_ns.is_some() && modified_ns != row.modified_ns {
            // Who has it in memory would read it once more.
            self.0.rows.forget(&ContentId::Sha256(row.digest));
        }
        Ok(())
    }
}
