//! Which route a path names.
//!
//! Works on the raw path: split at `/` first, decode each segment after, so that `refs%2Fpr%2F1`
//! stays one revision and `%2e%2e` is seen for what it is. A repository may be called `resolve`
//! and a file may lie in a folder called `resolve`: verbs are found by their position.

use percent_encoding::percent_decode_str;

use crate::domain::{CommitId, RepoId, RepoKey, RepoKind, RepoPath, Revision};
use crate::hub::{Error, Result, Target};

/// A route of the hub listener.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route {
    Landing,
    Healthz,
    Readyz,
    /// `/{repo}/resolve/{revision}/{path}` and `/api/resolve-cache/{kind}s/{repo}/{commit}/{path}`
    Resolve(RepoKey, Revision, RepoPath),
    /// `/{repo}/raw/{revision}/{path}`: the pointer text of LFS files
    Raw(RepoKey, Revision, RepoPath),
    /// `/api/{kind}s`
    List(RepoKind),
    /// `/api/{kind}s/{repo}` and `…/revision/{revision}`
    Info(RepoKey, Revision),
    /// `/api/{kind}s/{repo}/tree/{revision}[/{folder}]`
    Tree(RepoKey, Revision, Option<RepoPath>),
    /// `/api/{kind}s/{repo}/paths-info/{revision}`
    PathsInfo(RepoKey, Revision),
    /// `/api/{kind}s/{repo}/refs`
    Refs(RepoKey),
    /// `/api/{kind}s/{repo}/auth-check[/write]`
    AuthCheck(RepoKey, bool),
    /// `/api/{kind}s/{repo}/xet-read-token/{revision}`
    XetToken(RepoKey, Revision),
    /// `…/xet-write-token/…` of anything, and any token route of buckets
    XetNotHere,
    /// `/xet/v{n}/reconstructions/{file}`
    XetRecipe(u8, String),
    /// `/xet/v1/files/{file}`
    XetFile(String),
    /// `/xet/v1/xorbs/default/{xorb}`
    Xorb(String),
    /// `/v1/telemetry` (at the root: clients drop the prefix)
    XetTelemetry,
    /// Any other reading route below a repository, e.g. `commits/{revision}`: raw rest.
    BelowRepo(RepoKey, String),
    WhoAmI,
    Telemetry,
    AgentHarnesses,
    /// Any other `/api/…`.
    OtherApi,
    /// Not a path of the Hub.
    Unknown,
}

impl Route {
    /// The file that a route of files names.
    pub(super) fn target(repo: RepoKey, revision: Revision, path: RepoPath) -> Target {
        Target { repo, revision, path }
    }
}

const FILE_VERBS: [&str; 2] = ["resolve", "raw"];
/// Verbs below a repository that are followed by something.
const REPO_VERBS: [&str; 7] = ["revision", "tree", "paths-info", "commits", "compare", "xet-read-token", "treesize"];
/// Verbs that may be the last segment. Some may be followed too: `parquet/{config}/{split}`, `discussions/{number}`.
const LAST_VERBS: [&str; 9] =
    ["refs", "auth-check", "discussions", "scan", "parquet", "croissant", "leaderboard", "likers", "runtime"];

/// A path with one slash at its beginning and none at its end, which is how the Hub reads any: clients add theirs to
/// an endpoint that ends with one. `None` if it is like that already.
pub(super) fn tidied(path: &str) -> Option<String> {
    let is_tidy = !path.starts_with("//") && (path == "/" || !path.ends_with('/'));
    (!is_tidy).then(|| format!("/{}", path.trim_matches('/')))
}

/// Reads a raw path. An error is already the right answer: a malformed id is "repository not found", a
/// malformed path "entry not found".
pub(super) fn route(path: &str) -> Result<Route> {
    let trimmed = path.strip_prefix('/').unwrap_or(path);
    let segments: Vec<&str> = trimmed.split('/').collect();
    match segments.as_slice() {
        [""] => Ok(Route::Landing),
        ["healthz"] => Ok(Route::Healthz),
        ["readyz"] => Ok(Route::Readyz),
        ["api", rest @ ..] => api_route(rest),
        ["v1", "telemetry"] => Ok(Route::XetTelemetry),
        // The rest has the shape of a hash: `xet/v1` may also be a repository.
        ["xet", "v1", "reconstructions", file] if is_hash(file) => Ok(Route::XetRecipe(1, (*file).to_owned())),
        ["xet", "v2", "reconstructions", file] if is_hash(file) => Ok(Route::XetRecipe(2, (*file).to_owned())),
        ["xet", "v1", "files", file] if is_hash(file) => Ok(Route::XetFile((*file).to_owned())),
        ["xet", "v1", "xorbs", "default", xorb] if is_hash(xorb) => Ok(Route::Xorb((*xorb).to_owned())),
        [first, rest @ ..] => match RepoKind::from_plural(first).filter(|kind| *kind != RepoKind::Model) {
            Some(kind) => file_route(kind, rest),
            None => file_route(RepoKind::Model, &segments),
        },
        [] => Ok(Route::Unknown),
    }
}

fn file_route(kind: RepoKind, segments: &[&str]) -> Result<Route> {
    let is_verb = |at: usize| segments.get(at).is_some_and(|segment| FILE_VERBS.contains(segment));
    // `ns/resolve/resolve/main/x` is a repository called resolve; `gpt2/resolve/resolve/x` is a branch.
    let verb_at = match (is_verb(1), is_verb(2)) {
        (true, true) if segments.len() >= 5 => 2,
        (true, _) => 1,
        (false, true) => 2,
        (false, false) => return Ok(Route::Unknown),
    };
    let key = repo_key(kind, &segments[..verb_at])?;
    let (revision, rest) = take_revision(&segments[verb_at + 1..])?;
    let path = repo_path(rest)?;
    Ok(if segments[verb_at] == "raw" { Route::Raw(key, revision, path) } else { Route::Resolve(key, revision, path) })
}

fn api_route(segments: &[&str]) -> Result<Route> {
    match segments {
        ["whoami-v2"] => return Ok(Route::WhoAmI),
        ["telemetry", ..] => return Ok(Route::Telemetry),
        ["agent-harnesses"] => return Ok(Route::AgentHarnesses),
        ["resolve-cache", kind, rest @ ..] => return resolve_cache(kind, rest),
        rest if rest.iter().any(|segment| matches!(*segment, "xet-read-token" | "xet-write-token")) => {
            return xet_token(rest);
        }
        _ => {}
    }
    let Some((kind, rest)) = segments.split_first().and_then(|(kind, rest)| Some((RepoKind::from_plural(kind)?, rest)))
    else {
        return if traverses(segments) { Err(Error::EntryNotFound { commit: None }) } else { Ok(Route::OtherApi) };
    };
    if rest.is_empty() {
        return Ok(Route::List(kind));
    }
    let (id, rest) = rest.split_at(repo_segments(rest));
    below_repo(repo_key(kind, id)?, rest)
}

/// What `/api/{kind}s/{repo}` is followed by.
fn below_repo(key: RepoKey, rest: &[&str]) -> Result<Route> {
    match rest {
        [] => Ok(Route::Info(key, Revision::main())),
        ["revision", revision @ ..] => {
            // The whole rest is the revision, as some clients do not encode its slashes.
            let revision = parse_revision(&revision.join("/"))?;
            Ok(Route::Info(key, revision))
        }
        ["tree", rest @ ..] if !rest.is_empty() => {
            let (revision, folder) = take_revision(rest)?;
            let folder = if folder.is_empty() { None } else { Some(repo_path(folder)?) };
            Ok(Route::Tree(key, revision, folder))
        }
        ["paths-info", revision @ ..] if !revision.is_empty() => {
            let revision = parse_revision(&revision.join("/"))?;
            Ok(Route::PathsInfo(key, revision))
        }
        ["refs"] => Ok(Route::Refs(key)),
        ["auth-check"] => Ok(Route::AuthCheck(key, false)),
        ["auth-check", "write"] => Ok(Route::AuthCheck(key, true)),
        rest if traverses(rest) => Err(Error::EntryNotFound { commit: None }),
        rest => Ok(Route::BelowRepo(key, rest.join("/"))),
    }
}

/// `/api/{kind}s/{namespace}/{name}/…` whose name is also a verb, such as `parquet`: its other meaning, for when there
/// is no repository called like the namespace.
pub(super) fn as_name(path: &str) -> Option<Route> {
    let segments: Vec<&str> = path.strip_prefix("/api/")?.split('/').collect();
    let (kind, rest) = segments.split_first()?;
    let kind = RepoKind::from_plural(kind).filter(|_| rest.len() > 1 && repo_segments(rest) == 1)?;
    let (id, rest) = rest.split_at(2);
    below_repo(repo_key(kind, id).ok()?, rest).ok()
}

/// Whether a path that goes upstream as it came would lead out of its place there. URL parsers take `%2e` for a dot
/// and `\` for a slash (WHATWG URL, "path state").
fn traverses(segments: &[&str]) -> bool {
    let mut parts = segments.iter().flat_map(|segment| segment.split('\\'));
    parts.any(|part| matches!(decode(part).as_deref(), Some("." | "..")))
}

fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

fn xet_token(segments: &[&str]) -> Result<Route> {
    let Some((kind, rest)) = segments.split_first().and_then(|(kind, rest)| Some((RepoKind::from_plural(kind)?, rest)))
    else {
        return Ok(Route::XetNotHere);
    };
    let id_len = repo_segments(rest);
    match &rest[id_len..] {
        ["xet-read-token", revision @ ..] if !revision.is_empty() => {
            Ok(Route::XetToken(repo_key(kind, &rest[..id_len])?, parse_revision(&revision.join("/"))?))
        }
        _ => Ok(Route::XetNotHere),
    }
}

/// How many segments the repository id has: one for `gpt2/tree/main`, two for `ns/name/…`.
fn repo_segments(rest: &[&str]) -> usize {
    match rest {
        [_] => 1,
        [_, verb] if LAST_VERBS.contains(verb) => 1,
        // `ns/tree/tree/main`, `ns/parquet/refs`: repositories called tree and parquet. But `gpt2/tree/refs` is a branch.
        [_, _, next, _, ..] if REPO_VERBS.contains(next) => 2,
        [_, verb, next, ..] if LAST_VERBS.contains(next) && !REPO_VERBS.contains(verb) => 2,
        [_, verb, _, ..] if REPO_VERBS.contains(verb) || LAST_VERBS.contains(verb) => 1,
        _ => 2,
    }
}

fn resolve_cache(kind: &str, rest: &[&str]) -> Result<Route> {
    let Some(kind) = RepoKind::from_plural(kind) else { return Ok(Route::Unknown) };
    let is_commit = |at: usize| rest.get(at).is_some_and(|segment| CommitId::parse(segment).is_ok());
    let at = match (is_commit(1), is_commit(2)) {
        (true, _) => 1,
        (false, true) => 2,
        (false, false) => return Ok(Route::Unknown),
    };
    if rest.len() <= at + 1 {
        return Ok(Route::Unknown);
    }
    let key = repo_key(kind, &rest[..at])?;
    Ok(Route::Resolve(key, parse_revision(rest[at])?, repo_path(&rest[at + 1..])?))
}

fn decode(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

fn repo_key(kind: RepoKind, segments: &[&str]) -> Result<RepoKey> {
    let decoded: Option<Vec<String>> = segments.iter().map(|segment| decode(segment)).collect();
    let id = decoded.map(|segments| segments.join("/")).and_then(|text| RepoId::parse(&text).ok());
    id.map(|id| RepoKey::new(kind, id)).ok_or(Error::RepoNotFound)
}

fn parse_revision(raw: &str) -> Result<Revision> {
    let revision = decode(raw).unwrap_or_default();
    Revision::parse(&revision).map_err(|_| Error::RevisionNotFound { revision })
}

/// A revision is one raw segment, or the raw sequences `refs/pr/{n}` and `refs/convert/{name}`
/// (huggingface.js writes them so in `tree`).
fn take_revision<'a, 's>(segments: &'a [&'s str]) -> Result<(Revision, &'a [&'s str])> {
    match segments {
        ["refs", kind @ ("pr" | "convert"), name, rest @ ..] => {
            Ok((parse_revision(&format!("refs/{kind}/{name}"))?, rest))
        }
        [revision, rest @ ..] => Ok((parse_revision(revision)?, rest)),
        [] => Err(Error::RevisionNotFound { revision: String::new() }),
    }
}

fn repo_path(segments: &[&str]) -> Result<RepoPath> {
    let text = decode(&segments.join("/")).unwrap_or_default();
    RepoPath::parse(&text).map_err(|_| Error::EntryNotFound { commit: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kind: RepoKind, id: &str) -> RepoKey {
        RepoKey::new(kind, RepoId::parse(id).unwrap())
    }

    fn resolve(kind: RepoKind, id: &str, revision: &str, path: &str) -> Route {
        Route::Resolve(key(kind, id), Revision::parse(revision).unwrap(), RepoPath::parse(path).unwrap())
    }

    fn is(path: &str, expected: Route) {
        assert_eq!(route(path).unwrap(), expected, "{path}");
    }

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    #[test]
    fn files_are_found_by_the_position_of_the_verb() {
        use RepoKind::{Dataset, Kernel, Model, Space};
        is("/ns/m/resolve/main/a/b.txt", resolve(Model, "ns/m", "main", "a/b.txt"));
        is("/gpt2/resolve/main/config.json", resolve(Model, "gpt2", "main", "config.json"));
        is("/datasets/ns/d/resolve/main/x", resolve(Dataset, "ns/d", "main", "x"));
        is("/spaces/ns/s/resolve/main/x", resolve(Space, "ns/s", "main", "x"));
        is("/kernels/ns/k/resolve/v1/build/a.py", resolve(Kernel, "ns/k", "v1", "build/a.py"));
        is("/ns/m/resolve/refs%2Fpr%2F1/x", resolve(Model, "ns/m", "refs/pr/1", "x"));
        is("/ns/m/resolve/refs/pr/1/x", resolve(Model, "ns/m", "refs/pr/1", "x"));
        is("/ns/m/resolve/main/sub%20dir/file%20%231.txt", resolve(Model, "ns/m", "main", "sub dir/file #1.txt"));
        is("/ns/resolve/resolve/main/x", resolve(Model, "ns/resolve", "main", "x"));
        is("/gpt2/resolve/resolve/x", resolve(Model, "gpt2", "resolve", "x"));
        is("/ns/m/resolve/main/resolve/main/x", resolve(Model, "ns/m", "main", "resolve/main/x"));
        let cached = format!("/api/resolve-cache/models/ns/m/{COMMIT}/a%2Fb");
        is(&cached, resolve(Model, "ns/m", COMMIT, "a/b"));
    }

    #[test]
    fn metadata_routes_know_one_segment_ids_and_raw_refs() {
        let (model, gpt2) = (key(RepoKind::Model, "ns/m"), key(RepoKind::Model, "gpt2"));
        let main = Revision::main;
        is("/api/models", Route::List(RepoKind::Model));
        is("/api/models/gpt2", Route::Info(gpt2.clone(), main()));
        is("/api/models/ns/m", Route::Info(model.clone(), main()));
        is("/api/models/gpt2/revision/main", Route::Info(gpt2.clone(), main()));
        is("/api/models/ns/m/revision/HEAD", Route::Info(model.clone(), main()));
        let pr = Revision::parse("refs/pr/1").unwrap();
        is("/api/models/ns/m/revision/refs%2Fpr%2F1", Route::Info(model.clone(), pr.clone()));
        is("/api/models/ns/m/tree/refs/pr/1/a", Route::Tree(model.clone(), pr, Some(RepoPath::parse("a").unwrap())));
        let folder = Some(RepoPath::parse("a/b").unwrap());
        is("/api/models/ns/m/tree/main/a%2Fb", Route::Tree(model.clone(), main(), folder));
        is("/api/models/ns/m/tree/main", Route::Tree(model.clone(), main(), None));
        is("/api/models/ns/tree/tree/main", Route::Tree(key(RepoKind::Model, "ns/tree"), main(), None));
        is("/api/models/gpt2/refs", Route::Refs(gpt2));
        is("/api/models/ns/m/commits/main", Route::BelowRepo(model, "commits/main".into()));
        is("/api/models/ns/m/xet-read-token/main", Route::XetToken(key(RepoKind::Model, "ns/m"), main()));
        is("/api/models/gpt2/xet-read-token/main", Route::XetToken(key(RepoKind::Model, "gpt2"), main()));
        is("/api/models/ns/m/xet-write-token/main", Route::XetNotHere);
        is("/api/buckets/ns/b/xet-read-token", Route::XetNotHere);
        let hash = "0f".repeat(32);
        is(&format!("/xet/v2/reconstructions/{hash}"), Route::XetRecipe(2, hash.clone()));
        is(&format!("/xet/v1/xorbs/default/{hash}"), Route::Xorb(hash));
        is("/v1/telemetry", Route::XetTelemetry);
        assert!(matches!(route("/xet/v1/resolve/main/files"), Ok(Route::Resolve(..))));
        is("/api/daily_papers", Route::OtherApi);
        is("/favicon.ico", Route::Unknown);
    }

    #[test]
    fn names_of_one_segment_come_before_every_verb() {
        let squad = || key(RepoKind::Dataset, "squad");
        for rest in ["croissant", "parquet", "parquet/plain_text/train/0.parquet", "compare/v1..v2", "discussions/3"] {
            is(&format!("/api/datasets/squad/{rest}"), Route::BelowRepo(squad(), rest.into()));
        }
        is("/api/datasets/squad/refs", Route::Refs(squad()));
        is("/api/datasets/squad/tree/refs", Route::Tree(squad(), Revision::parse("refs").unwrap(), None));
        // The other meaning, where it is the only one, or the one that is left.
        let parquet = || key(RepoKind::Dataset, "ns/parquet");
        is("/api/datasets/ns/parquet/refs", Route::Refs(parquet()));
        is("/api/datasets/ns/parquet/tree/main", Route::Tree(parquet(), Revision::main(), None));
        let other = |path: &str| as_name(&format!("/api/datasets/{path}"));
        assert_eq!(other("ns/parquet"), Some(Route::Info(parquet(), Revision::main())));
        assert_eq!(other("ns/parquet/x/y"), Some(Route::BelowRepo(parquet(), "x/y".into())));
        for path in ["squad", "ns/data", "ns/data/parquet", "ns/parquet/refs"] {
            assert_eq!(other(path), None, "{path}");
        }
    }

    #[test]
    fn slashes_at_both_ends_say_nothing() {
        for (path, tidy) in [
            ("//api/models/ns/m", "/api/models/ns/m"),
            ("///ns/m/resolve/main/x", "/ns/m/resolve/main/x"),
            ("/api/models/", "/api/models"),
            ("/api/models/ns/m/tree/main//", "/api/models/ns/m/tree/main"),
            ("//", "/"),
        ] {
            assert_eq!(tidied(path).as_deref(), Some(tidy));
        }
        for path in ["/", "/api/models", "/ns/m/resolve/main/a//b", "/ns/m/resolve/main/%2F"] {
            assert_eq!(tidied(path), None);
        }
        assert!(matches!(route("/ns/m/resolve/main"), Err(Error::EntryNotFound { .. })));
    }

    #[test]
    fn nothing_that_traverses_becomes_a_route_to_a_file() {
        for path in [
            "/ns/m/resolve/main/..%2f..%2fetc/passwd",
            "/ns/m/resolve/main/../../etc/passwd",
            "/ns/m/resolve/main/%2e%2e/x",
            "/ns/m/resolve/main//etc/passwd",
            "/ns/m/resolve/main/%2Fetc/passwd",
            "/ns/m/resolve/main/a%00b",
            "/ns/m/resolve/main/a%5c..%5cb",
            "/ns/m/resolve/main/%ff",
            "/../m/resolve/main/x",
            "/ns/..%2f/resolve/main/x",
            "/ns/m/resolve/..%2f../x",
        ] {
            assert!(!matches!(route(path), Ok(Route::Resolve(..))), "{path} was accepted");
        }
    }

    #[test]
    fn nothing_that_traverses_goes_upstream_as_it_came() {
        for path in [
            "/api/models/ns/m/commits/../../../ns/other/commits/main",
            "/api/models/ns/m/commits/%2e%2E/x",
            "/api/models/ns/m/commits/.%2e/x",
            "/api/models/ns/m/commits\\..\\..\\x",
            "/api/models/ns/m/commits/.",
            "/api/../ns/m/resolve/main/x",
            "/api/x/..",
        ] {
            assert!(route(path).is_err(), "{path} was accepted");
        }
        assert!(route("/api/models/ns/m/commits/v1..v2").is_ok());
    }
}
