use std::time::Duration;

use tokio::time::Instant;

/// How often a client may do what costs more than it is worth: so many times in a period, those not counted that were made
/// up for meanwhile. The clock is read only when that is reached, and when the first is spent.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    spent: u32,
    since: Option<Instant>,
}

impl Budget {
    /// The period: 10 seconds.
    pub(crate) const PERIOD: Duration = Duration::from_secs(10);

    /// Spends one of `max`; whether it was there.
    pub(crate) fn spend(&mut self, max: u32) -> bool {
        if self.spent < max {
            if self.spent == 0 {
                self.since = Some(Instant::now());
            }
            self.spent += 1;
            return true;
        }
        let now = Instant::now();
        let renewed = self.since.is_none_or(|since| now - since >= Self::PERIOD) && max > 0;
        if renewed {
            (self.spent, self.since) = (1, Some(now));
        }
        renewed
    }

    /// Makes up for one.
    pub(crate) fn earn(&mut self) {
        self.spent = self.spent.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn so_many_in_a_period_and_those_that_are_made_up_for() {
        let mut budget = Budget::default();
        assert!((0..3).all(|_| budget.spend(3)));
        assert!(!budget.spend(3));
        budget.earn();
        assert!(budget.spend(3));
        assert!(!budget.spend(3));
        tokio::time::advance(Budget::PERIOD).await;
        assert!((0..3).all(|_| budget.spend(3)));
        assert!(!budget.spend(3));
        assert!(!Budget::default().spend(0));
    }
}
