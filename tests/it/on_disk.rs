//! A data directory that is not as the last process would have left it.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use mock_hf::{Content, Repo};

use crate::harness::process::run;
use crate::harness::repos::{CONFIG, MIB, git_oid};
use crate::harness::{TestHub, store};

const PATH: &str = "/org/kept/resolve/main/kept.bin";
const SIZE: u64 = 3 * MIB;

fn kept() -> Content {
    Content::random(8, SIZE)
}

fn blob(dir: &Path) -> PathBuf {
    let hex = kept().sha256();
    dir.join("blobs/sha256").join(&hex[..2]).join(hex)
}

/// A hub that has the file, verified and published.
async fn hub() -> TestHub {
    let hub = TestHub::builder()
        .repo(Repo::model("org/kept").lfs("kept.bin", kept()).file("config.json", CONFIG))
        .start()
        .await;
    hub.get(PATH).await.assert_is(200, &kept().read_all());
    hub.get("/org/kept/resolve/main/config.json").await.assert_is(200, CONFIG.as_bytes());
    hub.landed().await;
    hub.mock.clear_log();
    hub
}

fn without_database(dir: &Path) {
    for name in ["modelhub.db", "modelhub.db-wal", "modelhub.db-shm"] {
        let _ = std::fs::remove_file(dir.join(name));
    }
    assert!(blob(dir).exists());
}

#[tokio::test]
async fn a_blob_whose_row_is_lost_is_proven_and_adopted() {
    // As after a kill between the rename and the row; the journal may be left over as well.
    let hub = hub().await;
    let hub = hub
        .restart_after(|dir| {
            without_database(dir);
            File::create(dir.join("partial").join(format!("{}.map", kept().sha256())))
                .unwrap()
                .write_all(&[7; 100])
                .unwrap();
        })
        .await;
    hub.get(PATH).await.assert_is(200, &kept().read_all());
    hub.landed().await;
    assert_eq!(hub.cdn_bytes(), 0, "it was here all the time");
    let left: Vec<_> =
        std::fs::read_dir(hub.data_dir().join("partial")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.is_empty(), "{left:?}");
    hub.finish().await;
}

#[tokio::test]
async fn a_file_under_a_final_name_that_is_not_what_it_says_is_never_served() {
    for damage in [
        |path: &Path| OpenOptions::new().write(true).open(path).unwrap().write_all_at(b"x", SIZE / 2).unwrap(),
        |path: &Path| OpenOptions::new().write(true).open(path).unwrap().set_len(SIZE - 1).unwrap(),
        |path: &Path| OpenOptions::new().write(true).open(path).unwrap().set_len(0).unwrap(),
    ] {
        let hub = hub().await;
        let hub = hub
            .restart_after(|dir| {
                without_database(dir);
                damage(&blob(dir));
            })
            .await;
        hub.get(PATH).await.assert_is(200, &kept().read_all());
        hub.landed().await;
        assert_eq!(hub.cdn_bytes(), SIZE);
        hub.finish().await;
    }
}

#[tokio::test]
async fn a_blob_that_is_gone_or_cut_is_fetched_again() {
    for damage in [
        |path: &Path| std::fs::remove_file(path).unwrap(),
        |path: &Path| OpenOptions::new().write(true).open(path).unwrap().set_len(SIZE - 1).unwrap(),
        |path: &Path| {
            std::fs::remove_file(path).unwrap();
            std::os::unix::fs::symlink("/etc/hostname", path).unwrap();
        },
    ] {
        let hub = hub().await.restart_after(|dir| damage(&blob(dir))).await;
        hub.get(PATH).await.assert_is(200, &kept().read_all());
        hub.landed().await;
        assert_eq!(hub.cdn_bytes(), SIZE);
        hub.get(PATH).await.assert_is(200, &kept().read_all());
        assert_eq!(hub.cdn_bytes(), SIZE, "the second time it is here");
        hub.finish().await;
    }
}

#[tokio::test]
async fn a_broken_partial_costs_a_download_and_nothing_else() {
    let hex = kept().sha256();
    for journal in [&b""[..], b"mhpart01", b"mhpart02", &[0xff; 500], b"mhpart99aaaaaaaaaaaaaaaaaaaaaaaa"] {
        let hub = TestHub::builder().repo(Repo::model("org/kept").lfs("kept.bin", kept())).start().await;
        let hub = hub
            .restart_after(|dir| {
                let part = dir.join("partial").join(format!("{hex}.part"));
                File::create(&part).unwrap().write_all(&vec![1; SIZE as usize]).unwrap();
                File::create(part.with_extension("map")).unwrap().write_all(journal).unwrap();
            })
            .await;
        hub.get(PATH).await.assert_is(200, &kept().read_all());
        hub.finish().await;
    }
}

#[tokio::test]
async fn a_journal_that_claims_segments_which_are_not_there_is_not_believed() {
    // Power was cut: the journal reached the disk, the bytes did not.
    let hub = TestHub::builder().small_segments().repo(Repo::model("org/kept").lfs("kept.bin", kept())).start().await;
    hub.get_with(PATH, &[("range", "bytes=0-524287")]).await.assert_is(206, &kept().read_range(0, 524_288));
    hub.landed().await;
    let hex = kept().sha256();
    let hub = hub
        .restart_after(|dir| {
            assert_eq!(store::finished_segments(dir, &hex).len(), 2);
            let part = OpenOptions::new().write(true).open(dir.join("partial").join(format!("{hex}.part"))).unwrap();
            part.write_all_at(&[0; 4096], 300_000).unwrap();
            assert_eq!(store::finished_segments(dir, &hex).len(), 1);
        })
        .await;
    hub.mock.clear_log();
    hub.get(PATH).await.assert_is(200, &kept().read_all());
    hub.landed().await;
    assert_eq!(hub.cdn_bytes(), SIZE - 256 * 1024, "one segment was right, and only that one is kept");
    hub.finish().await;
}

#[tokio::test]
async fn a_store_of_a_newer_layout_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    File::create(dir.path().join("VERSION")).unwrap().write_all(b"2\n").unwrap();
    let settings = [
        ("store.data_dir", dir.path().to_str().unwrap()),
        ("hub.listen", "127.0.0.1:0"),
        ("admin.listen", "127.0.0.1:0"),
    ];
    let output = run(&["serve"], &settings).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("store format 2") && said.contains("supports 1"), "{said}");
    assert!(!dir.path().join("modelhub.db").exists(), "something was written to it");
}

#[tokio::test]
async fn small_files_of_git_survive_a_lost_blob_too() {
    let digest = Content::from(CONFIG).sha256();
    let hub = hub()
        .await
        .restart_after(|dir| std::fs::remove_file(dir.join("blobs/sha256").join(&digest[..2]).join(&digest)).unwrap())
        .await;
    let reply = hub.get("/org/kept/resolve/main/config.json").await;
    reply.assert_is(200, CONFIG.as_bytes());
    assert_eq!(reply.header("etag"), format!("\"{}\"", git_oid(CONFIG)));
    hub.finish().await;
}

#[tokio::test]
async fn what_nobody_went_on_with_for_a_week_is_removed() {
    let hub = TestHub::builder().small_segments().repo(Repo::model("org/kept").lfs("kept.bin", kept())).start().await;
    hub.get_with(PATH, &[("range", "bytes=0-9")]).await.assert_is(206, &kept().read_range(0, 10));
    hub.landed().await;
    let part = hub.data_dir().join("partial").join(format!("{}.part", kept().sha256()));
    hub.hub().models.remove_stale_partials().await.unwrap();
    assert!(part.exists() && part.with_extension("map").exists());
    let file = OpenOptions::new().write(true).open(&part).unwrap();
    let written = file.metadata().unwrap().modified().unwrap();
    file.set_modified(written - std::time::Duration::from_secs(8 * 24 * 3600)).unwrap();
    hub.hub().models.remove_stale_partials().await.unwrap();
    assert!(!part.exists() && !part.with_extension("map").exists());
    hub.get(PATH).await.assert_is(200, &kept().read_all());
    hub.finish().await;
}

#[tokio::test]
async fn a_file_that_is_removed_while_it_is_open_is_fetched_again() {
    let hub = hub().await;
    for _ in 0..2 {
        for _ in 0..2 {
            hub.get(PATH).await.assert_is(200, &kept().read_all());
            hub.landed().await;
        }
        assert_eq!(hub.get(PATH).await.served(), "hit");
        std::fs::remove_file(blob(hub.data_dir())).unwrap();
        hub.mock.clear_log();
        hub.get(PATH).await.assert_is(200, &kept().read_all());
        hub.landed().await;
        assert!(blob(hub.data_dir()).exists());
        assert_eq!(hub.cdn_bytes(), SIZE);
    }
    hub.finish().await;
}

#[tokio::test]
async fn folders_that_are_removed_under_a_running_hub_are_made_again() {
    let hub = hub().await;
    let all: [&[&str]; 4] =
        [&["blobs", "partial", "quarantine"], &["blobs"], &["partial"], &["quarantine", "blobs/sha256"]];
    for (round, folders) in all.into_iter().enumerate() {
        let (config, weights) = (format!("{{\"round\": {round}}}"), Content::random(90 + round as u64, SIZE));
        let name = format!("org/new{round}");
        hub.mock.put(Repo::model(&name).file("config.json", config.as_str()).lfs("new.bin", weights.clone()));
        for folder in folders {
            std::fs::remove_dir_all(hub.data_dir().join(folder)).unwrap();
        }
        // A hit may still come from what is open; whoever writes notices.
        hub.get(PATH).await.assert_is(200, &kept().read_all());
        for _ in 0..2 {
            hub.get(&format!("/{name}/resolve/main/config.json")).await.assert_is(200, config.as_bytes());
            hub.get(&format!("/{name}/resolve/main/new.bin")).await.assert_is(200, &weights.read_all());
            hub.get(PATH).await.assert_is(200, &kept().read_all());
            hub.landed().await;
        }
        assert!(blob(hub.data_dir()).exists(), "{folders:?}: the hit was not stored again");
        let ready = hub.client.call("GET", &format!("{}/readyz", hub.admin_url()), &[], "").await;
        assert_eq!(ready.status, 200, "{folders:?}");
        assert!(hub.data_dir().join("quarantine").is_dir());
    }
    let hub = hub.restart().await;
    hub.mock.clear_log();
    hub.get(PATH).await.assert_is(200, &kept().read_all());
    hub.get("/org/new3/resolve/main/new.bin").await.assert_is(200, &Content::random(93, SIZE).read_all());
    assert_eq!(hub.cdn_bytes(), 0, "what was fetched again is kept");
    hub.finish().await;
}
