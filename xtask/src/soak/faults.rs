//! What goes wrong in networks, and what the proxy has to make of it.

use std::io::Write;

use super::content::Content;
use super::random::Random;
use super::tally::Kind;
use super::wire::{End, Wire};
use super::world::{Request, World, answer, cut, refusal, tunnel, whole};
use crate::Result;

const MEDIUM: u64 = 400_000;

/// Does it; `false` when the fault did not come about this time.
pub(super) fn run(kind: Kind, world: &World, random: &mut Random) -> Result<bool> {
    match kind {
        Kind::NoCredentials => credentials(world, ""),
        // `ana:guess`
        Kind::WrongCredentials => credentials(world, "Proxy-Authorization: Basic YW5hOmd1ZXNz\r\n"),
        Kind::ClientGarbage => garbage(Wire::dial(world.proxy)?, random),
        Kind::EchoGarbage => garbage(Wire::dial(world.echo)?, random),
        Kind::SlowHead => slow_head(world, random),
        Kind::SlowUpload => slow_upload(world, random),
        Kind::VanishDownload => vanish(world, random, "sized"),
        Kind::VanishUpload => vanish(world, random, "upload"),
        Kind::VanishTunnel => vanish_tunnel(world, random),
        Kind::Refused => refused(world, random),
        Kind::Garbage => refusal(&mut get(world, random, "garbage")?.0, 502),
        Kind::Nothing => refusal(&mut get(world, random, "nothing")?.0, 502),
        Kind::Switched => refusal(&mut get(world, random, "switch")?.0, 502),
        Kind::Stalled => refusal(&mut get(world, random, "stalled")?.0, 504),
        Kind::StalledBody => is_cut(get(world, random, "stalled-body")?),
        Kind::Short => is_cut(get(world, random, "short")?),
        Kind::CutChunks => is_cut(get(world, random, "cut-chunks")?),
        Kind::Reset => return reset(get(world, random, "reset")?),
        Kind::ResetUpload => reset_upload(world, random),
        Kind::Early => early(world, random),
        Kind::ResetTunnel => ends(world, &format!("/reset/{}/{}\n", random.length(MEDIUM), random.below(1000))),
        Kind::StalledTunnel => ends(world, "/silent/0/0\n"),
        Kind::Killed => return mortal(world, random),
        _ => return Err(format!("nobody does: {kind}").into()),
    }
    .map(|()| true)
}

type Asked = (Wire, Request<'static>);

fn get(world: &World, random: &mut Random, what: &'static str) -> Result<Asked> {
    let request = Request::get(world.origin, what, 1000 + random.below(MEDIUM), random);
    let mut wire = Wire::dial(world.proxy)?;
    wire.send(request.head())?;
    Ok((wire, request))
}

fn is_cut((mut wire, request): Asked) -> Result {
    cut(&mut wire, &request)
}

/// A reset can overtake the head of the answer: then nothing of it is there, and it is a 502.
fn reset((mut wire, request): Asked) -> Result<bool> {
    let mut content = Content::from(request.start);
    let head = wire.head()?.ok_or("no answer to a request whose answer was reset")?;
    match head.status() {
        502 => wire.body(&head, |_| Ok(())).map(|_| false),
        200 => match wire.body(&head, |bytes| content.check(bytes))? {
            End::Cut => Ok(true),
            End::Complete => {
                Err(format!("an answer that was reset looks complete after {} bytes", content.passed).into())
            }
        },
        _ => Err(format!("{:?} for an answer that was reset", head.first).into()),
    }
}

fn credentials(world: &World, field: &str) -> Result {
    let mut wire = Wire::dial(world.proxy)?;
    let origin = world.origin;
    wire.send(format!("GET http://{origin}/sized/10/0 HTTP/1.1\r\nHost: {origin}\r\n{field}\r\n"))?;
    refusal(&mut wire, 407)
}

/// Is refused, and the connection closed.
fn garbage(mut wire: Wire, random: &mut Random) -> Result {
    let long = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "x".repeat(70_000));
    let (bytes, status): (&[u8], u16) = random.of(
        &[
            (b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\r\n\r\n", 400),
            (b"GET / HTTP/1.1\nHost: a\n\n", 400),
            (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
            (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
            (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
            (b"GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n", 400),
        ],
        (long.as_bytes(), 431),
    );
    let (bytes, status) = if random.below(6) == 0 { (long.as_bytes(), 431) } else { (bytes, status) };
    wire.send(bytes)?;
    answer(&mut wire, status)?;
    wire.rest(|_| Ok(()))
}

fn slow_head(world: &World, random: &mut Random) -> Result {
    let mut wire = Wire::dial(world.proxy)?;
    let head = get_head(world, random);
    let half = head.get(..head.len() / 2).unwrap_or_default();
    // One byte at a time, and then no more.
    half.as_bytes().iter().try_for_each(|byte| wire.send([*byte]))?;
    answer(&mut wire, 408)?;
    wire.rest(|_| Ok(()))
}

fn get_head(world: &World, random: &mut Random) -> String {
    Request::get(world.origin, "sized", 100, random).head()
}

fn slow_upload(world: &World, random: &mut Random) -> Result {
    let length = 1000 + random.below(MEDIUM);
    let fields = format!("Content-Length: {length}\r\n");
    let request = Request::get(world.origin, "upload", length, random).post(&fields);
    let mut wire = Wire::dial(world.proxy)?;
    wire.send(request.head())?;
    Content::from(request.start).write(&mut wire.stream, length / 2)?;
    answer(&mut wire, 408)?;
    wire.rest(|_| Ok(()))
}

/// Goes away half-way, with a FIN or a reset.
fn vanish(world: &World, random: &mut Random, what: &str) -> Result {
    let length = 10 * MEDIUM;
    let fields = format!("Content-Length: {length}\r\n");
    let mut request = Request::get(world.origin, what, length, random);
    if what == "upload" {
        request = request.post(&fields);
    }
    let mut wire = Wire::dial(world.proxy)?;
    wire.send(request.head())?;
    match what {
        "upload" => Content::from(request.start).write(&mut wire.stream, random.below(length))?,
        _ => {
            let mut content = Content::from(request.start);
            answer(&mut wire, 200)?;
            wire.bytes(random.below(length), |bytes| content.check(bytes))?;
        }
    }
    leave(wire, random)
}

fn vanish_tunnel(world: &World, random: &mut Random) -> Result {
    let mut wire = tunnel(world, world.far)?;
    wire.send("/vanish/0/0\n")?;
    Content::from(0).write(&mut wire.stream, random.length(MEDIUM))?;
    leave(wire, random)
}

fn leave(wire: Wire, random: &mut Random) -> Result {
    if random.below(2) == 0 { Ok(wire.reset()?) } else { Ok(()) }
}

/// As a request and as a tunnel.
fn refused(world: &World, random: &mut Random) -> Result {
    let mut wire = Wire::dial(world.proxy)?;
    wire.send(Request::get(world.nobody, "sized", 10, random).head())?;
    refusal(&mut wire, 502)?;
    match tunnel(world, world.nobody) {
        Err(error) if error.to_string().contains("HTTP/1.1 502 ") => Ok(()),
        Err(error) => Err(error),
        Ok(_) => Err("a tunnel to where nobody listens".into()),
    }
}

fn reset_upload(world: &World, random: &mut Random) -> Result {
    let request =
        Request::get(world.origin, "reset-upload", 10 * MEDIUM, random).post("Transfer-Encoding: chunked\r\n");
    let mut wire = Wire::dial(world.proxy)?;
    wire.send(request.head())?;
    // The connection may be closed while this is written.
    let mut content = Content::from(request.start);
    let written = content.write_chunks(&mut wire.stream, request.length, random);
    match (wire.head()?, written) {
        (Some(head), _) if head.status() == 502 => Ok(()),
        (Some(head), _) => Err(format!("{:?} for an upload that was reset", head.first).into()),
        (None, _) => Ok(()),
    }
}

/// The answer that came before the upload was over.
fn early(world: &World, random: &mut Random) -> Result {
    let fields = format!("Content-Length: {}\r\n", 100 * MEDIUM);
    let request = Request::get(world.origin, "early", 0, random).post(&fields);
    let mut wire = Wire::dial(world.proxy)?;
    wire.send(request.head())?;
    wire.stream.write_all(&[b'x'; 2000])?;
    let head = answer(&mut wire, 413)?;
    match wire.exactly(head.length().unwrap_or_default())?.as_deref() {
        Some(b"stop") => Ok(()),
        _ => Err("an early answer without its body".into()),
    }
}

/// A tunnel that the proxy has to close, whatever came through it before.
fn ends(world: &World, line: &str) -> Result {
    let mut wire = tunnel(world, world.far)?;
    wire.send(line)?;
    wire.rest(|_| Ok(()))
}

/// Asks the origin that is killed now and then. Whether it was the fault that was met is counted where it is seen.
fn mortal(world: &World, random: &mut Random) -> Result<bool> {
    let request = Request::get(world.mortal, "sized", 10 * MEDIUM, random);
    let mut wire = Wire::dial(world.proxy)?;
    wire.send(request.head())?;
    let head = wire.head()?.ok_or("no answer where an origin may have been killed")?;
    let mut content = Content::from(request.start);
    let end = match head.status() {
        200 => wire.body(&head, |bytes| content.check(bytes))?,
        502 => return wire.body(&head, |_| Ok(())).map(|_| true),
        _ => return Err(format!("{:?} of an origin that may have been killed", head.first).into()),
    };
    if end == End::Cut {
        return Ok(true);
    }
    world.tally.add(Kind::Restarted);
    Ok(false)
}

/// A request that has to be served while others are not.
pub(super) fn is_served(world: &World, random: &mut Random) -> Result {
    let request = Request::get(world.origin, "sized", 1000, random);
    let mut wire = Wire::dial(world.proxy)?;
    wire.send(request.head())?;
    whole(&mut wire, &request)
}
