use std::sync::Arc;

use chaski_core::{Description, Layer, Service};
use tower_layer::Layer as TheirLayer;

use super::{
    from::{FromTower, FromTowerHttp, from_tower, from_tower_http},
    into::{IntoTower, IntoTowerHttp, into_tower, into_tower_http},
};

/// A layer of tower in a chaski stack. For HTTP messages see [`TowerHttpLayer`].
///
/// Stack and layer are for one type of input. A layer that changes it is wrapped by hand:
/// `from_tower(layer.layer(into_tower(service)))`.
///
/// ```
/// use chaski_core::{Service, service_fn, stack};
/// use chaski_stacks::tower::TowerLayer;
/// use std::{convert::Infallible, time::Duration};
///
/// # async fn example() -> Result<(), tower::BoxError> {
/// let service = stack(
///     TowerLayer::new(tower::timeout::TimeoutLayer::new(Duration::from_secs(1))),
///     service_fn(async |n: u32| Ok::<_, Infallible>(n * 2)),
/// );
/// assert_eq!(service.serve(21).await?, 42);
/// # Ok(()) }
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(example()).unwrap();
/// ```
#[derive(Clone, Copy, Debug)]
pub struct TowerLayer<L> {
    layer: L,
}

impl<L> TowerLayer<L> {
    /// Wraps services with this layer of tower's.
    #[must_use]
    pub const fn new(layer: L) -> Self {
        Self { layer }
    }
}

impl<S, L: TheirLayer<IntoTower<S>>> Layer<S> for TowerLayer<L> {
    type Service = Towered<S, FromTower<L::Service>>;

    fn layer(&self, inner: S) -> Self::Service {
        let inner = Arc::new(inner);
        let outer = from_tower(self.layer.layer(IntoTower::of(Arc::clone(&inner))));
        Towered { inner, outer }
    }
}

/// A layer of tower's for HTTP messages in a chaski stack: those of `tower-http`, which wrap bodies, among them.
///
/// ```
/// use chaski_core::{Service, http::{Body, Request, Response}, service_fn, stack};
/// use chaski_stacks::tower::TowerHttpLayer;
/// use std::convert::Infallible;
/// use tower_http::compression::CompressionLayer;
///
/// # async fn example() -> Result<(), chaski_core::BoxError> {
/// let service = stack(
///     TowerHttpLayer::new(CompressionLayer::new()),
///     service_fn(async |_: Request| Ok::<_, Infallible>(Response::new(Body::full("again ".repeat(100))))),
/// );
/// let response = service.serve(Request::get("/").header("accept-encoding", "gzip").body(Body::empty())?).await?;
/// assert_eq!(response.headers()["content-encoding"], "gzip");
/// assert!(response.into_body().collect(100).await?.len() < 60);
/// # Ok(()) }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(example()).unwrap();
/// ```
#[derive(Clone, Copy, Debug)]
pub struct TowerHttpLayer<L> {
    layer: L,
}

impl<L> TowerHttpLayer<L> {
    /// Wraps services with this layer of tower's.
    #[must_use]
    pub const fn new(layer: L) -> Self {
        Self { layer }
    }
}

impl<S, L: TheirLayer<IntoTowerHttp<S>>> Layer<S> for TowerHttpLayer<L> {
    type Service = Towered<S, FromTowerHttp<L::Service>>;

    fn layer(&self, inner: S) -> Self::Service {
        let inner = Arc::new(inner);
        let outer = from_tower_http(self.layer.layer(IntoTowerHttp::of(Arc::clone(&inner))));
        Towered { inner, outer }
    }
}

/// A chaski service within a layer of tower's; made by [`TowerLayer`] and [`TowerHttpLayer`].
#[derive(Debug)]
pub struct Towered<S, T> {
    /// For its description alone: tower's layer, which calls it, does not give it out.
    inner: Arc<S>,
    outer: T,
}

impl<Input, S, T> Service<Input> for Towered<S, T>
where
    S: Service<Input>,
    T: Service<Input>,
{
    type Output = T::Output;
    type Error = T::Error;

    fn serve(&self, input: Input) -> impl Future<Output = Result<T::Output, T::Error>> + Send {
        self.outer.serve(input)
    }

    fn describe(&self) -> Description {
        self.outer.describe().child(self.inner.describe())
    }
}

/// A layer of chaski's in a tower stack. For HTTP messages see [`ChaskiHttpLayer`].
///
/// ```
/// use chaski_core::{ServiceExt, layer_fn};
/// use chaski_stacks::tower::ChaskiLayer;
/// use std::convert::Infallible;
/// use tower::{ServiceBuilder, ServiceExt as _};
///
/// # async fn example() -> Result<(), Infallible> {
/// let service = ServiceBuilder::new()
///     .layer(ChaskiLayer::new(layer_fn(|inner| ServiceExt::map_output(inner, |n: u32| n + 1))))
///     .service_fn(async |n: u32| Ok::<_, Infallible>(n * 2));
/// assert_eq!(service.oneshot(21).await?, 43);
/// # Ok(()) }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(example()).unwrap();
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ChaskiLayer<L> {
    layer: L,
}

impl<L> ChaskiLayer<L> {
    /// Wraps services with this layer of chaski's.
    #[must_use]
    pub const fn new(layer: L) -> Self {
        Self { layer }
    }
}

impl<S, L: Layer<FromTower<S>>> TheirLayer<S> for ChaskiLayer<L> {
    type Service = IntoTower<L::Service>;

    fn layer(&self, inner: S) -> Self::Service {
        into_tower(self.layer.layer(from_tower(inner)))
    }
}

/// A layer of chaski's for HTTP messages in a tower stack, such as an axum router.
///
/// ```
/// use axum::{Router, body::Body, http::Request, routing::get};
/// use chaski_stacks::tower::ChaskiHttpLayer;
/// use chaski_telemetry::Metrics;
/// use tower::ServiceExt;
///
/// # async fn example() -> Result<(), chaski_core::BoxError> {
/// let metrics = Metrics::new();
/// let router = Router::new()
///     .route("/", get(async || "hello"))
///     .layer(ChaskiHttpLayer::new(metrics.request_layer()));
/// let response = router.oneshot(Request::get("/").body(Body::empty())?).await?;
/// assert_eq!(axum::body::to_bytes(response.into_body(), 100).await?, "hello");
/// assert_eq!(metrics.snapshot().requests.ok, 1);
/// # Ok(()) }
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(example()).unwrap();
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ChaskiHttpLayer<L> {
    layer: L,
}

impl<L> ChaskiHttpLayer<L> {
    /// Wraps services with this layer of chaski's.
    #[must_use]
    pub const fn new(layer: L) -> Self {
        Self { layer }
    }
}

impl<S, L: Layer<FromTowerHttp<S>>> TheirLayer<S> for ChaskiHttpLayer<L> {
    type Service = IntoTowerHttp<L::Service>;

    fn layer(&self, inner: S) -> Self::Service {
        into_tower_http(self.layer.layer(from_tower_http(inner)))
    }
}
