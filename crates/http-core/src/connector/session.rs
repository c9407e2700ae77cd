use std::{
    fmt,
    future::{Future, poll_fn},
    sync::Arc,
    task::Poll,
};

use chaski_core::{
    Conn, Description, Extensions, Io, SendError, Service, Session, SessionState, Slots,
    http::{Body, Request, Response},
};

use super::{Http1ClientConfig, exchange::Exchange, shared::Shared};

/// A client's HTTP/1.1 connection: sends one request at a time and gives its response.
///
/// There is no background task and no channel. The future of [`serve`](Service::serve) writes the request and reads the
/// response's head in the caller's task; the response's body reads the socket when it is polled, in whatever task polls
/// it. The slot becomes free when the response is complete: for a response that came whole with its head this is so
/// before `serve` returns, otherwise when the last frame of its body is taken.
///
/// # Uploads
///
/// Request and response may overlap. A final response that comes while the request's body is still being sent is given
/// at once; from then on **the upload progresses only while the response's body is polled**, for a frame or for its
/// [progress](chaski_core::http::Body::poll_progress). When the response is
/// complete and the upload is not, the connection is closed.
///
/// - A body of at most 16 KiB that is in hand leaves with the head in one write; larger ones are not copied.
/// - Frames of a streamed body that are ready when the head is written leave with it.
/// - A streamed body of known length that announces trailers (the field `trailer`, RFC 9110 section 6.6.2) is sent
///   chunked, as they need that. Trailers of a body that is sent by length are dropped.
/// - With `Expect: 100-continue` the body waits for `100`, and for
///   [`expect_timeout`](Http1ClientConfig::expect_timeout) at most. A final response that comes first is given, the body
///   is not sent, and the connection is closed after it.
///
/// - Where the request's scope has a [`HeaderLayout`](crate::HeaderLayout), its fields are written in that order and case.
///
/// # Responses
///
/// - Informational ones go to the request's [`OnInformational`](chaski_core::http::OnInformational); `100` is
///   the session's own.
/// - `101`, if the request asked for an upgrade, and a `2xx` to CONNECT carry the connection as
///   [`Upgraded`](chaski_core::http::Upgraded). The session is closed then.
/// - Their scope is a child of the connection's, if that has facts, or if their
///   [layout is recorded](Http1ClientConfig::with_header_layout).
/// - HTTP/1.0 is spoken where the request's version says so, HTTP/1.1 in all other cases.
///
/// The connection is not used again after an error, `connection: close` on either side, a body that ends with the
/// connection, bytes beyond a response, or any byte that comes while it is idle.
///
/// # Errors
///
/// [`SendError`] with an [`Http1Error`](super::Http1Error) beneath. The request is handed back when nothing of it was written; that includes a
/// session that is busy, draining or closed, and one whose peer is found to have gone. A streamed body that was begun
/// cannot be handed back: then what became of the request is unknown, unless it was that body which failed; the
/// request that is handed back has one that fails again.
///
/// A response that breaks off is an error of its body, never a silent end.
///
/// # Cancel safety
///
/// Dropping the future of `serve` before anything was written leaves the session as it was. After that it closes the
/// connection, and so does dropping a response's body before its end, unless all that is missing was read already.
///
/// Dropping the session closes an idle connection; a response under way can be read to its end.
///
/// # Limits
///
/// Those of [`Http1ClientConfig`]. What was read and not taken is at most the largest head, or the largest trailer
/// section, and 64 KiB. An upload holds at most 80 KiB of encoded bytes, and one frame. An idle session holds no buffer.
pub struct Http1Session<IO> {
    shared: Arc<Shared<IO>>,
}

impl<IO: Io> Http1Session<IO> {
    /// A session on a connection on which nothing has been sent or received yet.
    #[must_use]
    pub fn new(conn: Conn<IO>, config: Http1ClientConfig) -> Self {
        Self { shared: Arc::new(Shared::new(conn.io, conn.ext, config)) }
    }
}

impl<IO: Io> Service<Request> for Http1Session<IO> {
    type Output = Response;
    type Error = SendError<Request>;

    async fn serve(&self, mut request: Request) -> Result<Response, SendError<Request>> {
        let begun = self.shared.lease().and_then(|lease| Exchange::begin(lease, &mut request));
        let mut exchange = match begun {
            Ok(exchange) => exchange,
            Err(error) => return Err(self.with_scope(SendError::not_sent(request, error))),
        };
        match poll_fn(|cx| exchange.poll_head(cx, &mut request)).await {
            Ok(head) => Ok(exchange.respond(head, &mut request)),
            Err(error) => Err(self.with_scope(exchange.fail(request, error))),
        }
    }

    fn describe(&self) -> Description {
        Description::of::<Self>()
    }
}

impl<IO: Io> Session<Request> for Http1Session<IO> {
    fn slots(&self) -> Slots {
        Slots { free: usize::from(self.shared.is_free()), shared: false }
    }

    fn state(&self) -> SessionState {
        self.shared.state()
    }

    fn changed(&self) -> impl Future<Output = ()> + Send + 'static {
        let version = self.shared.version();
        // Weak: who watches an idle connection must not keep it open.
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

impl<IO: Io> Http1Session<IO> {
    #[cfg(test)]
    pub(super) fn shared(&self) -> &Arc<Shared<IO>> {
        &self.shared
    }

    fn with_scope(&self, error: SendError<Request<Body>>) -> SendError<Request<Body>> {
        if self.shared.ext.is_empty() { error } else { error.with_scope(self.shared.ext.fork()) }
    }
}

impl<IO> fmt::Debug for Http1Session<IO> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Http1Session").field(&self.shared).finish()
    }
}
