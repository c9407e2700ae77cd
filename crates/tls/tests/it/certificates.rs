//! Certificates that are made here, as OpenSSL sees them.

use std::{
    fs,
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use chaski_core::{BoxError, Conn, Layer, Service, service_fn};
use chaski_tls::{AcceptLayer, CertificateAuthority, CertifiedKey, ServerConfig, TlsStream};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
};

use crate::peers::needs;

const HOUR: u64 = 60 * 60;

/// A folder for the files of a test.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    /// Writes a file; gives its path.
    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.0.join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// The certificate in PEM, made of it by OpenSSL.
    fn certificate(&self, name: &str, key: &CertifiedKey) -> String {
        let der = self.write(&format!("{name}.der"), key.chain().next().unwrap());
        let (pem, ok) = openssl(&["x509", "-inform", "DER", "-in", &der]);
        assert!(ok, "{pem}");
        self.write(&format!("{name}.pem"), pem)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What it says, and whether it is content.
fn openssl(arguments: &[&str]) -> (String, bool) {
    let output = Command::new("openssl").args(arguments).stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (text, output.status.success())
}

/// The line after the one that has this in it.
fn line_after<'a>(text: &'a str, heading: &str) -> &'a str {
    let mut lines = text.lines().skip_while(|line| !line.contains(heading));
    lines.nth(1).unwrap_or_else(|| panic!("{heading} in {text}")).trim()
}

/// Some hours from now.
fn at(hours: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    now.saturating_add_signed(hours * i64::try_from(HOUR).unwrap()).to_string()
}

/// The cases of TLS-08 that are about leaves, waits: a proxy that issues them, CRL and OCSP.
#[test]
fn tls_08_openssl_verifies_what_the_authority_issues() {
    needs!("tls_08_openssl_verifies_what_the_authority_issues", "openssl");
    let folder = Folder::new("authority");
    let authority = CertificateAuthority::new("Chaski Test CA").unwrap();
    let ca = folder.write("ca.pem", authority.certificate_pem());
    let names = ["example.com", "*.Example.com", "192.0.2.1", "2001:db8::1"];
    let leaf = folder.certificate("leaf", &authority.issue(names).unwrap());

    let (text, _) = openssl(&["x509", "-noout", "-text", "-in", &leaf]);
    let (issuer, _) = openssl(&["x509", "-noout", "-text", "-in", &ca]);
    assert_eq!(
        line_after(&text, "X509v3 Subject Alternative Name"),
        "DNS:example.com, DNS:*.example.com, IP Address:192.0.2.1, IP Address:2001:DB8:0:0:0:0:0:1"
    );
    assert_eq!(
        line_after(&text, "X509v3 Authority Key Identifier"),
        line_after(&issuer, "X509v3 Subject Key Identifier")
    );
    assert_ne!(
        line_after(&text, "X509v3 Subject Key Identifier"),
        line_after(&issuer, "X509v3 Subject Key Identifier")
    );
    assert_eq!(line_after(&text, "X509v3 Basic Constraints: critical"), "CA:FALSE");
    assert_eq!(line_after(&text, "X509v3 Key Usage: critical"), "Digital Signature");
    assert_eq!(line_after(&text, "X509v3 Extended Key Usage"), "TLS Web Server Authentication");
    assert!(text.contains("Issuer: CN = Chaski Test CA") && text.contains("Subject: CN = example.com"), "{text}");
    assert_eq!(line_after(&issuer, "X509v3 Basic Constraints: critical"), "CA:TRUE, pathlen:0");
    assert_eq!(line_after(&issuer, "X509v3 Key Usage: critical"), "Certificate Sign, CRL Sign");

    let verify = |more: &[&str]| openssl(&[&["verify", "-x509_strict", "-CAfile", &ca], more, &[&leaf]].concat()).1;
    for (more, expected) in [
        (&["-verify_hostname", "example.com"][..], true),
        (&["-verify_hostname", "www.example.com"], true),
        (&["-verify_hostname", "a.b.example.com"], false),
        (&["-verify_hostname", "example.org"], false),
        (&["-verify_ip", "192.0.2.1"], true),
        (&["-verify_ip", "2001:db8::1"], true),
        (&["-verify_ip", "192.0.2.2"], false),
        // A day back and 90 days forth.
        (&["-attime", &at(-23)], true),
        (&["-attime", &at(-25)], false),
        (&["-attime", &at(90 * 24 - 1)], true),
        (&["-attime", &at(90 * 24 + 1)], false),
    ] {
        assert_eq!(verify(more), expected, "{more:?}");
    }

    let another = folder.certificate("another", &authority.issue(names).unwrap());
    let serial = |file: &str| openssl(&["x509", "-noout", "-serial", "-in", file]).0;
    assert_ne!(serial(&leaf), serial(&another), "RFC 5280 section 4.1.2.2");
    assert_ne!(serial(&leaf), serial(&ca));
    assert_eq!(authority.issued(), 2);
}

#[test]
fn openssl_verifies_a_self_signed_certificate_by_itself_alone() {
    needs!("openssl_verifies_a_self_signed_certificate_by_itself_alone", "openssl");
    let folder = Folder::new("self-signed");
    let file = folder.certificate("self", &CertifiedKey::self_signed(["localhost", "127.0.0.1"]).unwrap());
    let other = folder.certificate("other", &CertifiedKey::self_signed(["localhost"]).unwrap());
    for (trusted, more, expected) in [
        (&file, &["-verify_hostname", "localhost"][..], true),
        (&file, &["-verify_ip", "127.0.0.1"], true),
        (&file, &["-verify_hostname", "example.com"], false),
        (&file, &["-attime", &at(365 * 24 + 1)], false),
        (&other, &["-verify_hostname", "localhost"], false),
    ] {
        let (text, ok) = openssl(&[&["verify", "-CAfile", trusted], more, &[&*file]].concat());
        assert_eq!(ok, expected, "{more:?}: {text}");
    }
}

/// One certificate for each name that is asked for, and for nobody without a name.
#[tokio::test]
async fn openssl_connects_to_a_server_that_issues_as_it_goes() {
    needs!("openssl_connects_to_a_server_that_issues_as_it_goes", "openssl", "timeout");
    let folder = Folder::new("issues");
    let authority = Arc::new(CertificateAuthority::new("Chaski Test CA").unwrap());
    let ca = folder.write("ca.pem", authority.certificate_pem());
    let layer = AcceptLayer::new(ServerConfig::new(Arc::clone(&authority))).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    for (name, issued) in [(Some("one.test"), 1), (Some("two.test"), 2), (Some("one.test"), 2), (None, 2)] {
        let mut arguments =
            vec!["60", "openssl", "s_client", "-connect", &addr, "-CAfile", &ca, "-verify_return_error"];
        match name {
            Some(name) => arguments.extend(["-servername", name, "-verify_hostname", name]),
            None => arguments.push("-noservername"),
        }
        let mut command = Command::new("timeout");
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let client = tokio::task::spawn_blocking(move || {
            let mut child = command.spawn().unwrap();
            let _ = child.stdin.take().unwrap().write_all(b"Q\n");
            child.wait_with_output().unwrap()
        });
        let (socket, _) = listener.accept().await.unwrap();
        let greet = service_fn(async |mut conn: Conn<TlsStream<TcpStream>>| conn.io.shutdown().await);
        let served: Result<(), BoxError> = layer.layer(greet).serve(Conn::new(socket)).await;
        let output = client.await.unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        match name {
            Some(name) => {
                assert!(text.contains("Verification: OK") && text.contains(&format!("subject=CN = {name}")), "{text}");
            }
            None => assert!(served.is_err() && text.contains("unrecognized name"), "{text}"),
        }
        assert_eq!(authority.issued(), issued);
    }
}
