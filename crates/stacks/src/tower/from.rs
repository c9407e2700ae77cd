use std::future::poll_fn;

use bytes::Bytes;
use chaski_core::{
    BoxError, Description, Service,
    http::{Body, Request, Response},
};
use http_body::Body as HttpBody;
use tower_service::Service as TowerService;

use super::body::convert;

/// Makes a chaski service of a tower service. For HTTP messages see [`from_tower_http`].
///
/// Each call clones the service, waits until the clone is ready, and calls it: see
/// [what that means for services with a state](super#back-pressure). A service that is not `Sync` can be boxed with tower's
/// `BoxCloneSyncService`.
///
/// ```
/// use chaski_core::Service;
/// use chaski_stacks::tower::from_tower;
///
/// # async fn example() -> Result<(), std::convert::Infallible> {
/// let double = from_tower(tower::service_fn(async |n: u32| Ok::<_, std::convert::Infallible>(n * 2)));
/// assert_eq!(double.serve(21).await?, 42);
/// # Ok(()) }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(example()).unwrap();
/// ```
///
/// # Errors
///
/// Those of the tower service: of its `poll_ready` and of the call.
///
/// # Cancel safety
///
/// Dropping a call drops the clone that waits, or the tower service's future.
pub const fn from_tower<S>(service: S) -> FromTower<S> {
    FromTower { service }
}

/// Makes a chaski service over HTTP messages of a tower service: it is given requests with chaski's [`Body`], and may answer
/// with a body of any type.
///
/// All else is as with [`from_tower`].
pub const fn from_tower_http<S>(service: S) -> FromTowerHttp<S> {
    FromTowerHttp { service }
}

/// Made by [`from_tower`].
#[derive(Clone, Copy, Debug)]
pub struct FromTower<S> {
    service: S,
}

impl<Input, S> Service<Input> for FromTower<S>
where
    Input: Send + 'static,
    S: TowerService<Input> + Clone + Send + Sync + 'static,
    S::Response: Send + 'static,
    S::Error: Send + 'static,
    S::Future: Send,
{
    type Output = S::Response;
    type Error = S::Error;

    fn serve(&self, input: Input) -> impl Future<Output = Result<S::Response, S::Error>> + Send {
        call(self.service.clone(), input)
    }

    fn describe(&self) -> Description {
        name::<S>()
    }
}

/// Made by [`from_tower_http`].
#[derive(Clone, Copy, Debug)]
pub struct FromTowerHttp<S> {
    service: S,
}

impl<B, S> Service<Request> for FromTowerHttp<S>
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
    S: TowerService<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Send + 'static,
    S::Future: Send,
{
    type Output = Response;
    type Error = S::Error;

    async fn serve(&self, request: Request) -> Result<Response, S::Error> {
        Ok(call(self.service.clone(), request).await?.map(convert))
    }

    fn describe(&self) -> Description {
        name::<S>()
    }
}

/// The clone that was ready is the one that is called. It is let go before the answer is awaited, as tower's `oneshot` does.
async fn call<Input, S: TowerService<Input>>(mut service: S, input: Input) -> Result<S::Response, S::Error> {
    poll_fn(|cx| service.poll_ready(cx)).await?;
    let answer = service.call(input);
    drop(service);
    answer.await
}

/// tower's services do not tell their shape, only the name of their outermost type is known.
fn name<S>() -> Description {
    Description::named(format!("tower({})", Description::of::<S>().name()))
}
