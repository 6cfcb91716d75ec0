//! A real Xet store behind the mock: the simulation server of xet-core, filled by xet-core's own uploader.
//!
//! It runs on threads of its own, so that `MockHf::put` may wait for an upload wherever it is called. It knows no
//! tokens: who may read is decided by the mock's token route. Of the environment, xet-core reads its `HF_XET_*`
//! settings; what it caches goes into a temporary directory.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use anyhow::Context as _;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use xet::xet_session::{Sha256Policy, XetSession, XetSessionBuilder};
use xet_client::cas_client::{LocalTestServer, LocalTestServerBuilder};

use crate::content::Content;

/// Real Xet hashes by sha256: of the contents that were uploaded to a store of this process.
static KNOWN: LazyLock<Mutex<HashMap<String, String>>> = LazyLock::new(Mutex::default);

/// The Xet hash of a content that was uploaded.
pub(crate) fn hash_of(sha256: &str) -> Option<String> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner).get(sha256).cloned()
}

/// A running store.
pub(crate) struct XetStore {
    url: String,
    session: XetSession,
    /// Serves until it is dropped.
    server: Mutex<Option<LocalTestServer>>,
    runtime: Option<Runtime>,
    _cache: TempDir,
}

impl XetStore {
    pub(crate) fn start() -> anyhow::Result<XetStore> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let cache = TempDir::new()?;
        let dir = cache.path().to_owned();
        let handle = runtime.handle().clone();
        let start = async move {
            let server = LocalTestServerBuilder::new().start().await;
            let session = XetSessionBuilder::new().with_cache_dir(dir).with_tokio_handle(handle).build()?;
            anyhow::Ok((server, session))
        };
        let (server, session) = wait(&runtime, start).context("could not start a Xet store")??;
        let url = server.http_endpoint().to_owned();
        Ok(XetStore { url, session, server: Mutex::new(Some(server)), runtime: Some(runtime), _cache: cache })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Uploads contents that are not there yet. An empty file has nothing to upload.
    pub(crate) fn upload(&self, contents: Vec<Content>) -> anyhow::Result<()> {
        let Some(runtime) = &self.runtime else { return Ok(()) };
        let contents: Vec<Content> = contents.into_iter().filter(|content| content.size() > 0).collect();
        if contents.is_empty() {
            return Ok(());
        }
        let (session, url) = (self.session.clone(), self.url.clone());
        let upload = async move {
            let commit = session.new_upload_commit()?.with_endpoint(url).build().await?;
            for content in contents {
                let bytes = content.read_all().to_vec();
                let file = commit.upload_bytes(bytes, Sha256Policy::Compute, None).await?;
                let hash = file.finalize_ingestion().await?.xet_info.hash;
                KNOWN.lock().unwrap_or_else(PoisonError::into_inner).insert(content.sha256(), hash);
            }
            commit.commit().await?;
            anyhow::Ok(())
        };
        wait(runtime, upload).context("could not upload to the Xet store")?
    }

    /// Answers 404 to recipes of version 2.
    pub(crate) fn age(&self) {
        if let Some(server) = &*self.server.lock().unwrap_or_else(PoisonError::into_inner) {
            server.client().disable_v2_endpoints(404);
        }
    }

    /// The store goes down; the mock goes on naming it.
    pub(crate) fn stop(&self) {
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(server);
    }
}

impl Drop for XetStore {
    fn drop(&mut self) {
        self.stop();
        // The mock may be dropped inside a runtime, where a plain drop of another one panics.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Runs a future on the store's threads and waits for it here.
fn wait<T: Send + 'static>(runtime: &Runtime, future: impl Future<Output = T> + Send + 'static) -> anyhow::Result<T> {
    let (send, receive) = std::sync::mpsc::sync_channel(1);
    runtime.spawn(async move { send.send(future.await) });
    receive.recv().context("its task has died")
}
