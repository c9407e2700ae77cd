use std::{io, net::SocketAddr};

use chaski_core::{Conn, SocketAddrs, canonical_ip};
use tokio::net::TcpStream;

use crate::SocketOptions;

/// Makes a connection of a stream that the caller brings, as if it had been accepted or dialed here: the options are set,
/// and [`SocketAddrs`] and [`EffectiveSocketOptions`](chaski_core::EffectiveSocketOptions) are recorded.
///
/// ```
/// use chaski_core::EffectiveSocketOptions;
/// use chaski_net::{SocketOptions, adopt};
///
/// # async fn example() -> std::io::Result<()> {
/// let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
/// let stream = std::net::TcpStream::connect(listener.local_addr()?)?;
/// let conn = adopt(stream, &SocketOptions::default())?;
/// assert!(conn.ext.get::<EffectiveSocketOptions>().is_some_and(|options| options.nodelay));
/// # Ok(()) }
/// # tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap().block_on(example()).unwrap();
/// ```
///
/// # Errors
///
/// When an option is refused, or the stream is not connected any more. The stream is closed then.
///
/// # Panics
///
/// Outside a tokio runtime with IO enabled, when the stream is the standard library's.
pub fn adopt(stream: impl Adopt, options: &SocketOptions) -> io::Result<Conn<TcpStream>> {
    let stream = stream.into_tokio()?;
    let effective = options.apply(&stream)?;
    let peer = stream.peer_addr()?;
    let conn = Conn::new(stream);
    conn.ext.insert(socket_addrs(&conn.io, peer)?);
    conn.ext.insert(effective);
    Ok(conn)
}

/// The streams that can be [adopted](adopt): tokio's and the standard library's.
pub trait Adopt: sealed::Sealed {
    #[doc(hidden)]
    fn into_tokio(self) -> io::Result<TcpStream>;
}

impl Adopt for TcpStream {
    fn into_tokio(self) -> io::Result<TcpStream> {
        Ok(self)
    }
}

impl Adopt for std::net::TcpStream {
    fn into_tokio(self) -> io::Result<TcpStream> {
        self.set_nonblocking(true)?;
        TcpStream::from_std(self)
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for tokio::net::TcpStream {}
    impl Sealed for std::net::TcpStream {}
}

/// Both ends of a stream that is connected to `peer`. On a socket that serves both families, IPv4 peers have IPv4-mapped addresses; they
/// are recorded as the IPv4 addresses that they are, so that lists of networks match.
pub(super) fn socket_addrs(stream: &TcpStream, mut peer: SocketAddr) -> io::Result<SocketAddrs> {
    let mut local = stream.local_addr()?;
    local.set_ip(canonical_ip(local.ip()));
    peer.set_ip(canonical_ip(peer.ip()));
    Ok(SocketAddrs { local, peer })
}
