//! One port for several protocols: a connection goes where its first bytes say.
//!
//! [`PeekLayer`] looks at what a client sends first, without consuming it, and asks its detectors in turn. The first that
//! says yes has its service serve the connection; when all say no, the service below the layer does. Either is given the
//! connection from its first byte on.
//!
//! ```
//! use chaski_core::{BoxError, Conn, Io, Service, service_fn, stack};
//! use chaski_net::peek::{PeekLayer, Prefix, TlsClientHello};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
//!
//! # async fn example() -> Result<(), BoxError> {
//! let port = stack(
//!     PeekLayer::new()
//!         .case("tls", TlsClientHello, service_fn(async |_| Ok::<_, BoxError>("tls".to_owned())))
//!         .case("http/2", Prefix(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), service_fn(async |_| Ok::<_, BoxError>("h2".to_owned())))
//!         .case("socks5", Prefix(b"\x05"), service_fn(async |_| Ok::<_, BoxError>("socks5".to_owned()))),
//!     service_fn(async |mut conn: Conn<_>| http(&mut conn.io).await),
//! );
//!
//! let (mut client, server) = duplex(64);
//! client.write_all(b"PATCH / HTTP/1.1\r\n\r\n").await?;
//! client.shutdown().await?;
//! assert_eq!(port.serve(Conn::<DuplexStream>::new(server)).await?, "PATCH / HTTP/1.1\r\n\r\n");
//!
//! async fn http(io: &mut impl Io) -> Result<String, BoxError> {
//!     let mut text = String::new();
//!     io.read_to_string(&mut text).await?;
//!     Ok(text)
//! }
//! # Ok(()) }
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(example()).unwrap();
//! ```

mod case;
mod detect;
mod error;
mod peeking;

pub use case::{Case, CaseLayer, Otherwise};
pub use detect::{Detect, Prefix, TlsClientHello, Verdict};
pub use error::PeekError;
pub use peeking::Peeking;

use std::time::Duration;

use chaski_core::{BoxError, Conn, Description, Io, Layer, Peeked, Service};
use tokio::net::TcpStream;

/// Chooses the service of a connection by its first bytes. The [module](self) has an example.
///
/// Detectors are asked in the order of the [cases](Self::case), each after every read, until it says yes or no; only
/// then comes the next. So the first yes wins, and which service that is does not depend on how the bytes were split. No
/// detector is asked before there is a byte, and a layer without cases reads nothing.
///
/// All services take a `Conn<Prefixed<S>>`, in the scope of the connection, and have one type of output; their errors
/// may differ. Half-close is kept: what the client can still read, and that its own stream has ended, is found beyond
/// the bytes that were seen.
///
/// # When the bytes do not decide
///
/// - **The stream ends:** nothing will come, so "need more" counts as no.
/// - **The time limit passes, or the limit of bytes is reached:** [`Undecided`] says whether the connection is refused,
///   which is the default, or whether "need more" counts as no from there on. Protocols in which the server speaks first
///   need the latter, and a short time limit.
///
/// A detector is no guard. Whoever connects chooses the bytes and with them the service, so each of the services has to
/// be one that the client may talk to.
///
/// # Errors
///
/// [`PeekError`] when no service was called: the read failed, the connection was refused as undecided, or the server
/// stops. All else are the errors of the services.
///
/// # Cancel safety
///
/// Dropping the future drops the connection and the bytes that were seen.
///
/// # Order
///
/// Outside of whatever speaks a protocol, inside of what works on bytes alone. One inside another reads what the outer
/// one has seen from memory, before it turns to the socket; but each has a time limit of its own, so cases of one layer
/// are the better choice.
///
/// # Limits
///
/// | what | default | knob |
/// |---|---|---|
/// | bytes seen of a connection | [`DEFAULT_LIMIT`](Self::DEFAULT_LIMIT) | [`with_limit`](Self::with_limit) |
/// | time from the call until a service is chosen, however the bytes come | [`DEFAULT_TIMEOUT`](Self::DEFAULT_TIMEOUT) | [`with_timeout`](Self::with_timeout) |
///
/// Memory is 1 KiB at first and grows with what has arrived. A connection that has sent nothing when
/// [`Shutdown`](chaski_core::Shutdown) begins is closed at once.
///
/// # Panics
///
/// Outside of a tokio runtime with time enabled, unless there is no time limit.
#[derive(Clone, Debug)]
pub struct PeekLayer<L = ()> {
    cases: L,
    limits: Limits,
}

/// What becomes of a connection when the time or the bytes to look at have run out, and a detector still needs more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Undecided {
    /// It is closed, with a [`PeekError`].
    #[default]
    Refuse,
    /// The detector's case is passed over, as if it had said no; so is every later one that needs more. A client that
    /// waits long enough then gets to the service below the layer, whatever it sends afterwards.
    PassOn,
}

/// What bounds the looking, the same for all connections of a layer.
#[derive(Clone, Copy, Debug)]
struct Limits {
    bytes: usize,
    time: Option<Duration>,
    undecided: Undecided,
}

impl PeekLayer {
    /// 16,389 bytes: one TLS record of the largest size (RFC 8446 section 5.1), so that a ClientHello fits.
    pub const DEFAULT_LIMIT: usize = 5 + 16 * 1024;

    /// Ten seconds: a handshake over a bad line, with packets lost.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

    /// A layer without cases.
    #[must_use]
    pub const fn new() -> Self {
        let limits =
            Limits { bytes: Self::DEFAULT_LIMIT, time: Some(Self::DEFAULT_TIMEOUT), undecided: Undecided::Refuse };
        Self { cases: (), limits }
    }
}

impl Default for PeekLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<L> PeekLayer<L> {
    /// Adds a case: connections for which `detector` says yes, and none of those before it, go to `service`. The name is
    /// for [`describe()`](chaski_core::describe()) and logs.
    #[must_use]
    pub fn case<D: Detect, S>(self, name: &'static str, detector: D, service: S) -> PeekLayer<(L, CaseLayer<D, S>)> {
        PeekLayer { cases: (self.cases, CaseLayer::new(name, detector, service)), limits: self.limits }
    }

    /// Sets how many bytes are seen of a connection at most, up to 64 KiB.
    #[must_use]
    pub fn with_limit(mut self, bytes: usize) -> Self {
        self.limits.bytes = bytes.min(Peeked::<TcpStream>::MAX);
        self
    }

    /// Sets how long it may take until a service is chosen; `None` waits for as long as the client does. Bytes that
    /// arrive do not put it off.
    #[must_use]
    pub fn with_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.limits.time = limit.into();
        self
    }

    /// Sets what becomes of connections that stay undecided.
    #[must_use]
    pub const fn with_undecided(mut self, undecided: Undecided) -> Self {
        self.limits.undecided = undecided;
        self
    }
}

impl<L: Layer<Otherwise<S>>, S> Layer<S> for PeekLayer<L> {
    type Service = Peek<L::Service>;

    fn layer(&self, inner: S) -> Self::Service {
        Peek { cases: self.cases.layer(Otherwise::new(inner)), limits: self.limits }
    }
}

/// A service that hands each connection to one of several; made by [`PeekLayer`], where the contract stands.
#[derive(Clone, Debug)]
pub struct Peek<C> {
    cases: C,
    limits: Limits,
}

impl<S, C> Service<Conn<S>> for Peek<C>
where
    S: Io,
    C: Service<Peeking<S>, Error = BoxError>,
{
    type Output = C::Output;
    type Error = BoxError;

    async fn serve(&self, conn: Conn<S>) -> Result<C::Output, BoxError> {
        self.cases.serve(Peeking::new(conn, self.limits)).await
    }

    fn describe(&self) -> Description {
        let Limits { bytes, time, undecided } = self.limits;
        let node = Description::of::<Self>().setting("limit", bytes);
        let node = match time {
            Some(time) => node.setting("timeout", format_args!("{time:?}")),
            None => node.setting("timeout", "none"),
        };
        // `ShutdownSignal` is not named as a fact that is read: nobody has to write it.
        let node = node.setting("undecided", format_args!("{undecided:?}"));
        self.cases.describe().children().iter().cloned().fold(node, Description::child)
    }
}
