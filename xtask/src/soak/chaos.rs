//! What happens to all at once: an origin is killed and comes back, users come and go, connections flood in.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::faults;
use super::origin;
use super::program::Program;
use super::random::Random;
use super::tally::Kind;
use super::wire::Wire;
use super::world::{ANA, BEN, World, refusal};
use crate::Result;

/// How long to wait for what has to follow. Only a guard against hanging.
const GUARD: Duration = Duration::from_secs(60);

/// bcrypt of `secret` at its least cost, as `htpasswd -bnBC 4 ana secret` makes it.
const SECRET: &str = "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW";

/// The users file of the proxy, gone with the run.
#[derive(Debug)]
pub(super) struct Users(pub(super) PathBuf);

impl Users {
    pub(super) fn write(&self, with_ben: bool) -> Result {
        let ben = if with_ben { format!("ben:{SECRET}\n") } else { String::new() };
        fs::write(&self.0, format!("ana:{SECRET}\n{ben}"))?;
        fs::set_permissions(&self.0, fs::Permissions::from_mode(0o600)).map_err(Into::into)
    }
}

impl Drop for Users {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// An origin in a process of its own, which can be killed.
#[derive(Debug)]
pub(super) struct Mortal {
    child: Child,
    pub(super) addr: SocketAddr,
    /// Bound and not listening: so nobody else gets the port while the process is dead.
    _reserved: socket2::Socket,
}

impl Mortal {
    pub(super) fn start() -> Result<Self> {
        let reserved = origin::reserving_socket(0)?;
        let addr = SocketAddr::from(([127, 0, 0, 1], origin::port(&reserved)?));
        let mortal = Self { child: spawn(addr)?, addr, _reserved: reserved };
        mortal.wait_until_up()?;
        Ok(mortal)
    }

    pub(super) fn kill(&mut self) -> Result {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    pub(super) fn restart(&mut self) -> Result {
        self.child = spawn(self.addr)?;
        self.wait_until_up()
    }

    fn wait_until_up(&self) -> Result {
        let begun = Instant::now();
        while !origin::is_up(self.addr) {
            if begun.elapsed() > GUARD {
                return Err("the origin does not come up".into());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for Mortal {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// This program again, as an origin.
fn spawn(addr: SocketAddr) -> Result<Child> {
    // As it runs, whatever was built at its path meanwhile.
    let mut origin = Command::new("/proc/self/exe");
    origin.args(["soak", "--origin", &addr.port().to_string()]).stdin(Stdio::null());
    Ok(origin.spawn()?)
}

/// One after the other, until the end.
pub(super) fn run(world: &World, proxy: &Program, users: &Users, mortal: &mut Mortal, random: &mut Random) -> Result {
    let mut with_ben = false;
    // In turn, so that there is time for each of them in the short form.
    let mut turns = (0..3).cycle();
    while world.tally.pause(Duration::from_millis(100 + random.below(200))) {
        match turns.next() {
            Some(0) => kill(world, mortal)?,
            Some(1) => {
                with_ben = !with_ben;
                reload(world, proxy, users, with_ben)?;
            }
            _ => flood(world, random)?,
        }
    }
    Ok(())
}

/// Kills the origin, until somebody has met that, and restarts it, until somebody has been served again.
fn kill(world: &World, mortal: &mut Mortal) -> Result {
    let (met, served) = (world.tally.count(Kind::Killed), world.tally.count(Kind::Restarted));
    mortal.kill()?;
    let was_met = world.tally.more_than(Kind::Killed, met, GUARD);
    mortal.restart()?;
    if was_met && !world.tally.more_than(Kind::Restarted, served, GUARD) && !world.tally.is_stopped() {
        return Err("nobody gets an answer of an origin that was restarted".into());
    }
    Ok(())
}

/// Lets a user in, or out.
fn reload(world: &World, proxy: &Program, users: &Users, with_ben: bool) -> Result {
    users.write(with_ben)?;
    proxy.signal("HUP")?;
    proxy.told(if with_ben { "2 users" } else { "1 users" })?;
    for (who, is_in) in [(BEN, with_ben), (ANA, true)] {
        let mut wire = Wire::dial(world.proxy)?;
        wire.send(format!("OPTIONS * HTTP/1.1\r\nHost: a\r\nProxy-Authorization: Basic {who}\r\n\r\n"))?;
        refusal(&mut wire, if is_in { 200 } else { 407 }).map_err(|error| format!("after SIGHUP: {error}"))?;
    }
    world.tally.add(Kind::Reload);
    Ok(())
}

/// Twice as many connections as there may be, which say nothing, something or rubbish. Behind them all, one asks; when they
/// go, it is served.
fn flood(world: &World, random: &mut Random) -> Result {
    use std::io::Write;

    let mut flood = Vec::new();
    for _ in 0..2 * super::MAX_CONNECTIONS {
        let mut stream = TcpStream::connect(world.proxy)?;
        // What the proxy has refused already takes no more.
        let _ = stream.write_all(random.of::<&[u8]>(&[b"", b"GET http://", b"\x16\x03\x01\x02\0\r\n\r\n"], b"\0"));
        flood.push(stream);
    }
    thread::scope(|scope| {
        let mut choice = random.clone();
        let served = scope.spawn(move || faults::is_served(world, &mut choice));
        for stream in flood {
            if random.below(2) == 0 {
                socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
            }
        }
        served.join().map_err(|_| "a thread panicked")?
    })
    .map_err(|error: crate::Error| format!("behind a flood: {error}"))?;
    world.tally.add(Kind::Flood);
    Ok(())
}

/// Whether this file is there.
pub(super) fn exists(path: &Path) -> Result {
    if path.is_file() { Ok(()) } else { Err(format!("{} is not there", path.display()).into()) }
}
