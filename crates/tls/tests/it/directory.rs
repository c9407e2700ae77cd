//! Certificates in a folder, by the names of the files, and read again.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use chaski_core::test_util::pipe;
use chaski_tls::{
    CertificateDirectory, Certificates, CertifiedKey, ClientConfig, LoadErrorCause, PeerCertificates, ServerConfig,
};
use tokio::time::timeout;

use crate::support::{Authority, both, layers};

struct Folder {
    path: PathBuf,
    authority: Authority,
}

impl Folder {
    fn new(test: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("directory-{test}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self { path, authority: Authority::new("Test Root") }
    }

    fn write(&self, file: &str, content: &str) {
        fs::write(self.path.join(file), content).unwrap();
    }

    fn remove(&self, file: &str) {
        fs::remove_file(self.path.join(file)).unwrap();
    }

    /// A new certificate and its key in one file.
    fn issue(&self, file: &str, names: &[&str]) {
        let (chain, key) = self.authority.issue_pem(names, |_| {});
        self.write(file, &(chain + &key));
    }

    fn open(&self) -> CertificateDirectory {
        CertificateDirectory::open(&self.path).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn subject(found: Option<CertifiedKey>) -> Option<String> {
    found.and_then(|key| key.subject())
}

/// Where the certificate is in memory: the same one has one place, another one with the same content another place.
fn place(certificates: &CertificateDirectory, name: &str) -> *const u8 {
    certificates.find(Some(name)).unwrap().chain().next().unwrap().as_ptr()
}

#[test]
fn a_certificate_is_found_by_the_name_of_its_file() {
    let folder = Folder::new("names");
    folder.issue("example.com.pem", &["exact", "example.com"]);
    folder.issue("_wildcard.example.com.pem", &["wildcard", "*.example.com"]);
    let (chain, key) = folder.authority.issue_pem(&["apart", "www.example.com"], |_| {});
    folder.write("www.example.com.crt", &chain);
    folder.write("www.example.com.key", &key);
    folder.write("README", "none of these files is a certificate");
    folder.write("request.csr", "nor is this one");
    let certificates = folder.open();
    assert_eq!(certificates.names(), ["*.example.com", "example.com", "www.example.com"]);
    for (name, expected) in [
        (Some("example.com"), Some("CN=exact")),
        (Some("www.example.com"), Some("CN=apart")),
        (Some("img.example.com"), Some("CN=wildcard")),
        (Some("a.img.example.com"), None),
        (Some("example.org"), None),
        (None, None),
    ] {
        assert_eq!(subject(certificates.find(name)).as_deref(), expected, "{name:?}");
    }
    // For all others, where there is one for all others.
    folder.issue("default.pem", &["default"]);
    certificates.reload().unwrap();
    for (name, expected) in
        [(Some("example.com"), "CN=exact"), (Some("example.org"), "CN=default"), (None, "CN=default")]
    {
        assert_eq!(subject(certificates.find(name)).as_deref(), Some(expected), "{name:?}");
    }
}

/// All of what is there now, or none of it.
#[test]
fn what_is_read_again_is_taken_as_a_whole() {
    let folder = Folder::new("again");
    folder.issue("a.test.pem", &["first", "a.test"]);
    folder.issue("b.test.pem", &["b.test"]);
    let certificates = folder.open();
    let kept = place(&certificates, "b.test");

    folder.issue("a.test.pem", &["second", "a.test"]);
    folder.issue("c.test.pem", &["c.test"]);
    assert_eq!(subject(certificates.find(Some("a.test"))).as_deref(), Some("CN=first"), "nobody has said so yet");
    certificates.reload().unwrap();
    assert_eq!(subject(certificates.find(Some("a.test"))).as_deref(), Some("CN=second"));
    assert!(certificates.find(Some("c.test")).is_some());
    assert_eq!(place(&certificates, "b.test"), kept, "what has not changed is the same, with its sessions");

    // One of the two is wrong, so neither is taken.
    folder.issue("a.test.pem", &["third", "a.test"]);
    folder.write("b.test.pem", "-----BEGIN CERTIFICATE-----\n");
    let error = certificates.reload().unwrap_err();
    assert_eq!(error.file(), Some(&*folder.path.join("b.test.pem")));
    assert_eq!(subject(certificates.find(Some("a.test"))).as_deref(), Some("CN=second"));
    assert_eq!(place(&certificates, "b.test"), kept);

    folder.remove("b.test.pem");
    certificates.reload().unwrap();
    assert_eq!(subject(certificates.find(Some("a.test"))).as_deref(), Some("CN=third"));
    assert_eq!(certificates.names(), ["a.test", "c.test"]);
}

#[test]
fn what_is_wrong_with_a_folder_is_told_with_the_file() {
    let check = |name: &str, fill: &dyn Fn(&Folder), file: &str, expected: &str| {
        let folder = Folder::new(name);
        fill(&folder);
        let error = CertificateDirectory::open(&folder.path).unwrap_err();
        assert_eq!(error.file(), Some(&*folder.path.join(file)), "{error}");
        assert!(error.to_string().ends_with(expected), "{error}");
        error
    };
    let wrong = |folder: &Folder| folder.issue("a.test.pem", &["b.test"]);
    let error = check("wrong", &wrong, "a.test.pem", "has a certificate (CN=b.test) that is not for `a.test`");
    assert!(matches!(error.cause(), LoadErrorCause::NotFor { name, .. } if name == "a.test"));
    let narrow = |folder: &Folder| folder.issue("*.a.test.pem", &["b.a.test"]);
    check("narrow", &narrow, "*.a.test.pem", "that is not for `*.a.test`");
    check("empty", &|_| {}, "", "has no certificate");
    check(
        "no-key",
        &|folder| folder.write("a.test.pem", &folder.authority.issue_pem(&["a.test"], |_| {}).0),
        "a.test.pem",
        "has no private key",
    );
    let unnamed = |folder: &Folder| folder.issue("127.0.0.1.pem", &["127.0.0.1"]);
    check("unnamed", &unnamed, "127.0.0.1.pem", "has a name that is not that of one server");
    let twice = |folder: &Folder| ["a.test.crt", "a.test.pem"].iter().for_each(|file| folder.issue(file, &["a.test"]));
    check("twice", &twice, "a.test.pem", "has a name that is not that of one server");
    let mixed = |folder: &Folder| {
        folder.issue("a.test.pem", &["a.test"]);
        folder.write("a.test.key", &folder.authority.issue_pem(&["a.test"], |_| {}).1);
    };
    check("mixed", &mixed, "a.test.key", "has a private key that does not match the certificate (CN=a.test)");
    assert!(
        CertificateDirectory::open("/no/such/folder")
            .unwrap_err()
            .to_string()
            .starts_with("/no/such/folder: cannot be read")
    );
}

/// Changes are found by looking; what is wrong is not looked at twice, and what is mended is taken.
#[tokio::test(start_paused = true)]
async fn a_folder_is_watched() {
    let folder = Folder::new("watched");
    folder.issue("a.test.pem", &["first", "a.test"]);
    let certificates = Arc::new(folder.open());
    let minute = Duration::from_secs(60);
    let some_minutes = || timeout(5 * minute, Arc::clone(&certificates).watch(minute));
    let first = place(&certificates, "a.test");
    some_minutes().await.unwrap_err();
    assert_eq!(place(&certificates, "a.test"), first);

    folder.issue("b.test.pem", &["b.test"]);
    some_minutes().await.unwrap_err();
    assert_eq!(certificates.names(), ["a.test", "b.test"]);

    folder.write("b.test.pem", "no certificate");
    some_minutes().await.unwrap_err();
    assert_eq!(certificates.names(), ["a.test", "b.test"]);
    folder.remove("b.test.pem");
    some_minutes().await.unwrap_err();
    assert_eq!(certificates.names(), ["a.test"]);
    assert_eq!(place(&certificates, "a.test"), first);
}

/// Over TLS: what a client is shown follows the folder.
#[tokio::test]
async fn a_server_shows_what_is_in_the_folder() {
    let folder = Folder::new("server");
    folder.issue("localhost.pem", &["localhost", "first"]);
    let certificates = Arc::new(folder.open());
    for _ in 0..2 {
        // A new client each time, which has no session to resume.
        let client = ClientConfig::new(folder.authority.roots());
        let (_, connected) = both(&layers((ServerConfig::new(Arc::clone(&certificates)), client)), pipe()).await;
        let expected = certificates.find(Some("localhost")).unwrap();
        let shown = connected.ext.get::<PeerCertificates>().unwrap();
        assert!(shown.chain().eq(expected.chain()));
        folder.issue("localhost.pem", &["localhost", "second"]);
        certificates.reload().unwrap();
    }
}
