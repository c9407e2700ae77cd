use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use chaski_core::{
    BoxError, Service,
    http::{Request, Response},
};
use http_body::Body as HttpBody;
use tower_service::Service as TowerService;

use super::body::convert;

/// The future of a chaski service that is called through tower.
pub type TowerFuture<Output, Error> = Pin<Box<dyn Future<Output = Result<Output, Error>> + Send>>;

/// Makes a tower service of a chaski service: it can be cloned, which shares it, and is always ready. For HTTP messages see
/// [`into_tower_http`].
///
/// ```
/// use chaski_core::service_fn;
/// use chaski_stacks::tower::into_tower;
/// use std::convert::Infallible;
/// use tower::ServiceExt;
///
/// # async fn example() -> Result<(), Infallible> {
/// let double = into_tower(service_fn(async |n: u32| Ok::<_, Infallible>(n * 2)));
/// assert_eq!(double.oneshot(21).await?, 42);
/// # Ok(()) }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(example()).unwrap();
/// ```
///
/// # Cancel safety
///
/// Dropping the future drops the call.
pub fn into_tower<S>(service: S) -> IntoTower<S> {
    IntoTower { service: Arc::new(service) }
}

/// Makes a tower service over HTTP messages of a chaski service: requests may come with a body of any type, and are answered
/// with chaski's [`Body`](chaski_core::http::Body), which is an `http_body::Body` like others.
///
/// All else is as with [`into_tower`].
pub fn into_tower_http<S>(service: S) -> IntoTowerHttp<S> {
    IntoTowerHttp { service: Arc::new(service) }
}

/// Made by [`into_tower`].
pub struct IntoTower<S> {
    service: Arc<S>,
}

impl<Input, S> TowerService<Input> for IntoTower<S>
where
    Input: Send + 'static,
    S: Service<Input>,
{
    type Response = S::Output;
    type Error = S::Error;
    type Future = TowerFuture<S::Output, S::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, input: Input) -> Self::Future {
        let service = Arc::clone(&self.service);
        Box::pin(async move { service.serve(input).await })
    }
}

/// Made by [`into_tower_http`].
pub struct IntoTowerHttp<S> {
    service: Arc<S>,
}

impl<B, S> TowerService<Request<B>> for IntoTowerHttp<S>
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
    S: Service<Request, Output = Response>,
{
    type Response = Response;
    type Error = S::Error;
    type Future = TowerFuture<Response, S::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (service, request) = (Arc::clone(&self.service), request.map(convert));
        Box::pin(async move { service.serve(request).await })
    }
}

macro_rules! shared {
    ($($name:ident),*) => {$(
        impl<S> $name<S> {
            pub(super) const fn of(service: Arc<S>) -> Self {
                Self { service }
            }
        }

        impl<S> Clone for $name<S> {
            fn clone(&self) -> Self {
                Self { service: Arc::clone(&self.service) }
            }
        }

        impl<S: fmt::Debug> fmt::Debug for $name<S> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.service).finish()
            }
        }
    )*};
}

shared!(IntoTower, IntoTowerHttp);
