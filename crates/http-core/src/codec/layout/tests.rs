use bytes::BytesMut;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, Version};
use proptest::prelude::*;

use super::*;
use crate::codec::{
    BodySize, Framing, HeadConfig, RequestDecoder, RequestHead, RequestPlan, ResponseDecoder, ResponseHead,
    ResponsePlan, encode_request_head, encode_response_head,
    names::{self, Field},
};

fn recording() -> HeadConfig {
    HeadConfig::default().with_header_layout(true)
}

fn request(input: &[u8]) -> RequestHead {
    let head = RequestDecoder::new(recording()).decode(&mut BytesMut::from(input));
    head.expect("valid").unwrap_or_else(|| panic!("incomplete: {}", input.escape_ascii()))
}

fn response(input: &[u8]) -> ResponseHead {
    let head = ResponseDecoder::new(recording()).decode(&mut BytesMut::from(input), &Method::GET);
    head.expect("valid").unwrap_or_else(|| panic!("incomplete: {}", input.escape_ascii()))
}

fn size(framing: Framing) -> BodySize {
    match framing {
        Framing::Empty => BodySize::Exact(0),
        Framing::Length(length) => BodySize::Exact(length),
        Framing::Chunked | Framing::UntilClose => BodySize::Unknown,
    }
}

/// A request, as it is written with its layout.
fn write_request(head: &RequestHead) -> String {
    let plan = RequestPlan {
        version: head.version,
        target: head.target,
        body: size(head.framing),
        keep_alive: head.keep_alive,
        layout: head.layout.as_ref(),
    };
    let mut out = Vec::new();
    encode_request_head(&mut out, &head.method, &head.uri, &head.headers, &plan).expect("encodable");
    String::from_utf8_lossy(&out).into_owned()
}

fn write_response(head: &ResponseHead) -> String {
    let plan = ResponsePlan {
        version: Version::HTTP_11,
        method: &Method::GET,
        body: size(head.framing),
        keep_alive: head.keep_alive,
        date: None,
        layout: head.layout.as_ref(),
    };
    let mut out = Vec::new();
    encode_response_head(&mut out, head.status, &head.headers, &plan).expect("encodable");
    String::from_utf8_lossy(&out).into_owned()
}

/// What curl 7.88.1 sent for `curl -d a=b -H 'X-Empty;' -b x=y`, captured.
const CURL: &str = "POST /form HTTP/1.1\r\nHost: 127.0.0.1:41123\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\nCookie: x=y\r\n\
                    X-Empty:\r\nContent-Length: 3\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n";

/// The shape of Chrome's requests: Host first, then Connection, and names in two cases.
const CHROME: &str = "GET /a?b HTTP/1.1\r\nHost: example.com\r\nConnection: keep-alive\r\nsec-ch-ua: \"Chromium\";v=\"140\"\r\n\
                      sec-ch-ua-mobile: ?0\r\nsec-ch-ua-platform: \"Linux\"\r\nUpgrade-Insecure-Requests: 1\r\n\
                      User-Agent: Mozilla/5.0\r\nAccept: text/html,*/*;q=0.8\r\nSec-Fetch-Site: none\r\n\
                      Sec-Fetch-Mode: navigate\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n\
                      Accept-Language: en-US,en;q=0.9\r\n\r\n";

/// Nothing of this is how others write it.
const ODD: &str =
    "GET / HTTP/1.1\r\nX-B:one\r\nhOsT: a\r\nx-a: \t 1 \t\r\nX-b:  two\r\nACCEPT: */*\r\nX-A:2\r\nx-B:\r\n\r\n";

#[test]
fn a_request_that_was_read_is_written_byte_for_byte() {
    let chunked = "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\nHost: a\r\n\r\n";
    let old = "GET / HTTP/1.0\r\nCONNECTION: close\r\nA: b\r\n\r\n";
    let asterisk = "OPTIONS * HTTP/1.1\r\nAllow: x\r\nHOST: a\r\n\r\n";
    let absolute = "GET http://a.b/c HTTP/1.1\r\nAccept: */*\r\nHost: a.b\r\n\r\n";
    let upgrade = "GET / HTTP/1.1\r\nUpgrade: websocket\r\nHost: a\r\nConnection: Upgrade\r\n\r\n";
    for input in [CURL, CHROME, ODD, chunked, old, asterisk, absolute, upgrade] {
        assert_eq!(write_request(&request(input.as_bytes())), input);
    }
}

#[test]
fn a_response_that_was_read_is_written_byte_for_byte() {
    let nginx = "HTTP/1.1 404 Not Found\r\nServer: nginx/1.26.3\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
                 Content-Type: text/html\r\nContent-Length: 153\r\nConnection: keep-alive\r\n\r\n";
    let cookies =
        "HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nX-One: 1\r\nset-cookie: b\r\nContent-Length: 1\r\nSET-COOKIE:c\r\n\r\n";
    let phrase = "HTTP/1.1 200 All's well\r\nTransfer-Encoding: chunked\r\nServer: x\r\n\r\n";
    let silent = "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n";
    let unknown = "HTTP/1.1 599 Odd\tone\r\ncontent-length: 0\r\n\r\n";
    for input in [nginx, cookies, phrase, silent, unknown] {
        assert_eq!(write_response(&response(input.as_bytes())), input);
    }
    // RFC 9112 section 4: the space goes out though there is no phrase.
    let bare = write_response(&response(b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"));
    assert_eq!(bare, silent);
}

/// Without the knob there is nothing, and all is written as ever.
#[test]
fn nothing_is_recorded_unasked() {
    let head = RequestDecoder::default().decode(&mut BytesMut::from(ODD)).expect("valid").expect("complete");
    assert!(head.layout.is_none());
    let lines = "host: a\r\nx-b: one\r\nx-b: two\r\nx-b: \r\nx-a: 1\r\nx-a: 2\r\naccept: */*\r\n\r\n";
    assert_eq!(write_request(&head), format!("GET / HTTP/1.1\r\n{lines}"));
    let mut buf = BytesMut::from("HTTP/1.1 200 Fine\r\nA: b\r\n\r\n");
    let head = ResponseDecoder::default().decode(&mut buf, &Method::GET).expect("valid").expect("complete");
    assert!(head.layout.is_none());
}

#[test]
fn what_changed_stands_in_its_place_and_what_is_new_at_the_end() {
    let mut head = request(ODD.as_bytes());
    head.headers.remove("accept");
    head.headers.insert("via", HeaderValue::from_static("1.1 me"));
    head.headers.insert("x-b", HeaderValue::from_static("all"));
    head.headers.append("x-a", HeaderValue::from_static("3"));
    assert_eq!(
        write_request(&head),
        "GET / HTTP/1.1\r\nX-B:all\r\nhOsT: a\r\nx-a: \t 1 \t\r\nX-A:2\r\nx-a: 3\r\nvia: 1.1 me\r\n\r\n"
    );
}

#[test]
fn the_place_of_framing_is_the_layouts_and_its_value_the_encoders() {
    // The length is said otherwise, the host follows from the target, and white space there is the encoder's.
    let mut head = request(b"POST / HTTP/1.1\r\nContent-Length:\t007 \r\nTE:trailers\r\nX: y\r\nHost:old \r\n\r\n");
    assert_eq!(
        write_request(&head),
        "POST / HTTP/1.1\r\nContent-Length: 7\r\nTE: trailers\r\nX: y\r\nHost: old\r\n\r\n"
    );
    // Another length, or none in hand: the recorded one is gone.
    head.headers.remove("content-length");
    head.framing = Framing::Length(9);
    assert!(write_request(&head).starts_with("POST / HTTP/1.1\r\nContent-Length: 9\r\nTE:"));
    head.framing = Framing::Chunked;
    assert_eq!(
        write_request(&head),
        "POST / HTTP/1.1\r\nTE: trailers\r\nX: y\r\nHost: old\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    head.keep_alive = false;
    assert!(write_request(&head).ends_with("\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"));
}

/// Only `keep-alive` that the caller says, and only when it is true.
#[test]
fn keep_alive_is_said_where_it_was() {
    let mut head = request(b"GET / HTTP/1.1\r\nConnection: Keep-Alive\r\nHost: a\r\n\r\n");
    assert_eq!(write_request(&head), "GET / HTTP/1.1\r\nConnection: keep-alive\r\nHost: a\r\n\r\n");
    head.keep_alive = false;
    assert_eq!(write_request(&head), "GET / HTTP/1.1\r\nConnection: close\r\nHost: a\r\n\r\n");
    head.keep_alive = true;
    let recorded = head.layout.replace(HeaderLayout::from_names::<&str>([]).expect("no names"));
    assert_eq!(write_request(&head), "GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    head.layout = recorded;
    head.headers.remove("connection");
    assert_eq!(write_request(&head), "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
}

#[test]
fn another_status_has_its_own_phrase() {
    let mut head = response(b"HTTP/1.1 200 Fine\r\nServer: x\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(head.layout.as_ref().and_then(HeaderLayout::reason), Some(&b"Fine"[..]));
    head.status = StatusCode::NOT_FOUND;
    assert!(write_response(&head).starts_with("HTTP/1.1 404 Not Found\r\nServer: x\r\n"));
}

#[test]
fn names_are_read_in_the_order_and_the_case_of_the_wire() {
    let head = request(ODD.as_bytes());
    let layout = head.layout.expect("recorded");
    let names: Vec<_> = layout.names().collect();
    assert_eq!(names, ["X-B", "hOsT", "x-a", "X-b", "ACCEPT", "X-A", "x-B"]);
    assert_eq!(layout.reason(), None);
    let secret = request(b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: secret\r\n\r\n").layout.expect("recorded");
    assert_eq!(format!("{secret:?}"), r#"HeaderLayout["Host", "Authorization"]"#);
}

#[test]
fn a_layout_is_made_of_names() {
    let uri: Uri = "http://a.b/".parse().expect("a URI");
    let headers: HeaderMap = [("accept", "*/*"), ("x-a", "1"), ("cookie", "c")]
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .into_iter()
        .collect();
    let write = |names: &[&str]| {
        let layout = HeaderLayout::from_names(names).expect("names");
        assert_eq!(layout.names().collect::<Vec<_>>(), names);
        assert_eq!(layout.reason(), None);
        let plan = RequestPlan {
            version: Version::HTTP_11,
            target: crate::codec::TargetForm::Origin,
            body: BodySize::Exact(0),
            keep_alive: true,
            layout: Some(&layout),
        };
        let mut out = Vec::new();
        encode_request_head(&mut out, &Method::POST, &uri, &headers, &plan).expect("encodable");
        String::from_utf8(out).expect("ASCII")
    };
    assert_eq!(
        write(&["Content-Length", "COOKIE", "Absent", "cookie", "Host"]),
        "POST / HTTP/1.1\r\nContent-Length: 0\r\nCOOKIE: c\r\nHost: a.b\r\naccept: */*\r\nx-a: 1\r\n\r\n"
    );
    // RFC 9110 section 7.2: Host comes first where nobody says otherwise.
    assert_eq!(
        write(&["X-A", "Accept"]),
        "POST / HTTP/1.1\r\nhost: a.b\r\nX-A: 1\r\nAccept: */*\r\ncookie: c\r\ncontent-length: 0\r\n\r\n"
    );
    assert_eq!(
        write(&[]),
        "POST / HTTP/1.1\r\nhost: a.b\r\naccept: */*\r\nx-a: 1\r\ncookie: c\r\ncontent-length: 0\r\n\r\n"
    );
    for name in ["", "a b", "a:", "a\r\nb", "a\n", "\u{e4}"] {
        assert!(HeaderLayout::from_names(["x", name]).is_err(), "{name:?}");
    }
}

fn names() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec!["Accept", "COOKIE", "x-a", "X-a", "Via", "Sec-Fetch-Mode", "Keep-Alive"]);
    prop_oneof![known.prop_map(str::to_owned), "[A-Za-z!#$%&'*+.^_`|~-]{1,12}"]
        // What the encoder has a word in is in the tables above.
        .prop_filter("a field of no meaning here", |name| {
            names::known(name.as_bytes()).is_none_or(|(_, field)| field == Field::Plain)
        })
}

fn lines() -> impl Strategy<Value = Vec<(String, String, String, String)>> {
    let space = "[ \t]{0,3}";
    // A value without space around it, or none.
    let value = "([!-~]([ -~\t]{0,8}[!-~])?)?";
    prop::collection::vec((names(), space, value, space), 0..20)
}

fn text(lines: &[(String, String, String, String)]) -> String {
    lines.iter().map(|(name, before, value, after)| format!("{name}:{before}{value}{after}\r\n")).collect()
}

proptest! {
    #[test]
    fn any_head_survives(above in lines(), below in lines(), host in "[Hh][oO][sS][tT]") {
        let input = format!("GET /x HTTP/1.1\r\n{}{host}: a\r\n{}\r\n", text(&above), text(&below));
        prop_assert_eq!(write_request(&request(input.as_bytes())), input);
        let input = format!("HTTP/1.1 200 OK\r\n{}{}Content-Length: 5\r\n\r\n", text(&above), text(&below));
        prop_assert_eq!(write_response(&response(input.as_bytes())), input);
    }

    /// H1-01: whatever a layout says, the head means what it means without.
    #[test]
    fn h1_01_no_layout_changes_what_a_head_means(
        fields in lines(),
        layout in prop::collection::vec(
            prop_oneof![
                prop::sample::select(vec![
                    "Host", "host", "Content-Length", "CONTENT-LENGTH", "Transfer-Encoding", "transfer-encoding",
                    "Connection", "TE", "Upgrade", "Expect",
                ]).prop_map(str::to_owned),
                names(),
            ],
            0..20,
        ),
        spaces in prop::collection::vec("[ \t]{0,3}", 20),
        body in prop_oneof![Just(Framing::Empty), Just(Framing::Length(7)), Just(Framing::Chunked)],
        keep_alive in any::<bool>(),
    ) {
        let input = format!("POST / HTTP/1.1\r\nHost: a\r\nConnection: x-a, keep-alive\r\n{}\r\n", text(&fields));
        let mut head = request(input.as_bytes());
        (head.framing, head.keep_alive, head.layout) = (body, keep_alive, None);
        let plain = request(write_request(&head).as_bytes());
        // As no decoder would return it: framing fields twice, and spaced.
        let hostile: String = layout.iter().zip(&spaces).map(|(name, space)| format!("{name}:{space}{space}1{space}\r\n")).collect();
        head.layout = Some(HeaderLayout::of(&format!("POST / HTTP/1.1\r\n{hostile}\r\n").into()));
        let written = write_request(&head);
        let arranged = request(written.as_bytes());
        prop_assert_eq!(arranged.headers.get_all("host").iter().count(), 1);
        prop_assert_eq!((arranged.framing, arranged.keep_alive), (plain.framing, plain.keep_alive), "{}", written);
        for name in plain.headers.keys().chain(arranged.headers.keys()) {
            let mut values = [&plain, &arranged].map(|head| head.headers.get_all(name).iter().collect::<Vec<_>>());
            if name == "connection" {
                // `keep-alive`, said though it goes without saying.
                values[1].retain(|value| *value != "keep-alive");
            }
            prop_assert_eq!(&values[0], &values[1], "{}", written);
        }
        // The fields that recipients disagree about have one form.
        for line in written.lines() {
            let Some((name, value)) = line.split_once(':') else { continue };
            if ["host", "content-length", "transfer-encoding", "connection"].contains(&name.to_ascii_lowercase().as_str()) {
                prop_assert!(value.starts_with(' ') && value.trim() == &value[1..], "{line:?}");
            }
        }
    }
}
