//! A stream that is no longer wanted, by either side.

use std::sync::Arc;

use bytes::Bytes;
use chaski_core::{BoxError, http::Request, service_fn, service_fn_with};
use tokio::sync::{Notify, mpsc};

use super::{frames::*, harness::*};

/// Tells when it is dropped.
struct Dropped(mpsc::UnboundedSender<String>, String);

impl Drop for Dropped {
    fn drop(&mut self) {
        let _ = self.0.send(self.1.clone());
    }
}

/// H1-28, at the server's end: RST_STREAM drops the future of its stream, and no other.
#[tokio::test(start_paused = true)]
async fn a_reset_drops_the_future_of_its_stream_only() {
    let (sender, mut dropped) = mpsc::unbounded_channel();
    let go = Arc::new(Notify::new());
    let service =
        service_fn_with((sender, Arc::clone(&go)), async |(sender, go): (_, Arc<Notify>), request: Request| {
            let guard = Dropped(sender, request.uri().path().to_owned());
            go.notified().await;
            Ok::<_, BoxError>(ok(guard.1.clone()))
        });
    let mut raw = Setup::new().raw(service).await;
    for (stream, path) in [(1, "/1"), (3, "/3"), (5, "/5")] {
        raw.send(&get(stream, path)).await;
    }
    raw.send(&reset(3, 8)).await;
    assert_eq!(patient("the drop", dropped.recv()).await.unwrap(), "/3");
    assert!(dropped.try_recv().is_err());
    go.notify_waiters();
    let mut answers = vec![raw.next_of(DATA).await, raw.next_of(DATA).await];
    answers.sort_by_key(|frame| frame.stream);
    assert_eq!(answers, [data(1, b"/1", END_STREAM), data(5, b"/5", END_STREAM)]);
}

/// H1-28: a client that has lost interest in the middle of an answer.
#[tokio::test(start_paused = true)]
async fn a_reset_drops_the_body_of_an_answer() {
    let (sender, mut dropped) = mpsc::unbounded_channel();
    let service = service_fn_with(sender, async |sender: mpsc::UnboundedSender<String>, _: Request| {
        let guard = Dropped(sender, "the body".into());
        Ok::<_, BoxError>(chaski_core::http::Response::new(Pending::body(guard)))
    });
    let mut client = serve(service).await;
    let (response, _) = client.begin(request("GET", "/"), true).await;
    let response = patient("the head", response).await.unwrap();
    assert!(dropped.try_recv().is_err());
    drop(response);
    assert_eq!(patient("the drop", dropped.recv()).await.unwrap(), "the body");
    let (response, _) = client.begin(request("GET", "/"), true).await;
    assert_eq!(patient("a head", response).await.unwrap().status(), 200);
}

/// Whoever holds a request's body is told that the client has reset the stream.
#[tokio::test(start_paused = true)]
async fn a_reset_is_told_to_whoever_reads_the_body() {
    let (sender, mut told) = mpsc::unbounded_channel();
    let service = service_fn_with(sender, async |sender: mpsc::UnboundedSender<String>, request: Request| {
        tokio::spawn(async move {
            let error = request.into_body().collect(100).await.unwrap_err();
            sender.send(error.to_string())
        });
        Ok::<_, BoxError>(ok("begun"))
    });
    let mut client = serve(service).await;
    let (response, mut upload) = client.begin(request("POST", "/"), false).await;
    assert_eq!(answer(response).await.short(), (200, "begun"));
    upload.send_data(Bytes::from("some"), false).unwrap();
    upload.send_reset(h2::Reason::CANCEL);
    assert_eq!(patient("the error", told.recv()).await.unwrap(), "the peer reset the stream with CANCEL");
}

/// Dropping the server's future drops every call.
#[tokio::test(start_paused = true)]
async fn dropping_the_connection_drops_all_its_calls() {
    let (sender, mut dropped) = mpsc::unbounded_channel();
    let service = service_fn_with(sender, async |sender: mpsc::UnboundedSender<String>, request: Request| {
        let _guard = Dropped(sender.clone(), request.uri().path().to_owned());
        sender.send("begun".into())?;
        std::future::pending::<()>().await;
        Ok::<_, BoxError>(ok(""))
    });
    let mut raw = Setup::new().raw(service).await;
    raw.send(&get(1, "/1")).await;
    raw.send(&get(3, "/3")).await;
    for _ in 0..2 {
        assert_eq!(patient("a call", dropped.recv()).await.unwrap(), "begun");
    }
    raw.far.server.abort();
    let mut paths = vec![dropped.recv().await.unwrap(), dropped.recv().await.unwrap()];
    paths.sort();
    assert_eq!(paths, ["/1", "/3"]);
    assert!(raw.goodbye().await.is_none());
}

/// A client that goes away without a word cancels what it had asked for.
#[tokio::test(start_paused = true)]
async fn a_client_that_goes_cancels_its_requests() {
    let (sender, mut dropped) = mpsc::unbounded_channel();
    let service = service_fn_with(sender, async |sender: mpsc::UnboundedSender<String>, _: Request| {
        let _guard = Dropped(sender.clone(), "dropped".into());
        sender.send("begun".into())?;
        std::future::pending::<()>().await;
        Ok::<_, BoxError>(ok(""))
    });
    let mut raw = Setup::new().raw(service).await;
    raw.send(&get(1, "/1")).await;
    assert_eq!(patient("a call", dropped.recv()).await.unwrap(), "begun");
    let Raw { far, .. } = raw;
    let Far { io, server, .. } = far;
    drop(io);
    assert_eq!(patient("the drop", dropped.recv()).await.unwrap(), "dropped");
    let outcome = patient("the server", server).await.unwrap().unwrap();
    assert!(matches!(outcome, Err(chaski_http2::Http2ServerError::ClientGone)), "{outcome:?}");
}

/// H2-09, at the server's end: a final answer ahead of the request's body arrives whole, then the stream is reset with
/// NO_ERROR (RFC 9113 section 8.1), which asks for no more of it.
#[tokio::test(start_paused = true)]
async fn h2_09_an_early_answer_is_whole_and_ends_the_upload_without_an_error() {
    let service = service_fn(async |_: Request| Ok(ok("no, thanks")));
    let mut raw = Setup::new().raw(service).await;
    raw.send(&headers(1, &pseudo("POST", "/"), 0)).await;
    raw.send(&data(1, b"some", 0)).await;
    assert_eq!(raw.next_on(1).await.kind, HEADERS);
    assert_eq!(raw.next_on(1).await, data(1, b"no, thanks", END_STREAM));
    assert_eq!(raw.next_on(1).await, reset(1, 0));
    // What was on its way is no error, and the connection goes on.
    raw.send(&data(1, b"more", 0)).await;
    raw.send(&get(3, "/")).await;
    assert_eq!(raw.next_on(3).await.kind, HEADERS);
}
