use std::{fmt, io, net::SocketAddr, sync::Arc};

use chaski_core::{
    Conn, Description, EffectiveSocketOptions, IntoBoxError, Service, Shutdown, ShutdownSignal, SocketAddrs,
};
use socket2::SockRef;
use tokio::{
    net::{TcpSocket, TcpStream, ToSocketAddrs},
    runtime::Handle,
};

use super::adopt::socket_addrs;
use crate::{
    BindError, SocketOptions, accept,
    options::{self, InForce},
    workers,
};

/// Accepts TCP connections and hands each to a service.
///
/// ```
/// use chaski_core::{Conn, Shutdown, service_fn};
/// use chaski_net::TcpListener;
/// use tokio::{io::AsyncWriteExt, net::TcpStream};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let listener = TcpListener::bind("127.0.0.1:0").await?.with_max_connections(100);
/// let shutdown = Shutdown::new();
/// # let addr = listener.local_addr()?;
/// # let stop = shutdown.clone();
/// # tokio::spawn(async move {
/// #     use tokio::io::AsyncReadExt;
/// #     let mut text = String::new();
/// #     TcpStream::connect(addr).await.unwrap().read_to_string(&mut text).await.unwrap();
/// #     assert_eq!(text, "hello");
/// #     stop.begin();
/// # });
/// let greet = service_fn(async |mut conn: Conn<TcpStream>| conn.io.write_all(b"hello").await);
/// listener.serve(greet, &shutdown).await;
/// # Ok(()) }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(example()).unwrap();
/// ```
///
/// # Facts
///
/// Every connection's scope has [`SocketAddrs`], [`EffectiveSocketOptions`] and, when it is [served](Self::serve), the
/// [`ShutdownSignal`]; [`without_facts`](Self::without_facts) records none of them.
pub struct TcpListener {
    socket: tokio::net::TcpListener,
    /// Whether the socket was made here, and more like it may be.
    own: bool,
    options: SocketOptions,
    max_connections: usize,
    facts: bool,
    in_force: InForce,
}

impl TcpListener {
    /// How many connections are open at a time unless [`with_max_connections`](Self::with_max_connections) says otherwise.
    /// Enough for most servers, and few enough that their buffers fit into memory.
    pub const DEFAULT_MAX_CONNECTIONS: usize = 10_000;

    /// Listens on `addr` with the default [`SocketOptions`]. Port 0 lets the system choose:
    /// [`local_addr`](Self::local_addr) tells.
    ///
    /// # Errors
    ///
    /// When a name cannot be resolved, or none of its addresses can be bound.
    pub async fn bind(addr: impl ToSocketAddrs + fmt::Debug) -> Result<Self, BindError> {
        Self::bind_with(addr, SocketOptions::default()).await
    }

    /// Listens on `addr` with these options, which are also set on the connections.
    ///
    /// # Errors
    ///
    /// Those of [`bind`](Self::bind), and when an option cannot be set.
    pub async fn bind_with(addr: impl ToSocketAddrs + fmt::Debug, options: SocketOptions) -> Result<Self, BindError> {
        let asked = format!("{addr:?}");
        let addrs = match tokio::net::lookup_host(addr).await {
            Ok(addrs) => addrs,
            Err(source) => return Err(BindError { addr: asked, source }),
        };
        let mut failure = None;
        for addr in addrs {
            match listen(addr, &options) {
                Ok(socket) => return Ok(Self::around(socket, true, options)),
                Err(source) => failure = Some(BindError { addr: addr.to_string(), source }),
            }
        }
        Err(failure.unwrap_or_else(|| BindError {
            addr: asked,
            source: io::Error::new(io::ErrorKind::InvalidInput, "the name has no address"),
        }))
    }

    /// Takes over a listening socket, such as one that a service manager passed on. `options` are set on its connections
    /// only: backlog, `SO_REUSEPORT` and buffers of the socket itself are whoever made it responsible for.
    ///
    /// # Errors
    ///
    /// When the socket cannot be registered with the runtime.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with IO enabled.
    pub fn from_std(socket: std::net::TcpListener, options: SocketOptions) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self::around(tokio::net::TcpListener::from_std(socket)?, false, options))
    }

    fn around(socket: tokio::net::TcpListener, own: bool, options: SocketOptions) -> Self {
        let max_connections = Self::DEFAULT_MAX_CONNECTIONS;
        Self { socket, own, options, max_connections, facts: true, in_force: InForce::new() }
    }

    /// Limits how many connections are open at a time, at least one. What comes beyond waits in the kernel's backlog.
    #[must_use]
    pub fn with_max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections.max(1);
        self
    }

    /// Records no facts, so that connections have no scope in memory. Access logs and limits by client then know no client.
    #[must_use]
    pub fn without_facts(mut self) -> Self {
        self.facts = false;
        self
    }

    /// The address that is listened on.
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Serves every connection with `service`, each in a task of its own, until `shutdown` begins to drain. The listening
    /// socket is closed then, and connections under way go on: [`Shutdown::drain`] waits for them.
    ///
    /// A permit is taken before a connection is accepted. Errors of `accept` never end the loop: a connection that died on
    /// its way is passed over, and when the system is short of descriptors or memory, the loop pauses for 5 ms, doubling up
    /// to 1 s, and tries again. A socket on which an option cannot be set is closed.
    ///
    /// When the service fails, that is traced once, with the peer's address; when it panics, its connection is closed, the
    /// permit comes back, and all others go on.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the listening socket; connections under way go on.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with time enabled.
    pub async fn serve<S: Service<Conn<TcpStream>, Error: IntoBoxError>>(self, service: S, shutdown: &Shutdown) {
        self.describe(&service).warn_of_unmet();
        let slots = accept::slots(self.max_connections);
        accept::serve(self, Arc::new(service), slots, shutdown).await;
    }

    /// Accepts one connection, for servers with a loop of their own. Such a loop has to take permits and to go on after
    /// errors itself.
    ///
    /// # Errors
    ///
    /// Those of accept(2), and of setting the options, after which the connection is closed.
    ///
    /// # Cancel safety
    ///
    /// A future that is dropped has taken no connection.
    pub async fn accept(&self) -> io::Result<Conn<TcpStream>> {
        let (stream, peer) = self.socket.accept().await?;
        self.ready(stream, peer, None)
    }

    /// The shape of this listener with `service` under it.
    pub fn describe<S: Service<Conn<TcpStream>>>(&self, service: &S) -> Description {
        let mut node = Description::of::<Self>();
        if let Ok(addr) = self.local_addr() {
            node = node.setting("bind", addr);
        }
        node = node.setting("max_connections", self.max_connections);
        if self.facts {
            node = node.writes::<SocketAddrs>().writes::<EffectiveSocketOptions>().writes::<ShutdownSignal>();
        }
        node.child(service.describe())
    }

    fn ready(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        signal: Option<ShutdownSignal>,
    ) -> io::Result<Conn<TcpStream>> {
        let effective = self.options.apply(&stream)?;
        let mut conn = Conn::new(stream);
        if self.facts {
            conn.ext = self.in_force.scope(effective);
            conn.ext.insert(socket_addrs(&conn.io, peer)?);
            if let Some(signal) = signal {
                conn.ext.insert(signal);
            }
        }
        Ok(conn)
    }
}

impl accept::Source for TcpListener {
    type Io = TcpStream;
    type Peer = SocketAddr;

    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.socket.accept().await
    }

    fn ready(&self, io: TcpStream, peer: &SocketAddr, signal: ShutdownSignal) -> io::Result<Conn<TcpStream>> {
        Self::ready(self, io, *peer, Some(signal))
    }
}

impl workers::Split for TcpListener {
    fn split(self, runtimes: &[Handle]) -> io::Result<Vec<Self>> {
        let addr = self.local_addr()?;
        // Only Linux spreads connections over the sockets of a port. The option is set on a socket that is bound already, so
        // that a second process which binds the port is still refused.
        let spread = cfg!(any(target_os = "linux", target_os = "android")) && self.own && runtimes.len() > 1;
        if spread {
            options::share_port(&SockRef::from(&self.socket))?;
        }
        let Self { socket, own, options, max_connections, facts, .. } = self;
        let first = socket.into_std()?;
        let mut parts = Vec::with_capacity(runtimes.len());
        for (n, runtime) in runtimes.iter().enumerate() {
            // A socket belongs to the runtime in which it is made.
            let _inside = runtime.enter();
            let socket = match spread && n > 0 {
                true => listen(addr, &options.clone().with_reuse_port(true))?,
                false => tokio::net::TcpListener::from_std(first.try_clone()?)?,
            };
            let options = options.clone();
            parts.push(Self { socket, own, options, max_connections, facts, in_force: InForce::new() });
        }
        Ok(parts)
    }

    fn max_connections(&self) -> usize {
        self.max_connections
    }

    fn describe_over<S: Service<Conn<TcpStream>>>(&self, service: &S) -> Description {
        self.describe(service)
    }
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpListener")
            .field("addr", &self.local_addr().ok())
            .field("max_connections", &self.max_connections)
            .finish_non_exhaustive()
    }
}

fn listen(addr: SocketAddr, options: &SocketOptions) -> io::Result<tokio::net::TcpListener> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    options.apply_to_listener(&socket, addr)?;
    socket.bind(addr)?;
    socket.listen(options.backlog)
}
