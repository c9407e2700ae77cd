//! A TCP service under layers: a time limit, a limit of conversations at a time, and a codec that makes lines of bytes.
//! The service itself never sees a socket: it takes a line and gives a line.
//!
//! ```sh
//! cargo run -p chaski-examples --bin layered-tcp -- 127.0.0.1:7000
//! printf 'one\ntwo\n' | nc -N 127.0.0.1 7000
//! ```
#![expect(clippy::print_stdout, reason = "an example talks on its terminal")]

use std::{convert::Infallible, io, time::Duration};

use chaski::{
    BoxError, Conn, Description, Io, Layer, Service, Shutdown, check,
    middleware::{ConcurrencyLimitLayer, TimeoutLayer},
    net::TcpListener,
    service_fn, stack,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let addr = std::env::args().nth(1).unwrap_or("127.0.0.1:0".to_owned());
    let listener = TcpListener::bind(addr).await?;
    println!("listening on {}", listener.local_addr()?);

    let service = check::<Conn<TcpStream>, _>(stack(
        (
            // Outermost, so that the time spent waiting for a turn counts.
            TimeoutLayer::new(Duration::from_secs(60)).with_name("the conversation"),
            // Before the first read: a conversation that has to wait costs no buffer, one that is shed costs nothing.
            ConcurrencyLimitLayer::new(100).with_queue(100),
            // From here down there are lines.
            LinesLayer,
        ),
        service_fn(reverse),
    ));
    println!("{}", listener.describe(&service));
    listener.serve(service, &Shutdown::new()).await;
    Ok(())
}

async fn reverse(line: String) -> Result<String, Infallible> {
    Ok(line.chars().rev().collect())
}

/// An acceptor: connections in, lines to the service below. It answers each line with a line, one after the other.
#[derive(Clone, Copy, Debug)]
struct LinesLayer;

impl<S> Layer<S> for LinesLayer {
    type Service = Lines<S>;

    fn layer(&self, inner: S) -> Lines<S> {
        Lines { inner }
    }
}

struct Lines<S> {
    inner: S,
}

impl<S, IO> Service<Conn<IO>> for Lines<S>
where
    IO: Io,
    S: Service<String, Output = String, Error: Into<BoxError>>,
{
    type Output = ();
    type Error = io::Error;

    async fn serve(&self, mut conn: Conn<IO>) -> io::Result<()> {
        let mut decoder = LineDecoder::default();
        let mut bytes = [0; 1024];
        loop {
            let count = conn.io.read(&mut bytes).await?;
            if count == 0 {
                return conn.io.shutdown().await;
            }
            decoder.push(&bytes[..count]);
            while let Some(line) = decoder.line()? {
                let mut answer = self.inner.serve(line).await.map_err(io::Error::other)?;
                answer.push('\n');
                conn.io.write_all(answer.as_bytes()).await?;
            }
        }
    }

    fn describe(&self) -> Description {
        Description::of::<Self>().setting("max_line", LineDecoder::MAX_LINE).child(self.inner.describe())
    }
}

/// The codec: bytes in, lines out, and no IO, so that a test can cut its input wherever it wants.
#[derive(Debug, Default)]
struct LineDecoder {
    buffer: Vec<u8>,
}

impl LineDecoder {
    /// The longest line in bytes. Without a limit a peer that sends no line end would fill the memory.
    const MAX_LINE: usize = 4096;

    fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next line, without its end. `None` asks for more bytes.
    fn line(&mut self) -> io::Result<Option<String>> {
        let end = self.buffer.iter().position(|byte| *byte == b'\n');
        if end.unwrap_or(self.buffer.len()) > Self::MAX_LINE {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a line is too long"));
        }
        let Some(end) = end else { return Ok(None) };
        let mut line: Vec<u8> = self.buffer.drain(..=end).collect();
        line.pop();
        String::from_utf8(line).map(Some).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}
