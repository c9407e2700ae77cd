use std::{convert::Infallible, fmt, pin::Pin, sync::Arc};

use bytes::Bytes;
use chaski_core::{
    BoxError, Conn, Description, IntoBoxError, Io, Layer, Prefixed, Service, ShutdownSignal,
    http::{Request, Response},
};
use chaski_http_core::{Http1Server, Http1ServerConfig};
use chaski_http2::{Http2Server, Http2ServerConfig};
use chaski_net::peek::{Case, Otherwise, Peek, PeekLayer, Prefix};
use chaski_tls::Negotiated;

/// What an HTTP/2 client sends first (RFC 9113 section 3.4). No request of HTTP/1 begins like it: the method `PRI` is reserved.
const PREFACE: [u8; 24] = *b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a client in clear speaks, found out by its first bytes.
type ByPreface = Peek<Case<Prefix<[u8; PREFACE.len()]>, Found, Otherwise<Found>>>;

/// Serves HTTP/1 and HTTP/2 on one port: an acceptor that takes a [`Conn`], finds out what its client speaks, and calls one
/// service with the requests of all.
///
/// - Under TLS the protocol is what was agreed on by ALPN ([`Negotiated`]): `h2` is HTTP/2, everything else and no agreement
///   HTTP/1. [`ALPN`](Self::ALPN) is what a TLS layer around this server should offer.
/// - In clear the first bytes decide (RFC 9113 section 3.3). They may come one by one, and as soon as one is not of the preface
///   of HTTP/2, the connection is HTTP/1's: a request that is shorter than the preface does not wait for more.
/// - `Upgrade: h2c` is not done: the request is answered in HTTP/1, as RFC 9113 section 3.1 has it.
///
/// ```
/// use chaski_core::{BoxError, Conn, Service, http::{Body, Request, Response}, service_fn};
/// use chaski_stacks::HttpServer;
/// use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
///
/// # async fn example() -> Result<(), BoxError> {
/// let server = HttpServer::new(service_fn(async |request: Request| {
///     Ok::<_, BoxError>(Response::new(Body::from(format!("{:?}", request.version()))))
/// }));
/// let (mut client, io) = duplex(1024);
/// client.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
/// server.serve(Conn::new(io)).await?;
/// let mut answer = String::new();
/// client.read_to_string(&mut answer).await?;
/// assert!(answer.ends_with("\r\n\r\nHTTP/1.0"), "{answer}");
/// # Ok(()) }
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(example()).unwrap();
/// ```
///
/// # Errors
///
/// Those of [`Http1Server`] and [`Http2Server`], and a [`PeekError`](chaski_net::peek::PeekError) for a client in clear that
/// was silent for as long as the head of a first request may take.
///
/// # Cancellation
///
/// Dropping the future of [`serve`](Service::serve) closes the connection.
///
/// # Limits
///
/// Those of the two servers. In clear the head of a first request has its time limit from its first bytes on, since those had
/// the same limit before.
pub struct HttpServer<S> {
    service: Arc<S>,
    http1_config: Http1ServerConfig,
    http2_config: Http2ServerConfig,
    shutdown: Option<ShutdownSignal>,
    http1: Http1Server<Arc<S>>,
    http2: Http2Server<Arc<S>>,
    by_preface: ByPreface,
}

impl<S> HttpServer<S> {
    /// What a TLS layer around this server offers by ALPN, the preferred protocol first. The last is of the few clients that speak
    /// HTTP/1.0 and say so; without it they would be refused.
    pub const ALPN: [&'static str; 3] = ["h2", "http/1.1", "http/1.0"];

    /// Serves `service`, with the default limits.
    pub fn new(service: S) -> Self {
        Self::made(Arc::new(service), Http1ServerConfig::default(), Http2ServerConfig::default(), None)
    }

    /// Sets the limits of HTTP/1.
    #[must_use]
    pub fn with_http1(self, config: Http1ServerConfig) -> Self {
        Self::made(self.service, config, self.http2_config, self.shutdown)
    }

    /// Sets the limits of HTTP/2.
    #[must_use]
    pub fn with_http2(self, config: Http2ServerConfig) -> Self {
        Self::made(self.service, self.http1_config, config, self.shutdown)
    }

    /// Sets the signal for a graceful shutdown, for connections that do not carry it as a fact.
    #[must_use]
    pub fn with_shutdown(self, signal: ShutdownSignal) -> Self {
        Self::made(self.service, self.http1_config, self.http2_config, Some(signal))
    }

    fn made(
        service: Arc<S>,
        http1_config: Http1ServerConfig,
        http2_config: Http2ServerConfig,
        shutdown: Option<ShutdownSignal>,
    ) -> Self {
        let mut http1 = Http1Server::new(Arc::clone(&service)).with_config(http1_config);
        let mut http2 = Http2Server::new(Arc::clone(&service)).with_config(http2_config);
        if let Some(signal) = &shutdown {
            http1 = http1.with_shutdown(signal.clone());
            http2 = http2.with_shutdown(signal.clone());
        }
        let by_preface = PeekLayer::new()
            .with_timeout(http1_config.head_timeout)
            .case("HTTP/2", Prefix(PREFACE), Found(Spoken::Http2))
            .layer(Found(Spoken::Http1));
        Self { service, http1_config, http2_config, shutdown, http1, http2, by_preface }
    }
}

impl<S, I> Service<Conn<I>> for HttpServer<S>
where
    S: Service<Request, Output = Response, Error: IntoBoxError>,
    I: Io,
{
    type Output = ();
    type Error = BoxError;

    fn serve(&self, conn: Conn<I>) -> impl Future<Output = Result<(), BoxError>> + Send {
        // That of this connection alone: one that goes through a tunnel finds the handshake of the proxy too.
        let tls = conn.ext.get::<Negotiated>().filter(|_| conn.ext.distance::<Negotiated>() == Some(0));
        match tls.map(|tls| tls.alpn() == Some(b"h2")) {
            Some(true) => self.serve_as(Spoken::Http2, prefixed(conn)),
            Some(false) => self.serve_as(Spoken::Http1, prefixed(conn)),
            None => {
                // Boxed, so that what finds it out has gone when it is known.
                let finding = Box::pin(self.by_preface.serve(conn));
                Box::pin(async move {
                    let serving = {
                        let (spoken, conn) = finding.await?;
                        self.serve_as(spoken, conn)
                    };
                    serving.await
                })
            }
        }
    }

    fn describe(&self) -> Description {
        Description::of::<Self>()
            .may_read::<Negotiated>()
            .child(Service::<Conn<Prefixed<I>>>::describe(&self.http2).labelled("HTTP/2"))
            .child(Service::<Conn<Prefixed<I>>>::describe(&self.http1).labelled("HTTP/1"))
    }
}

impl<S> HttpServer<S> {
    /// Boxed, each by itself: an idle connection, or a tunnel, has no room for what the other version needs.
    fn serve_as<I: Io>(&self, spoken: Spoken, conn: Conn<Prefixed<I>>) -> Serving<'_>
    where
        S: Service<Request, Output = Response, Error: IntoBoxError>,
    {
        match spoken {
            Spoken::Http1 => Box::pin(async { self.http1.serve(conn).await.map_err(IntoBoxError::into_box_error) }),
            Spoken::Http2 => Box::pin(async { self.http2.serve(conn).await.map_err(IntoBoxError::into_box_error) }),
        }
    }
}

type Serving<'a> = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send + 'a>>;

/// A version of HTTP.
#[derive(Clone, Copy, Debug)]
enum Spoken {
    Http1,
    Http2,
}

/// Gives the connection back, with what was found out about it.
#[derive(Clone, Copy, Debug)]
struct Found(Spoken);

impl<I: Io> Service<Conn<I>> for Found {
    type Output = (Spoken, Conn<I>);
    type Error = Infallible;

    async fn serve(&self, conn: Conn<I>) -> Result<Self::Output, Infallible> {
        Ok((self.0, conn))
    }
}

/// The IO that a peek would have made, so that there is one kind for each server.
fn prefixed<I>(conn: Conn<I>) -> Conn<Prefixed<I>> {
    conn.map_io(|io| Prefixed::new(Bytes::new(), io))
}

impl<S: fmt::Debug> fmt::Debug for HttpServer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpServer")
            .field("service", &self.service)
            .field("http1", &self.http1_config)
            .field("http2", &self.http2_config)
            .finish_non_exhaustive()
    }
}
