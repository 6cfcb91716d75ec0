//! modelhub: a caching proxy of the Hugging Face Hub, and a local model hub.
//!
//! The layers; a `use` only ever points down (tests/it/layers.rs checks):
//!
//! ```text
//! L4  app · cli                     wiring: open adapters, build the hub, run roles, stop
//! L3  api · worker                  edges: HTTP and gRPC in; time and the queue in
//! L2  hub                           use cases: resolve, fetch, list, access
//! L1  db · blob · object · upstream adapters: SQL, bytes here and elsewhere, the other hub
//! L0  domain                        types and rules; no I/O, and of async only the waits of Clock
//!     config · crypto · machine · metrics · pb · telemetry · shutdown   leaves
//! ```
//!
//! Where to look first: `api` (every route) → `hub::repos::resolve` (what a request means) →
//! `hub::flights` (how a blob arrives) → `blob::local` (how it is kept).

pub mod api;
pub mod app;
pub mod blob;
pub mod cli;
pub mod config;
pub mod crypto;
pub mod db;
pub mod domain;
pub mod hub;
pub mod machine;
pub mod metrics;
pub mod object;
pub mod pb;
pub mod shutdown;
pub mod telemetry;
pub mod upstream;
pub mod worker;
