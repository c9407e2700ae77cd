use std::{convert::Infallible, pin::pin, sync::atomic::AtomicUsize, task::Poll, time::Duration};

use chaski_core::{HostPort, Route, service_fn, service_fn_with};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

fn connect() -> Connect {
    Connect::new("any.test:1".parse::<HostPort>().unwrap())
}

/// A service that sends back what it reads, until the end.
async fn echo(mut conn: Conn<DuplexStream>) -> io::Result<()> {
    let mut text = Vec::new();
    conn.io.read_to_end(&mut text).await?;
    conn.io.write_all(&text).await
}

#[tokio::test(start_paused = true)]
async fn a_stack_runs_in_memory_until_shutdown() {
    let (listener, connector) = listen("echo");
    let shutdown = Shutdown::new();
    let signal = shutdown.clone();
    let server = tokio::spawn(async move { listener.serve(service_fn(echo), &signal).await });

    for number in 1..=3 {
        let mut conn = connector.serve(connect()).await.unwrap();
        assert_eq!(conn.ext.get::<MemoryAddr>().unwrap().to_string(), format!("memory:echo#{number}"));
        conn.io.write_all(b"over and out").await.unwrap();
        conn.io.shutdown().await.unwrap();
        let mut text = String::new();
        conn.io.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "over and out");
    }

    let open = connector.serve(connect()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1)).await;
    shutdown.begin();
    server.await.unwrap();
    let error = connector.serve(connect()).await.unwrap_err();
    assert_eq!(error.stage(), ConnectStage::Dial);
    assert_eq!(chaski_core::find_cause::<io::Error>(&error).unwrap().kind(), io::ErrorKind::ConnectionRefused);
    assert_eq!(shutdown.open(), 1, "the open connection goes on");
    drop(open);
    assert_eq!(shutdown.drain(Duration::from_secs(1)).await.cut, 0);
}

#[tokio::test(start_paused = true)]
async fn both_ends_know_the_same_address_and_the_scopes_are_their_own() {
    let (listener, connector) = listen("facts");
    let wish = connect();
    let request = wish.ext.clone();
    let near = connector.serve(wish).await.unwrap();
    let far = listener.accept().await;
    assert_eq!(near.ext.get::<MemoryAddr>(), Some(&MemoryAddr { name: "facts".into(), number: 1 }));
    assert_eq!(near.ext.get::<MemoryAddr>(), far.ext.get::<MemoryAddr>());
    assert!(!near.ext.same_scope(&far.ext) && request.is_empty());

    let (listener, connector) = listen("no facts");
    let listener = listener.without_facts();
    let _near = connector.serve(connect()).await.unwrap();
    assert!(listener.accept().await.ext.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_backlog_is_bounded_and_waiting_in_it_can_be_cancelled() {
    let (listener, connector) = listen_with("small", MemoryConfig::default().with_backlog(1));
    let _first = connector.serve(connect()).await.unwrap();
    {
        let mut second = pin!(connector.serve(connect()));
        let pending = std::future::poll_fn(|cx| Poll::Ready(second.as_mut().poll(cx).is_pending())).await;
        assert!(pending, "no place in the backlog");
    }
    assert_eq!(listener.accept().await.ext.get::<MemoryAddr>().unwrap().number, 1);
    let _third = connector.serve(connect()).await.unwrap();
    assert_eq!(listener.accept().await.ext.get::<MemoryAddr>().unwrap().number, 2, "the cancelled one has no number");
}

#[tokio::test(start_paused = true)]
async fn no_more_than_the_limit_are_served_at_a_time() {
    let (listener, connector) = listen("limit");
    let listener = listener.with_max_connections(2);
    let served = Arc::new(AtomicUsize::new(0));
    let service = service_fn_with(Arc::clone(&served), async |served: Arc<AtomicUsize>, conn: Conn<DuplexStream>| {
        served.fetch_add(1, Ordering::Relaxed);
        echo(conn).await
    });
    let shutdown = Shutdown::new();
    tokio::spawn(async move { listener.serve(service, &shutdown).await });
    let mut conns = Vec::new();
    for _ in 0..3 {
        conns.push(connector.serve(connect()).await.unwrap());
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(served.load(Ordering::Relaxed), 2);
    conns.pop();
    conns.remove(0);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(served.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_choice_that_nobody_read_is_an_error() {
    #[derive(Debug, PartialEq, Eq, Hash)]
    struct Via(u8);
    let (_listener, connector) = listen("route");
    let error = connector.serve(connect().with_route(Route::default().with(Via(1)))).await.unwrap_err();
    assert_eq!(error.stage(), ConnectStage::Config);
    assert!(error.to_string().ends_with("::Via`"), "{error}");
}

#[test]
fn a_listener_describes_itself() {
    let (listener, connector) = listen("shape");
    let service = service_fn(async |_: Conn<DuplexStream>| Ok::<_, Infallible>(()));
    let tree = listener.with_max_connections(5).describe(&service).to_string();
    let head = "MemoryListener name=shape max_connections=5  writes MemoryAddr, ShutdownSignal\n└─ service_fn";
    assert!(tree.starts_with(head), "{tree}");
    assert_eq!(connector.describe().to_string(), "MemoryConnector name=shape  writes MemoryAddr\n");
}
