//! Informational responses from services.

use std::time::Duration;

use chaski_core::{
    http::{Informational, InformationalError, Request},
    service_fn,
};
use http::{HeaderMap, StatusCode};
use tokio::time::sleep;

use super::harness::*;

const GET: &str = "GET /a HTTP/1.1\r\nhost: a\r\n\r\n";

fn code(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap()
}

/// H1-22: as many as the service sends, unknown ones too, each before the final answer, whether it waits between or not.
#[tokio::test(start_paused = true)]
async fn many_come_before_the_answer() {
    for wait in [false, true] {
        let service = service_fn(move |request: Request| async move {
            let informational = Informational::of(&request).unwrap();
            informational.send(code(103), &headers(&[("link", "</a>"), ("link", "</b>")])).unwrap();
            if wait {
                sleep(Duration::from_secs(1)).await;
            }
            informational.send(code(103), &headers(&[("link", "</c>")])).unwrap();
            informational.send(code(199), &headers(&[("content-length", "7")])).unwrap();
            path(request).await
        });
        let mut client = Setup::new().facts().serve(service);
        for _ in 0..2 {
            client.send(GET).await;
            assert_eq!(client.head().await, "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\nlink: </b>\r\n\r\n");
            assert_eq!(client.head().await, "HTTP/1.1 103 Early Hints\r\nlink: </c>\r\n\r\n");
            assert_eq!(client.head().await, "HTTP/1.1 199 \r\n\r\n");
            assert_eq!(client.response().await, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n/a");
        }
    }
}

/// H1-22: one that is sent while the service waits leaves at once.
#[tokio::test(start_paused = true)]
async fn one_from_another_task_leaves_at_once() {
    let service = service_fn(async |request: Request| {
        let informational = Informational::of(&request).unwrap();
        let sending = tokio::spawn(async move {
            sleep(Duration::from_secs(10)).await;
            informational.send(code(102), &HeaderMap::new()).unwrap();
        });
        sleep(Duration::from_secs(60)).await;
        sending.await?;
        path(request).await
    });
    let mut client = Setup::new().facts().serve(service);
    let start = tokio::time::Instant::now();
    client.send(GET).await;
    assert_eq!(client.head().await, "HTTP/1.1 102 Processing\r\n\r\n");
    assert_eq!(start.elapsed(), Duration::from_secs(10));
    client.response().await;
}

/// H1-22: none for HTTP/1.0.
#[tokio::test(start_paused = true)]
async fn http_1_0_gets_none() {
    let service = service_fn(async |request: Request| {
        let informational = Informational::of(&request).unwrap();
        let refused = informational.send(code(103), &HeaderMap::new());
        assert_eq!(refused, Err(InformationalError::NotSupported));
        path(request).await
    });
    let mut client = Setup::new().facts().serve(service);
    client.send("GET /a HTTP/1.0\r\n\r\n").await;
    assert_eq!(client.rest().await, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n/a");
}

/// H1-22: none after the final answer has begun, neither into this exchange nor into a later one.
#[tokio::test(start_paused = true)]
async fn too_late_is_told() {
    let (handles, mut late) = tokio::sync::mpsc::unbounded_channel();
    let service = service_fn(move |request: Request| {
        let handles = handles.clone();
        async move {
            handles.send(Informational::of(&request).unwrap()).unwrap();
            sleep(Duration::from_secs(1)).await;
            path(request).await
        }
    });
    let mut client = Setup::new().facts().serve(service);
    client.send(GET).await;
    client.response().await;
    let first = late.recv().await.unwrap();
    assert_eq!(first.send(code(103), &HeaderMap::new()), Err(InformationalError::TooLate));
    client.send(GET).await;
    let second = late.recv().await.unwrap();
    assert_eq!(first.send(code(103), &HeaderMap::new()), Err(InformationalError::TooLate));
    second.send(code(103), &HeaderMap::new()).unwrap();
    assert_eq!(client.head().await, "HTTP/1.1 103 Early Hints\r\n\r\n");
    client.response().await;
    drop(client.io);
    client.server.await.unwrap().unwrap().unwrap();
    assert_eq!(second.send(code(103), &HeaderMap::new()), Err(InformationalError::TooLate));
}

/// A service that floods a client that does not read is stopped at a bound.
#[tokio::test(start_paused = true)]
async fn a_flood_has_a_bound() {
    let (count, mut counted) = tokio::sync::mpsc::unbounded_channel();
    let service = service_fn(move |request: Request| {
        let count = count.clone();
        async move {
            let informational = Informational::of(&request).unwrap();
            let (mut sent, hint) = (0, headers(&[("link", "</0123456789012345678901234567890123456789>")]));
            while informational.send(code(103), &hint).is_ok() {
                sent += 1;
                assert!(sent < 10_000);
            }
            count.send(sent).unwrap();
            assert_eq!(informational.send(code(103), &hint), Err(InformationalError::Full));
            path(request).await
        }
    });
    let mut client = Setup::new().facts().serve(service);
    client.send(GET).await;
    let sent = counted.recv().await.unwrap();
    assert!((100..400).contains(&sent), "{sent}");
    for _ in 0..sent {
        assert!(client.head().await.starts_with("HTTP/1.1 103 "));
    }
    assert_eq!(client.response().await, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n/a");
}

/// The same flood, spread over waits, does not grow what waits for a client that does not read.
#[tokio::test(start_paused = true)]
async fn a_flood_over_time_has_a_bound() {
    let (count, mut counted) = tokio::sync::mpsc::unbounded_channel();
    let service = service_fn(move |request: Request| {
        let count = count.clone();
        async move {
            let informational = Informational::of(&request).unwrap();
            let mut sent = 0;
            while sent < 20_000 && informational.send(code(103), &HeaderMap::new()).is_ok() {
                sent += 1;
                tokio::task::yield_now().await;
            }
            count.send(sent).unwrap();
            path(request).await
        }
    });
    let small = chaski_core::test_util::PipeDirection { capacity: 64, ..Default::default() };
    let mut client = Setup::new()
        .pipe(chaski_core::test_util::PipeOptions { b_to_a: small, ..Default::default() })
        .facts()
        .serve(service);
    client.send(GET).await;
    // `HTTP/1.1 103 Early Hints` and two line ends are 28 bytes: 16 KiB hold 585, the batch that waits 2,340 more.
    let sent = patient("the service", counted.recv()).await.unwrap();
    assert!(sent < 4_000, "{sent}");
    for _ in 0..sent {
        assert_eq!(client.head().await, "HTTP/1.1 103 Early Hints\r\n\r\n");
    }
    client.response().await;
}

/// `100` leaves only to a client that waits for it, and once.
#[tokio::test(start_paused = true)]
async fn a_service_may_say_continue_itself() {
    let service = service_fn(async |request: Request| {
        let informational = Informational::of(&request).unwrap();
        informational.send(StatusCode::CONTINUE, &HeaderMap::new()).unwrap();
        informational.send(StatusCode::CONTINUE, &HeaderMap::new()).unwrap();
        collected(request).await
    });
    let mut client = Setup::new().facts().serve(service);
    client.send("POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n").await;
    assert_eq!(client.head().await, "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("hi").await;
    assert_eq!(client.response().await, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi");
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi").await;
    assert_eq!(client.response().await, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi");
}
