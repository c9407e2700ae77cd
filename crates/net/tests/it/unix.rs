//! Unix sockets in a folder of the test's own.

use std::{
    convert::Infallible,
    fs, io,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::{Path, PathBuf},
};

use chaski_core::{
    Conn, Connect, ConnectError, ConnectStage, HostPort, Route, Service, Shutdown, ShutdownSignal, Target,
    display_chain, find_cause, service_fn, service_fn_with,
};
use chaski_net::{Dialer, PeerCredentials, UnixAddr, UnixConnector, UnixListener, UnixOptions, adopt_unix};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    sync::mpsc,
};

use crate::support::LONG;

/// A folder that goes with the test. In the system's one for such: the path of a socket is short.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("chaski-{}-{name}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    fn path(&self) -> PathBuf {
        self.0.join("x.sock")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

async fn dial(path: &Path) -> Result<Conn<UnixStream>, ConnectError> {
    UnixConnector::new().serve(Connect::new(Target::Unix(path.into()))).await
}

/// What is left by a process that was killed: a file on which nobody listens.
fn leftover(path: &Path) {
    drop(std::os::unix::net::UnixListener::bind(path).unwrap());
    assert!(fs::symlink_metadata(path).unwrap().file_type().is_socket());
}

#[track_caller]
fn refused(path: &Path, text: &str) {
    let error = UnixListener::bind(path).unwrap_err();
    let expected = format!("cannot listen on unix:{}: {text}", path.display());
    assert_eq!(display_chain(&error).to_string(), expected);
}

#[tokio::test]
async fn both_ends_know_the_path_and_each_other() {
    let folder = Folder::new("facts");
    let path = folder.path();
    let listener = UnixListener::bind(&path).unwrap();
    assert_eq!(listener.local_addr(), Some(&UnixAddr(path.as_path().into())));
    let dialed = dial(&path).await.unwrap();
    let accepted = listener.accept().await.unwrap();
    let mode = fs::symlink_metadata(&path).unwrap();
    for end in [&dialed, &accepted] {
        assert_eq!(*end.ext.get::<UnixAddr>().unwrap().0, *path);
        let peer = *end.ext.get::<PeerCredentials>().unwrap();
        // This process is the other one, and the file is its own.
        assert_eq!(peer.uid, std::os::unix::fs::MetadataExt::uid(&mode));
        #[cfg(target_os = "linux")]
        assert_eq!(peer.pid, Some(std::process::id().try_into().unwrap()));
    }
    let adopted = adopt_unix(UnixStream::connect(&path).await.unwrap()).unwrap();
    assert_eq!(*adopted.ext.get::<UnixAddr>().unwrap().0, *path);
    assert!(adopted.ext.get::<PeerCredentials>().is_some());
    assert!(listener.without_facts().accept().await.unwrap().ext.is_empty());
}

#[tokio::test]
async fn a_listener_serves_and_its_file_goes_when_draining_begins() {
    let folder = Folder::new("serve");
    let path = folder.path();
    let listener = UnixListener::bind(&path).unwrap();
    let shutdown = Shutdown::new();
    let signal = shutdown.clone();
    let service = service_fn(async |mut conn: Conn<UnixStream>| {
        conn.io.write_all(b"hello").await?;
        conn.ext.get::<ShutdownSignal>().unwrap().draining().await;
        conn.io.write_all(b", bye").await
    });
    let server = tokio::spawn(async move { listener.serve(service, &signal).await });
    let mut client = dial(&path).await.unwrap().io;
    let mut text = [0; 5];
    client.read_exact(&mut text).await.unwrap();
    assert_eq!(&text, b"hello");

    shutdown.begin();
    server.await.unwrap();
    assert!(!path.exists());
    let mut rest = String::new();
    client.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, ", bye", "connections under way go on");
    assert_eq!(shutdown.drain(LONG).await.cut, 0);
}

/// A permit comes before a connection: what there is none for stays in the backlog.
#[tokio::test]
async fn no_more_are_served_than_were_permitted() {
    let folder = Folder::new("permits");
    let path = folder.path();
    let listener = UnixListener::bind(&path).unwrap().with_max_connections(1);
    let (tell, mut told) = mpsc::unbounded_channel();
    let service = service_fn_with(tell, async |tell: mpsc::UnboundedSender<&str>, mut conn: Conn<UnixStream>| {
        tell.send("begin").unwrap();
        let end = conn.io.read_to_end(&mut Vec::new()).await;
        tell.send("end").unwrap();
        end
    });
    let shutdown = Shutdown::new();
    let clients = async {
        let [first, second] = [dial(&path).await.unwrap(), dial(&path).await.unwrap()];
        assert_eq!(told.recv().await, Some("begin"));
        // Turns enough for whatever is ready.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!(told.try_recv().is_err(), "the second one waits");
        drop(first);
        assert_eq!((told.recv().await, told.recv().await), (Some("end"), Some("begin")));
        drop(second);
    };
    tokio::select! {
        () = listener.serve(service, &shutdown) => unreachable!("nobody has stopped it"),
        done = tokio::time::timeout(LONG, clients) => done.unwrap(),
    }
}

#[tokio::test]
async fn only_the_owner_may_connect_unless_the_mode_says_otherwise() {
    let folder = Folder::new("mode");
    let path = folder.path();
    let mode = || fs::symlink_metadata(&path).unwrap().permissions().mode() & 0o777;
    let listener = UnixListener::bind(&path).unwrap();
    assert_eq!(mode(), 0o600);
    drop(listener);
    // Whatever the umask takes away.
    let _listener = UnixListener::bind_with(&path, UnixOptions::default().with_mode(0o666)).unwrap();
    assert_eq!(mode(), 0o666);
}

#[tokio::test]
async fn a_leftover_is_taken_over() {
    let folder = Folder::new("leftover");
    let path = folder.path();
    leftover(&path);
    let listener = UnixListener::bind(&path).unwrap();
    let (dialed, accepted) = tokio::join!(dial(&path), listener.accept());
    assert!(dialed.is_ok() && accepted.is_ok());
}

#[tokio::test]
async fn what_is_in_use_or_no_socket_is_left_alone() {
    let folder = Folder::new("left-alone");
    let path = folder.path();
    fs::write(&path, "important").unwrap();
    refused(&path, "a file that is no socket stands there");
    assert_eq!(fs::read_to_string(&path).unwrap(), "important");
    fs::remove_file(&path).unwrap();

    // A link is not followed, whether there is something behind it or not.
    std::os::unix::fs::symlink("elsewhere", &path).unwrap();
    refused(&path, "a file that is no socket stands there");
    assert!(fs::symlink_metadata(&path).unwrap().is_symlink());
    fs::remove_file(&path).unwrap();

    let first = UnixListener::bind(&path).unwrap();
    refused(&path, "somebody listens there");
    // The attempt to find out is a connection that ended at once.
    let (probe, dialed) = tokio::join!(first.accept(), dial(&path));
    assert!(probe.is_ok() && dialed.is_ok());
}

/// A listener whose backlog is full answers nobody, and is there.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_busy_listener_is_not_taken_for_a_leftover() {
    let folder = Folder::new("busy");
    let path = folder.path();
    let _first = UnixListener::bind_with(&path, UnixOptions::default().with_backlog(0)).unwrap();
    let _fills = dial(&path).await.unwrap();
    let full = dial(&path).await.unwrap_err();
    assert_eq!(find_cause::<io::Error>(&full).unwrap().kind(), io::ErrorKind::WouldBlock);
    refused(&path, "somebody listens there");
    assert!(path.exists());
}

/// An operator who puts a new listener in the old one's place keeps it.
#[tokio::test]
async fn a_listener_removes_only_its_own_file() {
    let folder = Folder::new("own-file");
    let path = folder.path();
    let old = UnixListener::bind(&path).unwrap();
    fs::rename(&path, folder.0.join("old.sock")).unwrap();
    let new = UnixListener::bind(&path).unwrap();
    drop(old);
    assert!(dial(&path).await.is_ok());
    drop(new);
    assert!(!path.exists());

    let taken_over = UnixListener::from_std(std::os::unix::net::UnixListener::bind(&path).unwrap()).unwrap();
    assert_eq!(*taken_over.local_addr().unwrap().0, *path);
    drop(taken_over);
    assert!(path.exists(), "whoever made it removes it");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_abstract_name_has_no_file() {
    let name = PathBuf::from(format!("@chaski-{}-abstract", std::process::id()));
    let listener = UnixListener::bind(&name).unwrap();
    assert!(!name.exists());
    assert!(listener.local_addr().unwrap().is_abstract());
    let conn = dial(&name).await.unwrap();
    assert_eq!(conn.io.peer_addr().unwrap().as_abstract_name(), Some(&name.to_str().unwrap().as_bytes()[1..]));
    let adopted = adopt_unix(conn.io).unwrap();
    assert_eq!(*adopted.ext.get::<UnixAddr>().unwrap().0, *name);
    refused(&name, "Address already in use (os error 98)");
    drop(listener);
    assert_eq!(dial(&name).await.unwrap_err().stage(), ConnectStage::Dial);
}

#[tokio::test]
async fn a_connector_dials_what_it_is_for_and_says_what_it_is_not() {
    let folder = Folder::new("connector");
    let path = folder.path();
    let listener = UnixListener::bind(&path).unwrap();
    let host = || Connect::new("example.com:80".parse::<HostPort>().unwrap());

    // A path of its own, whatever the target; else the target's.
    assert!(UnixConnector::to(&path).serve(host()).await.is_ok());
    listener.accept().await.unwrap();

    let unread = Connect::new(Target::Unix(path.clone())).with_route(Route::default().with("eth1"));
    for (error, text) in [
        (UnixConnector::new().serve(host()).await, "this connector dials Unix sockets, not example.com:80"),
        (UnixConnector::new().serve(unread).await, "no connector reads the route's choice `&str`"),
        (dial(Path::new("")).await, "a Unix socket needs a path"),
        (dial(Path::new(&"x".repeat(200))).await, "path must be shorter than SUN_LEN"),
    ] {
        let error = error.unwrap_err();
        assert_eq!(error.stage(), ConnectStage::Config);
        assert!(!error.another_route());
        let told = display_chain(&error).to_string();
        assert!(told.ends_with(text), "{told}");
    }

    drop(listener);
    for (make, kind) in [(false, io::ErrorKind::NotFound), (true, io::ErrorKind::ConnectionRefused)] {
        if make {
            leftover(&path);
        }
        let connect = Connect::new(Target::Unix(path.clone()));
        let scope = connect.ext.clone();
        let error = UnixConnector::new().serve(connect).await.unwrap_err();
        assert_eq!(error.stage(), ConnectStage::Dial);
        assert_eq!(find_cause::<io::Error>(&error).unwrap().kind(), kind);
        assert_eq!(error.to_string(), format!("cannot connect: unix:{}", path.display()));
        assert!(error.scope().same_scope(&scope));
    }
}

/// A dialer and its address policy cannot be led to a Unix socket: a name is never a path, and a path is refused.
#[tokio::test]
async fn a_dialer_never_dials_a_unix_socket() {
    let folder = Folder::new("dialer");
    let path = folder.path();
    let _listener = UnixListener::bind(&path).unwrap();
    let error = Dialer::new().serve(Connect::new(Target::Unix(path.clone()))).await.unwrap_err();
    assert_eq!(error.stage(), ConnectStage::Config);
    let text =
        format!("cannot connect as asked: this connector dials hosts and addresses, not unix:{}", path.display());
    assert_eq!(error.to_string(), text);
    assert!(format!("unix:{}", path.display()).parse::<HostPort>().is_err());
}

#[tokio::test]
async fn both_describe_themselves() {
    let folder = Folder::new("describe");
    let path = folder.path();
    let listener = UnixListener::bind(&path).unwrap().with_max_connections(7);
    let tree = listener.describe(&service_fn(async |_: Conn<UnixStream>| Ok::<_, Infallible>(()))).to_string();
    let facts = "UnixAddr, PeerCredentials";
    let shown = path.display();
    let head =
        format!("UnixListener bind=unix:{shown} max_connections=7  writes {facts}, ShutdownSignal\n└─ service_fn");
    assert!(tree.starts_with(&head), "{tree}");
    assert_eq!(
        UnixConnector::to(&path).describe().to_string(),
        format!("UnixConnector path={shown}  writes {facts}\n")
    );
}
