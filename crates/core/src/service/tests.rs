use std::convert::Infallible;

use super::*;
use crate::describe;

#[tokio::test]
async fn combinators_change_inputs_outputs_and_errors() {
    let parse = service_fn(async |text: &'static str| text.parse::<u8>())
        .map_input(|n: u8| if n == 0 { "x" } else { "41" })
        .map_output(u32::from)
        .map_err(|error: std::num::ParseIntError| error.to_string());
    let next = parse.then(service_fn(async |n: u32| Ok::<_, String>(n + 1)));
    assert_eq!(next.serve(1).await, Ok(42));
    assert_eq!(next.serve(0).await, Err("invalid digit found in string".to_owned()));
}

#[tokio::test]
async fn a_branch_takes_one_side_and_an_either_is_fixed() {
    let leaf = |name: &'static str| service_fn(move |_: u8| async move { Ok::<_, Infallible>(name) });
    let branch = branch(|n: &u8| *n > 9, leaf("big"), leaf("small"));
    assert_eq!(branch.serve(10).await.unwrap(), "big");
    assert_eq!(branch.serve(9).await.unwrap(), "small");
    let mut either = Either::Left(leaf("left"));
    assert_eq!(either.serve(0).await.unwrap(), "left");
    either = Either::Right(leaf("right"));
    assert_eq!(either.serve(0).await.unwrap(), "right");
}

#[tokio::test]
async fn a_boxed_service_is_cheap_to_clone_and_describes_what_is_within() {
    let boxed = service_fn(async |n: u8| Ok::<_, Infallible>(n)).map_output(|n| n + 1).boxed::<u8>();
    assert_eq!(boxed.clone().serve(1).await.unwrap(), 2);
    assert!(boxed.describe().to_string().starts_with("map_output\n└─ service_fn"));
}

#[tokio::test]
async fn state_reaches_the_function_with_every_call() {
    let counter = Arc::new(std::sync::atomic::AtomicU32::new(40));
    let count = service_fn_with(counter, async |counter: Arc<std::sync::atomic::AtomicU32>, step: u32| {
        Ok::<_, Infallible>(counter.fetch_add(step, std::sync::atomic::Ordering::Relaxed) + step)
    });
    assert_eq!(count.serve(1).await.unwrap(), 41);
    assert_eq!(count.serve(1).await.unwrap(), 42);
}

#[test]
fn a_dropped_future_cancels_the_work() {
    struct OnDrop(Arc<std::sync::atomic::AtomicBool>);
    impl Drop for OnDrop {
        fn drop(&mut self) {
            self.0.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    }
    let dropped = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let service = service_fn_with(Arc::clone(&dropped), async |dropped, (): ()| {
        let _on_drop = OnDrop(dropped);
        std::future::pending::<Result<(), Infallible>>().await
    });
    let mut future = Box::pin(service.serve(()));
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(future.as_mut().poll(&mut cx).is_pending());
    assert!(!dropped.load(std::sync::atomic::Ordering::Relaxed));
    drop(future);
    assert!(dropped.load(std::sync::atomic::Ordering::Relaxed));
}

#[test]
fn a_function_is_described_without_its_parameters() {
    async fn same<T>(value: T) -> Result<T, Infallible> {
        Ok(value)
    }
    let service = service_fn(same::<Vec<Option<u8>>>).map_result(|result| result);
    assert_eq!(describe::<Vec<Option<u8>>, _>(&service).to_string(), "map_result\n└─ service_fn(same)\n");
}
