//! Small texts beside the blobs: secrets, for their owner only, and the store's own name. Each is whole or not there.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::care::ignore_missing;
use super::local::{LocalStore, sync_dir};
use super::{Error, Result};

impl LocalStore {
    /// The text of this name, without spaces around it; `None` if there is none.
    pub fn secret(&self, name: &str) -> Result<Option<String>> {
        let path = self.root().join(name);
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text.trim().to_owned())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("cannot read", &path)(error)),
        }
    }

    /// Writes a text, in place of the one before; removes it if `None`.
    pub fn put_secret(&self, name: &str, text: Option<&str>) -> Result<()> {
        let path = self.root().join(name);
        let Some(text) = text else {
            ignore_missing(std::fs::remove_file(&path)).map_err(Error::io("cannot remove", &path))?;
            return sync_dir(self.root());
        };
        let fresh = self.fresh(name, text)?;
        std::fs::rename(&fresh, &path).map_err(Error::io("cannot write", &path))?;
        sync_dir(self.root())
    }

    /// The text of this name; `make` gives it if there is none. Processes that start at once agree on one.
    pub fn secret_or(&self, name: &str, make: impl FnOnce() -> String) -> Result<String> {
        if let Some(text) = self.secret(name)? {
            return Ok(text);
        }
        // Whole before it has its name: another process that starts now reads all of it or makes its own, and one wins.
        let (path, made) = (self.root().join(name), make());
        let fresh = self.fresh(name, &made)?;
        let linked = std::fs::hard_link(&fresh, &path);
        ignore_missing(std::fs::remove_file(&fresh)).map_err(Error::io("cannot remove", &fresh))?;
        match linked {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                Err(Error::io("cannot write", &path)(error))
            }
            _ => {
                sync_dir(self.root())?;
                Ok(self.secret(name)?.unwrap_or(made))
            }
        }
    }

    /// A synced file that has no name that means anything yet.
    fn fresh(&self, name: &str, text: &str) -> Result<std::path::PathBuf> {
        let path = self.root().join(name).with_extension(uuid::Uuid::new_v4().simple().to_string());
        let write = |path: &Path| {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        };
        write(&path).map_err(Error::io("cannot write", &path))?;
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use crate::blob::{LocalStore, Sharing};

    #[test]
    fn a_secret_is_for_its_owner_and_the_first_one_stays() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let store = LocalStore::open(dir.path(), Sharing::Alone).unwrap();
        let files = || std::fs::read_dir(dir.path()).unwrap().count();
        let before = files();
        assert_eq!(store.secret("name").unwrap(), None);
        assert_eq!(store.secret_or("name", || "one".into()).unwrap(), "one");
        assert_eq!(store.secret_or("name", || "two".into()).unwrap(), "one");
        store.put_secret("name", Some("three")).unwrap();
        assert_eq!(store.secret_or("name", || "two".into()).unwrap(), "three");
        let mode = std::fs::metadata(dir.path().join("name")).unwrap().permissions().mode();
        assert_eq!((mode & 0o777, files()), (0o600, before + 1));
        store.put_secret("name", None).unwrap();
        assert_eq!((store.secret("name").unwrap(), files()), (None, before));
    }
}
