//! Reading a client's hello off a connection that goes on afterwards as if nobody had looked.

use std::{
    future::{Future, poll_fn},
    io,
    pin::pin,
    task::Poll,
    time::Duration,
};

use chaski_core::{
    BoxError, Conn, Description, Elapsed, IntoBoxError, Io, Layer, Peeked, Prefixed, Service, ShutdownSignal,
};
use tokio::time::{Instant, timeout_at};

use crate::{
    Alert,
    hello::{ClientHello, ClientHelloDecoder, ClientHelloError, ClientHelloErrorKind},
    refusal::{self, TLS_1_2},
};

/// Reads the [`ClientHello`] of each connection and leaves it in the connection's scope, as a fact. Nothing is consumed: the
/// service below is given a connection that begins at its first byte, for an acceptor to end TLS, or for a relay.
///
/// ```
/// use chaski_core::{BoxError, Conn, Prefixed, Service, service_fn, stack};
/// use chaski_tls::{PeekTlsLayer, hello::ClientHello};
/// use tokio::io::{AsyncWriteExt, DuplexStream, duplex};
///
/// # async fn example(captured: &[u8]) -> Result<(), BoxError> {
/// let who = stack(
///     PeekTlsLayer::new(),
///     service_fn(async |conn: Conn<Prefixed<DuplexStream>>| {
///         let hello = conn.ext.get::<ClientHello>();
///         Ok::<_, BoxError>(hello.and_then(ClientHello::server_name).map(ToString::to_string))
///     }),
/// );
/// let (mut client, server) = duplex(4096);
/// client.write_all(captured).await?;
/// assert_eq!(who.serve(Conn::new(server)).await?.as_deref(), Some("example.com"));
/// # Ok(()) }
/// # let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hellos/openssl.txt")).unwrap();
/// # let digits: Vec<u8> = text.lines().find_map(|line| line.strip_prefix("hex: ")).unwrap().bytes().map(|b| (b as char).to_digit(16).unwrap() as u8).collect();
/// # let captured: Vec<u8> = digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect();
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(example(&captured)).unwrap();
/// ```
///
/// # Errors
///
/// [`PeekTlsError`] when there was no hello; a client whose hello is malformed is told so by an alert. All else are the errors
/// of the service. To serve clients that speak no TLS at the same port, choose by the first bytes outside of this layer.
///
/// # Cancel safety
///
/// Dropping the future drops the connection.
///
/// # Limits
///
/// | what | default | knob |
/// |---|---|---|
/// | bytes of a hello with the headers of its records | [`ClientHelloDecoder::DEFAULT_LIMIT`] | [`with_limit`](Self::with_limit) |
/// | time until the hello is there, however it comes | [`DEFAULT_TIMEOUT`](Self::DEFAULT_TIMEOUT) | [`with_timeout`](Self::with_timeout) |
///
/// A connection that has sent nothing when [`Shutdown`](chaski_core::Shutdown) begins is closed at once.
///
/// # Panics
///
/// Outside of a tokio runtime with time enabled.
#[derive(Clone, Copy, Debug, Default)]
pub struct PeekTlsLayer {
    limits: Limits,
}

/// What bounds the reading of a hello.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    bytes: usize,
    time: Option<Duration>,
}

impl Limits {
    /// No hello is longer than what can be peeked at, nor shorter than a record.
    pub(crate) fn with_bytes(self, bytes: usize) -> Self {
        Self { bytes: bytes.clamp(6, Peeked::<tokio::io::DuplexStream>::MAX), ..self }
    }

    pub(crate) fn with_time(self, time: Option<Duration>) -> Self {
        Self { time, ..self }
    }

    pub(crate) fn describe(self, node: Description) -> Description {
        let node = node.setting("limit", self.bytes);
        match self.time {
            Some(time) => node.setting("timeout", format_args!("{time:?}")),
            None => node.setting("timeout", "none"),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: ClientHelloDecoder::DEFAULT_LIMIT, time: Some(PeekTlsLayer::DEFAULT_TIMEOUT) }
    }
}

impl PeekTlsLayer {
    /// Ten seconds: a handshake over a bad line, with packets lost.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

    /// A layer with the default limits.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets within how many bytes a hello has to end, from 6 bytes to 64 KiB.
    #[must_use]
    pub fn with_limit(self, bytes: usize) -> Self {
        Self { limits: self.limits.with_bytes(bytes) }
    }

    /// Sets how long a client may take until its hello is there; `None` waits for as long as the client does.
    #[must_use]
    pub fn with_timeout(self, limit: impl Into<Option<Duration>>) -> Self {
        Self { limits: self.limits.with_time(limit.into()) }
    }
}

impl<S> Layer<S> for PeekTlsLayer {
    type Service = PeekTls<S>;

    fn layer(&self, inner: S) -> PeekTls<S> {
        PeekTls { inner, limits: self.limits }
    }
}

/// A service of connections that reads their hellos first; made by [`PeekTlsLayer`], where the contract stands.
#[derive(Clone, Debug)]
pub struct PeekTls<S> {
    inner: S,
    limits: Limits,
}

impl<I, S> Service<Conn<I>> for PeekTls<S>
where
    I: Io,
    S: Service<Conn<Prefixed<I>>, Error: IntoBoxError>,
{
    type Output = S::Output;
    type Error = BoxError;

    async fn serve(&self, conn: Conn<I>) -> Result<S::Output, BoxError> {
        let mut conn = conn.map_io(Peeked::new);
        match read(&mut conn, self.limits).await {
            Ok(hello) => {
                conn.ext.insert(hello);
            }
            Err(error) => {
                if error.is_malformed() {
                    refusal::send(conn.io.into_io(), TLS_1_2, Alert::DECODE_ERROR).await;
                }
                return Err(error.into());
            }
        }
        self.inner.serve(conn.map_io(Peeked::into_io)).await.map_err(IntoBoxError::into_box_error)
    }

    fn describe(&self) -> Description {
        self.limits.describe(Description::of::<Self>()).writes::<ClientHello>().child(self.inner.describe())
    }
}

/// Why a connection had no hello.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PeekTlsError {
    /// What the client sent is not a ClientHello.
    #[error("the connection does not begin with a ClientHello")]
    Hello(#[source] ClientHelloError),
    /// The connection failed.
    #[error("cannot read the ClientHello")]
    Read(#[source] io::Error),
    /// The client closed the connection before its hello was complete.
    #[error("the client closed the connection after {seen} bytes, before its ClientHello was complete")]
    Closed {
        /// How many bytes had come.
        seen: usize,
    },
    /// The client was too slow.
    #[error("the ClientHello was not complete after {seen} bytes")]
    TimedOut {
        /// How many bytes had come.
        seen: usize,
        /// The limit that passed.
        #[source]
        elapsed: Elapsed,
    },
    /// The server stops, and the client had not sent anything.
    #[error("the server stops, and the client had not sent anything")]
    Draining,
}

impl PeekTlsError {
    /// Whether the client speaks something other than TLS.
    pub fn is_not_tls(&self) -> bool {
        matches!(self, Self::Hello(error) if error.kind() == ClientHelloErrorKind::NotTls)
    }

    /// Whether the client speaks TLS, but badly: it is told that this was no hello.
    pub(crate) fn is_malformed(&self) -> bool {
        matches!(self, Self::Hello(_)) && !self.is_not_tls()
    }
}

/// Reads until the hello is complete. Each byte is looked at once.
pub(crate) async fn read<I: Io>(conn: &mut Conn<Peeked<I>>, limits: Limits) -> Result<ClientHello, PeekTlsError> {
    // A limit too large for the clock is none.
    let deadline = limits.time.and_then(|limit| Instant::now().checked_add(limit));
    let mut decoder = ClientHelloDecoder::new().with_limit(limits.bytes);
    let mut decoded = 0;
    loop {
        let seen = conn.io.bytes().len();
        if let Some(hello) = decoder.decode(&conn.io.bytes()[decoded..]).map_err(PeekTlsError::Hello)? {
            return Ok(hello);
        }
        decoded = seen;
        // A connection on which nothing has come is idle, and an idle one does not hold the draining up.
        let signal = if seen == 0 { conn.ext.get::<ShutdownSignal>().cloned() } else { None };
        let more = before(deadline, conn.io.read_more(limits.bytes));
        match unless_draining(signal, more).await {
            Some(Some(Ok(0))) => return Err(PeekTlsError::Closed { seen }),
            Some(Some(Ok(_))) => {}
            Some(Some(Err(error))) => return Err(PeekTlsError::Read(error)),
            Some(None) => {
                let elapsed = Elapsed { what: "the ClientHello", limit: limits.time.unwrap_or_default() };
                return Err(PeekTlsError::TimedOut { seen, elapsed });
            }
            None => return Err(PeekTlsError::Draining),
        }
    }
}

/// The output of `read` if it comes in time, or is there when the time is over.
async fn before<T>(deadline: Option<Instant>, read: impl Future<Output = T>) -> Option<T> {
    match deadline {
        Some(deadline) => timeout_at(deadline, read).await.ok(),
        None => Some(read.await),
    }
}

/// `None` when draining begins before `read` is done.
async fn unless_draining<T>(signal: Option<ShutdownSignal>, read: impl Future<Output = T>) -> Option<T> {
    let Some(signal) = signal else { return Some(read.await) };
    let (mut read, mut draining) = (pin!(read), pin!(signal.draining()));
    poll_fn(|cx| match read.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => draining.as_mut().poll(cx).map(|()| None),
    })
    .await
}
