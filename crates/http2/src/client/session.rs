use std::{
    fmt,
    future::{Future, poll_fn},
    sync::Arc,
    task::Poll,
};

use chaski_core::{
    Conn, Description, Extensions, Io, SendError, Service, Session, SessionState, Slots,
    http::{Request, Response},
};
use tokio::time::timeout;

use super::{Http2ClientConfig, Http2Error, driver::Driver, exchange::Exchange, fields, shared::Shared};
use crate::engine::Wire;

/// A client's HTTP/2 connection: sends requests, as many at a time as the peer allows, and gives their responses.
///
/// One background task reads and writes for all of them. It is spawned by [`handshake`](Self::handshake), and ends when the session was
/// dropped or [drained](Session::drain) and the last response is done, or when the connection fails.
///
/// # Requests
///
/// - The URI has to be absolute: its scheme and authority are what is sent. Host and the fields of one connection are taken
///   out, of `te` only `trailers` stays, and `content-length` is the body's own.
/// - A body in hand leaves with the head. One that is streamed is polled in the task that awaits the response, and is sent as
///   the peer's windows allow. After a final response **the upload progresses only while the response's body is
///   polled**, for a frame or for its [progress](chaski_core::http::Body::poll_progress). When the response is complete
///   and the upload is not, the rest is not sent and the stream is reset.
/// - With `Expect: 100-continue` the body waits for `100`, and for
///   [`expect_timeout`](Http2ClientConfig::expect_timeout) at most. After a final response that comes first it is not sent.
/// - CONNECT goes without a body, to an authority with a port. With a [`ConnectProtocol`](crate::ConnectProtocol) in its scope it
///   is an extended one (RFC 8441), to an absolute URI; that waits for the peer's settings, and is not sent to a peer that does
///   not offer it.
///
/// # Responses
///
/// - Informational ones go to the request's [`OnInformational`](chaski_core::http::OnInformational); `100` is
///   the session's own.
/// - A `2xx` to CONNECT carries the stream as [`Upgraded`](chaski_core::http::Upgraded) connection: each direction ends by
///   itself, a write waits for the peer's window. It has a slot for as long as it lives.
/// - Their scope is a child of the connection's, if that has facts.
/// - One that is whole when its head is looked at has its body in hand, and its slot is free before `serve` returns. Else that is so
///   when the last frame of its body is taken.
///
/// # Errors
///
/// [`SendError`] with an [`Http2Error`] beneath. The request was not sent if there is no free slot, the connection drains or
/// has ended, nothing was written of it, or the peer said that it did not process it: by REFUSED_STREAM, or by GOAWAY
/// with a lower last stream. It is handed back then, and also when it may have been sent and no byte of a response was seen,
/// unless its body is streamed and was begun.
///
/// A response that breaks off is an error of its body, an [`Http2BodyError`](crate::Http2BodyError), never a silent end.
///
/// # Cancel safety
///
/// Dropping the future of `serve`, or a response's body before its end, resets that stream with CANCEL. The connection and the other streams
/// go on.
///
/// # Limits
///
/// Those of [`Http2ClientConfig`]. The peer may not push.
pub struct Http2Session {
    shared: Arc<Shared>,
}

impl Http2Session {
    /// Begins to speak HTTP/2 on a connection on which nothing has been sent or received yet, and spawns the task that goes on
    /// with it. Does not wait for the peer's first word.
    ///
    /// # Errors
    ///
    /// The connection fails, or does not take the first bytes within
    /// [`write_timeout`](Http2ClientConfig::write_timeout).
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    pub async fn handshake<IO: Io>(conn: Conn<IO>, config: Http2ClientConfig) -> Result<Self, Http2Error> {
        let (io, wire) = Wire::of_client(conn.io, config.max_control_frames);
        let handshake = config.builder().handshake(io);
        let shaken = match config.write_timeout {
            Some(limit) => timeout(limit, handshake)
                .await
                .map_err(|_| Http2Error::WriteTimeout(chaski_core::Elapsed { what: "the peer's reading", limit }))?,
            None => handshake.await,
        };
        let (requests, connection) = shaken?;
        let guard = config.shutdown.as_ref().map(chaski_core::Shutdown::guard);
        let draining = guard.as_ref().map(|guard| guard.signal().draining());
        let shared = Arc::new(Shared::new(conn.ext, config, wire, requests));
        let driver = Driver::new(connection, Arc::clone(&shared), draining);
        match guard {
            Some(guard) => drop(tokio::spawn(guard.run(driver))),
            None => drop(tokio::spawn(driver)),
        }
        Ok(Self { shared })
    }

    fn with_scope(&self, error: SendError<Request>) -> SendError<Request> {
        if self.shared.ext.is_empty() { error } else { error.with_scope(self.shared.ext.fork()) }
    }
}

impl Service<Request> for Http2Session {
    type Output = Response;
    type Error = SendError<Request>;

    async fn serve(&self, mut request: Request) -> Result<Response, SendError<Request>> {
        if fields::extended(&request).is_some() {
            poll_fn(|cx| self.shared.poll_greeted(cx)).await;
        }
        let begun = self.shared.reserve().and_then(|slot| Exchange::begin(slot, &mut request));
        let mut exchange = match begun {
            Ok(exchange) => exchange,
            Err(error) => return Err(self.with_scope(SendError::not_sent(request, error))),
        };
        match poll_fn(|cx| exchange.poll_head(cx, &request)).await {
            Ok(head) => Ok(exchange.respond(head).await),
            Err(error) => Err(self.with_scope(exchange.fail(request, error))),
        }
    }

    fn describe(&self) -> Description {
        Description::of::<Self>()
    }
}

// A message about a connector that makes no sessions names the one of HTTP/1.1, which says what to do, and fits on a screen.
#[diagnostic::do_not_recommend]
impl Session<Request> for Http2Session {
    fn slots(&self) -> Slots {
        Slots { free: self.shared.free(), shared: true }
    }

    fn state(&self) -> SessionState {
        self.shared.state()
    }

    fn changed(&self) -> impl Future<Output = ()> + Send + 'static {
        let version = self.shared.version();
        // Weak: who watches a connection must not keep its facts.
        let shared = Arc::downgrade(&self.shared);
        poll_fn(move |cx| shared.upgrade().map_or(Poll::Ready(()), |shared| shared.poll_changed(version, cx)))
    }

    fn scope(&self) -> &Extensions {
        &self.shared.ext
    }

    fn drain(&self) {
        self.shared.drain();
    }
}

impl Drop for Http2Session {
    fn drop(&mut self) {
        self.shared.drain();
    }
}

impl fmt::Debug for Http2Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Http2Session").field(&self.shared).finish()
    }
}
