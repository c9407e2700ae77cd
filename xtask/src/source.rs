//! Rust source, line by line, with code and comments told apart.
//!
//! The checks look for words in code and for words in comments. This is a lexer that knows just enough to never take
//! one for the other, nor either for the content of a string.

/// One line of a source file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Line {
    /// The code, with the content of string and character literals replaced by quotes.
    pub(crate) code: String,
    /// The comment without its first two slashes: a doc comment starts with `/` or `!`.
    pub(crate) comment: Option<String>,
}

impl Line {
    /// Whether any code stands on it.
    pub(crate) fn has_code(&self) -> bool {
        !self.code.trim().is_empty()
    }
}

/// What the lexer is in the middle of.
#[derive(Clone, Copy)]
enum State {
    Code,
    LineComment,
    /// Block comments nest.
    BlockComment {
        depth: usize,
    },
    /// A string that ends at the first unescaped quote.
    Text,
    /// A raw string that ends at a quote followed by this many `#`.
    RawText {
        hashes: usize,
    },
}

/// Splits a source file into its lines.
pub(crate) fn lines(text: &str) -> Vec<Line> {
    Lexer { input: text.chars().collect(), position: 0, state: State::Code, line: Line::default(), done: Vec::new() }
        .run()
}

struct Lexer {
    input: Vec<char>,
    position: usize,
    state: State,
    line: Line,
    done: Vec<Line>,
}

impl Lexer {
    fn run(mut self) -> Vec<Line> {
        while let Some(next) = self.peek(0) {
            if next == '\n' {
                self.end_line();
                continue;
            }
            match self.state {
                State::Code => self.code(next),
                State::LineComment => self.comment(next),
                State::BlockComment { depth } => self.block_comment(next, depth),
                State::Text => self.text(next),
                State::RawText { hashes } => self.raw_text(next, hashes),
            }
        }
        if self.line != Line::default() {
            self.end_line();
        }
        self.done
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.input.get(self.position + ahead).copied()
    }

    fn end_line(&mut self) {
        self.position += 1;
        self.done.push(std::mem::take(&mut self.line));
        match self.state {
            State::LineComment => self.state = State::Code,
            // A block comment goes on in the next line, also when that line is blank.
            State::BlockComment { .. } => self.line.comment = Some(String::new()),
            State::Code | State::Text | State::RawText { .. } => {}
        }
    }

    fn code(&mut self, next: char) {
        match (next, self.peek(1)) {
            ('/', Some('/')) => self.start_comment(State::LineComment),
            ('/', Some('*')) => self.start_comment(State::BlockComment { depth: 1 }),
            ('"', _) => self.copy(1, State::Text),
            ('\'', _) => self.quote(),
            _ if self.starts_word() => match self.raw_prefix() {
                Some((length, hashes)) => self.copy(length, State::RawText { hashes }),
                None => self.copy(1, State::Code),
            },
            _ => self.copy(1, State::Code),
        }
    }

    /// Takes characters over into the code as they are.
    fn copy(&mut self, count: usize, then: State) {
        let end = (self.position + count).min(self.input.len());
        self.line.code.extend(&self.input[self.position..end]);
        self.position = end;
        self.state = then;
    }

    fn start_comment(&mut self, kind: State) {
        self.position += 2;
        self.state = kind;
        self.line.comment.get_or_insert_default();
    }

    fn comment(&mut self, next: char) {
        self.line.comment.get_or_insert_default().push(next);
        self.position += 1;
    }

    fn block_comment(&mut self, next: char, depth: usize) {
        match (next, self.peek(1)) {
            ('*', Some('/')) => {
                self.position += 2;
                self.state = match depth {
                    1 => State::Code,
                    _ => State::BlockComment { depth: depth - 1 },
                };
            }
            ('/', Some('*')) => {
                self.position += 2;
                self.state = State::BlockComment { depth: depth + 1 };
            }
            _ => self.comment(next),
        }
    }

    fn text(&mut self, next: char) {
        match next {
            '"' => self.copy(1, State::Code),
            // The character after a backslash is content, unless it is the end of the line.
            '\\' if self.peek(1) != Some('\n') => self.blank(2),
            _ => self.blank(1),
        }
    }

    fn raw_text(&mut self, next: char, hashes: usize) {
        let closes = next == '"' && (1..=hashes).all(|ahead| self.peek(ahead) == Some('#'));
        if closes {
            self.copy(1 + hashes, State::Code);
        } else {
            self.blank(1);
        }
    }

    /// Passes over the content of a literal.
    fn blank(&mut self, count: usize) {
        self.line.code.extend(std::iter::repeat_n('"', count));
        self.position += count;
    }

    /// A character literal or the start of a lifetime.
    fn quote(&mut self) {
        let length = match (self.peek(1), self.peek(2)) {
            // The escaped character may itself be a quote; the closing one comes after it.
            (Some('\\'), Some(_)) => (3..).find(|&ahead| matches!(self.peek(ahead), Some('\'' | '\n') | None)),
            (Some(_), Some('\'')) => Some(2),
            _ => None,
        };
        match length {
            Some(length) if self.peek(length) == Some('\'') => {
                self.line.code.extend(std::iter::repeat_n('\'', length + 1));
                self.position += length + 1;
            }
            _ => self.copy(1, State::Code),
        }
    }

    /// Whether the next character begins a word rather than continuing one.
    fn starts_word(&self) -> bool {
        !self.line.code.ends_with(is_word)
    }

    /// The length and the number of `#` of a raw string's opening, if one stands here.
    fn raw_prefix(&self) -> Option<(usize, usize)> {
        let letters = match (self.peek(0)?, self.peek(1)) {
            ('r', _) => 1,
            ('b' | 'c', Some('r')) => 2,
            _ => return None,
        };
        let hashes = (letters..).take_while(|&ahead| self.peek(ahead) == Some('#')).count();
        (self.peek(letters + hashes) == Some('"')).then_some((letters + hashes + 1, hashes))
    }
}

/// Whether a character can be part of a Rust word.
pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Whether `needle` stands in `code` without being the end or the start of a longer word.
pub(crate) fn has_word(code: &str, needle: &str) -> bool {
    code.match_indices(needle).any(|(start, _)| {
        let before = code[..start].chars().next_back();
        let after = code[start + needle.len()..].chars().next();
        let joins = |inner: Option<char>, outer: Option<char>| inner.is_some_and(is_word) && outer.is_some_and(is_word);
        !joins(needle.chars().next(), before) && !joins(needle.chars().next_back(), after)
    })
}

/// Marks the lines that are compiled for tests only: what stands under a `#[cfg(test)]` or the like.
pub(crate) fn test_lines(lines: &[Line]) -> Vec<bool> {
    let mut marks = vec![false; lines.len()];
    let code = Positioned::new(lines);
    let mut at = 0;
    while let Some(attribute) = code.next_attribute(at) {
        at = attribute.end;
        if !is_test_cfg(&attribute.content) {
            continue;
        }
        if !attribute.inner {
            at = code.item_end(attribute.end);
        }
        // An inner attribute speaks for all that follows it.
        let last = if attribute.inner { lines.len().saturating_sub(1) } else { code.line(at.saturating_sub(1)) };
        for mark in marks.iter_mut().take(last + 1).skip(code.line(attribute.start)) {
            *mark = true;
        }
    }
    marks
}

/// The last line (counted from 0) of the item that starts on line `first`.
pub(crate) fn item_end(lines: &[Line], first: usize) -> usize {
    let code = Positioned::new(lines);
    match code.characters.iter().position(|&(line, _)| line >= first) {
        Some(start) => code.line(code.item_end(start).saturating_sub(1)),
        None => first,
    }
}

/// Whether a `cfg` asks for tests: `test` alone or beside other conditions, which may themselves be negated.
fn is_test_cfg(attribute: &str) -> bool {
    let compact: String = attribute.chars().filter(|c| !c.is_whitespace()).collect();
    compact.starts_with("cfg(")
        && has_word(&compact, "test")
        && !["not(test", "not(any(test", "not(all(test"].iter().any(|negated| compact.contains(negated))
}

/// The code of a file as one run of characters that know their line.
struct Positioned {
    characters: Vec<(usize, char)>,
}

struct Attribute {
    start: usize,
    end: usize,
    inner: bool,
    content: String,
}

impl Positioned {
    fn new(lines: &[Line]) -> Self {
        let characters = lines
            .iter()
            .enumerate()
            .flat_map(|(number, line)| line.code.chars().chain(['\n']).map(move |c| (number, c)))
            .collect();
        Self { characters }
    }

    fn line(&self, at: usize) -> usize {
        self.characters.get(at).map_or(0, |&(line, _)| line)
    }

    fn next_attribute(&self, from: usize) -> Option<Attribute> {
        let at = |position: usize| self.characters.get(position).map(|&(_, c)| c);
        let start = (from..self.characters.len()).find(|&position| {
            at(position) == Some('#')
                && (at(position + 1) == Some('[') || (at(position + 1) == Some('!') && at(position + 2) == Some('[')))
        })?;
        let inner = at(start + 1) == Some('!');
        let open = start + 1 + usize::from(inner);
        let end = self.close(open);
        let content = self.characters[open + 1..end].iter().map(|&(_, c)| c).collect();
        Some(Attribute { start, end, inner, content })
    }

    /// The position after the bracket that closes the one at `open`.
    fn close(&self, open: usize) -> usize {
        let mut depth = 0_usize;
        for (position, &(_, c)) in self.characters.iter().enumerate().skip(open) {
            match c {
                '(' | '[' | '{' => depth += 1,
                ')' | ']' | '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                return position + 1;
            }
        }
        self.characters.len()
    }

    /// The position after the item at `from`: its closing brace, or its semicolon.
    fn item_end(&self, from: usize) -> usize {
        let mut position = from;
        while let Some(&(_, c)) = self.characters.get(position) {
            match c {
                ';' => return position + 1,
                '{' => return self.close(position),
                '(' | '[' => position = self.close(position),
                // A field or a variant without a body, the last of its kind.
                '}' | ')' | ']' => return position,
                _ => position += 1,
            }
        }
        self.characters.len()
    }
}

#[cfg(test)]
mod tests;
