//! What the database promises, the same on SQLite and on PostgreSQL.
//!
//! Every method of `Db`, the schema's way up, many writers, and a server that goes away. The server is
//! started here; `cargo test --test db sqlite` needs none.

#![expect(clippy::unwrap_used, reason = "a test may panic, also in its helpers")]
#![expect(clippy::disallowed_methods, reason = "tests wait in true time, and make the files that they need")]

mod artifacts;
mod blobs;
mod changes;
mod connection;
mod contents;
mod database;
mod evictions;
mod files;
mod jobs;
mod migrations;
mod models;
mod objects;
mod records;
mod rows;
mod scale;
mod scans;
mod scrub;
mod server;
mod storage;
mod writers;
