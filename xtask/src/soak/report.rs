//! What is printed, and what has to hold at the end.

use std::time::Duration;

use super::program::{Ended, Held};
use super::tally::{Kind, Tally};
use super::{PIPES_TOLERANCE, RSS_TOLERANCE_KIB};
use crate::Result;

/// How often everything has happened.
pub(super) fn counts(tally: &Tally, warmed_up: u64) {
    for kind in Kind::ALL {
        println!("soak: {:>9}  {kind}", tally.count(*kind));
    }
    println!("soak: {:>9}  in all, after {warmed_up} to warm up", tally.total());
}

pub(super) fn missing(tally: &Tally) -> Result {
    match tally.missing().as_slice() {
        [] => Ok(()),
        kinds => {
            let kinds: Vec<_> = kinds.iter().map(ToString::to_string).collect();
            Err(format!("never happened: {}", kinds.join("; ")).into())
        }
    }
}

/// What a program holds at rest, after the warm-up and in the end.
pub(super) fn held(name: &str, warm: Held, done: Held) -> Result {
    for (when, held) in [("warm", warm), ("done", done)] {
        let Held { sockets, others, threads, rss_kib } = held;
        println!(
            "soak: {name}, {when}: {rss_kib} KiB, {sockets} sockets, {others} other descriptors, {threads} threads"
        );
    }
    if done.rss_kib > warm.rss_kib + RSS_TOLERANCE_KIB {
        let more = done.rss_kib - warm.rss_kib;
        return Err(format!(
            "{name} leaks memory: {more} KiB more than after the warm-up, at most {RSS_TOLERANCE_KIB}"
        )
        .into());
    }
    if done.sockets > warm.sockets {
        return Err(format!("{name} leaks sockets: {} and {} after the warm-up", done.sockets, warm.sockets).into());
    }
    if done.others > warm.others + PIPES_TOLERANCE {
        return Err(format!("{name} leaks descriptors: {} and {} after the warm-up", done.others, warm.others).into());
    }
    Ok(())
}

/// How a program has ended, and what it has told.
pub(super) fn ended(name: &str, ended: &Ended, limit: Duration) -> Result {
    let Ended { status, took, stderr, lines } = ended;
    for line in stderr.iter().filter(|line| !line.contains("SIGHUP")) {
        println!("soak: {name}: {line}");
    }
    println!("soak: {name}: {status}, {:.1} s after the signal, {lines} lines of its access log", took.as_secs_f64());
    let told = |part: &str| stderr.iter().find(|line| line.contains(part));
    if let Some(line) = told("ERROR").or_else(|| told("WARN")).or_else(|| told("panic")) {
        return Err(format!("{name} has logged: {line}").into());
    }
    if status.code() != Some(0) || *took > limit || told(" 0 cut").is_none() {
        return Err(format!("{name} did not stop in good order: {status} after {took:?}").into());
    }
    // Of the counters: connections, requests and tunnels.
    if let Some(line) = told("chaski: connections ")
        && line.matches("(0 active").count() != 3
    {
        return Err(format!("{name} has tasks that nobody waits for: {line}").into());
    }
    Ok(())
}
