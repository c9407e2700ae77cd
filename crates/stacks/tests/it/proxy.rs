//! Requests that are forwarded: client, forward proxy and origin.

use std::{
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};

use chaski_client::{Client, ClientConfig};
use chaski_core::{
    BoxError, Conn, Connect, ConnectError, HostPort, Service,
    http::{Body, Informational, OnInformational, Request, Response},
    service_fn,
    test_util::{Pipe, PipeOptions, ScriptedPeer},
};
use chaski_http_core::{Http1ClientConfig, Http1Connector, Http1Server, codec::TargetForm};
use chaski_net::{Relay, RelayConfig};
use chaski_proxy::ForwardProxy;
use http::{HeaderMap, StatusCode};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::Instant,
};

use crate::{
    bodies::{Checker, Patterned, fed, pattern},
    net::{Net, echo, exchange, in_time, post, read, read_answer, read_head, statuses, tiny},
};

/// Dials one place, whatever the target.
#[derive(Clone)]
struct Hop(Net, &'static str);

impl Service<Connect> for Hop {
    type Output = Conn<Pipe>;
    type Error = ConnectError;

    async fn serve(&self, mut connect: Connect) -> Result<Conn<Pipe>, ConnectError> {
        connect.target = self.1.parse::<HostPort>().unwrap().into();
        self.0.serve(connect).await
    }
}

/// A client that sends everything to the proxy at `name`.
fn through(net: &Net, name: &'static str) -> Client<Http1Connector<Hop>> {
    let form = Http1ClientConfig::default().with_target_form(TargetForm::Absolute);
    Client::new(Http1Connector::new(Hop(net.clone(), name), form))
}

const ORIGIN: &str = "http://origin.test/";

/// PRX-01 and a chain of two: each hop adds itself, credentials for a proxy go no further than it, and what is end to end
/// arrives: method, fields, body, trailers, informational responses.
#[tokio::test(start_paused = true)]
async fn prx_01_a_chain_of_proxies_hands_on_what_is_end_to_end_and_nothing_else() {
    for options in [tiny(3), PipeOptions::default()] {
        let net = Net::default();
        let tell = service_fn(async |request: Request| {
            let mut hints = HeaderMap::new();
            hints.insert("link", "</a>".parse().unwrap());
            Informational::of(&request).unwrap().send(StatusCode::EARLY_HINTS, &hints)?;
            let mut seen: Vec<String> = vec![format!("{} {}", request.method(), request.uri())];
            for (name, value) in request.headers() {
                seen.push(format!("{name}: {}", value.to_str()?));
            }
            seen[1..].sort();
            let seen = seen.join("|");
            let mut response = Response::new(request.into_body());
            response.headers_mut().insert("seen", seen.parse()?);
            response.headers_mut().insert("connection", "x-hop".parse()?);
            response.headers_mut().insert("x-hop", "1".parse()?);
            Ok::<_, BoxError>(response)
        });
        let origin = net.listen_with("origin.test:80", options).serve(Http1Server::new(tell));
        let second = net.listen_with("second.test:3128", options).serve(Http1Server::new(net.proxy("second")));
        let first =
            ForwardProxy::new(through(&net, "second.test:3128"), net.clone(), Relay::new(RelayConfig::default()));
        let first = first.with_pseudonym("first".parse().unwrap());
        let first = net.listen_with("first.test:3128", options).serve(Http1Server::new(first));
        let client = through(&net, "first.test:3128");
        in_time(async {
            for _ in 0..2 {
                let mut trailers = HeaderMap::new();
                trailers.insert("checksum", "1".parse().unwrap());
                let heard = Arc::new(Mutex::new(Vec::new()));
                let listener = Arc::clone(&heard);
                let mut request = Request::put("http://origin.test/a?b")
                    .header("te", "trailers")
                    .header("connection", "te, x-secret")
                    .header("x-secret", "s")
                    .header("proxy-authorization", "Basic YTpi")
                    .header("accept", "text/plain")
                    .body(Patterned::body(5_000, 700).with_trailers(trailers.clone()))
                    .unwrap();
                OnInformational::new(move |response| {
                    let via = response.headers().get_all("via").iter().map(|via| via.to_str().unwrap().to_owned());
                    listener.lock().unwrap().push((response.status().as_u16(), via.collect::<Vec<_>>().join(", ")));
                })
                .attach(&mut request);
                let response = client.serve(request).await.unwrap();
                assert_eq!(
                    response.headers()["seen"],
                    "PUT /a?b|accept: text/plain|connection: te|host: origin.test|te: trailers|\
                     transfer-encoding: chunked|via: 1.1 first|via: 1.1 second"
                );
                assert!(!response.headers().contains_key("x-hop"));
                let via: Vec<_> = response.headers().get_all("via").iter().collect();
                assert_eq!(via, ["1.1 second", "1.1 first"]);
                assert_eq!(*heard.lock().unwrap(), [(103, "1.1 second, 1.1 first".to_owned())]);
                let (mut body, mut checker, mut last) = (response.into_body(), Checker::default(), None);
                while let Some(frame) = body.frame().await {
                    match frame.unwrap().into_data() {
                        Ok(data) => checker.check(&data),
                        Err(frame) => last = frame.into_trailers().ok(),
                    }
                }
                assert_eq!((checker.0, last), (5_000, Some(trailers)));
            }
            let dialed = [first, second, origin].map(|dialed| dialed.load(Ordering::SeqCst));
            assert_eq!(dialed, [1, 1, 1], "each hop reuses its connection");
        })
        .await;
    }
}

/// 8 MiB up and down at once through pipes of 1,000 bytes.
#[tokio::test(start_paused = true)]
async fn large_bodies_go_through_small_pipes() {
    let net = Net::default();
    net.listen_with("origin.test:80", tiny(1_000)).serve(Http1Server::new(echo()));
    net.listen_with("proxy.test:3128", tiny(1_000)).serve(Http1Server::new(net.proxy("edge")));
    let client = through(&net, "proxy.test:3128");
    in_time(async {
        let response = client.serve(post(ORIGIN, Patterned::body(8 << 20, 5_000))).await.unwrap();
        assert_eq!(Checker::read(response.into_body()).await, 8 << 20);
        let response = client.serve(post(ORIGIN, pattern(0, 100_000))).await.unwrap();
        assert_eq!(Checker::read(response.into_body()).await, 100_000);
    })
    .await;
}

/// A client that does not read bounds what the origin can send, and an origin that does not read what the client can.
#[tokio::test(start_paused = true)]
async fn a_side_that_does_not_read_bounds_the_other() {
    let net = Net::default();
    let mut origin = net.listen("origin.test:80");
    net.serve_at("proxy.test:3128", net.proxy("edge"));
    in_time(async {
        // Buffers of this size stand in each pipe; what the proxy holds between them is of the same order.
        let bound = 512 << 10;
        let mut client = net.dial("proxy.test:3128").await;
        client.write_all(b"GET http://origin.test/ HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let mut server = origin.accept().await.conn.io;
        let probe = server.probe();
        read_head(&mut server).await;
        server.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 8388608\r\n\r\n").await.unwrap();
        let body = pattern(0, 100_000);
        let endless = async { while server.write_all(&body).await.is_ok() {} };
        let waited = tokio::time::timeout(Duration::from_secs(30), endless).await;
        assert!(waited.is_err());
        assert!(probe.stats().bytes_written < bound, "{:?}", probe.stats());
        drop((client, server));

        let mut client = net.dial("proxy.test:3128").await;
        let probe = client.probe();
        client
            .write_all(b"PUT http://origin.test/ HTTP/1.1\r\nhost: a\r\ncontent-length: 8388608\r\n\r\n")
            .await
            .unwrap();
        let server = origin.accept().await;
        let endless = async { while client.write_all(&body).await.is_ok() {} };
        let waited = tokio::time::timeout(Duration::from_secs(30), endless).await;
        assert!(waited.is_err());
        assert!(probe.stats().bytes_written < bound, "{:?}", probe.stats());
        drop(server);
    })
    .await;
}

/// H1-28: a client that goes away ends what the proxy does for it: the dial, the wait, the download, the upload.
#[tokio::test(start_paused = true)]
async fn h1_28_a_client_that_goes_is_gone_for_the_origin_too() {
    let net = Net::default();
    let mut origin = net.listen("origin.test:80");
    net.serve_at("proxy.test:3128", net.proxy("edge"));
    let requests = [
        ("GET http://origin.test/ HTTP/1.1\r\nhost: a\r\n\r\n", ""),
        (
            "GET http://origin.test/ HTTP/1.1\r\nhost: a\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
        ),
        ("PUT http://origin.test/ HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc", ""),
    ];
    in_time(async {
        for (request, answer) in requests {
            let mut client = net.dial("proxy.test:3128").await;
            client.write_all(request.as_bytes()).await.unwrap();
            let mut server = origin.accept().await.conn.io;
            read_head(&mut server).await;
            server.write_all(answer.as_bytes()).await.unwrap();
            if !answer.is_empty() {
                read_head(&mut client).await;
            }
            let gone = Instant::now();
            drop(client);
            let mut rest = Vec::new();
            server.read_to_end(&mut rest).await.unwrap();
            assert_eq!(gone.elapsed(), Duration::ZERO, "{request}");
        }
    })
    .await;
}

/// A body that the origin cuts is cut for the client: no last chunk, no full length.
#[tokio::test(start_paused = true)]
async fn an_origin_that_goes_leaves_a_cut_and_no_end() {
    let net = Net::default();
    let mut origin = net.listen("origin.test:80");
    net.serve_at("proxy.test:3128", net.proxy("edge"));
    let bodies = [
        ("transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n", "\r\n\r\n5\r\nhello\r\n"),
        ("content-length: 10\r\n\r\nhello", "\r\n\r\nhello"),
    ];
    in_time(async {
        for (body, end) in bodies {
            let mut client = net.dial("proxy.test:3128").await;
            let answer = async {
                let io = origin.accept().await.conn.io;
                let peer = ScriptedPeer::new(io).expect_until("\r\n\r\n").send(format!("HTTP/1.1 200 OK\r\n{body}"));
                peer.run().await.unwrap();
            };
            let begun = Instant::now();
            let request = "GET http://origin.test/ HTTP/1.1\r\nhost: a\r\n\r\n";
            let (text, ()) = tokio::join!(exchange(&mut client, request), answer);
            assert!(text.starts_with("HTTP/1.1 200 ") && text.ends_with(end), "{text}");
            assert_eq!(begun.elapsed(), Duration::ZERO, "cut, not left waiting");
        }
    })
    .await;
}

/// H1-25: failures on the way to a target have their status, and the client's connection goes on behind them, but not behind
/// a refused CONNECT (RFC 9931).
#[tokio::test(start_paused = true)]
async fn h1_25_failures_are_mapped_and_the_connection_goes_on() {
    let net = Net::default();
    net.serve_at("origin.test:80", echo());
    drop(net.listen("refused.test:80"));
    let mut resets = net.listen("resets.test:80");
    net.serve_at("proxy.test:3128", net.proxy("edge"));
    tokio::spawn(async move {
        loop {
            drop(resets.accept().await);
        }
    });
    in_time(async {
        let mut client = net.dial("proxy.test:3128").await;
        let hosts = [
            ("unknown.test", 502, "cannot resolve the name of unknown.test:80\n", 0),
            ("refused.test", 502, "cannot connect to refused.test:80\n", 0),
            ("resets.test", 502, "no valid response from resets.test:80\n", 0),
            ("silent.test", 504, "timed out while connecting to silent.test:80\n", 10),
            ("origin.test", 200, "a body", 0),
        ];
        for (host, status, text, seconds) in hosts {
            let begun = Instant::now();
            let head = format!("POST http://{host}/ HTTP/1.1\r\nhost: a\r\ncontent-length: 6\r\n\r\n");
            client.write_all(format!("{head}a body").as_bytes()).await.unwrap();
            let answer = read_answer(&mut client).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.ends_with(text), "{host}: {answer}");
            assert_eq!(begun.elapsed().as_secs(), seconds, "{host}");
        }
        // But behind a CONNECT that failed: what follows may have been meant for the tunnel.
        for target in ["unknown.test:80", "refused.test:80"] {
            let mut client = net.dial("proxy.test:3128").await;
            let smuggled = "GET http://origin.test/ HTTP/1.1\r\nhost: a\r\n\r\n";
            let answer =
                exchange(&mut client, format!("CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n\r\n{smuggled}")).await;
            assert_eq!(statuses(&answer), [502], "{target}: {answer}");
        }
    })
    .await;
}

/// H1-25: the limits of the proxy's own client are told as such, and the client may come again.
#[tokio::test(start_paused = true)]
async fn h1_25_a_client_at_its_limits_is_told_with_503_and_when_to_come_again() {
    let net = Net::default();
    let mut origin = net.listen("origin.test:80");
    let limits = ClientConfig::default().with_max_connections(1).with_max_waiting(0);
    let client = Client::with_config(Http1Connector::new(net.clone(), Http1ClientConfig::default()), limits);
    let proxy = ForwardProxy::new(client, net.clone(), Relay::new(RelayConfig::default()));
    net.serve_at("proxy.test:3128", proxy.with_pseudonym("edge".parse().unwrap()));
    in_time(async {
        let get = b"GET http://origin.test/ HTTP/1.1\r\nhost: origin.test\r\n\r\n";
        let mut first = net.dial("proxy.test:3128").await;
        first.write_all(get).await.unwrap();
        let mut held = origin.accept().await;
        let mut second = net.dial("proxy.test:3128").await;
        second.write_all(get).await.unwrap();
        let answer = read_answer(&mut second).await;
        assert_eq!(statuses(&answer), [503], "{answer}");
        assert!(answer.contains("\r\nretry-after: 1\r\n"), "{answer}");
        assert!(answer.contains("\r\nproxy-status: edge;error=connection_limit_reached;"), "{answer}");
        // The connection goes on, and so does the proxy when the other one has its answer.
        read_head(&mut held.conn.io).await;
        held.conn.io.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        assert_eq!(statuses(&read_answer(&mut first).await), [200]);
        second.write_all(get).await.unwrap();
        read_head(&mut held.conn.io).await;
        held.conn.io.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        assert_eq!(statuses(&read_answer(&mut second).await), [200]);
    })
    .await;
}

/// Requests that are sent without waiting are answered in their order, also when the later ones are ready first.
#[tokio::test(start_paused = true)]
async fn pipelined_requests_are_answered_in_order() {
    let net = Net::default();
    let slow_then_fast = service_fn(async |request: Request| {
        let path = request.uri().path().to_owned();
        let seconds: u64 = path[1..].parse()?;
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        Ok::<_, BoxError>(Response::new(Body::full(format!("[{path}]"))))
    });
    let origin = net.serve_at("origin.test:80", slow_then_fast);
    net.serve_at("proxy.test:3128", net.proxy("edge"));
    in_time(async {
        let mut client = net.dial("proxy.test:3128").await;
        let ask = |seconds| format!("GET http://origin.test/{seconds} HTTP/1.1\r\nhost: a\r\n\r\n");
        let request = [5, 0, 3, 1].map(ask).concat() + "GET http://unknown.test/ HTTP/1.1\r\nhost: a\r\n\r\n" + &ask(0);
        let answer = exchange(&mut client, request).await;
        assert_eq!(statuses(&answer), [200, 200, 200, 200, 502, 200]);
        let bodies: Vec<&str> = answer.split('[').skip(1).map(|rest| rest.split(']').next().unwrap()).collect();
        assert_eq!(bodies, ["/5", "/0", "/3", "/1", "/0"]);
        assert_eq!(origin.load(Ordering::SeqCst), 1);
    })
    .await;
}

/// H1-27: a refusal of the origin reaches a client that is still sending, and neither connection is read out of step.
#[tokio::test(start_paused = true)]
async fn h1_27_an_early_answer_of_the_origin_reaches_a_client_that_still_sends() {
    let net = Net::default();
    let refuse = service_fn(async |request: Request| {
        drop(request);
        Ok::<_, BoxError>(Response::builder().status(413).body(Body::full("too large")).unwrap())
    });
    net.serve_at("origin.test:80", refuse);
    net.serve_at("proxy.test:3128", net.proxy("edge"));
    let client = through(&net, "proxy.test:3128");
    in_time(async {
        for _ in 0..3 {
            let response = client.serve(post(ORIGIN, Patterned::body(1 << 40, 5_000))).await.unwrap();
            assert_eq!(read(response).await, (413, "too large".into()));
            let (feeder, body) = fed();
            let (_, response) = tokio::join!(feeder.send("begun"), client.serve(post(ORIGIN, body)));
            assert_eq!(read(response.unwrap()).await, (413, "too large".into()));
            feeder.dropped().await;
        }
    })
    .await;
}

/// H1-23, through a proxy: the origin is asked, and its refusal or its 100 comes back; the body follows only if it is wanted.
#[tokio::test(start_paused = true)]
async fn h1_23_expect_goes_through_to_the_origin() {
    let net = Net::default();
    let picky = service_fn(async |request: Request| {
        Ok::<_, BoxError>(match request.uri().path() {
            "/no" => Response::builder().status(401).body(Body::empty()).unwrap(),
            _ => Response::new(Body::full(request.into_body().collect(100).await?)),
        })
    });
    net.serve_at("origin.test:80", picky);
    net.serve_at("proxy.test:3128", net.proxy("edge"));
    in_time(async {
        let head = |path| {
            format!("POST {ORIGIN}{path} HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n")
        };
        let begun = Instant::now();
        let mut client = net.dial("proxy.test:3128").await;
        client.write_all(head("yes").as_bytes()).await.unwrap();
        assert_eq!(read_head(&mut client).await, "HTTP/1.1 100 Continue\r\n\r\n");
        client.write_all(b"body").await.unwrap();
        let answer = read_answer(&mut client).await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\nbody"), "{answer}");
        client.write_all(head("no").as_bytes()).await.unwrap();
        let answer = exchange(&mut client, "").await;
        assert_eq!(statuses(&answer), [401]);
        assert!(
            begun.elapsed() < Duration::from_secs(1),
            "{:?}: nobody waited for the other's patience",
            begun.elapsed()
        );
    })
    .await;
}
