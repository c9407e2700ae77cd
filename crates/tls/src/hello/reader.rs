//! Reading within bounds. Every read says what is being read, for the error.

use super::{ClientHelloError, ClientHelloErrorKind as Kind, HelloPart};

/// What is left of one part of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    /// Where `rest` begins in the message.
    at: usize,
    part: HelloPart,
}

impl<'a> Reader<'a> {
    /// Reads a message from its first byte.
    pub(super) const fn new(message: &'a [u8]) -> Self {
        Self { rest: message, at: 0, part: HelloPart::Message }
    }

    /// The same bytes, under another name.
    pub(super) const fn named(self, part: HelloPart) -> Self {
        Self { part, ..self }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) const fn len(&self) -> usize {
        self.rest.len()
    }

    pub(super) fn bytes(&mut self, count: usize) -> Result<&'a [u8], ClientHelloError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(|| self.error(Kind::Short(self.part)))?;
        self.rest = rest;
        self.at += count;
        Ok(taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, ClientHelloError> {
        Ok(self.bytes(1)?[0])
    }

    pub(super) fn u16(&mut self) -> Result<u16, ClientHelloError> {
        let bytes = self.bytes(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// What follows a length of one byte.
    pub(super) fn vector8(&mut self, part: HelloPart) -> Result<Self, ClientHelloError> {
        let mut outer = self.named(part);
        let length = usize::from(outer.u8()?);
        self.inner(outer, length)
    }

    /// What follows a length of two bytes.
    pub(super) fn vector16(&mut self, part: HelloPart) -> Result<Self, ClientHelloError> {
        let mut outer = self.named(part);
        let length = usize::from(outer.u16()?);
        self.inner(outer, length)
    }

    /// Takes `length` bytes from `outer`, which is this reader behind the length.
    fn inner(&mut self, mut outer: Self, length: usize) -> Result<Self, ClientHelloError> {
        let at = outer.at;
        let rest = outer.bytes(length)?;
        *self = outer.named(self.part);
        Ok(Self { rest, at, part: outer.part })
    }

    /// All that is left, of which there is at least one.
    pub(super) fn rest(self) -> Result<&'a [u8], ClientHelloError> {
        if self.rest.is_empty() { Err(self.error(Kind::Length(self.part))) } else { Ok(self.rest) }
    }

    /// All that is left as numbers of two bytes, of which there is at least one.
    pub(super) fn numbers(self) -> Result<Box<[u16]>, ClientHelloError> {
        let (pairs, odd) = self.rest()?.as_chunks::<2>();
        if odd.is_empty() {
            Ok(pairs.iter().copied().map(u16::from_be_bytes).collect())
        } else {
            Err(self.error(Kind::Length(self.part)))
        }
    }

    /// Nothing may be left.
    pub(super) fn end(self) -> Result<(), ClientHelloError> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.error(Kind::Long(self.part))) }
    }

    /// Something is wrong here.
    pub(super) const fn error(&self, kind: Kind) -> ClientHelloError {
        ClientHelloError::new(kind, self.at)
    }
}
