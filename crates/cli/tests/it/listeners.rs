//! One service on several listeners, TCP and Unix.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    os::unix::{fs::PermissionsExt, net::UnixStream},
};

use crate::support::{Chaski, GUARD, command, folder, needs, origin, read_head, text};

fn chaski(args: &[&str]) -> (Option<i32>, String, String) {
    let output = command(env!("CARGO_BIN_EXE_chaski")).args(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// An origin that answers one request with `ok`.
fn ok() -> (SocketAddr, std::thread::JoinHandle<()>) {
    origin(|mut stream| {
        read_head(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
    })
}

/// PRX-11: both addresses are served, and both are the proxy's own, whichever of them a request comes through.
#[test]
fn a_proxy_serves_on_every_address() {
    needs!("a_proxy_serves_on_every_address", "curl");
    let proxy = Chaski::start(&["proxy", "--bind", "127.0.0.1:0", "--bind", "127.0.0.1:0", "--allow", "loopback"]);
    let addrs = [proxy.addr, proxy.next_address().parse().unwrap()];
    assert_ne!(addrs[0], addrs[1]);
    for through in addrs.map(|addr| format!("http://{addr}")) {
        let get = |target: SocketAddr| {
            let args = ["-sS", "--max-time", "60", "-w", "%{http_code}", "-x", &through, &format!("http://{target}/")];
            text(command("curl").args(args).output().unwrap())
        };
        let (origin, served) = ok();
        assert_eq!(get(origin), "ok200");
        served.join().unwrap();
        for own in addrs {
            let expected = format!("refused to connect to {own}: that is an address of this proxy itself\n508");
            assert_eq!(get(own), expected);
        }
    }
    let (status, _, stderr) = proxy.stop();
    assert_eq!(status.code(), Some(0), "{stderr}");
}

#[test]
fn a_unix_socket_carries_requests_and_tunnels() {
    needs!("a_unix_socket_carries_requests_and_tunnels", "curl");
    let folder = folder("unix-proxy");
    let path = folder.join("proxy.sock");
    let bind = format!("unix:{}", path.display());
    let proxy = Chaski::start(&["proxy", "--bind", "127.0.0.1:0", "--bind", &bind, "--allow", "loopback"]);
    assert_eq!(proxy.next_address(), bind);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

    // curl takes a Unix socket for a server, not for a proxy; the request that it sends is the same.
    let (origin, served) = ok();
    let target = format!("http://{origin}/");
    let mut request = command("curl");
    request.args(["-sS", "--max-time", "60", "--request-target", &target, "http://proxy/", "--unix-socket"]).arg(&path);
    assert_eq!(text(request.output().unwrap()), "ok");
    served.join().unwrap();

    let (origin, echoed) = crate::support::origin(|mut stream| {
        let mut bytes = [0; 4];
        stream.read_exact(&mut bytes).unwrap();
        stream.write_all(&bytes).unwrap();
    });
    let mut tunnel = UnixStream::connect(&path).unwrap();
    tunnel.set_read_timeout(Some(GUARD)).unwrap();
    write!(tunnel, "CONNECT {origin} HTTP/1.1\r\nHost: {origin}\r\n\r\nping").unwrap();
    let mut answer = String::new();
    tunnel.read_to_string(&mut answer).unwrap();
    echoed.join().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\nping"), "{answer}");
    drop(tunnel);

    let (status, log, stderr) = proxy.stop();
    assert_eq!(status.code(), Some(0), "{stderr}");
    assert_eq!(log.lines().count(), 2, "{log}");
    assert!(!path.exists(), "the file goes with the listener");
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_server_takes_the_same_addresses() {
    needs!("a_server_takes_the_same_addresses", "curl");
    let folder = folder("unix-echo");
    let path = folder.join("echo.sock");
    let bind = format!("unix:{}", path.display());
    let server = Chaski::start(&["serve", "echo", "--bind", "127.0.0.1:0", "--bind", &bind]);
    assert_eq!(server.next_address(), bind);
    let over_unix = command("curl").args(["-sS", "http://echo/a", "--unix-socket"]).arg(&path).output().unwrap();
    assert!(text(over_unix).contains("\"uri\": \"/a\""));
    let over_tcp = command("curl").args(["-sS", &format!("{}/b", server.url())]).output().unwrap();
    assert!(text(over_tcp).contains("\"uri\": \"/b\""));
    assert_eq!(server.stop().0.code(), Some(0));
    fs::remove_dir_all(folder).unwrap();
}

/// A proxy that cannot listen everywhere listens nowhere.
#[test]
fn one_address_in_use_is_enough_to_stop() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let (code, _, stderr) = chaski(&["proxy", "--bind", "127.0.0.1:0", "--bind", &addr]);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains(&addr) && !stderr.contains("listening on"), "{stderr}");
}

#[test]
fn any_address_that_others_reach_has_to_be_asked_for() {
    let (code, _, stderr) = chaski(&["proxy", "--bind", "127.0.0.1:0", "--bind", "unix:x", "--bind", "0.0.0.0:0"]);
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("--bind 0.0.0.0:0: others can reach"), "{stderr}");
}

/// As beside the proxy that it explains.
#[test]
fn explain_binds_nothing() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let folder = folder("explain");
    let bind = format!("unix:{}", folder.join("proxy.sock").display());
    let (code, stdout, stderr) =
        chaski(&["proxy", "--explain", "--bind", &addr, "--bind", &bind, "--max-connections", "7"]);
    assert_eq!(code, Some(0), "{stderr}");
    let lines: Vec<_> = stdout.lines().collect();
    assert_eq!(lines[0], "chaski proxy");
    assert!(lines[1].starts_with(&format!("├─ TcpListener bind={addr} max_connections=7  writes ")), "{stdout}");
    assert!(lines[2].starts_with(&format!("├─ UnixListener bind={bind} max_connections=7  writes ")), "{stdout}");
    assert!(lines[3].starts_with("└─ "), "{stdout}");
    assert!(fs::read_dir(&folder).unwrap().next().is_none());
    fs::remove_dir_all(folder).unwrap();
}
