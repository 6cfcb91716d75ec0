//! A full disk: files still reach their clients, and what is here is still served.

use mock_hf::{Content, Fault, MockHf, Repo, Rule};

use crate::harness::process::Server;
use crate::harness::repos::MIB;
use crate::harness::{Client, Outcome};

#[tokio::test]
async fn when_the_disk_is_full_files_pass_through_and_stored_ones_are_served() {
    let (fits, large) = (Content::random(71, 4 * MIB), Content::random(72, 64 * MIB));
    let mock = MockHf::start().await;
    mock.put(Repo::model("org/full").lfs("fits.bin", fits.clone()).lfs("large.bin", large.clone()));
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::spawn_on_small_disk(dir.path(), "32m", &mock.url(), None);
    let base = server.addresses().await.unwrap().hub;
    let client = Client::new();
    let at = |file: &str| format!("{base}/org/full/resolve/main/{file}");

    assert_eq!(client.compare(&at("fits.bin"), &fits).await, Outcome::Right);
    let reply = client.call("GET", &at("large.bin"), &[], "").await;
    reply.assert_is(200, &large.read_all());
    assert_eq!(reply.header("x-modelhub-cache"), "bypass");
    // A client that goes on from a part gets the whole, proven; a piece is given as a piece.
    let reply = client.call("GET", &at("large.bin"), &[("range", "bytes=1000-")], "").await;
    reply.assert_is(200, &large.read_all());
    let reply = client.call("GET", &at("large.bin"), &[("range", "bytes=1000-1999")], "").await;
    reply.assert_is(206, &large.read_range(1000, 1000));
    // Wrong bytes do not pass as right ones.
    mock.fault(Rule::on_cdn("large.bin").fault(Fault::FlipByte(1000)));
    assert!(matches!(client.compare(&at("large.bin"), &large).await, Outcome::Failed(_)));
    mock.clear_faults();

    mock.clear_log();
    assert_eq!(client.compare(&at("fits.bin"), &fits).await, Outcome::Right);
    assert_eq!(mock.stats().cdn_body_bytes, 0, "what is here was fetched again");
    server.terminate();
    assert!(server.ended().await.success());
}
