//! A program under test: started, watched, stopped.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::Result;

/// Only a guard against hanging.
const GUARD: Duration = Duration::from_secs(60);

/// One heap for all threads, whose free end goes back to the system. With a heap for each, free pieces of memory grow for hours, as
/// more and more threads have at some time held much at once; that hides what is lost, and is none.
const ALLOCATOR: [(&str, &str); 2] = [("MALLOC_ARENA_MAX", "1"), ("MALLOC_TRIM_THRESHOLD_", "131072")];

#[derive(Debug)]
pub(super) struct Program {
    name: &'static str,
    child: Child,
    pub(super) addr: SocketAddr,
    /// The lines of standard error, as they come.
    told: Mutex<Receiver<String>>,
    stderr: Option<JoinHandle<Vec<String>>>,
    /// The number of lines on standard output.
    stdout: Option<JoinHandle<u64>>,
}

/// What a process holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) sockets: usize,
    /// Descriptors that are no sockets.
    pub(super) others: usize,
    pub(super) threads: usize,
    /// Resident memory that the program has allocated. Pages of its file are not counted: they come when code is first run,
    /// which for a rare fault may be late.
    pub(super) rss_kib: u64,
}

/// How a program has ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    pub(super) took: Duration,
    pub(super) stderr: Vec<String>,
    pub(super) lines: u64,
}

impl Program {
    pub(super) fn start(name: &'static str, path: &Path, arguments: &[&str]) -> Result<Self> {
        let mut child = Command::new(path)
            .args(arguments)
            .envs(ALLOCATOR)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", path.display()))?;
        let (tell, told) = mpsc::channel();
        let stderr = child.stderr.take().ok_or("no standard error")?;
        let stderr = thread::spawn(move || {
            let mut all = Vec::new();
            for line in BufReader::new(stderr).lines().map_while(std::result::Result::ok) {
                let _ = tell.send(line.clone());
                all.push(line);
            }
            all
        });
        let stdout = child.stdout.take().ok_or("no standard output")?;
        let stdout = thread::spawn(move || count_lines(stdout));
        let mut program = Self {
            name,
            child,
            addr: SocketAddr::from(([127, 0, 0, 1], 0)),
            told: Mutex::new(told),
            stderr: Some(stderr),
            stdout: Some(stdout),
        };
        let line = program.told("listening on ")?;
        let (_, addr) = line.split_once("listening on ").unwrap_or_default();
        program.addr = addr.parse().map_err(|_| format!("{name} listens on {addr:?}"))?;
        Ok(program)
    }

    /// Waits for a line on standard error that has this in it, behind those that were waited for before.
    pub(super) fn told(&self, part: &str) -> Result<String> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let mut others = Vec::new();
        loop {
            match told.recv_timeout(GUARD) {
                Ok(line) if line.contains(part) => return Ok(line),
                Ok(line) => others.push(line),
                Err(why) => {
                    let held = self.held();
                    return Err(format!(
                        "{} does not tell {part:?} ({why}), but {others:?}; it holds {held:?}",
                        self.name
                    )
                    .into());
                }
            }
        }
    }

    /// Sends a signal: `TERM`, `HUP`.
    pub(super) fn signal(&self, name: &str) -> Result {
        let mut kill = Command::new("kill");
        crate::process::run(kill.arg(format!("-{name}")).arg(self.child.id().to_string()))
    }

    fn proc(&self, file: &str) -> String {
        format!("/proc/{}/{file}", self.child.id())
    }

    /// What it holds now.
    pub(super) fn held(&self) -> Result<Held> {
        let gone = |_| format!("{} is not running any more", self.name);
        let mut held = Held { sockets: 0, others: 0, threads: 0, rss_kib: 0 };
        for entry in fs::read_dir(self.proc("fd")).map_err(gone)?.flatten() {
            match fs::read_link(entry.path()) {
                Ok(target) if target.to_string_lossy().starts_with("socket:") => held.sockets += 1,
                Ok(_) => held.others += 1,
                // Closed meanwhile.
                Err(_) => {}
            }
        }
        let status = fs::read_to_string(self.proc("status")).map_err(gone)?;
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            line.split_whitespace().next().and_then(|value| value.parse().ok()).unwrap_or(0)
        };
        held.rss_kib = number("RssAnon:");
        held.threads = usize::try_from(number("Threads:")).unwrap_or_default();
        Ok(held)
    }

    /// Waits until no more sockets are open than there were; what is held then.
    pub(super) fn at_rest(&self, sockets: usize) -> Result<Held> {
        let begun = Instant::now();
        loop {
            let held = self.held()?;
            if held.sockets <= sockets {
                return Ok(held);
            }
            if begun.elapsed() > GUARD {
                let more = held.sockets - sockets;
                return Err(format!("{} leaks sockets: {more} are open without traffic", self.name).into());
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits for the end that a signal has begun.
    pub(super) fn end(mut self) -> Result<Ended> {
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if begun.elapsed() > GUARD {
                return Err(format!("{} does not end", self.name).into());
            }
            thread::sleep(Duration::from_millis(5));
        };
        let took = begun.elapsed();
        let stderr = self.stderr.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        let lines = self.stdout.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        Ok(Ended { status, took, stderr, lines })
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn count_lines(mut from: impl Read) -> u64 {
    let mut buffer = vec![0; 64 * 1024];
    let mut lines = 0;
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        lines += buffer.get(..n).unwrap_or_default().iter().filter(|byte| **byte == b'\n').count() as u64;
    }
    lines
}
