//! One client, used from several runtimes of one thread each.

use std::{
    convert::Infallible,
    io::{Read, Write},
    net::{SocketAddr, TcpListener as StdListener, TcpStream as StdStream},
    num::NonZeroUsize,
    sync::Arc,
    thread,
    time::Duration,
};

use chaski_core::{
    BoxError, Service, Shutdown,
    http::{Body, Request, Response},
    service_fn_with,
};
use chaski_http_core::Http1Server;
use chaski_net::{TcpListener, Workers};
use chaski_stacks::{HttpClient, http_client};
use tokio::runtime::{Builder, Runtime};

/// An origin that answers each request with the number of the connection that it came on.
fn origin() -> SocketAddr {
    let listener = StdListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let stream = stream.unwrap();
            thread::spawn(move || answer(stream, number + 1));
        }
    });
    addr
}

fn answer(mut stream: StdStream, number: usize) {
    let text = number.to_string();
    let mut seen = Vec::new();
    let mut byte = [0];
    while stream.read(&mut byte).is_ok_and(|n| n == 1) {
        seen.push(byte[0]);
        if seen.ends_with(b"\r\n\r\n") {
            seen.clear();
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}", text.len()).unwrap();
        }
    }
}

async fn ask(client: &HttpClient, addr: SocketAddr) -> Result<String, BoxError> {
    let response = client.serve(Request::get(format!("http://{addr}/")).body(Body::empty())?).await?;
    Ok(String::from_utf8(response.into_body().collect(64).await?.into())?)
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// A kept connection belongs to the runtime in which it was opened: once that has ended, nothing can be read from it.
#[test]
fn a_connection_of_a_runtime_that_has_ended_is_not_handed_out() {
    let addr = origin();
    let client = http_client();
    let first = runtime();
    assert_eq!(first.block_on(ask(&client, addr)).unwrap(), "1");
    assert_eq!(first.block_on(ask(&client, addr)).unwrap(), "1", "it is kept");
    drop(first);
    let second = runtime();
    assert_eq!(second.block_on(ask(&client, addr)).unwrap(), "2");
    assert_eq!(second.block_on(ask(&client, addr)).unwrap(), "2", "and kept there");
}

/// One pool for all workers: what one thread has opened, another one uses.
#[tokio::test]
async fn workers_can_share_a_client() {
    let addr = origin();
    let gateway = service_fn_with(Arc::new(http_client()), move |client: Arc<HttpClient>, _: Request| async move {
        let text = match ask(&client, addr).await {
            Ok(number) => format!("{} {number}", thread::current().name().unwrap_or_default()),
            Err(error) => error.to_string(),
        };
        Ok::<_, Infallible>(Response::new(Body::full(text)))
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gate = listener.local_addr().unwrap();
    let shutdown = Shutdown::new();
    let stop = shutdown.clone();
    let serving = tokio::spawn(async move {
        let workers = Workers::new(NonZeroUsize::new(2).unwrap()).unwrap();
        workers.serve(listener, Http1Server::new(gateway), &stop).await.unwrap();
        stop.drain(Duration::from_secs(60)).await
    });
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..64 {
        // A client for each request, so that each is a connection of its own, for either thread.
        seen.insert(ask(&http_client(), gate).await.unwrap());
    }
    // A connection is back in the pool before its answer has reached the client.
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["worker-0 1", "worker-1 1"]);
    shutdown.begin();
    assert_eq!(serving.await.unwrap().cut, 0);
}
