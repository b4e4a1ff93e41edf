//! The few file operations that segments need, each with the path in its error.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::LogError;

/// Bytes that can be read at a position: a file, or in tests a copy in memory.
pub(super) trait ReadAt {
    /// Read up to `buffer.len()` bytes; fewer only at the end.
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize>;
    /// Current length.
    fn length(&self) -> io::Result<u64>;
}

impl ReadAt for File {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match read_some(self, &mut buffer[filled..], position + filled as u64) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(filled)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
}

impl ReadAt for Vec<u8> {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let from = (position as usize).min(self.len());
        let n = buffer.len().min(self.len() - from);
        buffer[..n].copy_from_slice(&self[from..from + n]);
        Ok(n)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }
}

#[cfg(unix)]
fn read_some(file: &File, buffer: &mut [u8], position: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, position)
}

#[cfg(windows)]
fn read_some(file: &File, buffer: &mut [u8], position: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, position)
}

#[cfg(unix)]
pub(super) fn write_all_at(file: &File, buffer: &[u8], position: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, buffer, position)
}

#[cfg(windows)]
pub(super) fn write_all_at(file: &File, mut buffer: &[u8], mut position: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        let n = std::os::windows::fs::FileExt::seek_write(file, buffer, position)?;
        buffer = &buffer[n..];
        position += n as u64;
    }
    Ok(())
}

/// Give the file `length` bytes of zeros on disk, so that later syncs need not write its size. Where the file system
/// cannot reserve space the file is made sparse, and a full disk shows at a write instead.
pub(super) fn preallocate(file: &File, length: u64) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, length) {
        Ok(()) => return Ok(()),
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {}
        Err(e) => return Err(e.into()),
    }
    if file.length()? < length { file.set_len(length) } else { Ok(()) }
}

/// Bytes that are free on the disk of a folder, if the system says it.
pub(super) fn free_bytes(folder: &Path) -> Option<u64> {
    #[cfg(unix)]
    {
        let stat = rustix::fs::statvfs(folder).ok()?;
        Some(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
    #[cfg(not(unix))]
    {
        let _ = folder;
        None
    }
}

/// Make a folder's entries durable.
pub(super) fn sync_folder(path: &Path) -> Result<(), LogError> {
    // Windows has no such call; there the file system's journal orders entries.
    if cfg!(unix) {
        File::open(path).and_then(|folder| folder.sync_all()).map_err(|e| io_error("sync folder", path, e))?;
    }
    Ok(())
}

/// A folder whose entries are synced repeatedly. It is kept open: after a segment was renamed its folder must be
/// synced, and no file handle may be left at that time.
pub(super) struct Folder {
    path: PathBuf,
    #[cfg(unix)]
    handle: File,
}

impl Folder {
    pub(super) fn open(path: PathBuf) -> Result<Self, LogError> {
        Ok(Self {
            #[cfg(unix)]
            handle: File::open(&path).map_err(|e| io_error("open folder", &path, e))?,
            path,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Make its entries durable.
    pub(super) fn sync(&self) -> Result<(), LogError> {
        #[cfg(unix)]
        self.handle.sync_all().map_err(|e| io_error("sync folder", &self.path, e))?;
        Ok(())
    }
}

/// A resource that a file operation lacked, and that may be available again later.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Lack {
    /// Space on the disk.
    Space,
    /// File handles, of the process or of the system.
    Handles,
}

/// The resource that a failed operation lacked, if that was the reason.
pub(super) fn lack(error: &io::Error) -> Option<Lack> {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    match error.kind() {
        StorageFull | QuotaExceeded | FileTooLarge => Some(Lack::Space),
        _ => error.raw_os_error().filter(|code| NO_HANDLES.contains(code)).map(|_| Lack::Handles),
    }
}

/// The system's codes for a lack of file handles: EMFILE and ENFILE.
#[cfg(unix)]
const NO_HANDLES: &[i32] = &[rustix::io::Errno::MFILE.raw_os_error(), rustix::io::Errno::NFILE.raw_os_error()];
/// ERROR_TOO_MANY_OPEN_FILES.
#[cfg(windows)]
const NO_HANDLES: &[i32] = &[4];

pub(super) fn io_error(action: &str, path: &Path, source: io::Error) -> LogError {
    LogError::Io { context: format!("{action} {}", path.display()), source }
}
