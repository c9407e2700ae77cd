//! Services and layers for any input, across the bridge to tower and back.

use std::{
    convert::Infallible,
    future::{Ready, pending, ready},
    task::{Context, Poll},
    time::Duration,
};

use chaski_core::{
    BoxError, Service, describe, find_cause, service_fn, stack,
    test_util::{MockHandle, MockService, mock},
};
use chaski_middleware::{ConcurrencyLimitLayer, LayerError, Shed};
use chaski_stacks::tower::{ChaskiLayer, TowerLayer, from_tower, into_tower};
use tokio::time::{Instant, sleep, timeout};
use tower::{
    ServiceBuilder, ServiceExt, limit::ConcurrencyLimitLayer as TheirLimitLayer, load_shed::error::Overloaded,
};

use crate::net::in_time;

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("failed at {0}")]
struct Failed(u8);

fn answering() -> (MockService<u8, u8, Failed>, MockHandle<u8, u8, Failed>) {
    mock()
}

/// What clones share holds for all calls, and a call that is dropped gives its share back, waiting or running.
#[tokio::test(start_paused = true)]
async fn a_concurrency_limit_of_tower_holds_for_all_calls() {
    let (inner, mut handle) = answering();
    let service = stack(TowerLayer::new(TheirLimitLayer::new(1)), inner);
    in_time(async {
        let given_up = timeout(Duration::from_secs(3), service.serve(2));
        let (first, second, third, ()) = tokio::join!(service.serve(1), given_up, service.serve(3), async {
            let call = handle.next().await;
            assert_eq!(call.input, 1);
            sleep(Duration::from_secs(5)).await;
            assert!(handle.try_next().is_none(), "the others wait");
            call.respond(Ok(10));
            let call = handle.next().await;
            assert_eq!(call.input, 3, "the second no longer waits");
            call.respond(Err(Failed(3)));
        });
        assert!(second.is_err());
        assert_eq!((first, third), (Ok(10), Err(Failed(3))));

        let (dropped, ()) = tokio::join!(timeout(Duration::from_secs(1), service.serve(4)), async {
            handle.next().await.cancelled().await;
        });
        assert!(dropped.is_err());
        let (fifth, ()) = tokio::join!(service.serve(5), async {
            handle.next().await.respond(Ok(50));
        });
        assert_eq!(fifth, Ok(50));
    })
    .await;
}

/// Readiness is for the tower layers among themselves: it does not cross a seam to chaski.
#[tokio::test(start_paused = true)]
async fn load_is_shed_where_limit_and_shed_are_one_tower_stack() {
    let (inner, mut handle) = answering();
    let limit = TowerLayer::new(ServiceBuilder::new().load_shed().concurrency_limit(1));
    let service = stack(limit, inner);
    in_time(async {
        let (first, second, ()) = tokio::join!(service.serve(1), service.serve(2), async {
            handle.next().await.respond(Ok(10));
        });
        assert_eq!(first.unwrap(), 10);
        assert!(find_cause::<Overloaded>(&*second.unwrap_err()).is_some());
    })
    .await;
}

/// A service that cannot be cloned goes behind a buffer.
#[tokio::test(start_paused = true)]
async fn a_rate_limit_behind_a_buffer_spaces_all_calls_out() {
    let second = Duration::from_secs(1);
    let limit = TowerLayer::new(ServiceBuilder::new().buffer(8).rate_limit(1, second));
    let started = Instant::now();
    let service = stack(limit, service_fn(async |(): ()| Ok::<_, Infallible>(Instant::now())));
    let (one, two, three) =
        in_time(async { tokio::join!(service.serve(()), service.serve(()), service.serve(())) }).await;
    let at = [one, two, three].map(|at| at.unwrap().duration_since(started).as_secs());
    assert_eq!(at, [0, 1, 2]);
}

/// Counts its calls in a plain field, wants to be asked before each, and is not ready for good at the fourth.
#[derive(Default)]
struct Counter {
    calls: u8,
    asked: bool,
}

impl Clone for Counter {
    /// As tower says: a clone need not be ready, even if the service is.
    fn clone(&self) -> Self {
        Self { calls: self.calls, asked: false }
    }
}

impl tower::Service<u8> for Counter {
    type Response = u8;
    type Error = Failed;
    type Future = Ready<Result<u8, Failed>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        if self.calls == 3 {
            return Poll::Ready(Err(Failed(3)));
        }
        if !std::mem::replace(&mut self.asked, true) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: u8) -> Self::Future {
        assert!(std::mem::take(&mut self.asked), "it was not asked");
        self.calls += 1;
        ready(Ok(self.calls))
    }
}

#[tokio::test]
async fn each_call_has_a_clone_that_was_asked_and_fails_as_it_does() {
    let service = from_tower(Counter { calls: 1, asked: true });
    assert_eq!(service.serve(0).await, Ok(2));
    assert_eq!(service.serve(0).await, Ok(2), "what a clone copies begins anew");
    assert_eq!(from_tower(Counter { calls: 3, asked: true }).serve(0).await, Err(Failed(3)));
}

#[tokio::test(start_paused = true)]
async fn a_service_of_chaski_is_one_of_tower_that_is_dropped_when_it_is_given_up() {
    let (inner, mut handle) = answering();
    let service = ServiceBuilder::new().timeout(Duration::from_secs(2)).service(into_tower(inner));
    in_time(async {
        let (ok, late, ()) = tokio::join!(service.clone().oneshot(1), service.clone().oneshot(2), async {
            handle.next().await.respond(Ok(10));
            handle.next().await.cancelled().await;
        });
        assert_eq!(ok.unwrap(), 10);
        assert!(late.unwrap_err().is::<tower::timeout::error::Elapsed>());
    })
    .await;
}

/// A layer of chaski's in a stack of tower's, in a stack of chaski's.
#[tokio::test]
async fn clones_of_a_tower_stack_share_the_limit_of_a_chaski_layer() {
    let never = tower::service_fn(async |_: u8| pending::<Result<u8, Failed>>().await);
    let service = ServiceBuilder::new().layer(ChaskiLayer::new(ConcurrencyLimitLayer::new(1))).service(never);
    let service = from_tower(service);
    let (waits, shed) = tokio::join!(timeout(Duration::ZERO, service.serve(1)), service.serve(2));
    assert!(waits.is_err());
    assert_eq!(shed, Err(LayerError::Layer(Shed)));
    let error: BoxError = shed.unwrap_err().into();
    assert!(error.is::<Shed>());
}

#[test]
fn a_stack_shows_the_tower_layers_and_what_is_within() {
    let service = stack(TowerLayer::new(TheirLimitLayer::new(1)), answering().0);
    assert_eq!(describe::<u8, _>(&service).to_string(), "tower(ConcurrencyLimit)\n└─ MockService\n");
}
