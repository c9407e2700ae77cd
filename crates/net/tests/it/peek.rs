//! One port for several protocols: who serves a connection, with which bytes, and what happens when they do not decide.

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use chaski_core::{
    BoxError, Conn, Elapsed, Io, Prefixed, Service, Shutdown, describe, find_cause, service_fn, service_fn_with, stack,
    test_util::{Chunking, Fault, Pipe, PipeDirection, PipeOptions, pipe},
};
use chaski_net::peek::{PeekError, PeekLayer, Prefix, TlsClientHello, Undecided, Verdict};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, sleep},
};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

type Served = (&'static str, Vec<u8>);

/// Reads to the end of the stream, answers, and tells who it was and what it read.
fn reader<S: Io>(name: &'static str) -> impl Service<Conn<S>, Output = Served, Error = io::Error> {
    service_fn_with(name, async |name: &'static str, mut conn: Conn<S>| {
        let mut bytes = Vec::new();
        conn.io.read_to_end(&mut bytes).await?;
        conn.io.write_all(name.as_bytes()).await?;
        Ok::<_, io::Error>((name, bytes))
    })
}

/// A port that speaks TLS, HTTP/2, SOCKS5 and, otherwise, HTTP/1.
fn port(settings: impl FnOnce(PeekLayer) -> PeekLayer) -> impl Service<Conn<Pipe>, Output = Served, Error = BoxError> {
    stack(
        settings(PeekLayer::new())
            .case("tls", TlsClientHello, reader("tls"))
            .case("h2", Prefix(PREFACE), reader("h2"))
            .case("socks5", Prefix(b"\x05"), reader("socks5")),
        reader("http1"),
    )
}

fn the_error(result: Result<Served, BoxError>) -> PeekError {
    *result.unwrap_err().downcast().expect("the layer's own error")
}

/// A pipe whose second end reads in these sizes.
fn in_pieces(reads: Chunking) -> (Pipe, Pipe) {
    let a_to_b = PipeDirection { reads, capacity: 1 << 20, ..PipeDirection::default() };
    PipeOptions { a_to_b, ..PipeOptions::default() }.pipe()
}

#[tokio::test(start_paused = true)]
async fn any_split_gives_the_same_service_and_the_same_bytes() {
    let tls = [&[22, 3, 1, 0x40, 0, 1][..], &[0xa5; 20_000]].concat();
    let socks = b"\x05\x02\x00\x02";
    let h2 = [PREFACE, b"\0\0\0\x04\0\0\0\0\0"].concat();
    for (name, bytes) in [
        ("tls", &tls[..]),
        ("tls", &tls[..6]),
        ("http1", &tls[..5]),
        ("http1", &[22, 3, 1, 0xff]),
        ("h2", &h2),
        ("http1", &h2[..23]),
        ("http1", b"PRI * HTTP/1.1\r\n\r\n"),
        ("http1", b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"),
        ("socks5", socks),
        ("socks5", &socks[..1]),
        ("http1", b""),
    ] {
        let sizes = (1..30).map(Chunking::Bytes).chain((0..100).map(|seed| Chunking::Random { seed, max: 40 }));
        for reads in sizes.chain([Chunking::Whole]) {
            let (mut client, server) = in_pieces(reads);
            client.write_all(bytes).await.unwrap();
            client.shutdown().await.unwrap();
            let (by, got) = port(|layer| layer).serve(Conn::new(server)).await.unwrap();
            assert_eq!(by, name, "{reads:?}");
            assert!(got == bytes, "{reads:?}: {name} got other bytes");
            // The client has ended its stream, and is answered all the same.
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.unwrap();
            assert_eq!(answer, name);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_detector_is_given_all_bytes_after_every_read_and_never_none() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&asked);
    let never_sure = move |bytes: &[u8]| {
        record.lock().unwrap().push(bytes.to_vec());
        if bytes.len() < 3 { Verdict::NeedMore } else { Verdict::No }
    };
    let service = stack(
        PeekLayer::new().case("first", never_sure, reader("first")).case("second", Prefix("a"), reader("second")),
        reader("otherwise"),
    );
    let (mut client, server) = in_pieces(Chunking::Bytes(1));
    client.write_all(b"abcd").await.unwrap();
    client.shutdown().await.unwrap();
    let (by, _) = service.serve(Conn::<Pipe>::new(server)).await.unwrap();
    assert_eq!(by, "second", "which has to wait until the first has said no");
    assert_eq!(*asked.lock().unwrap(), [&b"a"[..], b"ab", b"abc"]);
}

#[tokio::test(start_paused = true)]
async fn of_two_that_say_yes_the_first_serves() {
    let cases =
        PeekLayer::new().case("long", Prefix("abc"), reader("long")).case("short", Prefix("a"), reader("short"));
    for (bytes, expected) in [(&b"abcd"[..], "long"), (b"abd", "short"), (b"ab", "short"), (b"b", "otherwise")] {
        let service = stack(&cases, reader("otherwise"));
        let (mut client, server) = in_pieces(Chunking::Bytes(1));
        client.write_all(bytes).await.unwrap();
        client.shutdown().await.unwrap();
        assert_eq!(service.serve(Conn::<Pipe>::new(server)).await.unwrap(), (expected, bytes.to_vec()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_layer_without_cases_reads_nothing() {
    let banner = service_fn(async |mut conn: Conn<Prefixed<Pipe>>| conn.io.write_all(b"220 hello").await);
    let (client, server) = pipe();
    stack(PeekLayer::default(), banner).serve(Conn::new(server)).await.unwrap();
    assert_eq!(client.probe().stats().bytes_written, 0);
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_refused_after_the_time_limit() {
    let (client, server) = pipe();
    let probe = server.probe();
    let start = Instant::now();
    let error = port(|layer| layer).serve(Conn::new(server)).await.unwrap_err();
    assert_eq!(start.elapsed(), Duration::from_secs(10));
    assert_eq!(find_cause::<Elapsed>(&*error).unwrap().limit, Duration::from_secs(10));
    assert!(matches!(find_cause(&*error), Some(PeekError::TimedOut { seen: 0, .. })), "{error}");
    assert!(probe.stats().dropped_at.is_some());
    drop(client);
}

/// A protocol in which the server speaks first: the client waits for it, whatever else the port speaks.
#[tokio::test(start_paused = true)]
async fn a_silent_client_is_passed_on_where_that_is_chosen() {
    let limit = Duration::from_millis(300);
    let smtp = service_fn(async |mut conn: Conn<Prefixed<Pipe>>| {
        conn.io.write_all(b"220 mail.example ESMTP\r\n").await?;
        let mut hello = [0; 6];
        conn.io.read_exact(&mut hello).await?;
        Ok::<_, io::Error>(("smtp", hello.to_vec()))
    });
    let layer = PeekLayer::new().with_timeout(limit).with_undecided(Undecided::PassOn);
    let service = stack(layer.case("tls", TlsClientHello, reader("tls")), smtp);
    let (mut client, server) = pipe();
    let start = Instant::now();
    let (served, ()) = tokio::join!(service.serve(Conn::new(server)), async {
        let mut banner = [0; 24];
        client.read_exact(&mut banner).await.unwrap();
        assert_eq!(&banner, b"220 mail.example ESMTP\r\n");
        assert_eq!(start.elapsed(), limit);
        client.write_all(b"EHLO a").await.unwrap();
    });
    assert_eq!(served.unwrap(), ("smtp", b"EHLO a".to_vec()));
}

#[tokio::test(start_paused = true)]
async fn a_slow_drip_does_not_put_the_time_limit_off() {
    for undecided in [Undecided::Refuse, Undecided::PassOn] {
        let (mut client, server) = pipe();
        let service = port(|layer| layer.with_undecided(undecided));
        let start = Instant::now();
        let drip = async {
            for byte in PREFACE {
                sleep(Duration::from_millis(900)).await;
                if client.write_all(&[*byte]).await.is_err() {
                    return;
                }
            }
            client.shutdown().await.unwrap();
        };
        let probe = server.probe();
        let (served, (), dropped_or_passed) = tokio::join!(service.serve(Conn::new(server)), drip, async {
            probe.until(|stats| stats.dropped_at.is_some() || stats.bytes_read > 11).await;
            start.elapsed()
        });
        match undecided {
            Undecided::Refuse => {
                assert!(matches!(the_error(served), PeekError::TimedOut { seen: 11, .. }));
                assert_eq!(dropped_or_passed, Duration::from_secs(10));
            }
            // What had dripped in until then comes first, and the rest of the drip after it.
            Undecided::PassOn => assert_eq!(served.unwrap(), ("http1", PREFACE.to_vec())),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_time_limit_a_client_may_take_any_time() {
    let (mut client, server) = pipe();
    let service = port(|layer| layer.with_timeout(None));
    let (served, ()) = tokio::join!(service.serve(Conn::new(server)), async {
        sleep(Duration::from_secs(86_400)).await;
        client.write_all(b"\x05").await.unwrap();
        client.shutdown().await.unwrap();
    });
    assert_eq!(served.unwrap(), ("socks5", b"\x05".to_vec()));
}

#[tokio::test(start_paused = true)]
async fn at_the_limit_of_bytes_the_connection_is_refused_or_passed_on_whole() {
    let greedy = |bytes: &[u8]| if bytes.starts_with(b"x") { Verdict::NeedMore } else { Verdict::No };
    for undecided in [Undecided::Refuse, Undecided::PassOn] {
        let layer = PeekLayer::new().with_limit(2_000).with_undecided(undecided);
        let service = stack(layer.case("greedy", greedy, reader("greedy")), reader("otherwise"));
        let (mut client, server) = in_pieces(Chunking::Bytes(300));
        let (probe, bytes) = (server.probe(), vec![b'x'; 5_000]);
        client.write_all(&bytes).await.unwrap();
        client.shutdown().await.unwrap();
        let served = service.serve(Conn::<Pipe>::new(server)).await;
        match undecided {
            Undecided::Refuse => {
                assert!(matches!(the_error(served), PeekError::LimitReached { limit: 2_000 }));
                assert_eq!(probe.stats().bytes_read, 2_000, "not one byte beyond the limit");
            }
            Undecided::PassOn => assert!(served.unwrap() == ("otherwise", bytes)),
        }
    }
}

/// A later case may know by the bytes that were not enough for an earlier one.
#[tokio::test(start_paused = true)]
async fn a_case_that_ran_out_of_bytes_leaves_the_connection_to_the_next() {
    let greedy = |_: &[u8]| Verdict::NeedMore;
    let layer = PeekLayer::new().with_limit(4).with_undecided(Undecided::PassOn);
    let layer = layer.case("greedy", greedy, reader("greedy")).case("next", Prefix("abc"), reader("next"));
    let service = stack(layer, reader("otherwise"));
    let (mut client, server) = pipe();
    client.write_all(b"abcdef").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(service.serve(Conn::<Pipe>::new(server)).await.unwrap(), ("next", b"abcdef".to_vec()));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_fails_is_an_error_of_its_own() {
    let fault = PipeDirection { fault: Some(Fault::ResetAfter(3)), ..PipeDirection::default() };
    let (mut client, server) = PipeOptions { a_to_b: fault, ..PipeOptions::default() }.pipe();
    let service = port(|layer| layer);
    let (served, sent) = tokio::join!(service.serve(Conn::new(server)), client.write_all(PREFACE));
    assert!(sent.is_err());
    let PeekError::Read(error) = the_error(served) else { panic!("not a failed read") };
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test(start_paused = true)]
async fn an_error_of_a_service_is_handed_on_as_it_is() {
    #[derive(Debug, PartialEq, thiserror::Error)]
    #[error("no")]
    struct No(&'static str);

    let service = stack(
        PeekLayer::new().case("a", Prefix("a"), service_fn(async |_: Conn<_>| Err::<(), _>(No("a")))),
        service_fn(async |_: Conn<Prefixed<Pipe>>| Err::<(), BoxError>(Box::new(No("otherwise")))),
    );
    for (bytes, expected) in [("a", No("a")), ("b", No("otherwise"))] {
        let (mut client, server) = pipe();
        client.write_all(bytes.as_bytes()).await.unwrap();
        let error = service.serve(Conn::new(server)).await.unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&expected));
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_drops_the_connection() {
    let (mut client, server) = pipe();
    let probe = server.probe();
    client.write_all(b"PRI").await.unwrap();
    let service = port(|layer| layer);
    tokio::select! {
        _ = service.serve(Conn::new(server)) => unreachable!("nothing is decided"),
        _ = probe.until(|stats| stats.bytes_read == 3) => {}
    }
    assert!(probe.stats().dropped_at.is_some());
}

/// What the outer layer has read is not read again, and not waited for.
#[tokio::test(start_paused = true)]
async fn a_layer_inside_another_costs_no_read() {
    let inner = stack(
        PeekLayer::new().with_timeout(None).case("h2", Prefix(PREFACE), reader("h2")),
        service_fn(async |_: Conn<_>| Err::<Served, _>(io::Error::other("not reached"))),
    );
    let service = stack(PeekLayer::new().case("tls", TlsClientHello, reader("tls")), inner);
    let (mut client, server) = pipe();
    let probe = server.probe();
    client.write_all(PREFACE).await.unwrap();
    client.shutdown().await.unwrap();
    let served = service.serve(Conn::<Pipe>::new(server)).await.unwrap();
    assert_eq!(served, ("h2", PREFACE.to_vec()));
    assert_eq!(probe.stats().reads, 2, "the bytes, and the end of the stream");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_has_sent_nothing_does_not_hold_a_shutdown_up() {
    let shutdown = Shutdown::new();
    let service = Arc::new(port(|layer| layer));
    let ((_idle, silent), (mut busy, speaking)) = (pipe(), pipe());
    let probe = speaking.probe();
    let tasks = [silent, speaking].map(|io| {
        let (conn, service) = (Conn::new(io), Arc::clone(&service));
        conn.ext.insert(shutdown.signal());
        tokio::spawn(shutdown.guard().run(async move { service.serve(conn).await }))
    });
    busy.write_all(b"PRI ").await.unwrap();
    probe.until(|stats| stats.bytes_read == 4).await;

    let start = Instant::now();
    shutdown.begin();
    let [silent, speaking] = tasks;
    let error = silent.await.unwrap().unwrap().unwrap_err();
    assert!(matches!(find_cause(&*error), Some(PeekError::Draining)), "{error}");
    assert_eq!(start.elapsed(), Duration::ZERO);
    // The other one is in the middle of something.
    busy.write_all(&PREFACE[4..]).await.unwrap();
    busy.shutdown().await.unwrap();
    assert_eq!(speaking.await.unwrap().unwrap().unwrap(), ("h2", PREFACE.to_vec()));
}

/// Over TCP the plain socket shows beneath, for a relay or for waiting without a buffer.
#[tokio::test]
async fn the_socket_and_the_bytes_seen_show_through() {
    let seen = Arc::new(AtomicUsize::new(0));
    let look = service_fn_with(Arc::clone(&seen), async |seen: Arc<AtomicUsize>, conn: Conn<Prefixed<_>>| {
        assert!(conn.io.plain_socket().is_some());
        seen.store(conn.io.leftover().len(), Ordering::SeqCst);
        Ok::<_, io::Error>(())
    });
    let service = stack(PeekLayer::new().case("socks5", Prefix("\x05"), look.clone()), look);
    for first in [b"\x05\x01\x00", b"GET"] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        client.write_all(first).await.unwrap();
        let (socket, _) = listener.accept().await.unwrap();
        socket.readable().await.unwrap();
        service.serve(Conn::new(socket)).await.unwrap();
        assert_eq!(seen.load(Ordering::SeqCst), 3);
    }
}

#[test]
fn a_port_shows_its_limits_and_all_its_services() {
    let service = stack(
        PeekLayer::new()
            .with_timeout(Duration::from_millis(1500))
            .case("tls", TlsClientHello, stack(PeekLayer::new().with_timeout(None), Leaf))
            .case("socks5", Prefix(b"\x05"), Leaf),
        Leaf,
    );
    assert_eq!(
        describe::<Conn<Pipe>, _>(&service).to_string(),
        "Peek limit=16389 timeout=1.5s undecided=Refuse\n\
         ├─ tls: Peek limit=16389 timeout=none undecided=Refuse\n\
         │  └─ otherwise: Leaf\n\
         ├─ socks5: Leaf\n\
         └─ otherwise: Leaf\n"
    );
}

/// A service with a short name.
#[derive(Clone)]
struct Leaf;

impl<S: Send + 'static> Service<Conn<S>> for Leaf {
    type Output = ();
    type Error = io::Error;

    async fn serve(&self, _: Conn<S>) -> io::Result<()> {
        Ok(())
    }
}
