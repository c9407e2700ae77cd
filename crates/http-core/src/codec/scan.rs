//! Finding the end of a head, or of a trailer section, without looking at any
//! byte twice.

use memchr::memchr;

use super::error::HeadFault;
use super::find::find_lf;

/// The position of an unfinished search. A head that arrives byte by byte
/// costs as much as one that arrives at once.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Scanner {
    /// All before this was searched.
    scanned: usize,
    /// Where the line that is being searched begins.
    line: usize,
    /// Where the first line ended, its CRLF included.
    first: usize,
    /// How many lines have ended.
    lines: usize,
    /// Where they ended, so that the parser need not search again.
    pub(super) ends: Ends,
    /// How many bytes were looked at, for the test that it is linear.
    #[cfg(test)]
    pub(super) looked_at: usize,
}

/// Where the first lines of a section end. It is not cleared for the next
/// section, which writes over it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ends([u16; REMEMBERED]);

/// The lines whose ends are remembered: more than usual heads have.
const REMEMBERED: usize = 24;

impl Ends {
    /// Where the LF of a line of the section is, if it is remembered.
    #[inline]
    pub(super) fn of(&self, line: usize) -> Option<usize> {
        match self.0.get(line) {
            // 0 stands for an end that was too far away to be noted.
            None | Some(0) => None,
            Some(&end) => Some(usize::from(end)),
        }
    }

    #[inline]
    fn note(&mut self, line: usize, lf: usize) {
        if let Some(end) = self.0.get_mut(line) {
            *end = u16::try_from(lf).unwrap_or(0);
        }
    }
}

/// A complete section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Section {
    /// Its length, the empty line included.
    pub(super) len: usize,
    /// The length of its first line, CRLF included.
    pub(super) first: usize,
    /// How many lines it has, the empty one included.
    pub(super) lines: usize,
}

impl Scanner {
    /// Goes on where it stopped. `buf` begins with the first byte of the
    /// section, and what was there before is still there.
    ///
    /// # Errors
    ///
    /// A fault with its offset: LF without CR, or no end within `limit` bytes.
    #[inline]
    pub(super) fn scan(&mut self, buf: &[u8], limit: usize) -> Result<Option<Section>, (HeadFault, usize)> {
        while let Some(distance) = find_lf(&buf[self.scanned..]) {
            let lf = self.scanned + distance;
            self.look(distance + 1);
            if lf >= limit {
                return Err((HeadFault::TooLarge { limit }, limit));
            }
            // RFC 9112 section 2.2 lets a recipient take a bare LF for a line's
            // end; that two recipients differ in it is how requests are
            // smuggled, so it is refused.
            if !buf[..lf].ends_with(b"\r") {
                return Err((HeadFault::BareLf, lf));
            }
            let empty = lf == self.line + 1;
            self.scanned = lf + 1;
            self.line = lf + 1;
            self.ends.note(self.lines, lf);
            self.lines += 1;
            if self.lines == 1 {
                self.first = lf + 1;
            }
            if empty {
                return Ok(Some(Section { len: lf + 1, first: self.first, lines: self.lines }));
            }
        }
        self.look(buf.len() - self.scanned);
        self.scanned = buf.len();
        if buf.len() > limit {
            return Err((HeadFault::TooLarge { limit }, limit));
        }
        Ok(None)
    }

    /// Forgets what was searched, for the section that comes next.
    pub(super) fn reset(&mut self) {
        (self.scanned, self.line, self.first, self.lines) = (0, 0, 0, 0);
    }

    /// Whether anything was searched.
    pub(super) fn has_begun(&self) -> bool {
        self.scanned > 0
    }

    /// The first line without its LF, or as much of it as there is.
    pub(super) fn first_line<'a>(&self, buf: &'a [u8]) -> &'a [u8] {
        match self.first {
            // Only after a fault can there be a LF that was not counted.
            0 if self.scanned < buf.len() => memchr(b'\n', buf).map_or(buf, |lf| &buf[..lf]),
            0 => buf,
            first => &buf[..first - 1],
        }
    }

    /// Whether the first line has ended.
    pub(super) fn has_first_line(&self) -> bool {
        self.lines > 0
    }

    #[cfg(test)]
    fn look(&mut self, bytes: usize) {
        self.looked_at += bytes;
    }

    #[cfg(not(test))]
    #[inline]
    fn look(&mut self, _bytes: usize) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &[u8], limit: usize, expected: Result<Option<usize>, HeadFault>) {
        let whole = Scanner::default().scan(input, limit);
        assert_eq!(
            whole.map(|end| end.map(|end| end.len)).map_err(|error| error.0),
            expected,
            "{}",
            input.escape_ascii()
        );
        let mut scanner = Scanner::default();
        let mut dripped = Ok(None);
        for end in 0..=input.len() {
            dripped = scanner.scan(&input[..end], limit);
            if !matches!(dripped, Ok(None)) {
                break;
            }
        }
        assert_eq!(dripped, whole, "dripped: {}", input.escape_ascii());
    }

    #[test]
    fn finds_ends() {
        let too_large = |limit| Err(HeadFault::TooLarge { limit });
        check(b"", 99, Ok(None));
        check(b"\r\n", 99, Ok(Some(2)));
        check(b"a\r\n\r\n", 99, Ok(Some(5)));
        check(b"a\r\n\r\nb\r\n\r\n", 99, Ok(Some(5)));
        check(b"a\r\n\r", 99, Ok(None));
        check(b"a\r\n\r\n", 5, Ok(Some(5)));
        check(b"a\r\n\r\n", 4, too_large(4));
        check(b"aaaaaa", 5, too_large(5));
        check(b"aaaaa", 5, Ok(None));
        check(b"\n", 99, Err(HeadFault::BareLf));
        check(b"a\n\r\n", 99, Err(HeadFault::BareLf));
        check(b"a\r\n\n", 99, Err(HeadFault::BareLf));
        check(b"a\r\nb\n", 99, Err(HeadFault::BareLf));
    }
}
