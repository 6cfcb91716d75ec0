//! Xet through the front door: token, reconstruction, xorbs, and what they put together.

mod access;
mod client;
mod fetch;
mod flow;
mod names;
mod offer;
mod ranges;
mod spec;
mod wrong;

use mock_hf::{Content, Options, Repo};

use self::client::Xet;
use crate::harness::TestHub;
use crate::harness::repos::MIB;

const REPO: &str = "models/org/big";
const PATH: &str = "/org/big/resolve/main/big.bin";
const TREE: &str = "/api/models/org/big/tree/main";
/// Two xorbs and a bit of a third one.
const SIZE: u64 = 16 * MIB + 300_001;
/// Of a hub's own xorbs: enough for a client to depend on nothing else.
const XORB: u64 = 8 * MIB;

fn big() -> Content {
    Content::random(21, SIZE)
}

fn repo() -> Repo {
    Repo::model("org/big").lfs("big.bin", big())
}

/// 4 connections of 2 MiB/s each: the file takes two seconds.
fn slow() -> Options {
    Options { bytes_per_second_per_connection: Some(2 * MIB), ..Options::default() }
}

/// The hash under which a file is offered now; empty if it is not.
async fn offered(hub: &TestHub, path: &str) -> String {
    let reply = hub.head(path).await;
    assert_eq!(reply.status, 200, "{:?}", reply.error());
    reply.header("x-xet-hash").to_owned()
}

/// All of `big.bin` as anybody.
async fn get_all(hub: &TestHub) -> Vec<u8> {
    let hash = offered(hub, PATH).await;
    let xet = Xet::from(hub);
    let grant = xet.token(REPO, None).await;
    xet.get(&grant, 2, &hash, 0..SIZE).await
}
