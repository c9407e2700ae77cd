use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use chaski_core::{Conn, Description, EffectiveSocketOptions, Extensions, Service, SocketAddrs};
use tokio::net::{TcpSocket, TcpStream};

use super::adopt::socket_addrs;
use crate::{SocketOptions, options::InForce};

/// One address to connect: what a [`Dialer`](crate::Dialer) asks of its transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct DialAddr {
    /// Where to. Never IPv4-mapped; the policy has allowed it.
    pub addr: SocketAddr,
    /// The address to connect from, of the same family.
    pub local: Option<IpAddr>,
}

impl DialAddr {
    /// `addr`, from whichever local address the system picks.
    #[must_use]
    pub const fn new(addr: SocketAddr) -> Self {
        Self { addr, local: None }
    }

    /// Sets the address to connect from.
    #[must_use]
    pub const fn with_local(mut self, local: Option<IpAddr>) -> Self {
        self.local = local;
        self
    }
}

/// Connects one address over TCP, with its [`SocketOptions`] set before the handshake.
///
/// Each connection has a scope of its own with [`SocketAddrs`] and [`EffectiveSocketOptions`].
///
/// # Cancel safety
///
/// Dropping the future closes the socket.
#[derive(Clone, Debug, Default)]
pub struct TcpTransport {
    options: SocketOptions,
    in_force: InForce,
}

impl TcpTransport {
    /// With these options.
    #[must_use]
    pub const fn new(options: SocketOptions) -> Self {
        Self { options, in_force: InForce::new() }
    }
}

impl Service<DialAddr> for TcpTransport {
    type Output = Conn<TcpStream>;
    type Error = io::Error;

    async fn serve(&self, dial: DialAddr) -> io::Result<Conn<TcpStream>> {
        let socket = if dial.addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        let effective = self.options.apply_to_dialed(&socket)?;
        if let Some(local) = dial.local {
            socket.bind(SocketAddr::new(local, 0))?;
        }
        connected(socket.connect(dial.addr).await?, dial.addr, self.in_force.scope(effective))
    }

    fn describe(&self) -> Description {
        Description::of::<Self>().writes::<SocketAddrs>().writes::<EffectiveSocketOptions>()
    }
}

fn connected(stream: TcpStream, peer: SocketAddr, ext: Extensions) -> io::Result<Conn<TcpStream>> {
    let addrs = socket_addrs(&stream, peer)?;
    // RFC 9293 section 3.5, simultaneous open: a port of this machine on which nobody listens may be the one that the system
    // has just chosen for this socket, which then meets itself.
    if addrs.local == addrs.peer {
        let nobody = "nobody listens there, and the socket was connected to itself";
        return Err(io::Error::new(io::ErrorKind::ConnectionRefused, nobody));
    }
    ext.insert(addrs);
    Ok(Conn { io: stream, ext })
}

// Only Linux lets a socket connect to the port that it is bound to.
#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_that_met_itself_is_refused() {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let addr = socket.local_addr().unwrap();
        let itself = socket.connect(addr).await.unwrap();
        let error = connected(itself, addr, Extensions::new()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }
}
