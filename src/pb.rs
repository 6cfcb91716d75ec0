//! The messages and services of proto/modelhub/v1, generated. Used at the edges only: everything below speaks
//! domain types.

#![allow(clippy::all, clippy::pedantic, unreachable_pub, missing_docs, reason = "generated")]

tonic::include_proto!("modelhub.v1");
include!(concat!(env!("OUT_DIR"), "/modelhub.v1.serde.rs"));

/// All of proto/ as descriptors, with comments and HTTP rules.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
