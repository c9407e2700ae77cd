//! Calls that are given up, and servers that stop.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use chaski_client::Client;
use chaski_core::{
    BoxError, BoxIo, Conn, Connect, HostPort, Service, Shutdown,
    http::{Body, Request, Response, Upgrade},
    service_fn, service_fn_with,
};
use chaski_http_core::{Http1ClientConfig, Http1Connector, Http1Server};
use chaski_net::memory;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::mpsc,
    time::Instant,
};

use crate::{
    bodies::{Checker, Patterned, fed, next_data},
    net::{Net, echo, get, in_time, post, read},
};

/// Tells when it is dropped.
struct Tell(mpsc::UnboundedSender<&'static str>, &'static str);

impl Drop for Tell {
    fn drop(&mut self) {
        let _ = self.0.send(self.1);
    }
}

/// H1-28: a call that is given up closes the connection, and the server drops what it does for it: while it thinks, while it
/// reads, and while it answers.
#[tokio::test(start_paused = true)]
async fn h1_28_a_call_that_is_given_up_ends_the_work_for_it() {
    let net = Net::default();
    let (sender, mut ended) = mpsc::unbounded_channel();
    let work = service_fn_with(sender, async |sender: mpsc::UnboundedSender<&'static str>, request: Request| {
        let _begun = sender.send("begun");
        match request.uri().path() {
            "/think" => {
                let _tell = Tell(sender, "think");
                std::future::pending::<()>().await;
            }
            "/read" => {
                let _tell = Tell(sender, "read");
                let mut body = request.into_body();
                while let Some(frame) = body.frame().await {
                    frame?;
                }
            }
            _ => {
                let (feeder, body) = fed();
                tokio::spawn(async move {
                    let _tell = Tell(sender, "answer");
                    feeder.send("a").await;
                    feeder.dropped().await;
                });
                return Ok(Response::new(body));
            }
        }
        Ok::<_, BoxError>(Response::new(Body::empty()))
    });
    net.serve_at("origin.test:80", work);
    let client = net.client();
    in_time(async {
        let mut next = async || ended.recv().await.unwrap();
        // While the service thinks.
        let mut call = Box::pin(client.serve(get("http://origin.test/think")));
        tokio::select! {
            biased;
            _ = &mut call => unreachable!(),
            begun = next() => assert_eq!(begun, "begun"),
        }
        drop(call);
        assert_eq!(next().await, "think");

        // While it reads an upload.
        let (feeder, body) = fed();
        let mut call = Box::pin(client.serve(post("http://origin.test/read", body)));
        tokio::select! {
            biased;
            _ = &mut call => unreachable!(),
            _ = async { feeder.send("a").await; next().await } => {},
        }
        drop(call);
        assert_eq!(next().await, "read");
        feeder.dropped().await;

        // While it answers.
        let mut response = client.serve(get("http://origin.test/answer")).await.unwrap();
        assert_eq!(next().await, "begun");
        assert_eq!(next_data(&mut response).await.unwrap(), "a");
        drop(response);
        assert_eq!(next().await, "answer");
        assert_eq!(client.idle(), 0);
    })
    .await;
}

/// A call that is given up before anything of it was sent leaves the connection as it was.
#[tokio::test(start_paused = true)]
async fn a_call_that_was_never_polled_costs_nothing() {
    let net = Net::default();
    let connections = net.serve_at("origin.test:80", echo());
    let client = net.client();
    in_time(async {
        for _ in 0..3 {
            read(client.serve(post("http://origin.test/", "a")).await.unwrap()).await;
            drop(client.serve(post("http://origin.test/", "b")));
        }
        assert_eq!(connections.load(Ordering::SeqCst), 1);
    })
    .await;
}

/// LIFE-05: a graceful stop with an idle connection, half a head, a body under way in each direction, and a tunnel.
/// Waits: WebSocket.
#[tokio::test(start_paused = true)]
async fn life_05_a_server_that_stops_ends_each_connection_in_its_way() {
    let (listener, connector) = memory::listen("origin");
    let shutdown = Arc::new(Shutdown::new());
    let serve = service_fn(async |request: Request| {
        if request.method() == http::Method::CONNECT {
            let mut response = Response::new(Body::empty());
            let until_cut = Upgrade::new(async |conn: Conn<BoxIo>| {
                std::future::pending::<()>().await;
                drop(conn);
            });
            until_cut.attach(&mut response);
            return Ok::<_, BoxError>(response);
        }
        Ok::<_, BoxError>(match request.uri().path() {
            "/down" => Response::new(Patterned::body(1 << 20, 1_000)),
            _ => Response::new(request.into_body()),
        })
    });
    let server = {
        let shutdown = Arc::clone(&shutdown);
        tokio::spawn(async move { listener.serve(Http1Server::new(serve), &shutdown).await })
    };
    let client = Client::new(Http1Connector::new(connector.clone(), Http1ClientConfig::default()));
    let dial = async || {
        let target: HostPort = "origin.test:80".parse().unwrap();
        connector.serve(Connect::new(target)).await.unwrap().io
    };
    in_time(async {
        // Two that are idle: one that was never used, and one that was.
        let mut fresh = dial().await;
        let mut used = dial().await;
        used.write_all(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi").await.unwrap();
        let mut answer = [0; 512];
        let _ = used.read(&mut answer).await.unwrap();
        // Half a head.
        let mut half = dial().await;
        half.write_all(b"GET / HTTP/1.1\r\nho").await.unwrap();
        // A download and an upload.
        let mut down = client.serve(get("http://origin.test/down")).await.unwrap();
        let mut checker = Checker::default();
        checker.check(&next_data(&mut down).await.unwrap());
        let (feeder, body) = fed();
        let mut up = client.serve(post("http://origin.test/up", body)).await.unwrap();
        feeder.send("before").await;
        assert_eq!(next_data(&mut up).await.unwrap(), "before");
        // A tunnel.
        let mut tunnel = dial().await;
        tunnel.write_all(b"CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n").await.unwrap();
        let _ = tunnel.read(&mut answer).await.unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200 "));
        let begun = Instant::now();
        shutdown.begin();
        server.await.unwrap();
        let mut nothing = Vec::new();
        fresh.read_to_end(&mut nothing).await.unwrap();
        used.read_to_end(&mut nothing).await.unwrap();
        assert_eq!(nothing, b"");
        assert_eq!(begun.elapsed(), Duration::ZERO, "what is idle goes at once");
        half.write_all(b"st: a\r\n\r\n").await.unwrap();
        let mut last = String::new();
        half.read_to_string(&mut last).await.unwrap();
        assert!(last.starts_with("HTTP/1.1 200 ") && last.contains("connection: close\r\n"), "{last}");
        // Those under way go on to their ends.
        while let Some(data) = next_data(&mut down).await {
            checker.check(&data);
        }
        assert_eq!(checker.0, 1 << 20);
        feeder.send("after").await;
        assert_eq!(next_data(&mut up).await.unwrap(), "after");
        drop(feeder);
        assert!(next_data(&mut up).await.is_none());
        drop((down, up, client));
        // The tunnel knows no end, so the deadline is its end.
        let report = shutdown.drain(Duration::from_secs(30)).await;
        assert_eq!(begun.elapsed(), Duration::from_secs(30));
        assert_eq!(report.cut, 1, "the tunnel, and nothing else");
        assert_eq!(tunnel.read(&mut answer).await.unwrap(), 0);
    })
    .await;
}
