//! Many requests from many threads: what is shared between them, and who wakes whom.

use std::sync::Arc;

use chaski_core::{
    BoxError, Conn, Service, Session, SessionState,
    http::{Body, Request, Response},
    service_fn,
};
use chaski_http2::{Http2ClientConfig, Http2Server, Http2ServerConfig, Http2Session};
use http::Method;
use tokio::io::duplex;

use super::{request, soon};

/// Sends back what comes, some of it at once.
async fn echo(request: Request) -> Result<Response, BoxError> {
    if *request.method() == Method::PUT {
        let whole = request.into_body().collect(1 << 20).await?;
        return Ok(Response::new(Body::full(whole)));
    }
    Ok(Response::new(request.into_body()))
}

/// Both directions are full at times. All answers are right, some are given up at any stage, every slot comes back, and the connection closes when the session goes.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn slots_and_streams_survive_threads_and_cancellation() {
    for round in 0..10_usize {
        let (near, far) = duplex(16 * 1024);
        let config = Http2ServerConfig::default().with_max_streams(1000).with_max_resets(100_000);
        let server = Http2Server::new(service_fn(echo)).with_config(config.with_max_control_frames(1_000_000));
        let server = tokio::spawn(async move { server.serve(Conn::new(far)).await });
        let session = Http2Session::handshake(Conn::new(near), Http2ClientConfig::default()).await.unwrap();
        let session = Arc::new(session);
        let calls: Vec<_> = (0..80_usize)
            .map(|number| {
                let session = Arc::clone(&session);
                tokio::spawn(async move {
                    for turn in 0..5_usize {
                        let size = [0, 10, 5_000, 40_000][(number + turn) % 4];
                        let (method, body) = (if number % 2 == 0 { Method::PUT } else { Method::POST }, vec![7; size]);
                        let mut call = Box::pin(session.serve(request(method, body)));
                        if number % 5 == turn {
                            // Given up after a moment or none.
                            let _ = tokio::time::timeout(std::time::Duration::ZERO, &mut call).await;
                            continue;
                        }
                        let mut response = call.await.unwrap();
                        if number % 7 == turn {
                            let _ = response.body_mut().frame().await;
                            continue;
                        }
                        let back = response.into_body().collect(1 << 20).await.unwrap();
                        assert!(back.len() == size && back.iter().all(|byte| *byte == 7));
                    }
                })
            })
            .collect();
        for call in calls {
            soon(call).await.unwrap();
        }
        let shown = format!("{session:?}");
        assert!(shown.contains("in_use: 0"), "{shown}");
        assert_eq!(session.state(), SessionState::Open);
        // Dropped at once, or while the last response is still held.
        if round % 2 == 0 {
            let held = session.serve(request(Method::POST, vec![7; 40_000])).await.unwrap();
            drop(session);
            assert_eq!(held.into_body().collect(1 << 20).await.unwrap().len(), 40_000);
        } else {
            drop(session);
        }
        // The client has gone with its goodbye, so that what the server still had to say may have found nobody.
        let _ = soon(server).await.unwrap();
    }
}
