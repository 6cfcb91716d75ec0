//! Up and down, fast and slow.

use std::time::{Duration, Instant};

use mock_hf::{Content, Fault, MockHf, Options, Repo, Rule, demo, folder};

use crate::support::{get, head, hub, signed, try_call};

#[tokio::test]
async fn stopped_mock_refuses_and_cuts_and_comes_back_on_its_ports() {
    let hub = hub().await;
    let url = signed(&hub, "sub/model.safetensors").await;
    hub.fault(Rule::on_cdn("model").times(1).fault(Fault::StallAfter(10)));
    let stalled = tokio::spawn({
        let url = url.clone();
        async move { get(&url).await }
    });
    while hub.stats().cdn_body_bytes < 10 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    hub.stop().await;
    assert!(stalled.await.unwrap().broken.is_some());
    assert!(try_call("GET", &hub.url(), &[], "").await.is_err());
    assert_eq!(hub.stats().in_flight, 0);
    hub.restart().await.unwrap();
    assert_eq!(head(&url).await.status, 200);
}

#[tokio::test]
async fn each_connection_has_its_speed() {
    let options = Options { bytes_per_second_per_connection: Some(1_000_000), ..Options::default() };
    let hub = MockHf::start_with(options).await.unwrap();
    hub.put(Repo::model("org/name").lfs("w.bin", Content::random(1, 300_000)));
    let url = signed(&hub, "w.bin").await;
    let started = Instant::now();
    let (a, b) = tokio::join!(get(&url), get(&url));
    assert_eq!((a.body.len(), b.body.len()), (300_000, 300_000));
    let took = started.elapsed();
    assert!(took > Duration::from_millis(250) && took < Duration::from_millis(550), "{took:?}");
    assert_eq!(hub.stats().cdn_max_concurrent, 2);
}

#[tokio::test]
async fn demo_and_folders_are_served() {
    let hub = MockHf::start().await;
    for repo in demo::repos() {
        hub.put(repo);
    }
    let model = head(&format!("{}/gpt2-mini/resolve/main/model.safetensors", hub.url())).await;
    assert_eq!(model.status, 302);
    let bytes = get(model.header("location")).await.body;
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + header]).unwrap();
    assert_eq!(header["model.embed_tokens.weight"]["shape"], serde_json::json!([4096, 64]));

    let root = std::env::temp_dir().join(format!("mock-hf-folder-{}", std::process::id()));
    for (path, text) in
        [("datasets/ns/data/a/b.txt", "b"), ("ns/model/config.json", "{}"), ("ns/model/w.safetensors", "w")]
    {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    for repo in folder::read(&root).unwrap() {
        hub.put(repo);
    }
    assert_eq!(get(&format!("{}/datasets/ns/data/raw/main/a/b.txt", hub.url())).await.text(), "b");
    let weights = head(&format!("{}/ns/model/resolve/main/w.safetensors", hub.url())).await;
    assert_eq!(get(weights.header("location")).await.text(), "w");
    std::fs::remove_dir_all(root).unwrap();
}

#[tokio::test]
async fn cdn_counts_tokens_that_should_not_have_come() {
    let hub = hub().await;
    let url = signed(&hub, "sub/model.safetensors").await;
    crate::support::get_with(&url, &[("authorization", "Bearer hf_x"), ("range", "bytes=0-0")]).await;
    assert_eq!(hub.stats().cdn_calls_with_authorization, 1);
    let line = hub.requests().into_iter().next_back().unwrap();
    assert_eq!((line.authorization.as_deref(), line.range.as_deref()), (Some("Bearer hf_x"), Some("bytes=0-0")));
}
