//! What is not `Send` lives across an await.

use std::{convert::Infallible, rc::Rc};

use chaski::{check, service_fn};

fn main() {
    let count = service_fn(async |n: u32| {
        let shared = Rc::new(n);
        tokio::task::yield_now().await;
        Ok::<_, Infallible>(*shared)
    });
    let _ = check::<u32, _>(count);
}
