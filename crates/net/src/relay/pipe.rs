//! Pipes of the kernel: through them `splice(2)` moves bytes from socket to socket without their being copied here.

use std::{
    cell::RefCell,
    fs, io,
    os::fd::OwnedFd,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use rustix::{
    io::{Errno, retry_on_intr},
    pipe::{PipeFlags, SpliceFlags, fcntl_getpipe_size, fcntl_setpipe_size, pipe_with, splice},
    process::{Resource, getrlimit},
};
use tokio::net::TcpStream;

/// As many bytes as the largest buffer of the copy.
const CAPACITY: usize = 256 * 1024;

/// What the system gives without being asked. With less, the system calls cost more than the copying.
const LEAST_CAPACITY: usize = 64 * 1024;

/// How many a thread keeps, as of the large buffers.
const KEPT: usize = 4;

/// How many there are in the process at most: with as many the pipes of a user who has no privileges reach Linux'
/// `pipe-user-pages-soft`, beyond which they are no larger than a page.
const MAX: usize = 256;

/// A pipe takes two descriptors, and pipes take an eighth of those that the process may have: who runs short of them
/// cannot accept, and can always copy.
const DESCRIPTORS_PER_PIPE: usize = 16;

static OPEN: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static POOL: RefCell<Vec<Pipe>> = const { RefCell::new(Vec::new()) };
}

/// A pipe, and the bytes that are in it. It is filled only when it is empty: so it is never "full" that a
/// splice into it means when it finds nothing to do.
#[derive(Debug)]
pub(super) struct Pipe {
    out: OwnedFd,
    into: OwnedFd,
    capacity: usize,
    held: usize,
}

impl Pipe {
    /// An empty one, kept or new; `None` where there is none to be had.
    pub(super) fn take() -> Option<Self> {
        // While a thread ends its pool may be gone already.
        let kept = POOL.try_with(|pool| pool.borrow_mut().pop()).ok().flatten();
        kept.or_else(|| Self::open(CAPACITY, MAX.min(affordable())))
    }

    /// A new one, if there are fewer than `max`.
    fn open(capacity: usize, max: usize) -> Option<Self> {
        if !survives_a_broken_pipe() {
            return None;
        }
        OPEN.fetch_update(Relaxed, Relaxed, |open| (open < max).then_some(open + 1)).ok()?;
        let Ok((out, into)) = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC) else {
            OPEN.fetch_sub(1, Relaxed);
            return None;
        };
        // From here on it is the drop that counts it off. Where the size is refused, that of the system has to do.
        let mut pipe = Self { out, into, capacity: 0, held: 0 };
        let size = fcntl_setpipe_size(&pipe.into, capacity).or_else(|_| fcntl_getpipe_size(&pipe.into));
        pipe.capacity = size.unwrap_or(0).min(CAPACITY);
        (pipe.capacity >= LEAST_CAPACITY).then_some(pipe)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.held == 0
    }

    /// Takes what `from` has, as far as it fits; 0 when a splice finds nothing, for whatever reason.
    ///
    /// # Errors
    ///
    /// Those of reading the socket, and [`Unsupported`](io::ErrorKind::Unsupported) when it is none from which bytes can be
    /// spliced here.
    pub(super) fn fill(&mut self, from: &TcpStream) -> io::Result<usize> {
        debug_assert!(self.is_empty());
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        match retry_on_intr(|| splice(from, None, &self.into, None, self.capacity, flags)) {
            Ok(n) => {
                self.held = n;
                Ok(n)
            }
            Err(Errno::AGAIN) => Ok(0),
            // Nothing was read: what a sandbox or a lack of memory refuses, a read may get.
            Err(Errno::INVAL | Errno::NOSYS | Errno::PERM | Errno::ACCESS | Errno::NOMEM) => {
                Err(io::ErrorKind::Unsupported.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Gives `to` what it takes of the bytes in the pipe.
    ///
    /// # Errors
    ///
    /// Those of writing to the socket.
    pub(super) fn drain(&mut self, to: &TcpStream) -> io::Result<usize> {
        // Never with `MORE`, and for no more than there is: the kernel would keep the last bytes back to wait for others.
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        let n = retry_on_intr(|| splice(&self.out, None, to, None, self.held, flags))?;
        self.held -= n.min(self.held);
        Ok(n)
    }

    /// Keeps it for the next direction, or closes it when bytes are left in it.
    pub(super) fn give_back(self) {
        if self.is_empty() {
            let _ = POOL.try_with(|pool| {
                let mut pool = pool.borrow_mut();
                if pool.len() < KEPT {
                    pool.push(self);
                }
            });
        }
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Relaxed);
    }
}

/// How many pipes the limit of descriptors leaves room for.
fn affordable() -> usize {
    let descriptors = getrlimit(Resource::Nofile).current;
    descriptors.map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX)) / DESCRIPTORS_PER_PIPE
}

/// Whether `SIGPIPE` does not end the process. Every other write to a socket can ask for an error instead
/// (`MSG_NOSIGNAL`), a splice cannot. A Rust program ignores the signal unless it has set it back, and a library in a program of
/// another language cannot know. The answer is kept: such things are decided at the start.
fn survives_a_broken_pipe() -> bool {
    static SURVIVES: OnceLock<bool> = OnceLock::new();
    if let Some(answer) = SURVIVES.get() {
        return *answer;
    }
    // Without a descriptor to read it with, there is none for a pipe either, and the question stays open.
    let Ok(status) = fs::read_to_string("/proc/self/status") else { return false };
    *SURVIVES.get_or_init(|| names_sigpipe(&status))
}

/// Whether the signal is among the ignored or the caught ones of a `/proc/PID/status`.
fn names_sigpipe(status: &str) -> bool {
    const SIGPIPE: u32 = 13;
    let masks = status.lines().filter_map(|line| line.strip_prefix("SigIgn:").or_else(|| line.strip_prefix("SigCgt:")));
    masks.filter_map(|mask| u64::from_str_radix(mask.trim(), 16).ok()).any(|mask| mask & (1 << (SIGPIPE - 1)) != 0)
}

#[cfg(test)]
mod tests;
