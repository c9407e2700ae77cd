//! A network in memory: names, listeners, and what is served there.

use std::{
    collections::HashMap,
    future::Future,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use chaski_client::Client;
use chaski_core::{
    BoxError, Conn, Connect, ConnectError, ConnectStage, HostPort, IntoBoxError, Io, Service,
    http::{Body, Request, Response},
    service_fn_with,
    test_util::{Chunking, Pipe, PipeDirection, PipeOptions, PipeProbe},
};
use chaski_http_core::{Http1ClientConfig, Http1Connector, Http1Server};
use chaski_net::{Relay, RelayConfig};
use chaski_proxy::ForwardProxy;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::mpsc,
};

pub(crate) type TestClient = Client<Http1Connector<Net>>;

/// On a paused clock this fails at once what would hang.
pub(crate) fn in_time<F: Future>(future: F) -> impl Future<Output = F::Output> {
    // Whole stacks are in there, client and server: too large for the stack of a test.
    let future = Box::pin(future);
    async { tokio::time::timeout(Duration::from_secs(6 * 60 * 60), future).await.expect("it hangs") }
}

/// Names and who listens there. As a connector it dials `name:port`, whatever the protocol.
///
/// A name that nobody listens at does not resolve, one whose listener is gone refuses, and `silent.test` never answers.
#[derive(Clone, Default, Debug)]
pub(crate) struct Net(Arc<Mutex<HashMap<String, Place>>>);

#[derive(Debug)]
struct Place {
    arrivals: mpsc::UnboundedSender<Accepted>,
    options: PipeOptions,
    dialed: Arc<AtomicUsize>,
}

/// A connection that has arrived.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) conn: Conn<Pipe>,
    /// What the dialing end is asked to do.
    pub(crate) near: PipeProbe,
}

/// A fact, so that connections have scopes as those of a listener have.
#[derive(Debug)]
pub(crate) struct Arrived;

pub(crate) struct Listener {
    arrivals: mpsc::UnboundedReceiver<Accepted>,
    dialed: Arc<AtomicUsize>,
}

impl Net {
    pub(crate) fn listen(&self, name: &str) -> Listener {
        self.listen_with(name, PipeOptions::default())
    }

    /// End `a` of the pipes is the one that dials.
    pub(crate) fn listen_with(&self, name: &str, options: PipeOptions) -> Listener {
        let (sender, arrivals) = mpsc::unbounded_channel();
        let dialed = Arc::new(AtomicUsize::new(0));
        let place = Place { arrivals: sender, options, dialed: Arc::clone(&dialed) };
        self.0.lock().unwrap().insert(name.to_owned(), place);
        Listener { arrivals, dialed }
    }

    pub(crate) async fn dial(&self, name: &str) -> Pipe {
        self.serve(Connect::new(name.parse::<HostPort>().unwrap())).await.unwrap().io
    }

    /// Serves `service` at `name`, and tells how many connections were made there.
    pub(crate) fn serve_at<S>(&self, name: &str, service: S) -> Arc<AtomicUsize>
    where
        S: Service<Request, Output = Response>,
        S::Error: IntoBoxError,
    {
        self.listen(name).serve(Http1Server::new(service))
    }

    pub(crate) fn client(&self) -> TestClient {
        Client::new(Http1Connector::new(self.clone(), Http1ClientConfig::default()))
    }

    /// A forward proxy whose targets are in this network.
    pub(crate) fn proxy(&self, name: &str) -> ForwardProxy<TestClient, Net, Relay> {
        ForwardProxy::new(self.client(), self.clone(), Relay::new(RelayConfig::default()))
            .with_pseudonym(name.parse().unwrap())
    }
}

impl Service<Connect> for Net {
    type Output = Conn<Pipe>;
    type Error = ConnectError;

    async fn serve(&self, connect: Connect) -> Result<Conn<Pipe>, ConnectError> {
        let name = connect.target.to_string();
        if name.starts_with("silent.test") {
            return std::future::pending().await;
        }
        let failed = |stage| ConnectError::new(stage).with_message(name.clone());
        let places = self.0.lock().unwrap();
        let Some(place) = places.get(&name) else { return Err(failed(ConnectStage::Resolve)) };
        let (near, far) = place.options.pipe();
        let accepted = Accepted { near: near.probe(), conn: Conn::new(far) };
        accepted.conn.ext.insert(Arrived);
        if place.arrivals.send(accepted).is_err() {
            let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
            return Err(failed(ConnectStage::Dial).with_source(refused));
        }
        place.dialed.fetch_add(1, Ordering::SeqCst);
        let conn = Conn::new(near);
        conn.ext.insert(Arrived);
        Ok(conn)
    }
}

impl Listener {
    pub(crate) async fn accept(&mut self) -> Accepted {
        self.arrivals.recv().await.expect("the network is gone")
    }

    pub(crate) fn dialed(&self) -> usize {
        self.dialed.load(Ordering::SeqCst)
    }

    /// Serves every connection in a task of its own, and tells how many there were.
    pub(crate) fn serve<S>(self, server: S) -> Arc<AtomicUsize>
    where
        S: Service<Conn<Pipe>, Output = ()>,
    {
        let Self { mut arrivals, dialed } = self;
        let server = Arc::new(server);
        tokio::spawn(async move {
            while let Some(Accepted { conn, .. }) = arrivals.recv().await {
                let server = Arc::clone(&server);
                tokio::spawn(async move { drop(server.serve(conn).await) });
            }
        });
        dialed
    }
}

/// Pipes that hold and hand over `bytes` at a time.
pub(crate) fn tiny(bytes: usize) -> PipeOptions {
    PipeOptions::both(PipeDirection {
        capacity: bytes,
        reads: Chunking::Bytes(bytes),
        writes: Chunking::Bytes(bytes),
        ..PipeDirection::default()
    })
}

/// A service that answers with the bytes of the request's body, as they come.
pub(crate) fn echo() -> impl Service<Request, Output = Response, Error = BoxError> {
    service_fn_with((), async |(), request: Request| Ok::<_, BoxError>(Response::new(request.into_body())))
}

pub(crate) fn get(uri: &str) -> Request {
    Request::get(uri).body(Body::empty()).unwrap()
}

pub(crate) fn post(uri: &str, body: impl Into<Body>) -> Request {
    Request::post(uri).body(body.into()).unwrap()
}

/// The status and the whole body.
pub(crate) async fn read(response: Response) -> (u16, Bytes) {
    let status = response.status().as_u16();
    (status, response.into_body().collect(64 << 20).await.unwrap())
}

/// Writes `bytes` and their end, and reads what comes, both at once.
pub(crate) async fn talk(io: impl Io, bytes: &[u8]) -> String {
    let (mut read, mut write) = tokio::io::split(io);
    let mut text = String::new();
    let (received, ()) = tokio::join!(read.read_to_string(&mut text), async {
        write.write_all(bytes).await.unwrap();
        write.shutdown().await.unwrap();
    });
    received.unwrap();
    text
}

/// Writes `request` and reads until the other side closes, which an idle server does after its time.
pub(crate) async fn exchange(io: &mut Pipe, request: impl AsRef<[u8]>) -> String {
    // A server that refuses may stop reading.
    let _ = io.write_all(request.as_ref()).await;
    let mut answer = Vec::new();
    let _ = io.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// Reads one answer with `content-length`, head and all.
pub(crate) async fn read_answer(io: &mut Pipe) -> String {
    let mut text = read_head(io).await;
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
    let mut body = vec![0; length];
    io.read_exact(&mut body).await.unwrap();
    text.push_str(str::from_utf8(&body).unwrap());
    text
}

/// Reads a head up to the empty line, and not one byte more.
pub(crate) async fn read_head(io: &mut Pipe) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let byte =
            io.read_u8().await.unwrap_or_else(|error| panic!("{error} after {:?}", String::from_utf8_lossy(&head)));
        head.push(byte);
    }
    String::from_utf8(head).unwrap()
}

/// The status codes of the answers in `text`, informational ones included.
pub(crate) fn statuses(text: &str) -> Vec<u16> {
    let heads = text.match_indices("HTTP/1.1 ");
    heads.map(|(at, prefix)| text[at + prefix.len()..][..3].parse().unwrap()).collect()
}
