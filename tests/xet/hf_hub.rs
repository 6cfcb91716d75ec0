//! hf-hub 1.0, the Rust client: it takes Xet whenever a HEAD names a Xet hash.

use std::sync::{Arc, Mutex};

use hf_hub::HFClient;
use mock_hf::{Content, Repo, TOKEN_ALICE};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::TestHub;
use crate::harness::repos::{CONFIG, MIB};

/// Stands between a client and the hub, and keeps what the client says.
async fn recorder(hub: &TestHub) -> (String, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let said = Arc::new(Mutex::new(Vec::new()));
    let (target, heard) = (hub.url().strip_prefix("http://").unwrap().to_owned(), Arc::clone(&said));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (target, heard) = (target.clone(), Arc::clone(&heard));
            tokio::spawn(async move {
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_hub, mut to_hub) = TcpStream::connect(target).await.unwrap().into_split();
                let back = tokio::spawn(async move { tokio::io::copy(&mut from_hub, &mut to_client).await });
                let mut buffer = vec![0; 64 << 10];
                while let Ok(count @ 1..) = from_client.read(&mut buffer).await {
                    heard.lock().unwrap().extend_from_slice(&buffer[..count]);
                    if to_hub.write_all(&buffer[..count]).await.is_err() {
                        break;
                    }
                }
                drop(to_hub);
                let _ = back.await;
            });
        }
    });
    (address, said)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hf_hub_downloads_by_xet_cold_and_hot() {
    let content = Content::random(11, 20 * MIB + 1);
    let repo = Repo::model("org/model").file("config.json", CONFIG).lfs("model.safetensors", content.clone());
    let hub = TestHub::builder().repo(repo).start().await;
    let (address, said) = recorder(&hub).await;
    for round in ["cold", "hot"] {
        said.lock().unwrap().clear();
        let cache = tempfile::tempdir().unwrap();
        let client = HFClient::builder().endpoint(&address).token(TOKEN_ALICE).cache_dir(cache.path()).build().unwrap();
        let model = client.model("org", "model");
        for (name, bytes) in
            [("config.json", Content::from(CONFIG).read_all()), ("model.safetensors", content.read_all())]
        {
            let path = model.download_file().filename(name).send().await.unwrap();
            assert!(std::fs::read(path).unwrap() == bytes, "{round}: {name}");
        }
        let said = String::from_utf8_lossy(&said.lock().unwrap()).into_owned();
        let heads = |start: &str| said.lines().filter(|line| line.starts_with(start)).count();
        assert!(heads("GET /xet/v2/reconstructions/") > 0, "{round}: it did not go by Xet\n{said}");
        assert!(heads("GET /xet/v1/xorbs/default/") >= 3, "{round}: {said}");
        assert_eq!(heads("GET /org/model/resolve/main/model.safetensors"), 0, "{round}: {said}");
        hub.landed().await;
        assert_eq!(hub.cdn_bytes(), content.size(), "{round}");
    }
    hub.finish().await;
}
