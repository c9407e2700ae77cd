//! Connections that find their server by the name in the hello.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use chaski_core::{
    BoxError, BoxService, Conn, Prefixed, Service, ServiceExt, describe, service_fn_with,
    test_util::{Pipe, pipe},
};
use chaski_tls::{NameError, NoRoute, PeekTlsError, SniRouter, hello::ClientHello};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

use crate::{captures::Capture, peers::needs};

type Served = (&'static str, Vec<u8>);
type Backend = BoxService<Conn<Prefixed<Pipe>>, Served, BoxError>;

/// Tells its name and what it was given; that the hello is a fact exactly if there was one.
fn backend(name: &'static str) -> Backend {
    service_fn_with(name, async |name: &'static str, mut conn: Conn<Prefixed<Pipe>>| {
        let mut bytes = Vec::new();
        conn.io.read_to_end(&mut bytes).await?;
        assert_eq!(conn.ext.get::<ClientHello>().is_some(), bytes.starts_with(b"\x16\x03"));
        Ok::<_, BoxError>((name, bytes))
    })
    .boxed()
}

fn router() -> SniRouter<Backend> {
    SniRouter::new()
        .route("example.com", backend("exact"))
        .and_then(|router| router.route("*.example.com", backend("wildcard")))
        .unwrap()
}

/// What becomes of a connection on which this was sent, and what the client is told.
async fn ask(router: &SniRouter<Backend>, sent: &[u8]) -> (Result<Served, BoxError>, Vec<u8>) {
    let (mut client, server) = pipe();
    let client = async {
        client.write_all(sent).await.unwrap();
        client.shutdown().await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        answer
    };
    tokio::join!(router.serve(Conn::new(server)), client)
}

/// The capture's hello with another name of the same length.
fn named(name: &[u8; 11]) -> Vec<u8> {
    let mut stream = Capture::named("openssl").stream;
    let at = stream.windows(11).position(|bytes| bytes == b"example.com").unwrap();
    stream[at..at + 11].copy_from_slice(name);
    stream
}

#[tokio::test(start_paused = true)]
async fn a_connection_goes_where_its_name_says() {
    let short =
        SniRouter::new().route("*.test", backend("test")).unwrap().route("a.b.c.test", backend("deep")).unwrap();
    for (router, name, expected) in [
        (&router(), b"example.com", Some("exact")),
        (&router(), b"EXAMPLE.com", Some("exact")),
        (&router(), b"example.org", None),
        (&short, b"abcdef.test", Some("test")),
        (&short, b"abc.de.test", None),
        (&short, b"a.b.c..test", None),
    ] {
        let sent = named(name);
        let (result, answer) = ask(router, &sent).await;
        match expected {
            Some(expected) => assert_eq!((result.unwrap(), answer), ((expected, sent), Vec::new())),
            None => {
                let refused: NoRoute = *result.unwrap_err().downcast().unwrap();
                assert_eq!(refused.server_name, str::from_utf8(name).unwrap().parse().ok());
                // RFC 8446 section 6: a fatal alert, unrecognized_name.
                assert_eq!(answer, [21, 3, 3, 0, 2, 2, 112]);
            }
        }
    }
}

/// What has no route: it is refused, or goes where the caller says.
#[tokio::test(start_paused = true)]
async fn what_has_no_route_is_refused_or_goes_where_the_caller_says() {
    let catch_all = router().otherwise(backend("otherwise"));
    let no_name = Capture::named("openssl_no_sni").stream;
    let old = [&Capture::named("openssl_tls10").stream[..]].concat();
    let other = SniRouter::new().route("a.test", backend("a")).unwrap();

    let (result, answer) = ask(&router(), &no_name).await;
    assert_eq!(result.unwrap_err().to_string(), "no route for a client that names no server");
    assert_eq!(answer, [21, 3, 3, 0, 2, 2, 112]);
    // A client of TLS 1.0 gets a record of its own version.
    let (result, answer) = ask(&other, &old).await;
    assert_eq!(result.unwrap_err().to_string(), "no route for example.com");
    assert_eq!(answer, [21, 3, 1, 0, 2, 2, 112]);
    // What is no TLS is not answered in TLS.
    let (result, answer) = ask(&router(), b"GET / HTTP/1.1\r\n\r\n").await;
    assert!(result.unwrap_err().downcast::<PeekTlsError>().unwrap().is_not_tls());
    assert_eq!(answer, b"");

    for sent in [&no_name[..], &named(b"example.org"), &named(b"10.11.12.13"), b"GET / HTTP/1.1\r\n\r\n"] {
        let (result, answer) = ask(&catch_all, sent).await;
        assert_eq!((result.unwrap(), answer), (("otherwise", sent.to_vec()), Vec::new()));
    }
    assert_eq!(ask(&catch_all, &named(b"example.com")).await.0.unwrap().0, "exact");
    // A malformed hello goes nowhere: two readers of it might not agree.
    let mut malformed = no_name.clone();
    malformed[43] = 33;
    let (result, answer) = ask(&catch_all, &malformed).await;
    assert_eq!(result.unwrap_err().to_string(), "the connection does not begin with a ClientHello");
    assert_eq!(answer, [21, 3, 3, 0, 2, 2, 50]);
}

#[test]
fn a_route_has_a_name_and_shows_in_the_description() {
    assert!(matches!(router().route("*.EXAMPLE.com", backend("again")), Err(NameError::Twice(_))));
    assert!(matches!(router().route("127.0.0.1", backend("address")), Err(NameError::Invalid(..))));
    let shape = describe::<Conn<Pipe>, _>(&router().otherwise(backend("rest"))).to_string();
    for line in ["SniRouter limit=32768 timeout=10s", "example.com", "*.example.com", "otherwise"] {
        assert!(shape.contains(line), "{line} in {shape}");
    }
}

/// A server of OpenSSL's, with a certificate of its own.
struct Origin {
    child: Child,
    addr: String,
}

impl Origin {
    fn start(folder: &Path, name: &str) -> Self {
        let file = |end: &str| folder.join(format!("{name}.{end}"));
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
            .args(["-subj", &format!("/CN={name}")])
            .args([PathBuf::from("-keyout"), file("key"), "-out".into(), file("crt")])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut child = Command::new("openssl")
            .args(["s_server", "-accept", "127.0.0.1:0", "-naccept", "1", "-alpn", "chaski"])
            .args([PathBuf::from("-cert"), file("crt"), "-key".into(), file("key")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let addr = lines.find_map(|line| line.strip_prefix("ACCEPT ").map(str::to_owned)).unwrap();
        // What it goes on to say is read, so that it never blocks on it.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, addr }
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// OpenSSL's client, by way of the router.
async fn s_client(addr: &str, arguments: &[&str]) -> Output {
    let (addr, arguments): (_, Vec<String>) = (addr.to_owned(), arguments.iter().map(ToString::to_string).collect());
    tokio::task::spawn_blocking(move || {
        let mut child = Command::new("timeout")
            .args(["60", "openssl", "s_client", "-connect", &addr])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // "Q" at the start of a line has it end the connection.
        child.stdin.take().unwrap().write_all(b"Q\n").unwrap();
        child.wait_with_output().unwrap()
    })
    .await
    .unwrap()
}

/// What became of four connections.
async fn serve_four(
    listener: TcpListener,
    service: impl Service<Conn<TcpStream>, Output = (), Error = BoxError>,
) -> Vec<Result<(), String>> {
    let mut outcomes = Vec::new();
    for _ in 0..4 {
        let (socket, _) = listener.accept().await.unwrap();
        outcomes.push(service.serve(Conn::new(socket)).await.map_err(|error| error.to_string()));
    }
    outcomes
}

/// Two servers behind one port: the client ends TLS with the one that it named, through the router. One of the hellos has
/// more than 16 KiB, so it comes in two records and many reads.
#[tokio::test]
async fn openssl_reaches_the_server_that_it_names() {
    needs!("openssl_reaches_the_server_that_it_names", "openssl", "timeout");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("router-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (first, second) = (Origin::start(&folder, "one.test"), Origin::start(&folder, "two.test"));
    let relay = |origin: &Origin| {
        service_fn_with(origin.addr.clone(), async |addr: String, mut conn: Conn<Prefixed<TcpStream>>| {
            let mut upstream = TcpStream::connect(addr).await?;
            copy_bidirectional(&mut conn.io, &mut upstream).await?;
            Ok::<_, BoxError>(())
        })
        .boxed()
    };
    let router =
        SniRouter::new().route("one.test", relay(&first)).unwrap().route("*.two.test", relay(&second)).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let serving = tokio::spawn(serve_four(listener, router));

    let protocols: Vec<String> =
        (0..1000).map(|n| format!("protocol-number-{n:03}")).chain(["chaski".to_owned()]).collect();
    let long = protocols.join(",");
    assert!(long.len() > 1 << 14);
    for (arguments, certificate) in
        [(&["-servername", "one.test"][..], "one.test"), (&["-servername", "www.two.test", "-alpn", &long], "two.test")]
    {
        let output = s_client(&addr, arguments).await;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains(&format!("subject=CN = {certificate}")), "{text}");
        assert_eq!(text.contains("ALPN protocol: chaski"), certificate == "two.test", "{text}");
    }
    for arguments in [&["-servername", "three.test"][..], &["-noservername", "-tls1_2"]] {
        let output = s_client(&addr, arguments).await;
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(errors.contains("tlsv1 unrecognized name"), "{errors}");
    }
    let outcomes = serving.await.unwrap();
    assert!(outcomes[0].is_ok() && outcomes[1].is_ok(), "{outcomes:?}");
    assert_eq!(outcomes[2], Err("no route for three.test".to_owned()));
    assert_eq!(outcomes[3], Err("no route for a client that names no server".to_owned()));
}
