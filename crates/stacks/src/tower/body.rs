use std::any::Any;

use bytes::Bytes;
use chaski_core::{BoxError, http::Body};
use http_body::Body as HttpBody;

/// A body of any type as chaski's. One that is it already stays what it is: in hand if it was in hand.
pub(super) fn convert<B>(body: B) -> Body
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let mut body = Some(body);
    if let Some(same) = (&mut body as &mut dyn Any).downcast_mut::<Option<Body>>() {
        return same.take().unwrap_or_default();
    }
    match body {
        // Nothing to come, trailers neither: as bytes in hand it leaves with the head.
        Some(body) if !body.is_end_stream() => Body::new(body),
        _ => Body::empty(),
    }
}
