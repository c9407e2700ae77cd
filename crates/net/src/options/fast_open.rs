//! TCP Fast Open (RFC 7413), for which no library has a safe call.
#![expect(unsafe_code, reason = "setsockopt(2), for two options that socket2 does not know")]

use std::{ffi::c_int, io, os::fd::AsRawFd};

use socket2::SockRef;

/// Lets `queue` connections wait that have sent data and not yet finished their handshake.
pub(super) fn listen(socket: &SockRef<'_>, queue: u32) -> io::Result<()> {
    // The kernel reads a signed number.
    set(socket, libc::TCP_FASTOPEN, c_int::try_from(queue).unwrap_or(c_int::MAX))
}

/// Puts the handshake off until the first write, if the peer has given a cookie before.
pub(super) fn connect(socket: &SockRef<'_>) -> io::Result<()> {
    set(socket, libc::TCP_FASTOPEN_CONNECT, 1)
}

fn set(socket: &SockRef<'_>, option: c_int, value: c_int) -> io::Result<()> {
    let (pointer, length) = ((&raw const value).cast(), size_of::<c_int>() as libc::socklen_t);
    // SAFETY: the pointer is to a `c_int` that lives through the call, and the length is its own. A descriptor that is no
    // socket is an error of the call.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), libc::IPPROTO_TCP, option, pointer, length) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
