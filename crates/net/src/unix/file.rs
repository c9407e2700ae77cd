//! The file of a listening Unix socket: made with care for what is there, and removed when it is still our own.

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use rustix::io::Errno;
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::UnixSocket;

/// Removes its file when it is dropped, unless another one stands there by then.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    identity: Identity,
}

impl SocketFile {
    /// Binds `socket` to a file, taking over what a process that has ended left there, and sets the file's mode.
    ///
    /// The socket does not listen yet, so nobody can connect before the mode is set.
    pub(super) fn bind(socket: &UnixSocket, path: &Path, mode: u32) -> io::Result<Self> {
        match socket.bind(path) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                remove_stale(path)?;
                socket.bind(path)?;
            }
            bound => bound?,
        }
        // A process that changes its folder finds its file all the same.
        let path = std::path::absolute(path)?;
        let file = Self { identity: Identity::of(&path)?, path };
        fs::set_permissions(&file.path, fs::Permissions::from_mode(mode))?;
        Ok(file)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // The socket is open until now, so its file's number cannot have been given to another one.
        if Identity::of(&self.path).is_ok_and(|found| found == self.identity)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(%error, path = %self.path.display(), "cannot remove a Unix socket");
        }
    }
}

/// Which file it is, whatever its name.
#[derive(Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    /// Numbers of files are used again, on some file systems at once.
    made: (i64, i64),
}

impl Identity {
    fn of(path: &Path) -> io::Result<Self> {
        let found = fs::symlink_metadata(path)?;
        if !found.file_type().is_socket() {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "a file that is no socket stands there"));
        }
        Ok(Self { device: found.dev(), inode: found.ino(), made: (found.mtime(), found.mtime_nsec()) })
    }
}

/// Removes the socket at `path` if nobody answers there.
fn remove_stale(path: &Path) -> io::Result<()> {
    let found = Identity::of(path)?;
    match probe(path) {
        // The one answer that a socket gives when nobody listens on it.
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
        Ok(()) => return Err(in_use("somebody listens there")),
        Err(error) => return Err(in_use(&format!("whether somebody listens there cannot be told: {error}"))),
    }
    // Whoever took it over in between keeps it.
    if Identity::of(path)? != found {
        return Err(in_use("somebody has begun to listen there"));
    }
    fs::remove_file(path)
}

/// Connects, and hangs up. A listener whose backlog is full is one, and does not hold us up.
fn probe(path: &Path) -> io::Result<()> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    let connected = socket.connect(&SockAddr::unix(path)?);
    match connected.as_ref().map_err(io::Error::raw_os_error) {
        Err(Some(code)) if code == Errno::AGAIN.raw_os_error() || code == Errno::INPROGRESS.raw_os_error() => Ok(()),
        _ => connected,
    }
}

fn in_use(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::AddrInUse, text)
}
