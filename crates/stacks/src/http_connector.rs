use std::future::Future;

use chaski_core::{
    Conn, Connect, ConnectError, ConnectStage, Description, Extensions, HttpVersion, HttpVersions, Io, SendError,
    Service, Session, SessionState, Slots,
    http::{Request, Response},
};
use chaski_http_core::{Http1ClientConfig, Http1Session};
use chaski_http2::{Http2ClientConfig, Http2Session};
use chaski_tls::Negotiated;

/// Turns a connector into one whose connections speak HTTP as a client, in the version that was agreed on.
///
/// Over TLS it is the one that the handshake has agreed on by ALPN ([`Negotiated`]), HTTP/1.1 when it has on none. In clear it is
/// HTTP/1.1, unless the route asks for HTTP/2 ([`HttpVersions::Http2`]), which is then spoken with prior knowledge. Adds the fact
/// [`HttpVersion`] to the connection.
///
/// # Errors
///
/// Those of the connector; [`ConnectStage::Protocol`] when the route asks for a version that the peer has not agreed to, or when
/// an HTTP/2 connection fails at its first bytes.
///
/// # Cancel safety
///
/// That of the connector. Dropping the future later closes the connection.
#[derive(Clone, Debug)]
pub struct HttpConnector<C> {
    inner: C,
    http1: Http1ClientConfig,
    http2: Http2ClientConfig,
}

impl<C> HttpConnector<C> {
    /// Sessions on the connections of `inner`, with the default limits.
    pub fn new(inner: C) -> Self {
        Self { inner, http1: Http1ClientConfig::default(), http2: Http2ClientConfig::default() }
    }

    /// Sets the limits of HTTP/1.
    #[must_use]
    pub fn with_http1(mut self, config: Http1ClientConfig) -> Self {
        self.http1 = config;
        self
    }

    /// Sets the limits of HTTP/2.
    #[must_use]
    pub fn with_http2(mut self, config: Http2ClientConfig) -> Self {
        self.http2 = config;
        self
    }
}

impl<C, IO> Service<Connect> for HttpConnector<C>
where
    C: Service<Connect, Output = Conn<IO>, Error = ConnectError>,
    IO: Io,
{
    type Output = HttpSession<IO>;
    type Error = ConnectError;

    async fn serve(&self, connect: Connect) -> Result<HttpSession<IO>, ConnectError> {
        let wanted = connect.route.choice::<HttpVersions>().copied().unwrap_or_default();
        let (secure, attempt) = (connect.protocol.is_secure(), connect.ext.clone());
        let target = connect.target.to_string();
        let conn = self.inner.serve(connect).await?;
        let failed = |error: chaski_core::BoxError| {
            ConnectError::new(ConnectStage::Protocol)
                .with_message(target.clone())
                .with_scope(attempt.clone())
                .with_source(error)
        };
        // In clear, what was negotiated is that of a proxy on the way.
        let agreed = if secure { conn.ext.get::<Negotiated>().and_then(Negotiated::alpn) } else { None };
        let http2 = if secure { agreed == Some(b"h2") } else { wanted == HttpVersions::Http2 };
        match (wanted, http2) {
            (HttpVersions::Http2, false) => return Err(failed(format!("the server does not speak {wanted}").into())),
            (HttpVersions::Http1, true) => {
                return Err(failed(format!("the server insists on HTTP/2, not {wanted}").into()));
            }
            _ => {}
        }
        if http2 {
            conn.ext.insert(HttpVersion(http::Version::HTTP_2));
            let session = Http2Session::handshake(conn, self.http2.clone()).await;
            session.map(HttpSession::Http2).map_err(|error| failed(error.into()))
        } else {
            conn.ext.insert(HttpVersion(http::Version::HTTP_11));
            Ok(HttpSession::Http1(Http1Session::new(conn, self.http1)))
        }
    }

    fn describe(&self) -> Description {
        Description::of::<Self>().may_read::<Negotiated>().writes::<HttpVersion>().child(self.inner.describe())
    }
}

/// A session of [`HttpConnector`], in the version that its connection speaks.
#[derive(Debug)]
#[non_exhaustive]
pub enum HttpSession<IO> {
    /// One request at a time.
    Http1(Http1Session<IO>),
    /// As many as the peer allows.
    Http2(Http2Session),
}

impl<IO: Io> Service<Request> for HttpSession<IO> {
    type Output = Response;
    type Error = SendError<Request>;

    async fn serve(&self, request: Request) -> Result<Response, SendError<Request>> {
        match self {
            Self::Http1(session) => session.serve(request).await,
            Self::Http2(session) => session.serve(request).await,
        }
    }

    fn describe(&self) -> Description {
        match self {
            Self::Http1(session) => session.describe(),
            Self::Http2(session) => session.describe(),
        }
    }
}

// A message about a connector that makes no sessions names the one of HTTP/1.1, which says what to do, and fits on a screen.
#[diagnostic::do_not_recommend]
impl<IO: Io> Session<Request> for HttpSession<IO> {
    fn slots(&self) -> Slots {
        match self {
            Self::Http1(session) => session.slots(),
            Self::Http2(session) => session.slots(),
        }
    }

    fn state(&self) -> SessionState {
        match self {
            Self::Http1(session) => session.state(),
            Self::Http2(session) => session.state(),
        }
    }

    fn changed(&self) -> impl Future<Output = ()> + Send + 'static {
        // Both are made lazily, so that the one that is not there costs its room alone.
        let (http1, http2) = match self {
            Self::Http1(session) => (Some(session.changed()), None),
            Self::Http2(session) => (None, Some(session.changed())),
        };
        async move {
            match (http1, http2) {
                (Some(changed), _) => changed.await,
                (_, Some(changed)) => changed.await,
                (None, None) => {}
            }
        }
    }

    fn scope(&self) -> &Extensions {
        match self {
            Self::Http1(session) => session.scope(),
            Self::Http2(session) => session.scope(),
        }
    }

    fn drain(&self) {
        match self {
            Self::Http1(session) => session.drain(),
            Self::Http2(session) => session.drain(),
        }
    }
}
