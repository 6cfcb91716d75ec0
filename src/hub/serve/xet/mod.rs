//! Xet: this hub as the content-addressed store of its clients, over its ordinary blobs.
//!
//! Steps of a client's download, each one use case here:
//!
//! 1. A listing or a HEAD names the file's Xet hash ([`Serve::xet_hash`]).
//! 2. **Token**: the right to one repository's content, sealed, for a quarter of an hour
//!    ([`Serve::xet_token`]). The caller's own token is in it, because a download from upstream
//!    may have to be made with it.
//! 3. **Recipe**: the terms of a range of the file ([`Serve::recipe`]). Access is asked again. A
//!    client that starts at the beginning wants all of it: the flight starts here.
//! 4. **Xorb**: cut from the blob, or from the flight as it arrives ([`Serve::xorb`]). These URLs
//!    are requested without authorisation; the ticket in them is the right to these bytes.
//!
//! Clients of Xet check lengths but not content. So the end of an unverified file is held
//! back as everywhere; and once a wrong body was sent, every token and ticket that was made
//! before is refused for that content: its holder would complete a wrong beginning. Nor does a
//! peer get the rest of it that has not started over since.

mod recipe;
mod seal;

use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

pub use self::recipe::Recipe;
use self::seal::Seal;
use super::open::{Opened, flight_target};
use super::{Result, Serve};
use crate::domain::xet::{Layout, Piece};
use crate::domain::{
    Artifact, ByteRange, CommitId, Millis, ModelId, Principal, RepoId, RepoKey, RepoKind, Revision, Visibility, XetHash,
};
use crate::hub::catalog::Resolved;
use crate::hub::repos::{Need, Repo};
use crate::hub::{Caller, Error, Served};
use crate::upstream::Impact;

/// hf_xet asks for a new token half a minute before the old one ends, and never after a 401.
const TOKEN_MS: Millis = 15 * 60 * 1000;
/// As long as a download URL of the Hub; afterwards clients request the recipe again.
const TICKET_MS: Millis = 60 * 60 * 1000;
/// Concurrent recipes; further requests wait.
const RECIPES: usize = 64;
/// How long a request waits if all of them are taken.
const RECIPE_WAIT: std::time::Duration = std::time::Duration::from_secs(5);

/// Row of the repository, commit, Xet hash.
type FileKey = (ModelId, String, String);

pub(super) struct Xet {
    seal: Seal,
    /// What a hash means in a repository, seen from a commit; commits do not change, so neither
    /// does this.
    files: moka::sync::Cache<FileKey, (CommitId, Arc<Artifact>)>,
    /// Callers with valid tickets, by the digest of their token: a flight for a file that
    /// is not public must be made in their name.
    callers: moka::sync::Cache<String, Principal>,
    recipes: Arc<Semaphore>,
}

impl Xet {
    pub(super) fn new(key: &str) -> Result<Self> {
        Ok(Self {
            seal: Seal::new(key)?,
            files: moka::sync::Cache::new(20_000),
            callers: moka::sync::Cache::builder()
                .max_capacity(10_000)
                .time_to_live(std::time::Duration::from_millis(TICKET_MS as u64))
                .build(),
            recipes: Arc::new(Semaphore::new(RECIPES)),
        })
    }
}

/// The right to the content of one repository, for one caller.
pub struct XetToken {
    pub text: String,
    pub expires_at: Millis,
}

#[derive(Serialize, Deserialize)]
struct TokenClaims {
    kind: String,
    repo: String,
    /// Where the file is looked up first: other commits may be gone upstream.
    commit: String,
    /// The caller's own token.
    hf: Option<String>,
    made: Millis,
    expires: Millis,
}

/// The right to some chunks of one xorb.
#[derive(Serialize, Deserialize)]
struct Ticket {
    kind: String,
    repo: String,
    commit: String,
    file: String,
    xorb: u64,
    chunks: Range<u64>,
    /// The digest of the caller's token; empty for nobody.
    by: String,
    made: Millis,
    expires: Millis,
}

/// Who asks for which file, and since when they may.
struct XetFile {
    caller: Caller,
    resolved: Resolved,
    made: Millis,
}

/// A part of a xorb, ready to be sent.
pub struct XorbPart {
    /// `None` if only the head was asked for.
    pub opened: Option<Opened>,
    /// The bytes of the file that `opened` gives.
    pub file: Range<u64>,
    pub layout: Layout,
    pub xorb: u64,
    /// Parts of the serialised xorb, in the order they were asked for; each within the ticket.
    pub bytes: Vec<Range<u64>>,
    pub served: Served,
}

impl Serve {
    /// The Xet hash that HEAD and GET name; `None` if the file is not offered.
    pub async fn xet_hash(&self, artifact: &Artifact) -> Result<Option<XetHash>> {
        let Some(hash) = self.catalog.offered(artifact) else { return Ok(None) };
        let is_to_be_had = !self.upstream.is_away() || self.store.get(artifact).await?.is_some();
        Ok(is_to_be_had.then_some(hash))
    }

    /// The token route: for callers who may have the bytes.
    pub async fn xet_token(&self, caller: &Caller, key: &RepoKey, revision: &Revision) -> Result<XetToken> {
        let revision = self.repos.resolve(caller, key, revision, Need::Bytes).await?;
        // A client may know hashes from a listing that it once got elsewhere.
        if !self.catalog.has_tree(&revision.repo, &revision.commit).await? {
            let listing = self.catalog.ask_tree(caller, &revision.repo, &revision.commit);
            // Without it the hashes that HEAD gave are still known.
            let _ = self.upstream.in_time(Impact::Counts, listing).await;
        }
        let made = self.clock.now();
        let key = &revision.repo.key;
        let claims = TokenClaims {
            kind: key.kind.as_str().to_owned(),
            repo: key.id.to_string(),
            commit: revision.commit.to_string(),
            hf: caller.principal.token().map(str::to_owned),
            made,
            expires: made + TOKEN_MS,
        };
        Ok(XetToken { text: self.xet.seal.seal("token", &claims)?, expires_at: claims.expires })
    }

    /// How to put `range` (or all) of a file together. `None` is 416. `caller` is who connects;
    /// who asks is in the token.
    pub async fn recipe(
        &self,
        caller: &Caller,
        token: Option<&str>,
        file: &str,
        range: Option<ByteRange>,
    ) -> Result<Option<Recipe>> {
        let XetFile { caller, resolved, made } = self.xet_file(caller, token, file).await?;
        let artifact = Arc::clone(&resolved.artifact);
        let size = artifact.size;
        let Some(range) = range.map_or(Some(0..size), |range| range.resolve(size)) else { return Ok(None) };

        if !self.taints.may_continue(artifact.content, caller.peer, range.start) {
            return Err(begin_again());
        }
        let stored = self.store.get(&artifact).await?.is_some();
        if !stored {
            if self.upstream.is_away() {
                let what = format!(
                    "{}/{} is not cached, and upstream is unavailable",
                    resolved.revision.repo.key, artifact.path
                );
                // Not 504: Xet clients would retry that for minutes.
                return Err(Error::NotSupported(what));
            }
            if range.start == 0 {
                // Nobody reads from this one: it only marks that everything is wanted.
                drop(self.flights.join(flight_target(&caller, &resolved), 0..0, true));
            }
        }
        let by = self.digests.of(&caller.principal);
        self.xet.callers.insert(by.clone(), caller.principal);
        // Slow readers must not keep the others waiting without an answer.
        let permit = self.clock.timeout(RECIPE_WAIT, Arc::clone(&self.xet.recipes).acquire_owned()).await;
        let busy = |_| Error::Busy { what: format!("{RECIPES} reconstructions are in progress; try again shortly") };
        let permit = permit.map_err(busy)?.map_err(Error::internal)?;
        Ok(Some(Recipe {
            serve: self.clone(),
            repo: resolved.revision.repo.key.clone(),
            commit: resolved.revision.commit.clone(),
            file: file.to_owned(),
            artifact,
            range,
            by,
            made,
            served: if stored { Served::Hit } else { Served::Miss },
            _permit: permit,
        }))
    }

    /// The size of a file, for a caller with a token of its repository.
    pub async fn xet_file_size(&self, caller: &Caller, token: Option<&str>, file: &str) -> Result<u64> {
        Ok(self.xet_file(caller, token, file).await?.resolved.artifact.size)
    }

    async fn xet_file(&self, caller: &Caller, token: Option<&str>, file: &str) -> Result<XetFile> {
        let refused = |message: &str| Error::Unauthenticated { message: message.to_owned() };
        let claims: TokenClaims = token
            .and_then(|token| self.xet.seal.open("token", token))
            .ok_or_else(|| refused("invalid Xet token; get one from the repository's xet-read-token"))?;
        if !(claims.made..claims.expires).contains(&self.clock.now()) {
            return Err(refused("expired Xet token; get a new one from the repository's xet-read-token"));
        }
        let principal = claims.hf.map_or(Principal::Anonymous, Principal::Token);
        let caller = Caller { principal, ..caller.clone() };
        let repo = self.xet_repo(&claims.kind, &claims.repo).await?;
        self.repos.authorise(&caller, &repo, Need::Bytes).await?;
        let resolved = self.xet_lookup(repo, &claims.commit, file).await?;
        if self.taints.since(resolved.artifact.content, claims.made) {
            return Err(begin_again());
        }
        Ok(XetFile { caller, resolved, made: claims.made })
    }

    async fn xet_repo(&self, kind: &str, id: &str) -> Result<Arc<Repo>> {
        let kind = RepoKind::parse(kind).ok_or(Error::RepoNotFound)?;
        let key = RepoKey::new(kind, RepoId::parse(id)?);
        self.repos.known_repo(&key).await?.ok_or(Error::RepoNotFound)
    }

    async fn xet_lookup(&self, repo: Arc<Repo>, commit: &str, file: &str) -> Result<Resolved> {
        let key = (repo.row.clone(), commit.to_owned(), file.to_owned());
        let (commit, artifact) = match self.xet.files.get(&key) {
            Some(found) => found,
            None => {
                let absent = || Error::EntryNotFound { commit: None };
                let hash = XetHash::parse(file).map_err(|_| absent())?;
                let found = self.db.artifact_by_xet(&repo.row, hash, commit).await?;
                let (commit, artifact) = found.ok_or_else(absent)?;
                let found = (commit, Arc::new(artifact));
                self.xet.files.insert(key, found.clone());
                found
            }
        };
        let revision = self.repos.resolved(repo, commit, Served::Hit).await?;
        Ok(Resolved { revision, artifact, served: Served::Hit })
    }

    /// Opens parts of a xorb. Without `ranges` it is all that the ticket is for.
    ///
    /// An invalid or expired ticket is 403, on which clients request the recipe again.
    pub async fn xorb(
        &self,
        caller: &Caller,
        name: &str,
        ticket: &str,
        ranges: &[Range<u64>],
        with_body: bool,
    ) -> Result<XorbPart> {
        let refused = |message: &str| Error::Forbidden { message: message.to_owned() };
        let ticket: Ticket = self.xet.seal.open("xorb", ticket).ok_or_else(|| refused("invalid download URL"))?;
        if !(ticket.made..ticket.expires).contains(&self.clock.now()) {
            return Err(refused("expired download URL; request the reconstruction again"));
        }
        let repo = self.xet_repo(&ticket.kind, &ticket.repo).await?;
        let principal = match self.xet.callers.get(&ticket.by) {
            Some(principal) => principal,
            None if repo.visibility == Visibility::Public => Principal::Anonymous,
            // After a restart. The recipe, which is requested with a token, tells who it is.
            None => return Err(refused("request the reconstruction again")),
        };
        let caller = Caller { principal, ..caller.clone() };
        self.repos.authorise(&caller, &repo, Need::Bytes).await?;
        let resolved = self.xet_lookup(repo, &ticket.commit, &ticket.file).await?;
        let artifact = &resolved.artifact;
        let absent = || Error::EntryNotFound { commit: None };
        if self.xorb_name(artifact, ticket.xorb) != name || self.taints.since(artifact.content, ticket.made) {
            return Err(absent());
        }
        let layout = Layout { size: artifact.size };
        let term = layout.checked_term(ticket.xorb, ticket.chunks).ok_or_else(absent)?;
        if ranges.iter().any(|range| range.start < term.bytes.start || range.end > term.bytes.end) {
            return Err(refused(&format!(
                "this download URL covers bytes {}-{} of the xorb",
                term.bytes.start,
                term.bytes.end - 1
            )));
        }
        let bytes = if ranges.is_empty() { vec![term.bytes] } else { ranges.to_vec() };
        let file = file_range(layout, ticket.xorb, &bytes);

        if let Some(stored) = self.store.get(artifact).await? {
            self.note_use(&caller, &stored);
            let opened = Some(Opened::Stored(stored));
            return Ok(XorbPart { opened, file, layout, xorb: ticket.xorb, bytes, served: Served::Hit });
        }
        if !with_body {
            return Ok(XorbPart { opened: None, file, layout, xorb: ticket.xorb, bytes, served: Served::Miss });
        }
        // The client may be done when it has the file's end.
        let (start, finishes) = (file.start, file.end == artifact.size);
        let opened = self.open_arriving(&caller, &resolved, file, finishes).await;
        let (opened, file, served) = opened.map_err(|error| match error {
            // Nothing was sent yet: Xet clients would retry 504 for minutes.
            Error::UpstreamUnavailable { .. } if start == 0 && self.upstream.is_away() => {
                Error::NotSupported(error.to_string())
            }
            // And 502, though no retry can end otherwise.
            Error::NotAllowed(_) => Error::NotSupported(error.to_string()),
            error => error,
        })?;
        Ok(XorbPart { opened: Some(opened), file, layout, xorb: ticket.xorb, bytes, served })
    }

    /// The identifier of one of our xorbs: of this content, always the same, and by its key
    /// never one of upstream's. Only a wrong body changes it: clients may have kept its chunks.
    fn xorb_name(&self, artifact: &Artifact, xorb: u64) -> String {
        let name = match self.taints.mark(artifact.content) {
            Some(mark) => format!("{}/{xorb}/{mark}", artifact.content),
            None => format!("{}/{xorb}", artifact.content),
        };
        self.xet.seal.name(&name)
    }
}

fn begin_again() -> Error {
    let message = "upstream sent wrong bytes of this file; restart the download with a new Xet token";
    Error::Unauthenticated { message: message.to_owned() }
}

/// The bytes of the file from the first to the last that parts of a xorb show.
fn file_range(layout: Layout, xorb: u64, bytes: &[Range<u64>]) -> Range<u64> {
    let pieces = bytes.iter().flat_map(|bytes| layout.pieces(xorb, bytes.clone()));
    let shown = pieces.filter_map(|piece| match piece {
        Piece::File(range) => Some(range),
        Piece::Header(_) => None,
    });
    shown.reduce(|a, b| a.start.min(b.start)..a.end.max(b.end)).unwrap_or(0..0)
}
