//! What can be read and written.

mod peeked;
mod prefixed;

pub use peeked::Peeked;
pub use prefixed::Prefixed;

use std::fmt;

use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream},
    net::TcpStream,
};

/// A byte stream that a connection can stand on.
///
/// Every `AsyncRead + AsyncWrite` becomes one with an empty `impl`. A wrapper that only adds bytes in front, and changes
/// none, says so through [`plain_socket`](Self::plain_socket) and [`leftover`](Self::leftover); a relay can then move bytes
/// in the kernel, and a server can wait for readiness without holding a buffer.
///
/// # Contract
///
/// The read side and the write side may be polled by two tasks (never at the same time): an engine reads a request body
/// in the task of whoever holds it and writes in the connection's own, as with [`tokio::io::split`]. So an
/// implementation keeps the wakers of the two directions apart.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the IO of a connection",
    note = "a type that is `AsyncRead + AsyncWrite + Send + Unpin + 'static` becomes one by `impl Io for .. {{}}`"
)]
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin + 'static {
    /// The socket beneath, when every byte read and written is the socket's own, but for the
    /// [`leftover`](Self::leftover) that comes first. Never offered by a wrapper that transforms bytes, such as TLS, and not
    /// withdrawn once it was offered.
    fn plain_socket(&self) -> Option<&TcpStream> {
        None
    }

    /// Bytes read already that a reader gets before the socket's.
    fn leftover(&self) -> &[u8] {
        &[]
    }

    /// Has the peer told, as far as the protocol can, that the stream breaks off: without a `close_notify` under TLS (RFC 8446
    /// section 6.1). Nothing is written from then on. For engines whose message has no end but that of the connection, when that
    /// message is not whole; else dropping the stream would make it look so. A bare socket cannot tell, and does nothing.
    fn abort(&mut self) {}
}

/// A byte stream of any type.
pub type BoxIo = Box<dyn Io>;

impl fmt::Debug for dyn Io {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Io").field("plain_socket", &self.plain_socket().is_some()).finish_non_exhaustive()
    }
}

impl<T: Io + ?Sized> Io for Box<T> {
    fn plain_socket(&self) -> Option<&TcpStream> {
        (**self).plain_socket()
    }

    fn leftover(&self) -> &[u8] {
        (**self).leftover()
    }

    fn abort(&mut self) {
        (**self).abort();
    }
}

impl Io for TcpStream {
    fn plain_socket(&self) -> Option<&TcpStream> {
        Some(self)
    }
}

#[cfg(unix)]
impl Io for tokio::net::UnixStream {}

impl Io for DuplexStream {}
