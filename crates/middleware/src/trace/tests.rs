use std::{
    convert::Infallible,
    io::{self, Write},
    sync::{Arc, Mutex},
    time::Duration,
};

use chaski_core::{
    describe, service_fn, stack,
    test_util::{assert_describes_child, mock},
};
use tokio::time::{sleep, timeout};
use tracing::subscriber::DefaultGuard;

use super::*;
use crate::{CatchPanicLayer, Shed, TimeoutLayer};

/// What a subscriber writes, without times.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn capture(level: Level) -> (Self, DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(level)
            .without_time()
            .with_target(false)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| line.trim_start().to_owned()).collect()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the look-up failed")]
struct Failed(#[source] io::Error);

fn failed() -> Failed {
    Failed(io::Error::other("no route"))
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_call_is_told_with_its_duration_and_outcome() {
    let (log, _guard) = Log::capture(Level::INFO);
    let (inner, mut handle) = mock::<u8, u8, Failed>();
    let service = stack(TraceLayer::new("lookup").with_fields(|n: &u8| format!("n={n}")), inner);
    let (ok, err, ()) = tokio::join!(service.serve(1), service.serve(2), async {
        let (first, second) = (handle.next().await, handle.next().await);
        sleep(Duration::from_millis(1500)).await;
        first.respond(Ok(10));
        second.respond(Err(failed()));
    });
    assert_eq!(ok.unwrap(), 10);
    assert_eq!(err.unwrap_err().to_string(), "the look-up failed");
    assert_eq!(
        log.lines(),
        [
            r#"INFO call{name="lookup" input=n=1 outcome="ok" duration_ms=1500.0}: the call has ended"#,
            r#"INFO call{name="lookup" input=n=2 outcome="error" duration_ms=1500.0}: the call has ended error=the look-up failed: no route"#,
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_is_told_as_cancelled() {
    let (log, _guard) = Log::capture(Level::DEBUG);
    let (inner, mut handle) = mock::<u8, u8, Failed>();
    let service = stack(TraceLayer::new("lookup").with_level(Level::DEBUG), inner);
    let (cancelled, ()) = tokio::join!(timeout(Duration::from_secs(2), service.serve(1)), async {
        handle.next().await.cancelled().await;
    });
    assert!(cancelled.is_err());
    assert_eq!(
        log.lines(),
        [r#"DEBUG call{name="lookup" outcome="cancelled" duration_ms=2000.0}: the call has ended"#]
    );
    // A call that was never polled has not begun.
    drop(service.serve(2));
    assert_eq!(log.lines().len(), 1);
}

/// Nobody gave it up: whoever reads `cancelled` would look for a client that went away.
#[tokio::test(start_paused = true)]
async fn a_call_that_panics_is_not_told_as_cancelled() {
    let (log, _guard) = Log::capture(Level::INFO);
    let inner = service_fn(async |n: u8| if n == 1 { panic!("one") } else { Ok::<_, Infallible>(n) });
    let service = stack((CatchPanicLayer::new(), TraceLayer::new("count")), inner);
    assert!(service.serve(1).await.is_err());
    let lines = log.lines();
    let told = r#"INFO call{name="count" outcome="panic" duration_ms=0.0}: the call has ended"#;
    assert!(lines.iter().any(|line| line == told), "{lines:?}");
}

/// The span is entered for each poll, and left between them.
#[tokio::test(start_paused = true)]
async fn what_is_emitted_inside_stands_in_the_span_and_what_is_emitted_meanwhile_does_not() {
    let (log, _guard) = Log::capture(Level::INFO);
    async fn inner(n: u8) -> Result<u8, Infallible> {
        tracing::info!("before");
        sleep(Duration::from_millis(2)).await;
        tracing::info!("after");
        Ok(n)
    }
    let service = stack(TraceLayer::new("outer"), stack(TraceLayer::new("inner"), service_fn(inner)));
    let (_, ()) = tokio::join!(service.serve(1), async {
        sleep(Duration::from_millis(1)).await;
        tracing::info!("meanwhile");
    });
    assert_eq!(
        log.lines(),
        [
            r#"INFO call{name="outer"}:call{name="inner"}: before"#,
            "INFO meanwhile",
            r#"INFO call{name="outer"}:call{name="inner"}: after"#,
            r#"INFO call{name="outer"}:call{name="inner" outcome="ok" duration_ms=2.0}: the call has ended"#,
            r#"INFO call{name="outer" outcome="ok" duration_ms=2.0}: the call has ended"#,
        ]
    );
}

/// Panics when it is formatted.
#[derive(Debug)]
struct Unprintable;

impl Display for Unprintable {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("it was formatted")
    }
}

impl Error for Unprintable {}

#[tokio::test]
async fn nothing_is_formatted_while_the_level_is_off() {
    let told = |_: &u8| -> Unprintable { panic!("the function was called") };
    let inner = service_fn(async |n: u8| if n == 0 { Err(Unprintable) } else { Ok(n) });
    let service = stack(TraceLayer::new("lookup").with_fields(told), inner);
    for level in [None, Some(Level::WARN)] {
        let captured = level.map(Log::capture);
        assert!(service.serve(1).await.is_ok() && service.serve(0).await.is_err());
        assert!(captured.is_none_or(|(log, _guard)| log.lines().is_empty()));
    }
}

/// Any kind of error, without a word on which.
#[tokio::test]
async fn errors_of_every_kind_are_told_with_their_causes() {
    let (log, _guard) = Log::capture(Level::INFO);
    let boxed = service_fn(async |_: u8| Err::<u8, BoxError>(failed().into()));
    let layer = TimeoutLayer::new(Duration::from_secs(1));
    assert!(stack(TraceLayer::new("boxed"), boxed).serve(1).await.is_err());
    assert!(stack((TraceLayer::new("layered"), layer), boxed).serve(1).await.is_err());
    let shed =
        service_fn(async |_: u8| Err::<u8, LayerError<Shed, LayerError<Shed, BoxError>>>(LayerError::Layer(Shed)));
    assert!(stack((TraceLayer::new("shed"), layer), shed).serve(1).await.is_err());
    let errors: Vec<String> = log.lines().iter().map(|line| line.split(" error=").nth(1).unwrap().to_owned()).collect();
    assert_eq!(errors, ["the look-up failed: no route", "the look-up failed: no route", "too many calls at once"]);
}

#[test]
fn it_shows_its_name_and_what_it_wraps() {
    let tree = describe::<u8, _>(&stack(TraceLayer::new("lookup"), mock::<u8, u8, Failed>().0));
    assert!(tree.to_string().starts_with("Trace name=lookup\n"), "{tree}");
    assert_describes_child(&tree, "MockService");
}
