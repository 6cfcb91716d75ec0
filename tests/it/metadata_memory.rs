//! Large metadata for many callers at once does not take many times its memory.

use futures_util::future::join_all;
use mock_hf::{MockHf, Repo};
use serde_json::json;

use crate::harness::Client;
use crate::harness::process::Server;
use crate::harness::repos::MIB;

#[tokio::test]
async fn large_answers_are_read_one_after_the_other() {
    let mock = MockHf::start().await;
    // 1 MiB of text, and more than ten times that as values.
    let values = json!((0..100_000).map(|number| json!([number])).collect::<Vec<_>>());
    for number in 0..12 {
        mock.put(Repo::model(format!("org/large-{number}")).file("config.json", "{}").field("values", values.clone()));
    }
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::spawn(dir.path(), &mock.url(), &[]);
    let hub = server.addresses().await.unwrap().hub;
    let before = server.peak_memory();
    // Twice: the second time all of it is known, or asked for again.
    for _ in 0..2 {
        let replies = join_all((0..12).map(|number| {
            let url = format!("{hub}/api/models/org/large-{number}?expand=values&expand=sha");
            async move { Client::new().call("GET", &url, &[], "").await.status }
        }));
        let statuses = replies.await;
        assert!(statuses.iter().all(|status| matches!(status, 200 | 429 | 504)), "{statuses:?}");
        assert!(statuses.contains(&200), "{statuses:?}");
    }
    let grown = (server.peak_memory() - before) / MIB;
    println!("12 large answers at once: {grown} MiB more");
    assert!(grown <= 300, "{grown} MiB");
    server.terminate();
    server.ended().await;
}
