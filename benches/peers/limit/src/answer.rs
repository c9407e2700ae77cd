//! One answer, ready to be sent.

use std::time::{Duration, Instant, SystemTime};

/// `Hello, World!` with its head, and a date that is at most a second old.
pub struct Answer {
    bytes: Vec<u8>,
    made: Instant,
}

impl Answer {
    pub fn new() -> Self {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 13\r\ndate: ";
        let date = httpdate::fmt_http_date(SystemTime::now());
        Self { bytes: format!("{head}{date}\r\n\r\nHello, World!").into_bytes(), made: Instant::now() }
    }

    pub fn bytes(&mut self) -> &[u8] {
        if self.made.elapsed() >= Duration::from_secs(1) {
            *self = Self::new();
        }
        &self.bytes
    }
}

impl Default for Answer {
    fn default() -> Self {
        Self::new()
    }
}

/// How many heads end in `bytes`, and where the last of them does.
pub fn heads(bytes: &[u8]) -> (usize, usize) {
    memchr::memmem::find_iter(bytes, b"\r\n\r\n").fold((0, 0), |(count, _), at| (count + 1, at + 4))
}
