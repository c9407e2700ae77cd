//! Servers of others.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use chaski_core::{
    Conn, Io, Service, Session, SessionState,
    http::{Body, Message, OnInformational, Request, Response, Upgraded},
};
use chaski_http2::{ConnectProtocol, ErrorCode, Http2ClientConfig, Http2Error, Http2Session};
use http::{HeaderMap, HeaderValue, Method};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UnixStream},
};

use super::{cause, channel, drain, not_sent, soon, text};
use crate::support::needs;

/// A program that goes with the test.
struct Program(Child);

impl Program {
    fn start(command: &mut Command) -> Self {
        let path = format!("{}:/usr/local/sbin:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
        Self(command.env("PATH", path).stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A new folder for a test's files.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    folder
}

async fn session<IO: Io>(io: IO) -> Arc<Http2Session> {
    Arc::new(Http2Session::handshake(Conn::new(io), Http2ClientConfig::default()).await.unwrap())
}

/// Waits until a program listens.
async fn up<IO>(connect: impl AsyncFn() -> std::io::Result<IO>) -> IO {
    let started = std::time::Instant::now();
    loop {
        match connect().await {
            Ok(io) => return io,
            Err(error) => assert!(started.elapsed() < Duration::from_secs(30), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn request(method: Method, path: &str, body: impl Into<Body>) -> Request {
    http::Request::builder().method(method).uri(format!("http://localhost{path}")).body(body.into()).unwrap()
}

async fn ask(session: &Http2Session, path: &str) -> Response {
    session.serve(request(Method::GET, path, ())).await.unwrap()
}

/// What many servers do alike: a small answer, a large one and many at a time.
async fn takes_files(session: &Arc<Http2Session>, large: usize) {
    let calls: Vec<_> = (0..40)
        .map(|_| {
            let session = Arc::clone(session);
            tokio::spawn(async move { text(ask(&session, "/hello").await).await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap(), "hello");
    }
    let (mut first, second) = (ask(session, "/large").await, ask(session, "/large").await);
    // One is given up half-way, the other one comes to its end.
    first.body_mut().frame().await.unwrap().unwrap();
    drop(first);
    let (data, _) = drain(second.into_body()).await.unwrap();
    assert!(data.len() == large && data.iter().all(|byte| *byte == b'x'));
    assert_eq!(ask(session, "/none").await.status(), 404);
    assert_eq!(session.state(), SessionState::Open);
}

async fn node() -> (Program, Arc<Http2Session>) {
    let mut command = Command::new("node");
    command.args(["-e", include_str!("node_server.js")]).stdout(Stdio::piped());
    let mut program = Program::start(&mut command);
    let mut port = String::new();
    BufReader::new(program.0.stdout.take().unwrap()).read_line(&mut port).unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], port.trim().parse().unwrap()));
    (program, session(TcpStream::connect(address).await.unwrap()).await)
}

#[tokio::test]
async fn node_is_asked() {
    needs!("node_is_asked", "node");
    let (_program, session) = node().await;
    let mut asked = request(Method::POST, "/path?query", "body");
    for (name, value) in [("connection", "x-hop"), ("x-hop", "1"), ("te", "trailers"), ("cookie", "a=1; b=2")] {
        asked.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    let said = text(session.serve(asked).await.unwrap()).await;
    let mut said: Vec<&str> = said.lines().collect();
    said.sort_unstable();
    let expected = [
        ":authority=localhost",
        ":method=POST",
        ":path=/path?query",
        ":scheme=http",
        "content-length=4",
        "cookie=a=1; b=2",
        "te=trailers",
    ];
    assert_eq!(said, expected);

    let (data, trailers) = drain(ask(&session, "/trailers").await.into_body()).await.unwrap();
    let mut checksum = HeaderMap::new();
    checksum.insert("checksum", HeaderValue::from_static("7"));
    assert_eq!((data.as_slice(), trailers), (&b"body"[..], Some(checksum)));

    let hints = Arc::new(Mutex::new(Vec::new()));
    let mut early = request(Method::GET, "/early", ());
    let seen = Arc::clone(&hints);
    OnInformational::new(move |response| seen.lock().unwrap().push(response.status().as_u16())).attach(&mut early);
    assert_eq!(text(session.serve(early).await.unwrap()).await, "late");
    assert_eq!(*hints.lock().unwrap(), [103]);

    let (data, _) = drain(ask(&session, "/large").await.into_body()).await.unwrap();
    assert_eq!(data.len(), 8 * 1024 * 1024);
}

/// Bytes come back while the upload goes on, and all of them.
#[tokio::test]
async fn node_echoes_an_upload() {
    needs!("node_echoes_an_upload", "node");
    let (_program, session) = node().await;
    let (frames, body) = channel();
    let mut response = session.serve(request(Method::POST, "/echo", body)).await.unwrap();
    for number in 0..10_u8 {
        frames.send(Ok(vec![number; 1000].into())).unwrap();
        let mut left = 1000;
        while left > 0 {
            let data = response.body_mut().frame().await.unwrap().unwrap().into_data().unwrap();
            assert!(data.iter().all(|byte| *byte == number));
            left -= data.len();
        }
    }
    for _ in 0..64 {
        frames.send(Ok(vec![b'x'; 100_000].into())).unwrap();
    }
    drop(frames);
    assert_eq!(drain(response.into_body()).await.unwrap().0.len(), 6_400_000);
}

/// H2-07: with a server that lowers and raises its limit.
#[tokio::test]
async fn h2_07_node_allows_fewer_and_more() {
    needs!("h2_07_node_allows_fewer_and_more", "node");
    let (_program, session) = node().await;
    for (path, free) in [("/fewer", 1), ("/more", 7)] {
        text(ask(&session, path).await).await;
        loop {
            let changed = session.changed();
            if session.slots().free == free {
                break;
            }
            soon(changed).await;
        }
    }
}

/// H2-08: with a server that refuses a stream, and then says goodbye.
#[tokio::test]
async fn h2_08_node_refuses_and_says_goodbye() {
    needs!("h2_08_node_refuses_and_says_goodbye", "node");
    let (_program, session) = node().await;
    let (again, why) = not_sent(session.serve(request(Method::POST, "/refuse", "body")).await);
    assert_eq!((again.body().as_full().unwrap().as_ref(), why.as_str()), (&b"body"[..], "the peer refused the stream"));
    let never = tokio::spawn({
        let session = Arc::clone(&session);
        async move { session.serve(request(Method::GET, "/never", ())).await }
    });
    while session.slots().free > 49 {
        tokio::task::yield_now().await;
    }
    let changed = session.changed();
    text(ask(&session, "/goodbye").await).await;
    soon(changed).await;
    while session.state() == SessionState::Open {
        soon(session.changed()).await;
    }
    assert_eq!(not_sent(session.serve(again).await).1, "the connection is draining");
    never.abort();
}

/// H2-10: with a server that echoes what comes through a tunnel.
#[tokio::test]
async fn h2_10_node_tunnels() {
    needs!("h2_10_node_tunnels", "node");
    const SIZE: usize = 16 * 1024 * 1024;
    let (_program, session) = node().await;
    for protocol in [None, Some("websocket")] {
        let uri = if protocol.is_some() { "http://localhost/chat" } else { "localhost:443" };
        let mut connect = http::Request::builder().method(Method::CONNECT).uri(uri).body(Body::empty()).unwrap();
        if let Some(protocol) = protocol {
            connect.scope().insert(ConnectProtocol::new(protocol));
        }
        let mut response = session.serve(connect).await.unwrap();
        assert_eq!(response.headers()["protocol"], protocol.unwrap_or("none"));
        let (mut reader, mut writer) = tokio::io::split(Upgraded::take(&mut response).unwrap().io);
        let upload = tokio::spawn(async move {
            writer.write_all(&vec![7; SIZE]).await.unwrap();
            writer.shutdown().await.unwrap();
            writer
        });
        let mut all = Vec::new();
        reader.read_to_end(&mut all).await.unwrap();
        assert!(all.len() == SIZE && all.iter().all(|byte| *byte == 7));
        upload.await.unwrap();
    }
}

/// A server that is killed: what is under way fails, and says that it may have been seen.
#[tokio::test]
async fn node_is_killed() {
    needs!("node_is_killed", "node");
    let (program, session) = node().await;
    let never = tokio::spawn({
        let session = Arc::clone(&session);
        async move { session.serve(request(Method::GET, "/never", ())).await }
    });
    // The answer to a later one shows that it has arrived.
    text(ask(&session, "/hello").await).await;
    drop(program);
    let error = soon(never).await.unwrap().unwrap_err();
    assert!(matches!(cause(&error), Http2Error::Io(_) | Http2Error::Reset(ErrorCode::CANCEL)), "{error:?}");
    assert!(!error.is_not_sent());
    while session.state() != SessionState::Closed {
        soon(session.changed()).await;
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn nghttpd_is_asked() {
    needs!("nghttpd_is_asked", "nghttpd");
    let folder = folder("nghttpd");
    fs::write(folder.join("hello"), "hello").unwrap();
    fs::write(folder.join("large"), vec![b'x'; 3_000_000]).unwrap();
    // With padding, trailers and windows of 16 KiB, and a small table for header compression.
    let options = ["--no-tls", "-a", "127.0.0.1", "-b", "100", "--trailer", "checksum: 7", "-w", "14", "-W", "16"];
    let mut command = Command::new("nghttpd");
    command.args(options).args(["-c", "256", "--echo-upload", "-d"]).arg(&folder).arg("0").stdout(Stdio::null());
    let program = Program::start(&mut command);
    let id = program.0.id();
    let io = up(async || TcpStream::connect(listens(id)?).await).await;
    let session = session(io).await;
    takes_files(&session, 3_000_000).await;
    let (_, trailers) = drain(ask(&session, "/hello").await.into_body()).await.unwrap();
    assert_eq!(trailers.unwrap()["checksum"], "7");
    let upload = request(Method::POST, "/echo", vec![b'y'; 1_000_000]);
    let (data, _) = drain(session.serve(upload).await.unwrap().into_body()).await.unwrap();
    assert_eq!(data.len(), 1_000_000);
}

/// Where a process listens, which does not say it: by the inodes of its sockets (proc(5)).
#[cfg(target_os = "linux")]
fn listens(id: u32) -> std::io::Result<SocketAddr> {
    let mut inodes = Vec::new();
    for entry in fs::read_dir(format!("/proc/{id}/fd"))? {
        if let Ok(link) = fs::read_link(entry?.path())
            && let Some(inode) = link.to_string_lossy().strip_prefix("socket:[")
        {
            inodes.push(inode.trim_end_matches(']').to_owned());
        }
    }
    let table = fs::read_to_string("/proc/net/tcp")?;
    let port = table.lines().skip(1).find_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        // 0A: LISTEN.
        let listens = columns[3] == "0A" && inodes.iter().any(|inode| inode == columns[9]);
        listens.then(|| u16::from_str_radix(columns[1].rsplit(':').next().unwrap(), 16).unwrap())
    });
    Ok(([127, 0, 0, 1], port.ok_or(std::io::ErrorKind::NotConnected)?).into())
}

#[tokio::test]
async fn nginx_is_asked() {
    needs!("nginx_is_asked", "nginx");
    let folder = folder("nginx-h2");
    fs::write(folder.join("hello"), "hello").unwrap();
    fs::write(folder.join("large"), vec![b'x'; 3_000_000]).unwrap();
    let socket = folder.join("socket");
    let _ = fs::remove_file(&socket);
    let (here, listen) = (folder.display(), socket.display());
    let config = format!(
        "daemon off; master_process off; pid {here}/pid; error_log {here}/log;\n\
         events {{}}\n\
         http {{ access_log off; client_body_temp_path {here}; proxy_temp_path {here}; fastcgi_temp_path {here};\n\
         uwsgi_temp_path {here}; scgi_temp_path {here};\n\
         server {{ listen unix:{listen} http2; root {here}; keepalive_requests 45; }} }}\n"
    );
    fs::write(folder.join("conf"), config).unwrap();
    let mut command = Command::new("nginx");
    command.arg("-p").arg(&folder).arg("-c").arg(folder.join("conf")).stdout(Stdio::null());
    let _program = Program::start(&mut command);
    let session = session(up(async || UnixStream::connect(&socket).await).await).await;
    takes_files(&session, 3_000_000).await;
    // It says goodbye after so many requests (GOAWAY with the last stream), and answers the last one.
    let mut answered = 0;
    while session.state() == SessionState::Open && answered < 10 {
        assert_eq!(text(ask(&session, "/hello").await).await, "hello");
        answered += 1;
    }
    while session.state() != SessionState::Closed {
        soon(session.changed()).await;
    }
    assert!(answered < 10, "{answered}");
}

#[tokio::test]
async fn haproxy_is_asked() {
    needs!("haproxy_is_asked", "haproxy");
    let folder = folder("haproxy-h2");
    fs::write(folder.join("large"), vec![b'x'; 30_000]).unwrap();
    let socket = folder.join("socket");
    let _ = fs::remove_file(&socket);
    let (here, listen) = (folder.display(), socket.display());
    let config = format!(
        "global\n tune.bufsize 65536\n\
         defaults\n mode http\n timeout client 30s\n timeout connect 1s\n timeout server 30s\n\
         frontend f\n bind unix@{listen} proto h2\n\
         http-request return status 200 content-type text/plain string hello if {{ path /hello }}\n\
         http-request return status 200 content-type text/plain file {here}/large if {{ path /large }}\n\
         http-request return status 404\n"
    );
    fs::write(folder.join("conf"), config).unwrap();
    let mut command = Command::new("haproxy");
    command.arg("-db").arg("-f").arg(folder.join("conf")).stdout(Stdio::null());
    let _program = Program::start(&mut command);
    let session = session(up(async || UnixStream::connect(&socket).await).await).await;
    takes_files(&session, 30_000).await;
}
