use std::{future::Future, pin::Pin, sync::atomic::AtomicBool, sync::atomic::Ordering};

use chaski_core::{
    Conn, describe,
    http::Message,
    stack,
    test_util::{MockHandle, MockService, assert_describes_child, mock},
};
use http::HeaderMap;
use tokio::{io::duplex, sync::oneshot, time::timeout};

use super::*;

type Limited = Arc<CallerLimit<MockService<Request, Response, BoxError>>>;
type Serving = Pin<Box<dyn Future<Output = Result<Response, BoxError>>>>;

fn limited(limit: usize) -> (Limited, MockHandle<Request, Response, BoxError>) {
    let (inner, handle) = mock();
    (Arc::new(stack(CallerLimitLayer::new(NonZeroUsize::new(limit).unwrap()), inner)), handle)
}

/// A request of a user, or of whoever is at an address.
fn request(caller: &str) -> Request {
    let mut request = Request::new(Body::empty());
    match caller.parse() {
        Ok(peer) => request.scope().insert(SocketAddrs { local: peer, peer }),
        Err(_) => request.scope().insert(User(caller.into())),
    };
    request
}

fn call(service: &Limited, caller: &str) -> Serving {
    let (service, request) = (Arc::clone(service), request(caller));
    Box::pin(async move { service.serve(request).await })
}

/// Polled until the service below has it.
async fn begun(service: &Limited, caller: &str) -> Serving {
    let mut serving = call(service, caller);
    assert!(timeout(Duration::ZERO, &mut serving).await.is_err(), "{caller} is under way");
    serving
}

async fn is_refused(service: &Limited, caller: &str) -> bool {
    match timeout(Duration::ZERO, call(service, caller)).await {
        Ok(answer) => answer.unwrap().status() == 429,
        Err(_) => false,
    }
}

fn counted(service: &Limited) -> usize {
    service.limit.counts.lock().values().map(|count| count.get()).sum()
}

fn streamed() -> Response {
    Response::new(Body::full("hello").with_trailers(HeaderMap::new()))
}

#[tokio::test(start_paused = true)]
async fn what_exceeds_the_limit_is_answered_at_once() {
    let (service, mut handle) = limited(2);
    let (one, _two) = (begun(&service, "ana").await, begun(&service, "ana").await);
    let answer = call(&service, "ana").await.unwrap();
    assert_eq!(answer.status(), 429);
    assert_eq!(answer.headers()["retry-after"], "1");
    let text = answer.into_body().collect(100).await.unwrap();
    assert_eq!(text, "2 requests and tunnels are under way, and more are not allowed at a time\n");
    let call = handle.try_next().unwrap();
    assert!(handle.try_next().is_some() && handle.try_next().is_none(), "what was refused never got there");

    // Another user is not concerned, and a failure counts no longer than an answer.
    let _other = begun(&service, "ben").await;
    call.respond(Err("no".into()));
    assert_eq!(one.await.unwrap_err().to_string(), "no");
    assert!(!is_refused(&service, "ana").await);
}

#[tokio::test(start_paused = true)]
async fn a_proxy_with_a_name_tells_the_cause_in_proxy_status() {
    let (inner, _handle) = mock();
    let layer = CallerLimitLayer::new(NonZeroUsize::MIN).with_pseudonym("me".parse().unwrap());
    let service: Limited = Arc::new(stack(layer, inner));
    let _one = begun(&service, "ana").await;
    let answer = call(&service, "ana").await.unwrap();
    let status = answer.headers()["proxy-status"].to_str().unwrap();
    assert!(status.starts_with("me;error=http_request_denied;"), "{status}");
}

#[tokio::test(start_paused = true)]
async fn without_users_addresses_are_told_apart() {
    let (service, _handle) = limited(1);
    let _held = [
        begun(&service, "192.0.2.1:1000").await,
        begun(&service, "192.0.2.2:1000").await,
        begun(&service, "[2001:db8:0:1::1]:1000").await,
        begun(&service, "[2001:db8:0:2::1]:1000").await,
    ];
    for same in ["192.0.2.1:2000", "[::ffff:192.0.2.1]:1000", "[2001:db8:0:1:ffff:ffff:ffff:ffff]:1"] {
        assert!(is_refused(&service, same).await, "{same}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_counts_until_its_response_has_been_read() {
    let (service, mut handle) = limited(1);
    let serving = begun(&service, "ana").await;
    handle.try_next().unwrap().respond(Ok(streamed()));
    let mut response = serving.await.unwrap();
    assert!(is_refused(&service, "ana").await);
    assert_eq!(response.body_mut().frame().await.unwrap().unwrap().into_data().unwrap(), "hello");
    assert!(is_refused(&service, "ana").await, "the trailers are still to come");
    assert!(response.body_mut().frame().await.unwrap().unwrap().is_trailers());
    assert_eq!(counted(&service), 0, "nobody has to ask for the end");

    // Or dropped, or failed; and a body in hand is over at once.
    let failing = Body::from_stream(broken_stream());
    for (response, is_over) in [(streamed(), false), (Response::new(failing), false), (Response::new("x".into()), true)]
    {
        let serving = begun(&service, "ana").await;
        handle.try_next().unwrap().respond(Ok(response));
        let mut response = serving.await.unwrap();
        assert_eq!(counted(&service), usize::from(!is_over));
        if response.body_mut().frame().await.unwrap().is_err() {
            assert_eq!(counted(&service), 0);
        }
        drop(response);
        assert_eq!(counted(&service), 0);
    }
}

fn broken_stream() -> impl futures_core::Stream<Item = Result<Bytes, BoxError>> + Send + 'static {
    struct Failing;
    impl futures_core::Stream for Failing {
        type Item = Result<Bytes, BoxError>;
        fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            Poll::Ready(Some(Err("broken".into())))
        }
    }
    Failing
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_counts_until_it_is_over() {
    let (service, mut handle) = limited(1);
    for is_run in [true, false] {
        let serving = begun(&service, "ana").await;
        let (end, ended) = oneshot::channel::<()>();
        let ran = Arc::new(AtomicBool::new(false));
        let runs = Arc::clone(&ran);
        let mut response = Response::new(Body::empty());
        let tunnel = Upgrade::new(async move |_| {
            let _ = ended.await;
            runs.store(true, Ordering::Relaxed);
        });
        tunnel.attach(&mut response);
        handle.try_next().unwrap().respond(Ok(response));
        let mut response = serving.await.unwrap();
        let upgrade = Upgrade::detach(&mut response).unwrap();
        drop(response);
        assert!(is_refused(&service, "ana").await, "the engine has the tunnel now");
        if is_run {
            let mut running = Box::pin(upgrade.run(Conn::new(Box::new(duplex(1).0))));
            assert!(timeout(Duration::ZERO, &mut running).await.is_err());
            assert!(is_refused(&service, "ana").await);
            end.send(()).unwrap();
            running.await;
        } else {
            drop(upgrade);
        }
        assert_eq!((ran.load(Ordering::Relaxed), counted(&service)), (is_run, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_that_are_dropped_leave_nothing() {
    let (service, mut handle) = limited(3);
    for round in 0..10_000_u32 {
        let serving = begun(&service, &format!("user{}", round % 100)).await;
        match round % 3 {
            0 => drop(serving),
            1 => {
                handle.try_next().unwrap().respond(Ok(streamed()));
                drop(serving.await.unwrap());
                continue;
            }
            _ => {
                let mut response = Response::new(Body::empty());
                Upgrade::new(async |_| {}).attach(&mut response);
                handle.try_next().unwrap().respond(Ok(response));
                let mut response = serving.await.unwrap();
                drop(Upgrade::detach(&mut response).unwrap().run(Conn::new(Box::new(duplex(1).0))));
                continue;
            }
        }
        assert!(handle.try_next().unwrap().is_cancelled());
    }
    assert!(service.limit.counts.lock().is_empty(), "no caller is remembered");
}

#[test]
fn seconds_to_wait_are_rounded_up() {
    for (millis, seconds) in [(0, "1"), (1, "1"), (1000, "1"), (1001, "2"), (60_000, "60")] {
        let answer = too_many_requests(Duration::from_millis(millis), None);
        assert_eq!((answer.status().as_u16(), answer.headers()["retry-after"].to_str().unwrap()), (429, seconds));
    }
}

#[test]
fn it_shows_its_bound_and_what_it_wraps() {
    let (service, _handle) = limited(7);
    let tree = describe::<Request, _>(&service);
    assert!(tree.to_string().starts_with("CallerLimit limit=7"), "{tree}");
    assert_describes_child(&tree, "MockService");
}
