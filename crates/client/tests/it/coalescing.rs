//! Connections that carry requests for other hosts than their own.

use std::{
    sync::{
        Arc,
        atomic::{
            AtomicBool,
            Ordering::{Relaxed, SeqCst},
        },
    },
    time::Duration,
};

use bytes::Bytes;
use chaski_client::{Client, ClientConfig, ConnectionReuse};
use chaski_core::{
    BoxError, Host, Route, Service,
    http::{Body, Message, Response},
};
use http_body::Frame;

use crate::server::{Act, Dialer, Server, advance_ms, call, exchange, secure};

/// A server of shared sessions that proves to be any host.
fn server(acts: &[Act]) -> Arc<Server> {
    let server = Server::with_script(acts);
    server.shared.store(true, SeqCst);
    *server.certified.lock().unwrap() = vec!["*"];
    server
}

fn config() -> ClientConfig {
    ClientConfig::default().with_https(true).with_coalescing(|_, _| true)
}

/// A client with a connection to `a`.
async fn connected(server: &Arc<Server>, config: ClientConfig) -> Client<Dialer> {
    let client = server.client(config);
    exchange(&client, secure("GET", "a", ())).await.unwrap();
    client
}

fn reuse(response: &Response) -> (bool, bool, Duration) {
    let fact = response.fact::<ConnectionReuse>().unwrap();
    (fact.reused(), fact.coalesced(), fact.waited())
}

fn seen(server: &Server) -> Vec<String> {
    server.seen().into_iter().map(|(connection, method)| format!("{method} on {connection}")).collect()
}

/// H2-17: one connection carries the requests for two hosts, and says so.
#[tokio::test(start_paused = true)]
async fn h2_17_a_connection_carries_requests_for_another_host() {
    let server = server(&[]);
    *server.dial.lock().unwrap() = Duration::from_millis(10);
    let client = server.client(config());
    let at_once = Duration::ZERO;
    for (host, expected) in [
        ("a", (false, false, Duration::from_millis(10))),
        ("b", (true, true, at_once)),
        ("a", (true, false, at_once)),
        ("b", (true, true, at_once)),
    ] {
        let response = client.serve(secure("GET", host, ())).await.unwrap();
        assert_eq!(reuse(&response), expected, "{host}");
    }
    let stats = client.stats();
    assert_eq!((stats.dials, stats.reused, stats.coalesced, stats.misdirected), (1, 3, 2, 0));
    assert_eq!((stats.open, stats.idle), (1, 1));
}

/// H2-17: everything has to fit, and otherwise each host has a connection of its own.
#[tokio::test(start_paused = true)]
async fn h2_17_what_does_not_fit_is_not_shared() {
    let to = |uri: &str| http::Request::get(uri).body(Body::empty()).unwrap();
    let routed = |uri: &str| {
        let mut request = to(uri);
        request.extensions_mut().insert(Route::default().with("eth1"));
        request
    };
    let default = || ClientConfig::default().with_https(true);
    let (both, one) = (&["a", "b"][..], &["a"][..]);
    for (name, config, certified, shared, first, second, connects) in [
        ("all fits", config(), both, true, to("https://a/"), to("https://b/"), 1),
        ("and by the same route", config(), both, true, routed("https://a/"), routed("https://b/"), 1),
        ("not asked for", default(), both, true, to("https://a/"), to("https://b/"), 2),
        (
            "the policy says no",
            default().with_coalescing(|_, _| false),
            both,
            true,
            to("https://a/"),
            to("https://b/"),
            2,
        ),
        ("the server is not that host", config(), one, true, to("https://a/"), to("https://b/"), 2),
        ("the session is not shared", config(), both, false, to("https://a/"), to("https://b/"), 2),
        ("another port", config(), both, true, to("https://a/"), to("https://b:8443/"), 2),
        ("another route", config(), both, true, to("https://a/"), routed("https://b/"), 2),
        ("in clear", config(), both, true, to("http://a/"), to("http://b/"), 2),
        ("one in clear", config(), both, true, to("http://a:443/"), to("https://b/"), 2),
    ] {
        let server = server(&[]);
        *server.certified.lock().unwrap() = certified.to_vec();
        server.shared.store(shared, SeqCst);
        let client = server.client(config);
        for request in [first, second] {
            exchange(&client, request).await.unwrap();
        }
        assert_eq!((server.connects(), client.stats().coalesced), (connects, 2 - connects as u64), "{name}");
    }
}

/// H2-17: of a tunnel, what the proxy has proved says nothing of the server behind it.
#[tokio::test(start_paused = true)]
async fn h2_17_a_proof_of_somebody_else_does_not_count() {
    for (by, connects) in [("a", 1), ("proxy", 2)] {
        let server = server(&[]);
        *server.proved_by.lock().unwrap() = Some(by);
        let client = connected(&server, config()).await;
        exchange(&client, secure("GET", "b", ())).await.unwrap();
        assert_eq!(server.connects(), connects, "{by}");
    }
}

/// H2-17: the policy is told whom the connection was made to, and who is asked for.
#[tokio::test(start_paused = true)]
async fn h2_17_the_policy_is_asked_for_each_request() {
    let (server, may) = (server(&[]), Arc::new(AtomicBool::new(false)));
    let policy = {
        let may = Arc::clone(&may);
        move |connected: &Host, asked: &Host| {
            assert_eq!((connected.to_string().as_str(), asked.to_string().as_str()), ("a", "b"));
            may.load(Relaxed)
        }
    };
    let config = ClientConfig::default().with_https(true).with_coalescing(policy).with_max_idle_per_key(0);
    let client = server.client(config);
    // Streamed, as a connection that is idle is not kept here.
    *server.script.lock().unwrap() = [Act::Stream, Act::Answer, Act::Answer, Act::Answer].into();
    let _streaming = client.serve(secure("GET", "a", ())).await.unwrap();
    for (allowed, connects) in [(false, 2), (true, 2), (false, 3)] {
        may.store(allowed, Relaxed);
        exchange(&client, secure("GET", "b", ())).await.unwrap();
        assert_eq!(server.connects(), connects);
    }
}

/// H2-17: after a 421 the request goes out again on a connection of its own, whatever its method, and so do those after it.
#[tokio::test(start_paused = true)]
async fn h2_17_a_misdirected_request_is_sent_again_elsewhere() {
    let server = server(&[Act::Answer, Act::Misdirected]);
    let policy = |connected: &Host, _: &Host| connected.to_string() == "a";
    let client = connected(&server, ClientConfig::default().with_https(true).with_coalescing(policy)).await;
    let mut post = secure("POST", "b", "upload");
    // So that both attempts have one.
    post.scope();
    let response = client.serve(post).await.unwrap();
    assert_eq!((response.status().as_u16(), reuse(&response)), (200, (false, false, Duration::ZERO)));
    assert_eq!(seen(&server), ["GET on 0", "POST on 0", "POST on 1"]);
    assert!(server.seen.lock().unwrap().iter().skip(1).all(|(.., body)| body == "upload"));

    // The connection to `a` is not asked for `b` again, also when `b` has none; but for others it is.
    server.last().close();
    exchange(&client, secure("PUT", "b", ())).await.unwrap();
    exchange(&client, secure("PATCH", "c", ())).await.unwrap();
    assert_eq!(seen(&server).split_off(3), ["PUT on 2", "PATCH on 0"]);
    assert_eq!((client.stats().coalesced, client.stats().misdirected), (2, 1));
}

/// H2-17: after a 421 no third host's connection is tried.
#[tokio::test(start_paused = true)]
async fn h2_17_a_misdirected_request_is_sent_again_on_a_connection_of_its_own() {
    let server = server(&[Act::Answer, Act::Answer, Act::Misdirected]);
    let policy = |_: &Host, asked: &Host| asked.to_string() == "b";
    let client = connected(&server, ClientConfig::default().with_https(true).with_coalescing(policy)).await;
    for host in ["c", "b"] {
        exchange(&client, secure("GET", host, ())).await.unwrap();
    }
    assert_eq!(seen(&server), ["GET on 0", "GET on 1", "GET on 0", "GET on 2"]);
}

/// H2-17: a 421 on a connection of its own is the answer.
#[tokio::test(start_paused = true)]
async fn h2_17_a_second_421_is_the_answer() {
    let server = server(&[Act::Answer, Act::Misdirected, Act::Misdirected]);
    let client = connected(&server, config()).await;
    assert_eq!(client.serve(secure("GET", "b", ())).await.unwrap().status(), 421);
    assert_eq!((server.connects(), server.seen().len(), client.stats().misdirected), (2, 3, 1));
}

/// H2-17: a request that may have to be sent again for its expectation too.
#[tokio::test(start_paused = true)]
async fn h2_17_an_expectation_may_be_refused_afterwards() {
    let server = server(&[Act::Answer, Act::Misdirected, Act::RefuseExpectation]);
    let client = connected(&server, config()).await;
    let mut post = secure("POST", "b", "upload");
    post.headers_mut().insert("expect", "100-continue".parse().unwrap());
    assert_eq!(client.serve(post).await.unwrap().status(), 200);
    assert_eq!(seen(&server), ["GET on 0", "POST on 0", "POST on 1", "POST on 1"]);
}

fn streamed() -> Body {
    struct Once(bool);
    impl http_body::Body for Once {
        type Data = Bytes;
        type Error = BoxError;
        fn poll_frame(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<Frame<Bytes>, BoxError>>> {
            let first = !std::mem::replace(&mut self.0, true);
            std::task::Poll::Ready(first.then(|| Ok(Frame::data(Bytes::from_static(b"upload")))))
        }
    }
    Body::new(Once(false))
}

/// H2-17: what cannot be sent again goes where its host was answered for before, and nowhere else.
#[tokio::test(start_paused = true)]
async fn h2_17_a_streamed_body_takes_no_chances() {
    // No answer for `b` yet.
    let first = server(&[]);
    let client = connected(&first, config()).await;
    exchange(&client, secure("POST", "b", streamed())).await.unwrap();
    assert_eq!(seen(&first), ["GET on 0", "POST on 1"]);

    // One is asked for, and nobody knows yet what the answer will be.
    let asked = server(&[Act::Answer, Act::Hang]);
    let client = connected(&asked, config()).await;
    let hangs = call(&client, secure("GET", "b", ()));
    advance_ms(1).await;
    exchange(&client, secure("POST", "b", streamed())).await.unwrap();
    assert_eq!(seen(&asked), ["GET on 0", "GET on 0", "POST on 1"]);
    hangs.abort();

    // One, and then the server has had enough: that is the answer, but not to those that follow.
    let second = server(&[Act::Answer, Act::Answer, Act::Answer, Act::Misdirected]);
    let client = connected(&second, config()).await;
    exchange(&client, secure("PUT", "b", ())).await.unwrap();
    exchange(&client, secure("POST", "b", streamed())).await.unwrap();
    assert_eq!(client.serve(secure("POST", "b", streamed())).await.unwrap().status(), 421);
    exchange(&client, secure("POST", "b", streamed())).await.unwrap();
    assert_eq!(seen(&second), ["GET on 0", "PUT on 0", "POST on 0", "POST on 0", "POST on 1"]);
}

/// H2-17: a connection that ends between the look at it and its use costs nothing but a dial.
#[tokio::test(start_paused = true)]
async fn h2_17_a_connection_that_goes_meanwhile_is_no_loss() {
    // Before a slot is taken: the policy closes it.
    let closing = server(&[]);
    let config_closing = {
        let server = Arc::clone(&closing);
        ClientConfig::default().with_https(true).with_coalescing(move |_, _| {
            server.last().close();
            true
        })
    };
    let client = connected(&closing, config_closing).await;
    exchange(&client, secure("POST", "b", "upload")).await.unwrap();
    let stats = client.stats();
    assert_eq!(seen(&closing), ["GET on 0", "POST on 1"]);
    assert_eq!((stats.reused, stats.coalesced, stats.open, stats.idle, stats.closed_dead), (0, 0, 1, 1, 1));

    // Afterwards: nothing of the request was sent, or its peer did not process it.
    for (act, connection) in [(Act::CloseUnsent, 1), (Act::Unprocessed, 0)] {
        let server = server(&[Act::Answer, act]);
        let client = connected(&server, config()).await;
        exchange(&client, secure("POST", "b", "upload")).await.unwrap();
        assert_eq!(server.seen().last().unwrap().0, connection, "{act:?}");
        assert_eq!((client.stats().open, server.live()), (1, 1), "{act:?}");
    }

    // Or with it: a GET is repeated, as on any connection that was there before.
    let silent = server(&[Act::Answer, Act::CloseSilent]);
    let client = connected(&silent, config()).await;
    exchange(&client, secure("GET", "b", ())).await.unwrap();
    assert_eq!(silent.seen().len(), 3);
}

/// H2-17: an error tells that the connection was another host's.
#[tokio::test(start_paused = true)]
async fn h2_17_an_error_tells_it_too() {
    let server = server(&[Act::Answer, Act::BreakOff]);
    let client = connected(&server, config()).await;
    let error = client.serve(secure("POST", "b", ())).await.unwrap_err();
    assert!(error.scope().get::<ConnectionReuse>().unwrap().coalesced());
    assert_eq!(error.to_string(), "the request to b:443 failed after it may have been sent");
}

/// H2-17: without a free slot the other host gets a connection of its own, within the limits.
#[tokio::test(start_paused = true)]
async fn h2_17_a_connection_without_a_free_slot_is_passed_over() {
    let server = server(&[Act::Stream, Act::Stream]);
    server.most.store(1, SeqCst);
    let client = server.client(config().with_max_connections(2));
    let a = client.serve(secure("GET", "a", ())).await.unwrap();
    let b = client.serve(secure("GET", "b", ())).await.unwrap();
    assert_eq!((server.connects(), client.stats().reused, client.stats().coalesced), (2, 0, 0));
    // All is in use, so one more waits: for a place, or a connection of its own key.
    let c = call(&client, secure("GET", "c", ()));
    advance_ms(100).await;
    assert!(!c.is_finished());
    // What is given back belongs to `a`. It is closed for the one who waits.
    drop(a.into_body().collect(10).await.unwrap());
    advance_ms(1).await;
    assert!(c.is_finished());
    drop(b);
    let stats = client.stats();
    assert_eq!((stats.open, server.connects(), stats.closed_limit), (2, 3, 1));
}

/// H2-17: who waits for a connection to its own host comes first.
#[tokio::test(start_paused = true)]
async fn h2_17_nobody_is_overtaken_by_a_request_for_another_host() {
    let server = server(&[Act::Stream; 4]);
    server.most.store(1, SeqCst);
    let client = server.client(config().with_max_connections_per_key(1));
    let _first = client.serve(secure("GET", "a", ())).await.unwrap();
    let waits = call(&client, secure("PUT", "a", ()));
    advance_ms(100).await;
    // A slot that nobody was told of yet.
    server.most.store(2, SeqCst);
    let _other = client.serve(secure("POST", "b", ())).await.unwrap();
    assert_eq!(seen(&server), ["GET on 0", "POST on 1"]);
    waits.abort();
}

/// H2-17: a connection is in use while it carries what is for another host.
#[tokio::test(start_paused = true)]
async fn h2_17_a_connection_in_use_for_another_host_is_not_idle() {
    let server = server(&[Act::Stream, Act::Stream]);
    let client = server.client(config().with_max_idle(0));
    let a = client.serve(secure("GET", "a", ())).await.unwrap();
    let b = client.serve(secure("GET", "b", ())).await.unwrap();
    drop(a);
    assert_eq!((server.connects(), server.live(), client.idle()), (1, 1, 1));
    advance_ms(200_000).await;
    assert_eq!(server.live(), 1);
    drop(b);
    assert_eq!((server.live(), client.idle(), client.stats().open), (0, 0, 0));
}

/// H2-17: neither the connections that may be asked for others nor the hosts that one carries are without a bound.
#[tokio::test(start_paused = true)]
async fn h2_17_what_is_remembered_has_a_bound() {
    const HOSTS: usize = ClientConfig::MAX_COALESCED_HOSTS;
    let many_hosts = server(&[]);
    let policy = |connected: &Host, _: &Host| connected.to_string() == "a";
    let client = connected(&many_hosts, ClientConfig::default().with_https(true).with_coalescing(policy)).await;
    for n in 0..HOSTS + 2 {
        exchange(&client, secure("GET", &format!("h{n}"), ())).await.unwrap();
    }
    assert_eq!((many_hosts.connects(), client.stats().coalesced), (3, HOSTS as u64));
    exchange(&client, secure("GET", "h0", ())).await.unwrap();
    assert_eq!(many_hosts.connects(), 3, "those that are known go on");

    const CONNECTIONS: usize = ClientConfig::MAX_COALESCING_CONNECTIONS;
    let many_connections = server(&[]);
    let policy = |connected: &Host, asked: &Host| asked.to_string() == format!("of-{connected}");
    let client = many_connections.client(ClientConfig::default().with_https(true).with_coalescing(policy));
    for n in 0..=CONNECTIONS {
        exchange(&client, secure("GET", &format!("h{n}"), ())).await.unwrap();
    }
    exchange(&client, secure("GET", "of-h1", ())).await.unwrap();
    assert_eq!(many_connections.connects(), CONNECTIONS + 1);
    exchange(&client, secure("GET", "of-h0", ())).await.unwrap();
    assert_eq!(many_connections.connects(), CONNECTIONS + 2, "the one made first is forgotten");
}
