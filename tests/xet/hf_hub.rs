//! hf-hub 1.0, the Rust client: it always prefers Xet, and takes plain HTTP when it sees none.

use hf_hub::HFClient;
use mock_hf::{Content, Options, Repo, TOKEN_ALICE};

use crate::harness::TestHub;
use crate::harness::repos::{CONFIG, MIB};

#[tokio::test]
async fn hf_hub_downloads_through_the_hub() {
    let content = Content::random(11, 10 * MIB + 1);
    let repo = Repo::model("org/model").file("config.json", CONFIG).lfs("model.safetensors", content.clone());
    let hub = TestHub::builder().options(Options { xet_store: true, ..Options::default() }).repo(repo).start().await;
    let cache = tempfile::tempdir().unwrap();
    let client = HFClient::builder().endpoint(hub.url()).token(TOKEN_ALICE).cache_dir(cache.path()).build().unwrap();
    let model = client.model("org", "model");
    for (name, bytes) in [("config.json", Content::from(CONFIG).read_all()), ("model.safetensors", content.read_all())]
    {
        let path = model.download_file().filename(name).send().await.unwrap();
        assert!(std::fs::read(path).unwrap() == bytes, "{name}");
    }
    hub.finish().await;
}
