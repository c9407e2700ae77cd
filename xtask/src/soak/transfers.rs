//! What a proxy is for: transfers that have to succeed, and to the last byte.

use std::net::Shutdown;
use std::thread;

use super::content::Content;
use super::random::Random;
use super::tally::Kind;
use super::wire::{End, Wire};
use super::world::{Request, World, answer, tunnel, whole};
use crate::Result;

const LARGE: u64 = 2 << 20;

/// Does it, or says that it is none of these.
pub(super) fn run(kind: Kind, world: &World, random: &mut Random) -> Result<bool> {
    match kind {
        Kind::Get => download(world, random, "sized"),
        Kind::Chunked => download(world, random, "chunked"),
        Kind::UntilClose => download(world, random, "close"),
        Kind::Upload => upload(world, random, false),
        Kind::UploadChunked => upload(world, random, true),
        Kind::Pipelined => pipelined(world, random),
        Kind::Echo => echo(world, random),
        Kind::Bulk => bulk(world, random),
        Kind::Talk => talk(world, random),
        Kind::HalfClose => half_close(world, random),
        Kind::WebSocket => websocket(world, random),
        Kind::SlowReader => slow_reader(world, random),
        _ => return Ok(false),
    }
    .map(|()| true)
}

/// Some requests on one connection.
fn download(world: &World, random: &mut Random, what: &str) -> Result {
    let mut wire = Wire::dial(world.proxy)?;
    for _ in 0..=random.below(4) {
        let request = Request::get(world.origin, what, random.length(LARGE), random);
        wire.send(request.head())?;
        whole(&mut wire, &request)?;
    }
    Ok(())
}

/// The origin answers with the number of bytes, if they were the right ones.
fn upload(world: &World, random: &mut Random, chunked: bool) -> Result {
    let mut wire = Wire::dial(world.proxy)?;
    for _ in 0..=random.below(2) {
        let length = random.length(LARGE);
        let fields = match chunked {
            true => "Transfer-Encoding: chunked\r\n".to_owned(),
            false => format!("Content-Length: {length}\r\n"),
        };
        let request = Request::get(world.origin, "upload", length, random).post(&fields);
        wire.send(request.head())?;
        let mut content = Content::from(request.start);
        if chunked {
            content.write_chunks(&mut wire.stream, length, random)?;
            wire.send("0\r\n\r\n")?;
        } else {
            content.write(&mut wire.stream, length)?;
        }
        let head = answer(&mut wire, 200)?;
        let told = wire.exactly(head.length().unwrap_or_default())?.unwrap_or_default();
        let told = String::from_utf8_lossy(&told).into_owned();
        if told != length.to_string() {
            return Err(format!("of an upload of {length} bytes the origin says: {told}").into());
        }
    }
    Ok(())
}

fn pipelined(world: &World, random: &mut Random) -> Result {
    let mut wire = Wire::dial(world.proxy)?;
    let requests: Vec<_> = (0..8).map(|_| Request::get(world.origin, "sized", random.length(10_000), random)).collect();
    wire.send(requests.iter().map(Request::head).collect::<String>())?;
    requests.iter().try_for_each(|request| whole(&mut wire, request))
}

/// What the echo server says of a body.
fn echo(world: &World, random: &mut Random) -> Result {
    let mut wire = Wire::dial(world.echo)?;
    for _ in 0..=random.below(4) {
        let length = random.length(50_000);
        wire.send(format!("PUT /soak HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"))?;
        wire.send(vec![b'e'; usize::try_from(length)?])?;
        let head = answer(&mut wire, 200)?;
        let told = wire.exactly(head.length().unwrap_or_default())?.unwrap_or_default();
        let told = String::from_utf8_lossy(&told).into_owned();
        let body: String = "e".repeat(usize::try_from(length)?);
        if !told.contains(&format!("\"body_bytes\": {length}")) || !told.contains(&format!("\"body\": \"{body}\"")) {
            return Err(format!("the echo of {length} bytes is not what was sent").into());
        }
    }
    Ok(())
}

/// As much up as down, at the same time.
fn bulk(world: &World, random: &mut Random) -> Result {
    let (length, start) = (random.length(4 * LARGE), random.below(1 << 20));
    let mut wire = tunnel(world, world.far)?;
    wire.send(format!("/bulk/{length}/{start}\n"))?;
    let mut up = Content::from(start);
    let mut to = wire.stream.try_clone()?;
    let writer = thread::spawn(move || up.write(&mut to, length));
    let mut down = Content::from(start + 1);
    let end = wire.bytes(length, |bytes| down.check(bytes))?;
    let written = writer.join().map_err(|_| "a writer panicked")?;
    written.map_err(|error| format!("a tunnel takes no more: {error}"))?;
    if end == End::Cut {
        return Err(format!("a tunnel ended after {} of {length} bytes", down.passed).into());
    }
    match wire.exactly(2)?.as_deref() {
        Some(b"ok") => Ok(()),
        _ => Err(format!("the {length} bytes of a tunnel did not arrive as they were sent").into()),
    }
}

/// One message after the other, each of which comes back.
fn talk(world: &World, random: &mut Random) -> Result {
    let mut wire = tunnel(world, world.far)?;
    wire.send("/talk/0/0\n")?;
    (0..100 + random.below(200)).try_for_each(|_| message(&mut wire, random))
}

/// One message there and back.
pub(super) fn message(wire: &mut Wire, random: &mut Random) -> Result {
    let size = u8::try_from(random.below(200)).unwrap_or_default();
    let fill = u8::try_from(random.below(256)).unwrap_or_default();
    let message = [vec![size], vec![fill; size.into()]].concat();
    wire.send(&message)?;
    match wire.exactly(message.len() as u64)? == Some(message) {
        true => Ok(()),
        false => Err(format!("a message of {size} bytes did not come back from a tunnel").into()),
    }
}

/// The far end answers when it has seen our end, and all before it.
fn half_close(world: &World, random: &mut Random) -> Result {
    let (length, start) = (random.length(LARGE), random.below(1 << 20));
    let mut wire = tunnel(world, world.far)?;
    wire.send(format!("/half/{length}/{start}\n"))?;
    let mut content = Content::from(start);
    content.write(&mut wire.stream, length)?;
    wire.stream.shutdown(Shutdown::Write)?;
    // It goes on where ours ended.
    wire.rest(|bytes| content.check(bytes))?;
    match content.passed == 2 * length {
        true => Ok(()),
        false => Err(format!("{} of {length} bytes came behind a half-close", content.passed - length).into()),
    }
}

fn websocket(world: &World, random: &mut Random) -> Result {
    let mut wire = tunnel(world, world.far)?;
    wire.send("GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\r\n")?;
    answer(&mut wire, 101)?;
    for _ in 0..100 {
        let size = u8::try_from(random.below(126)).unwrap_or_default();
        let key = random.next().to_le_bytes();
        let message: Vec<u8> = (0..size).collect();
        let masked = message.iter().zip(key.iter().take(4).cycle()).map(|(byte, key)| byte ^ key);
        let frame: Vec<u8> = [0x82, 0x80 | size].into_iter().chain(key.into_iter().take(4)).chain(masked).collect();
        wire.send(frame)?;
        if wire.exactly(u64::from(size) + 2)? != Some([&[0x82, size], message.as_slice()].concat()) {
            return Err("a WebSocket message did not come back as it was sent".into());
        }
    }
    Ok(())
}

/// Reads in sips what is sent at once: the proxy has to wait, and to hold the origin back.
fn slow_reader(world: &World, random: &mut Random) -> Result {
    let request = Request::get(world.origin, "sized", 8 * LARGE, random);
    let mut wire = Wire::dial(world.proxy)?;
    wire.send(request.head())?;
    let head = answer(&mut wire, 200)?;
    let mut content = Content::from(request.start);
    for _ in 0..50 {
        wire.bytes(10_000, |bytes| content.check(bytes))?;
        world.tally.pause(std::time::Duration::from_millis(5));
    }
    let rest = head.length().unwrap_or_default().saturating_sub(content.passed);
    match wire.bytes(rest, |bytes| content.check(bytes))? {
        End::Complete if content.passed == request.length => Ok(()),
        _ => Err(format!("a slow reader got {} of {} bytes", content.passed, request.length).into()),
    }
}
