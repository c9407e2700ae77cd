//! A service that the test answers for.

use std::fmt;

use tokio::sync::{mpsc, oneshot};

use crate::Service;

/// A service whose calls wait until the test answers them through the handle.
///
/// ```
/// use chaski_core::{Service, ServiceExt, test_util::mock};
///
/// # async fn example() {
/// let (service, mut handle) = mock::<&str, usize, String>();
/// let doubled = service.map_output(|n| n * 2);
///
/// let (answer, ()) = tokio::join!(doubled.serve("hello"), async {
///     let call = handle.next().await;
///     assert_eq!(call.input, "hello");
///     call.respond(Ok(5));
/// });
/// assert_eq!(answer, Ok(10));
/// assert!(handle.try_next().is_none(), "there was one call");
/// # }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(example());
/// ```
#[must_use]
pub fn mock<Input, Output, Error>() -> (MockService<Input, Output, Error>, MockHandle<Input, Output, Error>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (MockService { calls: sender }, MockHandle { calls: receiver })
}

/// Made by [`mock`]. A clone is the same service.
///
/// # Panics
///
/// `serve` panics when nobody can answer: the [`MockHandle`] or the [`Call`] was dropped.
///
/// # Cancel safety
///
/// Dropping the future of a call shows as [`Call::is_cancelled`].
pub struct MockService<Input, Output, Error> {
    calls: mpsc::UnboundedSender<Call<Input, Output, Error>>,
}

impl<Input, Output, Error> Service<Input> for MockService<Input, Output, Error>
where
    Input: Send + 'static,
    Output: Send + 'static,
    Error: Send + 'static,
{
    type Output = Output;
    type Error = Error;

    #[expect(clippy::panic, reason = "a test that lets go of its mock is wrong, and should read so")]
    async fn serve(&self, input: Input) -> Result<Output, Error> {
        let (answer, answered) = oneshot::channel();
        // A handle that is gone takes the call with it, and the wait below shows that.
        let handle_lives = self.calls.send(Call { input, responder: Responder { answer } }).is_ok();
        match answered.await {
            Ok(result) => result,
            Err(_) if handle_lives => panic!("MockService: the Call (or the MockHandle) was dropped without an answer"),
            Err(_) => panic!("MockService: called after its MockHandle was dropped"),
        }
    }
}

impl<Input, Output, Error> Clone for MockService<Input, Output, Error> {
    fn clone(&self) -> Self {
        Self { calls: self.calls.clone() }
    }
}

impl<Input, Output, Error> fmt::Debug for MockService<Input, Output, Error> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MockService").finish_non_exhaustive()
    }
}

/// The test's side of a [`MockService`]: the calls, in the order in which they were first polled.
pub struct MockHandle<Input, Output, Error> {
    calls: mpsc::UnboundedReceiver<Call<Input, Output, Error>>,
}

impl<Input, Output, Error> MockHandle<Input, Output, Error> {
    /// Waits for the next call.
    ///
    /// # Panics
    ///
    /// When there is no call left and none can come, because every clone of the service was dropped.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no call.
    #[expect(clippy::panic, reason = "a test that waits for a call that cannot come should fail, not hang")]
    pub async fn next(&mut self) -> Call<Input, Output, Error> {
        match self.calls.recv().await {
            Some(call) => call,
            None => panic!("MockHandle: no call is left, and every MockService was dropped"),
        }
    }

    /// The next call if one was made already; to show that none was.
    pub fn try_next(&mut self) -> Option<Call<Input, Output, Error>> {
        self.calls.try_recv().ok()
    }
}

impl<Input, Output, Error> fmt::Debug for MockHandle<Input, Output, Error> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MockHandle").field("waiting", &self.calls.len()).finish_non_exhaustive()
    }
}

/// A call that waits for its answer.
#[derive(Debug)]
pub struct Call<Input, Output, Error> {
    /// What the service was called with.
    pub input: Input,
    /// Answers the call; by itself when the input is taken out of the call.
    pub responder: Responder<Output, Error>,
}

impl<Input, Output, Error> Call<Input, Output, Error> {
    /// See [`Responder::respond`].
    pub fn respond(self, result: Result<Output, Error>) -> bool {
        self.responder.respond(result)
    }

    /// See [`Responder::is_cancelled`].
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.responder.is_cancelled()
    }

    /// See [`Responder::cancelled`].
    pub async fn cancelled(&mut self) {
        self.responder.cancelled().await;
    }
}

/// Answers one [`Call`].
pub struct Responder<Output, Error> {
    answer: oneshot::Sender<Result<Output, Error>>,
}

impl<Output, Error> Responder<Output, Error> {
    /// Answers the call. `false` when the caller had dropped its future.
    pub fn respond(self, result: Result<Output, Error>) -> bool {
        self.answer.send(result).is_ok()
    }

    /// Whether the caller has dropped its future.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.answer.is_closed()
    }

    /// Waits until the caller drops its future.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn cancelled(&mut self) {
        self.answer.closed().await;
    }
}

impl<Output, Error> fmt::Debug for Responder<Output, Error> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Responder").field("cancelled", &self.is_cancelled()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn calls_are_answered_out_of_order() {
        let (service, mut handle) = mock::<u8, String, String>();
        let (first, second, ()) = tokio::join!(service.serve(1), service.serve(2), async {
            let (one, two) = (handle.next().await, handle.next().await);
            assert_eq!((one.input, two.input), (1, 2));
            assert!(two.respond(Err("two".to_owned())));
            assert!(one.respond(Ok("one".to_owned())));
        });
        assert_eq!(first, Ok("one".to_owned()));
        assert_eq!(second, Err("two".to_owned()));
    }

    #[tokio::test]
    async fn a_dropped_future_shows_as_cancelled() {
        let (service, mut handle) = mock::<(), (), ()>();
        let mut future = Box::pin(service.serve(()));
        assert!(handle.try_next().is_none(), "a future that was never polled is no call");
        tokio::select! {
            biased;
            _ = &mut future => unreachable!("nobody has answered"),
            () = std::future::ready(()) => {}
        }
        let mut call = handle.try_next().unwrap();
        assert!(!call.is_cancelled());
        drop(future);
        assert!(call.is_cancelled());
        call.cancelled().await;
        assert!(!call.respond(Ok(())));
    }

    #[tokio::test]
    #[should_panic(expected = "called after its MockHandle was dropped")]
    async fn a_service_without_a_handle_panics() {
        let (service, handle) = mock::<(), (), ()>();
        drop(handle);
        let _ = service.serve(()).await;
    }

    #[tokio::test]
    #[should_panic(expected = "dropped without an answer")]
    async fn a_call_without_an_answer_panics() {
        let (service, mut handle) = mock::<(), (), ()>();
        let _ = tokio::join!(service.serve(()), async { drop(handle.next().await) });
    }

    #[tokio::test]
    #[should_panic(expected = "every MockService was dropped")]
    async fn waiting_for_a_call_that_cannot_come_panics() {
        let (service, mut handle) = mock::<(), (), ()>();
        drop(service);
        handle.next().await;
    }
}
