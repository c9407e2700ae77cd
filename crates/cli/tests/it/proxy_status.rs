//! Proxy-Status (RFC 9209), as clients see it.

use std::{io::Write, net::SocketAddr};

use crate::support::{Chaski, curl, needs, origin, read_head, reserve, text};

/// The values of Proxy-Status, without the random part of the proxy's name.
fn said(proxy: &Chaski, url: &str) -> Vec<String> {
    let answer = text(curl(proxy, &["-i", url]));
    let lines = answer.lines().take_while(|line| !line.is_empty());
    let values = lines.filter_map(|line| line.strip_prefix("proxy-status: ").or(line.strip_prefix("Proxy-Status: ")));
    values
        .map(|value| match value.strip_prefix("chaski-").and_then(|rest| rest.split_at_checked(16)) {
            Some((_random, rest)) => format!("chaski{rest}"),
            None => value.to_owned(),
        })
        .collect()
}

#[test]
fn failures_tell_their_cause() {
    needs!("failures_tell_their_cause", "curl");
    let rules = ["--deny", "*.ads.invalid", "--allow", "127.0.0.0/8"];
    let proxy = Chaski::start(&[&["proxy", "--bind", "127.0.0.1:0"], &rules[..]].concat());
    let (closed, _reserved) = reserve();
    let closed = SocketAddr::from(([127, 0, 0, 1], closed));
    let cases = [
        (closed.to_string(), "connection_refused", format!("cannot connect to {closed}")),
        (
            "10.1.2.3:80".to_owned(),
            "destination_ip_prohibited",
            "refused to connect to 10.1.2.3:80: no rule allows 10.1.2.3:80, whose address is private".to_owned(),
        ),
        (
            "x.ads.invalid:80".to_owned(),
            "http_request_denied",
            r#"refused to connect to x.ads.invalid:80: denied by the rule \"deny *.ads.invalid\""#.to_owned(),
        ),
        (
            proxy.addr.to_string(),
            "proxy_loop_detected",
            format!("refused to connect to {}: that is an address of this proxy itself", proxy.addr),
        ),
    ];
    for (target, error, details) in cases {
        let expected = format!("chaski;error={error};details=\"{details}\"");
        assert_eq!(said(&proxy, &format!("http://{target}/")), [expected]);
    }
    for (answer, error) in [
        ("", "connection_terminated"),
        ("HTTP/1.1 2", "connection_terminated"),
        ("PING\r\n\r\n", "http_protocol_error"),
    ] {
        let (origin, served) = origin(move |mut stream| {
            read_head(&mut stream);
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let expected = format!("chaski;error={error};details=\"no valid response from {origin}\"");
        assert_eq!(said(&proxy, &format!("http://{origin}/")), [expected], "{answer:?}");
        served.join().unwrap();
    }
}

/// The layer that asks for credentials stands outside of the proxy, and goes by the same name.
#[test]
fn who_asks_for_credentials_is_named() {
    needs!("who_asks_for_credentials_is_named", "curl");
    let proxy = Chaski::proxy(&["--user", "ana:secret"]);
    let expected = "chaski;error=http_request_denied;details=\"proxy authentication required\"";
    assert_eq!(said(&proxy, "http://a.example/"), [expected]);
}

#[test]
fn a_list_that_others_began_goes_on() {
    needs!("a_list_that_others_began_goes_on", "curl");
    let proxy = Chaski::proxy(&[]);
    let (origin, served) = origin(|mut stream| {
        read_head(&mut stream);
        stream
            .write_all(b"HTTP/1.1 504 Late\r\nProxy-Status: far;error=dns_timeout\r\nContent-Length: 0\r\n\r\n")
            .unwrap();
    });
    let expected = ["far;error=dns_timeout", "chaski;received-status=504"];
    assert_eq!(said(&proxy, &format!("http://{origin}/")), expected);
    served.join().unwrap();
}
