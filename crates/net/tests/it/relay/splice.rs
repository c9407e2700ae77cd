//! Where bytes are spliced and where not, and what happens when there are no pipes.

use std::{
    fs::File,
    pin::Pin,
    process::Command,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::*;
use crate::support::{Again, LONG};

/// A socket whose bytes are not what they seem, as under TLS.
struct Secret(TcpStream);

impl Io for Secret {}

impl AsyncRead for Secret {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.0).poll_read(cx, buf);
        buf.filled_mut()[before..].iter_mut().for_each(|byte| *byte ^= 0x55);
        result
    }
}

impl AsyncWrite for Secret {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        let secret: Vec<u8> = buf.iter().map(|byte| byte ^ 0x55).collect();
        Pin::new(&mut self.0).poll_write(cx, &secret)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// `data` there and back again through a relay with default limits; what arrived at the far end, and the report.
async fn there_and_back(
    data: &[u8],
    (client, a): (impl Io, impl Io),
    (b, server): (impl Io, impl Io),
) -> (Vec<u8>, RelayReport) {
    let (mut client_reads, mut client_writes) = tokio::io::split(client);
    let (mut server_reads, mut server_writes) = tokio::io::split(server);
    let (report, answer, question) = tokio::join!(
        relay(RelayConfig::default(), a, b),
        async {
            let mut answer = Vec::new();
            let (sent, read) = tokio::join!(
                async {
                    client_writes.write_all(data).await?;
                    client_writes.shutdown().await
                },
                client_reads.read_to_end(&mut answer)
            );
            sent.unwrap();
            read.unwrap();
            answer
        },
        async {
            let mut question = Vec::new();
            server_reads.read_to_end(&mut question).await.unwrap();
            server_writes.write_all(&question).await.unwrap();
            server_writes.shutdown().await.unwrap();
            question
        }
    );
    assert!(answer == data);
    assert_eq!(
        (report.outcome, report.a_to_b, report.b_to_a),
        (RelayOutcome::Complete, data.len() as u64, data.len() as u64)
    );
    (question, report)
}

/// NET-19: only what is a plain socket on both sides is spliced. Bytes that a wrapper transforms are.
#[tokio::test]
async fn net_19_nothing_is_spliced_past_a_wrapper_or_into_memory() {
    let data = pattern(4 << 20);
    let turned: Vec<u8> = data.iter().map(|byte| byte ^ 0x55).collect();

    let ((client, a), (b, server)) = (tcp().await, tcp().await);
    let (got, report) = there_and_back(&data, (client, a), (Secret(b), server)).await;
    assert!(got == turned);
    assert_eq!(report.spliced, 0);

    let ((client, a), (b, server)) = (tcp().await, tcp().await);
    let (got, report) = there_and_back(&data, (client, Secret(a)), (b, server)).await;
    assert!(got == turned);
    assert_eq!(report.spliced, 0);

    let (got, report) = there_and_back(&data, tcp().await, pipe()).await;
    assert!(got == data);
    assert_eq!(report.spliced, 0);

    let (got, report) = there_and_back(&data, tcp().await, tcp().await).await;
    assert!(got == data);
    assert!(report.spliced > 4 << 20);
}

/// A direction that carries little never takes a pipe.
#[tokio::test]
async fn the_first_64_kib_are_copied() {
    let (_, report) = there_and_back(&pattern(64 << 10), tcp().await, tcp().await).await;
    assert_eq!(report.spliced, 0);
}

/// NET-19: a splice finds nothing at urgent data, though there is more behind it, of which nobody will tell again.
#[tokio::test]
async fn net_19_a_read_finds_what_a_splice_does_not() {
    let ((mut client, a), (b, mut server)) = (tcp().await, tcp().await);
    let data = pattern(4 << 20);
    let words = async {
        let mut got = vec![0; data.len()];
        let (sent, read) = tokio::join!(client.write_all(&data), server.read_exact(&mut got));
        sent.unwrap();
        read.unwrap();
        client.write_all(b"before, ").await.unwrap();
        socket2::SockRef::from(&client).send_out_of_band(b"!").unwrap();
        client.write_all(b"after").await.unwrap();
        server.read_exact(&mut got[..13]).await.unwrap();
        assert_eq!(got[..13], *b"before, after");
        client.shutdown().await.unwrap();
        server.shutdown().await.unwrap();
    };
    let (report, words) = tokio::join!(relay(RelayConfig::default(), a, b), tokio::time::timeout(LONG, words));
    words.expect("bytes are stuck behind the urgent one");
    assert_eq!((report.outcome, report.a_to_b), (RelayOutcome::Complete, (4 << 20) + 13));
}

const CHILD: &str = "CHASKI_NET_SPLICE_CHILD";

/// NET-19: a process without descriptors to spare copies; the relay does not fail. This test binary runs itself again, under `ulimit`.
#[tokio::test]
async fn net_19_without_descriptors_all_is_copied() {
    if std::env::var_os(CHILD).is_some() {
        return without_descriptors().await;
    }
    let test = "relay::splice::net_19_without_descriptors_all_is_copied";
    let mut child = Again::start(
        Command::new("sh")
            .args(["-c", r#"ulimit -n 100 && exec "$0" --exact "$1" --nocapture"#])
            .arg(std::env::current_exe().unwrap())
            .arg(test)
            .env(CHILD, "1"),
    );
    assert_eq!(child.line_with("spliced without descriptors: ").await, "0");
    assert_ne!(child.line_with("spliced with descriptors: ").await, "0");
    child.succeeds().await;
}

async fn without_descriptors() {
    let data = pattern(4 << 20);
    let (near, far) = (tcp().await, tcp().await);
    let mut files = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        files.push(file);
    }
    let (_, report) = there_and_back(&data, near, far).await;
    println!("\nspliced without descriptors: {}", report.spliced);
    drop(files);
    let (_, report) = there_and_back(&data, tcp().await, tcp().await).await;
    println!("\nspliced with descriptors: {}", report.spliced);
}
