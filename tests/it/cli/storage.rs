//! What is stored: pinned, verified, evicted, quarantined.

use super::*;

#[tokio::test]
async fn pins_verification_eviction_and_storage() {
    let hub = Hub::with(model()).await;
    hub.run(&["download", "org/model", "--yes"]).await.is(0);
    hub.run(&["pin", "org/model", "--sync-every", "12h"]).await.is(0).says("pinned");
    hub.run(&["model", "org/model"]).await.is(0).says("12 h");
    hub.run(&["verify", "org/model"]).await.is(0).says("verify org/model");
    hub.run(&["verify"]).await.is(0).says("verify the store");
    hub.run(&["evict", "--free", "1GiB", "--plan"]).await.is(0).says("0 B in 0 files");
    hub.run(&["unpin", "org/model"]).await.is(0).says("not pinned");
    hub.run(&["storage"]).await.is(0).says("org/model").says("safetensors");
    // Where nobody can be asked, nothing is removed.
    for arguments in [&["evict", "org/model"][..], &["evict", "--free", "1GiB"], &["forget", "org/model"]] {
        hub.run(arguments).await.is(2).says("use -y");
    }
    let gone = hub.run(&["evict", "org/model", "--include", "model.safetensors", "--yes"]).await.is(0);
    gone.says("freed").says("(1 file)");
    hub.run(&["evict", "org/model", "--include", "*.safetensors", "--yes"]).await.is(0);
    let model = hub.run(&["model", "org/model", "--json"]).await.is(0).json();
    assert_eq!(model["download"], "partial");
    hub.run(&["sync", "org/model"]).await.is(0).says("sync org/model");
    hub.run(&["overview"]).await.is(0).says("HF_ENDPOINT");
    hub.run(&["system"]).await.is(0).says("processor").says("WORKER");
    hub.run(&["forget", "org/model", "--yes"]).await.is(0);
    hub.run(&["model", "org/model"]).await.is(3);
    hub.end().await;
}

#[tokio::test]
async fn the_quarantine_is_shown_and_emptied() {
    let hub = Hub::with(model()).await;
    hub.run(&["storage", "quarantine"]).await.is(0).says("Nothing is in quarantine.");
    assert!(!hub.run(&["storage"]).await.is(0).out.contains("quarantine"));
    hub.run(&["download", "org/model", "model.safetensors", "--yes"]).await.is(0);
    for _ in 0..2 {
        store::damage(hub.dir.path(), &weights().sha256(), 5);
        let damaged = hub
            .run(&["verify"])
            .await
            .is(1)
            .says("1 damaged file: model.safetensors of org/model; downloads again as job ");
        let id = damaged.err.split("again as job ").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
        hub.run(&["jobs", "watch", &id]).await.is(0);
    }
    hub.run(&["settings", "set", "store_limit_bytes=20MiB"]).await.is(0);
    let storage = hub.run(&["storage"]).await.is(0).says("6 MiB; see modelhub storage quarantine");
    storage.says("9 MiB of 20 MiB used");
    hub.run(&["overview"]).await.is(0).says("9 MiB");
    hub.run(&["doctor"]).await.says("modelhub storage quarantine lists them");
    let listed = hub.run(&["storage", "quarantine", "--json"]).await.is(0).json();
    assert_eq!((listed["files"].as_array().unwrap().len(), &listed["bytes"]), (2, &"6291456".into()), "{listed}");
    let name = listed["files"][0]["name"].as_str().unwrap();
    let shown = hub.run(&["storage", "quarantine"]).await.is(0).says("org/model/model.safetensors");
    shown.says(name).says("in 13 d").says("6 MiB in 2 files");
    hub.run(&["storage", "quarantine", "--empty"]).await.is(2).says("use -y").says("6 MiB in 2 files");
    hub.run(&["storage", "quarantine", "--remove", name]).await.is(2).says("use -y");
    hub.run(&["storage", "quarantine", "--remove", name, "--yes"]).await.is(0).says("removed 1 file (3 MiB)");
    hub.run(&["storage", "quarantine", "--remove", name, "--yes"]).await.is(3).says("not found in quarantine");
    hub.run(&["storage", "quarantine", "--remove", "VERSION", "-y"]).await.is(2).says("expected <hash>");
    let gone = hub.run(&["storage", "quarantine", "--empty", "-y", "--json"]).await.is(0).json();
    assert_eq!((&gone["files"], &gone["bytes"]), (&"1".into(), &"3145728".into()));
    assert_eq!(store::quarantined(hub.dir.path()), 0);
    hub.run(&["storage", "quarantine", "--empty", "-y"]).await.is(0).says("removed 0 files");
    hub.end().await;
}

#[tokio::test]
async fn an_eviction_warns_before_it_takes_what_cannot_be_downloaded_again() {
    let hub = Hub::with(model()).await;
    let disk = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(disk.path().join("org/own")).unwrap();
    std::fs::write(disk.path().join("org/own/config.json"), "{}").unwrap();
    std::fs::write(disk.path().join("org/own/model.safetensors"), Content::random(77, MIB).read_all()).unwrap();
    hub.run(&["scan", disk.path().to_str().unwrap()]).await.is(0);
    hub.run(&["download", "org/model", "model.safetensors", "--yes"]).await.is(0);
    let everything = ["evict", "--free", "1TiB"];
    let plan = async |more: &[&str]| hub.run(&[&everything[..], more, &["--plan"]].concat()).await.is(0);
    let kept = plan(&[]).await.says("would remove").says("in 1 file").says("Note: 2 files, 1").says("are kept");
    assert!(kept.out.contains("KEPT") && kept.out.contains("org/own"), "{}", kept.out);
    let lost = plan(&["--include-unrecoverable"]).await.says("would remove").says("in 3 files");
    lost.says("Warning: 2 files of these, 1").says("cannot be downloaded again");
    hub.run(&["evict", "org/own", "--plan"]).await.is(0).says("0 B in 0 files").says("Note: 2 files");

    let done = hub.run(&["evict", "--free", "1TiB", "--yes"]).await.is(0).says("--include-unrecoverable");
    done.says("kept 2 files that cannot be downloaded again");
    hub.run(&["evict", "org/own", "--yes"]).await.is(0).says("freed 0 B (0 files)");
    let here = async || hub.run(&["model", "org/own", "--json"]).await.is(0).json()["download"].clone();
    assert_eq!(here().await, "complete");
    let asked = hub.run(&["evict", "org/own", "--include-unrecoverable"]).await.is(2);
    asked.says("cannot be downloaded again").says("Remove 2 files, 1").says("of org/own?");
    let gone = hub.run(&["evict", "org/own", "--include-unrecoverable", "--yes"]).await.is(0);
    gone.says("2 of them cannot be downloaded again");
    assert_eq!(here().await, "none");
    hub.end().await;
}
