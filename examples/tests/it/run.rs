//! Starts examples and talks to them.

use std::{
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Output, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use chaski::tls::{ClientConfig, ConnectLayer, Roots};
use chaski::{Connect, Host, Protocol, Service, net::Dialer, stack};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// How long a test waits for what has to come. Only a test that fails waits so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running example that has said where it listens.
struct Server {
    child: Child,
    addr: String,
    /// What it prints after that. It is read all the time, so that printing never blocks it.
    lines: Receiver<String>,
}

impl Server {
    fn start(program: &str) -> Self {
        Self::start_with(program, &[])
    }

    fn start_with(program: &str, args: &[&str]) -> Self {
        let mut child = Command::new(program).args(args).stdout(Stdio::piped()).spawn().unwrap();
        let mut printed = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let addr = printed.find_map(|line| line.strip_prefix("listening on ").map(str::to_owned)).unwrap();
        let (sender, lines) = channel();
        std::thread::spawn(move || printed.for_each(|line| drop(sender.send(line))));
        Self { child, addr, lines }
    }

    /// Sends bytes and reads to the end.
    fn talk(&self, request: &str) -> String {
        read_to_end(self.send(request))
    }

    fn send(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream
    }

    /// The next line that it prints.
    fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).unwrap()
    }

    /// Sends SIGTERM.
    fn terminate(&self) {
        let kill = Command::new("sh").arg("-c").arg(format!("kill -TERM {}", self.child.id())).status().unwrap();
        assert!(kill.success());
    }

    /// Waits for its end; the exit code.
    fn exit_code(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

fn read_to_end(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(program: &str, args: &[&str]) -> Output {
    let output = Command::new(program).args(args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

#[test]
fn tcp_echo_sends_everything_back() {
    let server = Server::start(env!("CARGO_BIN_EXE_tcp-echo"));
    let mut stream = TcpStream::connect(&server.addr).unwrap();
    stream.write_all(b"one, two").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut back = String::new();
    stream.read_to_string(&mut back).unwrap();
    assert_eq!(back, "one, two");
}

#[test]
fn http_hello_greets() {
    let server = Server::start(env!("CARGO_BIN_EXE_http-hello"));
    let answer = server.talk("GET /ana HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nhello, ana, from 127.0.0.1\n"), "{answer}");
}

#[test]
fn http_client_prints_the_answer() {
    let server = Server::start(env!("CARGO_BIN_EXE_http-hello"));
    let output = run(env!("CARGO_BIN_EXE_http-client"), &[&format!("http://{}/ana", server.addr)]);
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "hello, ana, from 127.0.0.1");
}

/// A file of this test run.
fn scratch(name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{name}", std::process::id()));
    path.to_str().unwrap().to_owned()
}

#[test]
fn https_client_trusts_an_authority_of_its_own_and_goes_through_a_proxy() {
    let authority = scratch("authority.pem");
    let server = Server::start_with(env!("CARGO_BIN_EXE_tls-certificates"), &["127.0.0.1:0", "localhost", &authority]);
    let port = server.addr.rsplit(':').next().unwrap();
    let url = format!("https://localhost:{port}/");
    let asked = |proxy: &[&str]| {
        let output = run(env!("CARGO_BIN_EXE_https-client"), &[&[url.as_str(), authority.as_str()], proxy].concat());
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(asked(&[]), "HTTP/1.1: hello, this is localhost, in TLS 1.3\n");
    let proxy = Server::start(env!("CARGO_BIN_EXE_forward-proxy"));
    assert_eq!(asked(&[&format!("http://{}", proxy.addr)]), "HTTP/1.1: hello, this is localhost, in TLS 1.3\n");
    let gone = format!("http://{}", proxy.addr);
    drop(proxy);
    // It is not gone round.
    let output = Command::new(env!("CARGO_BIN_EXE_https-client")).args([&url, &authority, &gone]).output().unwrap();
    assert!(!output.status.success() && output.stdout.is_empty());
    std::fs::remove_file(authority).unwrap();
}

#[test]
fn https_server_serves_both_versions_on_one_port() {
    let server = Server::start(env!("CARGO_BIN_EXE_https-server"));
    let url = format!("https://{}/", server.addr);
    for (version, expected) in [("--http2", "HTTP/2.0"), ("--http1.1", "HTTP/1.1")] {
        let Ok(output) = Command::new("curl").args(["-sSk", "--max-time", "60", version, &url]).output() else {
            return;
        };
        let answer = String::from_utf8(output.stdout).unwrap();
        assert_eq!(answer, format!("{expected} over TLS 1.3, whoever you are\n"));
    }
}

#[test]
fn auto_server_serves_everything_on_one_port() {
    let server = Server::start(env!("CARGO_BIN_EXE_auto-server"));
    for (version, scheme, expected) in [
        ("--http1.1", "http", "HTTP/1.1 in clear\n"),
        ("--http2-prior-knowledge", "http", "HTTP/2.0 in clear\n"),
        ("--http1.1", "https", "HTTP/1.1 over TLS 1.3\n"),
        ("--http2", "https", "HTTP/2.0 over TLS 1.3\n"),
    ] {
        let url = format!("{scheme}://{}/", server.addr);
        let Ok(output) = Command::new("curl").args(["-sSk", "--max-time", "60", version, &url]).output() else {
            return;
        };
        assert_eq!(String::from_utf8(output.stdout).unwrap(), expected, "{version} {scheme}");
    }
}

#[test]
fn three_depths_are_the_same_handler() {
    let output = run(env!("CARGO_BIN_EXE_three-depths"), &[]);
    let expected = "handler: HTTP/1.1 in clear\nHTTP: HTTP/1.1 in clear\nTLS: HTTP/2.0 over TLS 1.3\n";
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
}

#[test]
fn in_memory_needs_no_socket() {
    let output = run(env!("CARGO_BIN_EXE_in-memory"), &[]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "ordered: 2 x coca\n");
}

#[test]
fn layered_tcp_answers_lines_and_refuses_one_that_never_ends() {
    let server = Server::start(env!("CARGO_BIN_EXE_layered-tcp"));
    let mut stream = server.send("stressed\nabc\nrest without an end");
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_to_end(stream), "desserts\ncba\n");

    stream = server.send(&"x".repeat(5000));
    // Closed with bytes unread, so it may look like a reset; an answer it is not.
    let mut answer = Vec::new();
    if let Err(error) = stream.read_to_end(&mut answer) {
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
    assert!(answer.is_empty());

    let printed = [server.line(), server.line(), server.line(), server.line()].join("\n");
    assert!(printed.contains("Timeout limit=60s"), "{printed}");
    assert!(printed.contains("ConcurrencyLimit limit=100 queue=100"), "{printed}");
    assert!(printed.contains("Lines max_line=4096"), "{printed}");
}

#[test]
fn pool_shares_four_connections_and_refuses_what_may_not_wait() {
    let output = run(env!("CARGO_BIN_EXE_pool"), &[]);
    let expected = "\
4 on a fresh connection, 16 on a reused one, 4 refused
4 dials, 16 waits, 4 open, 4 idle
4 closed because we asked
";
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
}

#[test]
fn peek_and_branch_serves_two_protocols_on_one_port() {
    let server = Server::start(env!("CARGO_BIN_EXE_peek-and-branch"));
    let mut stream = server.send("EC");
    stream.write_all(b"HO one, two").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_to_end(stream), "ECHO one, two");
    let answer = server.talk("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(answer.ends_with("\r\n\r\nhello\n"), "{answer}");
}

#[test]
fn rate_limited_http_answers_429() {
    let server = Server::start(env!("CARGO_BIN_EXE_rate-limited-http"));
    // Pipelined, so that all six are asked at once.
    let five = "GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(5);
    let answer = server.talk(&format!("{five}GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
    assert_eq!(answer.matches("HTTP/1.1 200 OK\r\n").count(), 5, "{answer}");
    let (_, last) = answer.split_once("HTTP/1.1 429 Too Many Requests\r\n").unwrap();
    assert!(last.contains("retry-after: 2\r\n"), "{last}");
    assert!(last.ends_with("\r\n\r\ntoo many requests\n"), "{last}");
}

#[test]
fn graceful_shutdown_lets_a_request_finish() {
    let mut server = Server::start(env!("CARGO_BIN_EXE_graceful-shutdown"));
    let waiting = server.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(server.line(), "waiting");
    server.terminate();
    let answer = read_to_end(waiting);
    assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nthe server stops\n"), "{answer}");
    assert_eq!(server.exit_code(), Some(0));
    assert_eq!(server.line(), "1 drained, 0 cut");
}

#[test]
fn graceful_shutdown_cuts_what_never_ends() {
    let mut server = Server::start_with(env!("CARGO_BIN_EXE_graceful-shutdown"), &["127.0.0.1:0", "1"]);
    let stuck = server.send("GET /stuck HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(server.line(), "stuck");
    server.terminate();
    assert_eq!(read_to_end(stuck), "");
    assert_eq!(server.exit_code(), Some(1));
    assert_eq!(server.line(), "0 drained, 1 cut");
}

#[test]
fn upgrade_switches_protocols_on_both_sides() {
    let upgrade = env!("CARGO_BIN_EXE_upgrade");
    let server = Server::start(upgrade);
    let output = run(upgrade, &["ask", &format!("http://{}/", server.addr), "hello", "world"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "HELLO!\nWORLD!\n");
    let answer = server.talk("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 426 Upgrade Required\r\n"), "{answer}");
    assert!(answer.contains("\r\nupgrade: shout\r\n"), "{answer}");
}

#[test]
fn unix_socket_tells_who_is_asking() {
    let folder = std::env::temp_dir().join(format!("chaski-example-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("own.sock");
    let program = env!("CARGO_BIN_EXE_unix-socket");
    let server = Server::start_with(program, &["serve", path.to_str().unwrap()]);
    // Its owner is who made it: this test's user.
    let own = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(&path).unwrap());
    let output = run(program, &["ask", &server.addr, "/hello"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("/hello: you are user {own}\n"));
    drop(server);
    std::fs::remove_dir_all(folder).unwrap();
}

/// The six rules, as far as one program can show them.
#[test]
fn scopes_prints_what_is_known_where() {
    let output = run(env!("CARGO_BIN_EXE_scopes"), &[]);
    let printed = String::from_utf8_lossy(&output.stdout);
    let (head, rows) = printed.split_once('\n').unwrap();
    assert_eq!(head.split_whitespace().collect::<Vec<_>>(), ["scope", "peer", "asked", "dial"]);
    let expected = "\
client's connection    client   -        -
request                client   page     -
dial                   client   page     1 attempt
upstream connection    origin   -        -
response               origin   -        -

client's connection    client   -        -
request                client   tunnel   -
dial                   client   tunnel   1 attempt
upstream connection    origin   -        -
response               origin   -        -
tunnel, client's side  client   tunnel   -
tunnel, origin's side  origin   -        -
";
    assert_eq!(rows, expected);
}

#[test]
fn reverse_http_forwards_with_a_field_added() {
    let origin = Server::start(env!("CARGO_BIN_EXE_http-hello"));
    let reverse = Server::start_with(env!("CARGO_BIN_EXE_reverse-http"), &["127.0.0.1:0", &origin.addr]);
    let answer = reverse.talk("GET /ana HTTP/1.1\r\nHost: a\r\nConnection: close, x-own\r\nX-Own: 1\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("\r\nx-served-by: chaski\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nhello, ana, from 127.0.0.1\n"), "{answer}");
}

/// What the upstream gets: the fields of one hop are gone, the new ones are there, and a body is passed on.
#[test]
fn reverse_http_sends_a_message_of_its_own() {
    let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = upstream.local_addr().unwrap().to_string();
    let reverse = Server::start_with(env!("CARGO_BIN_EXE_reverse-http"), &["127.0.0.1:0", &addr]);
    let client = reverse.send(
        "POST /up HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\n\
         Connection: close, te, x-own\r\nX-Own: 1\r\nX-Kept: 2\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    );
    let (mut stream, _) = upstream.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut got = Vec::new();
    while !got.ends_with(b"0\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        got.push(byte[0]);
    }
    stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
    let (head, body) = std::str::from_utf8(&got).unwrap().split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<&str> = head.split("\r\n").collect();
    assert_eq!(lines.remove(0), "POST /up HTTP/1.1");
    lines.sort_unstable();
    let host = format!("host: {addr}");
    let expected = ["transfer-encoding: chunked", "x-forwarded-for: 127.0.0.1", "x-forwarded-host: shop", "x-kept: 2"];
    assert_eq!(lines, [&[host.as_str()], &expected[..]].concat());
    assert_eq!(body, "5\r\nhello\r\n0\r\n\r\n");
    let answer = read_to_end(client);
    assert!(answer.starts_with("HTTP/1.1 204 No Content\r\n"), "{answer}");
    assert!(answer.contains("\r\nx-served-by: chaski\r\n"), "{answer}");
}

/// An upstream that is not there is the gateway's 502, without a word on where it is.
#[test]
fn reverse_http_answers_for_an_upstream_that_is_gone() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let reverse = Server::start_with(env!("CARGO_BIN_EXE_reverse-http"), &["127.0.0.1:0", &gone]);
    let answer = reverse.talk("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{answer}");
    assert!(!answer.contains(&gone), "{answer}");
}

/// The hello is one that OpenSSL's client sent, to `example.com`.
#[test]
fn sni_router_relays_to_the_server_of_that_name() {
    let captured = include_str!("../../../crates/tls/tests/hellos/openssl.txt");
    let digits = captured.lines().find_map(|line| line.strip_prefix("hex: ")).unwrap().as_bytes();
    let hello: Vec<u8> =
        digits.chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let route = |name: &str| format!("{name}={}", server.local_addr().unwrap());

    let router = Server::start_with(env!("CARGO_BIN_EXE_sni-router"), &["127.0.0.1:0", &route("example.com")]);
    let mut client = TcpStream::connect(&router.addr).unwrap();
    client.write_all(&hello).unwrap();
    let (mut relayed, mut received) = (server.accept().unwrap().0, vec![0; hello.len()]);
    relayed.read_exact(&mut received).unwrap();
    assert_eq!(received, hello);
    relayed.write_all(b"what the server says").unwrap();
    drop(relayed);
    assert_eq!(read_to_end(client), "what the server says");

    // The same hello where only subdomains have a route: a fatal alert, unrecognized_name.
    let router = Server::start_with(env!("CARGO_BIN_EXE_sni-router"), &["127.0.0.1:0", &route("*.example.com")]);
    let mut client = TcpStream::connect(&router.addr).unwrap();
    client.write_all(&hello).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut alert = Vec::new();
    client.read_to_end(&mut alert).unwrap();
    assert_eq!(alert, [21, 3, 3, 0, 2, 2, 112]);
}

/// Over chaski's own client, which trusts the authority alone.
#[tokio::test]
async fn tls_certificates_issues_one_for_each_name_of_its_domain() {
    let file = format!("{}/authority-{}.pem", env!("CARGO_TARGET_TMPDIR"), std::process::id());
    let server = Server::start_with(env!("CARGO_BIN_EXE_tls-certificates"), &["127.0.0.1:0", "example.test", &file]);
    let addr: SocketAddr = server.addr.parse().unwrap();
    let client = stack(ConnectLayer::new(ClientConfig::new(Roots::from_file(&file).unwrap())).unwrap(), Dialer::new());
    std::fs::remove_file(file).unwrap();
    let ask = async |name: &str, host: &str| {
        let connect = Connect::new(addr).with_server_name(name.parse::<Host>().unwrap()).with_protocol(Protocol::Https);
        let mut conn = client.serve(connect).await.ok()?;
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        conn.io.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        conn.io.read_to_string(&mut answer).await.unwrap();
        Some(answer)
    };
    for name in ["www.example.test", "example.test"] {
        let answer = ask(name, name).await.unwrap();
        assert!(answer.ends_with(&format!("\r\n\r\nhello, this is {name}, in TLS 1.3\n")), "{answer}");
    }
    let answer = ask("www.example.test", "example.test").await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 421 "), "{answer}");
    assert_eq!(ask("example.org", "example.org").await, None, "nothing is issued for it");
}

#[test]
fn mutual_tls_greets_whom_it_knows_and_refuses_whom_it_does_not() {
    let keys = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/tls/tests/it/keys");
    let (certificate, key) = (format!("{keys}/p256-cert.pem"), format!("{keys}/p256.pem"));
    let output = run(env!("CARGO_BIN_EXE_mutual-tls"), &[&certificate, &key, &certificate]);
    let expected = "with a certificate: hello, CN=p256.example, O=Test\n\
        without: the peer gave up: certificate_required\n\
        HandshakeStats { full: 1, resumed: 0, failed: 1 }\n";
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
}

#[test]
fn tower_interop_joins_both_worlds() {
    let server = Server::start(env!("CARGO_BIN_EXE_tower-interop"));
    let end = "Host: a\r\nConnection: close\r\n\r\n";
    let answer = server.talk(&format!("GET /users/ana HTTP/1.1\r\n{end}"));
    assert!(answer.ends_with(&format!("\r\n\r\n{}", "hello, ana, from 127.0.0.1\n".repeat(3))), "{answer}");
    let answer = server.talk(&format!("GET /users/ana HTTP/1.1\r\nContent-Length: 65537\r\n{end}"));
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    let answer = server.talk(&format!("GET /stats HTTP/1.1\r\n{end}"));
    assert!(answer.contains("requests 1 (0 active, 1 ok, "), "{answer}");
}

#[test]
fn forward_proxy_forwards() {
    let origin = Server::start(env!("CARGO_BIN_EXE_http-hello"));
    let proxy = Server::start(env!("CARGO_BIN_EXE_forward-proxy"));
    let (origin, host) = (&origin.addr, "Host: a\r\nConnection: close\r\n\r\n");
    let answer = proxy.talk(&format!("GET http://{origin}/ana HTTP/1.1\r\n{host}"));
    assert!(answer.ends_with("hello, ana, from 127.0.0.1\n"), "{answer}");
    let answer = proxy.talk(&format!("GET http://{}/ HTTP/1.1\r\n{host}", proxy.addr));
    assert!(answer.starts_with("HTTP/1.1 508 "), "{answer}");
}
