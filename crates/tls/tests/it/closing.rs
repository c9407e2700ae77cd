//! The end of a connection: announced, cut, or one that the peer does not let happen.

use std::{future::poll_fn, io, time::Duration};

use chaski_core::{
    Conn, Io, find_cause,
    test_util::{Pipe, PipeDirection, PipeOptions, pipe},
};
use chaski_tls::{Alert, TlsError, TlsStream, TlsVersions};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::Instant,
};

use crate::support::{both, configs, layers, wire};

const VERSIONS: [TlsVersions; 2] = [TlsVersions::Tls12Only, TlsVersions::Tls13Only];

async fn pair<I: Io>(versions: TlsVersions, ends: (I, I)) -> (TlsStream<I>, TlsStream<I>) {
    let (server, client) = configs();
    let (server, client): (Conn<_>, Conn<_>) = both(&layers((server.with_versions(versions), client)), ends).await;
    (server.io, client.io)
}

fn is_truncated(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::UnexpectedEof && matches!(find_cause(error), Some(TlsError::Truncated))
}

/// TLS-01: what arrived before the cut is delivered first, and an end that was announced is none.
#[tokio::test]
async fn a_cut_is_told_from_an_end_behind_all_that_arrived() {
    for versions in VERSIONS {
        for cut in [true, false] {
            let (near, far, wire) = wire();
            let (mut server, mut client) = pair(versions, (near, far)).await;
            server.write_all(b"hello").await.unwrap();
            server.flush().await.unwrap();
            if !cut {
                server.shutdown().await.unwrap();
            }
            drop(wire.open().await);

            let mut text = [0; 5];
            client.read_exact(&mut text).await.unwrap();
            assert_eq!(&text, b"hello");
            for _ in 0..2 {
                match client.read(&mut text).await {
                    Ok(n) => assert!(n == 0 && !cut),
                    Err(error) => assert!(cut && is_truncated(&error), "{error:?}"),
                }
            }
        }
    }
}

/// TLS-03: the socket beneath is never offered, so no relay passes by TLS, and an end within a record is a cut.
#[tokio::test]
async fn a_socket_that_ends_within_a_record_is_cut() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (far, _) = listener.accept().await.unwrap();
    let (server, client) = pair(TlsVersions::Tls13Only, (near, far)).await;
    assert!(server.plain_socket().is_none() && client.plain_socket().is_none());
    assert!(server.leftover().is_empty());

    for versions in VERSIONS {
        let (near, far, wire) = wire();
        let (mut server, mut client) = pair(versions, (near, far)).await;
        let (mut to_client, mut to_server) = wire.open().await;
        server.write_all(b"hello").await.unwrap();
        server.flush().await.unwrap();
        let mut record = [0; 8];
        to_server.read_exact(&mut record).await.unwrap();
        to_client.write_all(&record).await.unwrap();
        drop(to_client);
        assert!(is_truncated(&client.read(&mut record).await.unwrap_err()));
    }
}

/// TLS-02, NET-06: whoever has the stream need not think of it; and what ends is one direction.
#[tokio::test]
async fn close_notify_is_sent_at_shutdown_and_when_the_stream_is_dropped() {
    type End = fn(TlsStream<Pipe>);
    let drops: [(&str, End); 2] = [
        ("dropped", |stream| drop(stream)),
        ("dropped within a task that is cancelled", |mut stream| {
            let mut reading = Box::pin(async move { stream.read_u8().await });
            let polled =
                std::pin::pin!(&mut reading).poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
            assert!(polled.is_pending());
        }),
    ];
    for versions in VERSIONS {
        for (how, end) in drops {
            for unread in [&b""[..], b"not read"] {
                let (server, mut client) = pair(versions, pipe()).await;
                client.write_all(unread).await.unwrap();
                client.flush().await.unwrap();
                if unread.is_empty() {
                    end(server);
                } else {
                    drop(server);
                }
                let read = client.read(&mut [0; 8]).await;
                assert!(matches!(read, Ok(0)), "{how}: {read:?}");
            }
        }
        let (mut server, mut client) = pair(versions, pipe()).await;
        server.shutdown().await.unwrap();
        assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);
        // The other direction goes on.
        client.write_all(b"late").await.unwrap();
        client.shutdown().await.unwrap();
        let mut text = String::new();
        server.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "late");
        let error = server.write(b"x").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}

/// TLS-02: an error is answered, so that the peer does not take its end for one in peace.
#[tokio::test]
async fn a_forged_record_is_answered_with_an_alert() {
    for versions in VERSIONS {
        let (near, far, wire) = wire();
        let (mut server, mut client) = pair(versions, (near, far)).await;
        let (mut to_client, mut to_server) = wire.open().await;
        let forged = [&[23, 3, 3, 0, 40][..], &[0; 40]].concat();
        to_server.write_all(&forged).await.unwrap();
        for _ in 0..2 {
            let error = server.read(&mut [0; 8]).await.unwrap_err();
            assert!(matches!(find_cause(&error), Some(TlsError::Protocol(_))), "{error:?}");
        }
        let error = server.write(b"x").await.unwrap_err();
        assert!(matches!(find_cause(&error), Some(TlsError::Protocol(_))), "{error:?}");
        drop(server);

        tokio::io::copy(&mut to_server, &mut to_client).await.unwrap();
        let error = client.read(&mut [0; 8]).await.unwrap_err();
        let told = find_cause::<TlsError>(&error).and_then(TlsError::alert);
        assert_eq!(told.and_then(Alert::name), Some("bad_record_mac"), "{error:?}");
    }
}

/// NET-09, NET-11: a peer that reads nothing is not waited for, and behind the end nothing is tried any more.
#[tokio::test(start_paused = true)]
async fn shutting_down_ends_though_the_peer_reads_nothing() {
    for versions in VERSIONS {
        let narrow = PipeDirection { capacity: 8 * 1024, ..PipeDirection::default() };
        let (near, far) = PipeOptions::both(narrow).pipe();
        let probe = far.probe();
        let (mut server, _client) = pair(versions, (near, far)).await;
        server.write_all(&[0; 64 * 1024]).await.unwrap();

        let start = Instant::now();
        let (mut closing, mut polls) = (Box::pin(server.shutdown()), 0);
        let counted = poll_fn(|cx| {
            polls += 1;
            assert!(polls < 10, "it spins");
            closing.as_mut().poll(cx)
        });
        let closed = tokio::time::timeout(Duration::from_secs(60), counted).await;
        let error = closed.expect("it waits for ever").unwrap_err();
        drop(closing);
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(start.elapsed(), TlsStream::<Pipe>::CLOSE_TIMEOUT);
        assert_eq!(TlsStream::<Pipe>::CLOSE_TIMEOUT, Duration::from_secs(10));

        let before = probe.stats();
        server.shutdown().await.unwrap();
        let flushed = tokio::time::timeout(Duration::from_secs(60), server.flush()).await;
        flushed.expect("it waits for the peer").unwrap();
        drop(server);
        let after = probe.stats();
        assert_eq!((before.flush_polls, before.write_polls), (after.flush_polls, after.write_polls));
    }
}

/// The two halves may be in two tasks: a reader that finds the connection broken does not take the writer's wake-up.
#[tokio::test(start_paused = true)]
async fn a_writer_that_waits_is_woken_though_the_reader_has_failed() {
    let narrow = PipeDirection { capacity: 8 * 1024, ..PipeDirection::default() };
    let (near, mut a) = pipe();
    let (mut b, far) = PipeOptions::both(narrow).pipe();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let carrier = tokio::spawn(async move {
        tokio::select! {
            biased;
            _ = tokio::io::copy_bidirectional(&mut a, &mut b) => {}
            _ = stopped => {}
        }
        (a, b)
    });
    let (server, _client) = pair(TlsVersions::Tls13Only, (near, far)).await;
    stop.send(()).unwrap();
    let (_to_client, mut to_server) = carrier.await.unwrap();

    let (mut reading, mut writing) = tokio::io::split(server);
    let writer = tokio::spawn(async move {
        loop {
            writing.write_all(&[0; 64 * 1024]).await?;
        }
        #[expect(unreachable_code, reason = "names the type")]
        io::Result::Ok(())
    });
    tokio::task::yield_now().await;
    to_server.write_all(&[&[23, 3, 3, 0, 40][..], &[0; 40]].concat()).await.unwrap();
    reading.read_u8().await.unwrap_err();
    let drained = async {
        let mut sink = vec![0; 4096];
        while to_server.read(&mut sink).await.is_ok_and(|n| n > 0) {}
    };
    let written = tokio::select! {
        () = drained => unreachable!("the server holds its end"),
        written = tokio::time::timeout(Duration::from_secs(1), writer) => written.unwrap().unwrap(),
    };
    assert!(matches!(find_cause(&written.unwrap_err()), Some(TlsError::Protocol(_))));
}

/// A stream that is dropped while its peer reads nothing does not wait, and what the peer then sees is a cut.
#[tokio::test]
async fn dropping_a_stream_never_waits() {
    let narrow = PipeDirection { capacity: 8 * 1024, ..PipeDirection::default() };
    let (mut server, mut client) = pair(TlsVersions::Tls13Only, PipeOptions::both(narrow).pipe()).await;
    server.write_all(&[0; 64 * 1024]).await.unwrap();
    drop(server);
    assert!(is_truncated(&client.read_to_end(&mut Vec::new()).await.unwrap_err()));
}
