//! Whether an object store does what is needed of it, tried out step by step.

use bytes::Bytes;
use futures_util::TryStreamExt as _;

use super::{Error, ObjectStore, Result};
use crate::crypto;
use crate::domain::Digest;

/// One thing that was tried, and how it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub what: &'static str,
    pub outcome: Result<()>,
}

/// The size of a part that is not the last, at least.
const PART: usize = 5 << 20;

/// Puts, reads, uploads in parts and removes, under a name that no content has. Ends with the first step that fails.
pub async fn check(store: &ObjectStore) -> Vec<Step> {
    let mut steps = Vec::new();
    let digest = Digest::parse(&crypto::new_key()).expect("a key is as long as a digest");
    let outcome = try_all(store, digest, &mut steps).await;
    if outcome.is_err() {
        // Whatever is left of it.
        let _ = store.delete(digest).await;
    }
    steps
}

async fn try_all(store: &ObjectStore, digest: Digest, steps: &mut Vec<Step>) -> Result<()> {
    let mut note = |what, outcome: Result<()>| {
        steps.push(Step { what, outcome: outcome.clone() });
        outcome
    };
    let small = Bytes::from_static(b"modelhub was here");
    note("put an object", store.put(digest, small.clone()).await)?;
    note("read its size", is(store.size(digest).await, &Some(small.len() as u64)))?;
    note("read a range of it", is(read(store, digest, 9..12).await, &small.slice(9..12)))?;
    let parts = [Bytes::from(vec![1; PART]), Bytes::from_static(b"end")];
    let upload = store.begin(digest).await;
    note("begin an upload in parts", upload.clone().map(drop))?;
    let upload = upload?;
    let sent = async {
        let mut sent = Vec::new();
        for (number, part) in parts.into_iter().enumerate() {
            sent.push(store.part(&upload, number, part).await?);
        }
        Ok(sent)
    };
    let sent = sent.await;
    note("send parts", sent.as_ref().map(|_| ()).map_err(Clone::clone))?;
    note("complete it", store.complete(&upload, sent?).await)?;
    note(
        "read the end of it",
        is(read(store, digest, PART as u64..PART as u64 + 3).await, &Bytes::from_static(b"end")),
    )?;
    let begun = store.begin(digest).await;
    note(
        "abort an upload",
        match begun {
            Ok(upload) => store.abort(&upload).await,
            Err(error) => Err(error),
        },
    )?;
    note("delete an object", store.delete(digest).await)?;
    note("find it deleted", is(store.size(digest).await, &None))
}

async fn read(store: &ObjectStore, digest: Digest, range: std::ops::Range<u64>) -> Result<Bytes> {
    let pieces: Vec<Bytes> = store.read(digest, range).await?.try_collect().await?;
    Ok(pieces.concat().into())
}

fn is<T: PartialEq + std::fmt::Debug>(found: Result<T>, right: &T) -> Result<()> {
    let found = found?;
    if found == *right { Ok(()) } else { Err(Error::Failed(format!("{found:?} was found instead of {right:?}"))) }
}
