//! Captured ClientHellos. `tests/hellos/README.md` says how they were made.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use chaski_tls::hello::{ClientHello, ClientHelloDecoder};

/// A captured stream, with what others have read in it.
pub(crate) struct Capture {
    pub(crate) name: String,
    fields: HashMap<String, String>,
    pub(crate) stream: Vec<u8>,
}

impl Capture {
    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let fields: HashMap<String, String> = text
            .lines()
            .map(|line| {
                let (key, value) = line.split_once(':').unwrap();
                (key.to_owned(), value.trim().to_owned())
            })
            .collect();
        let digits: Vec<u8> =
            fields["hex"].chars().map(|digit| u8::try_from(digit.to_digit(16).unwrap()).unwrap()).collect();
        let stream = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
        Self { name: path.file_stem().unwrap().to_str().unwrap().to_owned(), fields, stream }
    }

    pub(crate) fn named(name: &str) -> Self {
        Self::read(&folder().join(format!("{name}.txt")))
    }

    pub(crate) fn all() -> Vec<Self> {
        let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
        let captures: Vec<Self> = files
            .filter(|path| path.extension().is_some_and(|end| end == "txt"))
            .map(|path| Self::read(&path))
            .collect();
        assert!(captures.len() >= 20, "{}", captures.len());
        captures
    }

    pub(crate) fn hello(&self) -> ClientHello {
        ClientHelloDecoder::new().decode(&self.stream).unwrap().expect("a whole hello")
    }

    /// What others have read.
    pub(crate) fn field(&self, key: &str) -> &str {
        &self.fields[key]
    }

    fn codes(&self, key: &str) -> Vec<u16> {
        self.fields[key].split_whitespace().map(|code| u16::from_str_radix(code, 16).unwrap()).collect()
    }

    /// Everything that was read, against everything that others have read.
    pub(crate) fn check(&self, hello: &ClientHello) {
        let name = &self.name;
        for (key, codes) in [
            ("record_version", &[hello.record_version()][..]),
            ("legacy_version", &[hello.legacy_version()]),
            ("cipher_suites", hello.cipher_suites()),
            ("extensions", hello.extensions()),
            ("supported_versions", hello.supported_versions()),
            ("supported_groups", hello.supported_groups()),
            ("signature_algorithms", hello.signature_algorithms()),
            ("key_share_groups", hello.key_share_groups()),
        ] {
            assert_eq!(codes, self.codes(key), "{name}: {key}");
        }
        for (key, codes) in
            [("compression_methods", hello.compression_methods()), ("point_formats", hello.point_formats())]
        {
            let codes: Vec<u16> = codes.iter().copied().map(u16::from).collect();
            assert_eq!(codes, self.codes(key), "{name}: {key}");
        }
        assert_eq!(hello.session_id_len().to_string(), self.fields["session_id_len"], "{name}");
        let server_name = hello.server_name().map(ToString::to_string);
        assert_eq!(server_name.unwrap_or_default(), self.fields["server_name"], "{name}");
        let alpn: Vec<String> = hello.alpn().map(percent_encoded).collect();
        assert_eq!(alpn.join(" "), self.fields["alpn"], "{name}");
        for (key, fingerprint) in [
            ("ja3", hello.ja3()),
            ("ja3_string", hello.ja3_string()),
            ("ja4", hello.ja4()),
            ("ja4_r", hello.ja4_r()),
            ("ja4_o", hello.ja4_o()),
            ("ja4_ro", hello.ja4_ro()),
        ] {
            assert_eq!(fingerprint, self.fields[key], "{name}: {key}");
        }
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hellos")
}

/// As the files write the names of protocols.
fn percent_encoded(name: &[u8]) -> String {
    name.iter()
        .map(|&byte| if byte.is_ascii_graphic() { char::from(byte).to_string() } else { format!("%{byte:02x}") })
        .collect()
}
