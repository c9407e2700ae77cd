//! JA3, as published at <https://github.com/salesforce/ja3>.

use std::fmt::Display;

use md5::{Digest, Md5};

use super::{ClientHello, hex, meant};

impl ClientHello {
    /// The JA3 fingerprint: the MD5 of [`ja3_string`](Self::ja3_string), in 32 hexadecimal digits.
    ///
    /// Browsers that shuffle their extensions have another one on each connection. [`ja4`](Self::ja4) stays.
    pub fn ja3(&self) -> String {
        hex(&Md5::digest(self.ja3_string()))
    }

    /// What JA3 is the hash of: version, cipher suites, extensions, groups and point formats, each in the order on the wire and
    /// without the codes that mean nothing ([`is_grease`](super::is_grease)), in decimal digits: `771,4865-4866,0-10-11,29-23,0`.
    pub fn ja3_string(&self) -> String {
        [
            self.legacy_version.to_string(),
            listed(meant(&self.cipher_suites)),
            listed(meant(&self.extensions)),
            listed(meant(&self.supported_groups)),
            listed(self.point_formats.iter()),
        ]
        .join(",")
    }
}

fn listed(codes: impl Iterator<Item = impl Display>) -> String {
    let codes: Vec<String> = codes.map(|code| code.to_string()).collect();
    codes.join("-")
}
