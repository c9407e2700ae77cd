//! Every file of the corpus through its target, without libFuzzer.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use chaski_fuzz::TARGETS;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

fn paths(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// Runs all files of a target, and names each at which it panics.
fn replay(name: &str) {
    let target = chaski_fuzz::target(name).unwrap();
    let mut failed = Vec::new();
    for path in paths(&corpus().join(name)) {
        let input = fs::read(&path).unwrap();
        if catch_unwind(AssertUnwindSafe(|| (target.run)(&input))).is_err() {
            failed.push(path);
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

/// One test for each target, so that a runner names them and runs them beside each other.
macro_rules! targets {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                replay(stringify!($name));
            }
        )*

        #[test]
        fn each_target_has_a_test_and_inputs_and_nothing_else_has() {
            let tested = [$(stringify!($name)),*];
            assert_eq!(TARGETS.iter().map(|target| target.name).collect::<Vec<_>>(), tested);
            let mut sorted = tested;
            sorted.sort_unstable();
            let folders: Vec<_> = paths(&corpus()).iter().map(|path| path.file_name().unwrap().to_owned()).collect();
            assert_eq!(folders, sorted);
        }
    };
}

targets! {
    request_head
    response_head
    chunked
    header_layout
    server
    client
    client_hello
    pem
    http2_server
    addresses
    rules
    proxy_status
    http2_fingerprint
    http2_client
}
