//! Handshakes that do not come to their end.

use std::{sync::Arc, time::Duration};

use chaski_core::{
    BoxError, Conn, ConnectStage, Shutdown, find_cause,
    test_util::{Fault, PipeDirection, PipeOptions, pipe},
};
use chaski_tls::{AcceptLayer, Alert, Common, TlsError, TlsVersions};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::Instant,
};

use crate::support::{Authority, accept, both, configs, connect, layers, to};

const LIMIT: Duration = Duration::from_secs(3);

fn cause(error: &BoxError) -> &TlsError {
    find_cause(&**error).unwrap()
}

/// TLS-11: it may be silent from the start, or drip.
#[tokio::test(start_paused = true)]
async fn a_client_that_says_nothing_is_dropped_when_its_time_is_over() {
    let (server, _) = configs();
    let server = AcceptLayer::new(server.with_handshake_timeout(Some(LIMIT))).unwrap();
    for drips in [false, true] {
        let (mut near, far) = pipe();
        let start = Instant::now();
        let dripping = async {
            for byte in [22, 3, 1, 2, 0, 1, 0, 1, 252] {
                tokio::time::sleep(Duration::from_secs(1)).await;
                if drips && near.write_all(&[byte]).await.is_err() {
                    break;
                }
            }
            near.read_to_end(&mut Vec::new()).await
        };
        let (refused, _) = tokio::join!(
            async {
                let refused = accept(&server, Conn::new(far)).await.unwrap_err();
                (refused, start.elapsed())
            },
            dripping
        );
        assert!(matches!(cause(&refused.0), TlsError::Timeout(elapsed) if elapsed.limit == LIMIT));
        assert_eq!(refused.1, LIMIT);
    }
}

/// TLS-11, on the other side.
#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_given_up_when_its_time_is_over() {
    let (_, client) = configs();
    let (_, client) = layers((configs().0, client.with_handshake_timeout(Some(LIMIT))));
    let (near, _far) = pipe();
    let start = Instant::now();
    let error = connect(&client, to("localhost:443"), Conn::new(near)).await.unwrap_err();
    assert_eq!(start.elapsed(), LIMIT);
    assert_eq!(error.stage(), ConnectStage::Timeout);
    assert!(find_cause::<TlsError>(&error).unwrap().is_timeout());
}

#[tokio::test(start_paused = true)]
async fn those_beyond_the_limit_wait_for_their_turn_in_their_order() {
    let (server, client) = configs();
    let (server, client) = layers((server.with_max_handshakes(1).with_handshake_timeout(Some(LIMIT)), client));
    // The first client says hello and nothing more: what the server sends to it never arrives.
    let stalled = PipeDirection { fault: Some(Fault::StallAfter(0)), ..PipeDirection::default() };
    let (near, far) = PipeOptions { b_to_a: stalled, ..PipeOptions::default() }.pipe();
    let start = Instant::now();
    let order = Arc::new(std::sync::Mutex::new(Vec::new()));
    let done = |number: usize| {
        let order = Arc::clone(&order);
        move || order.lock().unwrap().push((number, start.elapsed()))
    };
    let first = async {
        let (accepted, connected) =
            tokio::join!(accept(&server, Conn::new(far)), connect(&client, to("localhost:443"), Conn::new(near)));
        done(1)();
        (accepted.err().unwrap(), connected.err())
    };
    let further = |number: u64| {
        let (server, client, done) = (&server, &client, done(number as usize));
        async move {
            tokio::time::sleep(Duration::from_secs(number - 1)).await;
            let ends = pipe();
            let _pair = both(&(server.clone(), client.clone()), ends).await;
            done();
        }
    };
    let (first, (), ()) = tokio::join!(first, further(3), further(2));
    assert!(cause(&first.0).is_timeout());
    // They came at one and at two seconds, and had their turn when the first had lost it.
    let order = order.lock().unwrap();
    assert_eq!(
        order.iter().filter(|(n, _)| *n != 1).map(|(n, at)| (*n, at.as_secs())).collect::<Vec<_>>(),
        [(2, 3), (3, 3)]
    );
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_takes_nobodys_turn() {
    let (server, client) = configs();
    let layers = layers((server.with_max_handshakes(1), client));
    let (_silent, far) = pipe();
    let waiting = accept(&layers.0, Conn::new(far));
    let start = Instant::now();
    tokio::select! {
        biased;
        _ = waiting => unreachable!("it says nothing"),
        _ = both(&layers, pipe()) => {}
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
}

/// LIFE-05, in the TLS handshake: whether anything was said or not.
#[tokio::test(start_paused = true)]
async fn a_handshake_under_way_is_dropped_when_draining_begins() {
    let (server, _) = configs();
    let server = AcceptLayer::new(server).unwrap();
    for said in [&b""[..], &[22, 3, 1, 2, 0, 1]] {
        let shutdown = Shutdown::new();
        let (mut near, far) = pipe();
        near.write_all(said).await.unwrap();
        let conn = Conn::new(far);
        conn.ext.insert(shutdown.signal());
        let start = Instant::now();
        let (refused, ()) = tokio::join!(accept(&server, conn), async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            shutdown.begin();
        });
        assert!(matches!(cause(&refused.unwrap_err()), TlsError::Draining));
        assert_eq!(start.elapsed(), Duration::from_secs(1));
        assert_eq!(near.read(&mut [0; 8]).await.unwrap(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_tls_is_refused_at_once() {
    let (server, client) = configs();
    let (server, client) = layers((server, client));
    let (mut near, far) = pipe();
    near.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let refused = accept(&server, Conn::new(far)).await.unwrap_err();
    assert!(matches!(cause(&refused), TlsError::NotTls(_)), "{refused:?}");

    let (near, mut far) = pipe();
    far.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
    let error = connect(&client, to("localhost:443"), Conn::new(near)).await.unwrap_err();
    assert_eq!(error.stage(), ConnectStage::Tls);
    assert!(matches!(find_cause(&error), Some(TlsError::NotTls(_))), "{error:?}");
}

/// A hello that says it is of 16 MiB, and one that never ends.
#[tokio::test(start_paused = true)]
async fn a_hello_that_is_too_long_is_refused_with_an_alert() {
    let (server, _) = configs();
    let server = AcceptLayer::new(server).unwrap();
    let record = [&[22, 3, 1, 0x40, 0][..], &[0; 0x4000]].concat();
    let endless = [&[22, 3, 1, 0, 4, 1, 0, 0xff, 0xff][..], &record.repeat(5)].concat();
    for hello in [vec![22, 3, 1, 0, 5, 1, 0xff, 0xff, 0xff, 0], endless] {
        let (mut near, far) = pipe();
        let (refused, alert) = tokio::join!(accept(&server, Conn::new(far)), async {
            near.write_all(&hello).await.unwrap();
            let mut alert = Vec::new();
            near.read_to_end(&mut alert).await.unwrap();
            alert
        });
        assert!(matches!(cause(&refused.unwrap_err()), TlsError::Protocol(_)), "{} bytes", hello.len());
        assert_eq!(alert, [21, 3, 3, 0, 2, 2, 50], "decode_error");
    }
}

#[tokio::test]
async fn a_peer_that_leaves_within_the_handshake_is_an_error() {
    let (server, client) = layers(configs());
    for said in [&b""[..], &[22, 3, 1, 2, 0, 1]] {
        let (mut near, far) = pipe();
        near.write_all(said).await.unwrap();
        drop(near);
        let refused = accept(&server, Conn::new(far)).await.unwrap_err();
        assert!(matches!(cause(&refused), TlsError::ClosedInHandshake), "{refused:?}");
    }
    let (near, far) = pipe();
    drop(far);
    let error = connect(&client, to("localhost:443"), Conn::new(near)).await.unwrap_err();
    assert!(matches!(find_cause(&error), Some(TlsError::ClosedInHandshake | TlsError::Io(_))), "{error:?}");
}

/// Each side says what is not in common, one by what it finds and one by the alert that it gets.
#[tokio::test]
async fn two_sides_without_a_version_or_a_protocol_in_common_part() {
    let (server, client) = configs();
    let cases = [
        (
            (
                server.clone().with_versions(TlsVersions::Tls13Only),
                client.clone().with_versions(TlsVersions::Tls12Only),
            ),
            Common::Version,
            Alert::PROTOCOL_VERSION,
        ),
        (
            (server.with_alpn(["h2"]), client.with_alpn(["http/1.1"])),
            Common::ApplicationProtocol,
            Alert::NO_APPLICATION_PROTOCOL,
        ),
    ];
    for (configs, expected, alert) in cases {
        let (server, client) = layers(configs);
        let (near, far) = pipe();
        let (refused, failed) =
            tokio::join!(accept(&server, Conn::new(far)), connect(&client, to("localhost:443"), Conn::new(near)));
        let refused = refused.unwrap_err();
        assert!(matches!(cause(&refused), TlsError::NothingInCommon { what, .. } if *what == expected), "{refused:?}");
        assert_eq!(find_cause::<TlsError>(&failed.unwrap_err()).unwrap().alert(), Some(alert));
    }
}

/// RFC 6066 section 3.
#[tokio::test]
async fn a_name_without_a_certificate_is_refused_with_unrecognized_name() {
    let authority = Authority::new("Root");
    let key = authority.issue(&["known.example"]);
    let known = move |name: Option<&str>| (name == Some("known.example")).then(|| key.clone());
    let (server, client) =
        layers((chaski_tls::ServerConfig::new(known), chaski_tls::ClientConfig::new(authority.roots())));
    for (target, served) in [
        ("known.example:443", true),
        ("Known.Example.:443", true),
        ("other.example:443", false),
        ("192.0.2.1:443", false),
    ] {
        let (near, far) = pipe();
        let (accepted, connected) =
            tokio::join!(accept(&server, Conn::new(far)), connect(&client, to(target), Conn::new(near)));
        if served {
            assert!(accepted.is_ok() && connected.is_ok(), "{target}");
            continue;
        }
        let asked = (!target.starts_with("192")).then_some("other.example");
        let refused = accepted.unwrap_err();
        assert!(
            matches!(cause(&refused), TlsError::NoServerCertificate { server_name } if server_name.as_deref() == asked),
            "{refused:?}"
        );
        let told = connected.unwrap_err();
        assert_eq!(find_cause::<TlsError>(&told).unwrap().alert(), Some(Alert::UNRECOGNIZED_NAME), "{told:?}");
    }
}

/// An alert that is written to a socket with bytes unread is lost with the reset that closing it is.
#[tokio::test(start_paused = true)]
async fn a_refused_client_is_read_on_from_for_a_while() {
    let (server, _) = configs();
    let server = AcceptLayer::new(server).unwrap();
    let (mut near, far) = pipe();
    let probe = far.probe();
    near.write_all(&vec![b'x'; 20_000]).await.unwrap();
    let start = Instant::now();
    let (refused, alert) = tokio::join!(accept(&server, Conn::new(far)), async {
        let mut alert = Vec::new();
        near.read_to_end(&mut alert).await.unwrap();
        alert
    });
    assert!(matches!(cause(&refused.unwrap_err()), TlsError::NotTls(_)));
    assert_eq!(alert, [21, 3, 3, 0, 2, 2, 50], "decode_error");
    assert_eq!(probe.stats().bytes_read, 20_000);
    assert_eq!(start.elapsed(), AcceptLayer::LINGER, "the client has not closed");
}
