//! The layers for any service, right under the server.

use std::{num::NonZeroU32, sync::atomic::Ordering, time::Duration};

use chaski_core::{
    BoxError, Service,
    http::{Body, Request, Response},
    service_fn, stack,
};
use chaski_middleware::{
    AddFactLayer, CatchPanicLayer, ConcurrencyLimitLayer, Rate, RateLimitLayer, TimeoutLayer, TraceLayer,
};

use crate::net::{Net, get, in_time, read};

/// A handler that fails with a box, in all layers that can refuse a call: nothing has to be mapped. What fails is answered
/// with 500, and the connection goes on.
#[tokio::test(start_paused = true)]
async fn layers_that_refuse_calls_stand_under_a_server_as_they_are() {
    let handler = service_fn(async |request: Request| match request.uri().path() {
        "/panic" => panic!("the test's own"),
        "/slow" => std::future::pending().await,
        "/error" => Err(BoxError::from("no")),
        _ => Ok(Response::new(Body::full("fine"))),
    });
    let service = stack(
        (
            TraceLayer::new("request").with_fields(|request: &Request| request.uri().path().to_owned()),
            AddFactLayer::from_fn(|request: &Request| request.uri().clone()),
            TimeoutLayer::new(Duration::from_secs(5)),
            ConcurrencyLimitLayer::new(8),
            RateLimitLayer::new(Rate::new(NonZeroU32::MAX, Duration::from_secs(1))),
            CatchPanicLayer::new(),
        ),
        handler,
    );
    let net = Net::default();
    let dialed = net.serve_at("a.test:80", service);
    let client = net.client();
    in_time(async {
        for (path, status, text) in
            [("/", 200, "fine"), ("/panic", 500, ""), ("/slow", 500, ""), ("/error", 500, ""), ("/", 200, "fine")]
        {
            let (seen, body) = read(client.serve(get(&format!("http://a.test{path}"))).await.unwrap()).await;
            assert_eq!((seen, &body[..]), (status, text.as_bytes()), "{path}");
        }
        assert_eq!(dialed.load(Ordering::SeqCst), 1);
    })
    .await;
}
