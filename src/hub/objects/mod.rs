//! The object store beside the disk: where every blob is kept as well, and where one comes back from that the disk has lost
//! or made room with.
//!
//! A row says what is there (`db/objects.rs`); it is written when an upload is complete and its size was confirmed. `push`
//! brings there what is not. While the object store is away, everything else goes on: blobs wait, and what only it has
//! comes from upstream. Whose bucket it is, is in `place`.

mod place;
mod push;
mod upload;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures_util::stream::BoxStream;
use tokio::sync::{Notify, OnceCell, Semaphore};

use super::store::Store;
use super::{Error, Result};
use crate::db::{Db, ObjectTotals};
use crate::domain::{Clock, ContentId, Digest};
use crate::object::{self, ObjectStore};
use crate::telemetry::Condition;

pub(in crate::hub) use upload::{Parts, is_in_parts};

/// Memory of all uploads together, in MiB.
const MEMORY: usize = 64;

/// See the module's text. Cheap to clone; without an object store it does nothing and knows nothing.
#[derive(Clone)]
pub(in crate::hub) struct Objects(Option<Arc<Inner>>);

struct Inner {
    object: ObjectStore,
    store: Store,
    db: Db,
    clock: Clock,
    /// It does not answer, or refuses what it is asked.
    away: Condition,
    /// This process, among those that upload.
    owner: String,
    /// Set when the prefix turned out to be this store's.
    ours: OnceCell<()>,
    /// Something has come that is not there yet.
    came: Notify,
    memory: Arc<Semaphore>,
    /// The prefix turned out to be another store's.
    is_refused: AtomicBool,
}

/// The object store at a glance.
#[derive(Debug, Clone)]
pub struct ObjectState {
    pub name: String,
    pub totals: ObjectTotals,
    /// What is wrong with it now.
    pub problem: Option<String>,
}

impl Objects {
    pub(in crate::hub) fn new(object: Option<ObjectStore>, store: Store, db: Db, clock: Clock) -> Self {
        Self(object.map(|object| {
            store.keep_until_durable();
            let begins = "the object store cannot be used: files wait on this disk for their upload";
            let away = Condition::new(clock.clone(), begins, "the object store can be used again");
            Arc::new(Inner {
                object,
                away,
                store,
                db,
                clock,
                owner: uuid::Uuid::now_v7().to_string(),
                ours: OnceCell::new(),
                came: Notify::new(),
                memory: Arc::new(Semaphore::new(MEMORY)),
                is_refused: AtomicBool::new(false),
            })
        }))
    }

    pub(in crate::hub) fn is_set(&self) -> bool {
        self.0.is_some()
    }

    /// The object that holds a content, as far as is known.
    pub(in crate::hub) async fn find(&self, content: ContentId, size: u64) -> Option<Digest> {
        let inner = self.0.as_ref()?;
        match inner.db.object(content, size).await {
            Ok(found) => found.filter(|_| !inner.is_refused.load(Ordering::Relaxed)),
            Err(error) => {
                Error::from(error).warn("could not look into the object store's list");
                None
            }
        }
    }

    /// A range of an object as it arrives. One that is not there is noted to be lost.
    pub(in crate::hub) async fn read(
        &self,
        digest: Digest,
        range: Range<u64>,
    ) -> object::Result<BoxStream<'static, object::Result<Bytes>>> {
        let Some(inner) = &self.0 else { return Err(object::Error::Missing) };
        match inner.object.read(digest, range).await {
            Err(object::Error::Missing) => {
                self.lost(digest).await;
                Err(object::Error::Missing)
            }
            Err(error) => {
                inner.away.met(&error);
                Err(error)
            }
            Ok(bytes) => {
                inner.away.is_over();
                Ok(bytes)
            }
        }
    }

    /// An object is missing or is not what it should be: it will be uploaded again once its blob is here.
    pub(in crate::hub) async fn lost(&self, digest: Digest) {
        let Some(inner) = &self.0 else { return };
        match inner.db.delete_object(digest).await {
            Ok(true) => {
                tracing::error!(blob.digest = %digest, object.store = inner.object.name(), "the object store has lost or damaged a file; it will be uploaded again");
                inner.came.notify_one();
            }
            Ok(false) => {}
            Err(error) => Error::from(error).warn("could not note that an object is lost"),
        }
    }

    /// A blob has come.
    pub(in crate::hub) fn wake(&self) {
        if let Some(inner) = &self.0 {
            inner.came.notify_one();
        }
    }

    /// `None` without an object store.
    pub(in crate::hub) async fn state(&self) -> Result<Option<ObjectState>> {
        let Some(inner) = &self.0 else { return Ok(None) };
        let totals = inner.db.object_totals().await?;
        Ok(Some(ObjectState { name: inner.object.name().to_owned(), totals, problem: inner.away.why() }))
    }
}

fn away(error: object::Error) -> Error {
    Error::ObjectStore { reason: error.to_string() }
}
