//! `bench-pool pool|session HOSTS THREADS COUNT`: makes so many calls from 64 tasks, each to the next of so many hosts, in
//! HTTP/1.1 over connections that are in memory and answer by themselves. With `pool` by a client that keeps connections; with
//! `session` each task on a connection of its own. The difference is what finding a connection and giving it back costs.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use chaski::{
    BoxError, Conn, Connect, ConnectError, HostPort, IntoBoxError, Io, Service,
    client::Client,
    http::{Body, Request, Response},
    http1::{Http1ClientConfig, Http1Connector},
    service_fn,
};
use http::Uri;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    task::JoinSet,
};

const TASKS: usize = 64;

fn main() -> Result<(), BoxError> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [work, hosts, threads, count] = args.as_slice() else {
        return Err("usage: bench-pool pool|session HOSTS THREADS COUNT".into());
    };
    let (hosts, threads, count): (usize, usize, usize) = (hosts.parse()?, threads.parse()?, count.parse()?);
    let uris = (0..hosts).map(|host| format!("http://h{host}.test/").parse()).collect::<Result<Vec<Uri>, _>>()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    runtime.block_on(async {
        let connector = Http1Connector::new(service_fn(dial), Http1ClientConfig::default());
        let mut tasks = JoinSet::new();
        match work.as_str() {
            "pool" => {
                let client = Client::new(connector);
                for task in 0..TASKS {
                    tasks.spawn(call(client.clone(), task, uris.clone(), count / TASKS));
                }
            }
            "session" => {
                for task in 0..TASKS {
                    let session = connector.serve(Connect::new("h.test:80".parse::<HostPort>()?)).await?;
                    tasks.spawn(call(session, task, uris.clone(), count / TASKS));
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

async fn dial(_: Connect) -> Result<Conn<Canned>, ConnectError> {
    Ok(Conn::new(Canned::default()))
}

/// Makes `count` calls, one after the other. Tasks that are side by side call different hosts, where there are enough.
async fn call<S>(service: S, task: usize, uris: Vec<Uri>, count: usize) -> Result<(), BoxError>
where
    S: Service<Request, Output = Response>,
    S::Error: IntoBoxError,
{
    for turn in 0..count {
        let uri = uris[(task + turn * TASKS) % uris.len()].clone();
        let response =
            service.serve(Request::get(uri).body(Body::empty())?).await.map_err(IntoBoxError::into_box_error)?;
        response.into_body().collect(2).await?;
    }
    Ok(())
}

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// Answers every head, not at once but when the other tasks have had their turn.
#[derive(Default, Debug)]
struct Canned {
    owed: usize,
    waited: bool,
    reader: Option<Waker>,
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

impl Io for Canned {}
