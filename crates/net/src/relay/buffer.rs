//! The memory of one direction: taken when there may be something to read, given back when there is nothing.

use std::cell::RefCell;

/// The sizes that buffers come in. Each is taken after a read that filled one of the size before: a keystroke costs no more
/// than it needs, and bulk pays for few system calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Size {
    Small,
    Middle,
    Large,
}

impl Size {
    /// The largest size of at most `bytes`; the smallest one when none is.
    pub(super) fn at_most(bytes: usize) -> Self {
        [Self::Large, Self::Middle].into_iter().find(|size| size.bytes() <= bytes).unwrap_or(Self::Small)
    }

    pub(super) const fn bytes(self) -> usize {
        match self {
            Self::Small => 8 * 1024,
            Self::Middle => 64 * 1024,
            Self::Large => 256 * 1024,
        }
    }

    const fn larger(self) -> Self {
        match self {
            Self::Small => Self::Middle,
            Self::Middle | Self::Large => Self::Large,
        }
    }

    const fn smaller(self) -> Self {
        match self {
            Self::Large => Self::Middle,
            Self::Middle | Self::Small => Self::Small,
        }
    }

    /// How many of this size a thread keeps: 128 KiB, 256 KiB and 1 MiB in all. A relay that is not being polled holds a
    /// buffer only while its writer is blocked, so few are in use at a time.
    const fn kept(self) -> usize {
        match self {
            Self::Small => 16,
            Self::Middle | Self::Large => 4,
        }
    }
}

thread_local! {
    static POOL: RefCell<[Vec<Box<[u8]>>; 3]> = const { RefCell::new([const { Vec::new() }; 3]) };
}

/// Reads in a row that would have fitted into the next smaller size, before that is taken.
const SMALL_READS: u8 = 4;

/// Bytes between a reader and a writer, in order. Memory is held only while there are any, or while one reads.
#[derive(Debug)]
pub(super) struct Buffer {
    memory: Option<(Size, Box<[u8]>)>,
    start: usize,
    end: usize,
    /// The size to take next.
    size: Size,
    max: Size,
    small_reads: u8,
}

impl Buffer {
    pub(super) const fn new(max: Size) -> Self {
        Self { memory: None, start: 0, end: 0, size: Size::Small, max, small_reads: 0 }
    }

    /// The bytes to write.
    pub(super) fn bytes(&self) -> &[u8] {
        self.memory.as_ref().map_or(&[], |(_, memory)| &memory[self.start..self.end])
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Where to read to; `None` when it is full. What follows must be [`fill`](Self::fill) or, when nothing came,
    /// [`release`](Self::release).
    pub(super) fn space(&mut self) -> Option<&mut [u8]> {
        if self.is_empty() {
            (self.start, self.end) = (0, 0);
            if self.memory.as_ref().is_some_and(|(held, _)| *held != self.size) {
                self.release();
            }
        }
        let (_, memory) = self.memory.get_or_insert_with(|| (self.size, take(self.size)));
        let space = &mut memory[self.end..];
        (!space.is_empty()).then_some(space)
    }

    /// `n` bytes were read into the space.
    pub(super) fn fill(&mut self, n: usize) {
        let Some((held, memory)) = &self.memory else { return };
        // Only a read into an empty buffer tells what the reader has to give: behind a slow writer every buffer fills up.
        if self.is_empty() {
            if n == memory.len() {
                self.size = held.larger().min(self.max);
                self.small_reads = 0;
            } else if n > held.smaller().bytes() || *held == Size::Small {
                self.small_reads = 0;
            } else {
                self.small_reads += 1;
                if self.small_reads == SMALL_READS {
                    self.size = held.smaller();
                    self.small_reads = 0;
                }
            }
        }
        self.end = (self.end + n).min(memory.len());
    }

    /// The first `n` bytes were written.
    pub(super) fn consume(&mut self, n: usize) {
        self.start = (self.start + n).min(self.end);
    }

    /// Gives the memory back, and with it what was not written.
    pub(super) fn release(&mut self) {
        (self.start, self.end) = (0, 0);
        if let Some((size, memory)) = self.memory.take() {
            give_back(size, memory);
        }
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.memory.as_ref().map_or(0, |(_, memory)| memory.len())
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.release();
    }
}

fn take(size: Size) -> Box<[u8]> {
    // While a thread ends its pool may be gone already.
    let pooled = POOL.try_with(|pool| pool.borrow_mut()[size as usize].pop()).ok().flatten();
    pooled.unwrap_or_else(|| vec![0; size.bytes()].into_boxed_slice())
}

fn give_back(size: Size, memory: Box<[u8]>) {
    let _ = POOL.try_with(|pool| {
        let pool = &mut pool.borrow_mut()[size as usize];
        if pool.len() < size.kept() {
            pool.push(memory);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One read of `n` bytes into an empty buffer, all written again; the size that was there to read into.
    fn pass(buffer: &mut Buffer, n: usize) -> usize {
        let space = buffer.space().unwrap().len();
        buffer.fill(n.min(space));
        buffer.consume(n.min(space));
        assert!(buffer.is_empty());
        space
    }

    #[test]
    fn sizes_grow_on_full_reads_and_shrink_on_small_ones() {
        let mut buffer = Buffer::new(Size::Large);
        let sizes: Vec<_> = (0..4).map(|_| pass(&mut buffer, usize::MAX)).collect();
        assert_eq!(sizes, [8_192, 65_536, 262_144, 262_144]);
        let sizes: Vec<_> = (0..9).map(|_| pass(&mut buffer, 100)).collect();
        assert_eq!(sizes, [262_144, 262_144, 262_144, 262_144, 65_536, 65_536, 65_536, 65_536, 8_192]);
    }

    #[test]
    fn the_largest_size_can_be_limited() {
        for (limit, largest) in
            [(0, 8_192), (8_191, 8_192), (65_535, 8_192), (65_536, 65_536), (262_143, 65_536), (usize::MAX, 262_144)]
        {
            let mut buffer = Buffer::new(Size::at_most(limit));
            (0..4).for_each(|_| _ = pass(&mut buffer, usize::MAX));
            assert_eq!(pass(&mut buffer, 1), largest, "{limit}");
        }
    }

    #[test]
    fn a_slow_writer_does_not_make_the_buffer_grow() {
        let mut buffer = Buffer::new(Size::Large);
        for _ in 0..8_192 {
            assert!(buffer.space().is_some());
            buffer.fill(1);
        }
        assert!(buffer.space().is_none(), "full");
        buffer.consume(8_192);
        assert_eq!(buffer.space().unwrap().len(), 8_192);
    }

    #[test]
    fn memory_goes_back_and_is_lent_again() {
        let mut first = Buffer::new(Size::Small);
        let address = first.space().unwrap().as_ptr();
        first.release();
        assert_eq!(first.held(), 0);
        assert_eq!(Buffer::new(Size::Small).space().unwrap().as_ptr(), address);
    }

    #[test]
    fn bytes_come_out_in_the_order_they_went_in() {
        let mut buffer = Buffer::new(Size::Small);
        buffer.space().unwrap()[..3].copy_from_slice(b"abc");
        buffer.fill(3);
        buffer.consume(1);
        buffer.space().unwrap()[..2].copy_from_slice(b"de");
        buffer.fill(2);
        assert_eq!(buffer.bytes(), b"bcde");
        buffer.consume(4);
        assert!(buffer.is_empty());
    }
}
