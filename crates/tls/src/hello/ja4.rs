//! JA4, the fingerprint of TLS clients alone, as published under a BSD licence at
//! <https://github.com/FoxIO-LLC/ja4/blob/main/technical_details/JA4.md>.

use sha2::{Digest, Sha256};

use super::{ClientHello, hex, meant, message::extension};

/// What stands for the hash of an empty list.
const NOTHING: &str = "000000000000";

/// Whether lists are sorted, and without what is found in the first part already, or as they came.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Sorted,
    Original,
}

impl ClientHello {
    /// The JA4 fingerprint, such as `t13d1516h2_8daaf6152771_e5627efa2ab1`: the kind of hello in ten characters, then the
    /// first twelve digits of the SHA-256 of the sorted cipher suites, and of the sorted extensions with the signature
    /// algorithms. It does not depend on the order of either list, nor on the codes that mean nothing.
    ///
    /// It is that of TLS over TCP, with a `t` in front.
    pub fn ja4(&self) -> String {
        self.hashed(Order::Sorted)
    }

    /// JA4_r: what [`ja4`](Self::ja4) is the hash of.
    pub fn ja4_r(&self) -> String {
        self.raw(Order::Sorted)
    }

    /// JA4_o: [`ja4`](Self::ja4) of the lists in the order on the wire, the server's name and ALPN among the extensions.
    pub fn ja4_o(&self) -> String {
        self.hashed(Order::Original)
    }

    /// JA4_ro: what [`ja4_o`](Self::ja4_o) is the hash of.
    pub fn ja4_ro(&self) -> String {
        self.raw(Order::Original)
    }

    fn raw(&self, order: Order) -> String {
        format!("{}_{}_{}", self.kind(), listed(&self.ciphers(order)), self.extensions_and_signatures(order))
    }

    fn hashed(&self, order: Order) -> String {
        let ciphers = self.ciphers(order);
        let ciphers = if ciphers.is_empty() { NOTHING.to_owned() } else { hash(&listed(&ciphers)) };
        // "If there are no extensions in the sorted extensions list": that list decides for both orders.
        let is_bare = self.kinds(Order::Sorted).is_empty();
        let extensions = if is_bare { NOTHING.to_owned() } else { hash(&self.extensions_and_signatures(order)) };
        format!("{}_{ciphers}_{extensions}", self.kind())
    }

    /// The first part, JA4_a.
    fn kind(&self) -> String {
        let version = match meant(&self.supported_versions).max().unwrap_or(self.legacy_version) {
            0x0304 => "13",
            0x0303 => "12",
            0x0302 => "11",
            0x0301 => "10",
            0x0300 => "s3",
            0x0002 => "s2",
            _ => "00",
        };
        let name = if self.extensions.contains(&extension::SERVER_NAME) { 'd' } else { 'i' };
        let ciphers = meant(&self.cipher_suites).count().min(99);
        let extensions = meant(&self.extensions).count().min(99);
        let [first, last] = self.alpn().next().map_or(['0', '0'], ends);
        format!("t{version}{name}{ciphers:02}{extensions:02}{first}{last}")
    }

    fn ciphers(&self, order: Order) -> Vec<u16> {
        in_order(meant(&self.cipher_suites), order)
    }

    fn kinds(&self, order: Order) -> Vec<u16> {
        let is_elsewhere = |kind| [extension::SERVER_NAME, extension::ALPN].contains(&kind);
        in_order(meant(&self.extensions).filter(|&kind| order == Order::Original || !is_elsewhere(kind)), order)
    }

    fn extensions_and_signatures(&self, order: Order) -> String {
        let extensions = listed(&self.kinds(order));
        // "In the order that they appear", in both forms.
        let signatures: Vec<u16> = meant(&self.signature_algorithms).collect();
        // "If there are no signature algorithms in the hello packet, then the string ends without an underscore."
        if signatures.is_empty() { extensions } else { format!("{extensions}_{}", listed(&signatures)) }
    }
}

fn in_order(codes: impl Iterator<Item = u16>, order: Order) -> Vec<u16> {
    let mut codes: Vec<u16> = codes.collect();
    if order == Order::Sorted {
        codes.sort_unstable();
    }
    codes
}

fn listed(codes: &[u16]) -> String {
    let codes: Vec<String> = codes.iter().map(|code| format!("{code:04x}")).collect();
    codes.join(",")
}

fn hash(text: &str) -> String {
    hex(&Sha256::digest(text)[..6])
}

/// The first and the last character of a protocol's name; of its hexadecimal digits, if either byte is no letter or digit.
fn ends(name: &[u8]) -> [char; 2] {
    let (Some(&first), Some(&last)) = (name.first(), name.last()) else { return ['0', '0'] };
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        return [first.into(), last.into()];
    }
    let digit = |four_bits: u8| char::from_digit(four_bits.into(), 16).unwrap_or('0');
    [digit(first >> 4), digit(last & 15)]
}
