//! The background task.

use std::{
    future::{Future, pending},
    pin::pin,
    sync::atomic::Ordering::SeqCst,
    task::{Context, Poll, Waker},
    time::Duration,
};

use chaski_client::{Client, ClientConfig};
use chaski_core::{
    Connect, ConnectError, Extensions, SendError, Service, Session, SessionState, Slots,
    http::{Body, Request, Response},
    service_fn,
};
use tokio::{runtime::Handle, task::yield_now};

use crate::server::{Act, Server, advance_ms, exchange, request};

fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

/// LIFE-02: without any traffic, what nobody uses is closed at its time; and then there is no task either.
#[tokio::test(start_paused = true)]
async fn life_02_idle_connections_go_without_traffic() {
    let server = Server::with_script(&[]);
    let client = server.client(ClientConfig::default());
    for n in 0..20 {
        exchange(&client, request("GET", &format!("host{n}"), ())).await.unwrap();
        tokio::time::advance(Duration::from_millis(500)).await;
    }
    assert_eq!((server.live(), tasks()), (20, 1));
    // The first was kept 10 s ago.
    tokio::time::sleep(Duration::from_millis(79_990)).await;
    assert_eq!(server.live(), 20);
    tokio::time::sleep(Duration::from_millis(520)).await;
    assert_eq!(server.live(), 18);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!((server.live(), client.idle(), client.stats().open, client.stats().closed_idle), (0, 0, 0, 20));
    assert_eq!(tasks(), 0);
    // It comes back with the next connection.
    exchange(&client, request("GET", "a", ())).await.unwrap();
    assert_eq!(tasks(), 1);
    tokio::time::sleep(Duration::from_secs(91)).await;
    assert_eq!((server.live(), tasks()), (0, 0));
}

/// LIFE-02: an idle connection whose peer closes it, or sends what nobody asked for, is let go at that moment.
#[tokio::test(start_paused = true)]
async fn life_02_an_idle_connection_that_ends_is_let_go() {
    let server = Server::with_script(&[]);
    let client = server.client(ClientConfig::default());
    for host in ["a", "b", "c"] {
        exchange(&client, request("GET", host, ())).await.unwrap();
    }
    let last = server.last();
    advance_ms(1500).await;
    assert_eq!(server.live(), 3);
    last.close();
    advance_ms(0).await;
    assert_eq!((server.live(), client.idle(), client.stats().closed_dead), (2, 2, 1));
}

/// LIFE-02: one that ends before it was idle for long enough to be watched is found at the first look.
#[tokio::test(start_paused = true)]
async fn life_02_a_connection_that_ended_early_is_found_at_the_look() {
    let server = Server::with_script(&[]);
    let client = server.client(ClientConfig::default());
    exchange(&client, request("GET", "a", ())).await.unwrap();
    server.last().close();
    assert_eq!(server.live(), 1);
    advance_ms(1001).await;
    assert_eq!((server.live(), client.idle(), tasks()), (0, 0, 0));
}

/// One that is used now and then is watched again each time it is idle.
#[tokio::test(start_paused = true)]
async fn a_connection_is_watched_after_it_was_used() {
    let server = Server::with_script(&[]);
    let client = server.client(ClientConfig::default());
    for _ in 0..3 {
        exchange(&client, request("GET", "a", ())).await.unwrap();
        server.last().changed();
        advance_ms(2500).await;
    }
    assert_eq!((server.connects(), server.live()), (1, 1));
    server.last().close();
    advance_ms(0).await;
    assert_eq!(server.live(), 0);
}

/// A busy client's connections are kept for moments: the task outlasts those in which there is none, or each call would start one.
#[tokio::test(start_paused = true)]
async fn the_task_does_not_end_as_soon_as_the_last_connection_is_used() {
    let server = Server::with_script(&[Act::Answer, Act::Stream]);
    let client = server.client(ClientConfig::default());
    exchange(&client, request("GET", "a", ())).await.unwrap();
    let response = client.serve(request("GET", "a", ())).await.unwrap();
    yield_now().await;
    assert_eq!((client.idle(), tasks()), (0, 1));
    advance_ms(1001).await;
    assert_eq!((client.idle(), tasks()), (0, 0));
    response.into_body().collect(10).await.unwrap();
    assert_eq!((client.idle(), tasks()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_shared_connection_in_use_is_not_idle() {
    let server = Server::with_script(&[Act::Stream]);
    server.shared.store(true, SeqCst);
    let client = server.client(ClientConfig::default());
    let response = client.serve(request("GET", "a", ())).await.unwrap();
    tokio::time::sleep(5 * ClientConfig::DEFAULT_IDLE_TIMEOUT).await;
    assert_eq!((server.live(), client.idle()), (1, 1));
    response.into_body().collect(10).await.unwrap();
    tokio::time::sleep(ClientConfig::DEFAULT_IDLE_TIMEOUT + Duration::from_secs(1)).await;
    assert_eq!((server.live(), client.idle(), tasks()), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn the_task_ends_with_the_client() {
    let server = Server::with_script(&[]);
    let client = server.client(ClientConfig::default());
    exchange(&client, request("GET", "a", ())).await.unwrap();
    advance_ms(1500).await;
    assert_eq!((server.live(), tasks()), (1, 1));
    drop(client);
    assert_eq!(server.live(), 0);
    yield_now().await;
    assert_eq!(tasks(), 0);
    // Also when no session tells that it is gone.
    let client = echo();
    client.serve(request("GET", "a", ())).await.unwrap();
    advance_ms(1500).await;
    assert_eq!(tasks(), 1);
    drop(client);
    yield_now().await;
    assert_eq!(tasks(), 0);
}

/// A session without a connection, so without a need for a runtime.
struct Echo(Extensions);

impl Service<Request> for Echo {
    type Output = Response;
    type Error = SendError<Request>;

    async fn serve(&self, _: Request) -> Result<Response, SendError<Request>> {
        Ok(Response::new(Body::full("echo")))
    }
}

impl Session<Request> for Echo {
    fn slots(&self) -> Slots {
        Slots { free: 1, shared: false }
    }

    fn state(&self) -> SessionState {
        SessionState::Open
    }

    fn changed(&self) -> impl Future<Output = ()> + Send + 'static {
        pending()
    }

    fn scope(&self) -> &Extensions {
        &self.0
    }

    fn drain(&self) {}
}

fn echo() -> Client<impl Service<Connect, Output = Echo, Error = ConnectError>> {
    let connector = service_fn(async |_: Connect| Ok::<_, ConnectError>(Echo(Extensions::new())));
    Client::with_config(connector, ClientConfig::default().with_connect_timeout(None))
}

#[test]
fn outside_of_a_runtime_there_is_no_task_and_no_panic() {
    let client = echo();
    for _ in 0..3 {
        let mut call = pin!(client.serve(request("GET", "a", ())));
        assert!(matches!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(Ok(_))));
    }
    assert_eq!((client.idle(), client.stats().dials), (1, 1));
}

/// A client may outlive a runtime, and its task the runtime does not.
#[test]
fn the_task_comes_back_in_another_runtime() {
    let client = echo();
    for _ in 0..2 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            client.serve(request("GET", "a", ())).await.unwrap();
            assert_eq!((client.idle(), tasks()), (1, 1));
        });
    }
}

/// LIFE-02: the runtime lets a task do so much in a turn, and no more. To watch many connections takes several turns.
#[tokio::test(start_paused = true)]
async fn life_02_more_connections_than_a_task_can_look_at_in_a_turn_are_watched() {
    let server = Server::with_script(&[Act::Stream; 500]);
    let client = server.client(ClientConfig::default().with_max_idle_per_key(500));
    let mut responses = Vec::new();
    for _ in 0..500 {
        responses.push(client.serve(request("GET", "a", ())).await.unwrap());
        server.last().spends.store(true, SeqCst);
    }
    for response in responses {
        response.into_body().collect(10).await.unwrap();
    }
    advance_ms(2000).await;
    assert_eq!((client.idle(), server.live()), (500, 500));
    server.last().close();
    advance_ms(0).await;
    assert_eq!((client.idle(), server.live()), (499, 499));
}

/// LIFE-02: a connection that a task watched which is no more is watched by the next one.
#[test]
fn life_02_a_connection_is_watched_in_another_runtime() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let server = Server::with_script(&[]);
    let client = server.client(ClientConfig::default());
    for _ in 0..2 {
        runtime().block_on(async {
            exchange(&client, request("GET", "a", ())).await.unwrap();
            advance_ms(2500).await;
        });
    }
    runtime().block_on(async {
        exchange(&client, request("GET", "a", ())).await.unwrap();
        advance_ms(2500).await;
        server.last().close();
        advance_ms(0).await;
        assert_eq!((server.connects(), client.idle(), client.stats().closed_dead), (1, 0, 1));
    });
}
