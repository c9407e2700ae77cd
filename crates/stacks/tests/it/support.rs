//! Servers that go with a test, ours and those of others, their certificates and their files.

use std::{
    fs,
    net::SocketAddr,
    ops::Deref,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use chaski_core::{Conn, IntoBoxError, Service, Shutdown};
use chaski_net::TcpListener;
use chaski_tls::{CertificateAuthority, CertifiedKey, Roots};
use tokio::net::{TcpSocket, TcpStream};

/// A certificate for `localhost`, and who trusts it.
pub(crate) fn identity() -> (CertifiedKey, Roots) {
    let authority = CertificateAuthority::new("a test").unwrap();
    let roots = Roots::from_bytes(authority.certificate()).unwrap();
    (authority.issue(["localhost"]).unwrap(), roots)
}

/// A server on loopback that goes with the test.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: Shutdown,
}

impl Running {
    pub(crate) async fn new<S>(service: S) -> Self
    where
        S: Service<Conn<tokio::net::TcpStream>, Error: IntoBoxError>,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, shutdown) = (listener.local_addr().unwrap(), Shutdown::new());
        let signal = shutdown.clone();
        tokio::spawn(async move { listener.serve(service, &signal).await });
        Self { address, shutdown }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.cut();
    }
}

/// A folder that goes with the test.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Puts a certificate for `localhost`, signed by itself, into `cert.pem`, and with its key into `both.pem`.
    pub(crate) fn with_certificate(self) -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let cert = made.cert.pem();
        fs::write(self.join("cert.pem"), &cert).unwrap();
        fs::write(self.join("both.pem"), cert + &made.signing_key.serialize_pem()).unwrap();
        self
    }

    /// Who trusts that certificate.
    pub(crate) fn roots(&self) -> Roots {
        Roots::from_file(self.join("cert.pem")).unwrap()
    }
}

impl Deref for Folder {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A port for a program that cannot choose one itself. It is bound here, without listening, so that the system gives it to nobody
/// else but those who share ports.
pub(crate) struct Port {
    pub(crate) number: u16,
    _socket: TcpSocket,
}

impl Port {
    pub(crate) fn reserve() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        // Programs ask for the one or the other.
        socket.set_reuseport(true).unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        Self { number: socket.local_addr().unwrap().port(), _socket: socket }
    }
}

/// A server of others.
pub(crate) struct Foreign(Child);

impl Foreign {
    /// Starts a program with this configuration, in a file that is its last argument, and waits until it listens.
    pub(crate) async fn start(program: &[&str], folder: &Folder, config: &str, port: &Port) -> Self {
        let (file, said) = (folder.join(format!("{}.conf", program[0])), folder.join(format!("{}.said", program[0])));
        fs::write(&file, config).unwrap();
        let child = Command::new(program[0])
            .args(&program[1..])
            .arg(file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&said).unwrap())
            .spawn()
            .unwrap();
        let mut started = Self(child);
        while TcpStream::connect(("127.0.0.1", port.number)).await.is_err() {
            let ended = started.0.try_wait().unwrap();
            assert!(ended.is_none(), "{program:?}: {ended:?}: {}", fs::read_to_string(said).unwrap());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        started
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args([format!("-{name}"), self.0.id().to_string()]).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        // Not by force, which would leave its workers.
        if self.0.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.signal("TERM");
        }
        let _ = self.0.wait();
    }
}
