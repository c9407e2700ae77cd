//! Spans around calls.

use std::{
    error::Error,
    fmt::{self, Display},
    marker::PhantomData,
};

use chaski_core::{BoxError, Description, Layer, Service, display_chain};
use tokio::time::Instant;
use tracing::{Instrument, Level, Span, field::Empty};

use crate::LayerError;

/// Opens a `tracing` span for each call, and tells at its end how long it took and what came of it.
///
/// The span is called `call`, and what the service below emits stands in it. Its fields:
///
/// | field | what |
/// |---|---|
/// | `name` | what [`new`](TraceLayer::new) was given |
/// | `input` | what the function given to [`with_fields`](TraceLayer::with_fields) says |
/// | `outcome` | `ok`, `error`, `panic`, or `cancelled` when the call was dropped |
/// | `duration_ms` | milliseconds, a number with a fraction |
///
/// The last two are recorded when the call has ended. Then one event is emitted in the span, with the field `error` when
/// the call failed: the error and its causes on one line. Span and event are of one level, `INFO` unless set otherwise.
///
/// ```
/// use chaski_core::{Service, service_fn, stack};
/// use chaski_middleware::TraceLayer;
/// use std::convert::Infallible;
///
/// # async fn example() -> Result<(), Infallible> {
/// let service = stack(
///     TraceLayer::new("double").with_fields(|n: &u32| format!("n={n}")),
///     service_fn(async |n: u32| Ok::<_, Infallible>(n * 2)),
/// );
/// // INFO call{name="double" input=n=21 outcome="ok" duration_ms=0.02}: chaski_middleware::trace: the call has ended
/// assert_eq!(service.serve(21).await?, 42);
/// # Ok(()) }
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(example()).unwrap();
/// ```
///
/// # Errors
///
/// Those of the inner service, handed on as they are. They may be of any type that is an `Error`, a [`BoxError`], or a
/// [`LayerError`] of these; `Kind` is which, and is inferred.
///
/// # Cancel safety
///
/// Dropping a call drops the inner call inside the span, and is told as `cancelled`.
///
/// # Order
///
/// Outside of what its duration is to cover. Of several such layers in a stack each tells an error that passes it.
///
/// # Limits
///
/// While nobody wants the level, nothing is formatted, no clock is read and the function of the input is not called. What
/// the output itself still has to do, such as a body that streams, is not covered.
pub struct TraceLayer<F, Kind> {
    settings: Settings<F>,
    kind: PhantomData<fn() -> Kind>,
}

#[derive(Clone, Copy)]
struct Settings<F> {
    name: &'static str,
    level: Level,
    input: F,
}

impl<Kind> TraceLayer<Untold, Kind> {
    /// A span with this name for each call.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { settings: Settings { name, level: Level::INFO, input: Untold(()) }, kind: PhantomData }
    }

    /// Shows in the span what `function` says of the input. The names of a span's fields are fixed when a program is
    /// compiled, so all of it stands in the field `input`. Quote what a peer has sent (`{host:?}`), lest it looks like more.
    #[must_use]
    pub fn with_fields<Input, D, F>(self, function: F) -> TraceLayer<Told<F>, Kind>
    where
        F: Fn(&Input) -> D,
        D: Display,
    {
        let Settings { name, level, .. } = self.settings;
        TraceLayer { settings: Settings { name, level, input: Told(function) }, kind: PhantomData }
    }
}

impl<F, Kind> TraceLayer<F, Kind> {
    /// Sets the level of the span and of its event. Default: `INFO`.
    #[must_use]
    pub const fn with_level(mut self, level: Level) -> Self {
        self.settings.level = level;
        self
    }
}

impl<S, F: Clone, Kind> Layer<S> for TraceLayer<F, Kind> {
    type Service = Trace<S, F, Kind>;

    fn layer(&self, inner: S) -> Trace<S, F, Kind> {
        Trace { inner, settings: self.settings.clone(), kind: PhantomData }
    }
}

impl<F: Clone, Kind> Clone for TraceLayer<F, Kind> {
    fn clone(&self) -> Self {
        Self { settings: self.settings.clone(), kind: PhantomData }
    }
}

impl<F, Kind> fmt::Debug for TraceLayer<F, Kind> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { name, level, .. } = &self.settings;
        f.debug_struct("TraceLayer").field("name", name).field("level", level).finish_non_exhaustive()
    }
}

/// A service with a span for each call; made by [`TraceLayer`], where the contract stands.
pub struct Trace<S, F, Kind> {
    inner: S,
    settings: Settings<F>,
    kind: PhantomData<fn() -> Kind>,
}

impl<Input, S, F, Kind> Service<Input> for Trace<S, F, Kind>
where
    Input: Send + 'static,
    S: Service<Input>,
    S::Error: TracedError<Kind>,
    F: TellInput<Input>,
    Kind: 'static,
{
    type Output = S::Output;
    type Error = S::Error;

    async fn serve(&self, input: Input) -> Result<S::Output, S::Error> {
        let call = Call::begin(self.settings.level, self.settings.span(&input));
        let result = self.inner.serve(input).instrument(call.span.clone()).await;
        call.end(result.as_ref().err().map(TracedError::as_error));
        result
    }

    fn describe(&self) -> Description {
        Description::of::<Self>().setting("name", self.settings.name).child(self.inner.describe())
    }
}

impl<S: Clone, F: Clone, Kind> Clone for Trace<S, F, Kind> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), settings: self.settings.clone(), kind: PhantomData }
    }
}

impl<S: fmt::Debug, F, Kind> fmt::Debug for Trace<S, F, Kind> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trace").field("name", &self.settings.name).field("inner", &self.inner).finish_non_exhaustive()
    }
}

/// Does the same at the level that is known when the program runs: `tracing` wants one that is known before.
macro_rules! at_level {
    ($level:expr, $macro:ident!($($arguments:tt)*)) => {
        match $level {
            Level::ERROR => tracing::$macro!(Level::ERROR, $($arguments)*),
            Level::WARN => tracing::$macro!(Level::WARN, $($arguments)*),
            Level::INFO => tracing::$macro!(Level::INFO, $($arguments)*),
            Level::DEBUG => tracing::$macro!(Level::DEBUG, $($arguments)*),
            Level::TRACE => tracing::$macro!(Level::TRACE, $($arguments)*),
        }
    };
}

impl<F> Settings<F> {
    fn span<Input>(&self, input: &Input) -> Span
    where
        F: TellInput<Input>,
    {
        let span =
            at_level!(self.level, span!("call", name = self.name, input = Empty, outcome = Empty, duration_ms = Empty));
        if !span.is_disabled() {
            self.input.tell(input, &span);
        }
        span
    }
}

/// A call under way. Dropped without an end, it was cancelled.
struct Call {
    span: Span,
    level: Level,
    /// Nothing when nobody wants to know, and when the end was told.
    started: Option<Instant>,
}

impl Call {
    fn begin(level: Level, span: Span) -> Self {
        let started = (!span.is_disabled()).then(Instant::now);
        Self { span, level, started }
    }

    fn end(mut self, error: Option<&(dyn Error + 'static)>) {
        self.tell(if error.is_some() { "error" } else { "ok" }, error);
    }

    fn tell(&mut self, outcome: &'static str, error: Option<&(dyn Error + 'static)>) {
        let Some(started) = self.started.take() else { return };
        let duration_ms = started.elapsed().as_secs_f64() * 1000.0;
        self.span.record("outcome", outcome).record("duration_ms", duration_ms);
        let error = error.map(display_chain).map(tracing::field::display);
        self.span.in_scope(|| at_level!(self.level, event!(error, "the call has ended")));
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.tell(if std::thread::panicking() { "panic" } else { "cancelled" }, None);
    }
}

/// What a span shows of its input: nothing, or what a function [`Told`].
pub trait TellInput<Input>: Clone + Send + Sync + 'static {
    /// Records it.
    fn tell(&self, input: &Input, span: &Span);
}

/// Nothing of the input; made by [`TraceLayer::new`].
#[derive(Clone, Copy, Debug)]
pub struct Untold(());

impl<Input> TellInput<Input> for Untold {
    fn tell(&self, _: &Input, _: &Span) {}
}

/// What a function says of the input; made by [`TraceLayer::with_fields`].
#[derive(Clone, Copy)]
pub struct Told<F>(F);

impl<Input, D, F> TellInput<Input> for Told<F>
where
    D: Display,
    F: Fn(&Input) -> D + Clone + Send + Sync + 'static,
{
    fn tell(&self, input: &Input, span: &Span) {
        span.record("input", tracing::field::display((self.0)(input)));
    }
}

impl<F> fmt::Debug for Told<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Told").finish_non_exhaustive()
    }
}

/// An error that [`TraceLayer`] can tell with its causes.
///
/// `Kind` keeps three implementations apart that the compiler would take for overlapping, and is inferred: a [`BoxError`]
/// is no `Error`, but might become one.
#[diagnostic::on_unimplemented(
    message = "a traced service fails with an `Error`, a `BoxError`, or a `LayerError` of these; `{Self}` is none of them",
    note = "implement `std::error::Error` (thiserror derives it) or change the error with `.map_err(..)`"
)]
pub trait TracedError<Kind> {
    /// The error itself.
    fn as_error(&self) -> &(dyn Error + 'static);
}

/// An [`Error`]: a kind of [`TracedError`].
#[derive(Debug)]
pub struct Typed(());

/// A [`BoxError`]: a kind of [`TracedError`].
#[derive(Debug)]
pub struct Boxed(());

/// A [`LayerError`] around an error of this kind: a kind of [`TracedError`].
#[derive(Debug)]
pub struct Layered<Kind>(PhantomData<Kind>);

impl<E: Error + 'static> TracedError<Typed> for E {
    fn as_error(&self) -> &(dyn Error + 'static) {
        self
    }
}

impl TracedError<Boxed> for BoxError {
    fn as_error(&self) -> &(dyn Error + 'static) {
        &**self
    }
}

impl<Reason: Error + 'static, E: TracedError<Kind>, Kind> TracedError<Layered<Kind>> for LayerError<Reason, E> {
    fn as_error(&self) -> &(dyn Error + 'static) {
        match self {
            Self::Layer(reason) => reason,
            Self::Inner(error) => error.as_error(),
        }
    }
}

#[cfg(test)]
mod tests;
