//! `hyper-pool pool|session HOSTS THREADS COUNT`: the calls of `bench-pool`, with `pool` by hyper-util's client, with `session`
//! by hyper's connections.

use std::{
    error::Error,
    future::{Ready, ready},
    io,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{
    Request, Response, Uri,
    body::Incoming,
    client::conn::http1::{self, SendRequest},
    header::{HOST, HeaderValue},
};
use hyper_util::{
    client::legacy::{
        Client,
        connect::{Connected, Connection},
    },
    rt::{TokioExecutor, TokioIo},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    task::JoinSet,
};

const TASKS: usize = 64;

type BoxError = Box<dyn Error + Send + Sync>;
type Body = Empty<Bytes>;

fn main() -> Result<(), BoxError> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [work, hosts, threads, count] = args.as_slice() else {
        return Err("usage: hyper-pool pool|session HOSTS THREADS COUNT".into());
    };
    let (hosts, threads, count): (usize, usize, usize) = (hosts.parse()?, threads.parse()?, count.parse()?);
    let uris = (0..hosts).map(|host| format!("http://h{host}.test/").parse()).collect::<Result<Vec<Uri>, _>>()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    runtime.block_on(async {
        let mut tasks = JoinSet::new();
        match work.as_str() {
            "pool" => {
                let client = Client::builder(TokioExecutor::new()).build(Dial);
                for task in 0..TASKS {
                    tasks.spawn(pool(client.clone(), task, uris.clone(), count / TASKS));
                }
            }
            "session" => {
                for task in 0..TASKS {
                    let (session, connection) = http1::handshake(TokioIo::new(Canned::default())).await?;
                    tokio::spawn(connection);
                    tasks.spawn(alone(session, task, uris.clone(), count / TASKS));
                }
            }
            other => return Err(format!("no work is called {other}").into()),
        }
        while let Some(ended) = tasks.join_next().await {
            ended??;
        }
        Ok(())
    })
}

async fn pool(client: Client<Dial, Body>, task: usize, uris: Vec<Uri>, count: usize) -> Result<(), BoxError> {
    for turn in 0..count {
        let uri = uris[(task + turn * TASKS) % uris.len()].clone();
        read(client.request(Request::get(uri).body(Body::new())?).await?).await?;
    }
    Ok(())
}

async fn alone(mut session: SendRequest<Body>, task: usize, uris: Vec<Uri>, count: usize) -> Result<(), BoxError> {
    for turn in 0..count {
        // What the client makes of a URI.
        let uri = uris[(task + turn * TASKS) % uris.len()].clone();
        let host = HeaderValue::from_str(uri.authority().ok_or("a URI without a host")?.as_str())?;
        session.ready().await?;
        let request = Request::get(Uri::from_static("/")).header(HOST, host).body(Body::new())?;
        read(session.send_request(request).await?).await?;
    }
    Ok(())
}

async fn read(response: Response<Incoming>) -> Result<(), BoxError> {
    response.into_body().collect().await?;
    Ok(())
}

#[derive(Clone)]
struct Dial;

impl tower_service::Service<Uri> for Dial {
    type Response = TokioIo<Canned>;
    type Error = io::Error;
    type Future = Ready<io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        ready(Ok(TokioIo::new(Canned::default())))
    }
}

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// Answers every head, not at once but when the other tasks have had their turn.
#[derive(Default, Debug)]
struct Canned {
    owed: usize,
    waited: bool,
    reader: Option<Waker>,
}

impl Connection for Canned {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Canned {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.owed == 0 {
            self.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        self.waited = !self.waited;
        if self.waited {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.owed -= 1;
        buf.put_slice(ANSWER);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Canned {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if bytes.ends_with(b"\r\n\r\n") {
            self.owed += 1;
            self.reader.take().into_iter().for_each(Waker::wake);
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
