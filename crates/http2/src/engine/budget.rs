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

    /// Spends so many of `max`; whether they were there.
    pub(crate) fn spend(&mut self, count: u32, max: u32) -> bool {
        if count == 0 {
            return true;
        }
        if self.spent == 0 {
            self.since = Some(Instant::now());
        }
        let spent = self.spent.saturating_add(count);
        if spent <= max {
            self.spent = spent;
            return true;
        }
        let now = Instant::now();
        let renewed = count <= max && self.since.is_none_or(|since| now - since >= Self::PERIOD);
        if renewed {
            (self.spent, self.since) = (count, Some(now));
        }
        renewed
    }

    /// Makes up for so many.
    pub(crate) fn earn(&mut self, count: u32) {
        self.spent = self.spent.saturating_sub(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn so_many_in_a_period_and_those_that_are_made_up_for() {
        let mut budget = Budget::default();
        assert!((0..3).all(|_| budget.spend(1, 3)));
        assert!(!budget.spend(1, 3));
        budget.earn(2);
        assert!(budget.spend(2, 3));
        assert!(!budget.spend(1, 3));
        tokio::time::advance(Budget::PERIOD).await;
        assert!(budget.spend(3, 3));
        assert!(!budget.spend(1, 3));
        assert!(!Budget::default().spend(4, 3));
    }
}
