//! What is read, and how it gets into the store.

use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::sync::atomic::{AtomicU64, Ordering};

use mock_hf::Content;
use modelhub::domain::job::{Job, JobStatus};
use modelhub::hub::{ImportRequest, Placement, ProblemKind, Scan};
use tokio_util::sync::CancellationToken;

use super::{Disk, at, import, import_as};
use crate::harness::repos::{MIB, model, weights};
use crate::harness::{TestHub, store};

/// A model of 20 files.
fn many() -> Disk {
    let disk = Disk::new();
    disk.write("org/many/model_index.json", "{}");
    for number in 0..19 {
        disk.write(&format!("org/many/{number}.bin"), Content::random(number, MIB / 4));
    }
    disk
}

#[tokio::test]
async fn a_second_import_reads_nothing() {
    let hub = TestHub::builder().start().await;
    let disk = many();
    let first = import(&hub, &disk).await;
    assert_eq!((first.hashed, first.unchanged, first.copied + first.reflinked), (20, 0, 20), "{first:#?}");
    let hub = hub.restart().await;
    let second = import(&hub, &disk).await;
    assert_eq!((second.hashed, second.bytes_hashed, second.unchanged), (0, 0, 20), "{second:#?}");
    assert_eq!((second.copied + second.reflinked, second.bytes_added), (0, 0));
    assert_eq!((second.files, second.bytes, second.attached), (first.files, first.bytes, first.attached));
    hub.finish().await;
}

#[tokio::test]
async fn a_blob_that_is_gone_is_taken_again() {
    let hub = TestHub::builder().start().await;
    let disk = many();
    import(&hub, &disk).await;
    let lost = Content::random(3, MIB / 4);
    let blob = hub.data_dir().join("blobs/sha256").join(&lost.sha256()[..2]).join(lost.sha256());
    std::fs::remove_file(blob).unwrap();
    let hub = hub.restart().await;
    let path = "/org/many/resolve/main/3.bin";
    let reply = hub.get(path).await;
    assert_eq!(reply.status, 504);
    assert!(reply.error().2.contains("import"), "{}", reply.everything());
    assert_eq!(hub.head(path).await.status, 504);
    let report = import(&hub, &disk).await;
    assert_eq!((report.hashed, report.unchanged), (1, 19), "{report:#?}");
    hub.get(path).await.assert_is(200, &lost.read_all());
    hub.finish().await;
}

#[tokio::test]
async fn an_import_that_was_stopped_goes_on_where_it_left_off() {
    let hub = TestHub::builder().start().await;
    let disk = many();
    let cancel = CancellationToken::new();
    let stop_after_ten = |progress: modelhub::hub::ImportProgress| {
        if progress.files > 10 {
            cancel.cancel();
        }
    };
    let before = disk.state();
    let report =
        hub.hub().models.import(ImportRequest::new(disk.path()), &stop_after_ten, cancel.clone()).await.unwrap();
    assert!(report.cancelled && (10..20).contains(&report.hashed), "{report:#?}");
    assert_eq!(disk.state(), before);
    assert_ne!(hub.get("/org/many/resolve/main/1.bin").await.status, 200, "half a folder is no revision");
    let second = import(&hub, &disk).await;
    assert!(!second.cancelled);
    assert_eq!((second.unchanged, second.hashed), (report.hashed, 20 - report.hashed), "{second:#?}");
    hub.get("/org/many/resolve/main/1.bin").await.assert_is(200, &Content::random(1, MIB / 4).read_all());
    hub.finish().await;
}

#[tokio::test]
async fn a_slow_pace_is_kept_told_and_stopped() {
    let hub = TestHub::builder().start().await;
    let disk = Disk::new();
    disk.write("org/big/model_index.json", "{}");
    disk.write("org/big/a.bin", Content::random(9, 8 * MIB));
    let cancel = CancellationToken::new();
    let seen = AtomicU64::new(0);
    let watch = |progress: modelhub::hub::ImportProgress| {
        let within_the_file = progress.bytes_read > 0 && progress.bytes_read < 8 * MIB;
        if within_the_file && seen.fetch_add(1, Ordering::SeqCst) == 1 {
            cancel.cancel();
        }
    };
    // At this pace it would take minutes.
    let request = ImportRequest { bytes_per_second: Some(64 << 10), ..ImportRequest::new(disk.path()) };
    let report = hub.hub().models.import(request, &watch, cancel.clone()).await.unwrap();
    assert!(report.cancelled, "{report:#?}");
    assert_eq!(std::fs::read_dir(hub.data_dir().join("partial")).unwrap().count(), 0);
    hub.finish().await;
}

#[tokio::test]
async fn what_the_store_has_is_not_taken_twice() {
    let hub = TestHub::builder().repo(model()).start().await;
    hub.get("/org/model/resolve/main/model.safetensors").await.assert_is(200, &weights().read_all());
    hub.landed().await;
    let disk = Disk::new();
    disk.write("org/model/model_index.json", "{}");
    disk.write("org/model/model.safetensors", weights());
    disk.write("org/model/again.safetensors", weights());
    let blobs = store::blobs(hub.data_dir());
    let report = import(&hub, &disk).await;
    assert_eq!((report.already_stored, report.bytes_added), (2, 2), "{report:#?}");
    assert_eq!(store::blobs(hub.data_dir()).len(), blobs.len() + 1);
    hub.finish().await;
}

#[tokio::test]
async fn a_hard_link_is_made_on_wish_only() {
    let hub = TestHub::builder().start().await;
    let disk = Disk::new();
    disk.write("org/model/model_index.json", "{}");
    let file = disk.write("org/model/model.safetensors", weights());
    let request = || ImportRequest { how: Placement::HardLink, ..at(&disk, "") };
    let report = hub.hub().models.import(request(), &|_| (), CancellationToken::new()).await.unwrap();
    if report.hard_linked == 0 {
        // The two directories are not on one filesystem.
        assert_eq!(report.problems.counts.len(), 1, "{report:#?}");
        return hub.finish().await;
    }
    let blob = hub.data_dir().join("blobs/sha256").join(&weights().sha256()[..2]).join(weights().sha256());
    assert_eq!(blob.metadata().unwrap().ino(), file.metadata().unwrap().ino());
    let report = import_as(&hub, &disk, request()).await;
    assert_eq!((report.hashed, report.hard_linked), (0, 0), "{report:#?}");
    hub.get("/org/model/resolve/main/model.safetensors").await.assert_is(200, &weights().read_all());
    hub.finish().await;
}

/// With IT_REFLINK set the temporary directory has to be on a filesystem that clones (btrfs, XFS).
#[tokio::test]
async fn a_clone_is_made_where_the_filesystem_can() {
    let hub = TestHub::builder().start().await;
    let disk = Disk::new();
    disk.write("org/model/model_index.json", "{}");
    disk.write("org/model/model.safetensors", weights());
    let request = || ImportRequest { how: Placement::Reflink, ..at(&disk, "") };
    let report = import_as(&hub, &disk, request()).await;
    let refused = report.problems.count(ProblemKind::CannotPlace);
    assert_eq!((report.reflinked + refused, report.copied), (2, 0), "{report:#?}");
    assert!(refused == 0 || std::env::var_os("IT_REFLINK").is_none(), "{report:#?}");
    // What cannot be cloned is copied, unless a clone was asked for.
    let report = import(&hub, &disk).await;
    assert_eq!(report.copied, refused, "{report:#?}");
    hub.get("/org/model/resolve/main/model.safetensors").await.assert_is(200, &weights().read_all());
    hub.finish().await;
}

#[tokio::test]
async fn a_full_disk_ends_an_import_with_an_error() {
    let hub = TestHub::builder().start().await;
    let disk = Disk::new();
    disk.write("org/model/model_index.json", "{}");
    // Larger than any disk that this runs on, and no byte of it is on one.
    let file = std::fs::File::create(disk.path().join("org/model/model.bin")).unwrap();
    file.set_len(8 << 40).unwrap();
    let request = ImportRequest { how: Placement::Copy, ..at(&disk, "") };
    let outcome = hub.hub().models.import(request, &|_| (), CancellationToken::new()).await;
    assert!(matches!(outcome, Err(modelhub::hub::Error::NoSpace)), "{outcome:?}");
    assert_eq!(std::fs::read_dir(hub.data_dir().join("partial")).unwrap().count(), 0);
    hub.finish().await;
}

/// The job of a scan, at its end.
async fn ended(hub: &TestHub, scan: Scan) -> Job {
    let job = hub.hub().models.enqueue_scan(scan).await.unwrap();
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        let job = hub.hub().jobs.get(&job.id).await.unwrap();
        if !matches!(job.status, JobStatus::Pending | JobStatus::Running) || tokio::time::Instant::now() > deadline {
            return job;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_scan_of_a_home_is_not_failed_by_what_lies_about() {
    let hub = TestHub::builder().set("upstream.offline", "true").start().await;
    let disk = Disk::new();
    disk.write("documents/letter.txt", "Dear");
    disk.link("bin/python", "/usr/bin/env");
    disk.link("up", "..");
    let scan = || Scan {
        path: disk.path().to_str().unwrap().to_owned(),
        placement: "auto",
        repo: None,
        kind: modelhub::domain::RepoKind::Model,
        bytes_per_second: 0,
    };
    for _ in 0..2 {
        let job = ended(&hub, scan()).await;
        assert_eq!(job.status, JobStatus::Completed, "{job:?}");
        assert!(job.outcome.starts_with("nothing to import: no model in "), "{}", job.outcome);
        let log = hub.hub().jobs.log_lines(&job.id, 0, 100).await.unwrap();
        let about = |words: &str| log.iter().any(|line| line.text.contains(words));
        assert!(about("documents: no model: 1 file, none of weights"), "{log:?}");
    }
    let recent = hub.hub().overview.overview().await.unwrap().recent;
    let called = format!("scan of {}: nothing to import", disk.path().display());
    assert!(recent.iter().any(|activity| activity.text.starts_with(&called)), "{recent:?}");
    // Models among them are found, and what is told first is not a link.
    disk.write("ai/org/model/config.json", "{\"model_type\": \"llama\"}");
    disk.write("ai/org/model/model.safetensors.incomplete", "half");
    let job = ended(&hub, scan()).await;
    assert_eq!(job.status, JobStatus::Completed, "{job:?}");
    assert!(job.outcome.contains("model.safetensors.incomplete"), "{}", job.outcome);
    // A model of which nothing could be taken is a failure.
    let lost = Disk::new();
    lost.link("org/model/config.json", "gone");
    lost.link("org/model/model.safetensors", "gone");
    let job = ended(&hub, Scan { path: lost.path().to_str().unwrap().to_owned(), ..scan() }).await;
    assert_eq!(job.status, JobStatus::Failed, "{job:?}");
    hub.finish().await;
}

#[tokio::test]
async fn a_scan_is_a_job() {
    let hub = TestHub::builder().start().await;
    let disk = many();
    let scan = || Scan {
        path: disk.path().to_str().unwrap().to_owned(),
        placement: Scan::placement("copy").unwrap(),
        repo: None,
        kind: modelhub::domain::RepoKind::Model,
        bytes_per_second: 0,
    };
    let preview = hub.hub().models.preview_scan(scan()).await.unwrap();
    assert_eq!((preview.findings[0].layout, preview.files), ("vendor_name", 20));
    let job = ended(&hub, scan()).await;
    assert_eq!((job.status, job.progress.files_done), (JobStatus::Completed, 20), "{job:?}");
    // 19 of a quarter of a MiB, and two bytes.
    assert_eq!(job.outcome, "1 repository, 20 files; 20 read, 0 unchanged, 4.75 MiB added");
    hub.get("/org/many/resolve/main/1.bin").await.assert_is(200, &Content::random(1, MIB / 4).read_all());
    hub.finish().await;
}

#[tokio::test]
async fn a_copy_does_not_change_with_its_original() {
    for how in [Placement::Auto, Placement::Copy] {
        let hub = TestHub::builder().start().await;
        let disk = Disk::new();
        disk.write("org/model/model_index.json", "{}");
        let file = disk.write("org/model/model.safetensors", weights());
        import_as(&hub, &disk, ImportRequest { how, ..at(&disk, "") }).await;
        std::fs::OpenOptions::new().write(true).open(&file).unwrap().write_all(b"other bytes").unwrap();
        hub.get("/org/model/resolve/main/model.safetensors").await.assert_is(200, &weights().read_all());
        hub.finish().await;
    }
}

#[tokio::test]
async fn a_hard_link_whose_file_was_changed_is_not_served() {
    let hub = TestHub::builder().start().await;
    let disk = Disk::new();
    disk.write("org/model/model_index.json", "{}");
    let file = disk.write("org/model/model.safetensors", weights());
    let take = async |how| {
        let request = ImportRequest { how, ..at(&disk, "") };
        hub.hub().models.import(request, &|_| (), CancellationToken::new()).await.unwrap()
    };
    if take(Placement::HardLink).await.hard_linked == 0 {
        return hub.finish().await;
    }
    let path = "/org/model/resolve/main/model.safetensors";
    hub.get(path).await.assert_is(200, &weights().read_all());
    std::fs::OpenOptions::new().write(true).open(&file).unwrap().write_all(b"other bytes").unwrap();
    for _ in 0..2 {
        let reply = hub.get(path).await;
        assert_eq!(reply.status, 504, "{}", reply.everything());
        assert!(reply.error().2.contains("import it again"), "{}", reply.everything());
    }
    assert_eq!(std::fs::read(&file).unwrap()[..11], *b"other bytes", "the file itself stays as it is");
    // As it lies there now it is another commit's.
    take(Placement::Copy).await;
    hub.get(path).await.assert_is(200, &std::fs::read(&file).unwrap());
    hub.finish().await;
}
