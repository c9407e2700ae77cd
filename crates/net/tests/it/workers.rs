//! One runtime for each thread, and one listener on all of them.

use std::{
    collections::HashSet,
    convert::Infallible,
    io,
    num::NonZeroUsize,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use chaski_core::{Conn, Io, Service, Shutdown, service_fn, service_fn_with};
use chaski_net::{PerWorker, SocketOptions, TcpListener, UnixListener, Workers};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UnixStream},
};

fn workers(threads: usize) -> Workers {
    Workers::new(NonZeroUsize::new(threads).unwrap()).unwrap()
}

/// Tells the name of the thread that serves a connection.
async fn tell_thread<IO: Io>(mut conn: Conn<IO>) -> io::Result<()> {
    let name = thread::current().name().unwrap_or_default().to_owned();
    conn.io.write_all(name.as_bytes()).await
}

async fn read(mut stream: impl AsyncRead + Unpin) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

/// With 64 connections, that the kernel gives all of them to one of two sockets has a probability of one to 2^63.
#[tokio::test]
async fn connections_are_spread_over_the_threads_also_on_a_port_of_the_systems_choice() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let shutdown = Shutdown::new();
    let stop = shutdown.clone();
    let serving = tokio::spawn(async move { workers(2).serve(listener, service_fn(tell_thread), &stop).await });
    let mut threads = HashSet::new();
    for _ in 0..64 {
        threads.insert(read(TcpStream::connect(addr).await.unwrap()).await);
    }
    assert_eq!(threads, HashSet::from(["worker-0".to_owned(), "worker-1".to_owned()]));

    shutdown.begin();
    serving.await.unwrap().unwrap();
    let error = TcpStream::connect(addr).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused, "all sockets of the port are closed");
}

/// Whoever starts the same server twice has to be told.
#[tokio::test]
async fn the_port_stays_closed_to_others() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let shutdown = Shutdown::new();
    let stop = shutdown.clone();
    let serving = tokio::spawn(async move { workers(2).serve(listener, service_fn(tell_thread), &stop).await });
    read(TcpStream::connect(addr).await.unwrap()).await;
    let error = TcpListener::bind(addr).await.unwrap_err();
    assert_eq!(error.source.kind(), io::ErrorKind::AddrInUse);
    shutdown.begin();
    serving.await.unwrap().unwrap();
}

/// The limit is one number: with four threads and one place, every connection is served, one after the other.
#[tokio::test]
async fn the_limit_of_connections_is_one_for_all_threads() {
    static OPEN: AtomicUsize = AtomicUsize::new(0);

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap().with_max_connections(1);
    let addr = listener.local_addr().unwrap();
    let service = service_fn(async |mut conn: Conn<TcpStream>| {
        let open = OPEN.fetch_add(1, Ordering::SeqCst);
        conn.io.write_u8(u8::try_from(open).unwrap()).await?;
        // Until the client has written, so that connections would overlap if they could.
        let _ = conn.io.read_u8().await?;
        OPEN.fetch_sub(1, Ordering::SeqCst);
        Ok::<_, io::Error>(())
    });
    let without_limit = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let beside = without_limit.local_addr().unwrap();
    let shutdown = Shutdown::new();
    let stop = shutdown.clone();
    let serving = tokio::spawn(async move {
        let workers = workers(4);
        tokio::try_join!(
            workers.serve(listener, service, &stop),
            workers.serve(without_limit, service_fn(tell_thread), &stop),
        )
    });
    let mut clients = Vec::new();
    for _ in 0..32 {
        clients.push(TcpStream::connect(addr).await.unwrap());
    }
    // A thread that has served two connections beside these has come to them too, and to what it would have made of them.
    for _ in 0..2 {
        let mut threads = HashSet::new();
        while threads.len() < 4 {
            threads.insert(read(TcpStream::connect(beside).await.unwrap()).await);
        }
    }
    assert!(OPEN.load(Ordering::SeqCst) <= 1, "open beside another one");
    let each = clients.into_iter().map(|mut client| {
        tokio::spawn(async move {
            assert_eq!(client.read_u8().await.unwrap(), 0, "another one was open beside it");
            client.write_u8(0).await.unwrap();
        })
    });
    for client in each.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    shutdown.begin();
    serving.await.unwrap().unwrap();
}

/// There is one socket for a path, and one that a service manager passed on may be shared with others: all threads accept
/// from it.
#[tokio::test]
async fn unix_sockets_and_adopted_ones_are_served_by_all_threads() {
    let path = std::env::temp_dir().join(format!("chaski-workers-{}", std::process::id()));
    let unix = UnixListener::bind(&path).unwrap();
    let adopted = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = adopted.local_addr().unwrap();
    let adopted = TcpListener::from_std(adopted, SocketOptions::default()).unwrap();
    let shutdown = Shutdown::new();
    let stop = shutdown.clone();
    let serving = tokio::spawn(async move {
        let workers = workers(2);
        tokio::try_join!(
            workers.serve(unix, service_fn(tell_thread), &stop),
            workers.serve(adopted, service_fn(tell_thread), &stop),
        )
    });
    for _ in 0..8 {
        assert!(read(UnixStream::connect(&path).await.unwrap()).await.starts_with("worker-"));
        assert!(read(TcpStream::connect(addr).await.unwrap()).await.starts_with("worker-"));
    }
    shutdown.begin();
    serving.await.unwrap().unwrap();
    assert!(!path.exists(), "the file goes with the listener");
}

/// Connections under way finish, wherever they are; then the workers may go.
#[tokio::test]
async fn draining_waits_for_the_connections_of_all_threads() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let service = service_fn(async |mut conn: Conn<TcpStream>| {
        conn.io.write_all(b"hello").await?;
        let _ = conn.io.read_u8().await?;
        conn.io.write_all(b", bye").await
    });
    let shutdown = Shutdown::new();
    let stop = shutdown.clone();
    let serving = tokio::spawn(async move {
        let workers = workers(2);
        workers.serve(listener, service, &stop).await.unwrap();
        stop.drain(Duration::from_secs(60)).await
    });
    let mut clients = Vec::new();
    for _ in 0..16 {
        let mut client = TcpStream::connect(addr).await.unwrap();
        client.read_exact(&mut [0; 5]).await.unwrap();
        clients.push(client);
    }
    shutdown.begin();
    for mut client in clients {
        client.write_u8(0).await.unwrap();
        assert_eq!(read(client).await, ", bye");
    }
    let report = serving.await.unwrap();
    assert_eq!((report.drained, report.cut), (16, 0));
}

/// One service for each thread below, one for all above it.
#[tokio::test]
async fn what_is_per_worker_is_called_on_one_thread() {
    let threads = NonZeroUsize::new(2).unwrap();
    let mut made = 0_u8;
    let numbered = PerWorker::new(threads, || {
        made += 1;
        service_fn_with(made, async |number: u8, (): ()| Ok::<_, Infallible>(number))
    });
    assert_eq!(made, 2);
    let service = service_fn_with(std::sync::Arc::new(numbered), async |numbered, mut conn: Conn<TcpStream>| {
        let Ok(number) = Service::<()>::serve(&numbered, ()).await;
        let text = format!("{}: service {number}", thread::current().name().unwrap_or_default());
        conn.io.write_all(text.as_bytes()).await
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let shutdown = Shutdown::new();
    let stop = shutdown.clone();
    let serving = tokio::spawn(async move { workers(2).serve(listener, service, &stop).await });
    let mut seen = HashSet::new();
    for _ in 0..64 {
        seen.insert(read(TcpStream::connect(addr).await.unwrap()).await);
    }
    assert_eq!(seen, HashSet::from(["worker-0: service 1".to_owned(), "worker-1: service 2".to_owned()]));
    shutdown.begin();
    serving.await.unwrap().unwrap();
}
