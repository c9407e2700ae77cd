//! A users file, what is told of it, and the limits for each user.

use std::{
    fs,
    io::{Read, Write},
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Barrier, mpsc},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};

use crate::support::{Chaski, GUARD, Nginx, command, curl, dial, folder, needs, origin, read_head, text};

/// `python3 -c 'import crypt; print(crypt.crypt("secret", "$2b$04$abcdefghijklmnopqrstuu"))'`, that is libxcrypt.
const SECRET: &str = "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW";

/// The same for `crypt.crypt("hunter2", "$6$rounds=1000$abcdefgh")`.
const HUNTER2: &str =
    "$6$rounds=1000$abcdefgh$t5NmrWOyohJ8f73CiI.ipwnmEO82Ymv802ja2TZrmBnj00Hvr2YrP2TDI7aBzNhjsP40J3Yd13Z66StlJAayI1";

/// The same for `crypt.crypt("slow", "$2y$14$abcdefghijklmnopqrstuu")`: it takes a second of a core at least.
const SLOW: &str = "$2y$14$abcdefghijklmnopqrstuuu3YKPHzv.du08CUZBfOZF3yKt5yjPLm";

/// A users file in a folder of its own, which goes away with the test.
struct UsersFile(PathBuf);

impl UsersFile {
    fn new(name: &str, text: &str) -> Self {
        let file = Self(folder(name));
        file.write(text);
        file
    }

    fn path(&self) -> PathBuf {
        self.0.join("users")
    }

    fn write(&self, text: &str) {
        fs::write(self.path(), text).unwrap();
    }

    fn proxy(&self, args: &[&str]) -> Chaski {
        Chaski::proxy(&[&["--users-file", self.path().to_str().unwrap()], args].concat())
    }
}

impl Drop for UsersFile {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The head of the answer to a request that the proxy answers itself, once it has let the client in.
fn ask(addr: SocketAddr, credentials: &str) -> String {
    let mut stream = dial(addr);
    send(&mut stream, credentials);
    read_head(&mut stream)
}

fn send(stream: &mut impl Write, credentials: &str) {
    let basic = BASE64_STANDARD.encode(credentials);
    // In one piece: a client that is refused early must not write to a closed connection.
    let head = format!("OPTIONS * HTTP/1.1\r\nHost: a\r\nProxy-Authorization: Basic {basic}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
}

fn status(head: &str) -> u16 {
    head.strip_prefix("HTTP/1.1 ").unwrap().get(..3).unwrap().parse().unwrap()
}

#[test]
fn users_of_a_file_get_in_beside_the_one_of_the_command_line() {
    needs!("users_of_a_file_get_in_beside_the_one_of_the_command_line", "curl", "nginx", "openssl");
    let hash = command("openssl").args(["passwd", "-6", "sword:fish"]).output().unwrap();
    let nginx = Nginx::start("users");
    nginx.file("a", b"content");
    let file = UsersFile::new("users-curl", &format!("# both schemes\nana:{SECRET}\n\nben:{}", text(hash)));
    let proxy = file.proxy(&["--user", "cleo:own"]);
    for _ in 0..2 {
        for user in ["ana:secret", "ben:sword:fish", "cleo:own"] {
            assert_eq!(text(curl(&proxy, &["-U", user, &nginx.url("/a")])), "content");
            assert_eq!(text(curl(&proxy, &["-U", user, "--cacert", &nginx.cert(), &nginx.tls_url("/a")])), "content");
        }
        for wrong in ["ana:sword:fish", "ben:secret", "cleo:secret", "dan:own"] {
            let answer = text(curl(&proxy, &["-U", wrong, "-i", &nginx.url("/a")])).to_lowercase();
            assert!(answer.starts_with("http/1.1 407 ") && answer.contains("proxy-authenticate: basic"), "{answer}");
        }
    }
}

/// 200 clients at once, every other one with a wrong password: all are answered as they should.
#[test]
fn right_and_wrong_passwords_under_load() {
    let file = UsersFile::new("users-load", &format!("ana:{SECRET}\nben:{HUNTER2}\n"));
    let proxy = file.proxy(&[]);
    let addr = proxy.addr;
    let start = Arc::new(Barrier::new(200));
    let clients: Vec<_> = (0..200)
        .map(|n| {
            let start = Arc::clone(&start);
            std::thread::spawn(move || {
                let (credentials, expected) = match n % 4 {
                    0 => ("ana:secret".to_owned(), 200),
                    1 => (format!("ana:guess{n}"), 407),
                    2 => ("ben:hunter2".to_owned(), 200),
                    _ => (format!("nobody{n}:secret"), 407),
                };
                start.wait();
                assert_eq!(status(&ask(addr, &credentials)), expected, "{credentials}");
            })
        })
        .collect();
    for client in clients {
        client.join().unwrap();
    }
    let (status, log, stderr) = proxy.stop();
    assert_eq!(status.code(), Some(0), "{stderr}");
    let count = |status: &str| log.lines().filter(|line| line.contains(status)).count();
    assert_eq!((count(" status=200 "), count(" status=407 ")), (100, 100), "{log}");
}

/// One thread serves, and as many guesses wait as may: a user who is known already is served all the same.
#[test]
fn guesses_do_not_hold_up_who_is_known() {
    let file = UsersFile::new("users-guesses", &format!("ana:{SECRET}\nslow:{SLOW}\n"));
    let proxy = file.proxy(&["--threads", "1"]);
    let addr = proxy.addr;
    assert_eq!(status(&ask(addr, "ana:secret")), 200);
    let (answer, answers) = mpsc::channel();
    for n in 0..300 {
        let answer = answer.clone();
        std::thread::spawn(move || {
            let mut stream = dial(addr);
            send(&mut stream, &format!("slow:guess{n}"));
            let mut start = [0; 12];
            if stream.read_exact(&mut start).is_ok() {
                let _ = answer.send(status(std::str::from_utf8(&start).unwrap()));
            }
        });
    }
    let mut verified = 0;
    while answers.recv_timeout(GUARD).unwrap() != 503 {
        verified += 1;
    }
    // The queue is full, and each of those in it takes a second at least.
    assert_eq!(status(&ask(addr, "ana:secret")), 200);
    verified += answers.try_iter().filter(|status| *status == 407).count();
    assert!(verified < 256, "the guesses were over before the known user was served");
}

#[test]
fn sighup_has_the_file_read_again() {
    let file = UsersFile::new("users-reload", &format!("ana:{SECRET}\n"));
    let proxy = file.proxy(&[]);
    let mut kept = dial(proxy.addr);
    let mut ask_kept = |credentials| {
        send(&mut kept, credentials);
        status(&read_head(&mut kept))
    };
    assert_eq!(ask_kept("ana:secret"), 200);
    assert_eq!(status(&ask(proxy.addr, "ben:hunter2")), 407);

    file.write(&format!("ana:{HUNTER2}\nben:{HUNTER2}\n"));
    assert_eq!(ask_kept("ana:secret"), 200);
    proxy.signal("HUP");
    assert!(proxy.told("SIGHUP").ends_with("2 users"));
    assert_eq!(ask_kept("ana:hunter2"), 200);
    assert_eq!(status(&ask(proxy.addr, "ana:secret")), 407);
    assert_eq!(status(&ask(proxy.addr, "ben:hunter2")), 200);

    // With an error in it the users stay, those who were not verified yet too.
    file.write(&format!("cleo:{SECRET}\nana:{HUNTER2}\nben:swordfish\n"));
    proxy.signal("HUP");
    let line = proxy.told("SIGHUP");
    assert!(line.contains("line 3: plain text is not taken") && line.contains("stay"), "{line}");
    assert_eq!(status(&ask(proxy.addr, "ben:hunter2")), 200);
    assert_eq!(status(&ask(proxy.addr, "cleo:secret")), 407);
    fs::remove_file(file.path()).unwrap();
    proxy.signal("HUP");
    let line = proxy.told("SIGHUP");
    assert!(line.contains("cannot be read") && line.contains("stay"), "{line}");
    assert_eq!(ask_kept("ana:hunter2"), 200);

    let (status, _, stderr) = proxy.stop();
    assert_eq!(status.code(), Some(0), "{stderr}");
    assert!(!stderr.contains("swordfish") && !stderr.contains("abcdefgh"), "{stderr}");
}

#[test]
fn a_file_with_an_error_is_told_of_and_nothing_starts() {
    let file = UsersFile::new("users-error", "ana:swordfish\n");
    let output = command(env!("CARGO_BIN_EXE_chaski"))
        .args(["proxy", "--bind", "127.0.0.1:0", "--users-file", file.path().to_str().unwrap()])
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains(file.path().to_str().unwrap()) && stderr.contains("line 1: plain text"), "{stderr}");
    assert!(!stderr.contains("swordfish") && !stderr.contains("listening"), "{stderr}");
}

/// Others can reach the address, and nobody of them may use the proxy.
#[test]
fn a_file_without_users_lets_nobody_in_and_says_so() {
    use std::os::unix::fs::PermissionsExt as _;
    let file = UsersFile::new("users-empty", "# nobody yet\n");
    let path = file.path();
    for (mode, is_told) in [(0o644, true), (0o600, false)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let proxy = Chaski::start(&["proxy", "--bind", "0.0.0.0:0", "--users-file", path.to_str().unwrap()]);
        let addr = SocketAddr::from(([127, 0, 0, 1], proxy.addr.port()));
        assert_eq!(status(&ask(addr, "ana:secret")), 407);
        let (status, _, stderr) = proxy.stop();
        assert_eq!(status.code(), Some(0), "{stderr}");
        assert!(stderr.contains("lets nobody in"), "{stderr}");
        assert_eq!(stderr.contains("may read or change the users file"), is_told, "{stderr}");
    }
}

#[test]
fn a_user_has_no_more_under_way_than_the_limit() {
    let file = UsersFile::new("users-limit", &format!("ana:{SECRET}\nben:{HUNTER2}\n"));
    let proxy = file.proxy(&["--max-per-user", "1"]);
    let (target, origin) = origin(|mut stream| stream.read(&mut [0; 1]));
    let mut tunnel = dial(proxy.addr);
    let basic = BASE64_STANDARD.encode("ana:secret");
    write!(tunnel, "CONNECT {target} HTTP/1.1\r\nHost: a\r\nProxy-Authorization: Basic {basic}\r\n\r\n").unwrap();
    assert_eq!(status(&read_head(&mut tunnel)), 200);

    let refused = ask(proxy.addr, "ana:secret");
    assert!(refused.starts_with("HTTP/1.1 429 ") && refused.contains("retry-after: 1\r\n"), "{refused}");
    // One after the other is not at a time.
    let mut other = dial(proxy.addr);
    for _ in 0..3 {
        send(&mut other, "ben:hunter2");
        assert_eq!(status(&read_head(&mut other)), 200);
    }
    drop(tunnel);
    origin.join().unwrap().ok();
}

#[test]
fn a_user_asks_no_more_often_than_the_rate() {
    let file = UsersFile::new("users-rate", &format!("ana:{SECRET}\nben:{HUNTER2}\n"));
    let proxy = file.proxy(&["--rate-per-user", "2/h"]);
    let heads = [(); 3].map(|()| ask(proxy.addr, "ana:secret"));
    assert_eq!(heads.each_ref().map(|head| status(head)), [200, 200, 429]);
    let (_, seconds) = heads[2].split_once("retry-after: ").unwrap();
    let seconds: u64 = seconds.lines().next().unwrap().parse().unwrap();
    // A request comes back every half hour.
    assert!((1700..=1800).contains(&seconds), "{seconds}");
    assert_eq!(status(&ask(proxy.addr, "ben:hunter2")), 200);
    assert_eq!(status(&ask(proxy.addr, "ana:wrong")), 407);

    // Without users, by address.
    let proxy = Chaski::proxy(&["--rate-per-user", "1/h"]);
    assert_eq!([(); 2].map(|()| status(&ask(proxy.addr, "ana:secret"))), [200, 429]);
}

#[test]
fn explain_tells_users_and_limits() {
    let file = UsersFile::new("users-explain", &format!("ana:{SECRET}\n"));
    let path = file.path();
    let output = command(env!("CARGO_BIN_EXE_chaski"))
        .args(["proxy", "--bind", "127.0.0.1:0", "--explain", "--users-file", path.to_str().unwrap()])
        .args(["--user", "ben:hunter2", "--max-per-user", "7", "--rate-per-user", "600/m"])
        .output()
        .unwrap();
    let tree = text(output);
    for part in ["ProxyAuth users=1", "file_users=1", "KeyedRateLimit rate=600/60s", "CallerLimit limit=7"] {
        assert!(tree.contains(part), "{part} is missing:\n{tree}");
    }
}
