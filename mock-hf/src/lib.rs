//! A domain mock of the Hugging Face Hub: repositories are data, faults are data, requests are counted.
//!
//! Two origins on two ports, as in reality: the *hub* (`/api`, `resolve`, `raw`) and the *CDN*, to which `resolve`
//! sends clients with a signed URL for LFS files. [`routes`] has the table of paths; [`Fault`] has the list of faults.
//!
//! ```no_run
//! use mock_hf::{Content, Fault, MockHf, Repo, Rule};
//!
//! # async fn example() {
//! let hub = MockHf::start().await;
//! hub.put(
//!     Repo::model("org/name")
//!         .file("config.json", r#"{"model_type":"llama"}"#)
//!         .lfs("model.safetensors", Content::random(1, 64 << 20)),
//! );
//! hub.fault(Rule::on_cdn("model.safetensors").times(1).fault(Fault::CutAfter(1 << 20)));
//! // … point HF_ENDPOINT or a proxy at hub.url() …
//! assert_eq!(hub.stats().cdn_calls_with_authorization, 0);
//! # }
//! ```
//!
//! | module | what it holds |
//! |---|---|
//! | `mock` | [`MockHf`], the handle |
//! | `repo`, `content` | what tests describe: [`Repo`], [`Change`], [`Content`] |
//! | `store`, `tree` | what the mock remembers: snapshots of repos, commits, trees |
//! | `fault`, `shape` | [`Rule`] and [`Fault`], and how they change an answer |
//! | `log` | [`Logged`] and [`Stats`] |
//! | `server`, `connection`, `body` | listeners, sockets, streams that misbehave |
//! | `routes` and the modules that it names | the hub |
//! | `cdn` | the CDN |
//! | `control` | `/_mock`, the same things over HTTP |
//! | `xet` | a real Xet store, with the feature `xet` |
//! | `demo`, `folder`, `weights` | repositories to play with, for the binary |

mod access;
mod body;
mod cdn;
mod connection;
mod content;
mod control;
pub mod demo;
mod fault;
pub mod folder;
mod gzip;
mod info;
mod listing;
mod lists;
mod log;
mod mock;
mod options;
mod query;
mod reply;
mod repo;
mod request;
mod resolve;
pub mod routes;
mod server;
mod shape;
mod shared;
mod small;
mod store;
mod time;
mod tree;
mod weights;
#[cfg(feature = "xet")]
mod xet;

pub use content::Content;
pub use fault::{Fault, FaultId, Installed, Origin, Rule};
pub use log::{Logged, Stats};
pub use mock::MockHf;
pub use options::{Options, RateLimit, TOKEN_ALICE, TOKEN_BOB, TOKEN_REVOKED};
pub use repo::{Change, Kind, Repo};
