//! Finding tests and the comments attached to them.

use std::collections::BTreeSet;
use std::fmt;

use super::id::{self, Id, Mention};
use crate::finding::Finding;
use crate::source::{self, Line, has_word, is_word};

/// A test function that carries at least one id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Test {
    file: String,
    name: String,
    pub(crate) ids: BTreeSet<Id>,
    /// The cases that wait for something to exist, as its comment says.
    waits: Option<String>,
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}::{}", self.file, self.name)?;
        match &self.waits {
            Some(waits) => write!(f, " (waits: {waits})"),
            None => Ok(()),
        }
    }
}

/// What one file says about behaviours.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    pub(crate) tests: Vec<Test>,
    pub(crate) findings: Vec<Finding>,
}

pub(crate) fn scan(path: &str, text: &str) -> Scan {
    let lines = source::lines(text);
    let mut scanner = Scanner { path, lines: &lines, scan: Scan::default() };
    scanner.run();
    scanner.scan
}

struct Scanner<'a> {
    path: &'a str,
    lines: &'a [Line],
    scan: Scan,
}

/// The comments and attributes right above an item.
#[derive(Default)]
struct Preamble {
    /// The lines that carry a comment, counted from 0.
    comments: Vec<usize>,
    is_test: bool,
}

impl Scanner<'_> {
    fn run(&mut self) {
        let mut preamble = Preamble::default();
        let mut at = 0;
        while let Some(line) = self.lines.get(at) {
            if line.comment.is_some() {
                preamble.comments.push(at);
            }
            at = if line.has_code() {
                self.code(at, &mut preamble)
            } else {
                // A blank line parts a comment from what follows.
                if line.comment.is_none() {
                    self.reject(&std::mem::take(&mut preamble).comments, &BTreeSet::new());
                }
                at + 1
            };
        }
        self.reject(&preamble.comments, &BTreeSet::new());
    }

    /// Takes the code that starts on a line, and returns the line to go on with.
    fn code(&mut self, at: usize, preamble: &mut Preamble) -> usize {
        let mut rest = self.lines[at].code.trim().to_owned();
        let mut end = at;
        while rest.starts_with("#[") || rest.starts_with("#![") {
            if let Some(close) = closing_bracket(&rest) {
                preamble.is_test |= is_test_attribute(&rest[..close]);
                rest = rest[close..].trim().to_owned();
                continue;
            }
            end += 1;
            let Some(line) = self.lines.get(end) else {
                return end;
            };
            if line.comment.is_some() {
                preamble.comments.push(end);
            }
            rest.push_str(line.code.trim());
        }
        if rest.is_empty() {
            return end + 1;
        }
        let preamble = std::mem::take(preamble);
        match function_name(&rest) {
            Some(name) if preamble.is_test => self.test(name, end, &preamble.comments),
            _ => {
                self.reject(&preamble.comments, &BTreeSet::new());
                end + 1
            }
        }
    }

    /// Takes a test function whose name stands on a line, and returns the line after its body.
    fn test(&mut self, name: &str, at: usize, comments: &[usize]) -> usize {
        let mut ids: BTreeSet<Id> = id::in_name(name).into_iter().collect();
        for &line in comments {
            for mention in self.mentions(line) {
                ids.insert(mention.id);
                if mention.is_range() {
                    let advice = format!(
                        "a range starts at {}: name each id, a range counts for none but its first",
                        mention.id
                    );
                    let finding = Finding::at(self.path, line + 1, advice);
                    self.scan.findings.push(finding);
                }
            }
        }
        let end = source::item_end(self.lines, at);
        let body: Vec<usize> = (at + 1..=end).collect();
        self.reject(&body, &ids);
        if !ids.is_empty() {
            self.scan.tests.push(Test {
                file: self.path.to_owned(),
                name: name.to_owned(),
                waits: self.waits(comments),
                ids,
            });
        }
        end + 1
    }

    /// Reports ids in comments that no test stands behind.
    fn reject(&mut self, lines: &[usize], tested: &BTreeSet<Id>) {
        for &line in lines {
            for Mention { id, .. } in self.mentions(line) {
                if !tested.contains(&id) {
                    let advice = format!(
                        "{id} stands outside the doc line or name of a test: \
                         move it to the test that shows it, or remove it"
                    );
                    let finding = Finding::at(self.path, line + 1, advice);
                    self.scan.findings.push(finding);
                }
            }
        }
    }

    fn mentions(&self, line: usize) -> Vec<Mention> {
        match &self.lines[line].comment {
            Some(comment) => id::mentions(comment),
            None => Vec::new(),
        }
    }

    /// What stands after `waits:` in a comment, up to the end of its sentence.
    fn waits(&self, comments: &[usize]) -> Option<String> {
        let text = comments
            .iter()
            .filter_map(|&line| self.lines[line].comment.as_deref())
            .map(|comment| comment.trim_start_matches(['/', '!']).trim())
            .collect::<Vec<_>>()
            .join(" ");
        let (_, waits) = text.split_once("waits:")?;
        let end = waits.find([')', ';', '.']).unwrap_or(waits.len());
        Some(waits[..end].trim().to_owned())
    }
}

/// The position after the `]` that closes an attribute's `#[`.
fn closing_bracket(code: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (position, c) in code.char_indices() {
        match c {
            '[' => depth += 1,
            ']' if depth == 1 => return Some(position + 1),
            ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

/// `#[test]`, or the attribute of a runtime or a model checker that is called `test`.
fn is_test_attribute(attribute: &str) -> bool {
    let path = attribute.trim_start_matches("#[").split(['(', ']']).next().unwrap_or_default();
    path.rsplit("::").next().map(str::trim) == Some("test")
}

/// The name after `fn`, if the code declares a function.
fn function_name(code: &str) -> Option<&str> {
    if !has_word(code, "fn") {
        return None;
    }
    let name = code.split_once("fn ")?.1.trim_start();
    let end = name.find(|c| !is_word(c)).unwrap_or(name.len());
    Some(&name[..end])
}

#[cfg(test)]
mod tests;
