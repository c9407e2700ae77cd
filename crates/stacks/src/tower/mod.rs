//! The bridge to and from [tower](https://docs.rs/tower): its services and layers in a chaski stack, and the reverse.
//!
//! | there is | it shall be | use | for HTTP messages |
//! |---|---|---|---|
//! | a tower service | a chaski service | [`from_tower`] | [`from_tower_http`] |
//! | a chaski service | a tower service | [`into_tower`] | [`into_tower_http`] |
//! | a tower layer | a chaski layer | [`TowerLayer`] | [`TowerHttpLayer`] |
//! | a chaski layer | a tower layer | [`ChaskiLayer`] | [`ChaskiHttpLayer`] |
//!
//! Those for HTTP messages convert bodies too: to the tower side any `http_body::Body` of [`Bytes`](bytes::Bytes) may come
//! and go, on the chaski side it is [`Body`](chaski_core::http::Body). A body that is one already is not boxed again.
//!
//! ```
//! use chaski_core::{Service, http::{Body, Message, Request, Response}, service_fn, stack};
//! use chaski_stacks::tower::{TowerHttpLayer, from_tower_http};
//! use std::convert::Infallible;
//! use tower_http::limit::RequestBodyLimitLayer;
//!
//! # async fn example() -> Result<(), chaski_core::BoxError> {
//! // A layer of tower-http around a service of chaski.
//! let service = stack(
//!     TowerHttpLayer::new(RequestBodyLimitLayer::new(4)),
//!     service_fn(async |request: Request| Ok::<_, Infallible>(Response::new(request.into_body()))),
//! );
//! let response = service.serve(Request::post("/").header("content-length", "5").body(Body::full("hello"))?).await?;
//! assert_eq!(response.status(), 413);
//!
//! // A router of axum where chaski wants a service: under `Http1Server`, for one.
//! let router = axum::Router::new().route("/users/{name}", axum::routing::get(async |axum::extract::Path(name): axum::extract::Path<String>| name));
//! let response = from_tower_http(router).serve(Request::get("/users/ana").body(Body::empty())?).await?;
//! assert_eq!(response.into_body().collect(100).await?, "ana");
//! # Ok(()) }
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(example()).unwrap();
//! ```
//!
//! # Back-pressure
//!
//! A tower service has to be asked whether it is ready, and is called by one caller at a time; a chaski service is called
//! by all at once. So each call has a clone of the tower service, which is awaited until it is ready and then called once.
//! What that means for services with a state:
//!
//! - What clones share, all calls share: the permits of a `ConcurrencyLimit`, the queue of a `Buffer`. Where tower would
//!   keep its caller waiting, the call waits here, and nothing bounds how many do: put a `LoadShed` around it, or take the
//!   [`ConcurrencyLimitLayer`] of chaski's, whose queue has a bound.
//! - Layers of tower's that meet in readiness, as `LoadShed` and what it sheds for, belong into one `ServiceBuilder`, which is
//!   one layer to [`TowerLayer`]: a chaski service between them is always ready.
//! - What a clone copies begins anew with each call: a counter in a plain field counts to one. A service that cannot be
//!   cloned for that reason, such as tower's `RateLimit`, goes behind a `Buffer`, which takes a task of its own.
//! - The other way, a chaski service is always ready: back-pressure of chaski's is in what accepts work, and a layer with a
//!   limit refuses a call by an error.
//!
//! # Facts, upgrades, errors
//!
//! The scope of a message travels in its `http::Extensions`. A tower layer that keeps those keeps the scope, and a service
//! finds it there: in axum as `Extension<chaski_core::Extensions>`. An [`Upgrade`](chaski_core::http::Upgrade) travels in
//! the extensions of the response in the same way. axum's `WebSocketUpgrade` wants an upgrade of hyper's, and does not work here.
//!
//! Errors pass as they are. Under a server of chaski's any that converts into a [`BoxError`](chaski_core::BoxError) will do,
//! tower's own box and `Infallible` among them.
//!
//! # Cancellation
//!
//! Dropping a call drops the call of the other side, and a clone that waits to be ready.
//!
//! # Limits
//!
//! A call into a chaski service from tower is one allocation, since tower has to name its future. A body that a tower layer
//! has wrapped has no [`Progress`](chaski_core::http::Progress): while nobody reads such a response, its request's body is
//! not sent on.
//!
//! [`ConcurrencyLimitLayer`]: https://docs.rs/chaski-middleware

mod body;
mod from;
mod into;
mod layer;

pub use from::{FromTower, FromTowerHttp, from_tower, from_tower_http};
pub use into::{IntoTower, IntoTowerHttp, TowerFuture, into_tower, into_tower_http};
pub use layer::{ChaskiHttpLayer, ChaskiLayer, TowerHttpLayer, TowerLayer, Towered};
