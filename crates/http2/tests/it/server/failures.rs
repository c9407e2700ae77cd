//! Services and bodies that fail.

use bytes::Bytes;
use chaski_core::{
    http::{Body, Request, Response},
    service_fn,
};
use http::header;
use http_body::Frame;

use super::{frames::*, harness::*};

/// A stream that waits, while others come and go.
async fn waits(request: Request) -> Handled {
    let body = request.into_body().collect(100).await?;
    Ok(ok(body))
}

/// LIFE-06: a panic, at once or later, costs its stream an answer of 500 and its siblings nothing.
#[tokio::test(start_paused = true)]
async fn life_06_a_panic_costs_one_stream() {
    let service = service_fn(async |request: Request| match request.uri().path() {
        "/now" => panic!("on purpose"),
        "/later" => {
            tokio::task::yield_now().await;
            panic!("on purpose")
        }
        "/body" => Ok(Response::new(Body::new(Panics))),
        _ => waits(request).await,
    });
    let mut client = serve(service).await;
    let (sibling, mut upload) = client.begin(request("POST", "/"), false).await;
    assert_eq!(client.get("/now").await.short(), (500, ""));
    assert_eq!(client.get("/later").await.short(), (500, ""));
    let (response, _) = client.begin(request("GET", "/body"), true).await;
    assert_eq!(broken(response).await, Some(h2::Reason::INTERNAL_ERROR));
    upload.send_data(Bytes::from("still here"), true).unwrap();
    assert_eq!(answer(sibling).await.short(), (200, "still here"));
    client.outcome().await.unwrap();
}

/// LIFE-06: a panic before there is a future.
#[tokio::test(start_paused = true)]
async fn life_06_a_panic_in_the_call_itself_costs_one_stream() {
    struct Rude;
    impl chaski_core::Service<Request> for Rude {
        type Output = Response;
        type Error = chaski_core::BoxError;
        fn serve(&self, request: Request) -> impl Future<Output = Handled> + Send {
            assert_ne!(request.uri().path(), "/panic", "on purpose");
            async { Ok(ok("fine")) }
        }
    }
    let mut client = serve(Rude).await;
    assert_eq!(client.get("/panic").await.short(), (500, ""));
    assert_eq!(client.get("/").await.short(), (200, "fine"));
}

/// LIFE-06: a panic when the call or the body is dropped, be it behind its end or because the client has left.
#[tokio::test(start_paused = true)]
async fn life_06_a_panic_in_a_drop_costs_one_stream() {
    struct Rude;
    impl Drop for Rude {
        fn drop(&mut self) {
            panic!("on purpose");
        }
    }
    impl http_body::Body for Rude {
        type Data = Bytes;
        type Error = std::convert::Infallible;
        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            std::task::Poll::Ready(None)
        }
    }
    let service = service_fn(async |request: Request| match request.uri().path() {
        "/body" => Ok(Response::new(Body::new(Rude))),
        "/left" => {
            let _rude = Rude;
            std::future::pending().await
        }
        _ => waits(request).await,
    });
    let mut client = serve(service).await;
    let (sibling, mut upload) = client.begin(request("POST", "/"), false).await;
    let (response, _) = client.begin(request("GET", "/body"), true).await;
    assert_eq!(patient("a head", response).await.unwrap().status(), 200);
    let (response, _) = client.begin(request("GET", "/left"), true).await;
    tokio::task::yield_now().await;
    drop(response);
    upload.send_data(Bytes::from("still here"), true).unwrap();
    assert_eq!(answer(sibling).await.short(), (200, "still here"));
    client.outcome().await.unwrap();
}

/// Why an answer did not arrive whole. Whether its head does depends on what was written when it broke off.
async fn broken(response: h2::client::ResponseFuture) -> Option<h2::Reason> {
    let error = match patient("a head", response).await {
        Ok(response) => read(&mut response.into_body()).await.unwrap_err(),
        Err(error) => error,
    };
    error.reason()
}

struct Panics;

impl http_body::Body for Panics {
    type Data = Bytes;
    type Error = std::convert::Infallible;
    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        panic!("on purpose")
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_is_a_bare_500() {
    let service = service_fn(async |_: Request| Err("on purpose".into()));
    let mut client = serve(service).await;
    for _ in 0..2 {
        let answer = client.get("/").await;
        assert_eq!(answer.short(), (500, ""));
        assert_eq!(answer.header("content-length"), Some("0"));
    }
    client.outcome().await.unwrap();
}

/// What a service cannot answer with.
#[tokio::test(start_paused = true)]
async fn an_answer_that_is_none_is_a_500() {
    let service = service_fn(async |request: Request| {
        Ok(match request.uri().path() {
            "/101" => status(101),
            "/103" => status(103),
            "/short" => declared("4", Body::full("12345")),
            "/number" => declared("five", Body::full("12345")),
            path => panic!("{path}"),
        })
    });
    let mut client = serve(service).await;
    for path in ["/101", "/103", "/short", "/number"] {
        assert_eq!(client.get(path).await.short(), (500, ""), "{path}");
    }
    client.outcome().await.unwrap();
}

fn declared(length: &str, body: Body) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_LENGTH, length.parse().unwrap());
    response
}

/// A response that has begun and fails is no complete response: the stream is reset, and its siblings go on.
#[tokio::test(start_paused = true)]
async fn an_answer_that_fails_on_the_way_is_reset() {
    let service = service_fn(async |request: Request| {
        let frames = request.uri().path() == "/error";
        let body = Body::new(Pieces(if frames { vec![Ok("12345"), Err("on purpose")] } else { vec![Ok("12345")] }));
        Ok(match request.uri().path() {
            "/long" => declared("4", body),
            "/short" => declared("6", body),
            "/right" => declared("5", body),
            _ => Response::new(body),
        })
    });
    let mut client = serve(service).await;
    for path in ["/error", "/long", "/short"] {
        let (response, _) = client.begin(request("GET", path), true).await;
        assert_eq!(broken(response).await, Some(h2::Reason::INTERNAL_ERROR), "{path}");
    }
    assert_eq!(client.get("/right").await.short(), (200, "12345"));
    client.outcome().await.unwrap();
}

/// Frames, and perhaps an error.
struct Pieces(Vec<Result<&'static str, &'static str>>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = chaski_core::BoxError;
    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.0.is_empty() {
            return std::task::Poll::Ready(None);
        }
        let piece = self.0.remove(0);
        std::task::Poll::Ready(Some(piece.map(|piece| Frame::data(Bytes::from(piece))).map_err(Into::into)))
    }
}

/// A service is not to blame for a body that failed.
#[tokio::test(start_paused = true)]
async fn a_service_that_fails_for_its_body_is_answered_for() {
    let mut raw = Setup::new().raw(service_fn(waits)).await;
    raw.send(&headers(1, &pseudo("POST", "/"), 0)).await;
    // Nobody sends the body: the read of it is late.
    assert_eq!(raw.next_on(1).await.status(), "408");
}
