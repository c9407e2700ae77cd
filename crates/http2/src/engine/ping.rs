//! PING: whether the peer is still there, and how much a round trip brings.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use chaski_core::Deadline;
use h2::{Ping, PingPong};
use tokio::time::Instant;

/// What PINGs are for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PingConfig {
    /// After how much silence the peer is asked whether it is there; `None` never.
    pub(crate) interval: Option<Duration>,
    /// How long its answer may take.
    pub(crate) timeout: Duration,
    /// Whether it is asked while no stream is open.
    pub(crate) while_idle: bool,
    /// The window of a stream, and how far it may grow.
    pub(crate) window: u32,
    pub(crate) max_window: u32,
}

/// Sends PINGs and draws conclusions from their answers. h2 has one under way at a time.
#[derive(Debug)]
pub(crate) struct Pinger {
    config: PingConfig,
    pings: Option<PingPong>,
    sent: Option<Sent>,
    /// How much was read when something was last read, and when that was. Known for keep-alive only.
    heard: Option<(u64, Instant)>,
    tuner: Tuner,
    deadline: Deadline,
}

#[derive(Debug)]
struct Sent {
    at: Instant,
    /// How much was read then.
    read: u64,
}

/// What follows from an answer, or from its absence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PingEvent {
    /// The peer has not answered in time.
    Dead,
    /// The windows should be of this size: say so, and [`grown`](Pinger::grown) if it was done.
    Grow(u32),
}

impl Pinger {
    pub(crate) fn new(config: PingConfig) -> Self {
        let tuner = Tuner { window: config.window, max: config.max_window, mark: 0, shortest: None };
        Self { config, pings: None, sent: None, heard: None, tuner, deadline: Deadline::default() }
    }

    /// Goes on. `read` is how many bytes were read until now, `busy` whether a stream is open; `pings` gives h2's PINGs, once.
    /// Has the task woken when a PING is due, and when it has to write one.
    pub(crate) fn poll(
        &mut self,
        read: u64,
        busy: bool,
        pings: impl FnOnce() -> Option<PingPong>,
        cx: &mut Context<'_>,
    ) -> Poll<PingEvent> {
        if self.config.interval.is_none() && self.sent.is_none() && !self.tuner.wants_sample(read) {
            return Poll::Pending;
        }
        if self.pings.is_none() {
            self.pings = pings();
        }
        if let Some(event) = self.take_answer(read, cx) {
            return Poll::Ready(event);
        }
        if self.sent.is_none() && self.tuner.wants_sample(read) {
            self.send(read, cx);
        }
        self.keep_alive(read, busy, cx)
    }

    /// Leaves the windows as they are.
    pub(crate) fn pin(&mut self) {
        self.tuner.max = 0;
    }

    /// The windows have this size now.
    pub(crate) fn grown(&mut self, window: u32) {
        self.tuner.window = window;
    }

    fn take_answer(&mut self, read: u64, cx: &mut Context<'_>) -> Option<PingEvent> {
        let sent = self.sent.as_ref()?;
        let Poll::Ready(Ok(_)) = self.pings.as_mut()?.poll_pong(cx) else { return None };
        let (bytes, round_trip) = (read - sent.read, sent.at.elapsed());
        self.sent = None;
        self.tuner.mark = read;
        self.tuner.sample(bytes, round_trip).map(PingEvent::Grow)
    }

    fn send(&mut self, read: u64, cx: &Context<'_>) {
        let Some(pings) = &mut self.pings else { return };
        if pings.send_ping(Ping::opaque()).is_ok() {
            self.sent = Some(Sent { at: Instant::now(), read });
            // h2 may have been polled already, and has to write it.
            cx.waker().wake_by_ref();
        }
    }

    fn keep_alive(&mut self, read: u64, busy: bool, cx: &mut Context<'_>) -> Poll<PingEvent> {
        let Some(interval) = self.config.interval else { return Poll::Pending };
        let heard = match self.heard {
            Some((known, at)) if known == read => at,
            _ => self.heard.insert((read, Instant::now())).1,
        };
        let due = match &self.sent {
            // Whoever sends anything is there, even if its answer is stuck behind much else.
            Some(sent) => Some(sent.at.max(heard) + self.config.timeout),
            None if busy || self.config.while_idle => Some(heard + interval),
            None => None,
        };
        self.deadline.set(due);
        while self.deadline.poll(cx).is_ready() {
            if self.sent.is_some() {
                return Poll::Ready(PingEvent::Dead);
            }
            self.send(read, cx);
            let due = self.sent.as_ref().map(|sent| sent.at + self.config.timeout);
            self.deadline.set(due);
        }
        Poll::Pending
    }
}

/// Finds the window that a path can fill: what one round trip brings, if the window did not let it bring more.
///
/// A window that is larger than what the path holds does not bring more, it only fills the queues on the way, and what is
/// urgent then waits behind them. So it grows only while round trips do not.
#[derive(Debug)]
struct Tuner {
    window: u32,
    max: u32,
    /// How much was read at the end of the last sample.
    mark: u64,
    /// The shortest round trip that was seen.
    shortest: Option<Duration>,
}

impl Tuner {
    /// Round trips may be longer than twice the shortest by this much: machines are busy at times.
    const SLACK: Duration = Duration::from_millis(10);

    /// Whether enough has come since the last sample that the window may have been what bounded it.
    fn wants_sample(&self, read: u64) -> bool {
        self.window < self.max && read - self.mark >= u64::from(self.window / 2)
    }

    /// The next window, after a round trip that brought so many bytes.
    fn sample(&mut self, bytes: u64, round_trip: Duration) -> Option<u32> {
        let shortest = self.shortest.map_or(round_trip, |shortest| shortest.min(round_trip));
        self.shortest = Some(shortest);
        let filled = bytes >= u64::from(self.window) / 3 * 2;
        let queued = round_trip > shortest * 2 + Self::SLACK;
        (self.window < self.max && filled && !queued).then(|| self.window.saturating_mul(2).min(self.max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_window_grows_while_it_is_filled_and_round_trips_stay_short() {
        let mut tuner = Tuner { window: 300_000, max: 1_000_000, mark: 0, shortest: None };
        assert!(!tuner.wants_sample(149_999));
        assert!(tuner.wants_sample(150_000));
        assert_eq!(tuner.sample(199_999, ms(100)), None, "not filled");
        assert_eq!(tuner.sample(200_000, ms(100)), Some(600_000));
        tuner.window = 600_000;
        assert_eq!(tuner.sample(600_000, ms(211)), None, "queued");
        assert_eq!(tuner.sample(600_000, ms(210)), Some(1_000_000));
        tuner.window = 1_000_000;
        assert!(!tuner.wants_sample(10_000_000));
        assert_eq!(tuner.sample(1_000_000, ms(100)), None, "at its limit");
    }
}
