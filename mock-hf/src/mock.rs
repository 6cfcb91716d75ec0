//! [`MockHf`], the handle that tests and the binary hold.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::fault::{FaultId, Installed, Origin, Rule};
use crate::log::{Logged, Stats};
use crate::options::Options;
use crate::repo::{Change, Kind, Repo};
use crate::server;
use crate::shared::Shared;

/// A running mock of the Hub with its CDN. Clones are handles to the same mock; the last one to be dropped stops it.
#[derive(Clone)]
pub struct MockHf {
    shared: Arc<Shared>,
    running: Arc<Running>,
}

#[derive(Default)]
struct Running {
    servers: Mutex<Option<Servers>>,
}

struct Servers {
    cancel: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Running {
    fn take(&self) -> Option<Servers> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(servers) = self.take() {
            servers.cancel.cancel();
        }
    }
}

impl MockHf {
    /// Starts hub and CDN on free ports of 127.0.0.1.
    ///
    /// # Panics
    /// When no port can be bound; a test cannot go on without.
    pub async fn start() -> MockHf {
        MockHf::start_with(Options::default()).await.expect("the mock must bind two free ports")
    }

    /// Starts with options; an address that cannot be bound is an error.
    pub async fn start_with(options: Options) -> anyhow::Result<MockHf> {
        let mock = MockHf { shared: Arc::new(Shared::new(options)?), running: Arc::default() };
        mock.listen().await?;
        Ok(mock)
    }

    async fn listen(&self) -> anyhow::Result<()> {
        let shared = &self.shared;
        let cancel = CancellationToken::new();
        let mut tasks = Vec::new();
        for (origin, place, wish) in [
            (Origin::Hub, &shared.hub_addr, shared.options.hub_addr),
            (Origin::Cdn, &shared.cdn_addr, shared.options.cdn_addr),
        ] {
            let addr = place.get().copied().unwrap_or(wish);
            let (addr, task) = server::listen(Arc::clone(shared), origin, addr, cancel.clone())
                .await
                .with_context(|| format!("could not listen on {addr}"))
                .inspect_err(|_| cancel.cancel())?;
            let _ = place.set(addr);
            tasks.push(task);
        }
        *self.running.servers.lock().unwrap_or_else(PoisonError::into_inner) = Some(Servers { cancel, tasks });
        Ok(())
    }

    /// The hub's base URL without a trailing slash: the value for `HF_ENDPOINT`.
    pub fn url(&self) -> String {
        self.shared.url()
    }

    /// The CDN's base URL.
    pub fn cdn_url(&self) -> String {
        self.shared.cdn_url()
    }

    /// Where the hub listens.
    pub fn hub_addr(&self) -> Option<SocketAddr> {
        self.shared.hub_addr.get().copied()
    }

    /// Where the CDN listens.
    pub fn cdn_addr(&self) -> Option<SocketAddr> {
        self.shared.cdn_addr.get().copied()
    }

    /// Adds or replaces a repo. Returns the commit of main.
    ///
    /// # Panics
    /// When the Xet store does not take its LFS files.
    pub fn put(&self, repo: Repo) -> String {
        #[cfg(feature = "xet")]
        self.upload(repo.files.values().filter(|(_, lfs)| *lfs).map(|(content, _)| content));
        self.shared.store.put(&repo)
    }

    #[cfg(feature = "xet")]
    fn upload<'a>(&self, contents: impl Iterator<Item = &'a crate::Content>) {
        if let Some(xet) = &self.shared.xet {
            xet.upload(contents.cloned().collect()).expect("the Xet store must take the files");
        }
    }

    /// The Xet store goes down; the hub goes on naming it.
    #[cfg(feature = "xet")]
    pub fn stop_xet_store(&self) {
        if let Some(xet) = &self.shared.xet {
            xet.stop();
        }
    }

    /// The Xet store knows only the older form of recipes, `/v1/reconstructions`.
    #[cfg(feature = "xet")]
    pub fn age_xet_store(&self) {
        if let Some(xet) = &self.shared.xet {
            xet.age();
        }
    }

    /// Removes a repo, as if its owner had deleted it.
    pub fn remove(&self, kind: &str, id: &str) -> bool {
        self.shared.store.remove(known(kind), id)
    }

    /// Commits changes and moves the branch (a name, or `refs/pr/N`; a new branch starts at main). Returns the commit.
    ///
    /// # Panics
    /// When there is no such repo.
    pub fn commit(&self, kind: &str, id: &str, branch: &str, changes: Vec<Change>) -> String {
        #[cfg(feature = "xet")]
        self.upload(changes.iter().filter_map(|change| match change {
            Change::Put { content, lfs: true, .. } => Some(content),
            Change::Put { .. } | Change::Delete { .. } => None,
        }));
        let commit = self.shared.store.commit(known(kind), id, branch, &changes, "Update files");
        commit.unwrap_or_else(|| panic!("there is no {kind} `{id}` to commit to"))
    }

    /// Gives a repo a new name; the old name redirects (307, relative) on `/api`.
    pub fn rename(&self, kind: &str, old: &str, new: &str) {
        assert!(self.shared.store.rename(known(kind), old, new), "there is no {kind} `{old}` to rename");
    }

    /// Changes who may see a repo; `readers` replaces the list of tokens.
    pub fn set_visibility(&self, kind: &str, id: &str, private: bool, gated: Option<&str>, readers: Vec<String>) {
        let done = self.shared.store.set_visibility(known(kind), id, private, gated, readers);
        assert!(done, "there is no {kind} `{id}`");
    }

    /// Moderation switches a repo off, or on again.
    pub fn set_disabled(&self, kind: &str, id: &str, disabled: bool) {
        assert!(self.shared.store.set_disabled(known(kind), id, disabled), "there is no {kind} `{id}`");
    }

    /// All signed CDN URLs handed out so far answer 403 from now on.
    pub fn expire_urls(&self) {
        self.shared.expire_urls();
    }

    /// Adds a rule.
    pub fn fault(&self, rule: Rule) -> FaultId {
        self.shared.faults.add(rule)
    }

    /// Removes a rule.
    pub fn remove_fault(&self, id: FaultId) -> bool {
        self.shared.faults.remove(id)
    }

    /// Removes all rules.
    pub fn clear_faults(&self) {
        self.shared.faults.clear();
    }

    /// The rules, with how often each matched and struck.
    pub fn faults(&self) -> Vec<Installed> {
        self.shared.faults.list()
    }

    /// The log, oldest first.
    pub fn requests(&self) -> Vec<Logged> {
        self.shared.log.requests()
    }

    /// Forgets the log and sets the counters to zero.
    pub fn clear_log(&self) {
        self.shared.log.clear();
    }

    /// Waits until no request is being answered. A stalled one never ends: limit the time.
    pub async fn idle(&self) {
        while self.stats().in_flight > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    }

    /// The counters.
    pub fn stats(&self) -> Stats {
        self.shared.log.stats()
    }

    /// Upstream goes down: no listener, and all live connections are cut. Returns when that is so.
    pub async fn stop(&self) {
        if let Some(servers) = self.running.take() {
            servers.cancel.cancel();
            for task in servers.tasks {
                let _ = task.await;
            }
        }
    }

    /// Upstream comes back on the same ports; nothing is forgotten.
    pub async fn restart(&self) -> anyhow::Result<()> {
        self.stop().await;
        self.listen().await
    }
}

fn known(kind: &str) -> Kind {
    kind.parse().unwrap_or_else(|error| panic!("{error}"))
}
