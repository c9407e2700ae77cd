//! Target: the order and the case of fields.
//!
//! Two choices (the size of pieces; where the layout comes from), then one or two heads of requests; or names, one on each
//! line, and a head.

use bytes::BytesMut;
use chaski_http_core::codec::{
    HeadConfig, HeaderLayout, RequestDecoder, RequestHead, RequestPlan, TargetForm, encode_request_head,
};
use http::Method;

use crate::{
    heads::{config_of_encoded, size, sorted},
    input::Choices,
};

/// A head that is written with its own layout is the head that came, but for what the layout's page names; and a layout of
/// another head moves lines and changes the case of names, and nothing else.
pub(crate) fn run(data: &[u8]) {
    let Some((choices, input)) = Choices::split(data) else { return };
    let mut buf = BytesMut::from(input);
    let config = HeadConfig::default().with_header_layout(true);
    let mut decoder = RequestDecoder::new(config);
    let other = if choices.pick(1, 2) == 1 {
        let end = input.windows(2).position(|two| two == b"\n\n").unwrap_or(0);
        let Ok(names) = str::from_utf8(&input[..end]) else { return };
        let Ok(layout) = HeaderLayout::from_names(names.lines()) else { return };
        assert!(layout.names().eq(names.lines()));
        buf = BytesMut::from(input.get(end + 2..).unwrap_or_default());
        Some(layout)
    } else {
        None
    };
    let Ok(Some(head)) = decoder.decode(&mut buf) else { return };
    let layout = head.layout.as_ref().expect("it was asked for");
    assert_eq!(layout.names().collect::<Vec<_>>(), layout.detached().names().collect::<Vec<_>>());
    if let Some(out) = encode(&head, Some(layout)) {
        replayed(input_of(input, &head), &out, &head);
    }
    let other = other.or_else(|| decoder.decode(&mut buf).ok().flatten().and_then(|second| second.layout));
    if let (Some(plain), Some(other)) = (encode(&head, None), other) {
        let arranged = encode(&head, Some(&other)).expect("a layout decides nothing");
        same_but_for_order(&plain, &arranged, &other);
    }
}

/// The bytes that a head was read from.
fn input_of<'a>(input: &'a [u8], head: &RequestHead) -> &'a [u8] {
    // The first line with its method is where it begins, behind an empty line or behind names.
    let start = input
        .windows(head.method.as_str().len() + 1)
        .position(|window| window.strip_suffix(b" ").is_some_and(|method| method == head.method.as_str().as_bytes()));
    &input[start.unwrap_or(0)..]
}

fn encode(head: &RequestHead, layout: Option<&HeaderLayout>) -> Option<Vec<u8>> {
    let body = size(head.framing);
    let plan = RequestPlan { version: head.version, target: head.target, body, keep_alive: head.keep_alive, layout };
    let mut out = Vec::new();
    encode_request_head(&mut out, &head.method, &head.uri, &head.headers, &plan).ok().map(|_| out)
}

/// The lines of a head behind the first.
fn lines(head: &[u8]) -> Vec<&[u8]> {
    let lines = head.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    lines.skip(1).take_while(|line| !line.is_empty()).collect()
}

fn name(line: &[u8]) -> &[u8] {
    &line[..line.iter().position(|&byte| byte == b':').unwrap_or(line.len())]
}

/// Line by line the same, where no field of the hop has a say.
fn replayed(input: &[u8], out: &[u8], head: &RequestHead) {
    let of_the_codec = ["connection", "content-length", "transfer-encoding", "host", "upgrade", "te", "expect"];
    let is_plain = |line: &&[u8]| !of_the_codec.iter().any(|known| name(line).eq_ignore_ascii_case(known.as_bytes()));
    let came: Vec<&[u8]> = lines(input).into_iter().filter(is_plain).collect();
    let went: Vec<&[u8]> = lines(out).into_iter().filter(is_plain).collect();
    if head.method != Method::CONNECT && head.target == TargetForm::Origin {
        let shown = |lines: &[&[u8]]| lines.iter().map(|line| line.escape_ascii().to_string()).collect::<Vec<_>>();
        assert_eq!(shown(&went), shown(&came));
        // Those of the codec that are still there have kept their places and their case.
        let all = lines(out);
        let mut names = all.iter().map(|line| name(line)).peekable();
        for line in lines(input) {
            names.next_if_eq(&name(line));
        }
        assert!(names.all(|added| added.iter().all(|byte| !byte.is_ascii_uppercase())), "{}", out.escape_ascii());
    }
}

/// The same lines in some order, those with a place in the layout in the layout's.
fn same_but_for_order(plain: &[u8], arranged: &[u8], layout: &HeaderLayout) {
    let decode = |bytes: &[u8]| {
        let head = RequestDecoder::new(config_of_encoded()).decode(&mut BytesMut::from(bytes));
        head.expect("what was encoded").expect("all of it")
    };
    let (plain_head, arranged_head) = (decode(plain), decode(arranged));
    let but_connection = |head: &RequestHead| {
        // `keep-alive` may be said where it goes without saying.
        let mut fields = sorted(&head.headers);
        fields.retain(|(name, value)| name != "connection" || value != b"keep-alive");
        fields
    };
    assert_eq!(but_connection(&plain_head), but_connection(&arranged_head));
    assert_eq!(plain_head.framing, arranged_head.framing);
    assert_eq!(plain_head.keep_alive, arranged_head.keep_alive);
    let placed: Vec<&str> = layout.names().collect();
    let mut places = placed.iter();
    for line in lines(arranged) {
        let name = str::from_utf8(name(line)).expect("a token");
        let is_placed = placed.iter().any(|other| other.eq_ignore_ascii_case(name));
        // A name that comes more often than the layout has it goes on behind the others, in lower case.
        if is_placed && name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            assert!(places.any(|place| *place == name), "{name} out of its place: {}", arranged.escape_ascii());
        }
    }
}
