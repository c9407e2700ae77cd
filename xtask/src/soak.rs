//! `cargo xtask soak --mins N [--seed S]`: hours of a network's bad days in minutes, and afterwards everything is as before.
//!
//! Release builds of `chaski proxy` and `chaski serve echo` run on loopback. Clients make transfers, in which every byte is
//! compared, and faults, of which each has one right outcome. A seed makes the choices; how they interleave is the system's.
//! Nothing of the code under test is used here: the HTTP of this program is its own.

mod chaos;
mod content;
mod drain;
mod faults;
mod options;
mod origin;
mod program;
mod random;
mod report;
mod tally;
mod transfers;
mod wire;
mod world;

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use chaos::{Mortal, Users};
use options::{Options, SHORT};
use origin::Origin;
use program::{Held, Program};
use random::Random;
use tally::{Kind, Tally};
use world::World;

use crate::{Result, process, workspace};

/// Clients of transfers and of faults that are over at once.
const CLIENTS: u64 = 16;

/// Clients of what lasts until a limit of the proxy ends it.
const WAITING_CLIENTS: u64 = 10;

/// Of the proxy: more than all clients, and few enough for a flood to be beyond it.
const MAX_CONNECTIONS: u64 = 200;

/// The proxy's limits of time for a connection on which nothing happens.
const LIMIT: &str = "4s";

/// How long the proxy has to drain. The transfers under way at the end take much less.
const DRAIN: Duration = Duration::from_secs(20);

/// How much more memory there may be after the run than after the warm-up, in which as many connections were open at a time:
/// what an allocator keeps between two times of rest moves by a part of it. The short form has some thousand connections, so
/// that a KiB lost with each is seen; half an hour has hundreds of thousands, and a few bytes are.
const RSS_TOLERANCE_KIB: u64 = 2 * 1024;

/// Descriptors that are no sockets, which may be kept between two times of rest: the pipes that tunnels hand on to each other.
const PIPES_TOLERANCE: usize = 64;

/// Done one after the other by each client, in an order of its own.
const DECK: [Kind; 25] = [
    Kind::Get,
    Kind::Get,
    Kind::Chunked,
    Kind::UntilClose,
    Kind::Upload,
    Kind::UploadChunked,
    Kind::Pipelined,
    Kind::Echo,
    Kind::Bulk,
    Kind::Talk,
    Kind::HalfClose,
    Kind::WebSocket,
    Kind::SlowReader,
    Kind::NoCredentials,
    Kind::WrongCredentials,
    Kind::ClientGarbage,
    Kind::EchoGarbage,
    Kind::VanishDownload,
    Kind::VanishUpload,
    Kind::VanishTunnel,
    Kind::Refused,
    Kind::Killed,
    Kind::Early,
    Kind::ResetTunnel,
    Kind::ResetUpload,
];

/// The faults of origins, done as often.
const ORIGIN_DECK: [Kind; 6] =
    [Kind::Garbage, Kind::Nothing, Kind::Switched, Kind::Reset, Kind::Short, Kind::CutChunks];

const WAITING_DECK: [Kind; 5] =
    [Kind::Stalled, Kind::StalledBody, Kind::StalledTunnel, Kind::SlowHead, Kind::SlowUpload];

pub(crate) fn run(arguments: &[String]) -> Result {
    match Options::parse(arguments)? {
        Options::Origin { port } => {
            origin::serve(&origin::on_reserved_port(port)?, origin::http, &Default::default());
            Ok(())
        }
        Options::Soak { length, seed, binary } => soak(length, seed, binary),
    }
}

/// The form that guards main.
pub(crate) fn short() -> Result {
    soak(SHORT, None, None)
}

fn soak(length: Duration, seed: Option<u64>, binary: Option<PathBuf>) -> Result {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seed = seed.unwrap_or(now.as_secs());
    let binary = binary.map_or_else(build, Ok)?;
    chaos::exists(&binary)?;
    // A minute shows what there is to be warm; the short form has no minute.
    let warm_up = (length * 2 / 5).min(Duration::from_secs(60));
    println!("soak: seed {seed}, {} s of which {} s to warm up", length.as_secs(), warm_up.as_secs());

    let users = Users(workspace::scratch()?.join(format!("soak-users-{}", std::process::id())));
    users.write(false)?;
    let users_path = users.0.display().to_string();
    let (limit, connections, drain) = (LIMIT, MAX_CONNECTIONS.to_string(), format!("{}s", DRAIN.as_secs()));
    // As many threads wherever it runs: each keeps some memory and some pipes for itself.
    let common =
        ["--bind", "127.0.0.1:0", "--threads", "4", "--client-timeout", limit, "--max-connections", &connections];
    let own =
        ["--allow", "127.0.0.0/8", "--users-file", &users_path, "--idle-timeout", limit, "--drain-timeout", &drain];
    let proxy = Program::start("the proxy", &binary, &[&["proxy"], &common[..], &own].concat())?;
    let echo = Program::start("the echo server", &binary, &[&["serve", "echo"], &common[..]].concat())?;
    let nobody = origin::reserving_socket(0)?;
    let (origin, far) = (Origin::start(origin::http)?, Origin::start(origin::tunnel)?);
    let mut mortal = Mortal::start()?;
    let mut world = World {
        proxy: proxy.addr,
        echo: echo.addr,
        origin: origin.addr,
        far: far.addr,
        mortal: mortal.addr,
        nobody: ([127, 0, 0, 1], origin::port(&nobody)?).into(),
        tally: Tally::new(),
    };
    let sockets = [proxy.held()?.sockets, echo.held()?.sockets];
    // Without the connections that the proxy keeps to origins, too.
    let rest = |mortal: &mut Mortal| -> Result<[Held; 2]> {
        origin.hang_up();
        mortal.kill()?;
        let held = [proxy.at_rest(sockets[0])?, echo.at_rest(sockets[1])?];
        mortal.restart()?;
        Ok(held)
    };

    traffic(&world, &proxy, &users, &mut mortal, seed, warm_up)?;
    let warm = rest(&mut mortal)?;
    let warmed_up = world.tally.total();
    world.tally = Tally::new();
    traffic(&world, &proxy, &users, &mut mortal, seed.wrapping_add(1), length - warm_up)?;
    let done = rest(&mut mortal)?;

    report::counts(&world.tally, warmed_up);
    report::missing(&world.tally)?;
    for ((name, warm), done) in ["proxy", "echo"].into_iter().zip(warm).zip(done) {
        report::held(name, warm, done)?;
    }
    drain::run(&world, &proxy)?;
    echo.signal("TERM")?;
    report::ended("the proxy", &proxy.end()?, DRAIN)?;
    report::ended("the echo server", &echo.end()?, DRAIN)?;
    println!("soak: passed");
    Ok(())
}

fn build() -> Result<PathBuf> {
    let mut build = process::cargo();
    process::run(build.args(["build", "--release", "--quiet", "-p", "chaski-cli"]))?;
    let folder = workspace::scratch()?;
    Ok(folder.parent().unwrap_or(&folder).join("release").join("chaski"))
}

/// All clients and what happens to all at once, for so long, and until the last of it is over.
fn traffic(world: &World, proxy: &Program, users: &Users, mortal: &mut Mortal, seed: u64, length: Duration) -> Result {
    let begun = Instant::now();
    thread::scope(|scope| {
        for number in 0..CLIENTS {
            let deck = [&DECK[..], &ORIGIN_DECK].concat();
            scope.spawn(move || client(world, deck, Random::new(seed, number), number));
        }
        for number in 0..WAITING_CLIENTS {
            let mut deck = WAITING_DECK.to_vec();
            // So that each of them is somebody's first: there is not much time in the short form.
            deck.rotate_left(usize::try_from(number).unwrap_or_default() % WAITING_DECK.len());
            scope.spawn(move || client_in_order(world, deck, Random::new(seed, CLIENTS + number), CLIENTS + number));
        }
        scope.spawn(move || {
            let mut random = Random::new(seed, u64::MAX);
            if let Err(error) = chaos::run(world, proxy, users, mortal, &mut random) {
                world.tally.fail(error.to_string());
            }
        });
        let left = length.saturating_sub(begun.elapsed());
        world.tally.pause(left);
        world.tally.stop();
    });
    match world.tally.failures().as_slice() {
        [] => Ok(()),
        [first, more @ ..] => {
            more.iter().take(5).for_each(|failure| println!("soak: {failure}"));
            Err(format!("seed {seed}: {first}").into())
        }
    }
}

/// A client that does all of a deck, shuffles it and begins anew.
fn client(world: &World, mut deck: Vec<Kind>, mut random: Random, number: u64) {
    while !world.tally.is_stopped() {
        random.shuffle(&mut deck);
        play(world, &deck, &mut random, number);
    }
}

fn client_in_order(world: &World, deck: Vec<Kind>, mut random: Random, number: u64) {
    while !world.tally.is_stopped() {
        play(world, &deck, &mut random, number);
    }
}

fn play(world: &World, deck: &[Kind], random: &mut Random, number: u64) {
    for kind in deck {
        if world.tally.is_stopped() {
            return;
        }
        let outcome = match transfers::run(*kind, world, random) {
            Ok(false) => faults::run(*kind, world, random),
            outcome => outcome,
        };
        match outcome {
            Ok(true) => world.tally.add(*kind),
            Ok(false) => {}
            Err(error) => world.tally.fail(format!("client {number}, {kind}: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is counted has to be done by somebody.
    #[test]
    fn every_kind_is_in_a_deck_or_happens_to_all() {
        let to_all = [Kind::Restarted, Kind::Reload, Kind::Flood];
        let dealt: Vec<_> = DECK.iter().chain(&ORIGIN_DECK).chain(&WAITING_DECK).chain(&to_all).collect();
        for kind in Kind::ALL {
            assert!(dealt.contains(&kind), "{kind}");
        }
    }
}
