//! What a connection holds on the heap while it says nothing. In a binary of its own, since there is one allocator for a process.

#![cfg(test)]
#![expect(unsafe_code, reason = "an allocator that counts is an allocator")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    convert::Infallible,
    io::{Read, Write},
    net::{SocketAddr, TcpListener as StdListener, TcpStream},
    thread,
};

use chaski_core::{
    Conn, IntoBoxError, Service, Shutdown,
    http::{Body, Request, Response},
    service_fn,
};
use chaski_net::TcpListener;
use chaski_proxy::Rules;
use chaski_stacks::{ForwardProxyConfig, HttpServer, forward_proxy};
use tokio::sync::oneshot;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
}

/// The allocator of the system, which counts for each thread.
struct Counting;

// SAFETY: memory is given and taken by the system's allocator alone.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.set(LIVE.get() + layout.size() as isize);
        // SAFETY: whoever calls keeps the same contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        LIVE.set(LIVE.get() - layout.size() as isize);
        // SAFETY: whoever calls keeps the same contract, and `alloc` gave what the system gave.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static GLOBAL: Counting = Counting;

/// So many fill what a thread keeps for all connections, and so many are counted then.
const WARM_UP: usize = 40;
const COUNTED: usize = 200;

/// What each connection holds in a server that runs in this thread. Its clients have one of their own, which opens connections one
/// after the other by `open`.
fn bytes_for_each<S>(service: S, open: impl Fn(SocketAddr) -> TcpStream + Send + 'static) -> isize
where
    S: Service<Conn<tokio::net::TcpStream>, Error: IntoBoxError>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (warm, is_warm) = oneshot::channel();
        let (go_on, may_go_on) = oneshot::channel();
        let (all, is_all) = oneshot::channel();
        let (done, is_done) = std::sync::mpsc::channel::<()>();
        let clients = thread::spawn(move || {
            let mut clients: Vec<_> = (0..WARM_UP).map(|_| open(addr)).collect();
            warm.send(()).unwrap();
            may_go_on.blocking_recv().unwrap();
            clients.extend((0..COUNTED).map(|_| open(addr)));
            all.send(()).unwrap();
            // They stay open until all is counted.
            let _ = is_done.recv();
        });
        let shutdown = Shutdown::new();
        let signal = shutdown.clone();
        let serving = tokio::spawn(async move { listener.serve(service, &signal).await });
        is_warm.await.unwrap();
        let before = LIVE.get();
        go_on.send(()).unwrap();
        is_all.await.unwrap();
        // What the last of them still had to do is done when nothing is ready any more.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        let each = (LIVE.get() - before) / COUNTED as isize;
        shutdown.cut();
        serving.await.unwrap();
        drop(done);
        clients.join().unwrap();
        each
    })
}

fn read_head(client: &mut TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&head));
}

async fn empty(_: Request) -> Result<Response, Infallible> {
    Ok(Response::new(Body::empty()))
}

/// One that has had an answer, in either version: each has room for its own alone.
#[test]
fn an_idle_connection_of_a_server_is_small() {
    let each = bytes_for_each(HttpServer::new(service_fn(empty)), |addr| {
        let mut client = TcpStream::connect(addr).unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n").unwrap();
        read_head(&mut client);
        client
    });
    assert!((1..=2_600).contains(&each), "{each}");
}

/// Of the connection that it was, a tunnel through the proxy has nothing left.
#[test]
fn an_idle_tunnel_is_small() {
    let origin = StdListener::bind("127.0.0.1:0").unwrap();
    let target = origin.local_addr().unwrap();
    // Accepted and kept.
    thread::spawn(move || origin.incoming().collect::<Vec<_>>());
    let rules = Rules::public_only().with_rule("allow 127.0.0.0/8".parse().unwrap());
    let proxy = forward_proxy(ForwardProxyConfig::default().with_rules(rules));
    let each = bytes_for_each(proxy, move |addr| {
        let mut client = TcpStream::connect(addr).unwrap();
        write!(client, "CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n\r\n").unwrap();
        read_head(&mut client);
        client
    });
    assert!((1..=2_200).contains(&each), "{each}");
}
