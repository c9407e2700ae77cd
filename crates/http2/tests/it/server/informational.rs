//! Informational responses from services.

use std::{future::poll_fn, time::Duration};

use chaski_core::{
    http::{Informational, InformationalError, Request},
    service_fn,
};
use http::{HeaderMap, StatusCode};
use tokio::time::{Instant, sleep};

use super::{frames::*, harness::*};

fn link(target: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("link", target.parse().unwrap());
    headers.insert("connection", "close".parse().unwrap());
    headers
}

/// As many as the service sends, each before the final answer, and each to its own stream.
#[tokio::test(start_paused = true)]
async fn many_come_before_the_answer_of_their_stream() {
    for wait in [false, true] {
        let service = service_fn(move |request: Request| async move {
            let informational = Informational::of(&request).unwrap();
            informational.send(StatusCode::EARLY_HINTS, &link(request.uri().path()))?;
            if wait {
                sleep(Duration::from_secs(1)).await;
            }
            informational.send(StatusCode::PROCESSING, &link("second"))?;
            path(request).await
        });
        let mut client = Setup::new().facts().serve(service).await;
        let (first, _) = client.begin(request("GET", "/1"), true).await;
        let (second, _) = client.begin(request("GET", "/2"), true).await;
        for (mut response, path) in [(second, "/2"), (first, "/1")] {
            for expected in [(103, path), (102, "second")] {
                let interim = poll_fn(|cx| response.poll_informational(cx));
                let interim = patient("an interim response", interim).await.unwrap().unwrap();
                assert_eq!((interim.status().as_u16(), interim.headers()["link"].to_str().unwrap()), expected);
                assert_eq!(interim.headers().len(), 1);
            }
            assert_eq!(answer(response).await.short(), (200, path));
        }
        client.outcome().await.unwrap();
    }
}

/// One that is sent by another task while the service waits leaves at once.
#[tokio::test(start_paused = true)]
async fn one_from_another_task_leaves_at_once() {
    let service = service_fn(async |request: Request| {
        let informational = Informational::of(&request).unwrap();
        let sending = tokio::spawn(async move {
            sleep(Duration::from_secs(10)).await;
            informational.send(StatusCode::PROCESSING, &HeaderMap::new()).unwrap();
        });
        sleep(Duration::from_secs(60)).await;
        sending.await?;
        path(request).await
    });
    let mut client = Setup::new().facts().serve(service).await;
    let start = Instant::now();
    let (mut response, _) = client.begin(request("GET", "/"), true).await;
    let interim = poll_fn(|cx| response.poll_informational(cx));
    assert_eq!(patient("an interim response", interim).await.unwrap().unwrap().status(), 102);
    assert_eq!(start.elapsed(), Duration::from_secs(10));
    assert_eq!(answer(response).await.status, 200);
}

/// None after the final answer has begun, neither to this stream nor to a later one in its place.
#[tokio::test(start_paused = true)]
async fn none_comes_late() {
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let service = chaski_core::service_fn_with(
        sender,
        async |sender: tokio::sync::mpsc::UnboundedSender<Informational>, request: Request| {
            sender.send(Informational::of(&request).unwrap())?;
            path(request).await
        },
    );
    let mut client = Setup::new().facts().serve(service).await;
    assert_eq!(client.get("/1").await.status, 200);
    let late = receiver.recv().await.unwrap();
    let refused = || late.send(StatusCode::PROCESSING, &HeaderMap::new());
    assert_eq!(refused(), Err(InformationalError::TooLate));
    assert_eq!(client.get("/2").await.status, 200);
    assert_eq!(refused(), Err(InformationalError::TooLate));
}

/// None behind a reset, whoever said it: the client might take it for an error of the connection. h2 would send them.
#[tokio::test(start_paused = true)]
async fn none_comes_behind_a_reset() {
    for by_client in [true, false] {
        let service = service_fn(async |request: Request| {
            let informational = Informational::of(&request).unwrap();
            informational.send(StatusCode::EARLY_HINTS, &HeaderMap::new())?;
            path(request).await
        });
        let mut raw = Setup::new().facts().raw(service).await;
        let post = [&pseudo("POST", "/")[..], &[("content-length", "4"), ("expect", "100-continue")]].concat();
        // Both are there when the service is called.
        let end = if by_client { reset(1, 8) } else { data(1, b"abc", END_STREAM) };
        raw.send_bytes(&[headers(1, &post, 0).bytes(), end.bytes(), get(3, "/").bytes()].concat()).await;
        loop {
            let frame = raw.next().await.unwrap();
            assert!(frame.stream != 1 || frame.kind == RST_STREAM, "{frame:?}");
            if frame.stream == 3 && frame.kind == DATA {
                break;
            }
        }
    }
}

/// 16 KiB for each stream, then no more until they have left.
#[tokio::test(start_paused = true)]
async fn those_that_wait_are_bounded() {
    let service = service_fn(async |request: Request| {
        let informational = Informational::of(&request).unwrap();
        let large = link(&"x".repeat(8000));
        assert_eq!(informational.send(StatusCode::EARLY_HINTS, &large), Ok(()));
        assert_eq!(informational.send(StatusCode::EARLY_HINTS, &large), Ok(()));
        assert_eq!(informational.send(StatusCode::EARLY_HINTS, &large), Ok(()));
        assert_eq!(informational.send(StatusCode::EARLY_HINTS, &large), Err(InformationalError::Full));
        tokio::task::yield_now().await;
        assert_eq!(informational.send(StatusCode::EARLY_HINTS, &large), Ok(()));
        path(request).await
    });
    let mut client = Setup::new().facts().serve(service).await;
    assert_eq!(client.get("/").await.status, 200);
}
