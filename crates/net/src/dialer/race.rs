//! Attempts that overtake each other: RFC 8305 section 5.

use std::{
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

use chaski_core::{AddressPolicy, BoxError, Candidate, Domain, Elapsed, Service};
use tokio::time::{Instant, Sleep, sleep, timeout};

use super::{DialAttempt, DialOutcome};
use crate::DialAddr;

/// What a race is run with.
pub(super) struct Race<'a, T> {
    pub(super) transport: &'a T,
    pub(super) policy: &'a dyn AddressPolicy,
    pub(super) domain: Option<&'a Domain>,
    pub(super) local: Option<IpAddr>,
    pub(super) stagger: Duration,
    pub(super) connect_timeout: Duration,
}

/// How it ended.
pub(super) struct Finish<C> {
    pub(super) won: Option<C>,
    /// In the order in which the attempts began.
    pub(super) tried: Vec<Tried>,
    pub(super) deadline_passed: bool,
}

/// One attempt, under way or over.
pub(super) struct Tried {
    pub(super) addr: SocketAddr,
    pub(super) outcome: DialOutcome,
    /// Why it failed; `None` when it won or was abandoned.
    pub(super) error: Option<BoxError>,
    began: Instant,
    ended: Option<Instant>,
}

/// What a race waits for.
enum Event<C> {
    /// The attempt at this place among those under way is over.
    Over(usize, Result<C, Failure>),
    /// The stagger has passed.
    StartNext,
    /// The limit of the whole dial has passed.
    Deadline,
}

/// Why an attempt failed.
enum Failure {
    Io(io::Error),
    Elapsed(Elapsed),
}

impl<T: Service<DialAddr, Error = io::Error>> Race<'_, T> {
    /// Tries `addrs` in order until one is connected, none is left, or the deadline passes. Attempts under way then are
    /// dropped.
    pub(super) async fn run(&self, addrs: Vec<SocketAddr>, mut deadline: Pin<&mut Sleep>) -> Finish<T::Output> {
        let mut waiting = addrs.into_iter();
        let mut tried = Vec::with_capacity(waiting.len());
        let mut under_way = Vec::new();
        let mut stagger = pin!(sleep(self.stagger));
        let mut start_next = true;
        loop {
            while start_next && let Some(addr) = waiting.next() {
                // Asked now, not when the name was resolved: the policy may count, or change.
                if let Err(refused) = self.policy.check(&Candidate::new(self.domain, addr)) {
                    tried.push(Tried::refused(addr, refused.into()));
                    continue;
                }
                under_way.push((tried.len(), Box::pin(self.attempt(addr))));
                tried.push(Tried::begun(addr));
                stagger.set(sleep(self.stagger));
                start_next = false;
            }
            if under_way.is_empty() {
                return Finish { won: None, tried, deadline_passed: false };
            }

            let more = waiting.len() > 0;
            let event = std::future::poll_fn(|cx| {
                for (place, (_, attempt)) in under_way.iter_mut().enumerate() {
                    if let Poll::Ready(result) = attempt.as_mut().poll(cx) {
                        return Poll::Ready(Event::Over(place, result));
                    }
                }
                if more && stagger.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Event::StartNext);
                }
                deadline.as_mut().poll(cx).map(|()| Event::Deadline)
            });
            match event.await {
                Event::Over(place, result) => {
                    let (index, _) = under_way.remove(place);
                    match result {
                        Ok(conn) => {
                            tried[index].end(DialOutcome::Connected, None);
                            return Finish { won: Some(conn), tried, deadline_passed: false };
                        }
                        Err(Failure::Io(error)) => {
                            tried[index].end(DialOutcome::Failed(error.kind()), Some(error.into()));
                        }
                        Err(Failure::Elapsed(elapsed)) => tried[index].end(DialOutcome::TimedOut, Some(elapsed.into())),
                    }
                    // RFC 8305 section 5: a failure starts the next attempt at once.
                    start_next = true;
                }
                Event::StartNext => start_next = true,
                Event::Deadline => return Finish { won: None, tried, deadline_passed: true },
            }
        }
    }

    async fn attempt(&self, addr: SocketAddr) -> Result<T::Output, Failure> {
        let connect = self.transport.serve(DialAddr::new(addr).with_local(self.local));
        match timeout(self.connect_timeout, connect).await {
            Ok(result) => result.map_err(Failure::Io),
            Err(_) => Err(Failure::Elapsed(Elapsed { what: "connecting", limit: self.connect_timeout })),
        }
    }
}

impl<C> Finish<C> {
    /// The attempts as a fact, their times counted from `dial_began`.
    pub(super) fn report(&self, dial_began: Instant) -> Vec<DialAttempt> {
        let now = Instant::now();
        let attempt = |tried: &Tried| DialAttempt {
            addr: tried.addr,
            began: tried.began - dial_began,
            elapsed: tried.ended.unwrap_or(now) - tried.began,
            outcome: tried.outcome,
        };
        self.tried.iter().map(attempt).collect()
    }
}

impl Tried {
    /// Abandoned, unless something else comes of it.
    fn begun(addr: SocketAddr) -> Self {
        Self { addr, outcome: DialOutcome::Abandoned, error: None, began: Instant::now(), ended: None }
    }

    fn refused(addr: SocketAddr, error: BoxError) -> Self {
        let mut tried = Self::begun(addr);
        tried.end(DialOutcome::Refused, Some(error));
        tried
    }

    fn end(&mut self, outcome: DialOutcome, error: Option<BoxError>) {
        self.outcome = outcome;
        self.error = error;
        self.ended = Some(Instant::now());
    }
}
