//! What others hold of a stream's place: wakers, those who send informational responses, and the request's body.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::Wake,
};

use chaski_core::http::{InformationalError, InformationalSink};
use http::{HeaderMap, Response, StatusCode};

use super::{response::remove_connection_fields, schedule::Schedule};

/// The most fields of informational responses that wait to be sent, each counted with what it weighs: 16 KiB.
const MAX_WAITING: usize = 16 * 1024;

/// The place of a stream in a connection, which serves one stream after the other.
#[derive(Debug)]
pub(super) struct Handle {
    /// The number of this part in the schedule.
    part: usize,
    schedule: Arc<Schedule>,
    news: Mutex<News>,
    has_news: AtomicBool,
}

#[derive(Debug, Default)]
struct News {
    /// Counts the requests of this place, so that what was asked for an earlier one cannot slip into a later one.
    request: u64,
    /// Whether its final answer has not begun yet.
    open: bool,
    expect: Expect,
    /// The body failed, and this is what the client is told if the service fails for it.
    failed: Option<StatusCode>,
    /// Informational responses on their way to the connection's task, and what they weigh.
    waiting: Vec<Response<()>>,
    weight: usize,
}

/// RFC 9110 section 10.1.1, seen from the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Expect {
    /// The client sends its body unasked, or has been asked.
    #[default]
    Nothing,
    /// The client waits; nobody has read the body yet.
    Waiting,
    /// The body was read: the connection's task has to send 100.
    Asked,
}

impl Handle {
    pub(super) fn new(part: usize, schedule: Arc<Schedule>) -> Arc<Self> {
        Arc::new(Self { part, schedule, news: Mutex::default(), has_news: AtomicBool::new(false) })
    }

    fn lock(&self) -> MutexGuard<'_, News> {
        // A panic between lock and unlock would be a bug of this crate; what the news hold is still sound.
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Prepares for a request; returns its number.
    pub(super) fn begin(&self, expects: bool) -> u64 {
        let mut news = self.lock();
        news.request += 1;
        news.open = true;
        news.expect = if expects { Expect::Waiting } else { Expect::Nothing };
        news.failed = None;
        news.request
    }

    /// What is to be sent ahead of the final answer, in order.
    pub(super) fn take_news(&self) -> Vec<Response<()>> {
        if !self.has_news.swap(false, Ordering::Acquire) {
            return Vec::new();
        }
        let mut news = self.lock();
        news.weight = 0;
        let mut waiting = std::mem::take(&mut news.waiting);
        if news.expect == Expect::Asked {
            news.expect = Expect::Nothing;
            waiting.insert(0, interim(StatusCode::CONTINUE));
        }
        waiting
    }

    /// The final answer begins, or there will be none: nothing is taken any more. Returns whether somebody still holds a
    /// body that the client was not asked for.
    pub(super) fn close(&self) -> bool {
        let mut news = self.lock();
        news.open = false;
        news.waiting.clear();
        news.weight = 0;
        std::mem::take(&mut news.expect) != Expect::Nothing
    }

    /// The status for a service that failed: one that failed because of its request's body is not to blame.
    pub(super) fn status_of_failure(&self) -> StatusCode {
        self.lock().failed.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn tell(&self) {
        self.has_news.store(true, Ordering::Release);
        self.schedule.wake(self.part);
    }

    /// The body of request `request` is read.
    pub(super) fn ask(&self, request: u64) {
        let mut news = self.lock();
        if news.request == request && news.expect == Expect::Waiting {
            news.expect = Expect::Asked;
            drop(news);
            self.tell();
        }
    }

    /// Nobody will ask for the body of request `request`: it is gone, or comes unasked.
    pub(super) fn waive(&self, request: u64) {
        let mut news = self.lock();
        if news.request == request {
            news.expect = Expect::Nothing;
        }
    }

    /// The body of request `request` failed.
    pub(super) fn body_failed(&self, request: u64, status: StatusCode) {
        let mut news = self.lock();
        if news.request == request {
            news.failed = Some(status);
        }
    }
}

impl Wake for Handle {
    fn wake(self: Arc<Self>) {
        self.schedule.wake(self.part);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.schedule.wake(self.part);
    }
}

impl InformationalSink for Handle {
    fn request(&self) -> u64 {
        self.lock().request
    }

    fn send(&self, request: u64, status: StatusCode, headers: &HeaderMap) -> Result<(), InformationalError> {
        let mut news = self.lock();
        if !news.open || news.request != request {
            return Err(InformationalError::TooLate);
        }
        if status == StatusCode::CONTINUE {
            drop(news);
            // RFC 9110 section 15.2.1: it is for a client that asked, and once; so it goes the way of reading the body.
            self.ask(request);
            return Ok(());
        }
        let weight: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum();
        if news.weight >= MAX_WAITING {
            return Err(InformationalError::Full);
        }
        let mut response = interim(status);
        *response.headers_mut() = headers.clone();
        remove_connection_fields(response.headers_mut());
        // RFC 9110 section 15.2: no body follows.
        response.headers_mut().remove(http::header::CONTENT_LENGTH);
        news.weight += weight + 32;
        news.waiting.push(response);
        drop(news);
        self.tell();
        Ok(())
    }
}

pub(super) fn interim(status: StatusCode) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_answer_came_ahead_of_takes_no_room_of_the_next_request() {
        let handle = Handle::new(1, Arc::default());
        let mut fields = HeaderMap::new();
        fields.insert("link", "x".repeat(MAX_WAITING).parse().unwrap());
        for _ in 0..2 {
            let request = handle.begin(false);
            handle.send(request, StatusCode::EARLY_HINTS, &fields).unwrap();
            assert_eq!(handle.send(request, StatusCode::EARLY_HINTS, &fields), Err(InformationalError::Full));
            handle.close();
            assert_eq!(handle.send(request, StatusCode::EARLY_HINTS, &fields), Err(InformationalError::TooLate));
        }
        assert!(handle.take_news().is_empty());
    }
}
