//! What is under way when the proxy is told to stop, and comes to its end.
//!
//! Each of these transfers is known to be under way before the signal, goes on until the proxy says that it drains, and never
//! stands still: so there is something to drain however late the signal comes, and no limit of time can be what ends it.

use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use super::content::Content;
use super::origin;
use super::program::Program;
use super::random::Random;
use super::transfers::message;
use super::wire::{End, Wire};
use super::world::{Request, World, answer, tunnel};
use crate::Result;

/// Only a guard against hanging.
const GUARD: Duration = Duration::from_secs(60);

/// What is read or written at a time.
const PIECE: u64 = 1 << 20;

/// More than the kernel's buffers on the way to the proxy take: once so much is written, the proxy reads it.
const AHEAD: u64 = 64 << 20;

/// Two of each.
const TRANSFERS: [fn(&UnderWay<'_>) -> Result; 6] = [download, upload, talk, download, upload, talk];

/// What a transfer goes by.
#[derive(Debug)]
struct UnderWay<'a> {
    world: &'a World,
    /// To be told once, when bytes have passed the proxy.
    begun: Sender<()>,
    /// Whether the proxy has said that it drains.
    drains: &'a AtomicBool,
}

/// Sends the signal, and sees all transfers to their ends.
pub(super) fn run(world: &World, proxy: &Program) -> Result {
    let drains = AtomicBool::new(false);
    let (begun, begins) = mpsc::channel();
    thread::scope(|scope| {
        let start = |transfer: &'static fn(&UnderWay<'_>) -> Result| {
            let under_way = UnderWay { world, begun: begun.clone(), drains: &drains };
            scope.spawn(move || transfer(&under_way))
        };
        let transfers: Vec<_> = TRANSFERS.iter().map(start).collect();
        let signal = || {
            for _ in &transfers {
                begins.recv_timeout(GUARD).map_err(|_| "not all transfers begin")?;
            }
            proxy.signal("TERM")?;
            proxy.told("draining")
        };
        let told = signal();
        // Whatever came of it: they are to end.
        drains.store(true, Relaxed);
        origin::end_flows();
        for transfer in transfers {
            let outcome = transfer.join().map_err(|_| "a thread panicked")?;
            outcome.map_err(|error| format!("a transfer during the drain: {error}"))?;
        }
        told.map(|_| ())
    })
}

impl UnderWay<'_> {
    fn begun(&self) {
        // Nobody waits any more where another transfer has failed.
        let _ = self.begun.send(());
    }

    fn goes_on(&self) -> bool {
        !self.drains.load(Relaxed)
    }
}

/// Is read all the time; the origin ends it.
fn download(under_way: &UnderWay<'_>) -> Result {
    let request = Request::get(under_way.world.origin, "flow", PIECE, &mut Random::new(0, 0));
    let mut wire = Wire::dial(under_way.world.proxy)?;
    wire.send(request.head())?;
    let head = answer(&mut wire, 200)?;
    under_way.begun();
    let mut content = Content::from(request.start);
    let end = wire.body(&head, |bytes| content.check(bytes))?;
    // The origin ends behind a whole piece.
    if end == End::Cut || !content.passed.is_multiple_of(PIECE) {
        return Err(format!("{end:?} behind {} bytes of an answer", content.passed).into());
    }
    Ok(())
}

fn upload(under_way: &UnderWay<'_>) -> Result {
    let mut random = Random::new(0, 1);
    let request = Request::get(under_way.world.origin, "upload", 0, &mut random).post("Transfer-Encoding: chunked\r\n");
    let mut wire = Wire::dial(under_way.world.proxy)?;
    wire.send(request.head())?;
    let mut content = Content::from(request.start);
    let mut write = |to: &mut TcpStream, len| content.write_chunks(to, len, &mut random);
    let mut length = AHEAD;
    write(&mut wire.stream, AHEAD)?;
    under_way.begun();
    while under_way.goes_on() {
        write(&mut wire.stream, PIECE)?;
        length += PIECE;
    }
    wire.send("0\r\n\r\n")?;
    let head = answer(&mut wire, 200)?;
    let told = wire.exactly(head.length().unwrap_or_default())?.unwrap_or_default();
    match String::from_utf8_lossy(&told) {
        told if told == length.to_string() => Ok(()),
        told => Err(format!("of an upload of {length} bytes the origin says: {told}").into()),
    }
}

/// A tunnel that is never silent.
fn talk(under_way: &UnderWay<'_>) -> Result {
    let mut random = Random::new(0, 2);
    let mut wire = tunnel(under_way.world, under_way.world.far)?;
    wire.send("/talk/0/0\n")?;
    message(&mut wire, &mut random)?;
    under_way.begun();
    while under_way.goes_on() {
        message(&mut wire, &mut random)?;
    }
    message(&mut wire, &mut random)
}
