//! As much of HTTP as it takes to ask and to answer: independent of the code under test, and as plain as can be.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::Result;

/// Only a guard against hanging.
const GUARD: Duration = Duration::from_secs(60);

/// How a body, or a stream, came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Complete,
    /// The connection was closed or reset before.
    Cut,
}

/// A connection, and what was read of it ahead.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) stream: TcpStream,
    ahead: Vec<u8>,
    at: usize,
}

/// The head of a message.
#[derive(Debug)]
pub(super) struct Head {
    /// The first line.
    pub(super) first: String,
    /// The fields, in lower case.
    fields: String,
}

impl Head {
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        let value = |line: &'_ str| line.split_once(':').filter(|(n, _)| *n == name).is_some();
        self.fields
            .lines()
            .find(|line| value(line))
            .and_then(|line| line.split_once(':'))
            .map(|(_, value)| value.trim())
    }

    /// Of a response; 0 if it is none.
    pub(super) fn status(&self) -> u16 {
        self.first.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).and_then(|s| s.parse().ok()).unwrap_or(0)
    }

    pub(super) fn is_chunked(&self) -> bool {
        self.field("transfer-encoding") == Some("chunked")
    }

    pub(super) fn length(&self) -> Option<u64> {
        self.field("content-length").and_then(|value| value.parse().ok())
    }
}

impl Wire {
    pub(super) fn dial(addr: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(addr).map_err(|error| format!("cannot connect: {error}"))?;
        Self::new(stream).map_err(Into::into)
    }

    pub(super) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(GUARD))?;
        stream.set_write_timeout(Some(GUARD))?;
        Ok(Self { stream, ahead: Vec::new(), at: 0 })
    }

    pub(super) fn send(&mut self, bytes: impl AsRef<[u8]>) -> Result {
        self.stream.write_all(bytes.as_ref()).map_err(|error| format!("cannot send: {error}").into())
    }

    /// Closes so that the other side gets a reset.
    pub(super) fn reset(self) -> io::Result<()> {
        socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO))
    }

    /// Reads ahead; 0 at the end, which a reset is too. Only silence is an error.
    fn fill(&mut self) -> Result<usize> {
        if self.at == self.ahead.len() {
            self.ahead.clear();
            self.at = 0;
        }
        let kept = self.ahead.len();
        self.ahead.resize(kept + 64 * 1024, 0);
        let read = self.stream.read(self.ahead.get_mut(kept..).unwrap_or_default());
        self.ahead.truncate(kept + read.as_ref().copied().unwrap_or_default());
        match read {
            Ok(n) => Ok(n),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                Err(format!("nothing came for {GUARD:?}").into())
            }
            Err(_) => Ok(0),
        }
    }

    fn held(&self) -> &[u8] {
        self.ahead.get(self.at..).unwrap_or_default()
    }

    /// Reads through these bytes, at most `limit`; without them. `None` when the connection ends before.
    fn until(&mut self, end: &[u8], limit: usize) -> Result<Option<String>> {
        loop {
            if let Some(found) = self.held().windows(end.len()).position(|window| window == end) {
                let text = String::from_utf8_lossy(self.held().get(..found).unwrap_or_default()).into_owned();
                self.at += found + end.len();
                return Ok(Some(text));
            }
            if self.held().len() > limit {
                return Err("a head or a line without an end".into());
            }
            if self.fill()? == 0 {
                return Ok(None);
            }
        }
    }

    /// The next head; `None` when the connection ends before it is complete.
    pub(super) fn head(&mut self) -> Result<Option<Head>> {
        let Some(text) = self.until(b"\r\n\r\n", 100_000)? else { return Ok(None) };
        let (first, fields) = text.split_once("\r\n").unwrap_or((&text, ""));
        Ok(Some(Head { first: first.to_owned(), fields: fields.to_lowercase() }))
    }

    /// A line, without its end.
    pub(super) fn line(&mut self) -> Result<Option<String>> {
        self.until(b"\n", 100_000)
    }

    /// Hands on so many bytes, or those until the end.
    pub(super) fn bytes(&mut self, mut len: u64, mut take: impl FnMut(&[u8]) -> Result) -> Result<End> {
        while len > 0 {
            if self.held().is_empty() && self.fill()? == 0 {
                return Ok(End::Cut);
            }
            let n = self.held().len().min(usize::try_from(len).unwrap_or(usize::MAX));
            take(self.held().get(..n).unwrap_or_default())?;
            self.at += n;
            len -= n as u64;
        }
        Ok(End::Complete)
    }

    /// Hands on everything up to the end of the connection.
    pub(super) fn rest(&mut self, take: impl FnMut(&[u8]) -> Result) -> Result {
        self.bytes(u64::MAX, take).map(|_| ())
    }

    /// So many bytes; `None` when the connection ends before.
    pub(super) fn exactly(&mut self, len: u64) -> Result<Option<Vec<u8>>> {
        let mut all = Vec::new();
        let end = self.bytes(len, |bytes| {
            all.extend_from_slice(bytes);
            Ok(())
        })?;
        Ok((end == End::Complete).then_some(all))
    }

    /// Hands on the body that follows this head: of a request, or of a response, which may end with the connection.
    pub(super) fn body(&mut self, head: &Head, mut take: impl FnMut(&[u8]) -> Result) -> Result<End> {
        if !head.is_chunked() {
            return match head.length() {
                Some(len) => self.bytes(len, take),
                None if head.first.starts_with("HTTP/") => self.rest(take).map(|()| End::Complete),
                None => Ok(End::Complete),
            };
        }
        loop {
            let Some(line) = self.until(b"\r\n", 1000)? else { return Ok(End::Cut) };
            let size = u64::from_str_radix(&line, 16).map_err(|_| format!("{line:?} is not the size of a chunk"))?;
            if size > 0 && self.bytes(size, &mut take)? == End::Cut {
                return Ok(End::Cut);
            }
            match self.exactly(2)?.as_deref() {
                Some(b"\r\n") if size > 0 => {}
                Some(b"\r\n") => return Ok(End::Complete),
                None => return Ok(End::Cut),
                Some(_) => return Err("a chunk that does not end where it should".into()),
            }
        }
    }
}
