//! The disk of the data directory, and the other disks of this machine.
//!
//! A filesystem is listed once, however often it is mounted, and memory (tmpfs), layers of containers
//! (overlay), images and network shares are left out, as they are not disks of this machine; except for
//! what the data directory is on, which comes first whatever it is. Shares are not even looked at: a dead
//! server would hold up the report.
//!
//! Steps: read /proc/self/mountinfo; find the mount of the data directory; keep the disks, each once; ask
//! for the space of each.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// A filesystem on a disk.
#[derive(Debug, Clone, PartialEq)]
pub struct Disk {
    pub mount_point: PathBuf,
    /// Such as `/dev/nvme0n1p2`, or the name of a pool.
    pub device: String,
    /// Its type, such as `ext4`.
    pub filesystem: String,
    /// Bytes.
    pub total: u64,
    /// Bytes that this process may still write: without what is kept back for root.
    pub available: u64,
    /// The data directory is here.
    pub holds_data: bool,
}

/// The disk of `data_dir` first, then the others by their mount points.
pub(super) fn read(data_dir: &Path) -> Vec<Disk> {
    let mounts = std::fs::read("/proc/self/mountinfo").unwrap_or_default();
    let data_dir = existing(data_dir);
    let disks = disks_among(parse(&String::from_utf8_lossy(&mounts)), &data_dir);
    disks.into_iter().filter_map(|(mount, holds_data)| measure(mount, holds_data.then_some(&*data_dir))).collect()
}

/// The directory without links, or what exists of its path so far.
fn existing(dir: &Path) -> PathBuf {
    let absolute = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    absolute.ancestors().find_map(|dir| dir.canonicalize().ok()).unwrap_or(absolute)
}

fn measure(mount: Mount, data_dir: Option<&Path>) -> Option<Disk> {
    // Asked of the directory itself: a quota on it counts.
    let space = rustix::fs::statvfs(data_dir.unwrap_or(&mount.point)).ok()?;
    Some(Disk {
        mount_point: mount.point,
        device: mount.source,
        filesystem: mount.filesystem,
        total: space.f_blocks.saturating_mul(space.f_frsize),
        available: space.f_bavail.saturating_mul(space.f_frsize),
        holds_data: data_dir.is_some(),
    })
}

/// A line of mountinfo.
#[derive(Debug, Clone, PartialEq)]
struct Mount {
    /// Which directory of the filesystem is mounted: `/`, unless it is a part of it.
    root: String,
    point: PathBuf,
    filesystem: String,
    source: String,
}

/// The mounts that can be reached, by mount point: a later one covers an earlier one.
fn parse(mountinfo: &str) -> BTreeMap<PathBuf, Mount> {
    let mounts = mountinfo.lines().filter_map(|line| {
        // proc_pid_mountinfo(5): id, parent, device, root, mount point, options, any number of tags, `-`,
        // type, source, options.
        let (mount, filesystem) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(3);
        let (root, point) = (mount.next()?, mount.next()?);
        let mut filesystem = filesystem.split(' ');
        let (kind, source) = (filesystem.next()?, filesystem.next()?);
        let source = String::from_utf8_lossy(&unescape(source)).into_owned();
        let point = PathBuf::from(OsString::from_vec(unescape(point)));
        Some(Mount { root: root.to_owned(), point, filesystem: kind.to_owned(), source })
    });
    mounts.map(|mount| (mount.point.clone(), mount)).collect()
}

/// Spaces and the like are written as a backslash and three octal digits.
fn unescape(text: &str) -> Vec<u8> {
    let mut parts = text.split('\\');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        match part.split_at_checked(3).and_then(|(code, rest)| Some((u8::from_str_radix(code, 8).ok()?, rest))) {
            Some((byte, rest)) => {
                bytes.push(byte);
                bytes.extend_from_slice(rest.as_bytes());
            }
            None => {
                bytes.push(b'\\');
                bytes.extend_from_slice(part.as_bytes());
            }
        }
    }
    bytes
}

/// The mount of the data directory (`true`) and one mount of every other disk.
fn disks_among(mounts: BTreeMap<PathBuf, Mount>, data_dir: &Path) -> Vec<(Mount, bool)> {
    // Of all mount points above the directory, the nearest.
    let data = data_dir.ancestors().find_map(|dir| mounts.get(dir)).cloned();
    let mut seen: HashSet<String> = data.iter().map(|mount| mount.disk().to_owned()).collect();

    let mut others: Vec<_> = mounts.into_values().filter(Mount::is_disk).collect();
    // The whole filesystem rather than a part of it, and the shortest way to it.
    others.sort_by_key(|mount| (mount.root != "/", mount.point.as_os_str().len()));
    others.retain(|mount| seen.insert(mount.disk().to_owned()));
    others.sort_by(|a, b| a.point.cmp(&b.point));

    data.map(|mount| (mount, true)).into_iter().chain(others.into_iter().map(|mount| (mount, false))).collect()
}

impl Mount {
    /// What has the space: the device, or the pool that the datasets of ZFS share.
    fn disk(&self) -> &str {
        match self.filesystem.as_str() {
            "zfs" => self.source.split('/').next().unwrap_or(&self.source),
            _ => &self.source,
        }
    }

    /// Whether this is a disk of this machine that can hold files.
    fn is_disk(&self) -> bool {
        let is_image = matches!(self.filesystem.as_str(), "squashfs" | "erofs" | "iso9660" | "udf");
        let is_device = self.source.starts_with("/dev/") && !self.source.starts_with("/dev/loop");
        // Container runtimes mount single files, such as /etc/hosts, from the disk of the host.
        (is_device || self.filesystem == "zfs") && !is_image && !self.point.is_file()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disk_of_the_data_directory_is_found() {
        let dir = tempfile::tempdir().unwrap();
        // Also before it exists.
        for data_dir in [dir.path().to_owned(), dir.path().join("not/yet")] {
            let disks = read(&data_dir);
            let [first, others @ ..] = disks.as_slice() else { panic!("no disk of {data_dir:?}") };
            assert!(first.holds_data, "{disks:?}");
            assert!(dir.path().canonicalize().unwrap().starts_with(&first.mount_point), "{first:?}");
            assert!(first.total > 0 && first.available <= first.total, "{first:?}");
            assert!(others.iter().all(|disk| !disk.holds_data), "{disks:?}");
        }
    }

    /// Mount points, devices, and whether the data is there.
    fn told(mountinfo: &str, data_dir: &str) -> Vec<(String, String, bool)> {
        let disks = disks_among(parse(mountinfo), Path::new(data_dir)).into_iter();
        disks.map(|(mount, data)| (mount.point.to_str().unwrap().to_owned(), mount.source, data)).collect()
    }

    fn disk(point: &str, device: &str, holds_data: bool) -> (String, String, bool) {
        (point.to_owned(), device.to_owned(), holds_data)
    }

    const SERVER: &str = "\
22 27 0:21 / /proc rw,relatime - proc proc rw
24 27 0:6 / /dev rw,relatime shared:2 - devtmpfs udev rw,mode=755
27 1 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw,errors=remount-ro
30 27 259:1 / /nonexistent/efi rw,relatime shared:30 - vfat /dev/nvme0n1p1 rw
31 27 0:28 / /run rw,nosuid,nodev - tmpfs tmpfs rw
32 27 7:0 / /snap/core/1 ro,nodev shared:33 - squashfs /dev/loop0 ro
33 27 259:2 /home /nonexistent/bind rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw
34 27 9:0 / /nonexistent/big\\040disk rw,noatime shared:40 master:2 - xfs /dev/md0 rw
35 27 0:50 / /nonexistent/share rw - nfs4 server:/export rw,hard
36 27 0:51 / /nonexistent/pool rw - zfs tank rw
37 36 0:52 / /nonexistent/pool/a rw - zfs tank/a rw
38 27 0:60 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw,lowerdir=/a
";

    #[test]
    fn each_disk_is_told_once_and_what_is_no_disk_is_not() {
        let expected = [
            disk("/nonexistent/big disk", "/dev/md0", true),
            disk("/", "/dev/nvme0n1p2", false),
            disk("/nonexistent/efi", "/dev/nvme0n1p1", false),
            disk("/nonexistent/pool", "tank", false),
        ];
        assert_eq!(told(SERVER, "/nonexistent/big disk/models"), expected);
    }

    #[test]
    fn the_disk_of_the_data_comes_first_whatever_it_is() {
        for (data_dir, point, device) in [
            ("/run/hub", "/run", "tmpfs"),
            ("/nonexistent/share/hub", "/nonexistent/share", "server:/export"),
            // The same disk as /, which is not listed again.
            ("/nonexistent/bind/hub", "/nonexistent/bind", "/dev/nvme0n1p2"),
            ("/nonexistent/pool/a", "/nonexistent/pool/a", "tank/a"),
            // Only whole names: not /run.
            ("/running", "/", "/dev/nvme0n1p2"),
        ] {
            let told = told(SERVER, data_dir);
            assert_eq!(told[0], disk(point, device, true));
            let all: HashSet<_> = told.iter().map(|(_, device, _)| device.split('/').next_back()).collect();
            assert_eq!(all.len(), told.len(), "{told:?}");
        }
    }

    #[test]
    fn in_a_container_the_volume_is_told_and_single_files_are_not() {
        // /proc/self/status stands for /etc/hosts: a file wherever this runs.
        let container = "\
600 500 0:70 / / rw,relatime - overlay overlay rw,lowerdir=/a
601 600 259:2 /var/lib/docker/volumes/hub/_data /nonexistent/data rw - ext4 /dev/nvme0n1p2 rw
602 600 259:2 /var/lib/docker/containers/x/hosts /proc/self/status rw - ext4 /dev/nvme0n1p2 rw
";
        assert_eq!(told(container, "/nonexistent/data"), [disk("/nonexistent/data", "/dev/nvme0n1p2", true)]);
        let without_volume: Vec<_> = container.lines().filter(|line| !line.contains("volumes")).collect();
        assert_eq!(told(&without_volume.join("\n"), "/nonexistent/data"), [disk("/", "overlay", true)]);
    }

    #[test]
    fn a_mount_covers_an_earlier_one_at_the_same_place() {
        let mounts = "\
27 1 8:1 / / rw - ext4 /dev/sda1 rw
28 27 8:2 / /nonexistent rw - ext4 /dev/sda2 rw
29 28 8:3 / /nonexistent rw - ext4 /dev/sda3 rw
";
        assert_eq!(told(mounts, "/nonexistent")[0], disk("/nonexistent", "/dev/sda3", true));
    }

    #[test]
    fn escapes_are_undone_and_other_backslashes_stay() {
        assert_eq!(unescape(r"/a\040b\134c"), br"/a b\c");
        assert_eq!(unescape(r"\x\04\999é"), r"\x\04\999é".as_bytes());
        assert_eq!(parse("nonsense\n\n1 2 3 - ext4 /dev/sda1 rw"), BTreeMap::new());
    }
}
