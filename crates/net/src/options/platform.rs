//! The options that not every system has. Where one is missing, asking for it is an error: a socket without the mark, the
//! interface or the limit that it was to have is worse than none.

use std::{io, time::Duration};

use socket2::SockRef;

#[cfg(not(all(unix, not(any(target_os = "solaris", target_os = "illumos", target_os = "cygwin")))))]
pub(crate) fn set_reuse_port(_: &SockRef<'_>) -> io::Result<()> {
    Err(missing())
}

#[cfg(all(unix, not(any(target_os = "solaris", target_os = "illumos", target_os = "cygwin"))))]
pub(crate) fn set_reuse_port(socket: &SockRef<'_>) -> io::Result<()> {
    socket.set_reuse_port(true)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) use self::without::{connect_fast, listen_fast, set_device, set_mark, set_user_timeout};

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) use self::linux::{set_device, set_mark, set_user_timeout};

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) use super::fast_open::{connect as connect_fast, listen as listen_fast};

#[cfg(not(any(
    target_os = "linux",
    target_os = "android",
    target_os = "macos",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd"
)))]
pub(super) fn set_traffic_class(_: &SockRef<'_>, _: u8) -> io::Result<u8> {
    Err(missing())
}

/// Sets `IP_TOS` or `IPV6_TCLASS`, and says what the kernel made of it.
#[cfg(any(
    target_os = "linux",
    target_os = "android",
    target_os = "macos",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd"
))]
pub(super) fn set_traffic_class(socket: &SockRef<'_>, class: u8) -> io::Result<u8> {
    let class = u32::from(class);
    let effective = if socket.local_addr()?.is_ipv6() {
        socket.set_tclass_v6(class)?;
        // What a socket of both families sends to an IPv4 peer has the class of IPv4.
        #[cfg(any(target_os = "linux", target_os = "android"))]
        socket.set_tos_v4(class)?;
        socket.tclass_v6()?
    } else {
        socket.set_tos_v4(class)?;
        socket.tos_v4()?
    };
    // The field has eight bits: RFC 2474 section 3.
    Ok((effective & 0xff) as u8)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux {
    use super::{Duration, SockRef, io};

    /// The size of an interface's name, without its end: the kernel would cut a longer one to this, and take the name of
    /// another interface.
    const MAX_NAME: usize = 15;

    pub(in crate::options) fn set_user_timeout(socket: &SockRef<'_>, limit: Duration) -> io::Result<()> {
        socket.set_tcp_user_timeout(Some(limit))
    }

    /// Connections inherit the mark of their listener. It is asked for first, so that a server can drop the privilege to
    /// mark once it listens.
    pub(in crate::options) fn set_mark(socket: &SockRef<'_>, mark: u32) -> io::Result<()> {
        if socket.mark()? == mark { Ok(()) } else { socket.set_mark(mark) }
    }

    /// As with the mark: what is inherited takes no privilege.
    pub(in crate::options) fn set_device(socket: &SockRef<'_>, name: &str) -> io::Result<()> {
        if name.is_empty() || name.len() > MAX_NAME || name.contains('\0') {
            let text = "the name of an interface has 1 to 15 bytes, none of them zero";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        if socket.device()?.as_deref() == Some(name.as_bytes()) {
            return Ok(());
        }
        socket.bind_device(Some(name.as_bytes()))
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod without {
    use super::{Duration, SockRef, io, missing};

    pub(in crate::options) fn set_user_timeout(_: &SockRef<'_>, _: Duration) -> io::Result<()> {
        Err(missing())
    }

    pub(in crate::options) fn set_mark(_: &SockRef<'_>, _: u32) -> io::Result<()> {
        Err(missing())
    }

    pub(in crate::options) fn listen_fast(_: &SockRef<'_>, _: u32) -> io::Result<()> {
        Err(missing())
    }

    pub(in crate::options) fn connect_fast(_: &SockRef<'_>) -> io::Result<()> {
        Err(missing())
    }

    pub(in crate::options) fn set_device(_: &SockRef<'_>, _: &str) -> io::Result<()> {
        Err(missing())
    }
}

/// What is said where an option does not exist.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn missing() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "this system has no such option")
}
