//! Fetching from upstream by Xet, as far as it goes without a store; the rest is in tests/xet.

use std::time::Duration;

use mock_hf::{Content, Repo};

use crate::harness::TestHub;
use crate::harness::repos::MIB;

#[tokio::test]
async fn a_store_that_cannot_be_asked_costs_one_call_and_not_one_for_each_file() {
    let names = ["a.bin", "b.bin", "c.bin"];
    let repo =
        (40..).zip(names).fold(Repo::model("org/big"), |repo, (seed, name)| repo.lfs(name, Content::random(seed, MIB)));
    // The mock names a store on a host that is not listed.
    let hub = TestHub::builder().manual_clock().set("xet.fetch", "always").repo(repo).start().await;
    let tokens = || hub.mock.requests().iter().filter(|call| call.path.contains("xet-read-token")).count();
    for (seed, name) in (40..).zip(&names[..2]) {
        let reply = hub.get(&format!("/org/big/resolve/main/{name}")).await;
        reply.assert_is(200, &Content::random(seed, MIB).read_all());
    }
    assert_eq!(tokens(), 1);
    // After a minute it is tried again.
    hub.clock.advance(Duration::from_secs(61));
    assert_eq!(hub.get("/org/big/resolve/main/c.bin").await.status, 200);
    assert_eq!(tokens(), 2);
    hub.finish().await;
}
