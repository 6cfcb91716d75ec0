//! A hub whose PostgreSQL server goes away, says nothing or may only be read, and comes back.

use std::time::{Duration, Instant};

use mock_hf::{Content, Repo};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

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
    assert_eq!(new.status, 503, "{:?}", new.error());

    server.start();
    assert_eq!(status_of_readiness().await, 200);
    hub.get("/org/new/resolve/main/config.json").await.assert_is(200, CONFIG.as_bytes());
    hub.finish().await;
}

/// A way to the server that can fall silent: it stays open and carries nothing.
struct Way {
    port: u16,
    silent: watch::Sender<bool>,
}

impl Way {
    async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (silent, is_silent) = watch::channel(false);
        let way = Self { port: listener.local_addr().unwrap().port(), silent };
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let mut is_silent = is_silent.clone();
                tokio::spawn(async move {
                    let carry = async {
                        let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                    };
                    tokio::select! {
                        biased;
                        _ = is_silent.wait_for(|silent| *silent) => {}
                        () = carry => return,
                    }
                    // Once silent, this connection is so for ever; only new ones work again.
                    std::future::pending::<()>().await;
                });
            }
        });
        way
    }
}

#[tokio::test]
#[ignore = "needs a PostgreSQL server: make test-db"]
async fn a_server_that_says_nothing_is_not_waited_for() {
    let server = Server::start_one();
    let way = Way::to(server.port).await;
    let url = server.new_database().await.replace(&format!(":{}/", server.port), &format!(":{}/", way.port));
    let content = Content::random(2, 300_000);
    let hub = TestHub::builder().manual_clock().set("database.url", url);
    let hub = (0..12).fold(hub, |hub, n| hub.repo(Repo::model(format!("org/m{n}")).file("config.json", CONFIG)));
    let hub = hub.repo(Repo::model("org/stored").lfs("model.bin", content.clone())).start().await;
    let stored = "/org/stored/resolve/main/model.bin";
    hub.get(stored).await.assert_is(200, &content.read_all());
    hub.landed().await;
    let ready = format!("{}/readyz", hub.admin_url());
    for round in 0..2 {
        way.silent.send_replace(true);
        let asked = Instant::now();
        let get = async |n: usize| hub.get(&format!("/org/m{n}/resolve/main/{round}.json")).await;
        let (new, readiness) =
            tokio::join!(futures_util::future::join_all((0..12).map(get)), hub.client.call("GET", &ready, &[], ""));
        // huggingface_hub gives up after 10 s; a debug build on a busy machine gets more.
        assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
        for reply in new {
            assert_eq!((reply.status, reply.header("retry-after")), (503, "5"), "{:?}", reply.error());
            assert!(reply.text().contains("database does not respond"), "{}", reply.text());
        }
        assert_eq!(readiness.status, 503);
        assert!(readiness.text().contains("database does not respond"), "{}", readiness.text());
        hub.get(stored).await.assert_is(200, &content.read_all());

        way.silent.send_replace(false);
        assert_eq!(hub.client.call("GET", &ready, &[], "").await.status, 200, "round {round}");
        for n in round * 6..round * 6 + 6 {
            hub.get(&format!("/org/m{n}/resolve/main/config.json")).await.assert_is(200, CONFIG.as_bytes());
        }
        // Who missed what others changed has let go of what it had in memory.
        hub.get(stored).await.assert_is(200, &content.read_all());
    }
    hub.finish().await;
}

#[tokio::test]
#[ignore = "needs a PostgreSQL server: make test-db"]
async fn a_server_that_may_only_be_read_is_said_and_used_as_soon_as_it_is_not() {
    let server = Server::start_one();
    let url = server.new_database().await;
    let name = url.rsplit_once('/').unwrap().1.to_owned();
    let content = Content::random(3, 300_000);
    let hub = TestHub::builder().manual_clock().set("database.url", url);
    let hub = (0..4).fold(hub, |hub, n| hub.repo(Repo::model(format!("org/m{n}")).file("config.json", CONFIG)));
    let hub = hub.repo(Repo::model("org/stored").lfs("model.bin", content.clone())).start().await;
    let stored = "/org/stored/resolve/main/model.bin";
    hub.get(stored).await.assert_is(200, &content.read_all());
    hub.landed().await;
    let ready = format!("{}/readyz", hub.admin_url());
    for round in [0, 2] {
        server.execute(format!("alter database {name} set default_transaction_read_only = on")).await;
        let cut = "select pg_terminate_backend(pid) from pg_stat_activity where datname = ";
        server.execute(format!("{cut}'{name}'")).await;
        for _ in 0..2 {
            let readiness = hub.client.call("GET", &ready, &[], "").await;
            assert_eq!(readiness.status, 503);
            assert!(readiness.text().contains("read-only"), "{}", readiness.text());
            let new = hub.get(&format!("/org/m{round}/resolve/main/config.json")).await;
            assert_eq!(new.status, 503, "{:?}", new.error());
            assert!(new.text().contains("read-only"), "{}", new.text());
        }
        hub.get(stored).await.assert_is(200, &content.read_all());

        server.execute(format!("alter database {name} reset default_transaction_read_only")).await;
        // The first write finds out, here or in the background; until then a connection may be one of before.
        let first = hub.client.call("GET", &ready, &[], "").await.status;
        assert!(matches!(first, 200 | 503), "{first}");
        for n in round..round + 2 {
            hub.get(&format!("/org/m{n}/resolve/main/config.json")).await.assert_is(200, CONFIG.as_bytes());
        }
        assert_eq!(hub.client.call("GET", &ready, &[], "").await.status, 200);
    }
    hub.finish().await;
}
