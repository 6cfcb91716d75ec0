//! Reading a piece of a file without stalling the runtime.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rustix::io::{Errno, ReadWriteFlags};

/// Reads `len` bytes at `offset`; shorter only if the file ends before.
///
/// What is in the page cache is copied directly (preadv2 with RWF_NOWAIT); what would wait for
/// the disk is read on a blocking thread.
pub async fn read_at(file: &Arc<File>, offset: u64, len: usize) -> io::Result<Bytes> {
    let mut buffer = BytesMut::zeroed(len);
    let mut filled = 0;
    while filled < len {
        let mut slices = [io::IoSliceMut::new(&mut buffer[filled..])];
        match rustix::io::preadv2(&**file, &mut slices, offset + filled as u64, ReadWriteFlags::NOWAIT) {
            Ok(0) => {
                buffer.truncate(filled);
                return Ok(buffer.freeze());
            }
            Ok(n) => filled += n,
            Err(Errno::INTR) => {}
            // Not in the page cache, or a filesystem without the flag.
            Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS) => break,
            Err(error) => return Err(error.into()),
        }
    }
    if filled == len {
        return Ok(buffer.freeze());
    }
    let file = Arc::clone(file);
    tokio::task::spawn_blocking(move || {
        while filled < len {
            match file.read_at(&mut buffer[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        buffer.truncate(filled);
        Ok(buffer.freeze())
    })
    .await
    .map_err(io::Error::other)?
}
