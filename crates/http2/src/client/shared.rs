//! What a session, its driver and its streams share.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{
            AtomicBool, AtomicU8, AtomicU64, AtomicUsize,
            Ordering::{Relaxed, SeqCst},
        },
    },
    task::{Context, Poll, Waker},
};

use chaski_core::{Elapsed, Extensions, SessionState};
use h2::{
    SendStream,
    client::{ResponseFuture, SendRequest},
    ext::Protocol,
};
use http::Request;

use super::{Http2ClientConfig, Http2Error};
use crate::{
    ErrorCode,
    engine::{Chunk, Room, WireState},
};

const OPEN: u8 = 0;
const DRAINING: u8 = 1;
const CLOSED: u8 = 2;

/// How much of all streamed uploads together may wait to be written: 1 MiB.
const SEND_ROOM: usize = 1024 * 1024;

/// One for a connection.
///
/// The driver owns the connection; streams are opened through `requests`. Whoever sends a request has a [`Slot`] for as long
/// as anything of it or of its response is left.
pub(super) struct Shared {
    pub(super) ext: Extensions,
    pub(super) config: Http2ClientConfig,
    pub(super) wire: Arc<WireState>,
    /// What uploads may have given to h2.
    pub(super) room: Arc<Room>,
    /// `None` when no more streams are to be opened and none is left: h2 closes the connection when this is gone.
    requests: Mutex<Option<SendRequest<Chunk>>>,
    phase: AtomicU8,
    /// Streams under way.
    in_use: AtomicUsize,
    /// How many the peer allows.
    limit: AtomicUsize,
    /// The peer has said something, and that is its settings (RFC 9113 section 3.4).
    greeted: AtomicBool,
    /// Whether a request was ever sent.
    used: AtomicBool,
    /// Why this side gave the connection up.
    given_up: OnceLock<GivenUp>,
    /// Counts the changes of what a session tells.
    version: AtomicU64,
    /// Somebody waits for the next one.
    watched: AtomicBool,
    wakers: Mutex<Wakers>,
}

#[derive(Default)]
struct Wakers {
    watcher: Option<Waker>,
    driver: Option<Waker>,
    /// Those who wait for the peer's first word.
    greeted: Vec<Waker>,
}

/// Why this side ends a connection.
#[derive(Clone, Copy, Debug)]
pub(super) enum GivenUp {
    /// The peer does not read.
    Unread(Elapsed),
    /// The peer does not answer.
    Unanswered(Elapsed),
    /// The peer's frames are refused.
    Refused(ErrorCode),
}

impl From<GivenUp> for Http2Error {
    fn from(why: GivenUp) -> Self {
        match why {
            GivenUp::Unread(elapsed) => Self::WriteTimeout(elapsed),
            GivenUp::Unanswered(elapsed) => Self::KeepAliveTimeout(elapsed),
            GivenUp::Refused(code) => Self::Protocol(code),
        }
    }
}

/// The right to have one stream, held until nothing of it is left.
pub(super) struct Slot(Arc<Shared>);

/// A stream whose request's head was handed over.
pub(super) struct Opened {
    pub(super) response: ResponseFuture,
    pub(super) stream: SendStream<Chunk>,
    /// How many bytes had been written to the connection before.
    pub(super) written: u64,
}

impl Shared {
    pub(super) fn new(
        ext: Extensions,
        config: Http2ClientConfig,
        wire: Arc<WireState>,
        requests: SendRequest<Chunk>,
    ) -> Self {
        let limit = AtomicUsize::new(config.initial_streams);
        Self {
            ext,
            config,
            wire,
            room: Room::new(SEND_ROOM),
            requests: Mutex::new(Some(requests)),
            phase: AtomicU8::new(OPEN),
            in_use: AtomicUsize::new(0),
            limit,
            greeted: AtomicBool::new(false),
            used: AtomicBool::new(false),
            given_up: OnceLock::new(),
            version: AtomicU64::new(0),
            watched: AtomicBool::new(false),
            wakers: Mutex::default(),
        }
    }

    pub(super) fn state(&self) -> SessionState {
        match self.phase.load(SeqCst) {
            OPEN => SessionState::Open,
            DRAINING => SessionState::Draining,
            _ => SessionState::Closed,
        }
    }

    pub(super) fn free(&self) -> usize {
        match self.phase.load(SeqCst) {
            OPEN => self.limit.load(SeqCst).saturating_sub(self.in_use.load(SeqCst)),
            _ => 0,
        }
    }

    /// Takes a slot.
    pub(super) fn reserve(self: &Arc<Self>) -> Result<Slot, Http2Error> {
        self.check_open()?;
        let limit = self.limit.load(SeqCst);
        self.in_use
            .fetch_update(SeqCst, SeqCst, |in_use| (in_use < limit).then(|| in_use + 1))
            .map_err(|_| Http2Error::Busy)?;
        self.used.store(true, Relaxed);
        self.tell();
        Ok(Slot(Arc::clone(self)))
    }

    fn check_open(&self) -> Result<(), Http2Error> {
        match self.phase.load(SeqCst) {
            OPEN => Ok(()),
            DRAINING => Err(Http2Error::Draining),
            _ => Err(Http2Error::Closed),
        }
    }

    /// No more requests are taken. The driver closes the connection when none is left.
    pub(super) fn drain(&self) {
        self.advance(DRAINING);
    }

    /// The connection has ended.
    pub(super) fn close(&self) {
        self.advance(CLOSED);
        self.greet();
        let requests = lock(&self.requests).take();
        drop(requests);
    }

    fn advance(&self, phase: u8) {
        if self.phase.fetch_max(phase, SeqCst) < phase {
            self.tell();
            self.wake_driver();
        }
    }

    /// Gives the connection up because its peer does not answer or does not read.
    pub(super) fn give_up(&self, why: GivenUp) {
        let _ = self.given_up.set(why);
    }

    pub(super) fn given_up(&self) -> Option<GivenUp> {
        self.given_up.get().copied().or_else(|| self.wire.fault().map(GivenUp::Refused))
    }

    pub(super) fn is_busy(&self) -> bool {
        self.in_use.load(SeqCst) > 0
    }

    pub(super) fn is_used(&self) -> bool {
        self.used.load(Relaxed)
    }

    /// Waits for the peer's first word, or for the end.
    pub(super) fn poll_greeted(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut wakers = lock(&self.wakers);
        if self.greeted.load(SeqCst) || self.phase.load(SeqCst) == CLOSED {
            return Poll::Ready(());
        }
        if !wakers.greeted.iter().any(|waker| waker.will_wake(cx.waker())) {
            wakers.greeted.push(cx.waker().clone());
        }
        Poll::Pending
    }

    fn greet(&self) {
        if !self.greeted.swap(true, SeqCst) {
            let waiting = std::mem::take(&mut lock(&self.wakers).greeted);
            waiting.into_iter().for_each(Waker::wake);
        }
    }

    /// What has come of the peer's last frames: how many streams it allows, and whether it takes any more.
    pub(super) fn learn(&self, limit: usize) {
        if self.wire.has_greeting() {
            self.greet();
        }
        if self.limit.swap(limit, SeqCst) != limit {
            self.tell();
        }
        let refuses = match &mut *lock(&self.requests) {
            // It does not wait for anything: this handle has no stream of its own that waits to be opened.
            Some(requests) => {
                matches!(requests.poll_ready(&mut Context::from_waker(Waker::noop())), Poll::Ready(Err(_)))
            }
            None => false,
        };
        if refuses {
            self.drain();
        }
    }

    /// Lets h2 close the connection, if it is drained. Says whether it may.
    pub(super) fn finish_if_drained(&self) -> bool {
        if self.phase.load(SeqCst) == OPEN || self.in_use.load(SeqCst) > 0 {
            return false;
        }
        let requests = lock(&self.requests).take();
        drop(requests);
        true
    }

    /// Whom to wake when the connection may be closed.
    pub(super) fn set_driver(&self, waker: &Waker) {
        lock(&self.wakers).driver = Some(waker.clone());
    }

    fn wake_driver(&self) {
        let driver = lock(&self.wakers).driver.clone();
        if let Some(driver) = driver {
            driver.wake();
        }
    }

    pub(super) fn version(&self) -> u64 {
        self.version.load(SeqCst)
    }

    /// Completes when something has changed since `version`, or when nothing will any more.
    pub(super) fn poll_changed(&self, version: u64, cx: &mut Context<'_>) -> Poll<()> {
        let earlier = lock(&self.wakers).watcher.replace(cx.waker().clone());
        drop(earlier);
        // Before the version is read: who changes it looks for a watcher afterwards.
        self.watched.store(true, SeqCst);
        if self.version.load(SeqCst) != version || self.phase.load(SeqCst) == CLOSED {
            return Poll::Ready(());
        }
        Poll::Pending
    }

    /// Something has changed.
    fn tell(&self) {
        self.version.fetch_add(1, SeqCst);
        if self.watched.load(SeqCst) && self.watched.swap(false, SeqCst) {
            let watcher = lock(&self.wakers).watcher.take();
            if let Some(watcher) = watcher {
                watcher.wake();
            }
        }
    }
}

impl Slot {
    pub(super) fn shared(&self) -> &Shared {
        &self.0
    }

    /// Hands a request's head over.
    pub(super) fn open(&self, head: Request<()>, end: bool) -> Result<Opened, Http2Error> {
        let written = self.0.wire.written();
        let mut requests = lock(&self.0.requests);
        let Some(requests) = &mut *requests else { return Err(Http2Error::Draining) };
        // RFC 8441 section 3: not before the peer has said that it knows it.
        if head.extensions().get::<Protocol>().is_some() && !requests.is_extended_connect_protocol_enabled() {
            return Err(Http2Error::Request("the peer does not take extended CONNECT"));
        }
        let opened = match requests.poll_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) => requests.send_request(head, end),
            // h2 still counts a stream whose end is to be written: this one is written right behind it.
            Poll::Pending => requests.clone().send_request(head, end),
            Poll::Ready(Err(error)) if error.is_io() => return Err(Http2Error::Closed),
            // The peer has said goodbye, or the numbers of streams have run out.
            Poll::Ready(Err(_)) => return Err(Http2Error::Draining),
        };
        match opened {
            Ok((response, stream)) => Ok(Opened { response, stream, written }),
            Err(error) if error.is_io() => Err(Http2Error::Closed),
            Err(error) if error.is_go_away() => Err(Http2Error::Draining),
            Err(_) => Err(Http2Error::Request("it cannot be written as HTTP/2")),
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let left = self.0.in_use.fetch_sub(1, SeqCst) - 1;
        self.0.tell();
        if left == 0 && self.0.phase.load(SeqCst) != OPEN {
            self.0.wake_driver();
        }
    }
}

impl Drop for Shared {
    /// Whoever watches the connection learns that there is none any more.
    fn drop(&mut self) {
        let wakers = self.wakers.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(watcher) = wakers.watcher.take() {
            watcher.wake();
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("state", &self.state())
            .field("in_use", &self.in_use)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change beneath is a single assignment, or h2's own, which panics only where it is wrong itself.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
