//! TLS and HTTP/2 with clients.

use std::{fs, process::Command};

use serde_json::{Value, json};

use crate::support::{Chaski, Nginx, certificate, command, folder, needs, text};

/// The server's address with the name that its certificate has.
fn localhost(server: &Chaski) -> String {
    format!("localhost:{}", server.addr.port())
}

fn curl(args: &[&str]) -> Command {
    let mut curl = command("curl");
    curl.args(["-sS", "--max-time", "60"]).args(args);
    curl
}

fn echoed(args: &[&str]) -> Value {
    serde_json::from_str(&text(curl(args).output().unwrap())).unwrap()
}

#[test]
fn the_echo_tells_what_it_saw_of_a_client() {
    needs!("the_echo_tells_what_it_saw_of_a_client", "curl");
    let echo = Chaski::start(&["serve", "echo", "--bind", "127.0.0.1:0", "--tls-self-signed"]);
    let url = format!("https://{}/a?b", localhost(&echo));
    let seen = echoed(&["-k", "-H", "X-Two: 2", "-H", "X-One: 1", "-H", "X-Two: 3", &url]);
    assert_eq!((&seen["version"], &seen["uri"]), (&json!("HTTP/2.0"), &json!(url)));
    let tls = &seen["tls"];
    assert_eq!(
        (&tls["version"], &tls["alpn"], &tls["server_name"]),
        (&json!("TLS 1.3"), &json!("h2"), &json!("localhost"))
    );
    assert_eq!((&tls["resumed"], &tls["cipher_suite"].is_string()), (&json!(false), &true));
    // FoxIO's JA4: over TCP, TLS 1.3, a server name, and `h2` first.
    let ja4 = tls["ja4"].as_str().unwrap();
    assert!(ja4.starts_with("t13d") && ja4[8..].starts_with("h2_") && ja4.len() == 36, "{ja4}");
    assert!(tls["ja4_r"].as_str().unwrap().starts_with(&ja4[..10]));
    assert_eq!((tls["ja3"].as_str().unwrap().len(), &tls["ja3_string"].as_str().unwrap()[..4]), (32, "771,"));
    let akamai = seen["http2"]["akamai"].as_str().unwrap();
    assert!(akamai.ends_with("|m,p,s,a"), "the order in which curl sends pseudo-header fields: {akamai}");

    let seen =
        echoed(&["-k", "--http1.1", "--tls-max", "1.2", "-H", "X-Two: 2", "-H", "X-One: 1", "-H", "X-Two: 3", &url]);
    assert_eq!((&seen["version"], &seen["uri"], &seen["http2"]), (&json!("HTTP/1.1"), &json!("/a?b"), &Value::Null));
    assert_eq!((&seen["tls"]["version"], &seen["tls"]["alpn"]), (&json!("TLS 1.2"), &json!("http/1.1")));
    let fields: Vec<_> = seen["fields"].as_array().unwrap().iter().map(|field| (&field[0], &field[1])).collect();
    let expected = [("X-Two", "2"), ("X-One", "1"), ("X-Two", "3")].map(|(name, value)| (json!(name), json!(value)));
    assert_eq!(fields[fields.len() - 3..], expected.each_ref().map(|(name, value)| (name, value)));
    assert_eq!(fields[0].0, "Host");
}

/// Clients in the shapes of browsers. JA4 is what ja4plus makes of their hellos, the hashes are those that lists have for them.
#[test]
fn the_echo_tells_browsers_apart() {
    needs!("the_echo_tells_browsers_apart", "python3:curl_cffi", "timeout");
    const CLIENT: &str = "import sys; from curl_cffi import requests\n\
        print(requests.get(sys.argv[1], impersonate=sys.argv[2], verify=False, timeout=60).text)";
    let echo = Chaski::start(&["serve", "echo", "--bind", "127.0.0.1:0", "--tls-self-signed"]);
    for (shape, ja4, akamai_hash) in [
        ("chrome142", "t13d1516h2_8daaf6152771_d8a2da3f94cd", "52d84b11737d980aef856699f885ca86"),
        ("firefox135", "t13d1717h2_5b57614c22b0_3cbfd9057e0d", "6ea73faa8fc5aac76bded7bd238f6433"),
    ] {
        let url = format!("https://{}/", localhost(&echo));
        let output = command("timeout").args(["120", "python3", "-c", CLIENT, &url, shape]).output().unwrap();
        let seen: Value = serde_json::from_str(&text(output)).unwrap();
        assert_eq!((&seen["version"], &seen["tls"]["group"]), (&json!("HTTP/2.0"), &json!("X25519MLKEM768")));
        assert_eq!((&seen["tls"]["ja4"], &seen["http2"]["akamai_hash"]), (&json!(ja4), &json!(akamai_hash)), "{shape}");
    }
}

/// In the version that they agree on, many at a time.
#[test]
fn nghttp_h2load_and_httpx_come_over_tls() {
    needs!("nghttp_h2load_and_httpx_come_over_tls", "nghttp", "h2load", "python3:httpx,h2", "timeout");
    const HTTPX: &str = "import httpx, sys\n\
        with httpx.Client(http2=True, verify=False, timeout=60) as client:\n    \
            for _ in range(3):\n        \
                seen = client.post(sys.argv[1], content=b'x' * 300_000).json()\n        \
                print(seen['version'], seen['tls']['alpn'], seen['body_bytes'])";
    let echo = Chaski::start(&["serve", "echo", "--bind", "127.0.0.1:0", "--tls-self-signed"]);
    let url = format!("https://{}/", localhost(&echo));
    let run = |args: &[&str]| text(command("timeout").arg("120").args(args).arg(&url).output().unwrap());

    for (more, protocol) in [(&["-m", "16"][..], "h2"), (&["--h1"], "http/1.1")] {
        let report = run(&[&["h2load", "-n", "1000", "-c", "4"], more].concat());
        for part in [&*format!("Application protocol: {protocol}\n"), "1000 succeeded, 0 failed, 0 errored", "1000 2xx"]
        {
            assert!(report.contains(part), "{part}: {report}");
        }
    }
    let frames = run(&["nghttp", "-nv"]);
    assert!(frames.contains("The negotiated protocol: h2") && frames.contains(":status: 200"), "{frames}");
    assert_eq!(run(&["python3", "-c", HTTPX]), "HTTP/2.0 h2 300000\n".repeat(3));
}

#[test]
fn in_clear_there_is_no_tls_to_tell_of() {
    needs!("in_clear_there_is_no_tls_to_tell_of", "curl");
    let echo = Chaski::start(&["serve", "echo", "--bind", "127.0.0.1:0"]);
    let seen = echoed(&["--http2-prior-knowledge", &echo.url()]);
    assert_eq!((&seen["version"], &seen["tls"]), (&json!("HTTP/2.0"), &Value::Null));
    assert!(seen["http2"]["akamai_hash"].as_str().is_some_and(|hash| hash.len() == 32), "{seen}");
}

#[test]
fn a_certificate_is_read_again_while_the_server_runs() {
    needs!("a_certificate_is_read_again_while_the_server_runs", "curl", "openssl");
    let (served, other) = (folder("tls-served"), folder("tls-other"));
    let (cert, key) = certificate(&served);
    let (other_cert, other_key) = certificate(&other);
    let first = served.join("first.pem");
    fs::copy(&cert, &first).unwrap();
    let [cert_path, key_path] = [&cert, &key].map(|path| path.to_str().unwrap());
    let arguments = ["serve", "echo", "--bind", "127.0.0.1:0", "--tls-cert", cert_path, "--tls-key", key_path];
    let echo = Chaski::start(&arguments);
    let url = format!("https://{}/", localhost(&echo));
    let trusts =
        |roots: &std::path::Path| curl(&["--cacert", roots.to_str().unwrap(), &url]).output().unwrap().status.success();
    assert!(trusts(&first) && !trusts(&other_cert));

    // Between the two files are others than they were, as during a renewal: what was read before stays.
    fs::copy(&other_cert, &cert).unwrap();
    echo.signal("HUP");
    let line = echo.told("SIGHUP");
    assert!(line.contains("stays") && line.contains("key"), "{line}");
    assert!(trusts(&first));

    fs::copy(&other_key, &key).unwrap();
    echo.signal("HUP");
    assert!(echo.told("SIGHUP").contains("the certificate of CN=localhost"));
    assert!(trusts(&other_cert) && !trusts(&first));
}

#[test]
fn what_cannot_be_served_is_named_at_the_start() {
    needs!("what_cannot_be_served_is_named_at_the_start", "openssl");
    let (one, two) = (folder("tls-one"), folder("tls-two"));
    let ((cert, key), (_, other_key)) = (certificate(&one), certificate(&two));
    let [cert, key, other_key] = [&cert, &key, &other_key].map(|path| path.to_str().unwrap());
    for (arguments, code, named) in [
        (&["--tls-cert", cert][..], 2, "--tls-key"),
        (&["--tls-key", key], 2, "--tls-cert"),
        (&["--tls-cert", cert, "--tls-key", key, "--tls-self-signed"], 2, "--tls-self-signed"),
        (&["--tls-cert", "/nonexistent", "--tls-key", key], 1, "/nonexistent"),
        (&["--tls-cert", key, "--tls-key", key], 1, "certificate"),
        (&["--tls-cert", cert, "--tls-key", other_key], 1, "key"),
    ] {
        let output = command(env!("CARGO_BIN_EXE_chaski"))
            .args(["serve", "echo", "--bind", "127.0.0.1:0"])
            .args(arguments)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(named), "{arguments:?}: {said}");
        // Whoever waits for that line would take the server for one that serves.
        assert!(!said.contains("listening"), "{arguments:?}: {said}");
    }
}

/// A proxy to which clients speak TLS, for targets in clear and over TLS: TLS within TLS.
#[test]
fn curl_reaches_nginx_through_a_proxy_over_tls() {
    needs!("curl_reaches_nginx_through_a_proxy_over_tls", "curl", "nginx", "openssl");
    let nginx = Nginx::start("tls-proxy");
    nginx.file("a", b"content");
    let (cert, key) = certificate(&folder("tls-proxy"));
    let [cert, key] = [&cert, &key].map(|path| path.to_str().unwrap());
    let proxy = Chaski::proxy(&["--tls-cert", cert, "--tls-key", key, "--user", "ana:secret"]);
    let url = format!("https://ana:secret@{}", localhost(&proxy));
    let through = |args: &[&str]| text(curl(&["-x", &url, "--proxy-cacert", cert]).args(args).output().unwrap());
    assert_eq!(through(&["--cacert", &nginx.cert(), &nginx.tls_url("/a")]), "content");
    assert_eq!(through(&[&nginx.url("/a")]), "content");
    let (status, out, said) = proxy.stop();
    assert!(status.success(), "{said}");
    assert!(!said.contains("secret") && !out.contains("secret"));
}

/// NET-06: CONNECT over HTTP/2, in clear and over TLS: the client ends its side, and gets the full late answer; several tunnels
/// and requests share the connection. LIFE-05: the tunnels and the connection end with the proxy.
#[test]
fn net_06_tunnels_over_http2() {
    needs!("net_06_tunnels_over_http2", "node", "timeout");
    for (tls, scheme) in [(&[][..], "http"), (&["--tls-self-signed"], "https")] {
        let proxy = Chaski::proxy(tls);
        let output = command("timeout")
            .args(["120", "node", "-e", include_str!("programs/node_http2_proxy.js"), "--"])
            .arg(format!("{scheme}://{}", localhost(&proxy)))
            .output()
            .unwrap();
        let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!((output.status.code(), &*said), (Some(0), "ok\n"), "{complained}");
        let (status, log, told) = proxy.stop();
        assert!(status.success(), "{told}");
        assert_eq!(
            log.lines().filter(|line| line.contains("version=HTTP/2.0") && line.contains("method=CONNECT")).count(),
            5,
            "{log}"
        );
    }
}
