//! OpenSSL and Python on the other side, on loopback.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, ChildStdout, Command, Output, Stdio},
};

use chaski_core::{BoxError, Conn, Layer, Service, find_cause, service_fn};
use chaski_tls::{
    AcceptLayer, CertificateFault, CertifiedKey, CipherSuite, ClientAuth, ClientConfig, Common, ConnectLayer,
    Negotiated, PeerCertificates, Roots, ServerConfig, TlsError, TlsStream, TlsVersion, TlsVersions,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::{
    peers::needs,
    support::{Authority, accept, connect, to},
};

/// An authority, a server's and a client's certificate in files.
struct Files {
    folder: PathBuf,
}

impl Files {
    fn new(test: &str) -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let files = Self { folder };
        let authority = Authority::new("Test Root");
        files.write("ca.pem", authority.pem());
        for (name, names) in [("server", &["localhost", "127.0.0.1"][..]), ("client", &["ana"])] {
            let (chain, key) = authority.issue_pem(names, |_| {});
            files.write(&format!("{name}.pem"), &chain);
            files.write(&format!("{name}.key"), &key);
        }
        let (chain, key) = Authority::new("Strangers").issue_pem(&["eva"], |_| {});
        files.write("stranger.pem", &chain);
        files.write("stranger.key", &key);
        files
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).to_str().unwrap().to_owned()
    }

    fn roots(&self) -> Roots {
        Roots::from_file(self.path("ca.pem")).unwrap()
    }

    fn key(&self, name: &str) -> CertifiedKey {
        CertifiedKey::from_files(self.path(&format!("{name}.pem")), self.path(&format!("{name}.key"))).unwrap()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Answers one line on one connection, and tells what is known of it.
async fn serve_one(layer: &AcceptLayer, listener: &TcpListener) -> Result<(Negotiated, Option<String>), BoxError> {
    let (socket, _) = listener.accept().await?;
    let answer = service_fn(async |mut conn: Conn<TlsStream<TcpStream>>| {
        let mut line = Vec::new();
        while !line.ends_with(b"\n") {
            line.push(conn.io.read_u8().await?);
        }
        conn.io.write_all(b"answer to ").await?;
        conn.io.write_all(&line).await?;
        conn.io.shutdown().await?;
        // Until the other side has closed too.
        conn.io.read_to_end(&mut Vec::new()).await?;
        let who = conn.ext.get::<PeerCertificates>().and_then(PeerCertificates::subject);
        Ok::<_, BoxError>((conn.ext.get::<Negotiated>().cloned().unwrap(), who))
    });
    layer.layer(answer).serve(Conn::new(socket)).await
}

/// `openssl s_client`, which says one line.
async fn s_client(addr: SocketAddr, files: &Files, more: &[&str]) -> String {
    let mut command = Command::new("timeout");
    command
        .args(["30", "openssl", "s_client", "-ign_eof", "-verify_return_error", "-servername", "localhost", "-connect"])
        .arg(addr.to_string())
        .args(["-CAfile", &files.path("ca.pem")])
        .args(more)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let run = move || {
        let mut child = command.spawn().unwrap();
        // It may have ended already.
        let _ = child.stdin.take().unwrap().write_all(b"ping\n");
        child.wait_with_output().unwrap()
    };
    let Output { stdout, stderr, .. } = tokio::task::spawn_blocking(run).await.unwrap();
    format!("{}\n{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr))
}

#[tokio::test]
async fn openssl_s_client_agrees_on_what_was_agreed() {
    needs!("openssl_s_client_agrees_on_what_was_agreed", "openssl", "timeout");
    let files = Files::new("s_client");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let layer = AcceptLayer::new(ServerConfig::new(files.key("server")).with_alpn(["h2", "http/1.1"])).unwrap();
    for (flag, version, said, suite) in [
        ("-tls1_2", TlsVersion::Tls12, "TLSv1.2", CipherSuite::ECDHE_ECDSA_AES_256_GCM_SHA384),
        ("-tls1_3", TlsVersion::Tls13, "TLSv1.3", CipherSuite::AES_256_GCM_SHA384),
    ] {
        let args = [flag, "-alpn", "http/1.1,h2"];
        let (served, text) = tokio::join!(serve_one(&layer, &listener), s_client(addr, &files, &args));
        let (negotiated, _) = served.unwrap_or_else(|error| panic!("{error:?}: {text}"));
        assert_eq!(negotiated.version(), version);
        assert_eq!(negotiated.cipher_suite(), suite);
        assert_eq!(negotiated.alpn(), Some(&b"h2"[..]));
        assert_eq!(negotiated.server_name().unwrap().as_str(), "localhost");
        let cipher =
            if version == TlsVersion::Tls12 { "ECDHE-ECDSA-AES256-GCM-SHA384" } else { "TLS_AES_256_GCM_SHA384" };
        for expected in [
            &*format!("New, {said}, Cipher is {cipher}"),
            "ALPN protocol: h2",
            "Verification: OK",
            "answer to ping",
            "closed",
        ] {
            assert!(text.contains(expected), "{expected} is not in {text}");
        }
        assert!(!text.contains("unexpected eof"), "{text}");
    }
    let (served, text) =
        tokio::join!(serve_one(&layer, &listener), s_client(addr, &files, &["-tls1_1", "-cipher", "ALL@SECLEVEL=0"]));
    let error = served.unwrap_err();
    assert!(matches!(find_cause(&*error), Some(TlsError::NothingInCommon { what: Common::Version, .. })), "{error:?}");
    assert!(text.contains("alert protocol version"), "{text}");
}

#[tokio::test]
async fn openssl_s_client_goes_on_with_a_session() {
    needs!("openssl_s_client_goes_on_with_a_session", "openssl", "timeout");
    let files = Files::new("s_client_session");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let session = files.path("session");
    for (flag, said) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let layer = AcceptLayer::new(ServerConfig::new(files.key("server"))).unwrap();
        for (args, resumed) in [([flag, "-sess_out", &session], false), ([flag, "-sess_in", &session], true)] {
            let (served, text) = tokio::join!(serve_one(&layer, &listener), s_client(addr, &files, &args));
            let (negotiated, _) = served.unwrap_or_else(|error| panic!("{error:?}: {text}"));
            assert_eq!(negotiated.is_resumed(), resumed);
            let expected = format!("{}, {said}", if resumed { "Reused" } else { "New" });
            assert!(text.contains(&expected), "{expected} is not in {text}");
        }
    }
}

/// TLS-06, with a client of another kind.
#[tokio::test]
async fn openssl_s_client_has_to_show_a_certificate() {
    needs!("openssl_s_client_has_to_show_a_certificate", "openssl", "timeout");
    let files = Files::new("s_client_certificate");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let config = ServerConfig::new(files.key("server")).with_client_auth(ClientAuth::Required(files.roots()));
    let layer = AcceptLayer::new(config).unwrap();
    for flag in ["-tls1_2", "-tls1_3"] {
        let shown = |name: &str| {
            [
                flag.to_owned(),
                "-cert".to_owned(),
                files.path(&format!("{name}.pem")),
                "-key".to_owned(),
                files.path(&format!("{name}.key")),
            ]
        };
        let [ana, eva] = ["client", "stranger"].map(shown);
        let [ana, eva] = [&ana, &eva].map(|args| args.iter().map(String::as_str).collect::<Vec<_>>());

        let (served, text) = tokio::join!(serve_one(&layer, &listener), s_client(addr, &files, &ana));
        assert_eq!(served.unwrap().1.as_deref(), Some("CN=ana"), "{text}");
        assert!(text.contains("answer to ping"), "{text}");

        let (served, text) = tokio::join!(serve_one(&layer, &listener), s_client(addr, &files, &eva));
        let error = served.unwrap_err();
        let fault = find_cause::<TlsError>(&*error).unwrap().certificate_fault();
        assert_eq!(fault, Some(CertificateFault::UnknownIssuer), "{error:?}");
        assert!(text.contains("alert unknown ca"), "{text}");

        let nothing = [flag];
        let (served, text) = tokio::join!(serve_one(&layer, &listener), s_client(addr, &files, &nothing));
        let error = served.unwrap_err();
        assert!(matches!(find_cause(&*error), Some(TlsError::NoCertificate)), "{error:?}");
        assert!(text.contains("alert certificate required") || text.contains("alert number 116"), "{text}");
    }
}

/// A program that serves, which is ended with the value, and what it writes.
struct Program {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Program {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    /// What follows `start` in the next line that begins so.
    fn line(&mut self, start: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(self.lines.read_line(&mut line).unwrap() > 0, "it ended without `{start}`");
            if let Some(rest) = line.strip_prefix(start) {
                return rest.trim().to_owned();
            }
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `openssl s_server`, which sends every line back in reverse.
fn s_server(files: &Files, more: &[&str]) -> (Program, String) {
    let mut program = Program::start(
        Command::new("timeout")
            .args(["60", "openssl", "s_server", "-rev", "-accept", "127.0.0.1:0"])
            .args([
                "-cert",
                &files.path("server.pem"),
                "-key",
                &files.path("server.key"),
                "-CAfile",
                &files.path("ca.pem"),
            ])
            .args(more),
    );
    let addr = program.line("ACCEPT ");
    (program, addr)
}

/// Has a line reversed.
async fn reverse(layer: &ConnectLayer, addr: &str) -> Result<Negotiated, BoxError> {
    let mut conn = connect(layer, to(addr), Conn::new(TcpStream::connect(addr).await?)).await?;
    conn.io.write_all(b"stressed\n").await?;
    conn.io.flush().await?;
    let mut answer = [0; 9];
    conn.io.read_exact(&mut answer).await?;
    assert_eq!(&answer, b"desserts\n");
    conn.io.shutdown().await?;
    Ok(conn.ext.get::<Negotiated>().cloned().unwrap())
}

#[tokio::test]
async fn openssl_s_server_is_verified_and_goes_on_with_sessions() {
    needs!("openssl_s_server_is_verified_and_goes_on_with_sessions", "openssl", "timeout");
    let files = Files::new("s_server");
    for (flag, version) in [("-tls1_2", TlsVersion::Tls12), ("-tls1_3", TlsVersion::Tls13)] {
        let (_program, addr) = s_server(&files, &[flag, "-alpn", "greeting"]);
        let layer = ConnectLayer::new(ClientConfig::new(files.roots()).with_alpn(["greeting"])).unwrap();
        for resumed in [false, true] {
            let negotiated = reverse(&layer, &addr).await.unwrap();
            assert_eq!((negotiated.version(), negotiated.is_resumed()), (version, resumed));
            assert_eq!(negotiated.alpn(), Some(&b"greeting"[..]));
            assert_eq!(negotiated.server_name(), None, "it is known by its address");
        }
        let stranger = ClientConfig::new(Roots::from_file(files.path("stranger.pem")).unwrap());
        let error = reverse(&ConnectLayer::new(stranger).unwrap(), &addr).await.unwrap_err();
        let fault = find_cause::<TlsError>(&*error).unwrap().certificate_fault();
        assert_eq!(fault, Some(CertificateFault::UnknownIssuer), "{error:?}");
        let other = if version == TlsVersion::Tls12 { TlsVersions::Tls13Only } else { TlsVersions::Tls12Only };
        let layer = ConnectLayer::new(ClientConfig::new(files.roots()).with_versions(other)).unwrap();
        let error = reverse(&layer, &addr).await.unwrap_err();
        let alert = find_cause::<TlsError>(&*error).unwrap().alert();
        assert_eq!(alert, Some(chaski_tls::Alert::PROTOCOL_VERSION), "{error:?}");
    }
}

/// TLS-06, with a server of another kind.
#[tokio::test]
async fn openssl_s_server_is_shown_a_certificate() {
    needs!("openssl_s_server_is_shown_a_certificate", "openssl", "timeout");
    let files = Files::new("s_server_certificate");
    for flag in ["-tls1_2", "-tls1_3"] {
        let (_program, addr) = s_server(&files, &[flag, "-Verify", "1", "-verify_return_error"]);
        let client = ClientConfig::new(files.roots());
        let layer = ConnectLayer::new(client.clone().with_certificate(files.key("client"))).unwrap();
        reverse(&layer, &addr).await.unwrap();
        let layer = ConnectLayer::new(client.clone().with_certificate(files.key("stranger"))).unwrap();
        let error = reverse(&layer, &addr).await.unwrap_err();
        assert_eq!(find_cause::<TlsError>(&*error).unwrap().alert(), Some(chaski_tls::Alert::UNKNOWN_CA), "{error:?}");
        let error = reverse(&ConnectLayer::new(client).unwrap(), &addr).await.unwrap_err();
        let alert = find_cause::<TlsError>(&*error).unwrap().alert().and_then(chaski_tls::Alert::name);
        assert!(matches!(alert, Some("certificate_required" | "handshake_failure")), "{error:?}");
    }
}

/// Prints the name in each hello and how each connection ended; closes the third one without a word.
const PYTHON: &str = r"
import socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
context.sni_callback = lambda sock, name, context: print('sni', name, flush=True)
listener = socket.create_server(('127.0.0.1', 0))
print('port', listener.getsockname()[1], flush=True)
while True:
    raw, _ = listener.accept()
    try:
        tls = context.wrap_socket(raw, server_side=True, suppress_ragged_eofs=False)
        data = tls.recv(100)
        tls.sendall(data)
        if data == b'cut':
            tls.close()
            continue
        try:
            print('end', 'clean' if tls.recv(100) == b'' else 'more', flush=True)
            tls.unwrap()
        except ssl.SSLError as error:
            print('end', error.reason, flush=True)
        tls.close()
    except Exception as error:
        print('error', error, flush=True)
";

/// TLS-01, TLS-02, TLS-04: what Python's `ssl` sees of us, and how we see its ends.
#[tokio::test]
async fn python_sees_the_name_and_a_clean_end() {
    needs!("python_sees_the_name_and_a_clean_end", "python3", "timeout");
    let files = Files::new("python");
    let (server, key) = (files.path("server.pem"), files.path("server.key"));
    let mut program = Program::start(Command::new("timeout").args(["60", "python3", "-c", PYTHON, &server, &key]));
    let port = program.line("port ");
    let layer = ConnectLayer::new(ClientConfig::new(files.roots())).unwrap();
    for (host, sni) in [("localhost", "localhost"), ("LocalHost.", "localhost"), ("127.0.0.1", "None")] {
        for how in ["shutdown", "drop", "cut"] {
            let socket = TcpStream::connect(format!("127.0.0.1:{port}")).await.unwrap();
            let mut conn = connect(&layer, to(&format!("{host}:{port}")), Conn::new(socket)).await.unwrap();
            assert_eq!(program.line("sni "), sni);
            conn.io.write_all(how.as_bytes()).await.unwrap();
            conn.io.flush().await.unwrap();
            let mut echo = vec![0; how.len()];
            conn.io.read_exact(&mut echo).await.unwrap();
            assert_eq!(echo, how.as_bytes());
            match how {
                "shutdown" => {
                    conn.io.shutdown().await.unwrap();
                    assert_eq!(program.line("end "), "clean");
                    assert_eq!(conn.io.read(&mut echo).await.unwrap(), 0, "it says so too");
                }
                "drop" => {
                    drop(conn);
                    assert_eq!(program.line("end "), "clean");
                }
                _ => {
                    let error = conn.io.read(&mut echo).await.unwrap_err();
                    assert!(matches!(find_cause(&error), Some(TlsError::Truncated)), "{error:?}");
                }
            }
        }
    }
}

/// TLS-02: a client of Python's, to which every ragged end is an error.
#[tokio::test]
async fn python_reads_to_a_clean_end() {
    needs!("python_reads_to_a_clean_end", "python3", "timeout");
    const CLIENT: &str = r"
import socket, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[1])
with socket.create_connection(('127.0.0.1', int(sys.argv[2]))) as raw:
    with context.wrap_socket(raw, server_hostname='localhost', suppress_ragged_eofs=False) as tls:
        received = b''
        while part := tls.recv(65536):
            received += part
        print(tls.version(), tls.cipher()[0], len(received), set(received))
";
    let files = Files::new("python_client");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let layer = AcceptLayer::new(ServerConfig::new(files.key("server"))).unwrap();
    for drops in [false, true] {
        let mut command = Command::new("timeout");
        command.args(["30", "python3", "-c", CLIENT, &files.path("ca.pem"), &port]);
        let client = tokio::task::spawn_blocking(move || command.output().unwrap());
        let (socket, _) = listener.accept().await.unwrap();
        let mut conn = accept(&layer, Conn::new(socket)).await.unwrap();
        conn.io.write_all(&vec![7; 300_000]).await.unwrap();
        conn.io.flush().await.unwrap();
        if drops {
            drop(conn);
        } else {
            conn.io.shutdown().await.unwrap();
        }
        let output = client.await.unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            text.contains("TLSv1.3 TLS_AES_256_GCM_SHA384 300000 {7}"),
            "{text} {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
