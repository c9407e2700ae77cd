//! The service stands where a layer belongs.

use std::{convert::Infallible, time::Duration};

use chaski::{check, middleware::TimeoutLayer, service_fn, stack};

fn main() {
    let echo = service_fn(async |n: u32| Ok::<_, Infallible>(n));
    let _ = check::<u32, _>(stack(echo, TimeoutLayer::new(Duration::from_secs(1))));
}
