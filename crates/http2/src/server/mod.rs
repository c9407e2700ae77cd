//! The server side: connections in, requests to a service.

mod body;
mod config;
mod connection;
mod date;
mod error;
mod handle;
mod place;
mod request;
mod response;
mod schedule;
mod watch;

pub use config::Http2ServerConfig;
pub use error::Http2ServerError;

use std::time::Duration;

use chaski_core::{
    Conn, Description, HttpVersion, IntoBoxError, Io, Service, ShutdownSignal,
    http::{InformationalSource, Request, Response},
};

/// Serves HTTP/2 on a connection: an acceptor that takes a [`Conn`] and calls a service with its requests, as many at a time
/// as the client has streams.
///
/// All of it runs in the one task that serves the connection: h2, the calls to the service, and the bodies of answers. A
/// call is polled when it was woken and its turn comes, so one that is always ready neither keeps its siblings from theirs
/// nor the connection from reading and writing. A request's body may be moved into another task, or outlive its request.
///
/// # What it does by itself
///
/// - Flow control: the window of a request's body opens again as frames are read; a body that is dropped lets go of what
///   has come and what comes. A streamed answer is polled for its next frame when the window has taken the last one.
/// - A body in hand leaves behind its head without being polled; trailers go both ways. Answers to HEAD, 204 and 304 have no
///   body, whatever the service gives. Fields of a connection (`connection`, `transfer-encoding`, ..), which a service
///   written for HTTP/1.1 may set, are removed.
/// - `Expect: 100-continue`: `100` leaves when the body is first read, and before an answer that begins while somebody still
///   holds the body. Other informational responses are the service's
///   ([`Informational`](chaski_core::http::Informational)), on connections that have facts.
/// - CONNECT, and extended CONNECT where [it is offered](Http2ServerConfig::extended_connect): a 2xx answer with an
///   [`Upgrade`](chaski_core::http::Upgrade) makes a connection of the stream, in a scope that is a fork of the request's.
///   Such a request always has a scope. Writes wait for the client's window, each direction ends by itself, and the
///   continuation runs in the connection's task, as a part among its siblings.
/// - A client that resets a stream cancels the service's future for it, and nothing else. A final answer ahead of the end of
///   the request's body resets the stream with `NO_ERROR` as soon as nobody holds that body.
/// - Malformed requests are reset with `PROTOCOL_ERROR` (RFC 9113 section 8.1.1): besides those that h2 notices (fields of a
///   connection, upper case, pseudo-header fields out of order, data of another length than `content-length`) those whose
///   Host is not their `:authority`, that have neither, user information, a path without a slash, a repeated
///   `content-length`, or values with white space around them.
/// - Crumbs of `cookie` are joined by `; ` (RFC 9113 section 8.2.3), since services and HTTP/1.1 upstreams know one field.
/// - An error or a panic of the service is answered with a bare 500, or with 400 or 408 when the request's body had failed.
///   In the middle of an answer's body the stream is reset with `INTERNAL_ERROR`. Neither touches its siblings.
/// - Adds the fact [`HttpVersion`] to a connection that has facts, and [`InformationalSource`] to its requests. A request's
///   scope is a child of its connection's; requests on a connection without facts get none.
/// - A client that makes work and does not wait for it is told to calm down (`ENHANCE_YOUR_CALM`), and its connection closes:
///   one that resets streams, has them reset, or sends frames that nothing accounts for
///   ([`max_resets`](Http2ServerConfig::max_resets), [`max_control_frames`](Http2ServerConfig::max_control_frames)). h2
///   bounds heads without end, and data that is empty or tiny.
/// - PING, if asked: a client that does not answer is cut. Windows grow for uploads over long paths
///   ([`max_window`](Http2ServerConfig::max_window)).
/// - Watches a [`ShutdownSignal`], given or found as a fact: an idle connection closes at once; a busy one is told in two
///   steps (GOAWAY with the highest number, then with that of the last stream) and closes when its streams have ended.
///
/// # Cancellation
///
/// Dropping the future of [`serve`](Service::serve) closes the connection, drops every call, and tells whoever reads a
/// request's body.
///
/// # Limits
///
/// [`Http2ServerConfig`] has the knobs. Fixed are: 16 KiB of each answer that may be given to h2 ahead of the window, 16 KiB
/// of informational responses for each stream, 1 MiB that is read and thrown away of a connection that closes.
#[derive(Debug)]
pub struct Http2Server<S> {
    service: S,
    config: Http2ServerConfig,
    shutdown: Option<ShutdownSignal>,
}

impl<S> Http2Server<S> {
    /// Serves `service`, with the default limits.
    pub fn new(service: S) -> Self {
        Self { service, config: Http2ServerConfig::default(), shutdown: None }
    }

    /// Sets the limits.
    #[must_use]
    pub fn with_config(mut self, config: Http2ServerConfig) -> Self {
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

impl<S, I: Io> Service<Conn<I>> for Http2Server<S>
where
    S: Service<Request, Output = Response, Error: IntoBoxError>,
{
    type Output = ();
    type Error = Http2ServerError;

    fn serve(&self, conn: Conn<I>) -> impl Future<Output = Result<(), Http2ServerError>> + Send {
        let shutdown = self.shutdown.clone().or_else(|| conn.ext.get::<ShutdownSignal>().cloned());
        connection::run(conn, &self.service, &self.config, shutdown)
    }

    fn describe(&self) -> Description {
        let limit = |limit: Option<Duration>| limit.map_or("none".to_owned(), |limit| format!("{limit:?}"));
        Description::named("Http2Server")
            .setting("max_streams", self.config.max_streams)
            .setting("preface_timeout", limit(self.config.preface_timeout))
            .setting("idle_timeout", limit(self.config.idle_timeout))
            .setting("body_timeout", limit(self.config.body_timeout))
            .setting("write_timeout", limit(self.config.write_timeout))
            .may_read::<ShutdownSignal>()
            .writes::<HttpVersion>()
            .writes::<InformationalSource>()
            .child(self.service.describe())
    }
}
