use std::{convert::Infallible, pin::pin};

use chaski_core::{
    BoxError, BoxIo, Bridge, Conn, Connect, ConnectError, Service,
    http::{Body, Request, Response},
    test_util::{MockHandle, MockService, Pipe, mock},
};
use chaski_proxy::ForwardProxy;

pub(crate) type Client = MockService<Request, Response, BoxError>;
pub(crate) type Dialer = MockService<Connect, Conn<Pipe>, ConnectError>;
pub(crate) type Relay = MockService<Bridge<BoxIo, Pipe>, (), BoxError>;
pub(crate) type Proxy = ForwardProxy<Client, Dialer, Relay>;

/// A proxy called `me`, and the test's side of the three services that it stands between.
pub(crate) struct Bench {
    pub(crate) proxy: Proxy,
    pub(crate) client: MockHandle<Request, Response, BoxError>,
    pub(crate) dialer: MockHandle<Connect, Conn<Pipe>, ConnectError>,
    pub(crate) relay: MockHandle<Bridge<BoxIo, Pipe>, (), BoxError>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let (client_service, client) = mock();
        let (dialer_service, dialer) = mock();
        let (relay_service, relay) = mock();
        let proxy = ForwardProxy::new(client_service, dialer_service, relay_service);
        Self { proxy: proxy.with_pseudonym("me".parse().unwrap()), client, dialer, relay }
    }

    /// Sends a request that the proxy must forward; the client answers with `answer`. Gives what the client got and
    /// what came back.
    pub(crate) async fn forwarded(&mut self, request: Request, answer: Response) -> (Request, Response) {
        let mut serving = pin!(self.proxy.serve(request));
        let call = tokio::select! {
            biased;
            response = &mut serving => panic!("not forwarded: {response:?}"),
            call = self.client.next() => call,
        };
        call.responder.respond(Ok(answer));
        (call.input, unfailing(serving.await))
    }

    /// Sends a CONNECT that the proxy must dial for; the dial ends with `result`. Gives what the dialer got and what
    /// came back.
    pub(crate) async fn dialed(
        &mut self,
        request: Request,
        result: Result<Conn<Pipe>, ConnectError>,
    ) -> (Connect, Response) {
        let mut serving = pin!(self.proxy.serve(request));
        let call = tokio::select! {
            biased;
            response = &mut serving => panic!("not dialed: {response:?}"),
            call = self.dialer.next() => call,
        };
        call.responder.respond(result);
        (call.input, unfailing(serving.await))
    }

    /// Sends a request that the proxy must answer by itself; gives status and text.
    pub(crate) async fn refused(&mut self, request: Request) -> (u16, String) {
        let response = self.answered(request).await;
        let status = response.status().as_u16();
        assert_eq!(response.headers()["content-type"], "text/plain; charset=utf-8");
        (status, text(response).await)
    }

    /// The same for any answer.
    pub(crate) async fn answered(&mut self, request: Request) -> Response {
        tokio::select! {
            biased;
            response = self.proxy.serve(request) => unfailing(response),
            _ = self.client.next() => panic!("forwarded"),
            _ = self.dialer.next() => panic!("dialed"),
        }
    }
}

pub(crate) fn unfailing<T>(result: Result<T, Infallible>) -> T {
    let Ok(value) = result;
    value
}

pub(crate) async fn text(response: Response) -> String {
    let bytes = response.into_body().collect(10_000).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A request with fields given as lines.
pub(crate) fn request(method: &str, uri: &str, lines: &[&str]) -> Request {
    let builder = lines.iter().fold(Request::builder().method(method).uri(uri), |builder, line| {
        let (name, value) = line.split_once(": ").unwrap();
        builder.header(name, value)
    });
    builder.body(Body::empty()).unwrap()
}

pub(crate) fn response(status: u16, lines: &[&str]) -> Response {
    let builder = lines.iter().fold(Response::builder().status(status), |builder, line| {
        let (name, value) = line.split_once(": ").unwrap();
        builder.header(name, value)
    });
    builder.body(Body::empty()).unwrap()
}

/// The fields as sorted lines.
pub(crate) fn lines(headers: &http::HeaderMap) -> Vec<String> {
    let mut lines: Vec<String> =
        headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    lines.sort();
    lines
}
