//! Decoding bodies.

use std::num::NonZeroU64;

use bytes::{Buf as _, Bytes, BytesMut};
use chaski_core::http::is_forbidden_trailer;
use http::HeaderMap;

use super::config::BodyConfig;
use super::error::{BodyError, HeadError, HeadFault};
use super::fields::read_fields;
use super::message::Framing;
use super::scan::{Ends, Scanner, Section};

/// What comes out of a [`BodyDecoder`].
#[derive(Debug, Clone)]
pub enum BodyEvent {
    /// Some of the data, at least one byte. How data is cut into these depends
    /// on how it arrived and means nothing.
    Data(Bytes),
    /// The trailer fields, after all data. At most once, and never empty.
    Trailers(HeaderMap),
    /// The body is complete. What is left in the buffer is not of it.
    End,
}

/// Decodes the body of one message.
///
/// # Example
///
/// ```
/// use bytes::BytesMut;
/// use chaski_http_core::codec::{BodyConfig, BodyDecoder, BodyEvent, Framing};
///
/// let mut decoder = BodyDecoder::new(Framing::Chunked, BodyConfig::default());
/// let mut buf = BytesMut::from("4\r\nRust\r\n0\r\n\r\nrest");
/// let Some(BodyEvent::Data(data)) = decoder.decode(&mut buf)? else { panic!() };
/// assert_eq!(data, "Rust");
/// assert!(matches!(decoder.decode(&mut buf)?, Some(BodyEvent::End)));
/// assert_eq!(&buf[..], b"rest");
/// # Ok::<(), chaski_http_core::codec::BodyError>(())
/// ```
#[derive(Debug)]
pub struct BodyDecoder {
    state: State,
    config: BodyConfig,
    /// Bytes of extensions on this body so far.
    extensions: u32,
}

/// ```text
///            +-- Length --> Done
/// new(..) ---+-- UntilClose -- eof --> Done
///            +-- Size --> [Extension] --> SizeEnd -+--> Data --> DataEnd --> Size
///                                                  +--> Last --> [Trailers] --> Done
/// ```
#[derive(Debug)]
enum State {
    /// So many bytes are missing.
    Length(NonZeroU64),
    UntilClose,
    /// In the digits of a chunk's size.
    Size {
        size: u64,
        digits: u8,
    },
    /// In white space after the digits, which only an extension may follow.
    Space {
        size: u64,
        length: u32,
    },
    /// In a chunk's extension.
    Extension {
        size: u64,
        length: u32,
    },
    /// After the CR of a chunk's first line.
    SizeEnd {
        size: u64,
    },
    /// So many bytes of the chunk are missing.
    Data(NonZeroU64),
    /// After a chunk's data.
    DataEnd {
        cr: bool,
    },
    /// After the last chunk.
    Last,
    /// In a trailer section that has fields, none of which is consumed before
    /// its end. Few bodies come here, so the others do not make room for it.
    Trailers(Box<Scanner>),
    Done,
    Failed(BodyError),
}

impl BodyDecoder {
    /// A decoder for a body that is delimited like this.
    #[must_use]
    pub fn new(framing: Framing, config: BodyConfig) -> Self {
        let state = match framing {
            Framing::Empty => State::Done,
            Framing::Length(length) => NonZeroU64::new(length).map_or(State::Done, State::Length),
            Framing::Chunked => State::Size { size: 0, digits: 0 },
            Framing::UntilClose => State::UntilClose,
        };
        Self { state, config, extensions: 0 }
    }

    /// Takes the next piece off the front of `buf`, or nothing while there is
    /// none. Data is split off, not copied.
    ///
    /// After the end this says [`BodyEvent::End`] again and takes nothing;
    /// after an error it says the error again.
    ///
    /// # Errors
    ///
    /// Chunks or trailers that RFC 9112 section 7.1 does not allow or that are
    /// over a limit.
    pub fn decode(&mut self, buf: &mut BytesMut) -> Result<Option<BodyEvent>, BodyError> {
        match &mut self.state {
            State::Length(missing) => {
                let Some(data) = split(buf, *missing) else {
                    return Ok(None);
                };
                self.state = match rest(*missing, &data) {
                    Some(missing) => State::Length(missing),
                    None => State::Done,
                };
                Ok(Some(BodyEvent::Data(data)))
            }
            State::UntilClose if buf.is_empty() => Ok(None),
            State::UntilClose => Ok(Some(BodyEvent::Data(buf.split().freeze()))),
            State::Done => Ok(Some(BodyEvent::End)),
            State::Failed(error) => Err(*error),
            _ => {
                let result = self.chunked(buf);
                if let Err(error) = &result {
                    self.state = State::Failed(*error);
                }
                result
            }
        }
    }

    /// Says that no more bytes will come, after [`decode`](Self::decode) has
    /// found nothing more in the buffer.
    ///
    /// # Errors
    ///
    /// [`BodyError::Truncated`] where the body is not complete by this.
    pub fn eof(&mut self) -> Result<(), BodyError> {
        let missing = match self.state {
            State::Done => return Ok(()),
            // RFC 9112 section 8: only here the end of the connection is the
            // end of the body.
            State::UntilClose => {
                self.state = State::Done;
                return Ok(());
            }
            State::Failed(error) => return Err(error),
            State::Length(missing) => Some(missing.get()),
            _ => None,
        };
        let error = BodyError::Truncated { missing };
        self.state = State::Failed(error);
        Err(error)
    }

    /// Whether the body is complete.
    #[must_use]
    pub fn is_end(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// How many bytes of data are still to come, where that is known.
    #[must_use]
    pub fn remaining(&self) -> Option<u64> {
        match self.state {
            State::Length(missing) => Some(missing.get()),
            State::Done => Some(0),
            _ => None,
        }
    }

    /// Runs the states of a chunked body until there is something to say.
    fn chunked(&mut self, buf: &mut BytesMut) -> Result<Option<BodyEvent>, BodyError> {
        loop {
            match &mut self.state {
                State::Data(missing) => {
                    let Some(data) = split(buf, *missing) else {
                        return Ok(None);
                    };
                    self.state = match rest(*missing, &data) {
                        Some(missing) => State::Data(missing),
                        None => State::DataEnd { cr: false },
                    };
                    return Ok(Some(BodyEvent::Data(data)));
                }
                State::Last => match buf[..] {
                    [] | [b'\r'] => return Ok(None),
                    [b'\r', b'\n', ..] => {
                        buf.advance(2);
                        self.state = State::Done;
                    }
                    _ => self.state = State::Trailers(Box::default()),
                },
                State::Trailers(_) => return self.trailers(buf),
                State::Done => return Ok(Some(BodyEvent::End)),
                _ => {
                    if !self.between(buf)? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Consumes what stands between the data of two chunks. Returns whether it
    /// came to the end of that.
    #[inline]
    fn between(&mut self, buf: &mut BytesMut) -> Result<bool, BodyError> {
        let mut used = 0;
        let mut complete = false;
        for &byte in buf.iter() {
            used += 1;
            self.state = self.step(byte)?;
            if matches!(self.state, State::Data(_) | State::Last) {
                complete = true;
                break;
            }
        }
        buf.advance(used);
        Ok(complete)
    }

    /// One byte of `chunk-size [ chunk-ext ] CRLF` or of the CRLF after data
    /// (RFC 9112 section 7.1). Only CRLF ends a line, and only an extension may
    /// stand behind white space.
    #[inline]
    fn step(&mut self, byte: u8) -> Result<State, BodyError> {
        Ok(match (&self.state, byte) {
            (&State::Size { size, digits }, _) if byte.is_ascii_hexdigit() => {
                // Sixteen digits always fit, so the size cannot overflow.
                if digits == 16 {
                    return Err(BodyError::ChunkSizeTooLong);
                }
                State::Size { size: size << 4 | u64::from(hex(byte)), digits: digits + 1 }
            }
            (State::Size { digits: 0, .. }, _) => return Err(BodyError::ChunkSize { byte }),
            (&State::Size { size, .. }, b'\r') => State::SizeEnd { size },
            (&State::Size { size, .. }, b' ' | b'\t') => self.extension(size, 0, false)?,
            (&State::Size { size, .. }, b';') => self.extension(size, 0, true)?,
            (&State::Space { size, length }, b' ' | b'\t') => self.extension(size, length, false)?,
            (&State::Space { size, length }, b';') => self.extension(size, length, true)?,
            (&State::Extension { size, .. }, b'\r') => State::SizeEnd { size },
            (&State::Extension { size, length }, _) => {
                if (byte < 0x20 && byte != b'\t') || byte == 0x7f {
                    return Err(BodyError::ChunkExtension { byte });
                }
                self.extension(size, length, true)?
            }
            (&State::SizeEnd { size }, b'\n') => match NonZeroU64::new(size) {
                Some(size) => State::Data(size),
                None => State::Last,
            },
            (State::Size { .. } | State::Space { .. } | State::SizeEnd { .. }, _) => {
                return Err(BodyError::ChunkSize { byte });
            }
            (State::DataEnd { cr: false }, b'\r') => State::DataEnd { cr: true },
            (State::DataEnd { cr: true }, b'\n') => State::Size { size: 0, digits: 0 },
            _ => return Err(BodyError::ChunkEnd { byte }),
        })
    }

    /// Counts one byte of an extension.
    fn extension(&mut self, size: u64, length: u32, begun: bool) -> Result<State, BodyError> {
        let length = length.saturating_add(1);
        self.extensions = self.extensions.saturating_add(1);
        let limit = self.config.max_chunk_extension_bytes;
        if length > limit {
            return Err(BodyError::ChunkExtensionTooLong { limit });
        }
        let limit = self.config.max_extension_bytes;
        if self.extensions > limit {
            return Err(BodyError::ChunkExtensionTooLong { limit });
        }
        Ok(if begun { State::Extension { size, length } } else { State::Space { size, length } })
    }

    /// Waits for the whole trailer section, then reads it.
    #[cold]
    fn trailers(&mut self, buf: &mut BytesMut) -> Result<Option<BodyEvent>, BodyError> {
        let State::Trailers(scanner) = &mut self.state else {
            return Ok(None);
        };
        let scan = scanner.scan(buf, self.config.max_trailer_bytes);
        let section = match scan {
            Ok(Some(section)) => section,
            Ok(None) => return Ok(None),
            Err((fault, at)) => return Err(BodyError::Trailers(HeadError::new(fault, at))),
        };
        let ends = scanner.ends;
        self.state = State::Done;
        let bytes = buf.split_to(section.len).freeze();
        let fields = self.read_trailers(&bytes, section, &ends);
        let fields = fields.map_err(BodyError::Trailers)?;
        Ok(Some(if fields.is_empty() { BodyEvent::End } else { BodyEvent::Trailers(fields) }))
    }

    fn read_trailers(&self, bytes: &Bytes, section: Section, ends: &Ends) -> Result<HeaderMap, HeadError> {
        let limit = self.config.max_trailers;
        if section.lines - 1 > limit {
            return Err(HeadError::new(HeadFault::TooManyHeaders { limit }, 0));
        }
        let mut fields = HeaderMap::new();
        read_fields(bytes, (0, 0), ends, &mut fields, limit, |_, value, _| Ok(Some(value.len())))?;
        // RFC 9110 section 6.5.1: a recipient that cannot merge a field safely
        // drops it; what changes framing, routing or trust cannot.
        if fields.keys().any(is_forbidden_trailer) {
            let allowed = fields.iter().filter(|(name, _)| !is_forbidden_trailer(name));
            fields = allowed.map(|(name, value)| (name.clone(), value.clone())).collect();
        }
        Ok(fields)
    }
}

/// Splits data off, at most as much as is missing.
#[inline]
fn split(buf: &mut BytesMut, missing: NonZeroU64) -> Option<Bytes> {
    if buf.is_empty() {
        return None;
    }
    let fits = usize::try_from(missing.get()).unwrap_or(usize::MAX);
    Some(buf.split_to(buf.len().min(fits)).freeze())
}

#[inline]
fn rest(missing: NonZeroU64, data: &Bytes) -> Option<NonZeroU64> {
    NonZeroU64::new(missing.get().saturating_sub(data.len() as u64))
}

#[inline]
fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

#[cfg(test)]
mod tests;
