//! What is given to h2 to be sent, and how much of it there may be.

use std::{
    io::IoSlice,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Waker},
};

use bytes::{Buf, Bytes};

/// How much a connection may have given to h2 that is not written yet, all its streams together.
#[derive(Debug)]
pub(crate) struct Room {
    limit: usize,
    used: AtomicUsize,
    /// Those that wait for some of it. There are at most as many as streams.
    waiting: Mutex<Vec<Waker>>,
}

impl Room {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit: limit.max(1), used: AtomicUsize::new(0), waiting: Mutex::default() })
    }

    /// Takes room for so many bytes at most; `None` if there is none, and then the task is woken when there is.
    fn take(&self, wanted: usize, cx: &Context<'_>) -> Option<usize> {
        self.try_take(wanted).or_else(|| {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            // A task is polled for other reasons too, and must not stand here once for each.
            if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
                waiting.push(cx.waker().clone());
            }
            drop(waiting);
            // What was given back before the lock has woken nobody.
            self.try_take(wanted)
        })
    }

    fn try_take(&self, wanted: usize) -> Option<usize> {
        let mut taken = 0;
        let update = |used: usize| {
            taken = wanted.min(self.limit.saturating_sub(used));
            (taken > 0).then_some(used + taken)
        };
        self.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, update).ok()?;
        Some(taken)
    }

    fn give_back(&self, bytes: usize) {
        let used = self.used.fetch_sub(bytes, Ordering::AcqRel);
        // Only who found no room at all waits.
        if used < self.limit {
            return;
        }
        let waiting = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        for waker in waiting {
            waker.wake();
        }
    }
}

/// Bytes to be sent. They take room until they are written or thrown away, unless they are few.
pub(crate) struct Chunk {
    bytes: Bytes,
    room: Option<Arc<Room>>,
    taken: usize,
}

impl Chunk {
    /// Bytes that take no room.
    pub(crate) fn small(bytes: Bytes) -> Self {
        Self { bytes, room: None, taken: 0 }
    }

    /// As many of `bytes` as there is room for, and not more than `limit`, which is not 0; `None` if there is none, and then
    /// the task is woken when there is.
    pub(crate) fn split_off(bytes: &mut Bytes, limit: usize, room: &Arc<Room>, cx: &Context<'_>) -> Option<Self> {
        let taken = room.take(limit.min(bytes.len()), cx)?;
        Some(Self { bytes: bytes.split_to(taken), room: Some(Arc::clone(room)), taken })
    }

    /// A copy of as many of `bytes`, which are not none, as there is room for; `None` if there is none, and then the task is
    /// woken when there is.
    pub(crate) fn copy(bytes: &[u8], room: &Arc<Room>, cx: &Context<'_>) -> Option<Self> {
        let taken = room.take(bytes.len(), cx)?;
        Some(Self { bytes: Bytes::copy_from_slice(&bytes[..taken]), room: Some(Arc::clone(room)), taken })
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        if let Some(room) = &self.room {
            room.give_back(self.taken);
        }
    }
}

impl Buf for Chunk {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        self.bytes.chunks_vectored(slices)
    }

    fn copy_to_bytes(&mut self, count: usize) -> Bytes {
        self.bytes.copy_to_bytes(count)
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::atomic::AtomicBool, task::Wake};

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    #[test]
    fn what_is_not_written_takes_room_and_who_waits_for_it_is_woken() {
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let cx = Context::from_waker(&waker);
        let room = Room::new(10);
        let mut bytes = Bytes::from_static(b"0123456789abcdef");
        let first = Chunk::split_off(&mut bytes, 6, &room, &cx).unwrap();
        let mut second = Chunk::split_off(&mut bytes, 6, &room, &cx).unwrap();
        assert_eq!((first.chunk(), second.chunk()), (&b"012345"[..], &b"6789"[..]));
        for _ in 0..3 {
            assert!(Chunk::split_off(&mut bytes, 6, &room, &cx).is_none());
        }
        assert_eq!(room.waiting.lock().unwrap().len(), 1, "who asks again waits in the same place");
        assert_eq!(bytes, "abcdef");
        second.advance(4);
        assert!(Chunk::split_off(&mut bytes, 6, &room, &cx).is_none(), "it may still be written");
        assert!(!woken.0.load(Ordering::Relaxed));
        drop(second);
        assert!(woken.0.load(Ordering::Relaxed));
        assert_eq!(Chunk::split_off(&mut bytes, 6, &room, &cx).unwrap().chunk(), b"abcd");
        drop(Chunk::small(bytes));
        drop(first);
        assert_eq!(room.used.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn who_is_polled_while_it_waits_waits_once() {
        let wakers = [Waker::from(Arc::new(Woken::default())), Waker::from(Arc::new(Woken::default()))];
        let room = Room::new(10);
        let full = Chunk::copy(&[0; 10], &room, &Context::from_waker(&wakers[0])).unwrap();
        for waker in wakers.iter().cycle().take(1000) {
            assert!(Chunk::copy(&[0; 10], &room, &Context::from_waker(waker)).is_none());
        }
        assert_eq!(room.waiting.lock().unwrap().len(), 2);
        drop(full);
        assert_eq!(room.waiting.lock().unwrap().len(), 0);
    }
}
