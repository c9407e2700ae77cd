//! Clients of others that have to show a certificate.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use chaski_core::{
    BoxError,
    http::{Body, Message, Request, Response},
    service_fn, stack,
};
use chaski_stacks::HttpServer;
use chaski_tls::{AcceptLayer, CertificateAuthority, ClientAuth, Negotiated, PeerCertificates, Roots, ServerConfig};
use tokio::process::Command;

use crate::{
    peers::needs,
    support::{Folder, Running},
};

/// Makes a certificate for somebody, signed by itself: the certificate and its key in one file.
fn person(folder: &Path, name: &str) -> PathBuf {
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    let key = rcgen::KeyPair::generate().unwrap();
    let path = folder.join(format!("{name}.pem"));
    fs::write(&path, params.self_signed(&key).unwrap().pem() + &key.serialize_pem()).unwrap();
    path
}

/// TLS-06, with curl, in HTTP/1.1 and HTTP/2 over TLS 1.2 and 1.3: whoever shows the right certificate is known by its name; who shows
/// none, or a stranger's, is told so by an alert, and nothing of the request gets to the handler.
#[tokio::test]
async fn tls_06_curl_has_to_show_a_certificate() {
    needs!("tls_06_curl_has_to_show_a_certificate", "curl");
    let folder = Folder::new("client-certificates");
    let authority = CertificateAuthority::new("a test").unwrap();
    let root = folder.join("root.pem");
    fs::write(&root, authority.certificate_pem()).unwrap();
    let (ana, eva) = (person(&folder, "ana"), person(&folder, "eva"));

    let asked = Arc::new(AtomicUsize::new(0));
    let handler = {
        let asked = Arc::clone(&asked);
        service_fn(move |request: Request| {
            asked.fetch_add(1, Ordering::Relaxed);
            let who = request.fact::<PeerCertificates>().and_then(PeerCertificates::subject);
            let tls = request.fact::<Negotiated>().unwrap().version();
            let text = format!("{} {:?} {tls}", who.unwrap_or_default(), request.version());
            std::future::ready(Ok::<_, BoxError>(Response::new(Body::from(text))))
        })
    };
    let config = ServerConfig::new(authority.issue(["localhost"]).unwrap())
        .with_alpn(HttpServer::<()>::ALPN)
        .with_client_auth(ClientAuth::Required(Roots::from_file(&ana).unwrap()));
    let server = Running::new(stack(AcceptLayer::new(config).unwrap(), HttpServer::new(handler))).await;
    let url = format!("https://localhost:{}/", server.address.port());
    let curl = async |tls: &[&str], version: &str, who: Option<&Path>| -> Output {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--max-time", "60", version, "--cacert"]).arg(&root).args(tls);
        if let Some(who) = who {
            curl.arg("--cert").arg(who);
        }
        curl.arg(&url).stdin(Stdio::null()).output().await.unwrap()
    };

    for (tls, name) in [(&["--tlsv1.2", "--tls-max", "1.2"][..], "TLS 1.2"), (&["--tlsv1.3"], "TLS 1.3")] {
        for (version, said) in [("--http1.1", "HTTP/1.1"), ("--http2", "HTTP/2.0")] {
            let output = curl(tls, version, Some(&ana)).await;
            let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            assert_eq!((&*text, &*errors), (&*format!("CN=ana {said} {name}"), ""));
            for (who, alerts) in [
                // RFC 8446 section 6.2 has the number 116, which OpenSSL cannot name in TLS 1.2.
                (None, &["alert certificate required", "alert number 116"][..]),
                (Some(&*eva), &["alert unknown ca"]),
            ] {
                let output = curl(tls, version, who).await;
                let errors = String::from_utf8_lossy(&output.stderr);
                assert!(!output.status.success() && output.stdout.is_empty(), "{name} {version} {who:?}");
                assert!(alerts.iter().any(|alert| errors.contains(alert)), "{name} {version} {who:?}: {errors}");
            }
        }
    }
    assert_eq!(asked.load(Ordering::Relaxed), 4, "by ana, and by nobody else");
}
