//! Programs of other people, through the proxy. Each script says `ok` at its end.

use std::process::Output;

use crate::support::{Chaski, Nginx, certificate, command, folder, needs};

/// Runs a script to its end. Programs have a guard of their own against hanging.
fn script(program: &str, flag: &str, text: &str, args: &[&str]) {
    let output = command("timeout").args(["120", program, flag, text]).args(args).output().unwrap();
    assert_ok(&output);
}

fn assert_ok(output: &Output) {
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!((output.status.code(), &*said), (Some(0), "ok\n"), "{complained}");
}

#[test]
fn python_http_client() {
    needs!("python_http_client", "python3", "nginx", "openssl", "timeout");
    let nginx = Nginx::start("http-client");
    nginx.file("a", b"content");
    let proxy = Chaski::proxy(&[]);
    let [port, http, https] = [proxy.addr.port(), nginx.http, nginx.https].map(|port| port.to_string());
    script("python3", "-c", include_str!("python_http_client.py"), &[&port, &http, &https, &nginx.cert()]);
}

#[test]
fn python_requests() {
    needs!("python_requests", "python3:requests", "nginx", "openssl", "timeout");
    let nginx = Nginx::start("requests");
    nginx.file("a", b"content");
    nginx.file("large", &vec![b'x'; 3_000_000]);
    let proxy = Chaski::proxy(&["--user", "ana:se@cret"]);
    let [port, http, https] = [proxy.addr.port(), nginx.http, nginx.https].map(|port| port.to_string());
    script("python3", "-c", include_str!("python_requests.py"), &[&port, &http, &https, &nginx.cert()]);
}

/// A curl that speaks HTTP/2 to proxies, which that of most systems is too old for.
#[test]
fn python_curl_speaks_http2_to_the_proxy() {
    needs!("python_curl_speaks_http2_to_the_proxy", "python3:curl_cffi", "nginx", "openssl", "timeout");
    let nginx = Nginx::start("curl-proxy");
    nginx.file("a", b"content");
    let large: Vec<u8> = (0..12_000).flat_map(|_| 0..=255).collect();
    nginx.file("large", &large);
    let (cert, key) = certificate(&folder("curl-proxy-tls"));
    let [cert, key] = [&cert, &key].map(|path| path.to_str().unwrap());
    let proxy = Chaski::proxy(&["--tls-cert", cert, "--tls-key", key, "--user", "ana:se@cret"]);
    let [port, http, https] = [proxy.addr.port(), nginx.http, nginx.https].map(|port| port.to_string());
    let script_args = [&*port, &http, &https, &nginx.cert(), cert];
    script("python3", "-c", include_str!("python_curl_proxy.py"), &script_args);
    let (_, log, _) = proxy.stop();
    let lines: Vec<&str> = log.lines().collect();
    assert!(!lines.is_empty() && lines.iter().all(|line| line.contains("version=HTTP/2.0")), "{log}");
    for (method, status) in [("GET", "200"), ("GET", "407"), ("CONNECT", "200"), ("CONNECT", "407"), ("CONNECT", "502")]
    {
        let parts = [format!("method={method} "), format!("status={status} ")];
        assert!(lines.iter().any(|line| parts.iter().all(|part| line.contains(part))), "{method} {status}: {log}");
    }
}

#[test]
fn python_websockets() {
    needs!("python_websockets", "python3:websockets", "timeout");
    let proxy = Chaski::proxy(&[]);
    script("python3", "-c", include_str!("python_websockets.py"), &[&proxy.addr.port().to_string()]);
}

#[test]
fn node_http() {
    needs!("node_http", "node", "timeout");
    let proxy = Chaski::proxy(&[]);
    script("node", "-e", include_str!("node_http.js"), &["--", &proxy.addr.port().to_string()]);
}

#[test]
fn a_thousand_clients_at_once() {
    needs!("a_thousand_clients_at_once", "node", "timeout");
    let proxy = Chaski::proxy(&[]);
    script("node", "-e", include_str!("node_thousand.js"), &["--", &proxy.addr.port().to_string(), "1000"]);
    let (status, _, said) = proxy.stop();
    assert!(status.success() || said.contains("drained"), "{status}: {said}");
}
