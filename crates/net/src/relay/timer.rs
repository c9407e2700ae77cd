//! One alarm for a deadline that moves with every byte.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use tokio::time::{Instant, Sleep, sleep_until};

/// A timer that is touched when it fires, when the deadline comes nearer, or when the task's waker has changed; a deadline
/// that moves away costs a comparison.
#[derive(Debug, Default)]
pub(super) struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
    /// Who is woken when it fires.
    waker: Option<Waker>,
}

impl Timer {
    /// Ready when `deadline` has passed; else the task is woken then, or earlier to look again.
    pub(super) fn poll_until(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if deadline < sleep.deadline() {
            sleep.as_mut().reset(deadline);
            self.waker = None;
        }
        let known = self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
        if known && !sleep.is_elapsed() {
            return Poll::Pending;
        }
        loop {
            // Outside of the task's budget: when that is spent a `Sleep` is pending without having noted the waker.
            if Pin::new(&mut tokio::task::unconstrained(sleep.as_mut())).poll(cx).is_pending() {
                self.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
            self.waker = None;
            if sleep.deadline() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

    use super::*;

    fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    async fn poll_once(timer: &mut Timer, deadline: Instant) -> Poll<()> {
        std::future::poll_fn(|cx| Poll::Ready(timer.poll_until(cx, deadline))).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_moves_away_leaves_the_runtime_alone() {
        let (mut timer, start) = (Timer::default(), Instant::now());
        for n in 10..20 {
            assert!(poll_once(&mut timer, start + secs(n)).await.is_pending());
            assert_eq!(timer.sleep.as_ref().unwrap().deadline(), start + secs(10));
        }
        advance(secs(10)).await;
        assert!(poll_once(&mut timer, start + secs(20)).await.is_pending());
        assert_eq!(timer.sleep.as_ref().unwrap().deadline(), start + secs(20), "it fired, and was set anew");
        advance(secs(10)).await;
        assert!(poll_once(&mut timer, start + secs(20)).await.is_ready());
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_comes_nearer_is_kept() {
        let (mut timer, start) = (Timer::default(), Instant::now());
        assert!(poll_once(&mut timer, start + secs(100)).await.is_pending());
        std::future::poll_fn(|cx| timer.poll_until(cx, start + secs(3))).await;
        assert_eq!(start.elapsed(), secs(3));
    }

    /// A future that moves between tasks is woken in the one that polled it last.
    #[tokio::test(start_paused = true)]
    async fn a_timer_follows_its_task() {
        let (mut timer, start) = (Timer::default(), Instant::now());
        assert!(poll_once(&mut timer, start + secs(5)).await.is_pending());
        let wait = async move { std::future::poll_fn(|cx| timer.poll_until(cx, start + secs(5))).await };
        tokio::spawn(wait).await.unwrap();
        assert_eq!(start.elapsed(), secs(5));
    }

    /// A task that has spent its budget still gets its alarm.
    #[tokio::test(start_paused = true)]
    async fn a_timer_is_set_without_budget() {
        let (mut timer, start) = (Timer::default(), Instant::now());
        tokio::spawn(async move {
            std::future::poll_fn(|cx| {
                while tokio::task::coop::has_budget_remaining() {
                    let _ = std::pin::pin!(tokio::task::coop::consume_budget()).poll(cx);
                }
                timer.poll_until(cx, start + secs(5))
            })
            .await;
        })
        .await
        .unwrap();
        assert_eq!(start.elapsed(), secs(5));
    }
}
