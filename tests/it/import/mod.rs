//! Models that are on disk already: found, taken over, and served.

mod cache;
mod disk;
mod evil;
mod folders;
mod programs;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};

use mock_hf::Content;
use modelhub::hub::{ImportReport, ImportRequest};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::harness::TestHub;

/// A folder to import.
pub(crate) struct Disk(TempDir);

impl Disk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().canonicalize().unwrap()
    }

    fn write(&self, path: &str, content: impl Into<Content>) -> PathBuf {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        File::create(&path).unwrap().write_all(&content.into().read_all()).unwrap();
        path
    }

    fn link(&self, path: &str, target: &str) {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
    }

    /// A file of a snapshot, as huggingface_hub lays it out: a link to a blob with this name.
    fn snapshot(&self, repo: &str, commit: &str, path: &str, etag: &str, content: impl Into<Content>) {
        self.write(&format!("{repo}/blobs/{etag}"), content);
        let up = "../".repeat(path.matches('/').count() + 2);
        self.link(&format!("{repo}/snapshots/{commit}/{path}"), &format!("{up}blobs/{etag}"));
    }

    /// What must not change: of every entry its inode, size, mode, number of links, and time of its last change.
    fn state(&self) -> BTreeMap<PathBuf, (u64, u64, u32, u64, i64, i64)> {
        let mut state = BTreeMap::new();
        let mut waiting = vec![self.path()];
        while let Some(path) = waiting.pop() {
            let m = path.symlink_metadata().unwrap();
            if m.is_dir() {
                waiting.extend(std::fs::read_dir(&path).into_iter().flatten().map(|entry| entry.unwrap().path()));
            }
            state.insert(path, (m.ino(), m.size(), m.mode(), m.nlink(), m.mtime(), m.mtime_nsec()));
        }
        state
    }
}

/// Imports a folder, and sees to it that nothing in it changes.
async fn import(hub: &TestHub, disk: &Disk) -> ImportReport {
    import_as(hub, disk, ImportRequest::new(disk.path())).await
}

async fn import_as(hub: &TestHub, disk: &Disk, request: ImportRequest) -> ImportReport {
    let before = disk.state();
    let importing = hub.hub().clone();
    // As a job runs it: on any thread.
    let task = tokio::spawn(async move { importing.models.import(request, &|_| (), CancellationToken::new()).await });
    let report = task.await.unwrap().unwrap();
    assert_eq!(disk.state(), before, "the folder was changed");
    let partial = std::fs::read_dir(hub.data_dir().join("partial")).unwrap();
    assert_eq!(partial.count(), 0, "something is left behind");
    report
}

/// The id of a commit that nobody has.
fn commit(digit: char) -> String {
    digit.to_string().repeat(40)
}

fn at(disk: &Disk, path: &str) -> ImportRequest {
    ImportRequest::new(Path::new(&disk.path()).join(path))
}
