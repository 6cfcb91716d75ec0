//! What goes to the object store, when, and what does not.

use std::time::Duration;

use mock_hf::{Content, Fault as Wrong, Repo, Rule};

use crate::harness::repos::MIB;
use crate::harness::{Builder, TestHub, eventually, store};
use crate::server::{Fault, S3, SLOW_DOWN};

const LARGE: &str = "/org/model/resolve/main/large.bin";
const SMALL: &str = "/org/model/resolve/main/small.bin";
const CONFIG: &str = "/org/model/resolve/main/config.json";

pub(crate) fn large() -> Content {
    Content::random(1, 21 * MIB + 5)
}

pub(crate) fn small() -> Content {
    Content::random(2, 3 * MIB)
}

pub(crate) const TEXT: &[u8] = b"{\"model_type\": \"test\"}";

pub(crate) fn model() -> Repo {
    Repo::model("org/model").lfs("large.bin", large()).lfs("small.bin", small()).file("config.json", TEXT)
}

/// All files of the model are there, and no upload is left.
pub(crate) async fn all_are_there(s3: &S3) {
    let (large, small) = (large().read_all(), small().read_all());
    eventually("all files are in the object store", || s3.has(&large) && s3.has(&small) && s3.has(TEXT)).await;
}

pub(crate) async fn fetch(hub: &TestHub) {
    hub.get(LARGE).await.assert_is(200, &large().read_all());
    hub.get(SMALL).await.assert_is(200, &small().read_all());
    hub.get(CONFIG).await.assert_is(200, TEXT);
    hub.landed().await;
}

pub(crate) async fn start(s3: &S3, hub: Builder) -> TestHub {
    s3.of(hub.repo(model())).start().await
}

impl TestHub {
    /// What `/v1/storage` says of the object store.
    pub(crate) async fn object_store(&self) -> serde_json::Value {
        let reply = self.client.call("GET", &format!("{}/v1/storage", self.admin_url()), &[], "").await;
        reply.json()["object_store"].clone()
    }

    /// Waits until it says this, and gives all that it says then.
    pub(crate) async fn object_store_until(&self, key: &str, value: &str) -> serde_json::Value {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        loop {
            let state = self.object_store().await;
            if state[key] == value {
                return state;
            }
            assert!(tokio::time::Instant::now() < deadline, "waited in vain for {key} {value}: {state:#}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test]
async fn whatever_arrives_goes_there_once() {
    let s3 = S3::start().await;
    let hub = start(&s3, TestHub::builder()).await;
    fetch(&hub).await;
    all_are_there(&s3).await;
    fetch(&hub).await;
    // Nor does another process send anything again.
    let hub = hub.restart().await;
    fetch(&hub).await;
    let state = hub.object_store_until("objects", "3").await;
    assert_eq!(state["bytes"], (24 * MIB + 5 + TEXT.len() as u64).to_string(), "{state}");
    assert_eq!(state["waiting_files"], "0", "{state}");
    assert_eq!((s3.requests("POST", "?uploads"), s3.requests("PUT", "partNumber="), s3.objects().len()), (1, 3, 3));
    hub.finish().await;
}

#[tokio::test]
async fn a_large_file_goes_up_while_it_comes_down() {
    let s3 = S3::start().await;
    let hub = start(&s3, TestHub::builder()).await;
    // Its end does not come until the test wants it to.
    hub.mock
        .fault(Rule::on_cdn("large.bin").range_start_at_least(16 * MIB).fault(Wrong::Delay(Duration::from_secs(4))));
    let getting = hub.get(LARGE);
    let (large, parts) = (large().read_all(), || s3.requests("PUT", "partNumber="));
    let looking = async {
        eventually("parts go up", || parts() >= 1).await;
        assert!(hub.flights() == 1 && s3.objects().is_empty(), "nobody sees a file that is not proven");
    };
    let (reply, ()) = tokio::join!(getting, looking);
    reply.assert_is(200, &large);
    eventually("it is there", || s3.has(&large)).await;
    assert_eq!((parts(), s3.requests("POST", "?uploads")), (3, 1));
    hub.finish().await;
}

#[tokio::test]
async fn wrong_bytes_become_no_object() {
    let s3 = S3::start().await;
    let hub = start(&s3, TestHub::builder()).await;
    let wrong = hub.mock.fault(Rule::on_cdn("large.bin").fault(Wrong::FlipByte(20 * MIB)));
    assert!(hub.get(LARGE).await.broken.is_some());
    hub.landed().await;
    assert!(s3.objects().is_empty());
    hub.mock.remove_fault(wrong);
    hub.get(LARGE).await.assert_is(200, &large().read_all());
    eventually("the right bytes are there", || s3.has(&large().read_all())).await;
    hub.finish().await;
}

#[tokio::test]
async fn parts_of_a_wrong_body_that_nobody_saw_become_no_object_with_the_rest_of_the_right_one() {
    let s3 = S3::start().await;
    // Nothing is sent before it is verified, so a wrong body is fetched once more; and the first part is still on its way up
    // when that begins.
    let hub = start(&s3, TestHub::builder().set("flight.verify_first", "64MiB")).await;
    hub.mock.fault(Rule::on_cdn("large.bin").range_start_at_least(0).fault(Wrong::FlipByte(MIB)).times(1));
    s3.fault("PUT", "partNumber=1", Fault::Late(3), 1);
    hub.get(LARGE).await.assert_is(200, &large().read_all());
    hub.object_store_until("objects", "1").await;
    assert!(s3.has(&large().read_all()), "the object is not what its name says");
    hub.finish().await;
}

#[tokio::test]
async fn while_it_is_away_all_goes_on_and_files_wait_for_it() {
    let mut s3 = S3::start().await;
    s3.stop();
    let hub = start(&s3, TestHub::builder()).await;
    fetch(&hub).await;
    let state = hub.object_store().await;
    assert!(state["waiting_files"] == "3" && !state["problem"].as_str().unwrap().is_empty(), "{state}");
    // Also after a restart without it.
    let hub = hub.restart().await;
    assert_eq!(hub.get(LARGE).await.served(), "hit");
    s3.start_again().await;
    all_are_there(&s3).await;
    hub.object_store_until("problem", "").await;
    hub.finish().await;
}

#[tokio::test]
async fn mishaps_of_the_store_cost_no_file() {
    let s3 = S3::start().await;
    // Three are one more than the tries of a call.
    s3.fault("PUT", "partNumber=2", SLOW_DOWN, 3);
    s3.fault("POST", "uploadId=", Fault::LostAnswer, 1);
    s3.fault("HEAD", "/hub/blobs", SLOW_DOWN, 3);
    s3.fault("PUT", "/hub/blobs", Fault::LostAnswer, 1);
    let hub = start(&s3, TestHub::builder()).await;
    fetch(&hub).await;
    all_are_there(&s3).await;
    hub.finish().await;
}

#[tokio::test]
async fn an_upload_that_a_stop_broke_off_is_aborted_and_done_again() {
    let s3 = S3::start().await;
    s3.fault("PUT", "partNumber=2", Fault::Silence, 9);
    let hub = start(&s3, TestHub::builder()).await;
    hub.get(LARGE).await.assert_is(200, &large().read_all());
    hub.landed().await;
    eventually("it is on its way", || s3.requests("PUT", "partNumber=2") >= 1).await;
    let hub = hub.restart_after(|_| s3.heal()).await;
    eventually("it is there", || s3.has(&large().read_all())).await;
    assert_eq!((s3.requests("POST", "?uploads"), s3.requests("DELETE", "uploadId=")), (2, 1));
    hub.finish().await;
}

#[tokio::test]
async fn a_file_that_is_always_refused_holds_no_other_up() {
    let s3 = S3::start().await;
    // The first one of all that wait.
    let names = [large(), small(), TEXT.into()].map(|content| content.sha256());
    let first: &'static str = names.iter().min().unwrap().clone().leak();
    for method in ["PUT", "POST"] {
        s3.fault(method, first, Fault::Error(400, "InvalidRequest"), usize::MAX);
    }
    let hub = start(&s3, TestHub::builder()).await;
    fetch(&hub).await;
    eventually("the others are there", || s3.objects().len() == 2).await;
    hub.object_store_until("waiting_files", "1").await;
    s3.heal();
    all_are_there(&s3).await;
    hub.finish().await;
}

#[tokio::test]
async fn what_the_disk_has_damaged_does_not_go_up() {
    let s3 = S3::start().await;
    let hub = TestHub::builder().repo(model()).start().await;
    fetch(&hub).await;
    // The disk changes bytes without telling anybody.
    let hub = hub
        .restart_after(|dir| {
            let path = store::blob_path(dir, &large().sha256());
            let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[1_000_000] ^= 1;
            let mut permissions = std::fs::metadata(&path).unwrap().permissions();
            #[expect(clippy::permissions_set_readonly_false, reason = "the test's own file")]
            permissions.set_readonly(false);
            std::fs::set_permissions(&path, permissions).unwrap();
            std::fs::write(&path, bytes).unwrap();
            std::fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
        })
        .await;
    let settings = s3.settings();
    let settings: Vec<_> = settings.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let hub = hub.restart_with(&settings).await;
    eventually("the others are there", || s3.has(&small().read_all()) && s3.has(TEXT)).await;
    eventually("the damaged one was tried", || s3.requests("DELETE", "uploadId=") >= 1).await;
    assert_eq!(s3.objects().len(), 2);
    let damaged = large().sha256();
    hub.restart_after(|dir| std::fs::remove_file(store::blob_path(dir, &damaged)).unwrap()).await.finish().await;
}
