//! The origins: an HTTP server that does what the path says, and the far ends of tunnels, which do what the first line says.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::content::Content;
use super::random::Random;
use super::wire::{End, Wire};
use crate::Result;

/// What an origin is asked for: `/WHAT/LENGTH/START`.
#[derive(Debug)]
struct Ask {
    what: String,
    length: u64,
    start: u64,
}

impl Ask {
    fn of(text: &str) -> Option<Self> {
        let mut parts = text.split('/').skip(1);
        let what = parts.next()?.to_owned();
        let mut number = || parts.next()?.parse().ok();
        Some(Self { what, length: number()?, start: number()? })
    }
}

/// Whether answers without end come to theirs.
static FLOWS_END: AtomicBool = AtomicBool::new(false);

/// Lets the answers end that have none.
pub(super) fn end_flows() {
    FLOWS_END.store(true, Relaxed);
}

/// What is done on a connection.
type Serve = fn(&mut Wire) -> Result;

/// An origin on a port of the system's choice, served by threads of its own.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) addr: SocketAddr,
    open: Open,
}

/// The connections that are open, by number.
type Open = Arc<Mutex<BTreeMap<u64, TcpStream>>>;

impl Origin {
    pub(super) fn start(each: Serve) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let origin = Self { addr: listener.local_addr()?, open: Open::default() };
        let open = Arc::clone(&origin.open);
        thread::spawn(move || serve(&listener, each, &open));
        Ok(origin)
    }

    /// Closes the connections that the proxy keeps for later.
    pub(super) fn hang_up(&self) {
        for stream in lock(&self.open).values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn lock(open: &Open) -> MutexGuard<'_, BTreeMap<u64, TcpStream>> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

/// HTTP on a connection, until its end.
pub(super) fn http(wire: &mut Wire) -> Result {
    while one(wire)? {}
    Ok(())
}

/// Serves on this listener until the process ends.
pub(super) fn serve(listener: &TcpListener, each: Serve, open: &Open) {
    for (number, stream) in (0..).zip(listener.incoming()) {
        let Ok(wire) = stream.and_then(Wire::new) else { continue };
        let Ok(stream) = wire.stream.try_clone() else { continue };
        lock(open).insert(number, stream);
        let open = Arc::clone(open);
        thread::spawn(move || {
            serve_one(wire, each);
            lock(&open).remove(&number);
        });
    }
}

/// What goes wrong here the client sees, and says.
fn serve_one(mut wire: Wire, each: Serve) {
    if each(&mut wire).is_err_and(|error| error.is::<Resets>()) {
        let _ = wire.reset();
    }
}

/// The connection is to end with a reset.
#[derive(Debug, Clone, Copy)]
struct Resets;

impl std::fmt::Display for Resets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection is reset")
    }
}

impl std::error::Error for Resets {}

/// Answers a request; `false` when it was the last one.
fn one(wire: &mut Wire) -> Result<bool> {
    let Some(head) = wire.head()? else { return Ok(false) };
    let target = head.first.split(' ').nth(1).unwrap_or_default();
    let Some(Ask { what, length, start }) = Ask::of(target) else {
        wire.send("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")?;
        return Ok(true);
    };
    let mut content = Content::from(start);
    let mut out = io::BufWriter::with_capacity(16 * 1024, wire.stream.try_clone()?);
    let sized = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
    match what.as_str() {
        "sized" => {
            out.write_all(sized.as_bytes())?;
            content.write(&mut out, length)?;
        }
        "chunked" | "cut-chunks" => {
            out.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
            content.write_chunks(&mut out, length, &mut Random::new(start, 1))?;
            if what == "cut-chunks" {
                out.flush()?;
                return Ok(false);
            }
            out.write_all(b"0\r\n\r\n")?;
        }
        // As often as it takes.
        "flow" => {
            out.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
            while !FLOWS_END.load(Relaxed) {
                content.write_chunks(&mut out, length, &mut Random::new(start, 1))?;
            }
            out.write_all(b"0\r\n\r\n")?;
        }
        "close" => {
            out.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")?;
            content.write(&mut out, length)?;
            out.flush()?;
            return Ok(false);
        }
        "upload" => {
            let mut wrong = None;
            let end = wire.body(&head, |bytes| {
                wrong = wrong.take().or(content.check(bytes).err());
                Ok(())
            })?;
            if end == End::Cut {
                return Ok(false);
            }
            let told = wrong.map_or_else(|| content.passed.to_string(), |wrong| wrong.to_string());
            write!(out, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{told}", told.len())?;
        }
        "early" => {
            wire.bytes(1000, |_| Ok(()))?;
            out.write_all(b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 4\r\nconnection: close\r\n\r\nstop")?;
            out.flush()?;
            wire.stream.shutdown(Shutdown::Write)?;
            wire.rest(|_| Ok(()))?;
            return Ok(false);
        }
        "short" | "reset" | "stalled-body" => {
            out.write_all(sized.as_bytes())?;
            content.write(&mut out, length / 2)?;
            out.flush()?;
            match what.as_str() {
                "reset" => return Err(Resets.into()),
                "stalled-body" => wire.rest(|_| Ok(()))?,
                _ => {}
            }
            return Ok(false);
        }
        "reset-upload" => {
            wire.bytes(1000, |_| Ok(()))?;
            return Err(Resets.into());
        }
        "stalled" => {
            wire.rest(|_| Ok(()))?;
            return Ok(false);
        }
        "garbage" => {
            out.write_all(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")?;
            out.flush()?;
            return Ok(false);
        }
        "switch" => {
            out.write_all(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: soak\r\nconnection: upgrade\r\n\r\n")?;
            out.flush()?;
            return Ok(false);
        }
        // "nothing", and whatever has no name here.
        _ => return Ok(false),
    }
    out.flush()?;
    Ok(true)
}

/// The far end of a tunnel: `/WHAT/LENGTH/START` on the first line.
pub(super) fn tunnel(wire: &mut Wire) -> Result {
    let Some(line) = wire.line()? else { return Ok(()) };
    let Some(Ask { what, length, start }) = Ask::of(&line) else { return websocket(wire, &line) };
    let mut content = Content::from(start);
    match what.as_str() {
        "bulk" => {
            let mut down = Content::from(start + 1);
            let mut to = wire.stream.try_clone()?;
            let writer = thread::spawn(move || down.write(&mut to, length));
            wire.bytes(length, |bytes| content.check(bytes))?;
            let _ = writer.join();
            // Behind all that was announced: what came up was right.
            wire.send("ok")?;
            wire.rest(|_| Ok(()))
        }
        "half" => {
            wire.rest(|bytes| content.check(bytes))?;
            if content.passed != length {
                return Ok(());
            }
            content.write(&mut wire.stream, length).map_err(Into::into)
        }
        "talk" => loop {
            let Some(size) = wire.exactly(1)? else { return Ok(()) };
            let Some(message) = wire.exactly(size.first().copied().unwrap_or_default().into())? else { return Ok(()) };
            wire.send([size, message].concat())?;
        },
        "reset" => {
            content.write(&mut wire.stream, length)?;
            Err(Resets.into())
        }
        // "silent", and "vanish", in which the client goes.
        _ => wire.rest(|_| Ok(())),
    }
}

/// A WebSocket server (RFC 6455) that sends every short message back: enough of it for the bytes to look like one.
fn websocket(wire: &mut Wire, first: &str) -> Result {
    if !first.starts_with("GET ") || wire.head()?.is_none() {
        return Ok(());
    }
    wire.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")?;
    while let Some(head) = wire.exactly(6)? {
        let [first, size, key @ ..] = head.as_slice() else { return Ok(()) };
        let Some(mut message) = wire.exactly(u64::from(size & 0x7f))? else { return Ok(()) };
        message.iter_mut().zip(key.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
        wire.send([&[*first, size & 0x7f], message.as_slice()].concat())?;
    }
    Ok(())
}

/// Accepts on a port that somebody else keeps reserved, as the process that is killed does.
pub(super) fn on_reserved_port(port: u16) -> Result<TcpListener> {
    let socket = reserving_socket(port)?;
    socket.listen(1024)?;
    Ok(socket.into())
}

/// A socket that holds a port: nobody else gets it, but for those who ask for it in the same way.
pub(super) fn reserving_socket(port: u16) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    socket.set_reuse_port(true)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], port)).into())?;
    Ok(socket)
}

/// The port of a socket.
pub(super) fn port(socket: &socket2::Socket) -> Result<u16> {
    let addr = socket.local_addr()?;
    Ok(addr.as_socket().ok_or("a socket without a port")?.port())
}

/// Whether anybody accepts there.
pub(super) fn is_up(addr: SocketAddr) -> bool {
    TcpStream::connect(addr).is_ok()
}
