//! Connections that are used again, and those that are not.

use std::{
    collections::HashMap,
    io,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use chaski_client::{Client, ClientConfig, ClientErrorKind};
use chaski_core::{
    BoxError, Conn, Io, Service, Shutdown,
    http::{Body, Request, Response},
    service_fn, service_fn_with,
    test_util::{Pipe, ScriptedPeer},
};
use chaski_http_core::{Http1ClientConfig, Http1Connector, Http1Server};
use chaski_net::memory;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::net::{Net, echo, get, in_time, post, read};

/// How a server leaves a connection after its first answer, which says nothing of it.
#[derive(Clone, Copy, Debug)]
enum Leaves {
    /// After so many polls: before, while or after the next request is written.
    AfterPolls(usize),
    /// When the next request has come, unread by the engine.
    AtTheRequest,
    /// When the next answer is about to be written, so after the service was called.
    AtTheAnswer,
}

/// How each connection is left, by its number.
type Leaving = fn(usize) -> Leaves;

/// The server's end of a connection that is good for one answer.
struct OneAnswer {
    io: Pipe,
    leaves: Leaves,
    answered: bool,
    asked_again: bool,
}

impl Io for OneAnswer {}

impl AsyncRead for OneAnswer {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.answered {
            return Pin::new(&mut self.io).poll_read(cx, buf);
        }
        match &mut self.leaves {
            Leaves::AfterPolls(0) => Poll::Ready(Ok(())),
            Leaves::AfterPolls(polls) => {
                *polls -= 1;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Leaves::AtTheRequest => {
                let mut unread = [0; 16];
                ready!(Pin::new(&mut self.io).poll_read(cx, &mut ReadBuf::new(&mut unread)))?;
                Poll::Ready(Ok(()))
            }
            Leaves::AtTheAnswer => {
                let before = buf.filled().len();
                ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
                self.asked_again |= buf.filled().len() > before;
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl AsyncWrite for OneAnswer {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.asked_again {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let n = ready!(Pin::new(&mut self.io).poll_write(cx, buf))?;
        self.answered = true;
        Poll::Ready(Ok(n))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// How often each path was served.
type Served = Arc<Mutex<HashMap<String, usize>>>;

/// A server of which every connection is good for one answer. Gives what it has served, and how many connections it had.
fn one_answer_each(net: &Net, leaves: Leaving) -> (Served, Arc<AtomicUsize>) {
    let served = Served::default();
    let count = service_fn_with(Arc::clone(&served), async |served: Served, request: Request| {
        let body = request.into_parts();
        *served.lock().unwrap().entry(body.0.uri.path().to_owned()).or_default() += 1;
        let body = body.1.collect(100).await?;
        Ok::<_, BoxError>(Response::new(Body::full(body)))
    });
    let server = Arc::new(Http1Server::new(count));
    let number = Arc::new(AtomicUsize::new(0));
    let server = service_fn(move |conn: Conn<Pipe>| {
        let (server, leaves) = (Arc::clone(&server), leaves(number.fetch_add(1, Ordering::SeqCst)));
        let conn = conn.map_io(|io| OneAnswer { io, leaves, answered: false, asked_again: false });
        async move {
            drop(server.serve(conn).await);
            Ok::<_, BoxError>(())
        }
    });
    (served, net.listen("origin.test:80").serve(server))
}

/// H1-29: a server that closes exactly at reuse costs no GET, and no POST is served twice.
#[tokio::test(start_paused = true)]
async fn h1_29_a_connection_that_closes_at_its_reuse_costs_no_get_and_doubles_no_post() {
    let cases: [(&str, Leaving); 3] = [
        ("after some polls", |number| Leaves::AfterPolls(number % 8)),
        ("at the request", |_| Leaves::AtTheRequest),
        ("at the answer", |_| Leaves::AtTheAnswer),
    ];
    for (name, leaves) in cases {
        let net = Net::default();
        let (served, connections) = one_answer_each(&net, leaves);
        let client = net.client();
        in_time(async {
            let mut posted = 0;
            for i in 0..1_000 {
                let (status, _) = read(client.serve(get(&format!("http://origin.test/get/{i}"))).await.unwrap()).await;
                assert_eq!(status, 200, "{name}");
                let uri = format!("http://origin.test/post/{i}");
                match client.serve(post(&uri, "once")).await {
                    Ok(response) => {
                        assert_eq!(read(response).await, (200, "once".into()), "{name}");
                        posted += 1;
                    }
                    Err(error) => {
                        assert_eq!((error.kind(), error.is_not_sent()), (ClientErrorKind::Send, false), "{name}");
                    }
                }
            }
            let served = served.lock().unwrap();
            assert_eq!(served.keys().filter(|path| path.starts_with("/get/")).count(), 1_000, "{name}");
            let posts: Vec<usize> =
                served.iter().filter(|(path, _)| path.starts_with("/post/")).map(|(_, &count)| count).collect();
            assert!(posts.iter().all(|&count| count == 1), "{name}: a POST was served twice");
            assert!(posts.len() >= posted, "{name}: {} served, {posted} answered", posts.len());
            assert!(connections.load(Ordering::SeqCst) >= 1_000, "{name}: each is good for one answer");
        })
        .await;
    }
}

/// One connection for one request after the other; as many as are under way at once.
#[tokio::test(start_paused = true)]
async fn connections_are_reused_and_counted() {
    let net = Net::default();
    let connections = net.serve_at("origin.test:80", echo());
    let client = net.client();
    in_time(async {
        for i in 0..100 {
            // Answers in hand, answers in frames, and answers without a body.
            let request = match i % 3 {
                0 => get("http://origin.test/"),
                1 => post("http://origin.test/", "small"),
                _ => post("http://origin.test/", vec![b'x'; 100_000]),
            };
            read(client.serve(request).await.unwrap()).await;
        }
        assert_eq!((connections.load(Ordering::SeqCst), client.idle()), (1, 1));

        let (one, two, three) = tokio::join!(
            client.serve(post("http://origin.test/", "1")),
            client.serve(post("http://origin.test/", "2")),
            client.serve(post("http://origin.test/", "3"))
        );
        for response in [one, two, three] {
            read(response.unwrap()).await;
        }
        assert_eq!((connections.load(Ordering::SeqCst), client.idle()), (3, 3));
    })
    .await;
}

/// H1-10: `connection: close`, on either side and in any case, ends the connection with its exchange.
#[tokio::test(start_paused = true)]
async fn h1_10_close_on_either_side_leaves_the_pool() {
    let net = Net::default();
    let connections = net.serve_at(
        "origin.test:80",
        service_fn(async |request: Request| {
            let mut response = Response::new(Body::full("hello"));
            if request.uri().path() == "/close" {
                response.headers_mut().insert("connection", "Close".parse().unwrap());
            }
            Ok::<_, BoxError>(response)
        }),
    );
    let client = net.client();
    in_time(async {
        let closing = || Request::get("http://origin.test/").header("connection", "close").body(Body::empty()).unwrap();
        let requests = [
            (get("http://origin.test/close"), 1),
            (get("http://origin.test/close"), 2),
            (closing(), 3),
            (closing(), 4),
            (get("http://origin.test/"), 5),
            (get("http://origin.test/"), 5),
        ];
        for (request, expected) in requests {
            assert_eq!(read(client.serve(request).await.unwrap()).await, (200, "hello".into()));
            assert_eq!(connections.load(Ordering::SeqCst), expected);
        }
        assert_eq!(client.idle(), 1);
    })
    .await;
}

/// H1-10: and so it does when the server leaves the connection open, and would answer again.
#[tokio::test(start_paused = true)]
async fn h1_10_close_leaves_the_pool_though_the_server_does_not_close() {
    let net = Net::default();
    let mut listener = net.listen("origin.test:80");
    let client = net.client();
    in_time(async {
        for (asked, answered) in [("close", "keep-alive"), ("x", "close"), ("x", "x, CLOSE")] {
            let answer = format!("HTTP/1.1 200 OK\r\nconnection: {answered}\r\ncontent-length: 5\r\n\r\nhello");
            let peer = async {
                let io = listener.accept().await.conn.io;
                ScriptedPeer::new(io).expect_until("\r\n\r\n").send(answer).expect_eof().run().await.unwrap();
            };
            let call = async {
                let request = Request::get("http://origin.test/").header("connection", asked).body(Body::empty());
                assert_eq!(read(client.serve(request.unwrap()).await.unwrap()).await, (200, "hello".into()));
                assert_eq!(client.idle(), 0, "{asked}, {answered}");
                client.close_idle();
            };
            tokio::join!(peer, call);
        }
    })
    .await;
}

/// H1-09: bytes beyond a response, in its segment or in a later one, are no answer to the next request.
#[tokio::test(start_paused = true)]
async fn h1_09_bytes_beyond_a_response_are_no_answer() {
    let net = Net::default();
    let mut listener = net.listen("origin.test:80");
    let client = net.client();
    in_time(async {
        let extra = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nhelloforged";
        let later = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged";
        let scripts: [&[&str]; 4] = [
            &[extra],
            &["HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", later],
            &["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", later],
            &["HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhe", "llo", later],
        ];
        for (i, pieces) in scripts.into_iter().enumerate() {
            let peer = async {
                let script = ScriptedPeer::new(listener.accept().await.conn.io).expect_until("\r\n\r\n");
                let script = pieces.iter().fold(script, ScriptedPeer::send);
                script.expect_eof().run().await.unwrap();
            };
            let call = async {
                let (status, body) = read(client.serve(get("http://origin.test/")).await.unwrap()).await;
                assert_eq!((status, &body[..5]), (200, &b"hello"[..]), "{i}");
                // What comes later has come before the next request is made.
                tokio::time::sleep(Duration::from_secs(1)).await;
                // The pool looks at a connection when it is wanted, and closes it.
                let mut next = Box::pin(client.serve(get("http://origin.test/")));
                let waited = tokio::time::timeout(Duration::from_secs(1), &mut next).await;
                assert!(waited.is_err(), "{i}: answered with what nobody asked for");
            };
            tokio::join!(peer, call);
            // The second request went to a connection of its own, where nobody has answered.
            let second = listener.accept().await;
            drop(second);
        }
    })
    .await;
}

/// A listener in memory, as a server has one, with as many calls at once as come.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_calls_at_once_over_one_client() {
    let (listener, connector) = memory::listen("origin");
    let shutdown = Shutdown::new();
    let connector = Http1Connector::new(connector, Http1ClientConfig::default());
    let client = Client::with_config(connector, ClientConfig::default().with_max_idle_per_key(32));
    let server = async { listener.serve(Http1Server::new(echo()), &shutdown).await };
    let calls = async {
        let calls: Vec<_> = (0..200)
            .map(|i: usize| {
                let client = client.clone();
                tokio::spawn(async move {
                    for round in 0..5 {
                        let text = format!("call {i}, round {round}, ").repeat(1 + i * 20);
                        let request = post("http://origin.test/", text.clone());
                        assert_eq!(read(client.serve(request).await.unwrap()).await, (200, text.into()));
                    }
                })
            })
            .collect();
        for call in calls {
            call.await.unwrap();
        }
        assert!(client.idle() <= 32, "{} of one key", client.idle());
        shutdown.begin();
    };
    in_time(async { tokio::join!(server, calls) }).await;
}
