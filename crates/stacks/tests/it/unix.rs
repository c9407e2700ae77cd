//! HTTP over Unix sockets, which take the place of TCP beneath the same engines.

use std::{
    convert::Infallible,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use chaski_client::Client;
use chaski_core::{
    Conn, Service, Shutdown,
    http::{Body, Message, Request, Response},
    service_fn,
};
use chaski_http_core::{Http1ClientConfig, Http1Connector, Http1Server};
use chaski_net::{PeerCredentials, UnixAddr, UnixConnector, UnixListener};
use tokio::{net::UnixStream, process::Command, task::JoinHandle};

use crate::{
    net::{get, read},
    peers::needs,
};

/// Only a guard against hanging.
const GUARD: Duration = Duration::from_secs(60);

/// A server behind a socket in a folder of its own, which goes with it.
struct Server {
    folder: PathBuf,
    shutdown: Shutdown,
    task: JoinHandle<()>,
}

impl Server {
    fn start(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("chaski-{}-{name}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let listener = UnixListener::bind(folder.join("x.sock")).unwrap();
        let shutdown = Shutdown::new();
        let signal = shutdown.clone();
        let server = check(Http1Server::new(service_fn(describe)));
        let task = tokio::spawn(async move { listener.serve(server, &signal).await });
        Self { folder, shutdown, task }
    }

    fn path(&self) -> PathBuf {
        self.folder.join("x.sock")
    }

    async fn stop(self) {
        let report = self.shutdown.drain(GUARD).await;
        assert_eq!(report.cut, 0);
        self.task.await.unwrap();
        // It is empty again.
        fs::remove_dir(&self.folder).unwrap();
    }
}

/// Short errors, should the types not fit.
fn check<S: Service<Conn<UnixStream>>>(server: S) -> S {
    server
}

/// What was asked of whom, and by whom.
async fn describe(request: Request) -> Result<Response, Infallible> {
    let host = request.headers()["host"].to_str().unwrap_or_default().to_owned();
    let peer = request.fact::<PeerCredentials>().map(|peer| peer.uid);
    let path = request.fact::<UnixAddr>().map(ToString::to_string);
    let uri = request.uri().path();
    Ok(Response::new(Body::full(format!("{host}{uri} by {peer:?} at {path:?}"))))
}

fn expected(request: &str, socket: &Path) -> String {
    let uid = std::os::unix::fs::MetadataExt::uid(&fs::symlink_metadata(socket).unwrap());
    format!("{request} by {:?} at {:?}", Some(uid), Some(format!("unix:{}", socket.display())))
}

#[tokio::test]
async fn a_client_and_a_server_speak_http_over_a_unix_socket() {
    let server = Server::start("http");
    let path = server.path();
    // The URI names a virtual host, the connector the socket.
    let client = Client::new(Http1Connector::new(UnixConnector::to(&path), Http1ClientConfig::default()));
    for _ in 0..2 {
        let response = client.serve(get("http://docker/v1/info")).await.unwrap();
        assert!(response.fact::<UnixAddr>().is_some(), "facts of the dialed connection are the response's");
        let (status, body) = read(response).await;
        assert_eq!((status, body), (200, expected("docker/v1/info", &path).into()));
        assert_eq!(client.idle(), 1, "the connection is kept");
    }
    server.stop().await;
}

#[tokio::test]
async fn curl_speaks_http_over_a_unix_socket() {
    needs!("curl_speaks_http_over_a_unix_socket", "curl");
    let server = Server::start("curl");
    let curl = Command::new("curl")
        .args(["-sS", "--max-time", "60", "--unix-socket"])
        .arg(server.path())
        .args(["http://one.test/a", "http://two.test/b"])
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    assert!(curl.status.success(), "{}", String::from_utf8_lossy(&curl.stderr));
    let text = ["one.test/a", "two.test/b"].map(|request| expected(request, &server.path())).concat();
    assert_eq!(String::from_utf8(curl.stdout).unwrap(), text);
    server.stop().await;
}
