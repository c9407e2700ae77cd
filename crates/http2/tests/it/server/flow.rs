//! Flow control of what is received.

use std::time::Duration;

use bytes::Bytes;
use chaski_core::{BoxError, http::Request, service_fn};

use super::{frames::*, harness::*};

/// Reads the body of `/read`, drops that of `/drop`, and holds that of `/hold`.
async fn by_path(request: Request) -> Handled {
    match request.uri().path() {
        "/read" => {
            let mut length = 0;
            let mut body = request.into_body();
            while let Some(frame) = body.frame().await {
                length += frame?.into_data().unwrap_or_default().len();
            }
            Ok(ok(length.to_string()))
        }
        "/hold" => {
            std::future::pending::<()>().await;
            drop(request);
            Err(BoxError::from("it never ends"))
        }
        _ => Ok(ok("dropped")),
    }
}

/// H2-03: ten thousand streams are reset, by the client, with data that nobody has read, of all kinds of bodies. Then 10 MiB
/// flow through the connection's window, all of which it would have lost.
#[tokio::test(start_paused = true)]
async fn h2_03_resets_with_unread_data_leak_no_window() {
    const RESETS: u32 = 10_000;
    let setup = Setup::new().config(|config| config.with_max_resets(RESETS));
    let mut client = setup.serve(service_fn(by_path)).await;
    for n in 0..RESETS {
        let path = if n % 2 == 0 { "/hold" } else { "/drop" };
        let (response, mut upload) = client.begin(request("POST", path), false).await;
        // A stream whose answer came already takes no more.
        let _ = upload.send_data(Bytes::from_static(&[0; 1000]), false);
        // So that the data is there before the reset is.
        tokio::task::yield_now().await;
        upload.send_reset(h2::Reason::CANCEL);
        drop(response);
    }
    let (response, mut upload) = client.begin(request("POST", "/read"), false).await;
    let sending = async { send(&mut upload, vec![0; 10 * 1024 * 1024].into(), true).await };
    let (answer, ()) = tokio::join!(answer(response), sending);
    assert_eq!(answer.short(), (200, "10485760"));
    client.outcome().await.unwrap();
}

/// H2-03: the same for bodies that the service drops, while more of them comes.
#[tokio::test(start_paused = true)]
async fn h2_03_a_dropped_body_gives_its_window_back() {
    // The window that every connection begins with, so that all of it is known here.
    let setup = Setup::new().config(|config| config.with_connection_window(65_535));
    let mut raw = setup.raw(service_fn(by_path)).await;
    let mut window = 65_535;
    for n in 0..1000 {
        let stream = 1 + 2 * n;
        raw.send(&headers(stream, &pseudo("POST", "/drop"), 0)).await;
        raw.send(&data(stream, &[0; 1000], 0)).await;
        // Padding counts too: 100 bytes, and the one that says so (RFC 9113 section 6.1).
        let padded = [&[100][..], &[0; 1100]].concat();
        raw.send(&Frame::new(DATA, 0x8, stream, padded)).await;
        window -= 2101;
        let mut answered = false;
        while !answered || window < 30_000 {
            let frame = raw.next().await.unwrap();
            match frame.kind {
                HEADERS => answered = true,
                WINDOW_UPDATE if frame.stream == 0 => window += frame.word() as i32,
                GOAWAY => panic!("{:?}", frame.goodbye()),
                _ => {}
            }
        }
    }
}

/// H2-04: one stream is never read, and has filled its window: others proceed. What it has sent stays within its window.
#[tokio::test(start_paused = true)]
async fn h2_04_a_stream_that_is_never_read_does_not_stop_the_others() {
    let mut client = serve(service_fn(by_path)).await;
    let (_held, mut filling) = client.begin(request("POST", "/hold"), false).await;
    let stuck = tokio::spawn(async move { send(&mut filling, vec![0; 10 * 1024 * 1024].into(), true).await });
    for _ in 0..4 {
        let (response, mut upload) = client.begin(request("POST", "/read"), false).await;
        let sending = async { send(&mut upload, vec![0; 4 * 1024 * 1024].into(), true).await };
        let (answer, ()) = tokio::join!(answer(response), sending);
        assert_eq!(answer.short(), (200, "4194304"));
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!stuck.is_finished());
    let read = client.probe.stats().bytes_read;
    // Sixteen that were read, a window of 256 KiB, and the frames around them.
    assert!(read < (16 * 1024 + 256 + 64) * 1024, "{read} bytes were read");
}

/// H2-04: streams that are not read hold so much of the connection's window and no more; when they have all of it, what was
/// answered still goes out.
#[tokio::test(start_paused = true)]
async fn h2_04_what_is_not_read_is_bounded_for_the_connection() {
    let mut client = serve(service_fn(by_path)).await;
    let mut stuck = Vec::new();
    for _ in 0..8 {
        let (held, mut filling) = client.begin(request("POST", "/hold"), false).await;
        let filling = tokio::spawn(async move { send(&mut filling, vec![0; 1024 * 1024].into(), true).await });
        stuck.push((held, filling));
    }
    assert_eq!(client.get("/").await.short(), (200, "dropped"));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let read = client.probe.stats().bytes_read;
    assert!((1024 * 1024..1024 * 1024 + 16 * 1024).contains(&read), "{read} bytes were read");
    assert_eq!(client.get("/").await.short(), (200, "dropped"));
}
