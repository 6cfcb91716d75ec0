//! Through the front door, with a real S3 server behind a real hub: what goes there, what comes back, and what follows when
//! it fails. The harness is that of `tests/it`.

#![expect(clippy::unwrap_used, reason = "a test may panic, also in its helpers")]
#![expect(clippy::disallowed_methods, reason = "tests wait in true time, and make the files that they need")]

mod contract;
mod fetch;
#[path = "../it/harness/mod.rs"]
#[expect(dead_code, unused_imports, reason = "tests/it uses the rest")]
mod harness;
mod place;
mod push;
mod server;
