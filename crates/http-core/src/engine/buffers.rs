//! Buffers that are held only while there is something in them.
//!
//! A connection takes a buffer from its thread's pool just before it reads and puts it back when the read finds nothing,
//! so that an idle connection holds none.

use std::{
    cell::RefCell,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::BytesMut;
use tokio::io::AsyncRead;

/// What a fresh buffer holds: a large browser head and then some.
const READ_SIZE: usize = 8 * 1024;

/// The most room that is made for one read of a large body.
const LARGE_READ: usize = 64 * 1024;

/// A buffer with less room than this is not used again as it is: it has to hold the head of most messages.
const MIN_POOLED: usize = 4 * 1024;

/// Below this much room, a read is not worth its system call.
const MIN_ROOM: usize = 1024;

/// The most buffers a thread keeps of each kind: 16 of 8 to 16 KiB.
const MAX_POOLED: usize = 16;

/// The largest output buffer that is kept.
const MAX_POOLED_OUTPUT: usize = 32 * 1024;

struct Pool {
    read: Vec<BytesMut>,
    write: Vec<Vec<u8>>,
}

thread_local! {
    static POOL: RefCell<Pool> = const { RefCell::new(Pool { read: Vec::new(), write: Vec::new() }) };
}

/// The thread's pool; `None` when the thread is ending and has none any more, as connections that end with it find.
fn with_pool<T>(f: impl FnOnce(&mut Pool) -> T) -> Option<T> {
    POOL.try_with(|pool| f(&mut pool.borrow_mut())).ok()
}

/// The read buffer of a connection.
#[derive(Debug, Default)]
pub(crate) struct ReadBuf {
    pub(crate) bytes: BytesMut,
    /// The room that the last read filled, to the end: the next one gets more. 0 when it left some.
    filled: usize,
    /// It was made larger than what the pool keeps.
    large: bool,
}

impl ReadBuf {
    /// Makes room for a read: at least `READ_SIZE` into an empty buffer, more when reads come in full.
    fn make_room(&mut self) {
        if self.bytes.capacity() == 0
            && let Some(mut pooled) = with_pool(|pool| pool.read.pop()).flatten()
            // Of one that is used up, what lies before may still be held by a message. Usually it has gone by now: so a
            // buffer is seldom allocated, though most messages outlive their read.
            && (pooled.capacity() >= MIN_POOLED || pooled.try_reclaim(READ_SIZE))
        {
            self.bytes = pooled;
        }
        if self.filled > 0 {
            // By doubling, so that a body that is little larger than one buffer does not cost a large one.
            self.reserve((self.filled * 2).min(LARGE_READ));
        } else if self.bytes.capacity() - self.bytes.len() < MIN_ROOM {
            self.reserve(READ_SIZE);
        }
    }

    /// Makes so much room. Copied is what is still to be read; `BytesMut::reserve` would also copy what lay before it.
    fn reserve(&mut self, room: usize) {
        if !self.bytes.try_reclaim(room) {
            let mut larger = BytesMut::with_capacity(self.bytes.len() + room);
            larger.extend_from_slice(&self.bytes);
            self.large = larger.capacity() > 2 * READ_SIZE;
            self.bytes = larger;
        }
    }

    /// Gives an empty buffer back.
    pub(crate) fn release(&mut self) {
        if !self.bytes.is_empty() || self.bytes.capacity() == 0 {
            return;
        }
        let Self { bytes, large, .. } = std::mem::take(self);
        if !large {
            with_pool(|pool| {
                if pool.read.len() < MAX_POOLED {
                    pool.read.push(bytes);
                }
            });
        }
    }
}

/// Reads once into `buf`. `Ready(Ok(0))` is the end of the stream. When nothing is there and nothing is held, the buffer goes
/// back to the pool.
pub(crate) fn poll_fill<I: AsyncRead + Unpin>(
    io: &mut I,
    buf: &mut ReadBuf,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    buf.make_room();
    let room = buf.bytes.capacity() - buf.bytes.len();
    match tokio_util::io::poll_read_buf(Pin::new(io), cx, &mut buf.bytes) {
        Poll::Ready(Ok(n)) => {
            buf.filled = if n >= room && room >= READ_SIZE { room } else { 0 };
            Poll::Ready(Ok(n))
        }
        other => {
            buf.release();
            other
        }
    }
}

/// Takes an empty output buffer.
pub(crate) fn take_output() -> Vec<u8> {
    with_pool(|pool| pool.write.pop()).flatten().unwrap_or_default()
}

/// Gives an output buffer back.
pub(crate) fn put_output(mut bytes: Vec<u8>) {
    if bytes.capacity() == 0 || bytes.capacity() > MAX_POOLED_OUTPUT {
        return;
    }
    bytes.clear();
    with_pool(|pool| {
        if pool.write.len() < MAX_POOLED {
            pool.write.push(bytes);
        }
    });
}

#[cfg(test)]
mod tests {
    use bytes::BufMut;

    use super::*;

    #[test]
    fn an_idle_connection_holds_no_buffer() {
        let (mut io, _far) = tokio::io::duplex(16);
        let mut buf = ReadBuf::default();
        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert!(poll_fill(&mut io, &mut buf, &mut cx).is_pending());
        assert_eq!(buf.bytes.capacity(), 0);
    }

    #[test]
    fn the_room_behind_a_message_is_used_by_the_next_one() {
        let pooled = || POOL.with_borrow(|pool| pool.read.len());
        let before = pooled();
        let mut buf = ReadBuf { bytes: BytesMut::with_capacity(READ_SIZE), ..ReadBuf::default() };
        buf.bytes.put_slice(b"first");
        let first = buf.bytes.split().freeze();
        buf.release();
        assert_eq!((buf.bytes.capacity(), pooled()), (0, before + 1));
        buf.make_room();
        buf.bytes.put_slice(b"second");
        assert_eq!((&first[..], &buf.bytes[..]), (&b"first"[..], &b"second"[..]));
        assert_eq!(buf.bytes.as_ptr() as usize, first.as_ptr() as usize + first.len());
    }

    #[test]
    fn a_buffer_grows_with_reads_that_fill_it_and_copies_only_what_is_still_to_be_read() {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let mut io = &[b'a'; 256 * 1024][..];
        let mut buf = ReadBuf::default();
        // A buffer of its own, whatever this thread's pool has.
        buf.bytes.reserve(READ_SIZE);
        let mut reads = Vec::new();
        for _ in 0..5 {
            assert!(poll_fill(&mut io, &mut buf, &mut cx).is_ready());
            reads.push(buf.bytes.len());
            let _ = buf.bytes.split_to(buf.bytes.len() - 1);
            // The one byte that is left has moved to a new buffer with the next read.
        }
        let kib = 1024;
        assert_eq!(reads, [8 * kib, 16 * kib + 1, 32 * kib + 1, 64 * kib + 1, 64 * kib + 1]);
    }

    #[test]
    fn a_buffer_that_is_used_up_is_used_again_when_its_messages_have_gone() {
        for gone in [true, false] {
            let mut buf = ReadBuf { bytes: BytesMut::with_capacity(READ_SIZE), ..ReadBuf::default() };
            buf.bytes.put_bytes(b'a', READ_SIZE - MIN_POOLED + 1);
            let held = buf.bytes.split().freeze();
            let memory = held.as_ptr();
            buf.release();
            if gone {
                drop(held);
            }
            buf.make_room();
            assert_eq!(buf.bytes.as_ptr() == memory, gone);
            assert!(buf.bytes.capacity() >= READ_SIZE);
        }
    }

    #[test]
    fn a_large_buffer_is_not_pooled() {
        let mut io = &[b'a'; 64 * 1024][..];
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let mut buf = ReadBuf::default();
        for _ in 0..3 {
            assert!(poll_fill(&mut io, &mut buf, &mut cx).is_ready());
        }
        // Nearly all of it is a message's, which shows how large it is no more.
        let held = buf.bytes.split();
        let pooled = POOL.with_borrow(|pool| pool.read.len());
        buf.release();
        assert_eq!((buf.bytes.capacity(), POOL.with_borrow(|pool| pool.read.len())), (0, pooled));
        assert!(held.len() > 2 * READ_SIZE);
    }
}
