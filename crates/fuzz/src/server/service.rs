//! The service under the server: what it does with a request, the path says.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use chaski_core::{
    BoxError,
    http::{Body, Request, Response, Upgrade},
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_body::Frame;
use tokio::io::AsyncWriteExt;

/// More than any input has.
const ALL: usize = 1 << 20;

/// What is sent behind a switch of protocols.
pub(super) const SWITCHED: &[u8] = b"no longer HTTP";

/// Method and target of every request that came, in order.
#[derive(Debug, Default)]
pub(super) struct Seen(Mutex<Vec<(Method, String)>>);

impl Seen {
    pub(super) fn take(&self) -> Vec<(Method, String)> {
        std::mem::take(&mut self.0.lock().expect("nobody panics with it"))
    }
}

pub(super) async fn serve(seen: Arc<Seen>, request: Request) -> Result<Response, BoxError> {
    let path = request.uri().path().to_owned();
    seen.0.lock().expect("nobody panics with it").push((request.method().clone(), request.uri().to_string()));
    let text = Body::full(path.clone());
    if request.method() == Method::CONNECT {
        return Ok(switch(StatusCode::OK));
    }
    match path.as_str() {
        "/echo" => Ok(Response::new(request.into_body())),
        "/collect" => Ok(Response::new(Body::full(request.into_body().collect(ALL).await?))),
        "/half" => {
            let mut body = request.into_body();
            let first = body.frame().await;
            drop(body);
            first.transpose().map(|_| Response::new(text))
        }
        "/keep" => {
            let mut response = Response::new(text);
            // As long as the response is there, so is the body.
            response.extensions_mut().insert(Arc::new(Mutex::new(request.into_body())));
            Ok(response)
        }
        "/elsewhere" => {
            tokio::spawn(request.into_body().collect(ALL));
            Ok(Response::new(text))
        }
        "/late" => {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok(Response::new(text))
        }
        "/stream" => Ok(Response::new(pieces(["a", "", "bc"]))),
        "/trailers" => {
            let trailers = HeaderMap::from_iter([(header::ETAG, HeaderValue::from_static("\"x\""))]);
            Ok(Response::new(pieces(["abc"]).with_trailers(trailers)))
        }
        "/long" => Ok(Response::new(Body::full(vec![b'x'; 70_000]))),
        "/broken" => Ok(Response::new(Body::new(Pieces::from_iter([Ok(Bytes::from_static(b"a")), Err(failed())])))),
        "/fail" => Err(failed()),
        "/close" => {
            let mut response = Response::new(text);
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            Ok(response)
        }
        "/upgrade" if request.headers().contains_key(header::UPGRADE) => Ok(switch(StatusCode::SWITCHING_PROTOCOLS)),
        _ => Ok(Response::new(text)),
    }
}

fn failed() -> BoxError {
    "the service has failed, as it was asked to".into()
}

fn switch(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("other"));
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    Upgrade::new(|mut conn| async move {
        let _ = conn.io.write_all(SWITCHED).await;
        let _ = conn.io.shutdown().await;
    })
    .attach(&mut response);
    response
}

fn pieces<const N: usize>(pieces: [&'static str; N]) -> Body {
    Body::new(Pieces::from_iter(pieces.map(|piece| Ok(Bytes::from_static(piece.as_bytes())))))
}

/// Frames of which each but the first has to be waited for.
struct Pieces {
    frames: VecDeque<Result<Bytes, BoxError>>,
    waited: bool,
}

impl FromIterator<Result<Bytes, BoxError>> for Pieces {
    fn from_iter<I: IntoIterator<Item = Result<Bytes, BoxError>>>(frames: I) -> Self {
        Self { frames: frames.into_iter().collect(), waited: true }
    }
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if !std::mem::replace(&mut self.waited, true) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.waited = false;
        Poll::Ready(self.frames.pop_front().map(|frame| frame.map(Frame::data)))
    }
}
