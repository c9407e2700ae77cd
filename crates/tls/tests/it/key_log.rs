//! The file of secrets.

use std::{
    fs,
    path::{Path, PathBuf},
};

use chaski_core::test_util::pipe;
use chaski_tls::{KeyLog, TlsVersions};

use crate::support::{both, configs, layers};

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}.log", std::process::id()))
}

/// The label, the client's random and the secret of each line.
fn lines(path: &Path) -> Vec<(String, String, String)> {
    let text = fs::read_to_string(path).unwrap();
    let line = |line: &str| {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let [label, random, secret] = <[String; 3]>::try_from(words).unwrap();
        (label, random, secret)
    };
    text.lines().map(line).collect()
}

#[tokio::test]
async fn secrets_are_logged_where_that_is_asked_for_and_while_it_is_on() {
    let (of_server, of_client) = (path("server"), path("client"));
    // One that is there, and that others may read.
    fs::write(&of_client, "").unwrap();
    let (server, client) = configs();
    let (log, other) = (KeyLog::to_file(&of_server).unwrap(), KeyLog::to_file(&of_client).unwrap());
    let layers = layers((server.with_key_log(log.clone()), client.with_key_log(other).with_resumption(false)));

    let _pair = both(&layers, pipe()).await;
    let logged = lines(&of_server);
    let labels: Vec<&str> = logged.iter().map(|(label, ..)| label.as_str()).collect();
    for label in
        ["CLIENT_HANDSHAKE_TRAFFIC_SECRET", "SERVER_TRAFFIC_SECRET_0", "CLIENT_TRAFFIC_SECRET_0", "EXPORTER_SECRET"]
    {
        assert!(labels.contains(&label), "{labels:?}");
    }
    assert!(
        logged.iter().all(|(_, random, secret)| random.len() == 64 && secret.len() >= 64 && *random == logged[0].1)
    );
    let mut both_sides = [lines(&of_server), lines(&of_client)];
    both_sides.iter_mut().for_each(|lines| lines.sort());
    assert_eq!(both_sides[0], both_sides[1]);

    log.set_enabled(false);
    let _pair = both(&layers, pipe()).await;
    assert_eq!((lines(&of_server).len(), lines(&of_client).len()), (logged.len(), 2 * logged.len()));
    log.set_enabled(true);
    let _pair = both(&layers, pipe()).await;
    assert_eq!(lines(&of_server).len(), 2 * logged.len());

    #[cfg(unix)]
    for path in [&of_server, &of_client] {
        let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }
    let secret = &logged[0].2;
    for debug in [format!("{log:?}"), format!("{:?}", layers.0), format!("{:?}", layers.1)] {
        assert!(!debug.contains(secret.as_str()) && debug.contains("KeyLog"), "{debug}");
    }
    for path in [of_server, of_client] {
        fs::remove_file(path).unwrap();
    }
}

#[tokio::test]
async fn of_tls_1_2_it_is_the_master_secret() {
    let file = path("tls12");
    let (server, client) = configs();
    let log = KeyLog::to_file(&file).unwrap();
    let layers = layers((server.with_versions(TlsVersions::Tls12Only).with_key_log(log), client));
    let _pair = both(&layers, pipe()).await;
    let logged = lines(&file);
    fs::remove_file(file).unwrap();
    assert_eq!(logged.len(), 1);
    assert_eq!((logged[0].0.as_str(), logged[0].2.len()), ("CLIENT_RANDOM", 96));
}

#[test]
fn a_file_that_cannot_be_written_is_an_error() {
    assert!(KeyLog::to_file("/no/such/folder/keys.log").is_err());
}
