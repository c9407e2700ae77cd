use std::{fmt, io, path::Path, sync::Arc};

use chaski_core::{Conn, Description, IntoBoxError, Service, Shutdown, ShutdownSignal};
use tokio::{
    net::{UnixSocket, UnixStream},
    runtime::Handle,
};

use super::{PeerCredentials, UnixAddr, adopt::with_facts, file::SocketFile};
use crate::{BindError, SocketOptions, TcpListener, accept, workers};

/// Accepts connections on a Unix socket and hands each to a service.
///
/// ```
/// use chaski_core::{Conn, Connect, Service, Shutdown, Target, service_fn};
/// use chaski_net::{PeerCredentials, UnixConnector, UnixListener};
/// use tokio::{io::{AsyncReadExt, AsyncWriteExt}, net::UnixStream};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = std::env::temp_dir().join(format!("chaski-listener-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// # let path = folder.join("greeter.sock");
/// let listener = UnixListener::bind(&path)?.with_max_connections(100);
/// let shutdown = Shutdown::new();
/// let whoami = service_fn(async |mut conn: Conn<UnixStream>| {
///     let peer = conn.ext.get::<PeerCredentials>().map(|peer| peer.uid.to_string());
///     conn.io.write_all(peer.unwrap_or_default().as_bytes()).await
/// });
/// let server = listener.serve(whoami, &shutdown);
///
/// let client = async {
///     let mut conn = UnixConnector::new().serve(Connect::new(Target::Unix(path.clone()))).await?;
///     let mut uid = String::new();
///     conn.io.read_to_string(&mut uid).await?;
///     shutdown.begin();
///     Ok::<_, Box<dyn std::error::Error>>((uid, conn))
/// };
/// let ((), answer) = tokio::join!(server, client);
/// let (uid, conn) = answer?;
/// assert_eq!(uid, conn.io.peer_cred()?.uid().to_string(), "this process is on both ends");
/// assert!(!path.exists(), "the file goes with the listener");
/// # std::fs::remove_dir(folder)?;
/// # Ok(()) }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(example()).unwrap();
/// ```
///
/// # The file
///
/// `bind` makes it, with the mode of [`UnixOptions::mode`] before anybody can connect. Where a socket stands already on which
/// nobody listens, left by a process that was killed, it is replaced; one that answers is not, nor is a file of another kind.
///
/// That nobody listens is told by a refused connect, and two things look alike to it: a process that has made its file and
/// does not listen yet, and, on BSDs and macOS, one whose backlog is full. So of two processes that begin in the same instant
/// one may find its file replaced, or removed at the other's end. Start one at a time, as service managers do.
///
/// When the listener is dropped, which `serve` does as soon as draining begins, the file is removed if it is still its
/// own. The folder should be one in which only the service and its operator may write: who may write there can replace
/// the file.
///
/// A path that begins with `@` is an abstract name (Linux and Android alone): there is no file, and so no mode. Every process
/// in the same network namespace may connect; [`PeerCredentials`] tell which one did.
///
/// # Facts
///
/// Every connection's scope has [`UnixAddr`], [`PeerCredentials`] where the system tells, and, when it is
/// [served](Self::serve), the [`ShutdownSignal`]; [`without_facts`](Self::without_facts) records none of them.
pub struct UnixListener {
    // Before the socket, since fields are dropped in their order: the file is ours while the socket is open.
    file: Option<SocketFile>,
    socket: tokio::net::UnixListener,
    addr: Option<UnixAddr>,
    max_connections: usize,
    facts: bool,
}

/// What is asked of a listening Unix socket.
///
/// ```
/// use chaski_net::UnixOptions;
///
/// // Whoever is in the group of the file may connect, too.
/// let options = UnixOptions::default().with_mode(0o660);
/// assert_eq!(UnixOptions::default().mode, 0o600);
/// assert_ne!(options, UnixOptions::default());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnixOptions {
    /// The permissions of the file: who may write to it may connect. Some BSDs do not look at it but at the folder's.
    /// Default: 0o600, its owner alone.
    pub mode: u32,
    /// How many connections the kernel completes ahead of `accept`. Default: [`SocketOptions::DEFAULT_BACKLOG`]. The kernel
    /// caps it (`net.core.somaxconn`, 4,096 on current Linux).
    pub backlog: u32,
}

impl UnixOptions {
    /// Sets [`mode`](Self::mode).
    #[must_use]
    pub fn with_mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    /// Sets [`backlog`](Self::backlog).
    #[must_use]
    pub fn with_backlog(mut self, connections: u32) -> Self {
        self.backlog = connections;
        self
    }
}

impl Default for UnixOptions {
    fn default() -> Self {
        Self { mode: 0o600, backlog: SocketOptions::DEFAULT_BACKLOG }
    }
}

impl UnixListener {
    /// How many connections are open at a time unless [`with_max_connections`](Self::with_max_connections) says otherwise:
    /// as with TCP.
    pub const DEFAULT_MAX_CONNECTIONS: usize = TcpListener::DEFAULT_MAX_CONNECTIONS;

    /// Listens on `path` with the default [`UnixOptions`].
    ///
    /// # Errors
    ///
    /// When somebody listens there, a file that is no socket stands there, or the path cannot be that of a socket (it has
    /// some hundred bytes at most).
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with IO enabled.
    pub fn bind(path: impl AsRef<Path>) -> Result<Self, BindError> {
        Self::bind_with(path, UnixOptions::default())
    }

    /// Listens on `path` with these options.
    ///
    /// # Errors
    ///
    /// Those of [`bind`](Self::bind).
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with IO enabled.
    pub fn bind_with(path: impl AsRef<Path>, options: UnixOptions) -> Result<Self, BindError> {
        let addr = UnixAddr(path.as_ref().into());
        let (socket, file) = listen(&addr, options).map_err(|source| BindError { addr: addr.to_string(), source })?;
        Ok(Self::around(socket, file, Some(addr)))
    }

    /// Takes over a listening socket, such as one that a service manager passed on. Its file is left alone.
    ///
    /// # Errors
    ///
    /// When the socket cannot be registered with the runtime.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with IO enabled.
    pub fn from_std(socket: std::os::unix::net::UnixListener) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let socket = tokio::net::UnixListener::from_std(socket)?;
        let addr = UnixAddr::of(&socket.local_addr()?);
        Ok(Self::around(socket, None, addr))
    }

    fn around(socket: tokio::net::UnixListener, file: Option<SocketFile>, addr: Option<UnixAddr>) -> Self {
        Self { file, socket, addr, max_connections: Self::DEFAULT_MAX_CONNECTIONS, facts: true }
    }

    /// Limits how many connections are open at a time, at least one. What comes beyond waits in the kernel's backlog.
    #[must_use]
    pub fn with_max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections.max(1);
        self
    }

    /// Records no facts, so that connections have no scope in memory.
    #[must_use]
    pub fn without_facts(mut self) -> Self {
        self.facts = false;
        self
    }

    /// The address that is listened on; `None` for a socket that was taken over and has no name.
    #[must_use]
    pub fn local_addr(&self) -> Option<&UnixAddr> {
        self.addr.as_ref()
    }

    /// Serves every connection with `service`, each in a task of its own, until `shutdown` begins to drain: exactly as
    /// [`TcpListener::serve`] does. The file is removed then.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the listening socket and removes its file; connections under way go on.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with time enabled.
    pub async fn serve<S>(self, service: S, shutdown: &Shutdown)
    where
        S: Service<Conn<UnixStream>, Error: IntoBoxError>,
    {
        self.describe(&service).warn_of_unmet();
        let slots = accept::slots(self.max_connections);
        accept::serve(self, Arc::new(service), slots, shutdown).await;
    }

    /// Accepts one connection, for servers with a loop of their own. Such a loop has to take permits and to go on after
    /// errors itself.
    ///
    /// # Errors
    ///
    /// Those of accept(2).
    ///
    /// # Cancel safety
    ///
    /// A future that is dropped has taken no connection.
    pub async fn accept(&self) -> io::Result<Conn<UnixStream>> {
        let (stream, _) = self.socket.accept().await?;
        Ok(self.ready(stream, None))
    }

    /// The shape of this listener with `service` under it.
    pub fn describe<S: Service<Conn<UnixStream>>>(&self, service: &S) -> Description {
        let mut node = Description::of::<Self>();
        if let Some(addr) = &self.addr {
            node = node.setting("bind", addr);
        }
        node = node.setting("max_connections", self.max_connections);
        if self.facts {
            node = node.writes::<UnixAddr>().writes::<PeerCredentials>().writes::<ShutdownSignal>();
        }
        node.child(service.describe())
    }

    fn ready(&self, stream: UnixStream, signal: Option<ShutdownSignal>) -> Conn<UnixStream> {
        if !self.facts {
            return Conn::new(stream);
        }
        let conn = with_facts(stream, self.addr.clone());
        if let Some(signal) = signal {
            conn.ext.insert(signal);
        }
        conn
    }
}

/// Who connected, for logs. Clients' sockets have no names.
#[derive(Debug)]
pub struct Peer(Option<PeerCredentials>);

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(peer) => peer.fmt(f),
            None => f.write_str("unknown"),
        }
    }
}

impl accept::Source for UnixListener {
    type Io = UnixStream;
    type Peer = Peer;

    async fn accept(&self) -> io::Result<(UnixStream, Peer)> {
        let (stream, _) = self.socket.accept().await?;
        let peer = Peer(PeerCredentials::of(&stream));
        Ok((stream, peer))
    }

    fn ready(&self, io: UnixStream, _: &Peer, signal: ShutdownSignal) -> io::Result<Conn<UnixStream>> {
        Ok(Self::ready(self, io, Some(signal)))
    }
}

impl workers::Split for UnixListener {
    fn split(self, runtimes: &[Handle]) -> io::Result<Vec<Self>> {
        let Self { mut file, socket, addr, max_connections, facts } = self;
        let first = socket.into_std()?;
        let mut parts = Vec::with_capacity(runtimes.len());
        for runtime in runtimes {
            // A path has one socket: all accept from it. It belongs to the runtime in which its descriptor is registered.
            let _inside = runtime.enter();
            let socket = tokio::net::UnixListener::from_std(first.try_clone()?)?;
            parts.push(Self { file: file.take(), socket, addr: addr.clone(), max_connections, facts });
        }
        Ok(parts)
    }

    fn max_connections(&self) -> usize {
        self.max_connections
    }

    fn describe_over<S: Service<Conn<UnixStream>>>(&self, service: &S) -> Description {
        self.describe(service)
    }
}

impl fmt::Debug for UnixListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnixListener")
            .field("addr", &self.addr)
            .field("owns_file", &self.file.is_some())
            .field("max_connections", &self.max_connections)
            .finish_non_exhaustive()
    }
}

fn listen(addr: &UnixAddr, options: UnixOptions) -> io::Result<(tokio::net::UnixListener, Option<SocketFile>)> {
    let path = addr.for_system()?;
    let socket = UnixSocket::new_stream()?;
    let file = if addr.is_abstract() {
        socket.bind(&path)?;
        None
    } else {
        Some(SocketFile::bind(&socket, &path, options.mode)?)
    };
    Ok((socket.listen(options.backlog)?, file))
}
