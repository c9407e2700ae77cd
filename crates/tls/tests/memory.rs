//! What connections cost in memory. In a binary of its own, since there is one allocator for a process.

#![cfg(test)]
#![cfg(all(target_os = "linux", any(feature = "aws-lc-rs", feature = "ring")))]
#![expect(unsafe_code, reason = "an allocator that counts is an allocator")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    fs,
    future::poll_fn,
    os::unix::net::UnixStream as Socket,
    pin::Pin,
    sync::mpsc,
    task::Poll,
    thread::JoinHandle,
};

use chaski_core::{BoxError, Conn, Connect, ConnectError, HostPort, Layer, Protocol, Service, service_fn};
use chaski_tls::{
    AcceptLayer, CertifiedKey, ClientAuth, ClientConfig, ConnectLayer, PeerCertificates, Roots, ServerConfig,
    TlsStream, TlsVersions,
};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf},
    net::UnixStream,
    runtime::Runtime,
};

thread_local! {
    /// Bytes that this thread has taken and not given back.
    static HELD: Cell<isize> = const { Cell::new(0) };
    /// Bytes that this thread has taken.
    static TAKEN: Cell<usize> = const { Cell::new(0) };
}

/// The allocator of the system, which counts for each thread.
struct Counting;

// SAFETY: memory is given and taken by the system's allocator alone.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.set(HELD.get().wrapping_add_unsigned(layout.size()));
        TAKEN.set(TAKEN.get() + layout.size());
        // SAFETY: whoever calls keeps the same contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        HELD.set(HELD.get().wrapping_sub_unsigned(layout.size()));
        // SAFETY: whoever calls keeps the same contract, and `alloc` gave what the system gave.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static GLOBAL: Counting = Counting;

/// An authority that has issued a certificate for `localhost`, and one for a client.
struct Identities {
    roots: Roots,
    server: CertifiedKey,
    client: CertifiedKey,
}

/// A certificate of an authority, and who signs with it.
fn authority(name: &str) -> (String, Issuer<'static, KeyPair>) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap().pem(), Issuer::new(params, key))
}

impl Identities {
    /// The authority is the last one of so many that are trusted.
    fn new(authorities: usize) -> Self {
        let others: String = (1..authorities).map(|number| authority(&format!("Root {number}")).0).collect();
        let (pem, issuer) = authority("Root");
        let issue = |name: &str| {
            let params = CertificateParams::new([name.to_owned()]).unwrap();
            let key = KeyPair::generate().unwrap();
            let certificate = params.signed_by(&key, &issuer).unwrap();
            CertifiedKey::from_bytes(certificate.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap()
        };
        let roots = Roots::from_bytes((others + &pem).as_bytes()).unwrap();
        assert_eq!(roots.len(), authorities);
        Self { server: issue("localhost"), client: issue("ana"), roots }
    }
}

/// Clients, in a thread of their own so that they do not count. Each connection says something, hears it back, and stays.
struct Clients {
    sockets: mpsc::Sender<Socket>,
    thread: JoinHandle<()>,
}

impl Clients {
    fn start(identities: &Identities, versions: TlsVersions) -> Self {
        let config = ClientConfig::new(identities.roots.clone())
            .with_certificate(identities.client.clone())
            .with_resumption(false)
            .with_versions(versions);
        let layer = ConnectLayer::new(config).unwrap();
        let (sockets, new) = mpsc::channel::<Socket>();
        let thread = std::thread::spawn(move || {
            let runtime = runtime();
            let mut open = Vec::new();
            for socket in new {
                open.push(runtime.block_on(async {
                    let io = UnixStream::from_std(socket).unwrap();
                    let dialed = std::sync::Mutex::new(Some(Conn::new(io)));
                    let dial = service_fn(move |_: Connect| {
                        std::future::ready(Ok::<_, ConnectError>(dialed.lock().unwrap().take().unwrap()))
                    });
                    let target: HostPort = "localhost:443".parse().unwrap();
                    let connect = Connect::new(target).with_protocol(Protocol::Https);
                    let mut conn = layer.layer(dial).serve(connect).await.unwrap();
                    conn.io.write_all(&vec![7; SAID]).await.unwrap();
                    conn.io.flush().await.unwrap();
                    conn.io.read_exact(&mut vec![0; SAID]).await.unwrap();
                    wait(&mut conn.io).await;
                    conn
                }));
            }
        });
        Self { sockets, thread }
    }

    fn stop(self) {
        drop(self.sockets);
        self.thread.join().unwrap();
    }
}

/// How much a client says, which is more than a record holds.
const SAID: usize = 20_000;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// A connection on which something was said.
async fn connection(layer: &AcceptLayer, clients: &Clients) -> Conn<TlsStream<UnixStream>> {
    let (near, far) = Socket::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    far.set_nonblocking(true).unwrap();
    clients.sockets.send(near).unwrap();
    let same = service_fn(async |conn: Conn<TlsStream<UnixStream>>| Ok::<_, BoxError>(conn));
    let mut conn = layer.layer(same).serve(Conn::new(UnixStream::from_std(far).unwrap())).await.unwrap();
    let mut said = vec![0; SAID];
    conn.io.read_exact(&mut said).await.unwrap();
    conn.io.write_all(&said).await.unwrap();
    conn.io.flush().await.unwrap();
    wait(&mut conn.io).await;
    conn
}

/// Begins to wait for what comes next, as whoever serves an idle connection does.
async fn wait(io: &mut (impl AsyncRead + Unpin)) {
    poll_fn(|cx| {
        assert!(Pin::new(&mut *io).poll_read(cx, &mut ReadBuf::new(&mut [0])).is_pending());
        Poll::Ready(())
    })
    .await;
}

/// What all of the process has in memory, in bytes.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

/// What one connection costs, on average, in bytes.
#[derive(Debug)]
struct Cost {
    /// Held by the server's side while nothing happens, as far as it is Rust's.
    held: usize,
    /// Taken by the server's side from its begin until nothing happens.
    taken: usize,
    /// Held by both sides, by their sockets and by what is not Rust's.
    resident: usize,
}

/// What connections cost a server; with a certificate for each client if the server trusts somebody.
fn cost(identities: &Identities, trusted: Option<&Roots>, versions: TlsVersions, connections: usize) -> Cost {
    const BEFORE: usize = 20;
    let config = ServerConfig::new(identities.server.clone()).with_versions(versions);
    let config = match trusted {
        Some(roots) => config.with_client_auth(ClientAuth::Required(roots.clone())),
        None => config,
    };
    let (layer, clients) = (AcceptLayer::new(config).unwrap(), Clients::start(identities, versions));
    runtime().block_on(async {
        let mut open = Vec::with_capacity(BEFORE + connections);
        // What is there once, such as the tables of the runtime.
        for _ in 0..BEFORE {
            open.push(connection(&layer, &clients).await);
        }
        let (held, taken, all) = (HELD.get(), TAKEN.get(), resident());
        for _ in 0..connections {
            open.push(connection(&layer, &clients).await);
        }
        assert!(open.iter().all(|conn| conn.ext.get::<PeerCertificates>().is_some() == trusted.is_some()));
        let cost = Cost {
            held: usize::try_from(HELD.get() - held).unwrap() / connections,
            taken: (TAKEN.get() - taken) / connections,
            resident: resident().saturating_sub(all) / connections,
        };
        clients.stop();
        cost
    })
}

/// What the limits of the crate's page say.
#[test]
fn an_idle_connection_is_small() {
    let identities = Identities::new(1);
    for versions in [TlsVersions::Tls12Only, TlsVersions::Tls13Only] {
        for (trusted, limit) in [(None, 7680), (Some(&identities.roots), 8704)] {
            let cost = cost(&identities, trusted, versions, 50);
            assert!(cost.held <= limit, "{versions:?}: {cost:?}");
        }
    }
}

/// TLS-09: however many authorities are trusted, here those of Mozilla and 300 more, a connection has no list of its own, and a
/// handshake takes no more for each of them than it costs to tell the client its name.
#[test]
fn tls_09_a_connection_parses_and_holds_no_roots() {
    let (few, many) = (Identities::new(1), Identities::new(300));
    let trusted = many.roots.clone().with(&Roots::bundled());
    let base = cost(&few, Some(&few.roots), TlsVersions::Tls13Only, 20);
    let cost = cost(&many, Some(&trusted), TlsVersions::Tls13Only, 500);
    let more = cost.taken.saturating_sub(base.taken) / (trusted.len() - 1);
    assert!(cost.held <= 8704 && cost.resident < 40 * 1024, "{cost:?}");
    assert!(more < 500, "{more} bytes for each authority: {base:?} {cost:?}");
}
