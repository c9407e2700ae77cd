//! The client side: connections to sessions, requests to responses.
//!
//! ```text
//! Connect -> Http2Connector -> Http2Session        session.rs
//!              Request -> Exchange -> Response      fields.rs, exchange.rs, upload.rs
//!                            body: ResponseBody     body.rs
//!                            CONNECT: ClientTunnel  tunnel.rs
//! ```
//!
//! `driver.rs` is the one task of a connection, which reads and writes for all its streams; `shared.rs` is what they tell each
//! other. What is done for one request is done in the task of whoever sent it.

mod body;
mod config;
mod driver;
mod error;
mod exchange;
mod fields;
mod session;
mod shared;
mod tunnel;
mod upload;

pub use config::Http2ClientConfig;
pub use error::Http2Error;
pub use session::Http2Session;

use std::time::Duration;

use chaski_core::{Conn, Connect, ConnectError, ConnectStage, Description, HttpVersion, HttpVersions, Io, Service};

/// Turns a connector into one whose connections speak HTTP/2 as a client, from the first byte on: with prior knowledge, in
/// clear or above TLS that has agreed on it. Adds the fact [`HttpVersion`] to the connection.
///
/// Reads the choice [`HttpVersions`] of the route: where that is HTTP/1.1 alone, there is no connection.
///
/// Who has a connection already makes an [`Http2Session`] of it; who wants requests sent, connections kept and names
/// resolved takes an HTTP client, which stands on this.
///
/// # Errors
///
/// Those of the connector; [`ConnectStage::Protocol`] when the route asks for HTTP/1.1 alone, and when the connection fails before the first bytes are written, with an
/// [`Http2Error`] beneath.
///
/// # Cancel safety
///
/// That of the connector. Dropping the future later closes the connection.
#[derive(Clone, Debug)]
pub struct Http2Connector<C> {
    inner: C,
    config: Http2ClientConfig,
}

impl<C> Http2Connector<C> {
    /// Sessions with this configuration, on the connections of `inner`.
    pub const fn new(inner: C, config: Http2ClientConfig) -> Self {
        Self { inner, config }
    }
}

impl<C, IO> Service<Connect> for Http2Connector<C>
where
    C: Service<Connect, Output = Conn<IO>, Error = ConnectError>,
    IO: Io,
{
    type Output = Http2Session;
    type Error = ConnectError;

    async fn serve(&self, connect: Connect) -> Result<Http2Session, ConnectError> {
        let attempt = connect.ext.clone();
        if let Some(versions @ HttpVersions::Http1) = connect.route.choice::<HttpVersions>() {
            let error = ConnectError::new(ConnectStage::Protocol).with_message(connect.target.to_string());
            return Err(error
                .with_scope(attempt)
                .with_source(format!("only {versions} was asked for, this is HTTP/2")));
        }
        let conn = self.inner.serve(connect).await?;
        conn.ext.insert(HttpVersion(http::Version::HTTP_2));
        Http2Session::handshake(conn, self.config.clone())
            .await
            .map_err(|error| ConnectError::new(ConnectStage::Protocol).with_scope(attempt).with_source(error))
    }

    fn describe(&self) -> Description {
        let limit = |limit: Option<Duration>| limit.map_or_else(|| "none".to_owned(), |limit| format!("{limit:?}"));
        Description::of::<Self>()
            .setting("head_timeout", limit(self.config.head_timeout))
            .setting("body_timeout", limit(self.config.body_timeout))
            .setting("write_timeout", limit(self.config.write_timeout))
            .writes::<HttpVersion>()
            .child(self.inner.describe())
    }
}
