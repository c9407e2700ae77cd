use std::{
    fmt,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use chaski_core::{
    Connect, ConnectError, ConnectStage, Description, Elapsed, Extensions, SendError, SendErrorParts, Sent, Service,
    Session,
    http::{Body, Message, Request, Response},
};
use http::StatusCode;
use tokio::time::Instant;

use crate::{
    ClientConfig, ClientError, ConnectionReuse, PoolStats,
    expect::Expectation,
    kept::Kept,
    pool::{DialFuture, Lease, Place, Pool, Wait},
    replay::{self, is_idempotent},
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
/// Dropping the future of a call cancels its wait or its request. Its dial is handed to the next call that waits for one of the
/// same target, if there is any. A connection that the request had to itself is closed once something was sent.
pub struct Client<C>
where
    C: Service<Connect>,
    C::Output: Session<Request>,
{
    connector: Arc<C>,
    pool: Arc<Pool<C::Output>>,
}

impl<C> Client<C>
where
    C: Service<Connect, Error = ConnectError>,
    C::Output: Session<Request>,
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
        self.pool.idle()
    }

    /// What there is now, and what was counted since the client was made. Takes each lock of the pool once, so it is for
    /// reports, not for decisions about requests.
    #[must_use]
    pub fn stats(&self) -> PoolStats {
        self.pool.stats()
    }

    /// Closes the connections that are kept now, and says how many there were. Requests under way finish; their
    /// connections are kept again afterwards, until the last clone of the client is dropped.
    pub fn close_idle(&self) -> usize {
        self.pool.close_idle()
    }

    /// A connection for a request: one that is kept, else whatever comes first. With a place it is a new one. One that was made
    /// to another host is found unless the request is to be `alone`.
    async fn connection(
        &self,
        key: &Arc<Key>,
        request: &Request,
        place: Option<Place<C::Output>>,
        alone: bool,
    ) -> Result<Leased<C::Output>, ClientError> {
        let mut wait = match place {
            Some(place) => Wait::with_place(Arc::clone(&self.pool), place),
            None => {
                if let Some(lease) = self.pool.take_in_turn(key) {
                    return Ok(Leased { lease, reused: true, coalesced: false, waited: None });
                }
                if !alone && let Some(lease) = self.pool.coalesce(key, request) {
                    return Ok(Leased { lease, reused: true, coalesced: true, waited: None });
                }
                self.pool.enter(Arc::clone(key)).map_err(|full| ClientError::queue_full(&key.target, full))?
            }
        };
        let since = Instant::now();
        let (lease, reused) = match self.turn(key, &mut wait).await? {
            Some(lease) => (lease, true),
            None => poll_fn(|cx| wait.poll_dial(cx, &mut |key| self.dial(key, request.fork_scope())))
                .await
                .map_err(|failed| ClientError::connect(&key.target, failed))?,
        };
        Ok(Leased { lease, reused, coalesced: false, waited: Some(since.elapsed()) })
    }

    /// Waits for the turn to dial; or gives the connection that comes before it.
    async fn turn(&self, key: &Key, wait: &mut Wait<C::Output>) -> Result<Option<Lease<C::Output>>, ClientError> {
        // The usual case, for which no timer is made.
        if wait.has_turn() {
            return Ok(None);
        }
        let limit = self.pool.config().wait_timeout;
        within(limit, "waiting for a connection", pin!(poll_fn(|cx| wait.poll_turn(cx)))).await.map_err(|elapsed| {
            let error = ConnectError::new(ConnectStage::Timeout).with_message(key.target.to_string());
            ClientError::connect(&key.target, error.with_source(elapsed))
        })
    }

    fn dial(&self, key: &Key, scope: Extensions) -> DialFuture<C::Output> {
        let connector = Arc::clone(&self.connector);
        let limit = self.pool.config().connect_timeout;
        let attempt = scope.clone();
        let connect = Connect {
            target: key.target.clone(),
            server_name: key.server_name.clone(),
            protocol: key.protocol,
            route: key.route.fresh(),
            ext: scope,
        };
        Box::pin(async move {
            let target = connect.target.clone();
            within(limit, "connecting", pin!(connector.serve(connect))).await.unwrap_or_else(|elapsed| {
                let error = ConnectError::new(ConnectStage::Timeout).with_message(target.to_string());
                Err(error.with_scope(attempt).with_source(elapsed))
            })
        })
    }
}

impl<C> Client<C>
where
    C: Service<Connect, Error = ConnectError>,
    C::Output: Session<Request> + Service<Request, Output = Response, Error = SendError<Request>>,
{
    async fn attempts(&self, key: &Arc<Key>, mut request: Request) -> Result<Response, ClientError> {
        let retry = self.pool.config().retry_without_expectation;
        let mut expectation = if retry { Expectation::of(&mut request) } else { None };
        let (mut may_repeat, mut unprocessed, mut alone) = (true, 0, false);
        let mut place = None;
        loop {
            let mut leased = self.connection(key, &request, place.take(), alone).await?;
            let again = Again {
                repeat: leased.reused && may_repeat,
                unprocessed: leased.lease.is_shared() && unprocessed < ClientConfig::MAX_UNPROCESSED,
            };
            // Boxed, as it is seldom there.
            let elsewhere = if leased.coalesced { replay::whole(&mut request).map(Box::new) } else { None };
            // What the one attempt learns is not found by the other.
            let scope = if again.repeat || again.unprocessed { request.split_scope() } else { None };
            match leased.send(request).await {
                Ok(response) => {
                    let misdirected = leased.is_misdirected(key, &response);
                    // Another request, as it were, which may meet a stale connection of its own.
                    if misdirected && let Some(again) = elsewhere {
                        (request, may_repeat, alone) = (*again, true, true);
                    } else if let Some(again) = Expectation::failed(&mut expectation, &response) {
                        (request, may_repeat) = (again, true);
                    } else {
                        return Ok(leased.hand_over(response));
                    }
                }
                Err(error) => {
                    // RFC 9113 section 8.7: what a peer did not process can be sent again, as it has not been sent.
                    if again.unprocessed && error.is_not_sent() {
                        unprocessed += 1;
                    } else {
                        // RFC 9112 section 9.3.1: only what failed on a reused connection is repeated. The second attempt
                        // goes out on a fresh one, whose failure therefore ends the call.
                        may_repeat = false;
                    }
                    request = once_more(key, again, error, &leased)?;
                    if let Some(scope) = scope {
                        request.set_scope(scope);
                    }
                    place = leased.lease.into_place();
                }
            }
        }
    }
}

impl<C> Service<Request> for Client<C>
where
    C: Service<Connect, Error = ConnectError>,
    C::Output: Session<Request> + Service<Request, Output = Response, Error = SendError<Request>>,
{
    type Output = Response;
    type Error = ClientError;

    async fn serve(&self, mut request: Request) -> Result<Response, ClientError> {
        let config = self.pool.config();
        let key = self.pool.keys().of(&mut request, config.https)?;
        within(config.timeout, "the response head", pin!(self.attempts(&key, request)))
            .await
            .unwrap_or_else(|elapsed| Err(ClientError::timeout(&key.target, elapsed)))
    }

    fn describe(&self) -> Description {
        let config = self.pool.config();
        let limit = |limit: Option<Duration>| limit.map_or_else(|| "none".to_owned(), |limit| format!("{limit:?}"));
        let count = |limit: usize| if limit == usize::MAX { "none".to_owned() } else { limit.to_string() };
        Description::named("Client")
            .setting("max_connections", count(config.max_connections))
            .setting("max_connections_per_key", count(config.max_connections_per_key))
            .setting("max_waiting", count(config.max_waiting))
            .setting("max_idle", config.max_idle)
            .setting("max_idle_per_key", config.max_idle_per_key)
            .setting("idle_timeout", limit(Some(config.idle_timeout)))
            .setting("max_age", limit(config.max_age))
            .setting("wait_timeout", limit(config.wait_timeout))
            .setting("connect_timeout", limit(config.connect_timeout))
            .setting("timeout", limit(config.timeout))
            .setting("coalescing", if config.coalescing.is_some() { "as the policy says" } else { "none" })
            .writes::<ConnectionReuse>()
            .child(self.connector.describe())
    }
}

impl<C> Clone for Client<C>
where
    C: Service<Connect>,
    C::Output: Session<Request>,
{
    fn clone(&self) -> Self {
        Self { connector: Arc::clone(&self.connector), pool: Arc::clone(&self.pool) }
    }
}

impl<C> fmt::Debug for Client<C>
where
    C: Service<Connect>,
    C::Output: Session<Request>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

/// A connection for a request, and how it was come by.
struct Leased<S: Session<Request>> {
    lease: Lease<S>,
    reused: bool,
    /// It was made to another host.
    coalesced: bool,
    /// `None` for one that was there at once.
    waited: Option<Duration>,
}

impl<S: Session<Request>> Leased<S> {
    /// The fact about it, where the one of the connection is not true for this request.
    fn fact(&self) -> Option<ConnectionReuse> {
        let of_connection = || self.lease.session().scope().get::<ConnectionReuse>();
        match self.waited {
            Some(waited) => Some(of_connection()?.of_call(self.reused, waited)),
            None if self.coalesced => Some(of_connection()?.of_coalesced()),
            None => None,
        }
    }

    /// Whether the peer wants no requests for this host, which is not the one that the connection was made to.
    fn is_misdirected(&self, key: &Key, response: &Response) -> bool {
        if !self.coalesced {
            return false;
        }
        let Some(host) = key.origin() else { return false };
        // RFC 9110 section 15.5.20: such a request goes out again over another connection, whatever its method.
        let misdirected = response.status() == StatusCode::MISDIRECTED_REQUEST;
        self.lease.answered(host, misdirected);
        if misdirected {
            let connection = &self.lease.key().target;
            tracing::debug!(target = %key.target, %connection, "the server wants no requests for this host there");
        }
        misdirected
    }
}

impl<S> Leased<S>
where
    S: Session<Request> + Service<Request, Output = Response, Error = SendError<Request>>,
{
    async fn send(&mut self, request: Request) -> Result<Response, SendError<Request>> {
        let mut reservation = self.lease.begin();
        let mut sending = pin!(self.lease.session().serve(request));
        poll_fn(|cx| {
            let polled = sending.as_mut().poll(cx);
            drop(reservation.take());
            polled
        })
        .await
    }

    fn hand_over(self, mut response: Response) -> Response {
        if let Some(fact) = self.fact() {
            response.scope().insert(fact);
        }
        // Without a body to come, the connection has nothing more to say to this request, and is given back here.
        match response.body().as_full() {
            Some(_) => response,
            None => response.map(|body| Body::with_progress(Kept::new(body, self.lease))),
        }
    }
}

/// Why a request may go out again.
#[derive(Clone, Copy)]
struct Again {
    /// Its connection was used before, and may have gone stale.
    repeat: bool,
    /// Its connection carries others, and the peer may refuse this one for that.
    unprocessed: bool,
}

/// The request, if it may be sent once more after this failure; else the error of the call.
fn once_more<S: Session<Request>>(
    key: &Key,
    again: Again,
    error: SendError<Request>,
    leased: &Leased<S>,
) -> Result<Request, ClientError> {
    let SendErrorParts { sent, response_seen, source, scope, .. } = error.into_parts();
    match sent {
        Sent::No(request) if again.unprocessed => {
            tracing::debug!(target = %key.target, error = %source, "the peer did not process the request, which is sent again");
            Ok(request)
        }
        Sent::No(request) if again.repeat && !leased.lease.is_shared() => {
            tracing::debug!(target = %key.target, error = %source, "a kept connection had gone, the request is sent on a fresh one");
            Ok(request)
        }
        Sent::Unknown(Some(request)) if again.repeat && !response_seen && is_idempotent(request.method()) => {
            tracing::debug!(target = %key.target, error = %source, "a kept connection closed without an answer, the request is repeated");
            Ok(request)
        }
        sent => {
            if let Some(fact) = leased.fact() {
                scope.insert(fact);
            }
            Err(ClientError::send(&key.target, &sent, source, scope))
        }
    }
}

/// Waits at most `limit`. Unlike a choice between two ways to wait, it has the future once; and where the caller has pinned
/// it, as what is to come of a request is large.
async fn within<F: Future>(
    limit: Option<Duration>,
    what: &'static str,
    mut future: Pin<&mut F>,
) -> Result<F::Output, Elapsed> {
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
