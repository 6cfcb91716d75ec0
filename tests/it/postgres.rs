//! A hub whose PostgreSQL server goes away and comes back.

use mock_hf::{Content, Repo};

use crate::harness::TestHub;
use crate::harness::database_server::Server;
use crate::harness::repos::CONFIG;

#[tokio::test]
#[ignore = "needs a PostgreSQL server: make test-db"]
async fn what_is_known_is_served_while_the_database_is_away() {
    let server = Server::start_one();
    let content = Content::random(1, 300_000);
    let repo = Repo::model("org/model").file("config.json", CONFIG).lfs("model.bin", content.clone());
    let hub = TestHub::builder()
        .manual_clock()
        .set("database.url", server.new_database().await)
        .repo(repo)
        .repo(Repo::model("org/new").file("config.json", CONFIG))
        .start()
        .await;
    let ready = format!("{}/readyz", hub.admin_url());
    let status_of_readiness = async || hub.client.call("GET", &ready, &[], "").await.status;
    hub.get("/org/model/resolve/main/model.bin").await.assert_is(200, &content.read_all());
    hub.landed().await;
    assert_eq!(status_of_readiness().await, 200);

    server.stop();
    hub.get("/org/model/resolve/main/model.bin").await.assert_is(200, &content.read_all());
    assert_eq!(status_of_readiness().await, 503);
    let new = hub.get("/org/new/resolve/main/config.json").await;
    assert_eq!(new.status, 500, "{:?}", new.error());

    server.start();
    assert_eq!(status_of_readiness().await, 200);
    hub.get("/org/new/resolve/main/config.json").await.assert_is(200, CONFIG.as_bytes());
    hub.finish().await;
}
