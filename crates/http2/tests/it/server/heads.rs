//! Heads that are large.

use chaski_core::{http::Request, service_fn};

use super::{frames::*, harness::*};

fn with_size(stream: u32, size: usize) -> Vec<u8> {
    // Pseudo-header fields: 32 for each, and their text (RFC 9113 section 6.5.2).
    let known: usize = pseudo("GET", "/").iter().map(|(name, value)| name.len() + value.len() + 32).sum();
    let value = "x".repeat(size - known - 1 - 32);
    let block = block(&[&pseudo("GET", "/")[..], &[("y", &value)]].concat());
    let mut bytes = Vec::new();
    let mut pieces = block.chunks(16_384).peekable();
    let mut first = true;
    while let Some(piece) = pieces.next() {
        let flags = if pieces.peek().is_none() { END_HEADERS } else { 0 };
        let (kind, end) = if first { (HEADERS, END_STREAM) } else { (CONTINUATION, 0) };
        bytes.extend(Frame::new(kind, flags | end, stream, piece).bytes());
        first = false;
    }
    bytes
}

/// H2-02: beyond the limit a request is answered with 431, and the next one is served; four times beyond, the connection ends.
#[tokio::test(start_paused = true)]
async fn h2_02_a_large_head_is_431_and_a_huge_one_the_end() {
    let setup = Setup::new().config(|config| config.with_max_header_list(20_000));
    let mut raw = setup.raw(service_fn(path)).await;
    let settings = raw.next_of(SETTINGS).await.payload;
    assert!(settings.chunks(6).any(|setting| setting == [0, 6, 0, 0, 0x4e, 0x20]), "{settings:?}");
    raw.send_bytes(&with_size(1, 19_999)).await;
    assert_eq!(raw.next_on(1).await.status(), "200");
    raw.send_bytes(&with_size(3, 20_000)).await;
    let refused = raw.next_on(3).await;
    assert_eq!((refused.status().as_str(), refused.flags & END_STREAM), ("431", END_STREAM));
    raw.send(&get(5, "/")).await;
    assert_eq!(raw.next_on(5).await.status(), "200");
    raw.send_bytes(&with_size(7, 80_001)).await;
    assert_eq!(raw.goodbye().await, Some(0xb));
}

/// H2-02: a field that is written once and named by a byte ever after (an HPACK bomb).
#[tokio::test(start_paused = true)]
async fn h2_02_a_bomb_of_header_compression_does_not_go_off() {
    let service = service_fn(async |_: Request| panic!("it reached the service"));
    let mut raw = Setup::new().raw(service).await;
    // RFC 7541 section 6.2.1: with incremental indexing it is the first entry of the dynamic table, which index 62 names.
    let mut bomb = block(&pseudo("GET", "/"));
    let field = block(&[("bomb", &"x".repeat(4000))]);
    bomb.push(0x40);
    bomb.extend(&field[1..]);
    bomb.extend(vec![0x80 | 62; 12_000]);
    // 48 MB, if it were taken apart.
    raw.send(&Frame::new(HEADERS, END_STREAM | END_HEADERS, 1, bomb)).await;
    assert_eq!(raw.goodbye().await, Some(0xb));
}

/// H2-02: the table is of 4 KiB, whatever the client would like.
#[tokio::test(start_paused = true)]
async fn h2_02_the_table_of_header_compression_is_capped() {
    let service = service_fn(async |_: Request| panic!("it reached the service"));
    let mut raw = Setup::new().raw(service).await;
    // RFC 7541 section 6.3: an update of the table's size, to 4097.
    let mut fields = vec![0x3f, 0xe2, 0x1f];
    fields.extend(block(&pseudo("GET", "/")));
    raw.send(&Frame::new(HEADERS, END_STREAM | END_HEADERS, 1, fields)).await;
    assert!(matches!(raw.goodbye().await, Some(0x1 | 0x9)));
}
