use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame, SizeHint};
use pin_project_lite::pin_project;
use sync_wrapper::SyncWrapper;

use crate::BoxError;

/// The body of a message: nothing, bytes in hand, or a stream of frames.
///
/// A full body is known to engines: its head and bytes leave in one write, and it can be sent again. A streamed one is
/// polled in the task that sends or reads it. `Body` is `Sync`, so `&Request<Body>` may be held across an await.
///
/// ```
/// use chaski_core::http::Body;
///
/// # async fn example() -> Result<(), chaski_core::BoxError> {
/// let body = Body::full("hello");
/// assert_eq!(body.collect(1024).await?, "hello");
/// # Ok(()) }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(example()).unwrap();
/// ```
#[derive(Default)]
pub struct Body {
    repr: Repr,
}

// Two shapes exactly: they share a niche, so that `Request<Body>` is 256 bytes. A third would make it 264.
enum Repr {
    Full(Bytes),
    Stream(Pin<Box<dyn Frames>>),
}

impl Default for Repr {
    fn default() -> Self {
        Self::Full(Bytes::new())
    }
}

impl Body {
    /// No bytes.
    #[must_use]
    pub const fn empty() -> Self {
        Self { repr: Repr::Full(Bytes::new()) }
    }

    /// Bytes in hand.
    #[must_use]
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        Self { repr: Repr::Full(bytes.into()) }
    }

    /// A body of any type, boxed.
    pub fn new<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self::boxed(body, |_, _| {})
    }

    /// A body with [work of its own](Progress) besides giving frames, boxed.
    pub fn with_progress<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes> + Progress + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self::boxed(body, B::poll_progress)
    }

    fn boxed<B>(body: B, progress: fn(Pin<&mut B>, &mut Context<'_>)) -> Self
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let (hint, ended) = (body.size_hint(), body.is_end_stream());
        Self { repr: Repr::Stream(Box::pin(Stream { hint, ended, progress, body: SyncWrapper::new(body) })) }
    }

    /// Lets the body go on with its [own work](Progress), for who cannot take a frame now.
    pub fn poll_progress(&mut self, cx: &mut Context<'_>) {
        if let Repr::Stream(stream) = &mut self.repr {
            stream.as_mut().poll_progress(cx);
        }
    }

    /// A body whose chunks are the items of a stream, such as a channel's receiver or a file's reader. Its length is
    /// unknown, so HTTP/1.1 sends it chunked.
    pub fn from_stream<S, E>(stream: S) -> Self
    where
        S: futures_core::Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<BoxError> + 'static,
    {
        Self::new(FromStream { stream })
    }

    /// The same body with trailers after it.
    #[must_use]
    pub fn with_trailers(self, trailers: HeaderMap) -> Self {
        Self::with_progress(WithTrailers { body: self, trailers: Some(trailers) })
    }

    /// The bytes, if they are in hand; for engines and for retries.
    #[must_use]
    pub fn as_full(&self) -> Option<&Bytes> {
        match &self.repr {
            Repr::Full(bytes) => Some(bytes),
            Repr::Stream(_) => None,
        }
    }

    /// A second copy of the body, if its bytes are in hand: then a request can be sent again.
    #[must_use]
    pub fn replay(&self) -> Option<Self> {
        self.as_full().map(|bytes| Self::full(bytes.clone()))
    }

    /// The next frame: data or trailers; `None` at the end.
    ///
    /// # Errors
    ///
    /// Those of the body: a connection that broke, a limit that was passed. The body has ended then.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn frame(&mut self) -> Option<Result<Frame<Bytes>, BoxError>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_frame(cx)).await
    }

    /// Reads the body to its end, at most `limit` bytes. Trailers are dropped.
    ///
    /// # Errors
    ///
    /// [`BodyTooLarge`] past the limit; those of the body.
    pub async fn collect(mut self, limit: usize) -> Result<Bytes, BoxError> {
        let mut first = Bytes::new();
        let mut all = BytesMut::new();
        while let Some(frame) = self.frame().await {
            let Ok(data) = frame?.into_data() else { continue };
            if first.len() + all.len() + data.len() > limit {
                return Err(BodyTooLarge { limit }.into());
            }
            // A body that comes in one frame is not copied.
            if first.is_empty() && all.is_empty() {
                first = data;
            } else {
                if all.is_empty() {
                    all.extend_from_slice(&std::mem::take(&mut first));
                }
                all.extend_from_slice(&data);
            }
        }
        Ok(if all.is_empty() { first } else { all.freeze() })
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.repr {
            Repr::Full(bytes) if bytes.is_empty() => Poll::Ready(None),
            Repr::Full(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Repr::Stream(stream) => stream.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.repr {
            Repr::Full(bytes) => bytes.is_empty(),
            Repr::Stream(stream) => stream.ended(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.repr {
            Repr::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Repr::Stream(stream) => stream.hint(),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.repr {
            Repr::Full(bytes) => write!(f, "Body({} bytes)", bytes.len()),
            Repr::Stream(_) => f.write_str("Body(stream)"),
        }
    }
}

macro_rules! full_from {
    ($($from:ty),*) => {$(
        impl From<$from> for Body {
            fn from(bytes: $from) -> Self {
                Self::full(bytes)
            }
        }
    )*};
}

full_from!(Bytes, &'static str, &'static [u8], String, Vec<u8>);

impl From<()> for Body {
    fn from((): ()) -> Self {
        Self::empty()
    }
}

/// A body had more bytes than [`Body::collect`] was told to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body is longer than {limit} bytes")]
pub struct BodyTooLarge {
    /// The limit in bytes.
    pub limit: usize,
}

/// A body that does more than give frames, as a client's response does while its request is still being sent.
///
/// Who holds such a body and cannot take a frame now, because its own reader does not read, polls this instead: else the
/// two directions of an exchange wait for each other. A body that wraps another passes it on, and is boxed with
/// [`Body::with_progress`].
pub trait Progress {
    /// Goes on with that work, as far as it can, and has the task woken when it can go on. What fails is told by the next
    /// frame.
    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>);
}

/// The object-safe face of a boxed body.
trait Frames: Send + Sync {
    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>>;
    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>);
    fn hint(&self) -> SizeHint;
    fn ended(&self) -> bool;
}

pin_project! {
    // `&Body` must not reach the inner body, which need not be `Sync`: what can be asked through a shared reference is
    // kept beside it, and brought up to date after each frame.
    struct Stream<B> {
        hint: SizeHint,
        ended: bool,
        progress: fn(Pin<&mut B>, &mut Context<'_>),
        #[pin]
        body: SyncWrapper<B>,
    }
}

impl<B> Frames for Stream<B>
where
    B: HttpBody<Data = Bytes> + Send,
    B::Error: Into<BoxError>,
{
    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.project();
        // Not every stream may be polled after its end, and readers do ask again: for what comes after trailers, say.
        if *this.ended {
            return Poll::Ready(None);
        }
        let mut body = this.body.get_pin_mut();
        let frame = ready!(body.as_mut().poll_frame(cx));
        *this.hint = body.size_hint();
        *this.ended = !matches!(frame, Some(Ok(_))) || body.is_end_stream();
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) {
        let this = self.project();
        if !*this.ended {
            (this.progress)(this.body.get_pin_mut(), cx);
        }
    }

    fn hint(&self) -> SizeHint {
        self.hint
    }

    fn ended(&self) -> bool {
        self.ended
    }
}

pin_project! {
    struct FromStream<S> {
        #[pin]
        stream: S,
    }
}

impl<S, E> HttpBody for FromStream<S>
where
    S: futures_core::Stream<Item = Result<Bytes, E>>,
{
    type Data = Bytes;
    type Error = E;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, E>>> {
        let item = ready!(self.project().stream.poll_next(cx));
        Poll::Ready(item.map(|item| item.map(Frame::data)))
    }
}

struct WithTrailers {
    body: Body,
    trailers: Option<HeaderMap>,
}

impl HttpBody for WithTrailers {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
            None => Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers)))),
            Some(Err(error)) => {
                // A body that broke off has no trailers.
                self.trailers = None;
                Poll::Ready(Some(Err(error)))
            }
            frame => Poll::Ready(frame),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.trailers.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Progress for WithTrailers {
    fn poll_progress(mut self: Pin<&mut Self>, cx: &mut Context<'_>) {
        self.body.poll_progress(cx);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunks(items: &'static [&'static str]) -> Body {
        struct Items(std::slice::Iter<'static, &'static str>);
        impl futures_core::Stream for Items {
            type Item = Result<Bytes, std::convert::Infallible>;
            fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
                Poll::Ready(self.0.next().map(|item| Ok(Bytes::from_static(item.as_bytes()))))
            }
        }
        Body::from_stream(Items(items.iter()))
    }

    #[test]
    fn a_request_is_as_small_as_its_parts_allow() {
        fn sync<T: Send + Sync>() {}
        sync::<Body>();
        assert_eq!(size_of::<http::Request<Body>>(), 256);
    }

    #[tokio::test]
    async fn full_bodies_know_their_length_and_can_be_replayed() {
        let body = Body::full("abc");
        assert_eq!(body.size_hint().exact(), Some(3));
        assert_eq!(body.replay().unwrap().collect(3).await.unwrap(), "abc");
        assert!(Body::empty().is_end_stream());
        assert!(Body::empty().frame().await.is_none());
    }

    #[tokio::test]
    async fn streams_are_collected_up_to_the_limit() {
        let body = chunks(&["ab", "cd", "e"]);
        assert_eq!(body.size_hint().exact(), None);
        assert!(body.replay().is_none());
        assert_eq!(body.collect(5).await.unwrap(), "abcde");
        let error = chunks(&["ab", "cd", "e"]).collect(4).await.unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&BodyTooLarge { limit: 4 }));
    }

    /// Many streams panic or begin anew when they are polled after their end, and readers ask for the end after trailers.
    #[tokio::test]
    async fn a_stream_is_not_polled_after_its_end_or_its_error() {
        struct Once(Vec<Result<&'static str, &'static str>>);
        impl futures_core::Stream for Once {
            type Item = Result<Bytes, BoxError>;
            fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
                assert!(!self.0.is_empty(), "polled after its end");
                match self.0.remove(0) {
                    Ok("") => Poll::Ready(None),
                    item => Poll::Ready(Some(item.map(Bytes::from).map_err(Into::into))),
                }
            }
        }
        let mut trailers = HeaderMap::new();
        trailers.insert("checksum", "1".parse().unwrap());
        let body = Body::from_stream(Once(vec![Ok("ab"), Ok("")])).with_trailers(trailers);
        assert_eq!(body.collect(2).await.unwrap(), "ab");

        let mut body = Body::from_stream(Once(vec![Err("broken")]));
        assert_eq!(body.frame().await.unwrap().unwrap_err().to_string(), "broken");
        assert!(body.is_end_stream());
        assert!(body.frame().await.is_none());
    }

    #[tokio::test]
    async fn trailers_come_last_and_once() {
        let mut trailers = HeaderMap::new();
        trailers.insert("checksum", "1".parse().unwrap());
        let mut body = chunks(&["x"]).with_trailers(trailers.clone());
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "x");
        assert!(!body.is_end_stream());
        assert_eq!(body.frame().await.unwrap().unwrap().into_trailers().unwrap(), trailers);
        assert!(body.is_end_stream());
        assert!(body.frame().await.is_none());
    }
}
