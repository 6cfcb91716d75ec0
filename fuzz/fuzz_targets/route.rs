//! The path of a request. What goes upstream as it came stays below the address that was asked for.
#![no_main]

use libfuzzer_sys::fuzz_target;
use modelhub_fuzz::domain;
use url::Url;

#[expect(dead_code, reason = "parsing is all that is done here")]
#[path = "../../src/api/hf/route.rs"]
mod route;

/// What a route names of the hub.
mod hub {
    use crate::domain::{CommitId, RepoKey, RepoPath, Revision};

    pub(crate) type Result<T> = std::result::Result<T, Error>;

    #[derive(Debug)]
    #[expect(dead_code, clippy::enum_variant_names, reason = "as in the hub, where they are answered")]
    pub(crate) enum Error {
        RepoNotFound,
        RevisionNotFound { revision: String },
        EntryNotFound { commit: Option<CommitId> },
    }

    #[expect(dead_code, reason = "as in the hub, where it is looked for")]
    pub(crate) struct Target {
        pub(crate) repo: RepoKey,
        pub(crate) revision: Revision,
        pub(crate) path: RepoPath,
    }
}

fuzz_target!(|path: &str| {
    // All else is refused before it comes here (`http::Uri`).
    if !path.starts_with('/') || !path.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"#<>?`".contains(&byte)) {
        return;
    }
    let (asked, base) = match route::route(path) {
        Ok(route::Route::BelowRepo(key, rest)) => (format!("{}/{rest}", key.api_path()), key.api_path()),
        Ok(route::Route::OtherApi) => (path.to_owned(), "/api".to_owned()),
        _ => return,
    };
    let url = Url::parse(&format!("https://hub.example{asked}")).unwrap();
    assert!(
        url.path().strip_prefix(&base).is_some_and(|rest| matches!(rest.as_bytes(), [] | [b'/', ..])),
        "{path} asks for {url}"
    );
});
