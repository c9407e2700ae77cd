use std::io;

use chaski_core::Conn;
use tokio::net::UnixStream;

use super::{PeerCredentials, UnixAddr};

/// Makes a connection of a Unix stream that the caller brings, as if it had been accepted or dialed here: [`UnixAddr`] is
/// recorded if one of its ends has a name, and [`PeerCredentials`]. There are no options to set.
///
/// ```
/// use chaski_net::{PeerCredentials, adopt_unix};
/// use tokio::net::UnixStream;
///
/// # async fn example() -> std::io::Result<()> {
/// let (ours, _theirs) = UnixStream::pair()?;
/// let conn = adopt_unix(ours)?;
/// assert!(conn.ext.get::<PeerCredentials>().is_some());
/// # Ok(()) }
/// # tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap().block_on(example()).unwrap();
/// ```
///
/// # Errors
///
/// When the stream is not connected any more. It is closed then.
pub fn adopt_unix(stream: UnixStream) -> io::Result<Conn<UnixStream>> {
    let (local, peer) = (stream.local_addr()?, stream.peer_addr()?);
    let addr = UnixAddr::of(&local).or_else(|| UnixAddr::of(&peer));
    Ok(with_facts(stream, addr))
}

/// A connection with what is known about it.
pub(super) fn with_facts(stream: UnixStream, addr: Option<UnixAddr>) -> Conn<UnixStream> {
    let peer = PeerCredentials::of(&stream);
    let conn = Conn::new(stream);
    if let Some(addr) = addr {
        conn.ext.insert(addr);
    }
    if let Some(peer) = peer {
        conn.ext.insert(peer);
    }
    conn
}
