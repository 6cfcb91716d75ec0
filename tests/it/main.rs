//! Through the front door: a real hub over a real database and a real disk, the mock Hub behind it.
//!
//! `harness` starts and checks both; the files are grouped by subject. What is heavy (one file of
//! 1 GiB for 64 clients, a tree of 100 000 files) is in the binary `load`, which wants `--release`.

#![expect(clippy::unwrap_used, reason = "a test may panic, also in its helpers")]
#![expect(clippy::disallowed_methods, reason = "tests wait in true time, and make the files that they need")]

mod access;
mod admin;
mod agree;
mod api;
mod circles;
mod cli;
mod conditional;
mod conditions;
mod disk_full;
mod egress;
mod endless;
mod errors;
mod faults;
mod flights;
mod harness;
mod import;
mod layers;
mod logs;
mod metadata_memory;
mod no_bypass;
mod offline;
mod on_disk;
mod postgres;
mod process;
mod proxy;
mod range;
mod rebuild;
mod resolve_get;
mod resolve_head;
mod rot;
mod silence;
mod slow_clients;
mod sqlite;
mod taint;
mod team;
mod tree;
mod workers;
mod xet;
