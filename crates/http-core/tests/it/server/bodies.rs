//! Request bodies: left unread, read elsewhere, outliving their answer.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use chaski_core::{
    http::{Body, Request},
    service_fn, service_fn_with,
};
use chaski_http_core::RequestBodyError;
use tokio::{
    sync::{Mutex, mpsc},
    time::{Instant, sleep},
};

use super::harness::*;

const NEXT: &str = "GET /next HTTP/1.1\r\nhost: a\r\n\r\n";
const NEXT_ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n/next";

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// H1-08: a body over the cap that the service ignores closes the connection; no byte of it is read as a request, and the
/// answer arrives although the client is still sending.
#[tokio::test(start_paused = true)]
async fn a_large_body_that_is_ignored_closes() {
    for framing in ["content-length: 1048576\r\n\r\n", "transfer-encoding: chunked\r\n\r\n100000\r\n"] {
        let mut client = serve(service_fn(path));
        client.send(format!("POST /ignored HTTP/1.1\r\nhost: a\r\n{framing}")).await;
        let smuggled = "GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n".repeat(40_000);
        client.send(&smuggled[..1 << 20]).await;
        client.send(if framing.starts_with('t') { "\r\n0\r\n\r\n" } else { "" }).await;
        client.send(NEXT).await;
        let answer = client.rest().await;
        let close = if framing.starts_with('c') { "connection: close\r\n" } else { "" };
        assert_eq!(answer, format!("HTTP/1.1 200 OK\r\ncontent-length: 8\r\n{close}\r\n/ignored"));
    }
}

/// H1-08: a small body that the service ignores is read past, and the next request is served.
#[tokio::test(start_paused = true)]
async fn a_small_body_that_is_ignored_is_drained() {
    for body in [
        "content-length: 25\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n",
        "transfer-encoding: chunked\r\n\r\n3\r\nGET\r\n0\r\nx: y\r\n\r\n",
    ] {
        for tiny in [1, 7, 1000] {
            let mut client = Setup::new().tiny(tiny).serve(service_fn(path));
            let input = format!("POST /ignored HTTP/1.1\r\nhost: a\r\n{body}{NEXT}");
            let (mut reading, mut writing) = tokio::io::split(client.io);
            let writer = tokio::spawn(async move {
                tokio::io::AsyncWriteExt::write_all(&mut writing, input.as_bytes()).await.unwrap();
                tokio::io::AsyncWriteExt::shutdown(&mut writing).await.unwrap();
            });
            let mut answers = String::new();
            patient("reading", tokio::io::AsyncReadExt::read_to_string(&mut reading, &mut answers)).await.unwrap();
            writer.await.unwrap();
            let ignored = "HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n/ignored";
            assert_eq!(undated(&answers), format!("{ignored}{NEXT_ANSWER}"));
            patient("the server", &mut client.server).await.unwrap().unwrap().unwrap();
        }
    }
}

/// H1-08: the cap counts what is left, so a body that was read nearly to its end goes on.
#[tokio::test(start_paused = true)]
async fn a_body_dropped_half_read_is_drained_if_little_is_left() {
    for (read, goes_on) in [(0, false), (100_000, false), (900_000, true)] {
        let service = service_fn(move |request: Request| async move {
            if request.method() == http::Method::GET {
                return path(request).await;
            }
            let (mut body, mut got) = (request.into_body(), 0);
            while got < read {
                got += body.frame().await.unwrap()?.into_data().unwrap().len();
            }
            Ok(status(202))
        });
        let mut client = serve(service);
        client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n").await;
        client.send(vec![b'x'; 1_000_000]).await;
        client.send(NEXT).await;
        client.end().await;
        let close = if goes_on { "" } else { "connection: close\r\n" };
        let next = if goes_on { NEXT_ANSWER } else { "" };
        assert_eq!(
            client.rest().await,
            format!("HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n{close}\r\n{next}"),
            "{read} bytes read"
        );
    }
}

/// A client that does not send what it promised is not waited for beyond the body's limit.
#[tokio::test(start_paused = true)]
async fn draining_has_a_limit_of_time() {
    let mut client = Setup::new().config(|config| config.with_linger(secs(2))).serve(service_fn(path));
    client.send("POST /ignored HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\nfew").await;
    let start = Instant::now();
    assert_eq!(client.response().await, "HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n/ignored");
    assert_eq!(start.elapsed(), secs(0));
    client.assert_closed().await;
    assert_eq!(start.elapsed(), secs(60));
    assert_eq!(client.gone_after(start).await, secs(62));
}

/// A body may be moved into another task and read there, while the service waits for that task.
#[tokio::test(start_paused = true)]
async fn a_body_is_read_in_another_task() {
    let service = service_fn(async |request: Request| {
        let body = request.into_body();
        let read = tokio::spawn(async move { body.collect(1 << 20).await.unwrap() });
        Ok(ok(read.await.unwrap()))
    });
    for tiny in [1, 1000] {
        let mut client = Setup::new().tiny(tiny).serve(service);
        for _ in 0..20 {
            client.send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n").await;
            sleep(secs(1)).await;
            client.send("4\r\nabcd\r\n").await;
            sleep(secs(1)).await;
            client.send("0\r\n\r\n").await;
            assert_eq!(client.response().await, "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nabcd");
        }
    }
}

/// A service that hands its bodies to another task and answers at once.
fn hand_over()
-> (impl Fn(Request) -> std::future::Ready<Handled> + Send + Sync + 'static, mpsc::UnboundedReceiver<Body>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let service = move |request: Request| {
        let answer = ok(request.uri().path().to_owned());
        if request.method() == http::Method::POST {
            sender.send(request.into_body()).unwrap();
        }
        std::future::ready(Ok(answer))
    };
    (service, receiver)
}

/// A body that outlives its answer keeps the next request waiting until it is let go of, and keep-alive goes on.
#[tokio::test(start_paused = true)]
async fn a_body_that_outlives_its_answer_holds_the_next_request() {
    let (service, mut bodies) = hand_over();
    let mut client = serve(service_fn(service));
    client.send("POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nab").await;
    assert_eq!(client.response().await, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n/a");
    let mut body = bodies.recv().await.unwrap();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "ab");
    client.send(format!("cd{NEXT}")).await;
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "cd");
    assert!(body.frame().await.is_none());
    sleep(secs(30)).await;
    let writes = client.probe.stats().writes;
    let released = Instant::now();
    drop(body);
    assert_eq!(client.response().await, NEXT_ANSWER);
    assert_eq!(released.elapsed(), secs(0));
    assert_eq!(client.probe.stats().writes, writes + 1, "the next answer left after the release");
}

/// Held for longer than the body's limit, it ends the connection, and its holder is told.
#[tokio::test(start_paused = true)]
async fn a_body_held_for_too_long_closes() {
    let (service, mut bodies) = hand_over();
    let mut client = serve(service_fn(service));
    let start = Instant::now();
    client.send("POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nab").await;
    let body = bodies.recv().await.unwrap();
    let reader = tokio::spawn(async move { body.collect(100).await.unwrap_err() });
    assert_eq!(client.rest().await, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n/a");
    assert_eq!(start.elapsed(), secs(60));
    let error = patient("the reader", reader).await.unwrap();
    assert!(error.downcast_ref::<RequestBodyError>().is_some(), "{error:?}");
}

/// A client that will not send another request still has its body read: the close waits for it as keep-alive would.
#[tokio::test(start_paused = true)]
async fn a_body_outlives_the_answer_of_a_connection_that_closes() {
    for (version, asked) in [("1.1", "connection: close\r\n"), ("1.0", "")] {
        let (service, mut bodies) = hand_over();
        let mut client = serve(service_fn(service));
        client.send(format!("POST /a HTTP/{version}\r\nhost: a\r\n{asked}content-length: 4\r\n\r\n")).await;
        let body = bodies.recv().await.unwrap();
        let reader = tokio::spawn(async move { body.collect(100).await });
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n/a";
        // The answer is complete, and whoever reads to the end need not wait for the body.
        assert_eq!(client.rest().await, answer);
        sleep(secs(10)).await;
        client.send("abcd").await;
        assert_eq!(patient("the reader", reader).await.unwrap().unwrap(), "abcd");
        client.outcome().await.unwrap();
    }
}

/// When the connection's future is dropped, a task that waits for the body is woken with an error.
#[tokio::test(start_paused = true)]
async fn a_dropped_connection_wakes_the_reader_of_its_body() {
    let (service, mut bodies) = hand_over();
    let mut client = serve(service_fn(service));
    client.send("POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nab").await;
    client.response().await;
    let body = bodies.recv().await.unwrap();
    let reader = tokio::spawn(async move { body.collect(100).await.unwrap_err() });
    sleep(secs(1)).await;
    assert!(!reader.is_finished());
    client.server.abort();
    let error = patient("the reader", reader).await.unwrap();
    assert!(matches!(error.downcast_ref(), Some(RequestBodyError::Closed)), "{error:?}");
    client.assert_closed().await;
}

/// What had arrived before the connection ended can still be read.
#[tokio::test(start_paused = true)]
async fn what_had_arrived_outlives_the_connection() {
    let (service, mut bodies) = hand_over();
    let mut client = serve(service_fn(service));
    client.send("POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nabcd").await;
    client.response().await;
    client.server.abort();
    client.assert_closed().await;
    assert_eq!(bodies.recv().await.unwrap().collect(100).await.unwrap(), "abcd");
}

/// The answer's body is the request's: full duplex, through a pipe that holds a byte.
#[tokio::test(start_paused = true)]
async fn an_answer_echoes_its_request_while_it_arrives() {
    for tiny in [1, 3, 4096] {
        let mut client = Setup::new().tiny(tiny).serve(service_fn(echo));
        client.send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n").await;
        assert_eq!(client.head().await, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        for _ in 0..100 {
            client.send("1\r\nx\r\n").await;
            assert_eq!(client.until("\r\nx\r\n").await, "1\r\nx\r\n");
        }
        client.send("0\r\n\r\n").await;
        assert_eq!(client.until("0\r\n\r\n").await, "0\r\n\r\n");
        // With a length it is echoed by length.
        client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc").await;
        assert_eq!(client.response().await, "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc");
    }
}

/// H1-27: the answer to an upload that goes on arrives, then the connection closes.
#[tokio::test(start_paused = true)]
async fn an_early_answer_arrives_in_the_middle_of_an_upload() {
    let service = service_fn(async |request: Request| {
        let mut body = request.into_body();
        body.frame().await.unwrap()?;
        Ok(status(413))
    });
    let mut client = serve(service);
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10000000\r\n\r\n").await;
    for _ in 0..20 {
        client.send(vec![b'x'; 50_000]).await;
    }
    let start = Instant::now();
    assert_eq!(client.rest().await, "HTTP/1.1 413 Payload Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    // The client may send for a while before the connection goes.
    client.send(vec![b'x'; 50_000]).await;
    assert_eq!(client.gone_after(start).await, secs(2));
}

/// An upload that is unfinished when the answer begins goes on beside it.
#[tokio::test(start_paused = true)]
async fn an_upload_goes_on_beside_the_answer() {
    let total = Arc::new(Mutex::new(0));
    let service = service_fn_with(Arc::clone(&total), async |total: Arc<Mutex<usize>>, request: Request| {
        let (frames, answer) = channel();
        let mut body = request.into_body();
        tokio::spawn(async move {
            frames.data("begun ");
            while let Some(frame) = body.frame().await {
                *total.lock().await += frame.unwrap().into_data().unwrap().len();
            }
            frames.data("done");
        });
        Ok(ok(answer))
    });
    // What is more than would be drained is announced to end the connection, and is read all the same.
    for (length, close) in [(200_000, ""), (500_000, "connection: close\r\n")] {
        *total.lock().await = 0;
        let mut client = serve(service.clone());
        client.send(format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n")).await;
        assert_eq!(client.head().await, format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n{close}\r\n"));
        assert_eq!(client.until("begun \r\n").await, "6\r\nbegun \r\n");
        for _ in 0..length / 50_000 {
            client.send(vec![b'x'; 50_000]).await;
        }
        assert_eq!(client.until("0\r\n\r\n").await, "4\r\ndone\r\n0\r\n\r\n");
        assert_eq!(*total.lock().await, length);
        if close.is_empty() {
            client.send(NEXT).await;
            client.head().await;
        } else {
            client.assert_closed().await;
        }
    }
}

/// A body that was read to its end and is held elsewhere does not keep the server from noticing that its client has gone.
#[tokio::test(start_paused = true)]
async fn a_client_that_goes_after_its_body_is_noticed() {
    let service = service_fn(async |request: Request| {
        let (answered, answer) = tokio::sync::oneshot::channel::<Bytes>();
        let mut body = request.into_body();
        tokio::spawn(async move {
            while body.frame().await.is_some() {}
            // Neither the body nor the answer is let go of.
            std::future::pending::<()>().await;
            drop((body, answered));
        });
        Ok(ok(answer.await?))
    });
    for last in ["cd", "c"] {
        let mut client = serve(service);
        client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nab").await;
        sleep(secs(1)).await;
        client.send(last).await;
        sleep(secs(1)).await;
        client.end().await;
        let start = Instant::now();
        assert_eq!(client.gone_after(start).await, secs(0), "{last}");
    }
}
