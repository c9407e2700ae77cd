//! How much one caller may have under way.

use std::{
    collections::HashMap,
    num::NonZeroUsize,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use chaski_core::{
    BoxError, Caller, Description, Layer, Service, SocketAddrs, User,
    http::{Body, Progress, Request, Response, Upgrade},
};
use http::{HeaderValue, StatusCode, header};
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::{Pseudonym, answer::Refusal, status::ProxyError};

/// Bounds how many requests and tunnels one [`Caller`] has under way at a time.
///
/// A request counts until its response has been read to the end, or dropped; one that became a tunnel counts until that
/// is over. What exceeds the limit is answered at once with 429 and Retry-After (RFC 6585 section 4): nothing waits.
///
/// The limit belongs to the layer: the services that one layer and its clones make share it.
///
/// ```
/// use chaski_core::{Service, http::{Body, Request, Response}, service_fn, stack};
/// use chaski_proxy::CallerLimitLayer;
/// use std::{convert::Infallible, num::NonZeroUsize};
///
/// # async fn example() {
/// let stream = service_fn(async |_: Request| Ok::<_, Infallible>(Response::new(Body::full("hello").with_trailers(Default::default()))));
/// let limited = stack(CallerLimitLayer::new(NonZeroUsize::MIN), stream);
///
/// let Ok(first) = limited.serve(Request::new(Body::empty())).await;
/// let Ok(second) = limited.serve(Request::new(Body::empty())).await;
/// assert_eq!((first.status().as_u16(), second.status().as_u16()), (200, 429));
///
/// first.into_body().collect(10).await.unwrap();
/// let Ok(third) = limited.serve(Request::new(Body::empty())).await;
/// assert_eq!(third.status(), 200);
/// # }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(example());
/// ```
///
/// # Cancel safety
///
/// Dropping the future of a request, its response, the response's body or the tunnel's [`Upgrade`] ends what was counted.
///
/// # Order
///
/// Inside of [`ProxyAuthLayer`](crate::ProxyAuthLayer), so that users are told apart; outside of the proxy.
///
/// # Limits
///
/// A caller is in memory while something of theirs is under way, so there are never more of them than requests and tunnels.
/// One lock, held for a look-up in a hash map.
#[derive(Clone, Debug)]
pub struct CallerLimitLayer {
    limit: NonZeroUsize,
    counts: Arc<Counts>,
    name: Option<Pseudonym>,
}

impl CallerLimitLayer {
    /// At most so many for each caller.
    #[must_use]
    pub fn new(limit: NonZeroUsize) -> Self {
        Self { limit, counts: Arc::default(), name: None }
    }

    /// Names the proxy in the Proxy-Status of answers. Give it the [name of the proxy](crate::ForwardProxy::with_pseudonym)
    /// below. Default: none, and no Proxy-Status.
    #[must_use]
    pub fn with_pseudonym(mut self, name: Pseudonym) -> Self {
        self.name = Some(name);
        self
    }
}

impl<S> Layer<S> for CallerLimitLayer {
    type Service = CallerLimit<S>;

    fn layer(&self, inner: S) -> CallerLimit<S> {
        CallerLimit { limit: self.clone(), inner }
    }
}

/// The service of [`CallerLimitLayer`].
#[derive(Clone, Debug)]
pub struct CallerLimit<S> {
    limit: CallerLimitLayer,
    inner: S,
}

impl<S> Service<Request> for CallerLimit<S>
where
    S: Service<Request, Output = Response>,
{
    type Output = Response;
    type Error = S::Error;

    async fn serve(&self, request: Request) -> Result<Response, S::Error> {
        let CallerLimitLayer { limit, counts, name } = &self.limit;
        let Some(permit) = Permit::take(counts, Caller::of(&request), *limit) else {
            tracing::debug!(%limit, "a request is refused because too much of its caller is under way");
            let text = format!("{limit} requests and tunnels are under way, and more are not allowed at a time");
            return Ok(refuse(text, Duration::ZERO, name.as_ref()));
        };
        let response = self.inner.serve(request).await?;
        Ok(permit.follow(response))
    }

    fn describe(&self) -> Description {
        Description::of::<Self>()
            .setting("limit", self.limit.limit)
            .may_read::<SocketAddrs>()
            .may_read::<User>()
            .child(self.inner.describe())
    }
}

/// The answer to a caller who asks too often: 429, a line of text, and Retry-After.
///
/// For a rate limit in front of a proxy, which knows after which time a request would pass. `by` is the proxy's name for
/// Proxy-Status.
#[must_use]
pub fn too_many_requests(retry_after: Duration, by: Option<&Pseudonym>) -> Response {
    refuse("too many requests, slow down".to_owned(), retry_after, by)
}

/// Retry-After is in whole seconds (RFC 9110 section 10.2.3): rounded up, and not 0, which would be asked for at once.
fn refuse(text: String, retry_after: Duration, by: Option<&Pseudonym>) -> Response {
    let seconds = retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0);
    let refusal = Refusal::new(StatusCode::TOO_MANY_REQUESTS, ProxyError::HttpRequestDenied, text);
    let mut response = refusal.into_response(by);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    response
}

#[derive(Debug, Default)]
struct Counts(Mutex<HashMap<Caller, NonZeroUsize>>);

impl Counts {
    fn lock(&self) -> MutexGuard<'_, HashMap<Caller, NonZeroUsize>> {
        // Nothing panics while the lock is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of what a caller may have under way, given back on drop.
struct Permit {
    counts: Arc<Counts>,
    caller: Caller,
}

impl Permit {
    fn take(counts: &Arc<Counts>, caller: Caller, limit: NonZeroUsize) -> Option<Self> {
        let mut all = counts.lock();
        let count = match all.get(&caller) {
            Some(count) if *count >= limit => return None,
            Some(count) => count.saturating_add(1),
            None => NonZeroUsize::MIN,
        };
        all.insert(caller.clone(), count);
        drop(all);
        Some(Self { counts: Arc::clone(counts), caller })
    }

    /// Goes along with the response, or with the tunnel that it opens.
    fn follow(self, mut response: Response) -> Response {
        if let Some(upgrade) = Upgrade::detach(&mut response) {
            let followed = Upgrade::new(async move |conn| {
                upgrade.run(conn).await;
                drop(self);
            });
            followed.attach(&mut response);
            return response;
        }
        if response.body().as_full().is_some() {
            // It leaves in one piece, and an engine knows how to do that best: so it is not wrapped, and over here.
            return response;
        }
        response.map(|body| Body::with_progress(Held { body, permit: Some(self) }))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut all = self.counts.lock();
        match all.get_mut(&self.caller).map(|count| (NonZeroUsize::new(count.get() - 1), count)) {
            Some((Some(less), count)) => *count = less,
            _ => drop(all.remove(&self.caller)),
        }
    }
}

/// A response's body, and the permit until it has ended.
struct Held {
    body: Body,
    permit: Option<Permit>,
}

impl Progress for Held {
    fn poll_progress(mut self: Pin<&mut Self>, cx: &mut Context<'_>) {
        self.body.poll_progress(cx);
    }
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        // At the last frame already: who knows the length does not ask for the end.
        if !matches!(frame, Some(Ok(_))) || self.body.is_end_stream() {
            self.permit = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests;
