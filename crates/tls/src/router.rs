//! Connections to services by the name that the client asks for, without ending TLS.

use std::time::Duration;

use chaski_core::{BoxError, Conn, Description, Domain, IntoBoxError, Io, Peeked, Prefixed, Service};

use crate::{
    Alert,
    hello::ClientHello,
    names::{NameError, NameTable},
    peek::{self, Limits},
    refusal::{self, TLS_1_2},
};

/// Hands each connection to the service of the server that its client wants to talk to, by the name in the ClientHello. TLS is
/// not ended here: the services see the connection from its first byte on, and most will relay it.
///
/// ```
/// use chaski_core::{BoxError, Conn, Prefixed, Service, service_fn_with};
/// use chaski_tls::SniRouter;
/// use tokio::io::{AsyncWriteExt, DuplexStream, duplex};
///
/// # async fn example(captured: &[u8]) -> Result<(), BoxError> {
/// let backend = |name: &'static str| {
///     service_fn_with(name, async |name: &'static str, _: Conn<Prefixed<DuplexStream>>| Ok::<_, BoxError>(name))
/// };
/// let router = SniRouter::new()
///     .route("example.com", backend("the site"))?
///     .route("*.example.com", backend("one of its subdomains"))?;
///
/// let (mut client, server) = duplex(4096);
/// client.write_all(captured).await?;
/// assert_eq!(router.serve(Conn::new(server)).await?, "the site");
/// # Ok(()) }
/// # let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hellos/openssl.txt")).unwrap();
/// # let digits: Vec<u8> = text.lines().find_map(|line| line.strip_prefix("hex: ")).unwrap().bytes().map(|b| (b as char).to_digit(16).unwrap() as u8).collect();
/// # let captured: Vec<u8> = digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect();
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(example(&captured)).unwrap();
/// ```
///
/// The services are of one type: a `BoxService` is one for all. They find the [`ClientHello`] as a fact.
///
/// Whoever connects chooses the name, and behind the TLS that is not ended here may be a request to another one. So a route is
/// no permission: each service has to be one that the client may talk to. A client that encrypts its hello is routed by the name
/// outside.
///
/// # What has no route
///
/// A connection whose client names no server, none that has a route, or speaks no TLS goes to the service of
/// [`otherwise`](Self::otherwise). Without that it is closed: after an alert `unrecognized_name` if there was a hello, at once if
/// there was none. A malformed hello is never handed on; its client is sent `decode_error`. Nor is a client that sends nothing, as
/// where the server speaks first: it is closed when its time is over.
///
/// # Errors
///
/// [`PeekTlsError`](crate::PeekTlsError) when there was no hello, [`NoRoute`] when there was no route. All else are the errors of
/// the services.
///
/// # Cancel safety
///
/// Dropping the future drops the connection.
///
/// # Limits
///
/// Those of [`PeekTlsLayer`](crate::PeekTlsLayer), and its knobs. A client that is turned away is read from for a second more, or
/// 64 KiB.
///
/// # Panics
///
/// Outside of a tokio runtime with time enabled.
#[derive(Clone, Debug)]
pub struct SniRouter<S> {
    routes: NameTable<S>,
    otherwise: Option<S>,
    limits: Limits,
}

/// The client named no server, or none that has a route.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no route for {}", .server_name.as_ref().map_or("a client that names no server".to_owned(), ToString::to_string))]
pub struct NoRoute {
    /// The name, if it was one.
    pub server_name: Option<Domain>,
}

impl<S> SniRouter<S> {
    /// A router without routes, which turns everybody away.
    #[must_use]
    pub fn new() -> Self {
        Self { routes: NameTable::new(), otherwise: None, limits: Limits::default() }
    }

    /// Adds a route: `name` is the name of a server, or `*.` and a name, for all names with one label more. An exact name goes
    /// before one with `*`, whatever their order.
    ///
    /// # Errors
    ///
    /// [`NameError`] when `name` is neither, or has a route already.
    pub fn route(mut self, name: &str, service: S) -> Result<Self, NameError> {
        self.routes.insert(name, service)?;
        Ok(self)
    }

    /// Sets the service for connections that have no route, of clients that speak no TLS too.
    #[must_use]
    pub fn otherwise(mut self, service: S) -> Self {
        self.otherwise = Some(service);
        self
    }

    /// Sets within how many bytes a hello has to end, from 6 bytes to 64 KiB.
    #[must_use]
    pub fn with_limit(mut self, bytes: usize) -> Self {
        self.limits = self.limits.with_bytes(bytes);
        self
    }

    /// Sets how long a client may take until its hello is there; `None` waits for as long as the client does.
    #[must_use]
    pub fn with_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.limits = self.limits.with_time(limit.into());
        self
    }
}

impl<S> Default for SniRouter<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<I, S> Service<Conn<I>> for SniRouter<S>
where
    I: Io,
    S: Service<Conn<Prefixed<I>>, Error: IntoBoxError>,
{
    type Output = S::Output;
    type Error = BoxError;

    async fn serve(&self, conn: Conn<I>) -> Result<S::Output, BoxError> {
        let mut conn = conn.map_io(Peeked::new);
        let (service, hello) = match peek::read(&mut conn, self.limits).await {
            Ok(hello) => {
                let route = hello.server_name().and_then(|name| self.routes.get(name));
                (route.or(self.otherwise.as_ref()), Ok(hello))
            }
            Err(error) if error.is_not_tls() => (self.otherwise.as_ref(), Err(error)),
            Err(error) => {
                if error.is_malformed() {
                    refusal::send(conn.io.into_io(), TLS_1_2, Alert::DECODE_ERROR).await;
                }
                return Err(error.into());
            }
        };
        match (service, hello) {
            (Some(service), hello) => {
                if let Ok(hello) = hello {
                    conn.ext.insert(hello);
                }
                service.serve(conn.map_io(Peeked::into_io)).await.map_err(IntoBoxError::into_box_error)
            }
            (None, Ok(hello)) => {
                refusal::send(conn.io.into_io(), hello.legacy_version(), Alert::UNRECOGNIZED_NAME).await;
                Err(NoRoute { server_name: hello.server_name().cloned() }.into())
            }
            (None, Err(error)) => Err(error.into()),
        }
    }

    fn describe(&self) -> Description {
        let node = self.limits.describe(Description::of::<Self>()).writes::<ClientHello>();
        let node = self
            .routes
            .iter()
            .map(|(name, service)| Description::named(name.to_owned()).child(service.describe()))
            .fold(node, Description::child);
        match &self.otherwise {
            Some(service) => node.child(service.describe().labelled("otherwise")),
            None => node,
        }
    }
}
