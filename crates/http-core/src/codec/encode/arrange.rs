//! Field lines in the places and the case that a layout gives them.

use std::cmp::Ordering;

use memchr::memchr;

use crate::codec::layout::{HeaderLayout, Line};
use crate::codec::names::{self, Field};

/// Puts the field lines at `out[from..]`, which the encoder has written, where
/// `layout` has them.
///
/// It moves lines, changes the case of names, and writes white space around
/// values that no framing depends on. The layout decides nothing else, so
/// whoever wrote it, the head means what it meant.
#[cold]
pub(super) fn arrange(out: &mut Vec<u8>, from: usize, layout: &HeaderLayout) {
    let encoded = out.split_off(from);
    let mut fields = Fields::of(&encoded);
    // RFC 9110 section 7.2: Host comes first, unless the layout has a place for it.
    if !layout.lines().any(|line| line.name.eq_ignore_ascii_case(b"host"))
        && let Some((name, value)) = fields.take(b"host")
    {
        write_line(out, name, b" ", value, b"");
    }
    for line in layout.lines() {
        if let Some((_, value)) = fields.take(line.name) {
            let Line { name, before, after } = line;
            // Recipients were found to differ in what they strip, and so in
            // what a framing field says. Where it matters there is one form.
            let plain = names::known(name).is_none_or(|(_, field)| field == Field::Plain);
            let (before, after) = if plain { (before, after) } else { (&b" "[..], &b""[..]) };
            write_line(out, name, before, value, after);
        }
    }
    for (name, value) in fields.rest() {
        write_line(out, name, b" ", value, b"");
    }
}

fn write_line(out: &mut Vec<u8>, name: &[u8], before: &[u8], value: &[u8], after: &[u8]) {
    for part in [name, b":", before, value, after, b"\r\n"] {
        out.extend_from_slice(part);
    }
}

/// The lines of an encoded head, to be taken by name.
struct Fields<'a> {
    /// Name and value, in the order they were encoded; `None` once taken.
    lines: Vec<Option<(&'a [u8], &'a [u8])>>,
    /// The names with the places of their lines, by name and then by place.
    by_name: Vec<(&'a [u8], usize)>,
    /// How many lines were taken of the name that begins here in `by_name`.
    taken: Vec<usize>,
}

impl<'a> Fields<'a> {
    fn of(encoded: &'a [u8]) -> Self {
        let mut lines = Vec::new();
        let mut by_name = Vec::new();
        let mut rest = encoded;
        while let Some(lf) = memchr(b'\n', rest) {
            let (line, behind) = rest.split_at(lf + 1);
            rest = behind;
            // As `write_field` writes them: `name: value CR LF`.
            let Some(colon) = memchr(b':', line) else { continue };
            by_name.push((&line[..colon], lines.len()));
            lines.push(Some((&line[..colon], &line[colon + 2..lf - 1])));
        }
        by_name.sort_unstable();
        let taken = vec![0; lines.len()];
        Self { lines, by_name, taken }
    }

    /// The next line of this name, in any case.
    fn take(&mut self, name: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
        let first = self.by_name.partition_point(|(other, _)| compare(other, name) == Ordering::Less);
        let taken = self.taken.get_mut(first)?;
        let (other, place) = self.by_name.get(first + *taken)?;
        if !other.eq_ignore_ascii_case(name) {
            return None;
        }
        *taken += 1;
        self.lines[*place].take()
    }

    /// The lines that were not taken.
    fn rest(self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        self.lines.into_iter().flatten()
    }
}

/// Compares a name in lower case with one in any.
fn compare(lower: &[u8], name: &[u8]) -> Ordering {
    lower.iter().copied().cmp(name.iter().map(u8::to_ascii_lowercase))
}
