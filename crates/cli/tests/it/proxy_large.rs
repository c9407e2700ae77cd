//! 1 GiB through the proxy: every byte, and memory stays flat.

use crate::support::{Chaski, Nginx, command, needs, text};

const GIB: u64 = 1 << 30;

fn script(script: &str) -> String {
    text(command("sh").args(["-c", script]).output().unwrap()).split_whitespace().next().unwrap().to_owned()
}

#[test]
fn a_gibibyte_arrives_whole_in_flat_memory() {
    needs!("a_gibibyte_arrives_whole_in_flat_memory", "curl", "nginx", "openssl", "sha256sum", "head");
    let nginx = Nginx::start("large");
    let file = nginx.folder.join("www/large");
    // Bytes that repeat nowhere, quickly made.
    let key = "00112233445566778899aabbccddeeff";
    let make = format!(
        "head -c {GIB} /dev/zero | openssl enc -aes-128-ctr -K {key} -iv {key} | tee {} | sha256sum",
        file.display()
    );
    let expected = script(&make);
    let proxy = Chaski::proxy(&[]);
    nginx.file("small", b"x");
    let (cert, url) = (nginx.cert(), proxy.url());
    for origin in [nginx.url("/"), nginx.tls_url("/")] {
        let get = format!("curl -sS --max-time 300 -x {url} --cacert {cert} {origin}");
        script(&format!("{get}small"));
        let before = proxy.memory("VmRSS:");
        assert_eq!(script(&format!("{get}large | sha256sum")), expected, "{origin}");
        let after = proxy.memory("VmHWM:");
        assert!(after.saturating_sub(before) < 8 * 1024, "{origin}: {before} KiB before, {after} KiB at the peak");
    }
}
