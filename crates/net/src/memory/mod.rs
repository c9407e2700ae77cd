//! A listener and a connector with no socket between them, so that whole stacks run in one process, and in paused time.
//!
//! ```
//! use chaski_core::{Conn, Connect, HostPort, Service, Shutdown, service_fn};
//! use chaski_net::memory;
//! use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let (listener, connector) = memory::listen("greeter");
//! let shutdown = Shutdown::new();
//! let greet = service_fn(async |mut conn: Conn<DuplexStream>| conn.io.write_all(b"hello").await);
//! let server = listener.serve(greet, &shutdown);
//!
//! let client = async {
//!     let target: HostPort = "greeter.test:80".parse()?;
//!     let mut conn = connector.serve(Connect::new(target)).await?;
//!     let mut text = String::new();
//!     conn.io.read_to_string(&mut text).await?;
//!     shutdown.begin();
//!     Ok::<_, Box<dyn std::error::Error>>(text)
//! };
//! let (_, text) = tokio::join!(server, client);
//! assert_eq!(text?, "hello");
//! # Ok(()) }
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(example()).unwrap();
//! ```

#[cfg(test)]
mod tests;

use std::{
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use chaski_core::{
    Conn, Connect, ConnectError, ConnectStage, Description, IntoBoxError, Service, Shutdown, ShutdownSignal,
};
use tokio::{
    io::{DuplexStream, duplex},
    sync::{Mutex, mpsc},
};

use crate::accept;

/// A listener named `name`, and the connector whose connections arrive there, with the default [`MemoryConfig`].
pub fn listen(name: impl Into<Arc<str>>) -> (MemoryListener, MemoryConnector) {
    listen_with(name, MemoryConfig::default())
}

/// As [`listen`], with these settings.
pub fn listen_with(name: impl Into<Arc<str>>, config: MemoryConfig) -> (MemoryListener, MemoryConnector) {
    let name = name.into();
    let (backlog, waiting) = mpsc::channel(config.backlog.max(1));
    let listener = MemoryListener {
        name: Arc::clone(&name),
        waiting: Mutex::new(waiting),
        max_connections: MemoryListener::DEFAULT_MAX_CONNECTIONS,
        facts: true,
    };
    let connector =
        MemoryConnector { name, backlog, buffer: config.buffer.max(1), number: Arc::new(AtomicU64::new(0)) };
    (listener, connector)
}

/// The settings of a listener in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryConfig {
    /// How many connections wait to be accepted; a connector waits when there are more. At least 1. Default: 128.
    pub backlog: usize,
    /// How many bytes each direction of a connection holds before a write waits. At least 1. Default: 64 KiB.
    pub buffer: usize,
}

impl MemoryConfig {
    /// Sets [`backlog`](Self::backlog).
    #[must_use]
    pub fn with_backlog(mut self, connections: usize) -> Self {
        self.backlog = connections;
        self
    }

    /// Sets [`buffer`](Self::buffer), in bytes.
    #[must_use]
    pub fn with_buffer(mut self, bytes: usize) -> Self {
        self.buffer = bytes;
        self
    }
}

impl Default for MemoryConfig {
    fn default() -> Self {
        Self { backlog: 128, buffer: 64 * 1024 }
    }
}

/// The address of a connection in memory: a fact on both its ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MemoryAddr {
    /// The listener's name.
    pub name: Arc<str>,
    /// The number of the connection: 1 for the first that the connector made.
    pub number: u64,
}

impl fmt::Display for MemoryAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "memory:{}#{}", self.name, self.number)
    }
}

/// Accepts what its [`MemoryConnector`] and that one's clones connect. Made by [`listen`].
///
/// # Facts
///
/// Every connection's scope has its [`MemoryAddr`] and, when it is [served](Self::serve), the [`ShutdownSignal`];
/// [`without_facts`](Self::without_facts) records none of them.
#[derive(Debug)]
pub struct MemoryListener {
    name: Arc<str>,
    waiting: Mutex<mpsc::Receiver<(DuplexStream, MemoryAddr)>>,
    max_connections: usize,
    facts: bool,
}

impl MemoryListener {
    /// How many connections are open at a time unless [`with_max_connections`](Self::with_max_connections) says otherwise:
    /// as with TCP.
    pub const DEFAULT_MAX_CONNECTIONS: usize = crate::TcpListener::DEFAULT_MAX_CONNECTIONS;

    /// Limits how many connections are open at a time, at least one. What comes beyond waits in the backlog.
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

    /// Serves every connection with `service`, each in a task of its own, until `shutdown` begins to drain. Connecting
    /// fails from then on, and connections under way go on: [`Shutdown::drain`] waits for them. Errors and panics of the
    /// service are treated as by [`TcpListener::serve`](crate::TcpListener::serve).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the listener; connections under way go on.
    pub async fn serve<S: Service<Conn<DuplexStream>, Error: IntoBoxError>>(self, service: S, shutdown: &Shutdown) {
        self.describe(&service).warn_of_unmet();
        let max_connections = self.max_connections;
        let slots = accept::slots(max_connections);
        accept::serve(self, Arc::new(service), slots, shutdown).await;
    }

    /// Accepts one connection, for tests that play the server themselves. Waits for ever once all connectors are gone.
    ///
    /// # Cancel safety
    ///
    /// A future that is dropped has taken no connection.
    pub async fn accept(&self) -> Conn<DuplexStream> {
        let (io, addr) = self.next().await;
        self.ready(io, &addr, None)
    }

    /// The shape of this listener with `service` under it.
    pub fn describe<S: Service<Conn<DuplexStream>>>(&self, service: &S) -> Description {
        let mut node =
            Description::of::<Self>().setting("name", &self.name).setting("max_connections", self.max_connections);
        if self.facts {
            node = node.writes::<MemoryAddr>().writes::<ShutdownSignal>();
        }
        node.child(service.describe())
    }

    async fn next(&self) -> (DuplexStream, MemoryAddr) {
        match self.waiting.lock().await.recv().await {
            Some(connection) => connection,
            // As on a port that nobody knows of.
            None => std::future::pending().await,
        }
    }

    fn ready(&self, io: DuplexStream, addr: &MemoryAddr, signal: Option<ShutdownSignal>) -> Conn<DuplexStream> {
        let conn = Conn::new(io);
        if self.facts {
            conn.ext.insert(addr.clone());
            if let Some(signal) = signal {
                conn.ext.insert(signal);
            }
        }
        conn
    }
}

impl accept::Source for MemoryListener {
    type Io = DuplexStream;
    type Peer = MemoryAddr;

    async fn accept(&self) -> io::Result<(DuplexStream, MemoryAddr)> {
        Ok(self.next().await)
    }

    fn ready(&self, io: DuplexStream, addr: &MemoryAddr, signal: ShutdownSignal) -> io::Result<Conn<DuplexStream>> {
        Ok(Self::ready(self, io, addr, Some(signal)))
    }
}

/// Connects to its [`MemoryListener`], whatever the target. Made by [`listen`]; clones reach the same listener.
///
/// It reads no choice of the route: one that no layer above has read is an error. The connection's scope is its own and
/// has the [`MemoryAddr`].
///
/// # Cancel safety
///
/// Dropping the future while it waits for a place in the backlog connects nothing.
#[derive(Clone, Debug)]
pub struct MemoryConnector {
    name: Arc<str>,
    backlog: mpsc::Sender<(DuplexStream, MemoryAddr)>,
    buffer: usize,
    number: Arc<AtomicU64>,
}

impl Service<Connect> for MemoryConnector {
    type Output = Conn<DuplexStream>;
    type Error = ConnectError;

    async fn serve(&self, connect: Connect) -> Result<Conn<DuplexStream>, ConnectError> {
        if let Some(choice) = connect.route.unread() {
            return Err(ConnectError::new(ConnectStage::Config)
                .with_message(format!("no connector reads the route's choice `{choice}`"))
                .with_scope(connect.ext));
        }
        // The place comes before the connection, so that the number tells the order of arrival.
        let Ok(place) = self.backlog.reserve().await else {
            return Err(ConnectError::new(ConnectStage::Dial)
                .with_message(format!("memory:{}", self.name))
                .with_source(io::Error::from(io::ErrorKind::ConnectionRefused))
                .with_scope(connect.ext));
        };
        let number = self.number.fetch_add(1, Ordering::Relaxed) + 1;
        let addr = MemoryAddr { name: Arc::clone(&self.name), number };
        let (near, far) = duplex(self.buffer);
        place.send((far, addr.clone()));
        let conn = Conn::new(near);
        conn.ext.insert(addr);
        Ok(conn)
    }

    fn describe(&self) -> Description {
        Description::of::<Self>().setting("name", &self.name).writes::<MemoryAddr>()
    }
}
