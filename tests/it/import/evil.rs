//! Folders that somebody else has filled: nothing outside is read, nothing hangs, everything is told.

use std::os::unix::fs::PermissionsExt as _;

use modelhub::hub::{ImportRequest, ProblemKind};
use rustix::fs::{CWD, FileType, Mode};

use super::{Disk, at, commit, import};
use crate::harness::TestHub;
use crate::harness::repos::{CONFIG, git_oid};

fn fifo(disk: &Disk, path: &str) {
    let path = disk.path().join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
}

#[tokio::test]
async fn planted_links_fifos_and_locked_files_are_told_and_not_followed() {
    let hub = TestHub::builder().set("upstream.offline", "true").start().await;
    let outside = Disk::new();
    let secret = outside.write("secret.txt", "SECRET-CANARY");
    outside.write("folder/config.json", "SECRET-CANARY");
    let secret = secret.to_str().unwrap().to_owned();
    let disk = Disk::new();
    let (main, repo) = (commit('a'), "models--org--model");
    disk.write(&format!("{repo}/refs/main"), main.as_str());
    disk.snapshot(repo, &main, "config.json", &git_oid(CONFIG), CONFIG);
    let snapshot = format!("{repo}/snapshots/{main}");
    // A snapshot that leads out: by an absolute link, a relative one, by two, to a device, to nowhere, to itself.
    disk.link(&format!("{snapshot}/absolute"), &secret);
    disk.link(&format!("{snapshot}/relative"), "../../../../../../../../../../etc/passwd");
    disk.link(&format!("{repo}/blobs/{}", "c".repeat(40)), &secret);
    disk.link(&format!("{snapshot}/twice"), &format!("../../blobs/{}", "c".repeat(40)));
    disk.link(&format!("{snapshot}/device"), "/dev/zero");
    disk.link(&format!("{snapshot}/nowhere"), "../../blobs/none");
    disk.link(&format!("{snapshot}/loop"), "loop");
    disk.link(&format!("{snapshot}/up"), "../../..");
    disk.link(&format!("{snapshot}/folder"), outside.path().join("folder").to_str().unwrap());
    fifo(&disk, &format!("{snapshot}/fifo"));
    fifo(&disk, &format!("{repo}/refs/fifo"));
    fifo(&disk, &format!("{repo}/blobs/{}", "d".repeat(40)));
    disk.link(&format!("{snapshot}/to-a-fifo"), &format!("../../blobs/{}", "d".repeat(40)));
    disk.write(&format!("{repo}/blobs/{}.incomplete", "e".repeat(64)), "half");
    disk.write(&format!("{snapshot}/x.incomplete"), "half");
    disk.link(&format!("{repo}/refs/evil"), &secret);
    disk.link(&format!("{repo}/trees"), outside.path().join("folder").to_str().unwrap());
    // Elsewhere.
    disk.link("a/loop", "..");
    disk.link("a/out", outside.path().to_str().unwrap());
    disk.link("a/out.gguf", &secret);
    fifo(&disk, "a/fifo.gguf");
    fifo(&disk, "a/config.json");
    disk.link("vendor/model/config.json", &secret);
    disk.link("vendor/model/weights.bin", &secret);
    disk.write("models--bad--name--x/refs/main", main.as_str());
    disk.write("models--..--name/refs/main", main.as_str());

    let report = tokio::time::timeout(std::time::Duration::from_secs(60), import(&hub, &disk)).await.unwrap();
    assert_eq!(report.attached, 1, "{report:#?}");
    let count = |kind| report.problems.count(kind);
    assert!(count(ProblemKind::Link) >= 9, "{report:#?}");
    assert!(count(ProblemKind::Special) >= 3, "{report:#?}");
    assert!(count(ProblemKind::Unreadable) >= 2, "{report:#?}");
    assert_eq!(count(ProblemKind::Unfinished), 1, "{report:#?}");
    assert!(count(ProblemKind::Name) >= 4, "{report:#?}");
    assert!(!format!("{report:?}").contains("SECRET-CANARY"));
    hub.get("/org/model/resolve/main/config.json").await.assert_is(200, CONFIG.as_bytes());
    for name in ["absolute", "relative", "twice", "device", "nowhere", "loop", "up", "fifo", "to-a-fifo"] {
        assert_ne!(hub.get(&format!("/org/model/resolve/main/{name}")).await.status, 200, "{name}");
    }
    assert_eq!(crate::harness::store::blobs(hub.data_dir()).len(), 1);
    hub.finish().await;
}

#[tokio::test]
async fn what_may_not_be_read_is_told() {
    let hub = TestHub::builder().set("upstream.offline", "true").start().await;
    let disk = Disk::new();
    disk.write("org/model/config.json", CONFIG);
    let locked = disk.write("org/model/model.safetensors", "locked");
    disk.write("org/closed/config.json", CONFIG);
    let set = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    set(&locked, 0);
    set(&disk.path().join("org/closed"), 0);
    if std::fs::File::open(&locked).is_ok() {
        // Root may read everything.
        return hub.finish().await;
    }
    let report = import(&hub, &disk).await;
    set(&disk.path().join("org/closed"), 0o700);
    assert_eq!((report.attached, report.problems.count(ProblemKind::Unreadable)), (1, 2), "{report:#?}");
    hub.finish().await;
}

#[tokio::test]
async fn a_store_does_not_import_itself() {
    let hub = TestHub::builder().set("upstream.offline", "true").start().await;
    let disk = Disk::new();
    disk.write("org/model/config.json", CONFIG);
    import(&hub, &disk).await;
    let request = ImportRequest::new(hub.data_dir());
    let report = hub.hub().models.import(request, &|_| (), tokio_util::sync::CancellationToken::new()).await.unwrap();
    assert_eq!(report.files, 0, "{report:#?}");
    for path in [hub.data_dir().join("blobs"), disk.path().join("nothing"), disk.path().join("org/model/config.json")] {
        let preview = hub.hub().models.preview_import(ImportRequest::new(&path)).await;
        assert!(preview.is_err(), "{}", path.display());
    }
    let many = at(&disk, "org");
    assert_eq!(hub.hub().models.preview_import(many).await.unwrap().files, 1);
    hub.finish().await;
}
