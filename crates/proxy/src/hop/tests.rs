use super::*;

fn map(lines: &[&str]) -> HeaderMap {
    let field = |line: &&str| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
    };
    lines.iter().map(field).collect()
}

fn lines(headers: &HeaderMap) -> Vec<String> {
    let mut lines: Vec<String> =
        headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    lines.sort();
    lines
}

/// What goes in and what comes out of both directions.
const BOTH: [(&[&str], &[&str]); 9] = [
    (&["accept: */*", "trailer: digest"], &["accept: */*", "trailer: digest"]),
    (&["connection: close"], &[]),
    (&["connection: Keep-Alive", "keep-alive: timeout=5", "proxy-connection: keep-alive"], &[]),
    (&["transfer-encoding: chunked", "upgrade: websocket", "x: 1"], &["x: 1"]),
    (&["proxy-authorization: Basic Zm9v", "proxy-authenticate: Basic", "proxy-authentication-info: a"], &[]),
    // Every name, on every line, in any case, however it is spaced; what is no name is passed over.
    (
        &["connection: X-A ,\tx-b,, close", "connection: x-c, \"x-d\"", "x-a: 1", "x-b: 2", "x-c: 3", "x-d: 4"],
        &["x-d: 4"],
    ),
    // Every value of a name.
    (&["connection: x-a", "x-a: 1", "x-a: 2", "x-e: 3"], &["x-e: 3"]),
    (&["connection: upgrade, http2-settings", "upgrade: h2c", "http2-settings: AAMAAABk"], &[]),
    // The field is called Trailer; `trailers` is a word of TE.
    (&["connection: trailers", "trailers: x", "trailer: y"], &["trailer: y"]),
];

/// H1-20: requests.
#[test]
fn h1_20_fields_of_one_hop_are_stripped_from_requests() {
    for (before, after) in BOTH {
        let mut headers = map(before);
        assert_eq!(strip_request(&mut headers), Ok(()), "{before:?}");
        assert_eq!(lines(&headers), after, "{before:?}");
    }
}

/// H1-20: responses.
#[test]
fn h1_20_fields_of_one_hop_are_stripped_from_responses() {
    let only_here: [(&[&str], &[&str]); 2] = [
        (&["te: trailers"], &[]),
        (&["connection: content-length, cache-control, x", "content-length: 3", "x: 1"], &["content-length: 3"]),
    ];
    for (before, after) in BOTH.into_iter().chain(only_here) {
        let mut headers = map(before);
        strip_response(&mut headers);
        assert_eq!(lines(&headers), after, "{before:?}");
    }
}

/// H1-19: of TE only `trailers` goes on, whatever its case; said by this proxy for its own hop.
#[test]
fn h1_19_trailers_are_asked_for_again() {
    let cases: [(&[&str], bool); 6] = [
        (&["te: trailers"], true),
        (&["te: Trailers", "connection: TE"], true),
        (&["te: gzip;q=0.5, TRAILERS"], true),
        (&["te: gzip", "te: trailers"], true),
        (&["te: gzip, deflate", "connection: te"], false),
        (&["te: xtrailers, trailers2"], false),
    ];
    for (before, asked) in cases {
        let mut headers = map(before);
        strip_request(&mut headers).unwrap();
        let expected: &[&str] = if asked { &["connection: te", "te: trailers"] } else { &[] };
        assert_eq!(lines(&headers), expected, "{before:?}");
    }
}

/// H1-20: Connection takes nothing away that is for all recipients.
#[test]
fn h1_20_a_request_cannot_name_end_to_end_fields_in_connection() {
    for name in ["host", "Content-Length", "via", "max-forwards", "cache-control"] {
        let option = format!("connection: close, {name}");
        let mut headers = map(&[&option]);
        let named = strip_request(&mut headers).unwrap_err();
        assert_eq!(named.0.as_str(), name.to_ascii_lowercase());
    }
}

#[test]
fn max_forwards_is_counted_down() {
    type Case = (&'static [&'static str], Result<Forwards, InvalidMaxForwards>, &'static [&'static str]);
    let cases: [Case; 10] = [
        (&[], Ok(Forwards::Unlimited), &[]),
        (&["max-forwards: 0"], Ok(Forwards::Exhausted), &["max-forwards: 0"]),
        (&["max-forwards: 000"], Ok(Forwards::Exhausted), &["max-forwards: 000"]),
        (&["max-forwards: 1"], Ok(Forwards::Decremented), &["max-forwards: 0"]),
        (&["max-forwards: 10"], Ok(Forwards::Decremented), &["max-forwards: 9"]),
        (&["max-forwards: 99999999999999999999"], Ok(Forwards::Decremented), &["max-forwards: 4294967294"]),
        (&["max-forwards: -1"], Err(InvalidMaxForwards), &["max-forwards: -1"]),
        (&["max-forwards: +1"], Err(InvalidMaxForwards), &["max-forwards: +1"]),
        (&["max-forwards: "], Err(InvalidMaxForwards), &["max-forwards: "]),
        (&["max-forwards: 1", "max-forwards: 1"], Err(InvalidMaxForwards), &["max-forwards: 1", "max-forwards: 1"]),
    ];
    for (before, expected, after) in cases {
        let mut headers = map(before);
        assert_eq!(count_forward(&mut headers), expected, "{before:?}");
        assert_eq!(lines(&headers), after, "{before:?}");
    }
}
