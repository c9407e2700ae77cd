//! A layer that was never put around a service.

use std::time::Duration;

use chaski::{check, middleware::TimeoutLayer};

fn main() {
    let _ = check::<u32, _>(TimeoutLayer::new(Duration::from_secs(1)));
}
