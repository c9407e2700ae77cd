//! The server side: connections in, requests to a service.

mod call;
mod close;
mod config;
mod connection;
mod error;
mod exchange;
mod shared;
mod stream;

pub use config::Http1ServerConfig;
pub use error::{Http1ServerError, RequestBodyError};

use chaski_core::{
    Conn, Description, HttpVersion, IntoBoxError, Io, Service, ShutdownSignal,
    http::{InformationalSource, Request, Response},
};

use connection::Connection;

use crate::codec::HeaderLayout;

/// Serves HTTP/1.0 and HTTP/1.1 on a connection: an acceptor that takes a [`Conn`] and calls a service with its requests,
/// one after the other.
///
/// Connection, service and bodies run in the one task that serves the connection. A request's body is read from the socket
/// when it is polled, with no channel between; it may also be moved into another task, or outlive its request.
///
/// # What it does by itself
///
/// - Keep-alive and pipelining; answers to pipelined requests leave in one write.
/// - `Expect: 100-continue`: `100` leaves when the body is first read, and before an answer that begins while somebody still
///   holds the body. A service that lets go of it unread is not sent the body, and the connection closes.
/// - Trailers of a response are sent to clients that say `te: trailers`, and dropped for others.
/// - Refuses what could be read in two ways (400), what is over a limit (408, 414, 431), and versions other than 1.0 and
///   1.1 (505), and closes.
/// - Reads on past a body that the service left, up to a limit; beyond it, closes in a way that lets the answer arrive.
/// - An error or a panic of the service is answered with a bare 500, and the connection goes on if its framing allows. In
///   the middle of a response's body, all that is left is to cut the connection.
/// - Records how the fields of a request stood on the wire, if asked
///   ([`with_header_layout`](Http1ServerConfig::with_header_layout)), and writes a response whose scope has a
///   [`HeaderLayout`] in that order and case.
/// - Adds the facts [`HttpVersion`] and [`InformationalSource`] to a connection that has facts. A request's scope is a child
///   of its connection's; requests on a connection without facts get none, unless their layout is recorded.
/// - Watches a [`ShutdownSignal`], given or found as a fact: an idle connection closes at once, a busy one answers with
///   `connection: close`.
///
/// # Cancellation
///
/// Dropping the future of [`serve`](Service::serve) closes the connection, and tells whoever reads a request's body. A client
/// that closes or resets its connection while its answer is pending cancels the service's future
/// ([`half_close`](Http1ServerConfig::half_close) changes that).
///
/// # Limits
///
/// [`Http1ServerConfig`] has the knobs. Fixed are: 64 KiB of answers that wait for one write, 8 KiB read ahead while a
/// service works, plus what one more read brings (64 KiB at most), 16 KiB of informational responses that wait.
#[derive(Debug)]
pub struct Http1Server<S> {
    service: S,
    config: Http1ServerConfig,
    shutdown: Option<ShutdownSignal>,
}

impl<S> Http1Server<S> {
    /// Serves `service`, with the default limits.
    pub fn new(service: S) -> Self {
        Self { service, config: Http1ServerConfig::default(), shutdown: None }
    }

    /// Sets the limits.
    #[must_use]
    pub fn with_config(mut self, config: Http1ServerConfig) -> Self {
        self.config = config;
        self
    }

    /// Sets the signal for a graceful shutdown, for connections that do not carry it as a fact.
    #[must_use]
    pub fn with_shutdown(mut self, signal: ShutdownSignal) -> Self {
        self.shutdown = Some(signal);
        self
    }
}

impl<S, I: Io> Service<Conn<I>> for Http1Server<S>
where
    S: Service<Request, Output = Response, Error: IntoBoxError>,
{
    type Output = ();
    type Error = Http1ServerError;

    fn serve(&self, conn: Conn<I>) -> impl Future<Output = Result<(), Http1ServerError>> + Send {
        let shutdown = self.shutdown.clone().or_else(|| conn.ext.get::<ShutdownSignal>().cloned());
        // Before the future, which would hold twice what it takes by value.
        let mut connection = Connection::new(conn, &self.config, shutdown);
        // Boxed, so that all of it goes when the connection becomes a tunnel, which may last for days and needs none of it.
        let serving = Box::pin(async move { connection.run(&self.service).await });
        async move {
            let tunnel = serving.await?;
            if let Some(tunnel) = tunnel {
                tunnel.await;
            }
            Ok(())
        }
    }

    fn describe(&self) -> Description {
        let limit = |limit: Option<std::time::Duration>| limit.map_or("none".to_owned(), |limit| format!("{limit:?}"));
        let server = Description::named("Http1Server")
            .setting("head_timeout", limit(self.config.head_timeout))
            .setting("idle_timeout", limit(self.config.idle_timeout))
            .setting("body_timeout", limit(self.config.body_timeout))
            .setting("write_timeout", limit(self.config.write_timeout))
            .may_read::<ShutdownSignal>()
            .writes::<HttpVersion>()
            .writes::<InformationalSource>();
        let server = if self.config.head.header_layout { server.writes::<HeaderLayout>() } else { server };
        server.child(self.service.describe())
    }
}
