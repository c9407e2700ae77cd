//! Informational responses from services.

use std::{future::poll_fn, time::Duration};

use chaski_core::{
    http::{Informational, InformationalError, Request},
    service_fn,
};
use http::{HeaderMap, StatusCode};
use tokio::time::{Instant, sleep};

use super::harness::*;

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
