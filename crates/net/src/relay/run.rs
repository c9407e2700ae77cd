//! One relay on its way: two directions, the limits, and what comes of them.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use chaski_core::{Bridge, Conn, Io};
use tokio::time::Instant;

use super::{
    RelayConfig, RelayCounters, RelayOutcome, RelayReport, RelaySide, RelayStep,
    buffer::Size,
    direction::{Direction, Failure},
    timer::Timer,
};

pub(super) struct Run<'a, A, B> {
    a: A,
    b: B,
    a_to_b: Direction,
    b_to_a: Direction,
    config: &'a RelayConfig,
    counters: Option<RelayCounters>,
    started: Instant,
    /// When something happened last.
    moved: Instant,
    first_byte: Option<Duration>,
    timer: Timer,
}

impl<'a, A: Io, B: Io> Run<'a, A, B> {
    pub(super) fn new(Bridge { a, b }: Bridge<A, B>, config: &'a RelayConfig) -> Self {
        let Conn { io: a, ext } = a;
        let max_buffer = Size::at_most(config.max_buffer);
        let now = Instant::now();
        Self {
            counters: ext.get::<RelayCounters>().cloned(),
            a,
            b: b.io,
            a_to_b: Direction::new(max_buffer, config.splice),
            b_to_a: Direction::new(max_buffer, config.splice),
            config,
            started: now,
            moved: now,
            first_byte: None,
            timer: Timer::default(),
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<RelayReport> {
        self.poll_directions(cx);
        if self.a_to_b.is_ended() && self.b_to_a.is_ended() {
            return Poll::Ready(self.report(self.failure().unwrap_or(RelayOutcome::Complete)));
        }
        let Some((deadline, outcome)) = self.deadline() else { return Poll::Pending };
        if self.timer.poll_until(cx, deadline).is_pending() {
            return Poll::Pending;
        }
        // A relay that fails and then lingers is reported with what went wrong first.
        Poll::Ready(self.report(self.failure().unwrap_or(outcome)))
    }

    fn poll_directions(&mut self, cx: &mut Context<'_>) {
        let before = (self.a_to_b.written, self.b_to_a.written);

        let mut progress = self.a_to_b.poll(cx, &mut self.a, &mut self.b);
        if self.a_to_b.reader_is_gone() {
            self.b_to_a.abandon();
        }
        progress |= self.b_to_a.poll(cx, &mut self.b, &mut self.a);
        if self.b_to_a.reader_is_gone() {
            self.a_to_b.abandon();
        }

        if progress {
            // One reading of the clock for all that this poll has moved.
            self.moved = Instant::now();
            if self.first_byte.is_none() && self.b_to_a.has_read {
                self.first_byte = Some(self.moved - self.started);
            }
            if let Some(counters) = &self.counters {
                counters.add(self.a_to_b.written - before.0, self.b_to_a.written - before.1);
            }
        }
    }

    /// The deadline that comes first, and what it means that it passes.
    fn deadline(&self) -> Option<(Instant, RelayOutcome)> {
        let RelayConfig { first_byte, idle, drain, shutdown, .. } = *self.config;
        // A limit too large for the clock is none.
        let at = |from: Instant, limit: Option<Duration>| limit.and_then(|limit| from.checked_add(limit));

        let waits_for_first_byte = !self.b_to_a.has_read && self.b_to_a.is_copying();
        let first_byte = at(self.started, first_byte.filter(|_| waits_for_first_byte));
        let idle = at(self.moved, idle);
        let one_ended = !(self.a_to_b.is_copying() && self.b_to_a.is_copying());
        let drain = at(self.moved, drain.filter(|_| one_ended));
        let (shutdown, side) = self.closing().map_or((None, RelaySide::A), |(since, side)| (at(since, shutdown), side));

        [
            (first_byte, RelayOutcome::FirstByteTimeout),
            (shutdown, RelayOutcome::ShutdownTimeout { side }),
            (drain, RelayOutcome::DrainTimeout),
            (idle, RelayOutcome::IdleTimeout),
        ]
        .into_iter()
        .filter_map(|(at, outcome)| Some((at?, outcome)))
        .min_by_key(|(at, _)| *at)
    }

    /// When nothing but shutting down is left: since when, and whose half it is, the later one of two.
    fn closing(&self) -> Option<(Instant, RelaySide)> {
        let b = self.a_to_b.closing_since().map(|since| (since, RelaySide::B));
        let a = self.b_to_a.closing_since().map(|since| (since, RelaySide::A));
        match (b, a) {
            (Some(b), Some(a)) => Some(if a.0 > b.0 { a } else { b }),
            (Some(one), None) if self.b_to_a.is_ended() => Some(one),
            (None, Some(one)) if self.a_to_b.is_ended() => Some(one),
            _ => None,
        }
    }

    /// What went wrong first, if anything did.
    fn failure(&self) -> Option<RelayOutcome> {
        [
            (&self.a_to_b, &self.b_to_a, RelaySide::A, RelaySide::B),
            (&self.b_to_a, &self.a_to_b, RelaySide::B, RelaySide::A),
        ]
        .into_iter()
        .filter_map(|(direction, opposite, from, to)| {
            let Failure { during, kind, at } = **direction.failure.as_ref()?;
            // A peer that ended its own stream has often gone by the time it would be told that the other one ended too.
            if during == RelayStep::Shutdown && opposite.saw_end {
                return None;
            }
            let side = if during == RelayStep::Read { from } else { to };
            Some((at, RelayOutcome::Failed { side, during, kind }))
        })
        .min_by_key(|(at, _)| *at)
        .map(|(_, outcome)| outcome)
    }

    fn report(&self, outcome: RelayOutcome) -> RelayReport {
        RelayReport {
            a_to_b: self.a_to_b.written,
            b_to_a: self.b_to_a.written,
            spliced: self.spliced(),
            outcome,
            elapsed: self.started.elapsed(),
            first_byte: self.first_byte,
        }
    }

    /// Of all that was written, what was not copied.
    pub(super) const fn spliced(&self) -> u64 {
        self.a_to_b.spliced() + self.b_to_a.spliced()
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.a_to_b.held() + self.b_to_a.held()
    }

    #[cfg(test)]
    pub(super) fn pipes(&self) -> usize {
        [&self.a_to_b, &self.b_to_a].iter().filter(|direction| direction.holds_a_pipe()).count()
    }
}
