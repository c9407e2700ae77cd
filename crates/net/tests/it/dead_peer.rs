//! A peer that vanishes without a word: two network namespaces, a cable between them, and frames that get lost on it. This
//! test binary runs itself again in each.

use std::{io, time::Duration};

use chaski_core::{Conn, Connect, Service, Shutdown, service_fn};
use chaski_net::{Dialer, SocketOptions, TcpListener};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{Again, command, input_ended, needs, skip};

const NAME: &str = "net_10_a_peer_that_vanished_is_noticed_in_seconds";

/// What a process that this test has started is to do: `server`, or the address that a client dials.
const ROLE: &str = "CHASKI_NET_DEAD_PEER_ROLE";

const NEAR: &str = "10.255.255.1";
const FAR: &str = "10.255.255.2";

/// NET-10: with limits of seconds, an idle connection fails by keepalive and one with data under way by `TCP_USER_TIMEOUT`;
/// the systems' own limits are two hours and a quarter of one, far beyond the guard of this test.
#[tokio::test]
async fn net_10_a_peer_that_vanished_is_noticed_in_seconds() {
    match std::env::var(ROLE).as_deref() {
        Ok("server") => return server().await,
        Ok(addr) => return client(addr).await,
        Err(_) => {}
    }
    needs!(NAME, "ip");
    let cable = match Cable::lay() {
        Ok(cable) => cable,
        Err(refusal) => return skip(NAME, &format!("permission to make network namespaces ({refusal})")),
    };
    let mut server = cable.run(&cable.far, "server");
    let addr = server.line_with("listening on ").await;
    let mut client = cable.run(&cable.near, &addr);
    client.line_with("connected").await;
    cable.lose_what_is_sent();
    client.close_input();
    assert_eq!(client.line_with("written to: ").await, "TimedOut");
    assert_eq!(client.line_with("idle: ").await, "TimedOut");
    client.succeeds().await;
}

/// Accepts, and says nothing.
async fn server() {
    let listener = TcpListener::bind((FAR, 0)).await.unwrap();
    println!("\nlistening on {}", listener.local_addr().unwrap());
    let wait = service_fn(async |mut conn: Conn<TcpStream>| conn.io.read_to_end(&mut Vec::new()).await);
    listener.serve(wait, &Shutdown::new()).await;
}

async fn client(addr: &str) {
    let second = Duration::from_secs(1);
    // Each has one of the two means alone, so that neither stands in for the other.
    let user_timeout = SocketOptions::default().with_keepalive(None).with_user_timeout(2 * second);
    let keepalive = SocketOptions::default().with_keepalive(second).with_keepalive_probes(second, 2);
    let mut written_to = dial(addr, user_timeout).await;
    let idle = dial(addr, keepalive).await;
    println!("\nconnected");
    input_ended().await;
    written_to.write_all(b"hello?").await.unwrap();
    let (written_to, idle) = tokio::join!(failure(written_to), failure(idle));
    println!("\nwritten to: {written_to:?}\nidle: {idle:?}");
}

async fn dial(addr: &str, options: SocketOptions) -> TcpStream {
    let connect = Connect::new(addr.parse::<std::net::SocketAddr>().unwrap());
    Dialer::new().with_options(options).serve(connect).await.unwrap().io
}

async fn failure(mut stream: TcpStream) -> io::ErrorKind {
    stream.read_u8().await.unwrap_err().kind()
}

/// Two namespaces with an interface in each, removed when this is dropped.
struct Cable {
    near: String,
    far: String,
}

impl Cable {
    /// Fails with the words of `ip` where namespaces or their interfaces cannot be made.
    fn lay() -> Result<Self, String> {
        let name = |end| format!("chaski-{}-{end}", std::process::id());
        let cable = Self { near: name("near"), far: name("far") };
        ip(&["netns", "add", &cable.near])?;
        ip(&["netns", "add", &cable.far])?;
        let peer = ["peer", "name", "cable", "netns", &cable.far];
        ip(&[&["link", "add", "cable", "netns", &cable.near, "type", "veth"][..], &peer].concat())?;
        for (namespace, addr) in [(&cable.near, NEAR), (&cable.far, FAR)] {
            ip(&["-n", namespace, "addr", "add", &format!("{addr}/24"), "dev", "cable"]).unwrap();
            ip(&["-n", namespace, "link", "set", "cable", "up"]).unwrap();
        }
        Ok(cable)
    }

    /// From now on the frames of the near end are for a machine that is not there. Its link stays up and nobody answers with
    /// an error, as when a peer loses its power behind a router.
    fn lose_what_is_sent(&self) {
        let nobody = ["lladdr", "02:00:00:00:00:99", "dev", "cable", "nud", "permanent"];
        ip(&[&["-n", &self.near, "neigh", "replace", FAR][..], &nobody].concat()).unwrap();
    }

    fn run(&self, namespace: &str, role: &str) -> Again {
        let mut again = command("ip");
        again.args(["netns", "exec", namespace]).arg(std::env::current_exe().unwrap());
        Again::start(again.args(["--exact", &format!("dead_peer::{NAME}"), "--nocapture"]).env(ROLE, role))
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        // What was never made is no loss.
        let _ = ip(&["netns", "del", &self.near]);
        let _ = ip(&["netns", "del", &self.far]);
    }
}

fn ip(arguments: &[&str]) -> Result<(), String> {
    let done = command("ip").args(arguments).output().unwrap();
    let words = String::from_utf8_lossy(&done.stderr);
    if done.status.success() { Ok(()) } else { Err(words.lines().next().unwrap_or_default().to_owned()) }
}
