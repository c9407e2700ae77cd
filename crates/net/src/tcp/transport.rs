use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use chaski_core::{Conn, Description, EffectiveSocketOptions, Service, SocketAddrs};
use tokio::net::{TcpSocket, TcpStream};

use super::adopt::socket_addrs;
use crate::SocketOptions;

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
}

impl TcpTransport {
    /// With these options.
    #[must_use]
    pub const fn new(options: SocketOptions) -> Self {
        Self { options }
    }
}

impl Service<DialAddr> for TcpTransport {
    type Output = Conn<TcpStream>;
    type Error = io::Error;

    async fn serve(&self, dial: DialAddr) -> io::Result<Conn<TcpStream>> {
        let socket = if dial.addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        let effective = self.options.apply(&socket)?;
        if let Some(local) = dial.local {
            socket.bind(SocketAddr::new(local, 0))?;
        }
        let conn = Conn::new(socket.connect(dial.addr).await?);
        conn.ext.insert(socket_addrs(&conn.io, dial.addr)?);
        conn.ext.insert(effective);
        Ok(conn)
    }

    fn describe(&self) -> Description {
        Description::of::<Self>().writes::<SocketAddrs>().writes::<EffectiveSocketOptions>()
    }
}
