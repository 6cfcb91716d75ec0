//! How a mock is started, and the tokens that it knows.

use std::net::SocketAddr;
use std::time::Duration;

/// A valid token of the user `alice`. It opens nothing by itself: add it as a reader of a repo.
pub const TOKEN_ALICE: &str = "hf_mockAliceTokenForTestsOnly000000000001";
/// A valid token of the user `bob`.
pub const TOKEN_BOB: &str = "hf_mockBobTokenForTestsOnly00000000000002";
/// A token that was valid once and is refused now.
pub const TOKEN_REVOKED: &str = "hf_mockRevokedTokenForTestsOnly0000000003";

/// What `MockHf::start_with` takes. [`Default`] binds both origins to free ports of 127.0.0.1.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the hub listens.
    pub hub_addr: SocketAddr,
    /// Where the CDN, an origin of its own, listens.
    pub cdn_addr: SocketAddr,
    /// What the hub calls itself in absolute URLs (`Link`); by default its own address.
    pub public_base: Option<String>,
    /// What the hub calls the CDN in `Location`; by default the CDN's own address.
    pub cdn_base: Option<String>,
    /// Limit of each CDN connection, as the real CDN has one.
    pub bytes_per_second_per_connection: Option<u64>,
    /// Small files answer with a relative 307 to `/api/resolve-cache/…`, as the real Hub does; otherwise 200 at once.
    pub redirect_small: bool,
    /// Text is sent gzip-encoded and chunked to who accepts gzip.
    pub gzip_text: bool,
    /// A renamed repo also redirects on `resolve` (it always does on `/api`).
    pub redirect_renamed_resolve: bool,
    /// How long the signed CDN URLs live.
    pub url_lifetime: Duration,
    /// Xet headers and `xetHash` fields are present.
    pub xet: bool,
    /// A real Xet store holds the LFS files, and the mock names it; needs the feature `xet`. Without it there are
    /// stand-ins, and a store that does not exist.
    pub xet_store: bool,
    /// What the hub calls the Xet store; by default its own address.
    pub xet_base: Option<String>,
    /// The CDN refuses files of more bytes than this with status 400, as the real one does above 50 GB.
    pub bridge_limit: Option<u64>,
    /// Gated listings mask `lfs.oid` too, not only `xetHash`.
    pub mask_lfs_oid: bool,
    /// A token that is not valid is refused for public repos too. The real Hub has been seen to do either.
    pub strict_tokens: bool,
    /// A real limit; without one the RateLimit headers are decoration.
    pub rate_limit: Option<RateLimit>,
    /// More tokens that are valid.
    pub tokens: Vec<String>,
    /// Page size of `tree` when the client names none.
    pub tree_page: usize,
}

/// Requests per window for each token (anonymous callers share one bucket).
#[derive(Clone, Copy, Debug)]
pub struct RateLimit {
    pub api: u64,
    pub resolvers: u64,
    pub window: Duration,
    /// Also send an integer `Retry-After` with the 429.
    pub retry_after: bool,
}

impl Default for Options {
    fn default() -> Options {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Options {
            hub_addr: any,
            cdn_addr: any,
            public_base: None,
            cdn_base: None,
            bytes_per_second_per_connection: None,
            redirect_small: true,
            gzip_text: true,
            redirect_renamed_resolve: false,
            url_lifetime: Duration::from_secs(3600),
            xet: true,
            xet_store: false,
            xet_base: None,
            bridge_limit: None,
            mask_lfs_oid: false,
            strict_tokens: false,
            rate_limit: None,
            tokens: Vec::new(),
            tree_page: 1000,
        }
    }
}
