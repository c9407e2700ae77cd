//! How a connection over TLS ends, and what the messages on it make of that.

use bytes::Bytes;
use chaski_core::{
    BoxError, Conn, Connect, HostPort, Io, Layer, Protocol, Service, find_cause,
    http::{Body, Request, Response},
    service_fn, stack,
};
use chaski_stacks::{HttpServer, in_memory};
use chaski_tls::{
    AcceptLayer, CertificateAuthority, CertifiedKey, ClientConfig, ConnectLayer, Roots, ServerConfig, TlsError,
    TlsStream,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    sync::mpsc,
};

fn identity() -> (CertifiedKey, Roots) {
    let authority = CertificateAuthority::new("a test").unwrap();
    (authority.issue(["shop"]).unwrap(), Roots::from_bytes(authority.certificate()).unwrap())
}

/// TLS-01: an end without `close_notify` is an error where the end of the connection is that of the body, and nowhere else. In
/// HTTP/1.1; an HTTP/2 stream has an end of its own.
#[tokio::test]
async fn tls_01_an_end_that_nobody_has_said_matters_to_a_body_that_ends_with_it() {
    for (answer, cut, whole) in [
        ("content-length: 4\r\n\r\nbody", false, true),
        ("content-length: 4\r\n\r\nbody", true, true),
        ("transfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n", false, true),
        ("transfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n", true, true),
        ("connection: close\r\n\r\nbody", false, true),
        ("connection: close\r\n\r\nbody", true, false),
        ("content-length: 5\r\n\r\nbody", false, false),
        ("transfer-encoding: chunked\r\n\r\n4\r\nbody\r\n", false, false),
    ] {
        let (key, roots) = identity();
        let server = service_fn(move |mut conn: Conn<TlsStream<DuplexStream>>| async move {
            let _ = conn.io.read(&mut [0; 1024]).await?;
            conn.io.write_all(format!("HTTP/1.1 200 OK\r\n{answer}").as_bytes()).await?;
            conn.io.flush().await?;
            if cut {
                conn.io.abort();
            }
            Ok::<_, BoxError>(())
        });
        let server = stack(AcceptLayer::new(ServerConfig::new(key).with_alpn(["http/1.1"])).unwrap(), server);
        let client = in_memory::tls_client(server, ClientConfig::new(roots)).unwrap();
        let request = Request::get("https://shop/").body(Body::empty()).unwrap();
        let body = client.serve(request).await.unwrap().into_body().collect(100).await;
        match body {
            Ok(body) => assert!(whole && body == "body", "{answer:?} cut: {cut}"),
            Err(error) => assert!(!whole, "{answer:?} cut: {cut}: {error:?}"),
        }
    }
}

/// TLS-01: an answer that ends with the connection and breaks off is not closed as if it were whole: when its body fails, and
/// when the connection's future is dropped.
#[tokio::test]
async fn tls_01_an_answer_that_breaks_off_does_not_look_whole() {
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum End {
        Whole,
        Fails,
        Dropped,
    }
    for end in [End::Whole, End::Fails, End::Dropped] {
        let (key, roots) = identity();
        let (frames, body) = mpsc::channel(2);
        let body = std::sync::Mutex::new(Some(body));
        let handler = service_fn(move |_: Request| {
            let mut body = body.lock().unwrap().take().unwrap();
            let stream = futures(move |cx| body.poll_recv(cx));
            std::future::ready(Ok::<_, BoxError>(Response::new(Body::from_stream(stream))))
        });
        let accept = AcceptLayer::new(ServerConfig::new(key).with_alpn(HttpServer::<()>::ALPN)).unwrap();
        let server = in_memory::InMemory::new(stack(accept, HttpServer::new(handler)));
        let tls = ConnectLayer::new(ClientConfig::new(roots)).unwrap().layer(server.clone());
        let target: HostPort = "shop:443".parse().unwrap();
        let mut conn = tls.serve(Connect::new(target).with_protocol(Protocol::Https)).await.unwrap();
        conn.io.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
        conn.io.flush().await.unwrap();
        frames.send(Ok(Bytes::from_static(b"body"))).await.unwrap();
        let mut seen = Vec::new();
        while !seen.ends_with(b"body") {
            let mut buffer = [0; 1024];
            let n = conn.io.read(&mut buffer).await.unwrap();
            assert!(n > 0);
            seen.extend_from_slice(&buffer[..n]);
        }
        assert!(!String::from_utf8_lossy(&seen).to_lowercase().contains("content-length"));
        match end {
            End::Whole => drop(frames),
            End::Fails => frames.send(Err("broken")).await.unwrap(),
            End::Dropped => server.cut(),
        }
        let rest = conn.io.read_to_end(&mut Vec::new()).await;
        match end {
            End::Whole => assert_eq!(rest.unwrap(), 0),
            _ => {
                let error = rest.expect_err("it looks whole");
                assert!(matches!(find_cause::<TlsError>(&error), Some(TlsError::Truncated)), "{end:?}: {error:?}");
            }
        }
    }
}

/// A stream of what a function polls.
fn futures<T, F>(poll: F) -> impl futures_core::Stream<Item = T> + Send + 'static
where
    F: FnMut(&mut std::task::Context<'_>) -> std::task::Poll<Option<T>> + Send + Unpin + 'static,
{
    struct Polled<F>(F);
    impl<T, F> futures_core::Stream for Polled<F>
    where
        F: FnMut(&mut std::task::Context<'_>) -> std::task::Poll<Option<T>> + Unpin,
    {
        type Item = T;
        fn poll_next(
            mut self: std::pin::Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<T>> {
            (self.0)(cx)
        }
    }
    Polled(poll)
}
