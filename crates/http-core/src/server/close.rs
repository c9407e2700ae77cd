//! How connections end.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};

use chaski_core::{Elapsed, Io};
use http::{HeaderMap, StatusCode};
use tokio::time::Instant;

use super::{connection::Connection, error::Http1ServerError, exchange::Asked, shared::BodyFailure};
use crate::codec::{BodyEvent, BodySize};

/// How long the closing of the sending side may take.
const SHUTDOWN_LIMIT: std::time::Duration = std::time::Duration::from_secs(5);

/// How a connection ends that was not cut.
pub(super) enum End {
    /// Between two requests: the client has nothing more to say that was not read.
    Quiet,
    /// Behind an answer, while the client may still be sending.
    Linger,
    /// With the refusal of what was sent.
    Refused(Http1ServerError),
}

impl<I: Io> Connection<'_, I> {
    /// Ends the connection.
    pub(super) async fn end(&mut self, end: End) -> Result<(), Http1ServerError> {
        match end {
            End::Quiet => {
                self.flush().await?;
                self.shutdown().await
            }
            End::Linger => self.close_lingering().await,
            End::Refused(error) => self.refuse(error).await,
        }
    }

    /// Reads the rest of a body that the service left and throws it away, or waits for its holder to let go of it. `false`
    /// when there is too much, it takes too long, or it is malformed.
    pub(super) async fn drain(&mut self) -> bool {
        let due = self.config.body_timeout.map(|limit| Instant::now() + limit);
        self.deadline.set(due);
        let mut left = self.config.drain_limit;
        let drained = poll_fn(|cx| self.poll_drain(&mut left, cx)).await;
        self.deadline.clear();
        if !drained {
            self.take_body_away();
        }
        drained
    }

    /// Waits for the holder of the body to read it to its end or to let go of it, and takes it away when that takes too long.
    async fn wait_for_holder(&mut self) {
        self.deadline.set(self.config.body_timeout.map(|limit| Instant::now() + limit));
        poll_fn(|cx| {
            let mut state = self.shared.lock();
            if !state.body_reads() {
                return Poll::Ready(());
            }
            state.store_conn_waker(cx);
            drop(state);
            self.deadline.poll(cx)
        })
        .await;
        self.take_body_away();
    }

    /// Whoever still holds the body gets nothing more from it.
    fn take_body_away(&self) {
        let mut state = self.shared.lock();
        if state.body_reads() {
            state.fail_body(BodyFailure::Gone);
        }
    }

    fn poll_drain(&mut self, left: &mut u64, cx: &mut Context<'_>) -> Poll<bool> {
        let mut state = self.shared.lock();
        loop {
            state.store_conn_waker(cx);
            if state.failed.is_some() {
                return Poll::Ready(false);
            }
            if state.live {
                break;
            }
            let state = &mut *state;
            let Some(decoder) = &mut state.body else { return Poll::Ready(true) };
            match decoder.decode(&mut state.read.bytes) {
                Ok(Some(BodyEvent::Data(data))) => match left.checked_sub(data.len() as u64) {
                    Some(rest) => *left = rest,
                    None => return Poll::Ready(false),
                },
                Ok(Some(BodyEvent::Trailers(_))) => {}
                Ok(Some(BodyEvent::End)) => state.body = None,
                Ok(None) => match state.poll_read(cx) {
                    Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(false),
                    Poll::Ready(Ok(_)) => {}
                    Poll::Pending => break,
                },
                Err(_) => return Poll::Ready(false),
            }
        }
        drop(state);
        self.deadline.poll(cx).map(|()| false)
    }

    /// Answers a request that was refused, as far as the client can still be told, and closes.
    async fn refuse(&mut self, error: Http1ServerError) -> Result<(), Http1ServerError> {
        let status = match &error {
            Http1ServerError::Head(head) => head.status(),
            Http1ServerError::Timeout(Elapsed { what: "a request's head", .. }) => StatusCode::REQUEST_TIMEOUT,
            _ => return Err(error),
        };
        let asked = Asked::unknown();
        if self.encode_head(&asked, status, &HeaderMap::new(), None, BodySize::Exact(0), false).is_ok() {
            self.close_lingering().await?;
        }
        Err(error)
    }

    /// Ends a connection whose answer cannot be completed. What came before, complete answers above all, still leaves where
    /// it can.
    pub(super) async fn cut(&mut self, error: Http1ServerError) -> Http1ServerError {
        if matches!(error, Http1ServerError::ResponseBody(_) | Http1ServerError::ClientGone) {
            // The reason for the cut is what is told, not that this failed too.
            let _ = self.flush().await;
        }
        self.out.clear();
        error
    }

    /// Writes what waits, closes the sending side, and reads on for a while: closing a socket with bytes unread makes the
    /// kernel send a reset, which can destroy an answer that its client has not read yet. A body that somebody still reads is
    /// waited for first, as it would be if the connection went on.
    async fn close_lingering(&mut self) -> Result<(), Http1ServerError> {
        self.flush().await?;
        self.shutdown().await?;
        self.wait_for_holder().await;
        self.deadline.set(Some(Instant::now() + self.config.linger));
        poll_fn(|cx| {
            let mut state = self.shared.lock();
            loop {
                state.read.bytes.clear();
                match state.poll_read(cx) {
                    Poll::Ready(Ok(n)) if n > 0 => {}
                    Poll::Ready(_) => return Poll::Ready(()),
                    Poll::Pending => break,
                }
            }
            drop(state);
            self.deadline.poll(cx)
        })
        .await;
        Ok(())
    }

    /// Closes the sending side.
    async fn shutdown(&mut self) -> Result<(), Http1ServerError> {
        self.deadline.set(Some(Instant::now() + SHUTDOWN_LIMIT));
        poll_fn(|cx| {
            let mut state = self.shared.lock();
            let Some(io) = &mut state.io else { return Poll::Ready(Ok(())) };
            if let Poll::Ready(result) = Pin::new(io).poll_shutdown(cx) {
                // A client that was quicker is no error.
                let _ = result;
                return Poll::Ready(Ok(()));
            }
            drop(state);
            ready!(self.deadline.poll(cx));
            Poll::Ready(Err(Elapsed { what: "closing the connection", limit: SHUTDOWN_LIMIT }.into()))
        })
        .await
    }
}
