use std::{
    cell::Cell,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// The value of a `Date` field (RFC 9110 section 5.6.7), made once a second for each thread.
#[derive(Clone, Copy)]
pub(crate) struct Date {
    until: Instant,
    text: [u8; 29],
}

thread_local! {
    static DATE: Cell<Option<Date>> = const { Cell::new(None) };
}

impl Date {
    /// The date, given a recent reading of the clock.
    #[inline]
    pub(crate) fn at(now: Instant) -> Self {
        match DATE.get() {
            Some(date) if now < date.until => date,
            _ => Self::renew(),
        }
    }

    pub(crate) const fn text(&self) -> &[u8; 29] {
        &self.text
    }

    #[cold]
    fn renew() -> Self {
        let now = SystemTime::now();
        let into_second = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
        let left = Duration::from_secs(1).saturating_sub(Duration::from_nanos(into_second.into()));
        let mut text = *b"Thu, 01 Jan 1970 00:00:00 GMT";
        let formatted = httpdate::fmt_http_date(now);
        if formatted.len() == text.len() {
            text.copy_from_slice(formatted.as_bytes());
        }
        let date = Self { until: Instant::now() + left, text };
        DATE.set(Some(date));
        date
    }
}
