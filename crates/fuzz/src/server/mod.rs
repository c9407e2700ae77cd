//! Target: the HTTP/1 server, with a service that does with bodies what services do.
//!
//! Four choices (the size of pieces; how the pipe behaves; what the client does; what the server is set up with), then the
//! bytes that the client sends.

mod expected;
mod service;

use std::{sync::Arc, time::Duration};

use chaski_core::{
    Conn, Service, service_fn_with,
    test_util::{Chunking, Fault, Pipe, PipeOptions},
};
use chaski_http_core::{Http1Server, Http1ServerConfig};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::sleep,
};

use crate::{
    input::Choices,
    run::{direction, to_the_end},
};
use service::{Seen, serve};

/// Longer than all limits of time of one connection together: the server lets nobody wait longer.
const LONGEST: Duration = Duration::from_secs(900);

/// What a client does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Client {
    /// Sends all, ends its direction, and still wants the answers.
    Orderly,
    /// The same, but to a server that takes its end for a departure.
    HalfClosed,
    /// Sends all and waits for the server to close.
    Silent,
    /// Sends half of it, and the rest much later.
    Slow,
    /// Sends all and goes, without reading.
    Gone,
    /// Sends all, and the connection fails on the way in.
    Broken,
    /// The same on the way out.
    Deaf,
}

/// The service sees the requests that the reference reads, each of them gets one answer, all answers can be read, and the
/// connection ends in time.
pub(crate) fn run(data: &[u8]) {
    let Some((choices, input)) = Choices::split(data) else { return };
    let client = match choices.pick(2, 16) {
        8 | 9 => Client::HalfClosed,
        10 => Client::Silent,
        11 => Client::Slow,
        12 => Client::Gone,
        13 => Client::Broken,
        14 => Client::Deaf,
        _ => Client::Orderly,
    };
    let at = u64::from(choices.pick(3, 64)) * 8;
    let mut pipe = PipeOptions::both(direction(choices, 0, 1));
    // In what pieces its answers are read is nothing to a server.
    pipe.b_to_a.reads = Chunking::Whole;
    match client {
        Client::Broken => pipe.a_to_b.fault = Some(Fault::ResetAfter(at)),
        Client::Deaf if choices.is(3, 0) => pipe.b_to_a.fault = Some(Fault::StallAfter(at)),
        Client::Deaf => pipe.b_to_a.fault = Some(Fault::WriteZeroAfter(at)),
        _ => {}
    }
    let config = Http1ServerConfig::default()
        .with_half_close(!matches!(client, Client::HalfClosed | Client::Gone))
        .with_header_layout(choices.is(3, 1));
    let seen = Arc::new(Seen::default());
    let server = Http1Server::new(service_fn_with(Arc::clone(&seen), serve)).with_config(config);
    let output = to_the_end(LONGEST, async {
        let (near, far) = pipe.pipe();
        let conn = Conn::new(far);
        if choices.is(3, 2) {
            conn.ext.insert("a fact, so that requests have scopes");
        }
        let served = server.serve(conn);
        tokio::join!(served, converse(client, near, input)).1
    });
    if client == Client::Orderly {
        expected::exactly(input, &output, &seen);
    } else {
        expected::at_most(input, &output);
    }
}

/// Plays the client, and returns what came.
async fn converse(client: Client, near: Pipe, input: &[u8]) -> Vec<u8> {
    let (mut reading, mut writing) = tokio::io::split(near);
    let write = async {
        // A server that closes early stops the writing, and so does a fault.
        if client == Client::Slow {
            let (first, rest) = input.split_at(input.len() / 2);
            let _ = writing.write_all(first).await;
            sleep(Duration::from_secs(50)).await;
            let _ = writing.write_all(rest).await;
        } else {
            let _ = writing.write_all(input).await;
        }
        if matches!(client, Client::Orderly | Client::HalfClosed | Client::Slow) {
            let _ = writing.shutdown().await;
        }
        writing
    };
    let mut output = Vec::new();
    if client == Client::Gone {
        drop(write.await);
        return output;
    }
    let read = async {
        // What came before a fault is kept.
        let _ = reading.read_to_end(&mut output).await;
    };
    if client == Client::Deaf {
        // There may be no end to read.
        let _ = tokio::time::timeout(LONGEST / 2, async { tokio::join!(write, read) }).await;
    } else {
        tokio::join!(write, read);
    }
    output
}
