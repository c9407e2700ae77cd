//! Where a Unix socket is, and who is at its other end.

use std::{
    borrow::Cow,
    ffi::OsString,
    fmt, io,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::net::UnixStream;

/// The address of a connection over a Unix socket: a fact on both its ends.
///
/// A path, or on Linux and Android an abstract name, which is written with an `@` in front: `@name`. A file whose name
/// begins with an `@` is `./@name`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UnixAddr(pub Arc<Path>);

impl UnixAddr {
    /// Of a bound socket, as the system tells it; `None` when it has no name.
    pub(super) fn of(addr: &tokio::net::unix::SocketAddr) -> Option<Self> {
        if let Some(path) = addr.as_pathname() {
            return Some(Self(path.into()));
        }
        let name = addr.as_abstract_name()?;
        Some(Self(PathBuf::from(OsString::from_vec([b"@", name].concat())).into()))
    }

    /// Whether it is an abstract name and no file.
    #[must_use]
    pub fn is_abstract(&self) -> bool {
        self.0.as_os_str().as_bytes().starts_with(b"@")
    }

    /// The address as the system's calls take it: abstract names begin with a zero byte there.
    pub(super) fn for_system(&self) -> io::Result<Cow<'_, Path>> {
        let invalid = |text| Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        let bytes = self.0.as_os_str().as_bytes();
        match bytes {
            // Systems take both for a socket without a name of its own.
            [] | [b'@'] => invalid("a Unix socket needs a path"),
            _ if bytes.contains(&0) => invalid("the path of a Unix socket has no zero bytes"),
            [b'@', name @ ..] if cfg!(any(target_os = "linux", target_os = "android")) => {
                Ok(Cow::Owned(PathBuf::from(OsString::from_vec([b"\0", name].concat()))))
            }
            [b'@', ..] => Err(io::Error::new(io::ErrorKind::Unsupported, "this system has no abstract Unix sockets")),
            _ => Ok(Cow::Borrowed(&self.0)),
        }
    }
}

impl From<PathBuf> for UnixAddr {
    fn from(path: PathBuf) -> Self {
        Self(path.into())
    }
}

impl fmt::Display for UnixAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unix:{}", self.0.display())
    }
}

/// Who is at the other end of a Unix socket, as the kernel vouches for it: a fact.
///
/// On an accepted connection that is the process that connected, with the user and group it had then; on a dialed one
/// the process that listens, with those it had when it began to. The connection may have been handed on to another process
/// since.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct PeerCredentials {
    /// The effective user.
    pub uid: u32,
    /// The effective group.
    pub gid: u32,
    /// The process, where the system tells: a number that may be another process's by now, so for logs alone.
    pub pid: Option<i32>,
}

impl PeerCredentials {
    /// Asks the kernel; `None` where it cannot tell.
    pub(super) fn of(stream: &UnixStream) -> Option<Self> {
        let peer = stream.peer_cred().ok()?;
        Some(Self { uid: peer.uid(), gid: peer.gid(), pid: peer.pid() })
    }
}

impl fmt::Display for PeerCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "uid {}", self.uid)?;
        self.pid.map_or(Ok(()), |pid| write!(f, " pid {pid}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn for_system(path: &str) -> Result<PathBuf, String> {
        let addr = UnixAddr::from(PathBuf::from(path));
        addr.for_system().map(Cow::into_owned).map_err(|error| error.to_string())
    }

    #[test]
    fn a_path_is_passed_on_and_an_at_sign_is_an_abstract_name() {
        assert_eq!(for_system("/run/x"), Ok("/run/x".into()));
        assert_eq!(for_system("./@x"), Ok("./@x".into()));
        #[cfg(target_os = "linux")]
        assert_eq!(for_system("@x"), Ok("\0x".into()));
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        assert_eq!(for_system("@x"), Err("this system has no abstract Unix sockets".to_owned()));
    }

    /// An empty one would be bound to a name of the system's choice, and a zero byte would make an abstract name of a path.
    #[test]
    fn what_the_system_would_take_for_another_name_is_refused() {
        for path in ["", "@"] {
            assert_eq!(for_system(path), Err("a Unix socket needs a path".to_owned()));
        }
        for path in ["\0x", "/run/x\0", "@x\0y"] {
            assert_eq!(for_system(path), Err("the path of a Unix socket has no zero bytes".to_owned()));
        }
    }
}
