use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use tokio::io::AsyncWrite;

use super::buffers::{put_output, take_output};

/// Up to this many bytes are copied behind the head, so that both leave in one write; more go out uncopied.
const COPY_LIMIT: usize = 16 * 1024;

/// What waits to be written: encoded bytes, and behind them at most one large piece that is not copied.
#[derive(Debug, Default)]
pub(crate) struct Output {
    encoded: Vec<u8>,
    /// How much of `encoded` was written.
    written: usize,
    /// In a box, as small answers have none and idle connections are many.
    large: Option<Box<Large>>,
    /// Bytes were written since the IO was last flushed to the end.
    unflushed: bool,
    /// Bytes were written since [`take_progress`](Self::take_progress).
    progress: bool,
}

#[derive(Debug)]
struct Large {
    bytes: Bytes,
    /// What follows it: the end of a chunk.
    after: &'static [u8],
}

impl Output {
    /// How much may wait before it has to be written: 64 KiB.
    pub(crate) const MAX_BATCH: usize = 64 * 1024;

    /// Whether nothing waits: all is written, and the IO has flushed it.
    pub(crate) fn is_empty(&self) -> bool {
        !self.has_bytes() && !self.unflushed
    }

    fn has_bytes(&self) -> bool {
        self.written < self.encoded.len() || self.large.is_some()
    }

    /// Whether bytes were written since this was last asked.
    pub(crate) fn take_progress(&mut self) -> bool {
        std::mem::take(&mut self.progress)
    }

    /// Whether more should be added before a write: there is room, and no large piece waits.
    pub(crate) fn has_room(&self) -> bool {
        self.encoded.len() < Self::MAX_BATCH && self.large.is_none()
    }

    /// The buffer to append encoded bytes to. Only while [`has_room`](Self::has_room), or after a flush.
    pub(crate) fn encoded(&mut self) -> &mut Vec<u8> {
        debug_assert!(self.large.is_none(), "encoded bytes would overtake a large piece");
        if self.encoded.capacity() == 0 {
            self.encoded = take_output();
        }
        &mut self.encoded
    }

    /// Appends data and what follows it.
    #[inline]
    pub(crate) fn push(&mut self, data: &Bytes, after: &'static [u8]) {
        if data.len() <= COPY_LIMIT {
            let encoded = self.encoded();
            encoded.extend_from_slice(data);
            encoded.extend_from_slice(after);
        } else {
            self.large = Some(Box::new(Large { bytes: data.clone(), after }));
        }
    }

    /// Writes everything and flushes the IO.
    ///
    /// A write that takes nothing is an error: the stream is closed (RFC-less, but every loop that tries again spins).
    pub(crate) fn poll_flush<I: AsyncWrite + Unpin>(
        &mut self,
        io: &mut I,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while self.has_bytes() {
            let encoded = &self.encoded[self.written..];
            let n = if let Some(Large { bytes, after }) = self.large.as_deref() {
                let slices = [IoSlice::new(encoded), IoSlice::new(bytes), IoSlice::new(after)];
                if io.is_write_vectored() {
                    ready!(Pin::new(&mut *io).poll_write_vectored(cx, &slices))?
                } else {
                    let first = slices.iter().find(|slice| !slice.is_empty()).map_or(&[][..], |slice| slice);
                    ready!(Pin::new(&mut *io).poll_write(cx, first))?
                }
            } else {
                ready!(Pin::new(&mut *io).poll_write(cx, encoded))?
            };
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unflushed = true;
            self.progress = true;
            self.advance(n);
        }
        self.written = 0;
        self.encoded.clear();
        // A flush under way keeps this from being empty, so that whoever asks comes back to finish it.
        ready!(Pin::new(io).poll_flush(cx))?;
        self.unflushed = false;
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, mut n: usize) {
        let encoded = n.min(self.encoded.len() - self.written);
        self.written += encoded;
        n -= encoded;
        let Some(Large { bytes, after }) = self.large.as_deref_mut() else { return };
        let large = n.min(bytes.len());
        bytes.advance(large);
        if bytes.is_empty() {
            // Its memory is let go of before the few bytes behind it have left.
            *bytes = Bytes::new();
        }
        n -= large;
        *after = &after[n.min(after.len())..];
        if bytes.is_empty() && after.is_empty() {
            self.large = None;
        }
    }

    /// Drops what waits.
    pub(crate) fn clear(&mut self) {
        self.encoded.clear();
        self.written = 0;
        self.large = None;
        self.unflushed = false;
    }

    /// Gives the buffer back, when nothing waits.
    pub(crate) fn release(&mut self) {
        if self.is_empty() {
            self.written = 0;
            put_output(std::mem::take(&mut self.encoded));
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        put_output(std::mem::take(&mut self.encoded));
    }
}
