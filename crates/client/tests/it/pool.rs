use std::{sync::atomic::Ordering::SeqCst, time::Duration};

use chaski_client::{Client, ClientConfig};
use chaski_core::{
    Connect, ConnectError, ConnectStage, Route, Service, ServiceExt, describe, http::Request, service_fn,
    test_util::assert_describes_child,
};

use crate::server::{Act, Dialer, Server, exchange, request};

#[tokio::test(start_paused = true)]
async fn a_connection_is_kept_and_used_again() {
    let server = Server::with_script(&[Act::Answer, Act::Stream, Act::Stream]);
    let client = server.client(ClientConfig::default());
    for _ in 0..3 {
        assert_eq!(exchange(&client, request("GET", "a", ())).await.unwrap(), "answer");
        assert_eq!(client.idle(), 1);
    }
    assert_eq!(server.connects(), 1);
}

/// H1-10: what `Connection: close` closed is not used again; two calls make two connections. (The rule that reads the
/// field is the engine's; the pool asks the session.)
#[tokio::test(start_paused = true)]
async fn h1_10_a_session_that_closed_after_its_answer_is_not_kept() {
    let server = Server::with_script(&[Act::AnswerAndClose, Act::AnswerAndClose]);
    let client = server.client(ClientConfig::default());
    for n in 1..=2 {
        exchange(&client, request("GET", "a", ())).await.unwrap();
        assert_eq!((client.idle(), server.connects(), server.live()), (0, n, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_closed_while_idle_is_noticed() {
    let server = Server::with_script(&[]);
    let client = server.client(ClientConfig::default());
    exchange(&client, request("POST", "a", "x")).await.unwrap();
    server.last().close();
    exchange(&client, request("POST", "a", "y")).await.unwrap();
    assert_eq!((server.connects(), server.live(), client.idle()), (2, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_body_gives_its_connection_back_at_its_end_and_closes_it_when_dropped_before() {
    let server = Server::with_script(&[Act::Stream, Act::Stream]);
    let client = server.client(ClientConfig::default());
    let mut body = client.serve(request("GET", "a", ())).await.unwrap().into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "an");
    assert_eq!(client.idle(), 0);
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "swer");
    assert_eq!(client.idle(), 1, "at the last frame, while the body is still held");
    assert!(body.frame().await.is_none());
    drop(body);
    assert_eq!((client.idle(), server.live()), (1, 1));

    let mut body = client.serve(request("GET", "a", ())).await.unwrap().into_body();
    body.frame().await.unwrap().unwrap();
    drop(body);
    assert_eq!((client.idle(), server.live(), server.connects()), (0, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_outlives_its_client_closes_its_connection() {
    let server = Server::with_script(&[Act::Stream]);
    let client = server.client(ClientConfig::default());
    let response = client.serve(request("GET", "a", ())).await.unwrap();
    drop(client);
    assert_eq!(response.into_body().collect(10).await.unwrap(), "answer");
    assert_eq!(server.live(), 0);
}

#[tokio::test(start_paused = true)]
async fn keys_do_not_share_connections() {
    let server = Server::with_script(&[]);
    let client = server.client(ClientConfig::default().with_https(true));
    let routed = |value: &'static str| {
        let mut request = request("GET", "a", ());
        request.extensions_mut().insert(Route::default().with(value));
        request
    };
    let secure = || {
        let mut request: Request = request("GET", "a:80", ());
        *request.uri_mut() = "https://a:80/".parse().unwrap();
        request
    };
    for _ in 0..2 {
        for one in [request("GET", "a", ()), request("GET", "a:81", ()), routed("x"), routed("y"), secure()] {
            exchange(&client, one).await.unwrap();
        }
        assert_eq!((server.connects(), client.idle()), (5, 5));
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_kept_no_longer_than_the_limit() {
    let server = Server::with_script(&[]);
    let client = server.client(ClientConfig::default().with_idle_timeout(Duration::from_secs(5)));
    for (wait, connects) in [(0, 1), (4, 1), (4, 1), (5, 2)] {
        tokio::time::advance(Duration::from_secs(wait)).await;
        exchange(&client, request("GET", "a", ())).await.unwrap();
        assert_eq!((server.connects(), server.live()), (connects, 1), "after {wait} s");
    }
}

#[tokio::test(start_paused = true)]
async fn limits_let_the_oldest_go() {
    let server = Server::with_script(&[Act::Stream; 6]);
    let client = server.client(ClientConfig::default().with_max_idle_per_key(2).with_max_idle(3));
    let mut bodies = Vec::new();
    for host in ["a", "a", "a", "b", "c"] {
        bodies.push(client.serve(request("GET", host, ())).await.unwrap().into_body());
    }
    for (body, idle) in bodies.into_iter().zip([1, 2, 2, 3, 3]) {
        body.collect(10).await.unwrap();
        assert_eq!((client.idle(), server.connects()), (idle, 5));
    }
    assert_eq!(client.stats().closed_limit, 2);
    // Connection 0 went for the limit of its key, 1 for the limit of all.
    exchange(&client, request("GET", "a", ())).await.unwrap();
    assert_eq!(server.seen().last().unwrap(), &(2, "GET".to_owned()));

    let none = server.client(ClientConfig::default().with_max_idle(0));
    exchange(&none, request("GET", "a", ())).await.unwrap();
    assert_eq!(none.idle(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_shared_session_serves_many_requests_and_stays() {
    let server = Server::with_script(&[Act::Stream, Act::Stream]);
    server.shared.store(true, SeqCst);
    let client = server.client(ClientConfig::default());
    let first = client.serve(request("GET", "a", ())).await.unwrap();
    let second = client.serve(request("GET", "a", ())).await.unwrap();
    assert_eq!((server.connects(), client.idle()), (1, 1));
    // Not idle while it is used, however long that takes.
    tokio::time::advance(10 * ClientConfig::DEFAULT_IDLE_TIMEOUT).await;
    exchange(&client, request("GET", "a", ())).await.unwrap();
    assert_eq!(server.connects(), 1);
    first.into_body().collect(10).await.unwrap();
    second.into_body().collect(10).await.unwrap();
    assert_eq!(client.idle(), 1);
    server.last().close();
    exchange(&client, request("GET", "a", ())).await.unwrap();
    assert_eq!((server.connects(), server.live(), client.idle()), (2, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn idle_connections_are_closed_on_request() {
    let server = Server::with_script(&[]);
    let client = server.client(ClientConfig::default());
    exchange(&client, request("GET", "a", ())).await.unwrap();
    exchange(&client, request("GET", "b", ())).await.unwrap();
    assert_eq!(client.close_idle(), 2);
    assert_eq!((client.idle(), server.live()), (0, 0));
}

#[test]
fn the_client_shows_its_connector() {
    let client = Server::with_script(&[]).client(ClientConfig::default());
    let description = describe::<Request, _>(&client);
    assert_describes_child(&description, "Dialer");
    let text = description.to_string();
    for part in [
        "max_connections=16384 max_connections_per_key=none max_waiting=16384 max_idle=2048 max_idle_per_key=256",
        "idle_timeout=90s max_age=none wait_timeout=10s connect_timeout=10s timeout=none",
        "writes ConnectionReuse",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

/// A connector that does not know of a choice has to refuse it, even when another dial's connector did know of it.
#[tokio::test(start_paused = true)]
async fn a_route_that_an_earlier_dial_has_read_is_unread_in_the_next() {
    let refuses = service_fn(async |connect: Connect| {
        let unread = connect.route.unread().map(str::to_owned);
        let _ = connect.route.choice::<&str>();
        Err::<Connect, _>(ConnectError::new(ConnectStage::Config).with_message(unread.unwrap_or_default()))
    });
    let client = Client::new(refuses.then(Dialer(Server::with_script(&[]))));
    let route = Route::default().with("eth1");
    for _ in 0..2 {
        let mut request = request("GET", "a", ());
        request.extensions_mut().insert(route.clone());
        let error = client.serve(request).await.unwrap_err();
        assert!(chaski_core::display_chain(&error).to_string().ends_with("cannot connect as asked: &str"), "{error:?}");
    }
}
