//! Whose bucket it is, and starts without it.

use std::path::Path;

use metrics_exporter_prometheus::PrometheusBuilder;
use modelhub::app::App;
use modelhub::config::Config;
use modelhub::domain::Clock;

use crate::fetch::{LARGE, emptied};
use crate::harness::{TestHub, store};
use crate::push::{all_are_there, fetch, large, start};
use crate::server::S3;

/// Why a hub does not start on this data directory; asked twice.
async fn refusal(dir: &Path, settings: &[(&'static str, String)]) -> String {
    let mut said = Vec::new();
    for _ in 0..2 {
        let mut flags = vec![
            ("store.data_dir", dir.to_str().unwrap().to_owned()),
            ("hub.listen", "127.0.0.1:0".to_owned()),
            ("admin.listen", "127.0.0.1:0".to_owned()),
        ];
        flags.extend(settings.iter().cloned());
        let config = Config::load(None, std::iter::empty(), &flags).unwrap();
        let metrics = PrometheusBuilder::new().build_recorder().handle();
        let Err(error) = App::open(config, Clock::system(), metrics).await else { panic!("it starts") };
        said.push(format!("{error:#}"));
    }
    assert_eq!(said[0], said[1]);
    said.remove(0)
}

/// A copy of the data directory of a hub that goes on.
async fn copied(hub: TestHub) -> (TestHub, tempfile::TempDir) {
    let copy = tempfile::tempdir().unwrap();
    let to = copy.path().to_owned();
    let hub = hub
        .restart_after(move |dir| {
            let copying = std::process::Command::new("cp").arg("-a").arg(dir.join(".")).arg(to).status();
            assert!(copying.unwrap().success());
        })
        .await;
    (hub, copy)
}

#[tokio::test]
async fn the_prefix_of_another_store_is_refused_by_name() {
    let s3 = S3::start().await;
    let first = start(&s3, TestHub::builder()).await;
    fetch(&first).await;
    all_are_there(&s3).await;
    first.finish().await;
    let error = refusal(tempfile::tempdir().unwrap().path(), &s3.settings()).await;
    assert!(error.contains("s3://models/hub") && error.contains("belongs to store"), "{error}");
    assert!(error.contains("set object.url to another one"), "{error}");
}

#[tokio::test]
async fn a_start_without_the_bucket_that_has_files_is_refused_and_may_give_them_up() {
    let s3 = S3::start().await;
    let (hub, copy) = copied(emptied(&s3, TestHub::builder()).await).await;
    let error = refusal(copy.path(), &[]).await;
    assert!(error.contains("3 files") && error.contains("set object.url to it again"), "{error}");
    assert!(error.contains("MODELHUB_OBJECT_ABANDON=true"), "{error}");
    // Another one has none of them.
    let mut other = s3.settings().to_vec();
    other[0].1 = "s3://models/other".into();
    let error = refusal(copy.path(), &other).await;
    assert!(error.contains("s3://models/other") && error.contains("may be another bucket or prefix"), "{error}");
    // Given up, they come from upstream.
    let hub = hub.restart_with(&[("object.url", ""), ("object.abandon", "true")]).await;
    let hub = hub.restart_with(&[("object.abandon", "false")]).await;
    assert!(hub.object_store().await.is_null());
    hub.mock.clear_log();
    fetch(&hub).await;
    assert_eq!(hub.get(LARGE).await.served(), "hit");
    assert!(hub.cdn_bytes() >= large().size());
    hub.finish().await;
}

#[tokio::test]
async fn what_is_on_the_disk_too_needs_no_bucket_and_goes_up_again_to_the_next_one() {
    let s3 = S3::start().await;
    let hub = start(&s3, TestHub::builder()).await;
    fetch(&hub).await;
    hub.object_store_until("objects", "3").await;
    let hub = hub.restart_with(&[("object.url", "")]).await;
    assert_eq!(hub.get(LARGE).await.served(), "hit");
    let hub = hub.restart_with(&[("object.url", "s3://models/next")]).await;
    hub.object_store_until("objects", "3").await;
    assert_eq!((s3.requests("POST", "/next/"), s3.requests("PUT", "/next/STORE_ID")), (2, 1), "begun and completed");
    hub.finish().await;
}

#[tokio::test]
async fn a_lost_disk_is_replaced_and_its_files_come_from_the_bucket() {
    let s3 = S3::start().await;
    let hub = start(&s3, TestHub::builder()).await;
    fetch(&hub).await;
    hub.object_store_until("objects", "3").await;
    let hub = hub.restart_with(&[("store.adopt", "true")]).await;
    let hub = hub
        .restart_after(|dir| {
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { std::fs::remove_dir_all(path).unwrap() } else { std::fs::remove_file(path).unwrap() }
            }
        })
        .await;
    let hub = hub.restart_with(&[("store.adopt", "false")]).await;
    hub.mock.clear_log();
    for _ in 0..2 {
        hub.get(LARGE).await.assert_is(200, &large().read_all());
        hub.landed().await;
    }
    assert_eq!(hub.cdn_bytes(), 0, "upstream was asked for no bytes");
    assert_eq!(store::blobs(hub.data_dir()).len(), 1);
    hub.finish().await;
}
