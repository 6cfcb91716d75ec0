//! Through the front door, with the Xet crates: a real hub that downloads by Xet, and the mock Hub with a
//! real Xet store behind it. The harness is that of `tests/it`.

#![expect(clippy::unwrap_used, reason = "a test may panic, also in its helpers")]
#![expect(clippy::disallowed_methods, reason = "tests wait in true time, and make the files that they need")]

mod fetch;
#[path = "../it/harness/mod.rs"]
#[expect(dead_code, unused_imports, reason = "tests/it uses the rest")]
mod harness;
mod hash;
mod hf_hub;
