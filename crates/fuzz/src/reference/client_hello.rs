//! A ClientHello, read byte by byte from the presentation language of RFC 8446.

use super::Read;

/// What is compared of a hello: numbers as they came, and what they are as text.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(crate) record_version: u16,
    pub(crate) legacy_version: u16,
    pub(crate) session_id_len: usize,
    pub(crate) ciphers: Vec<u16>,
    pub(crate) compression: Vec<u8>,
    pub(crate) extensions: Vec<u16>,
    pub(crate) server_name: Option<Vec<u8>>,
    pub(crate) alpn: Vec<Vec<u8>>,
    pub(crate) versions: Vec<u16>,
    pub(crate) groups: Vec<u16>,
    pub(crate) points: Vec<u8>,
    pub(crate) signatures: Vec<u16>,
    pub(crate) shares: Vec<u16>,
    pub(crate) is_outer: bool,
}

/// The hello at the start of a stream, if it ends within `limit` bytes.
pub(crate) fn client_hello(stream: &[u8], limit: usize) -> Read<Hello> {
    let mut message = Vec::new();
    let mut at = 0;
    loop {
        // Another record has a head of five bytes and one byte at least.
        if at + 6 > limit {
            return Read::Refused;
        }
        let mut head = [0; 5];
        for (place, byte) in head.iter_mut().enumerate() {
            let Some(&came) = stream.get(at + place) else { return Read::Incomplete };
            if place == 0 && came != 22 || place == 1 && came != 3 {
                return Read::Refused;
            }
            *byte = came;
        }
        at += 5;
        let length = usize::from(head[3]) * 256 + usize::from(head[4]);
        if length == 0 || length > 16384 || !fits(&message, length, at, limit) {
            return Read::Refused;
        }
        for place in 0..length {
            let Some(&byte) = stream.get(at) else { return Read::Incomplete };
            message.push(byte);
            at += 1;
            if message[0] != 1 || message.len() == 4 && !fits(&message, length - place - 1, at, limit) {
                return Read::Refused;
            }
        }
        if total(&message) == Some(message.len()) {
            let version = u16::from(head[1]) * 256 + u16::from(stream[2]);
            return match whole(&message) {
                Some(hello) => Read::Complete(Hello { record_version: version, ..hello }, at),
                None => Read::Refused,
            };
        }
    }
}

fn total(message: &[u8]) -> Option<usize> {
    let length = message.get(1..4)?;
    Some(4 + length.iter().fold(0, |sum, &byte| sum * 256 + usize::from(byte)))
}

/// Whether what was announced fits: what is left of a record into the limit and into the message, and that into the limit.
fn fits(message: &[u8], left: usize, at: usize, limit: usize) -> bool {
    let Some(total) = total(message) else { return at + left <= limit };
    let missing = total - message.len();
    at + left <= limit && at + missing <= limit && left <= missing
}

/// `struct { .. } ClientHello` behind the type and the length.
fn whole(message: &[u8]) -> Option<Hello> {
    let mut hello = Hello { legacy_version: number(message.get(4..6)?), ..Hello::default() };
    let rest = message.get(38..)?;
    let (session_id, rest) = vector(rest, 1)?;
    let (ciphers, rest) = vector(rest, 2)?;
    let (compression, rest) = vector(rest, 1)?;
    hello.session_id_len = session_id.len();
    hello.ciphers = numbers(ciphers)?;
    hello.compression = compression.to_vec();
    if session_id.len() > 32 || compression.is_empty() {
        return None;
    }
    if rest.is_empty() {
        return Some(hello);
    }
    let (mut block, behind) = vector(rest, 2)?;
    if !behind.is_empty() {
        return None;
    }
    while !block.is_empty() {
        let kind = number(block.get(..2)?);
        let (content, rest) = vector(&block[2..], 2)?;
        block = rest;
        if hello.extensions.contains(&kind) {
            return None;
        }
        hello.extensions.push(kind);
        extension(&mut hello, kind, content)?;
    }
    Some(hello)
}

fn extension(hello: &mut Hello, kind: u16, content: &[u8]) -> Option<()> {
    match kind {
        0 => {
            let mut names = only(content, 2)?;
            if names.is_empty() {
                return None;
            }
            while let [kind, rest @ ..] = names {
                let (name, rest) = vector(rest, 2)?;
                if name.is_empty() || *kind == 0 && hello.server_name.is_some() {
                    return None;
                }
                if *kind == 0 {
                    hello.server_name = Some(name.to_vec());
                }
                names = rest;
            }
        }
        10 => hello.groups = numbers(only(content, 2)?)?,
        11 => hello.points = Some(only(content, 1)?).filter(|points| !points.is_empty())?.to_vec(),
        13 => hello.signatures = numbers(only(content, 2)?)?,
        16 => {
            let mut names = Some(only(content, 2)?).filter(|names| !names.is_empty())?;
            while !names.is_empty() {
                let (name, rest) = vector(names, 1)?;
                if name.is_empty() {
                    return None;
                }
                hello.alpn.push(name.to_vec());
                names = rest;
            }
        }
        43 => hello.versions = numbers(only(content, 1)?)?,
        51 => {
            let mut shares = only(content, 2)?;
            while !shares.is_empty() {
                hello.shares.push(number(shares.get(..2)?));
                let (key, rest) = vector(&shares[2..], 2)?;
                if key.is_empty() {
                    return None;
                }
                shares = rest;
            }
        }
        0xfe0d => hello.is_outer = *content.first()? == 0,
        _ => {}
    }
    Some(())
}

fn number(pair: &[u8]) -> u16 {
    u16::from(pair[0]) * 256 + u16::from(pair[1])
}

/// One number or more.
fn numbers(list: &[u8]) -> Option<Vec<u16>> {
    (!list.is_empty() && list.len().is_multiple_of(2)).then(|| list.chunks(2).map(number).collect())
}

/// What a length of so many bytes is in front of, and what is behind that.
fn vector(bytes: &[u8], digits: usize) -> Option<(&[u8], &[u8])> {
    let length = bytes.get(..digits)?.iter().fold(0, |sum, &byte| sum * 256 + usize::from(byte));
    bytes[digits..].split_at_checked(length)
}

/// What a length is in front of, where nothing is behind that.
fn only(bytes: &[u8], digits: usize) -> Option<&[u8]> {
    vector(bytes, digits).filter(|(_, behind)| behind.is_empty()).map(|(content, _)| content)
}
