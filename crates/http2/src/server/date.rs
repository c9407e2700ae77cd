use std::{
    cell::RefCell,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use http::HeaderValue;

struct Date {
    until: Instant,
    value: HeaderValue,
}

thread_local! {
    static DATE: RefCell<Option<Date>> = const { RefCell::new(None) };
}

/// The value of a `Date` field (RFC 9110 section 5.6.7), made once a second for each thread.
#[inline]
pub(super) fn date() -> HeaderValue {
    let now = Instant::now();
    let known = DATE.try_with(|date| {
        let mut date = date.borrow_mut();
        match &mut *date {
            Some(date) if now < date.until => date.value.clone(),
            date => date.insert(renew(now)).value.clone(),
        }
    });
    // A thread that is ending has no cache any more.
    known.unwrap_or_else(|_| renew(now).value)
}

#[cold]
fn renew(now: Instant) -> Date {
    let time = SystemTime::now();
    let into_second = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
    let left = Duration::from_secs(1).saturating_sub(Duration::from_nanos(into_second.into()));
    // Always text of 29 visible characters and spaces.
    let value = HeaderValue::try_from(httpdate::fmt_http_date(time));
    let value = value.unwrap_or(HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 GMT"));
    Date { until: now + left, value }
}
