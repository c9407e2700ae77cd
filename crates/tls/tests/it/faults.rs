//! A line that breaks or stalls, at many places of a handshake and of what follows it.

use std::time::Duration;

use chaski_core::{
    BoxError, Conn, find_cause,
    test_util::{Fault, Pipe, PipeDirection, PipeOptions},
};
use chaski_tls::{AcceptLayer, ConnectLayer, Group, ServerConfig, TlsError, TlsStream, TlsVersions};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, timeout},
};

use crate::support::{accept, configs, connect, layers, to};

/// More than the bytes of either direction.
const LENGTH: u64 = 2600;

/// Asks and reads to the end.
async fn ask(layer: &ConnectLayer, near: Pipe) -> Result<String, BoxError> {
    let mut conn = connect(layer, to("localhost:443"), Conn::new(near)).await?;
    conn.io.write_all(b"ping").await?;
    conn.io.flush().await?;
    let mut text = String::new();
    conn.io.read_to_string(&mut text).await?;
    Ok(text)
}

async fn answer(layer: &AcceptLayer, far: Pipe) -> Result<(), BoxError> {
    let mut conn = accept(layer, Conn::new(far)).await?;
    let mut text = [0; 4];
    conn.io.read_exact(&mut text).await?;
    conn.io.write_all(b"pong").await?;
    conn.io.shutdown().await?;
    Ok(())
}

fn has_a_cause(error: &BoxError) -> bool {
    find_cause::<TlsError>(&**error).is_some() || find_cause::<std::io::Error>(&**error).is_some()
}

/// TLS-01: whatever breaks where, nobody takes a part for the whole, and every error says what happened.
#[tokio::test(start_paused = true)]
async fn what_breaks_is_an_error_and_never_an_end() {
    for versions in [TlsVersions::Tls12Only, TlsVersions::Tls13Only] {
        let (server, client) = configs();
        let server: ServerConfig = server.with_versions(versions).with_groups([Group::X25519]);
        let layers = layers((server, client.with_resumption(false)));
        let (mut whole, mut broken) = (0, 0);
        for after in (0..LENGTH).step_by(41) {
            for fault in [Fault::CloseAfter(after), Fault::ResetAfter(after), Fault::WriteZeroAfter(after)] {
                for of_client in [true, false] {
                    let direction = PipeDirection { fault: Some(fault), ..PipeDirection::default() };
                    let options = if of_client {
                        PipeOptions { a_to_b: direction, ..PipeOptions::default() }
                    } else {
                        PipeOptions { b_to_a: direction, ..PipeOptions::default() }
                    };
                    let (near, far) = options.pipe();
                    let start = Instant::now();
                    let (asked, answered) = tokio::join!(ask(&layers.1, near), answer(&layers.0, far));
                    assert!(start.elapsed() <= TlsStream::<Pipe>::CLOSE_TIMEOUT, "{fault:?} {of_client}");
                    match asked {
                        Ok(text) => {
                            assert_eq!(text, "pong", "{fault:?} {of_client}");
                            whole += 1;
                        }
                        Err(error) => {
                            assert!(has_a_cause(&error), "{fault:?} {of_client}: {error:?}");
                            broken += 1;
                        }
                    }
                    assert!(answered.err().is_none_or(|error| has_a_cause(&error)), "{fault:?} {of_client}");
                }
            }
        }
        assert!(whole > 10 && broken > 50, "{whole} {broken}");
    }
}

/// TLS-11: a line that goes silent within the handshake costs its time and no more.
#[tokio::test(start_paused = true)]
async fn what_stalls_is_given_up() {
    const LIMIT: Duration = Duration::from_secs(5);
    let (server, client) = configs();
    let layers = layers((
        server.with_groups([Group::X25519]).with_handshake_timeout(Some(LIMIT)),
        client.with_resumption(false).with_handshake_timeout(Some(LIMIT)),
    ));
    let mut given_up = 0;
    for after in (0..LENGTH).step_by(97) {
        for of_client in [true, false] {
            let direction = PipeDirection { fault: Some(Fault::StallAfter(after)), ..PipeDirection::default() };
            let options = if of_client {
                PipeOptions { a_to_b: direction, ..PipeOptions::default() }
            } else {
                PipeOptions { b_to_a: direction, ..PipeOptions::default() }
            };
            let (near, far) = options.pipe();
            let start = Instant::now();
            let handshakes = async {
                tokio::join!(
                    accept(&layers.0, Conn::new(far)),
                    connect(&layers.1, to("localhost:443"), Conn::new(near))
                )
            };
            let (accepted, connected) = timeout(2 * LIMIT, handshakes).await.unwrap();
            let failed = [
                accepted.err().map(|error| find_cause::<TlsError>(&*error).is_some_and(TlsError::is_timeout)),
                connected.err().map(|error| find_cause::<TlsError>(&error).is_some_and(TlsError::is_timeout)),
            ];
            if failed.contains(&Some(true)) {
                assert!(start.elapsed() >= LIMIT && start.elapsed() <= LIMIT + AcceptLayer::LINGER);
                given_up += 1;
            } else {
                assert_eq!((failed, start.elapsed()), ([None, None], Duration::ZERO), "{after} {of_client}");
            }
        }
    }
    assert!(given_up > 10, "{given_up}");
}
