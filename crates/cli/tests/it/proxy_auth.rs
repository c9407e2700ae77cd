//! Who may use the proxy, and where it may go.

use std::io::Write;

use crate::support::{Chaski, Nginx, curl, needs, origin, read_head, text};

#[test]
fn without_the_right_password_there_is_407_and_a_challenge() {
    needs!("without_the_right_password_there_is_407_and_a_challenge", "curl", "nginx", "openssl");
    let nginx = Nginx::start("auth");
    nginx.file("a", b"content");
    let proxy = Chaski::proxy(&["--user", "ana:secret"]);
    for user in [&[][..], &["-U", "ana:wrong"], &["-U", "bob:secret"]] {
        let answer = curl(&proxy, &[user, &["-i", &nginx.url("/a")]].concat());
        let answer = text(answer).to_lowercase();
        assert!(answer.starts_with("http/1.1 407 "), "{answer}");
        assert!(answer.contains("proxy-authenticate: basic realm="), "{answer}");
        // CONNECT is asked for it too, and curl gives up.
        assert!(!curl(&proxy, &[user, &["-k", &nginx.tls_url("/a")]].concat()).status.success());
    }
    for url in [nginx.url("/a"), nginx.tls_url("/a")] {
        let cert = nginx.cert();
        assert_eq!(text(curl(&proxy, &["-U", "ana:secret", "--cacert", &cert, &url])), "content");
    }
}

/// PRX-01: over the wire, the proxy's credentials never reach an origin. waits: redirects, https
#[test]
fn prx_01_an_origin_never_sees_the_proxys_credentials() {
    needs!("prx_01_an_origin_never_sees_the_proxys_credentials", "curl", "nginx", "openssl");
    let nginx = Nginx::start("strip");
    let proxy = Chaski::proxy(&["--user", "ana:secret"]);
    let seen = text(curl(&proxy, &["-U", "ana:secret", &nginx.url("/headers")]));
    assert!(seen.contains("auth= "), "{seen}");
    assert!(seen.contains("via=1.1 "), "{seen}");
}

#[test]
fn private_targets_are_refused_by_default() {
    needs!("private_targets_are_refused_by_default", "curl", "nginx", "openssl");
    let nginx = Nginx::start("ssrf");
    nginx.file("a", b"content");
    let proxy = Chaski::start(&["proxy", "--bind", "127.0.0.1:0"]);
    let ports = (nginx.http, nginx.https);
    for url in [
        nginx.url("/a"),
        format!("http://localhost:{}/a", ports.0),
        format!("http://[::ffff:127.0.0.1]:{}/a", ports.0),
        format!("http://0.0.0.0:{}/a", ports.0),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "http://10.1.2.3/".to_owned(),
    ] {
        let answer = text(curl(&proxy, &["-i", &url]));
        assert!(answer.starts_with("HTTP/1.1 403 "), "{url}: {answer}");
    }
    let refused = curl(&proxy, &["-k", &format!("https://localhost:{}/a", ports.1)]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("403"), "{refused:?}");

    // A rule for one port allows that port only.
    let rule = format!("127.0.0.1:{}", ports.0);
    let proxy = Chaski::start(&["proxy", "--bind", "127.0.0.1:0", "--allow", &rule]);
    assert_eq!(text(curl(&proxy, &[&nginx.url("/a")])), "content");
    assert!(!curl(&proxy, &["-k", &format!("https://127.0.0.1:{}/a", ports.1)]).status.success());
}

/// The first rule that matches decides, and the answer names it; a name that is denied is refused though it does not resolve.
#[test]
fn the_first_rule_decides_and_is_named() {
    needs!("the_first_rule_decides_and_is_named", "curl");
    let proxy = Chaski::start(&[
        "proxy",
        "--bind",
        "127.0.0.1:0",
        "--deny",
        "*.ads.invalid",
        "--deny",
        "127.0.0.1:1-1000",
        "--allow",
        "loopback",
        "--deny",
        "*:9",
    ]);
    let (origin, served) = origin(|mut stream| {
        read_head(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
    });
    let answer = |url: &str| text(curl(&proxy, &["-w", "%{http_code}", url]));
    assert_eq!(answer(&format!("http://127.0.0.1:{}/", origin.port())), "ok200");
    served.join().unwrap();
    for (url, reason) in [
        ("http://x.ads.invalid/", "x.ads.invalid:80: denied by the rule \"deny *.ads.invalid\""),
        ("http://127.0.0.1:22/", "127.0.0.1:22: denied by the rule \"deny 127.0.0.1:1-1000\""),
        ("http://192.0.2.7:9/", "192.0.2.7:9: denied by the rule \"deny *:9\""),
        ("http://10.1.2.3/", "10.1.2.3:80: no rule allows 10.1.2.3:80, whose address is private"),
    ] {
        assert_eq!(answer(url), format!("refused to connect to {reason}\n403"), "{url}");
    }
}
