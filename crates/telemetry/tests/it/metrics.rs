use std::{convert::Infallible, time::Duration};

use chaski_core::{
    BoxError, BoxIo, Conn, Service, describe,
    http::{Body, Message, Request, Response, Upgrade},
    service_fn, stack,
    test_util::{assert_describes_child, mock, pipe},
};
use chaski_telemetry::{Metrics, TunnelRecord};

use crate::{access::frames, memory::Log};

fn request(method: &str, uri: &str, body: impl Into<Body>) -> Request {
    http::Request::builder().method(method).uri(uri).body(body.into()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn connections_are_counted_by_outcome() {
    let metrics = Metrics::new();
    let (inner, mut handle) = mock::<Conn<u8>, (), &str>();
    let service = stack(metrics.connection_layer(), inner);
    for outcome in [Ok(()), Ok(()), Err("no")] {
        let (_, ()) = tokio::join!(service.serve(Conn::new(1)), async {
            let call = handle.next().await;
            assert_eq!(metrics.snapshot().connections.active, 1);
            call.respond(outcome);
        });
    }
    let _ = tokio::time::timeout(Duration::from_secs(1), service.serve(Conn::new(1))).await;
    let counts = metrics.snapshot().connections;
    assert_eq!((counts.opened, counts.active, counts.ok, counts.error, counts.cut), (4, 0, 2, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn requests_are_counted_by_outcome_and_status() {
    let metrics = Metrics::new();
    let service = stack(
        metrics.request_layer(),
        service_fn(async |request: Request| {
            let status: u16 = request.uri().path()[1..].parse().map_err(|_| "no")?;
            Ok::<_, &str>(http::Response::builder().status(status).body(frames([Ok("abc"), Ok("d")])).unwrap())
        }),
    );
    for (status, taken) in [(200, 3), (204, 3), (302, 3), (404, 1), (503, 3), (799, 3)] {
        let response = service.serve(request("POST", &format!("/{status}"), "body")).await.unwrap();
        assert_eq!(metrics.snapshot().requests.active, 1);
        let mut body = response.into_body();
        for _ in 0..taken {
            let _ = body.frame().await;
        }
    }
    service.serve(request("GET", "/fail", ())).await.unwrap_err();
    let counts = metrics.snapshot().requests;
    assert_eq!((counts.started, counts.active, counts.ok, counts.cancelled, counts.error), (7, 0, 5, 1, 1));
    assert_eq!((counts.informational, counts.success, counts.redirection), (0, 2, 1));
    assert_eq!((counts.client_error, counts.server_error, counts.other), (1, 1, 2));
    assert_eq!((counts.bytes_received, counts.bytes_sent), (24, 23));
}

/// Both layers follow one tunnel by one record, whichever stands outside.
#[tokio::test(start_paused = true)]
async fn tunnels_are_counted_and_share_their_record_with_the_log() {
    let (metrics, log) = (Metrics::new(), Log::new());
    let inner = || {
        service_fn(async |request: Request| {
            let record = request.fact::<TunnelRecord>().unwrap().clone();
            let mut response = http::Response::builder().status(101).body(Body::empty()).unwrap();
            Upgrade::new(move |_: Conn<BoxIo>| async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                record.finish(3, 4, "ok");
                std::future::pending::<()>().await;
            })
            .attach(&mut response);
            Ok::<_, Infallible>(response)
        })
    };
    let outside = stack((metrics.request_layer(), log.layer.clone()), inner());
    let inside = stack((log.layer.clone(), metrics.request_layer()), inner());
    let ask = || {
        let mut request = request("GET", "/chat", ());
        request.headers_mut().insert("upgrade", "chat".parse().unwrap());
        request
    };
    let responses = [outside.serve(ask()).await.unwrap(), inside.serve(ask()).await.unwrap()];
    for (mut response, seconds) in responses.into_iter().zip([1, 2]) {
        let counts = metrics.snapshot();
        assert_eq!((counts.tunnels.active, counts.requests.active, counts.requests.ok), (3 - seconds, 0, 2));
        let upgrade = Upgrade::detach(&mut response).unwrap();
        let limit = Duration::from_millis(500 + 1000 * (seconds - 1));
        let _ = tokio::time::timeout(limit, upgrade.run(Conn::new(Box::new(pipe().0)))).await;
    }
    let counts = metrics.snapshot().tunnels;
    // The first was cut before its relay could tell anything.
    assert_eq!((counts.opened, counts.active, counts.cut, counts.bytes_up, counts.bytes_down), (2, 0, 1, 3, 4));
    let lines = log.lines();
    assert!(
        lines[0].contains("status=101 received=0 sent=0") && lines[0].ends_with("outcome=cut trace=-"),
        "{lines:?}"
    );
    assert!(lines[1].contains("status=101 received=3 sent=4") && lines[1].ends_with("outcome=ok trace=-"), "{lines:?}");
}

#[tokio::test]
async fn a_snapshot_prints_on_one_line() {
    let metrics = Metrics::new();
    let service = stack(
        metrics.request_layer(),
        service_fn(async |_: Request| Ok::<_, Infallible>(Response::new(Body::full("hello")))),
    );
    service.serve(request("PUT", "/", "abc")).await.unwrap();
    assert_eq!(
        metrics.snapshot().to_string(),
        concat!(
            "connections 0 (0 active, 0 ok, 0 error, 0 cut); ",
            "requests 1 (0 active, 1 ok, 0 cancelled, 0 error; 1xx 0, 2xx 1, 3xx 0, 4xx 0, 5xx 0, other 0; ",
            "3 bytes received, 5 sent); ",
            "tunnels 0 (0 active, 0 cut; 0 bytes up, 0 down)"
        )
    );
}

#[test]
fn the_layers_show_what_they_wrap() {
    let metrics = Metrics::new();
    let (inner, _handle) = mock::<Request, Response, BoxError>();
    let description = describe::<Request, _>(&stack(metrics.request_layer(), inner));
    assert_describes_child(&description, "MockService");
    let (inner, _handle) = mock::<Conn<u8>, (), BoxError>();
    assert_describes_child(&describe::<Conn<u8>, _>(&stack(metrics.connection_layer(), inner)), "MockService");
}
