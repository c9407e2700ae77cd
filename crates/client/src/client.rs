use std::{
    fmt,
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use chaski_core::{
    Connect, ConnectError, ConnectStage, Description, Elapsed, Extensions, SendError, SendErrorParts, Sent, Service,
    Session,
    http::{Body, Message, Request, Response},
};

use crate::{
    ClientConfig, ClientError,
    kept::{Kept, Lease},
    pool::{Held, Pool},
    replay::Replay,
    target::Key,
};

/// An HTTP client over the connector `C`, which makes sessions: see the [crate page](crate) for the life of a request.
///
/// A clone is the same client and shares its connections.
///
/// # Errors
///
/// [`ClientError`], whose kind says at which step the call failed.
///
/// # Cancel safety
///
/// Dropping the future of a call cancels its dial or its request. A connection that the request had to itself is closed.
pub struct Client<C: Service<Connect>> {
    connector: Arc<C>,
    pool: Arc<Pool<C::Output>>,
}

impl<C> Client<C>
where
    C: Service<Connect, Error = ConnectError>,
    C::Output: Session<Request<Body>>,
{
    /// A client with the default settings.
    pub fn new(connector: C) -> Self {
        Self::with_config(connector, ClientConfig::default())
    }

    /// A client with these settings.
    pub fn with_config(connector: C, config: ClientConfig) -> Self {
        Self { connector: Arc::new(connector), pool: Arc::new(Pool::new(config)) }
    }

    /// How many connections are kept now. A shared one counts while requests are under way on it, too.
    #[must_use]
    pub fn idle(&self) -> usize {
        self.pool.len()
    }

    /// Closes the connections that are kept now, and says how many there were. Requests under way finish; their
    /// connections are kept again afterwards, until the last clone of the client is dropped.
    pub fn close_idle(&self) -> usize {
        self.pool.close_idle()
    }

    async fn connect(&self, key: &Key, scope: Extensions) -> Result<Arc<Held<C::Output>>, ClientError> {
        let attempt = scope.clone();
        let connect = Connect {
            target: key.target.clone(),
            server_name: key.server_name.clone(),
            protocol: key.protocol,
            route: key.route.fresh(),
            ext: scope,
        };
        let made = within(self.pool.config().connect_timeout, "connecting", self.connector.serve(connect)).await;
        let failed = match made {
            Ok(Ok(session)) => {
                let held = Arc::new(Held { key: key.clone(), session });
                // Others may use a shared connection from its first moment on.
                if held.session.slots().shared {
                    self.pool.keep(Arc::clone(&held));
                }
                return Ok(held);
            }
            Ok(Err(error)) => error,
            Err(elapsed) => ConnectError::new(ConnectStage::Timeout)
                .with_message(key.target.to_string())
                .with_scope(attempt)
                .with_source(elapsed),
        };
        Err(ClientError::connect(&key.target, failed))
    }
}

impl<C> Client<C>
where
    C: Service<Connect, Error = ConnectError>,
    C::Output:
        Session<Request<Body>> + Service<Request<Body>, Output = Response<Body>, Error = SendError<Request<Body>>>,
{
    async fn attempts(&self, key: &Key, mut request: Request<Body>) -> Result<Response<Body>, ClientError> {
        let mut reuse = true;
        loop {
            let kept = if reuse { self.pool.take(key) } else { None };
            let reused = kept.is_some();
            let held = match kept {
                Some(held) => held,
                None => self.connect(key, request.fork_scope()).await?,
            };
            let replay = if reused { Replay::of(&mut request) } else { None };
            match held.session.serve(request).await {
                Ok(response) => return Ok(self.hand_over(response, held)),
                Err(error) => request = once_more(key, reused, error, replay)?,
            }
            // RFC 9112 section 9.3.1: only what failed on a reused connection is repeated. The second attempt goes out on
            // a fresh one, whose failure therefore ends the call.
            reuse = false;
        }
    }

    fn hand_over(&self, response: Response<Body>, held: Arc<Held<C::Output>>) -> Response<Body> {
        let lease = Lease::new(held, &self.pool);
        if response.body().as_full().is_some() {
            // The connection has nothing more to say to this request.
            lease.end();
            return response;
        }
        response.map(|body| Body::with_progress(Kept::new(body, lease)))
    }
}

impl<C> Service<Request<Body>> for Client<C>
where
    C: Service<Connect, Error = ConnectError>,
    C::Output:
        Session<Request<Body>> + Service<Request<Body>, Output = Response<Body>, Error = SendError<Request<Body>>>,
{
    type Output = Response<Body>;
    type Error = ClientError;

    async fn serve(&self, mut request: Request<Body>) -> Result<Response<Body>, ClientError> {
        let config = self.pool.config();
        let key = Key::of(&mut request, config.https)?;
        within(config.timeout, "the response head", self.attempts(&key, request))
            .await
            .unwrap_or_else(|elapsed| Err(ClientError::timeout(&key.target, elapsed)))
    }

    fn describe(&self) -> Description {
        let config = self.pool.config();
        let limit = |limit: Option<Duration>| limit.map_or_else(|| "none".to_owned(), |limit| format!("{limit:?}"));
        Description::named("Client")
            .setting("max_idle", config.max_idle)
            .setting("max_idle_per_key", config.max_idle_per_key)
            .setting("idle_timeout", limit(Some(config.idle_timeout)))
            .setting("connect_timeout", limit(config.connect_timeout))
            .setting("timeout", limit(config.timeout))
            .child(self.connector.describe())
    }
}

impl<C: Service<Connect>> Clone for Client<C> {
    fn clone(&self) -> Self {
        Self { connector: Arc::clone(&self.connector), pool: Arc::clone(&self.pool) }
    }
}

impl<C: Service<Connect>> fmt::Debug for Client<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

/// The request, if it may be sent a second time after this failure; else the error of the call.
fn once_more(
    key: &Key,
    reused: bool,
    error: SendError<Request<Body>>,
    replay: Option<Replay>,
) -> Result<Request<Body>, ClientError> {
    let SendErrorParts { sent, response_seen, source, scope, .. } = error.into_parts();
    match (sent, replay) {
        (Sent::No(request), _) if reused => {
            tracing::debug!(target = %key.target, error = %source, "a kept connection had gone, the request is sent on a fresh one");
            Ok(request)
        }
        (Sent::Unknown, Some(replay)) if reused && !response_seen => {
            tracing::debug!(target = %key.target, error = %source, "a kept connection closed without an answer, the request is repeated");
            Ok(replay.into_request())
        }
        (sent, _) => Err(ClientError::send(&key.target, &sent, source, scope)),
    }
}

/// Waits at most `limit`. Unlike a choice between two ways to wait, it holds the future once.
async fn within<F: Future>(limit: Option<Duration>, what: &'static str, future: F) -> Result<F::Output, Elapsed> {
    let mut future = pin!(future);
    // Outside the cooperative budget: a future that uses its share up at every turn must not outrun its limit.
    let mut timer = pin!(limit.map(|limit| tokio::task::unconstrained(tokio::time::sleep(limit))));
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        match (timer.as_mut().as_pin_mut(), limit) {
            (Some(timer), Some(limit)) => timer.poll(cx).map(|()| Err(Elapsed { what, limit })),
            _ => Poll::Pending,
        }
    })
    .await
}
