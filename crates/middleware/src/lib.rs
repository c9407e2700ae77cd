//! Layers for any service, generic over its input and its output.
//!
//! Use them in a stack of your own, around connections, look-ups and messages alike. What knows HTTP, such as retries or
//! redirects, is not here: that needs to look into the message.
//!
//! # The layers
//!
//! - [`TimeoutLayer`] gives a call a time limit.
//! - [`ConcurrencyLimitLayer`] bounds the calls in flight and those that wait, and sheds the rest.
//! - [`RateLimitLayer`] bounds how often calls happen, [`KeyedRateLimitLayer`] how often for each peer, user or other key.
//! - [`CatchPanicLayer`] makes an error of a panic.
//! - [`TraceLayer`] opens a `tracing` span for each call, and tells its duration and outcome.
//! - [`AddFactLayer`] adds a fact to the scope of connections and dials, and of HTTP messages with the feature `http`.
//! - [`HijackLayer`] sends the inputs that match to another service; [`matcher`] puts tests of inputs together.
//!
//! A layer that can refuse a call fails with [`LayerError`]: its own reason, or the error of the service below. It converts
//! into a [`BoxError`](chaski_core::BoxError) as what it holds, so any of these layers can stand right under a server.
//!
//! # Example
//!
//! ```
//! use chaski_core::{BoxError, Elapsed, Service, find_cause, service_fn, stack};
//! use chaski_middleware::{ConcurrencyLimitLayer, TimeoutLayer};
//! use std::{convert::Infallible, future::pending, time::Duration};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let service = stack(
//!     (
//!         // Outside the limit, so that the time spent waiting for a permit counts too.
//!         TimeoutLayer::new(Duration::from_millis(5)),
//!         ConcurrencyLimitLayer::new(100).with_queue(50),
//!     ),
//!     service_fn(async |n: u32| if n == 0 { pending().await } else { Ok::<_, Infallible>(n * 2) }),
//! );
//! assert_eq!(service.serve(21).await?, 42);
//!
//! let error: BoxError = service.serve(0).await.unwrap_err().into();
//! assert!(find_cause::<Elapsed>(&*error).is_some());
//! # Ok(()) }
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(example()).unwrap();
//! ```
//!
//! # Cancellation
//!
//! Dropping the future of a call drops the inner call, and gives back at once what was taken for it: a permit, a place in
//! a queue. No layer spawns a task.
//!
//! # Limits
//!
//! Every bound is a setting without a hidden default: calls in flight ([`ConcurrencyLimitLayer::new`]), calls that wait
//! for a permit ([`ConcurrencyLimitLayer::with_queue`], none unless set), keys in memory ([`KeyedRateLimitLayer::new`]).

pub mod add_fact;
mod catch_panic;
mod concurrency;
mod error;
mod hijack;
pub mod matcher;
mod rate_limit;
mod timeout;
pub mod trace;

pub use add_fact::{AddFact, AddFactLayer, Scoped};
pub use catch_panic::{CatchPanic, CatchPanicLayer, Panicked};
pub use concurrency::{ConcurrencyLimit, ConcurrencyLimitLayer, Shed};
pub use error::LayerError;
pub use hijack::{Hijack, HijackLayer};
pub use rate_limit::{KeyedRateLimit, KeyedRateLimitLayer, Rate, RateLimit, RateLimitLayer, RateLimited};
pub use timeout::{Timeout, TimeoutLayer};
pub use trace::{Trace, TraceLayer};
