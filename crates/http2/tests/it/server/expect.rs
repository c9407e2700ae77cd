//! RFC 9110 section 10.1.1: `Expect: 100-continue`.

use chaski_core::{
    http::{Request, Response},
    service_fn,
};

use super::{frames::*, harness::*};

fn expecting(stream: u32, expectation: &str) -> Frame {
    headers(stream, &[&pseudo("POST", "/")[..], &[("expect", expectation)]].concat(), 0)
}

/// 100 leaves when the body is first read, and not before.
#[tokio::test(start_paused = true)]
async fn the_client_is_asked_when_the_body_is_read() {
    let go = std::sync::Arc::new(tokio::sync::Notify::new());
    let service = chaski_core::service_fn_with(
        std::sync::Arc::clone(&go),
        async |go: std::sync::Arc<tokio::sync::Notify>, request: Request| {
            go.notified().await;
            let body = request.into_body().collect(100).await?;
            Ok::<_, chaski_core::BoxError>(ok(body))
        },
    );
    let mut raw = Setup::new().raw(service).await;
    raw.send(&expecting(1, "100-Continue")).await;
    // An answer to a PING shows that nothing was sent before it.
    raw.send(&Frame::new(PING, 0, 0, [7; 8])).await;
    loop {
        let frame = raw.next().await.unwrap();
        assert_ne!(frame.kind, HEADERS, "asked too early");
        if frame.kind == PING {
            break;
        }
    }
    go.notify_one();
    let asked = raw.next_on(1).await;
    assert_eq!((asked.status(), asked.flags), ("100".to_owned(), END_HEADERS));
    raw.send(&data(1, b"here", END_STREAM)).await;
    assert_eq!(raw.next_on(1).await.kind, HEADERS);
    assert_eq!(raw.next_on(1).await, data(1, b"here", END_STREAM));
}

/// An answer whose body is the request's own asks before it begins; a service that lets go of the body does not ask.
#[tokio::test(start_paused = true)]
async fn an_answer_that_reads_the_body_asks_before_it_begins() {
    let mut raw = Setup::new().raw(service_fn(echo)).await;
    raw.send(&expecting(1, "100-continue")).await;
    assert_eq!(raw.next_on(1).await.status(), "100");
    assert_eq!(raw.next_on(1).await.kind, HEADERS);
    raw.send(&data(1, b"here", END_STREAM)).await;
    assert_eq!(raw.next_on(1).await.payload, b"here");

    let service = service_fn(async |_: Request| Ok(ok("no")));
    let mut raw = Setup::new().raw(service).await;
    raw.send(&expecting(1, "100-continue")).await;
    assert_eq!(raw.next_on(1).await.status(), "200");
    assert_eq!(raw.next_on(1).await, data(1, b"no", END_STREAM));
    assert_eq!(raw.next_on(1).await, reset(1, 0));
}

/// Who sends at once is not asked.
#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_wait_is_not_asked() {
    let service = service_fn(async |request: Request| {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        Ok(Response::new(request.into_body().collect(100).await?.into()))
    });
    let mut raw = Setup::new().raw(service).await;
    raw.send(&expecting(1, "100-continue")).await;
    raw.send(&data(1, b"here", END_STREAM)).await;
    assert_eq!(raw.next_on(1).await.status(), "200");
    assert_eq!(raw.next_on(1).await, data(1, b"here", END_STREAM));
}

#[tokio::test(start_paused = true)]
async fn another_expectation_is_refused() {
    let service = service_fn(async |_: Request| panic!("it reached the service"));
    let mut client = serve(service).await;
    for expectation in ["200-maybe", "100-continue, more"] {
        let mut request = request("GET", "/");
        request.headers_mut().insert("expect", expectation.parse().unwrap());
        let (response, _) = client.begin(request, true).await;
        assert_eq!(answer(response).await.short(), (417, ""));
    }
}
