use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use tokio::{
    task::unconstrained,
    time::{Instant, Sleep, sleep_until},
};

/// One deadline for a connection, which its engine moves with every message. It is re-armed lazily: moving it later is a store, and
/// the runtime's timer is touched only when it fires, when the deadline moves to an earlier moment, or when the task's waker changed.
///
/// ```
/// use chaski_core::Deadline;
/// use std::{future::poll_fn, time::Duration};
/// use tokio::time::Instant;
///
/// # async fn example() {
/// let mut deadline = Deadline::default();
/// deadline.set(Some(Instant::now() + Duration::from_millis(5)));
/// poll_fn(|cx| deadline.poll(cx)).await;
/// # }
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(example());
/// ```
///
/// # Panics
///
/// When it is polled with a deadline outside of a tokio runtime with time enabled.
#[derive(Debug, Default)]
pub struct Deadline {
    at: Option<Instant>,
    timer: Option<Timer>,
}

#[derive(Debug)]
struct Timer {
    sleep: Pin<Box<Sleep>>,
    /// When it fires: at or before the deadline.
    fires: Instant,
    waker: Waker,
}

impl Deadline {
    /// Sets the deadline; `None` clears it.
    #[inline]
    pub fn set(&mut self, at: Option<Instant>) {
        self.at = at;
    }

    /// Clears the deadline. The timer may fire once more, for nothing.
    #[inline]
    pub fn clear(&mut self) {
        self.at = None;
    }

    /// Whether there is one.
    #[inline]
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.at.is_some()
    }

    /// Whether the deadline has passed; else the task is woken when it does. The clock is read only if there is a deadline.
    #[inline]
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_set() { self.poll_at(cx, Instant::now()) } else { Poll::Pending }
    }

    /// As [`poll`](Self::poll), for those who have read the clock: `now` is at least as new as the last wake-up of the task.
    #[inline]
    pub fn poll_at(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<()> {
        let Some(at) = self.at else { return Poll::Pending };
        if now >= at {
            return Poll::Ready(());
        }
        match &mut self.timer {
            Some(timer) if now < timer.fires && timer.fires <= at && timer.waker.will_wake(cx.waker()) => Poll::Pending,
            _ => self.arm(at, cx),
        }
    }

    #[cold]
    fn arm(&mut self, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let timer = match &mut self.timer {
            Some(timer) => {
                timer.sleep.as_mut().reset(at);
                timer.fires = at;
                timer.waker.clone_from(cx.waker());
                timer
            }
            None => {
                let timer = Timer { sleep: Box::pin(sleep_until(at)), fires: at, waker: cx.waker().clone() };
                self.timer.insert(timer)
            }
        };
        // Outside of the task's budget: when that is spent, a `Sleep` is pending without having noted the waker, and would
        // not be asked again.
        Pin::new(&mut unconstrained(timer.sleep.as_mut())).poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, pin::pin, time::Duration};

    use tokio::task::coop::{consume_budget, has_budget_remaining};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_moves_later_fires_at_its_last_moment() {
        let start = Instant::now();
        let mut deadline = Deadline::default();
        deadline.set(Some(start + Duration::from_secs(1)));
        assert!(poll_fn(|cx| Poll::Ready(deadline.poll(cx))).await.is_pending());
        deadline.set(Some(start + Duration::from_secs(5)));
        poll_fn(|cx| deadline.poll(cx)).await;
        assert_eq!(start.elapsed().as_secs(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_moves_earlier_fires_then() {
        let start = Instant::now();
        let mut deadline = Deadline::default();
        deadline.set(Some(start + Duration::from_secs(60)));
        assert!(poll_fn(|cx| Poll::Ready(deadline.poll(cx))).await.is_pending());
        deadline.set(Some(start + Duration::from_secs(2)));
        poll_fn(|cx| deadline.poll(cx)).await;
        assert_eq!(start.elapsed().as_secs(), 2);
    }

    /// A body that came fast before its client fell silent: the reads have spent the task's budget.
    #[tokio::test(start_paused = true)]
    async fn a_deadline_is_kept_by_a_task_without_budget() {
        let start = Instant::now();
        let kept = tokio::spawn(async move {
            let mut deadline = Deadline::default();
            deadline.set(Some(start + Duration::from_secs(4)));
            poll_fn(|cx| {
                while has_budget_remaining() {
                    let _ = pin!(consume_budget()).poll(cx);
                }
                deadline.poll(cx)
            })
            .await;
        });
        // Only a guard against hanging.
        tokio::time::timeout(Duration::from_secs(60), kept).await.expect("it never fires").unwrap();
        assert_eq!(start.elapsed().as_secs(), 4);
    }
}
