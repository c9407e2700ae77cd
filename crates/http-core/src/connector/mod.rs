//! The client side: connections to sessions, requests to responses.
//!
//! ```text
//! Connect -> Http1Connector -> Http1Session        session.rs
//!              Request -> Exchange -> Response      exchange.rs, upload.rs
//!                            body: Incoming         incoming.rs
//! ```
//!
//! Whoever is at work owns the connection: the session while it is idle, the exchange from the request to the
//! response's head, then the response's body. `shared.rs` hands it over.

mod config;
mod error;
mod exchange;
mod incoming;
mod session;
mod shared;
#[cfg(test)]
mod tests;
mod upload;

pub use config::Http1ClientConfig;
pub use error::Http1Error;
pub use session::Http1Session;

use std::time::Duration;

use chaski_core::{Conn, Connect, ConnectError, Description, HttpVersion, Io, Service};

use crate::codec::HeaderLayout;

/// Turns a connector into one whose connections speak HTTP/1.1 as a client.
///
/// There is no handshake: the session is there with the connection, and nothing is sent before the first request. Adds
/// the fact [`HttpVersion`] to the connection.
///
/// Who has a connection already makes an [`Http1Session`] of it; who wants requests sent, connections kept and names
/// resolved takes an HTTP client, which stands on this.
///
/// ```
/// use chaski_core::{Conn, Connect, ConnectError, HostPort, Service, http::Body, service_fn};
/// use chaski_http_core::{Http1ClientConfig, Http1Connector};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
///
/// # async fn example() -> Result<(), chaski_core::BoxError> {
/// // Dials a server that answers everything with the same nine bytes.
/// let dial = service_fn(async |_: Connect| {
///     let (near, mut far) = duplex(1024);
///     tokio::spawn(async move {
///         let mut head = [0; 1024];
///         while far.read(&mut head).await.is_ok_and(|n| n > 0) {
///             let _ = far.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhi there!").await;
///         }
///     });
///     Ok::<_, ConnectError>(Conn::new(near))
/// });
/// let connector = Http1Connector::new(dial, Http1ClientConfig::default());
///
/// let session = connector.serve(Connect::new("example.com:80".parse::<HostPort>()?)).await?;
/// for _ in 0..2 {
///     let request = http::Request::get("http://example.com/").body(Body::empty())?;
///     let response = session.serve(request).await?;
///     assert_eq!(response.into_body().collect(1024).await?, "hi there!");
/// }
/// # Ok(()) }
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(example()).unwrap();
/// ```
///
/// # Errors
///
/// Those of the connector.
///
/// # Cancel safety
///
/// That of the connector.
#[derive(Clone, Debug)]
pub struct Http1Connector<C> {
    inner: C,
    config: Http1ClientConfig,
}

impl<C> Http1Connector<C> {
    /// Sessions with this configuration, on the connections of `inner`.
    pub const fn new(inner: C, config: Http1ClientConfig) -> Self {
        Self { inner, config }
    }
}

impl<C, IO> Service<Connect> for Http1Connector<C>
where
    C: Service<Connect, Output = Conn<IO>, Error = ConnectError>,
    IO: Io,
{
    type Output = Http1Session<IO>;
    type Error = ConnectError;

    async fn serve(&self, connect: Connect) -> Result<Http1Session<IO>, ConnectError> {
        let conn = self.inner.serve(connect).await?;
        conn.ext.insert(HttpVersion(http::Version::HTTP_11));
        Ok(Http1Session::new(conn, self.config))
    }

    fn describe(&self) -> Description {
        let limit = |limit: Option<Duration>| limit.map_or_else(|| "none".to_owned(), |limit| format!("{limit:?}"));
        let connector = Description::of::<Self>()
            .setting("head_timeout", limit(self.config.head_timeout))
            .setting("body_timeout", limit(self.config.body_timeout))
            .setting("write_timeout", limit(self.config.write_timeout))
            .writes::<HttpVersion>();
        let connector = if self.config.head.header_layout { connector.writes::<HeaderLayout>() } else { connector };
        connector.child(self.inner.describe())
    }
}
