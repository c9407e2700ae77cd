//! A connection whose hello is read, and which goes on as if it had not been.

use std::{io, time::Duration};

use chaski_core::{
    BoxError, Conn, Elapsed, Prefixed, Service, Shutdown, describe, find_cause, service_fn, stack,
    test_util::{Chunking, Fault, Pipe, PipeDirection, PipeOptions, pipe},
};
use chaski_tls::{
    PeekTlsError, PeekTlsLayer,
    hello::{ClientHello, ClientHelloErrorKind},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::Instant,
};

use crate::captures::Capture;

/// Gives the hello that is a fact, and all bytes of the connection.
fn witness(
    settings: impl FnOnce(PeekTlsLayer) -> PeekTlsLayer,
) -> impl Service<Conn<Pipe>, Output = (ClientHello, Vec<u8>), Error = BoxError> {
    stack(
        settings(PeekTlsLayer::new()),
        service_fn(async |mut conn: Conn<Prefixed<Pipe>>| {
            let mut bytes = Vec::new();
            conn.io.read_to_end(&mut bytes).await?;
            Ok::<_, io::Error>((conn.ext.get::<ClientHello>().unwrap().clone(), bytes))
        }),
    )
}

async fn the_error(conn: Conn<Pipe>) -> PeekTlsError {
    *witness(|layer| layer).serve(conn).await.unwrap_err().downcast().unwrap()
}

/// A pipe whose second end reads in these sizes.
fn in_pieces(reads: Chunking) -> (Pipe, Pipe) {
    let a_to_b = PipeDirection { reads, capacity: 1 << 20, ..PipeDirection::default() };
    PipeOptions { a_to_b, ..PipeOptions::default() }.pipe()
}

/// TLS-10, over a connection: however the bytes come, the fact is the same, and the service gets them all.
#[tokio::test(start_paused = true)]
async fn tls_10_a_connection_that_drips_is_read_as_one_that_does_not() {
    for name in ["openssl_records", "chrome131", "openssl_tls10"] {
        let capture = Capture::named(name);
        let stream = [&capture.stream[..], b"\x14\x03\x03\0\x01\x01 and what follows"].concat();
        for reads in [Chunking::Whole, Chunking::Bytes(1), Chunking::Random { seed: 7, max: 700 }] {
            let (mut client, server) = in_pieces(reads);
            client.write_all(&stream).await.unwrap();
            client.shutdown().await.unwrap();
            let (hello, bytes) = witness(|layer| layer).serve(Conn::new(server)).await.unwrap();
            capture.check(&hello);
            assert_eq!(bytes, stream);
        }
    }
}

/// TLS-11, before the handshake: the limit holds for the whole hello, however slowly it goes on.
#[tokio::test(start_paused = true)]
async fn tls_11_a_client_that_is_silent_or_stops_is_let_go() {
    let stream = Capture::named("curl").stream;
    for sent in [0, 1, 6, stream.len() - 1] {
        let (mut client, server) = pipe();
        let begun = Instant::now();
        client.write_all(&stream[..sent]).await.unwrap();
        let error = the_error(Conn::new(server)).await;
        assert_eq!(begun.elapsed(), PeekTlsLayer::DEFAULT_TIMEOUT);
        assert!(matches!(error, PeekTlsError::TimedOut { seen, .. } if seen == sent), "{error}");
        assert!(find_cause::<Elapsed>(&error).is_some());
    }
    // A byte each second is no reason to wait longer.
    let (mut client, server) = pipe();
    let begun = Instant::now();
    // With its last byte it goes, so that a server that waits for it all is not waited for.
    let drip = async move {
        for byte in stream {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if client.write_all(&[byte]).await.is_err() {
                break;
            }
        }
    };
    let service = witness(|layer| layer.with_timeout(Duration::from_millis(3500)));
    let (result, ()) = tokio::join!(service.serve(Conn::new(server)), drip);
    assert!(matches!(*result.unwrap_err().downcast().unwrap(), PeekTlsError::TimedOut { seen: 3, .. }));
    assert_eq!(begun.elapsed(), Duration::from_secs(4), "the client noticed with its next byte");
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_a_hello_is_refused_with_its_reason() {
    let stream = Capture::named("curl").stream;
    for sent in [0, 100] {
        let (mut client, server) = pipe();
        client.write_all(&stream[..sent]).await.unwrap();
        client.shutdown().await.unwrap();
        let error = the_error(Conn::new(server)).await;
        assert!(matches!(error, PeekTlsError::Closed { seen } if seen == sent), "{error}");
    }

    // What is no TLS is not answered in TLS.
    let (mut client, server) = pipe();
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let error = the_error(Conn::new(server)).await;
    assert!(error.is_not_tls(), "{error}");
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, b"");

    // A client of TLS is told: a fatal alert, decode_error.
    let (mut client, server) = pipe();
    client.write_all(&[22, 3, 1, 0, 5, 2, 0, 0, 1, 0]).await.unwrap();
    client.shutdown().await.unwrap();
    let error = the_error(Conn::new(server)).await;
    assert!(
        matches!(&error, PeekTlsError::Hello(hello) if hello.kind() == ClientHelloErrorKind::MessageType(2)),
        "{error}"
    );
    client.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, [21, 3, 3, 0, 2, 2, 50]);

    let b_reads = PipeDirection { fault: Some(Fault::ResetAfter(3)), ..PipeDirection::default() };
    let (mut client, server) = PipeOptions { a_to_b: b_reads, ..PipeOptions::default() }.pipe();
    assert!(client.write_all(&stream).await.is_err());
    assert!(matches!(the_error(Conn::new(server)).await, PeekTlsError::Read(_)));
}

/// As many bytes as the limit says are read and no more.
#[tokio::test(start_paused = true)]
async fn a_hello_beyond_the_limit_is_refused_when_that_is_known() {
    let stream = Capture::named("chrome131").stream;
    for (limit, enough) in [(stream.len(), true), (stream.len() - 1, false), (0, false), (usize::MAX, true)] {
        let (mut client, server) = pipe();
        client.write_all(&stream).await.unwrap();
        client.shutdown().await.unwrap();
        let result = witness(|layer| layer.with_limit(limit)).serve(Conn::new(server)).await;
        assert_eq!(result.is_ok(), enough, "{limit}");
        if let Err(error) = result {
            let hello = find_cause::<chaski_tls::hello::ClientHelloError>(&*error).unwrap();
            assert_eq!(hello.kind(), ClientHelloErrorKind::TooLong { limit: limit.max(6) });
        }
    }
}

/// A connection that has sent nothing is idle, and does not hold the draining up. One that has begun is served.
#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_when_the_server_stops() {
    let stream = Capture::named("curl").stream;
    for sent in [0, 1] {
        let (mut client, server) = pipe();
        let shutdown = Shutdown::new();
        let conn = Conn::new(server);
        conn.ext.insert(shutdown.signal());
        client.write_all(&stream[..sent]).await.unwrap();
        let begun = Instant::now();
        let service = witness(|layer| layer);
        let rest = async {
            tokio::task::yield_now().await;
            shutdown.begin();
            if sent > 0 {
                client.write_all(&stream[sent..]).await.unwrap();
                client.shutdown().await.unwrap();
            }
        };
        let (result, ()) = tokio::join!(service.serve(conn), rest);
        match sent {
            0 => assert!(matches!(*result.unwrap_err().downcast().unwrap(), PeekTlsError::Draining)),
            _ => assert_eq!(result.unwrap().1, stream),
        }
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
}

#[test]
fn the_layer_says_what_it_does() {
    let shape = describe::<Conn<Pipe>, _>(&witness(|layer| layer.with_timeout(None))).to_string();
    assert!(shape.starts_with("PeekTls limit=32768 timeout=none"), "{shape}");
    assert!(shape.contains("ClientHello"), "{shape}");
}
