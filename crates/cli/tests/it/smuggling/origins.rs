//! Origins that write down every whole message that they get.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::PathBuf,
    process::{Child, Stdio},
    thread::JoinHandle,
};

use super::corpus::{hex, unescape};
use crate::support::{command, folder, nginx, reserve, wait, wait_until_up};

/// A message as an origin saw it.
#[derive(Debug)]
pub(super) struct Message {
    /// The case's number.
    pub(super) case: usize,
    /// The first segment of its path: `case`, `next` or `end`.
    pub(super) kind: String,
    pub(super) method: String,
    pub(super) body: Vec<u8>,
}

/// A program that answers each request with 200 once its body is complete. It says of each: method, path, body, status.
pub(super) struct Origin {
    child: Child,
    port: u16,
    folder: PathBuf,
    said: Said,
    read_body: fn(&str) -> Vec<u8>,
    // Bound but never listening: they keep the ports from being given to somebody else before the program has them.
    _reserved: Vec<socket2::Socket>,
}

/// Where the messages are told.
enum Said {
    Stdout(JoinHandle<String>),
    File(PathBuf),
}

impl Origin {
    /// nginx gathers a body before it passes the request on to its second server.
    pub(super) fn nginx() -> Self {
        let folder = folder("smuggling-nginx");
        let (port, reserved) = reserve();
        let (inner, reserved_inner) = reserve();
        let f = folder.display();
        let http_block = format!(
            "log_format messages '$request_method $request_uri \"$request_body\" $status';\n\
             client_body_buffer_size 64k; keepalive_requests 100000;\n\
             server {{ listen 127.0.0.1:{port} reuseport; access_log {f}/messages messages;\n\
             location / {{ proxy_pass http://127.0.0.1:{inner}; }} }}\n\
             server {{ listen 127.0.0.1:{inner} reuseport; access_log off; location / {{ return 200 ok; }} }}"
        );
        let child = nginx(&folder, &http_block);
        let said = Said::File(folder.join("messages"));
        // A body that is not there is written as a dash.
        let read_body = |text: &str| match text.trim_matches('"') {
            "-" => Vec::new(),
            text => unescape(text),
        };
        Self { child, port, folder, said, read_body, _reserved: vec![reserved, reserved_inner] }.up()
    }

    pub(super) fn haproxy() -> Self {
        let folder = folder("smuggling-haproxy");
        let (port, reserved) = reserve();
        let conf = format!(
            "global\n log stdout format raw local0\n\
             defaults\n mode http\n timeout client 60s\n timeout http-request 60s\n option http-buffer-request\n\
             frontend all\n bind 127.0.0.1:{port}\n log global\n\
             http-request set-var(txn.body) req.body,hex\n\
             log-format \"%HM %HU \\\"%[var(txn.body)]\\\" %ST\"\n\
             http-request return status 200 content-type text/plain string ok\n"
        );
        fs::write(folder.join("haproxy.cfg"), conf).unwrap();
        let mut child = command("haproxy")
            .arg("-db")
            .arg("-f")
            .arg(folder.join("haproxy.cfg"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let said = Said::Stdout(read_all(BufReader::new(child.stdout.take().unwrap())));
        let read_body = |text: &str| match text.trim_matches('"') {
            "-" => Vec::new(),
            text => from_hex(text),
        };
        Self { child, port, folder, said, read_body, _reserved: vec![reserved] }.up()
    }

    pub(super) fn node() -> Self {
        let mut child = command("node")
            .args(["-e", include_str!("origin.js")])
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut port = String::new();
        stdout.read_line(&mut port).unwrap();
        let port = port.trim().parse().unwrap();
        let read_body = |text: &str| from_hex(text.trim_matches('"'));
        let said = Said::Stdout(read_all(stdout));
        Self { child, port, folder: folder("smuggling-node"), said, read_body, _reserved: Vec::new() }
    }

    fn up(mut self) -> Self {
        wait_until_up(&mut self.child, self.port, &self.folder);
        self
    }

    pub(super) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Stops the program, and reads what it has said.
    pub(super) fn stop(mut self) -> Vec<Message> {
        assert!(command("kill").arg(self.child.id().to_string()).status().unwrap().success());
        wait(&mut self.child);
        let said = match self.said {
            Said::Stdout(said) => said.join().unwrap(),
            Said::File(path) => fs::read_to_string(path).unwrap(),
        };
        let _ = fs::remove_dir_all(&self.folder);
        said.lines().filter_map(|line| message(line, self.read_body)).collect()
    }
}

/// A line that tells of a whole message; `None` for one that was refused, or is of no case.
fn message(line: &str, read_body: fn(&str) -> Vec<u8>) -> Option<Message> {
    let mut words = line.split(' ');
    let (method, path, body, status) = (words.next()?, words.next()?, words.next()?, words.next_back()?);
    if status != "200" {
        return None;
    }
    // The body may have spaces of its own.
    let body = if words.next().is_none() { body.to_owned() } else { between_quotes(line)? };
    let mut segments = path.strip_prefix('/')?.split('/');
    let (kind, case) = (segments.next()?.to_owned(), segments.next()?.parse().ok()?);
    Some(Message { case, kind, method: method.to_owned(), body: read_body(&body) })
}

fn between_quotes(line: &str) -> Option<String> {
    let (from, to) = (line.find('"')?, line.rfind('"')?);
    Some(line[from..=to].to_owned())
}

fn from_hex(text: &str) -> Vec<u8> {
    text.as_bytes().chunks(2).map(|pair| hex(pair.try_into().unwrap())).collect()
}

fn read_all(mut reader: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut all = String::new();
        reader.read_to_string(&mut all).unwrap();
        all
    })
}
