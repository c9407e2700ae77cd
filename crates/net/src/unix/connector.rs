use std::{io, path::PathBuf};

use chaski_core::{Conn, Connect, ConnectError, ConnectStage, Description, Service, Target};
use tokio::net::UnixStream;

use super::{PeerCredentials, UnixAddr, adopt::with_facts};

/// A connector that dials Unix sockets: those that a [`Connect`] names, or always the same one.
///
/// [`new`](Self::new) dials [`Target::Unix`] and refuses hosts and addresses, as a [`Dialer`](crate::Dialer) refuses Unix
/// sockets: neither is a way around the other's rules. [`to`](Self::to) dials one path whatever the target: an HTTP client
/// names hosts, and the server behind the socket is told which one by `Host`.
///
/// No address policy is asked, since there is no address. A program that dials what others name gets to Unix sockets only
/// where this connector stands in its stack, which may be behind some names alone:
///
/// ```
/// use chaski_core::{BoxIo, Conn, Connect, Service, ServiceExt, Target, branch};
/// use chaski_net::{Dialer, UnixConnector};
/// use tokio::net::{TcpStream, UnixStream};
///
/// /// One type for both: what is above sees bytes.
/// fn tcp(conn: Conn<TcpStream>) -> Conn<BoxIo> {
///     conn.map_io(|io| Box::new(io) as BoxIo)
/// }
///
/// fn unix(conn: Conn<UnixStream>) -> Conn<BoxIo> {
///     conn.map_io(|io| Box::new(io) as BoxIo)
/// }
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = std::env::temp_dir().join(format!("chaski-doc-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// # let path = folder.join("docker.sock");
/// # let listener = chaski_net::UnixListener::bind(&path)?;
/// let docker = Target::Host("docker.internal:80".parse()?);
/// let name = docker.clone();
/// let connector = branch(
///     move |connect: &Connect| connect.target == name,
///     ServiceExt::map_output(UnixConnector::to(&path), unix),
///     ServiceExt::map_output(Dialer::new(), tcp),
/// );
/// let conn: Conn<BoxIo> = connector.serve(Connect::new(docker)).await?;
/// # drop((conn, listener));
/// # std::fs::remove_dir(folder)?;
/// # Ok(()) }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(example()).unwrap();
/// ```
///
/// # Facts
///
/// The connection's scope is its own and has [`UnixAddr`] and [`PeerCredentials`].
///
/// # Route
///
/// No choice is read: one that no layer above has read is an error.
///
/// # Errors
///
/// [`ConnectError`] at the stage `Config` when the target is no Unix socket, the path is none that a socket can have, or a
/// choice of the route was not read; at `Dial` when nobody listens, or may not be reached. There is nothing to wait for in a
/// connect: on Linux a listener whose backlog is full refuses at once, with the kind `WouldBlock`.
///
/// # Cancel safety
///
/// Dropping the future closes the socket.
#[derive(Clone, Debug, Default)]
pub struct UnixConnector {
    path: Option<UnixAddr>,
}

impl UnixConnector {
    /// Dials the socket that the target names.
    #[must_use]
    pub const fn new() -> Self {
        Self { path: None }
    }

    /// Dials `path` whatever the target, or the abstract name that `@name` is ([`UnixAddr`]).
    #[must_use]
    pub fn to(path: impl Into<PathBuf>) -> Self {
        Self { path: Some(path.into().into()) }
    }

    async fn dial(&self, target: Target, unread: Option<&'static str>) -> Result<Conn<UnixStream>, ConnectError> {
        let addr = match (&self.path, target) {
            (Some(addr), _) => addr.clone(),
            (None, Target::Unix(path)) => path.into(),
            (None, target) => {
                return Err(failed(ConnectStage::Config, format!("this connector dials Unix sockets, not {target}")));
            }
        };
        if let Some(choice) = unread {
            let text = format!("{addr}: no connector reads the route's choice `{choice}`");
            return Err(failed(ConnectStage::Config, text));
        }
        let failed = |error: io::Error| {
            let stage = match error.kind() {
                io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported => ConnectStage::Config,
                _ => ConnectStage::Dial,
            };
            failed(stage, addr.to_string()).with_source(error)
        };
        let stream = UnixStream::connect(addr.for_system().map_err(failed)?).await.map_err(failed)?;
        Ok(with_facts(stream, Some(addr)))
    }
}

impl Service<Connect> for UnixConnector {
    type Output = Conn<UnixStream>;
    type Error = ConnectError;

    async fn serve(&self, connect: Connect) -> Result<Conn<UnixStream>, ConnectError> {
        let Connect { target, route, ext, .. } = connect;
        self.dial(target, route.unread()).await.map_err(|error| error.with_scope(ext))
    }

    fn describe(&self) -> Description {
        let node = Description::of::<Self>();
        let node = match &self.path {
            Some(addr) => node.setting("path", addr.0.display()),
            None => node,
        };
        node.writes::<UnixAddr>().writes::<PeerCredentials>()
    }
}

fn failed(stage: ConnectStage, message: String) -> ConnectError {
    ConnectError::new(stage).with_message(message)
}
