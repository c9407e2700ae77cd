//! Starts programs, finds out where they listen, and stops them.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// Only a guard against hanging: nothing that works comes near it.
pub(crate) const GUARD: Duration = Duration::from_secs(60);

/// The binary under test, running.
pub(crate) struct Chaski {
    child: Child,
    /// Of the first listener.
    pub(crate) addr: SocketAddr,
    announced: mpsc::Receiver<String>,
    stderr: Option<JoinHandle<String>>,
    stdout: Option<JoinHandle<String>>,
    told: mpsc::Receiver<String>,
}

impl Chaski {
    /// A proxy that may dial loopback, on a port of the system's choice.
    pub(crate) fn proxy(args: &[&str]) -> Self {
        let mut all = vec!["proxy", "--bind", "127.0.0.1:0", "--allow", "127.0.0.0/8"];
        all.extend(args);
        Self::start(&all)
    }

    pub(crate) fn start(args: &[&str]) -> Self {
        Self::start_with(args, &[])
    }

    pub(crate) fn start_with(args: &[&str], env: &[(&str, &str)]) -> Self {
        Self::spawn(command(env!("CARGO_BIN_EXE_chaski")).args(args).envs(env.iter().copied()))
    }

    /// With so many descriptors and no more.
    pub(crate) fn start_with_descriptors(descriptors: u32, args: &[&str]) -> Self {
        let limited = format!("ulimit -n {descriptors}; exec \"$0\" \"$@\"");
        Self::spawn(command("sh").args(["-c", &limited, env!("CARGO_BIN_EXE_chaski")]).args(args))
    }

    fn spawn(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let (lines, announced) = mpsc::channel();
        let (tell, told) = mpsc::channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let stderr = std::thread::spawn(move || {
            let mut all = String::new();
            for line in stderr.lines().map_while(Result::ok) {
                if let Some((_, addr)) = line.split_once("listening on ") {
                    let _ = lines.send(addr.to_owned());
                }
                all.push_str(&line);
                all.push('\n');
                let _ = tell.send(line);
            }
            all
        });
        let stdout = std::thread::spawn(move || {
            let mut all = String::new();
            let _ = BufReader::new(stdout).read_to_string(&mut all);
            all
        });
        let addr: String = announced.recv_timeout(GUARD).expect("the start-up line");
        let addr = addr.parse().unwrap();
        Self { child, addr, announced, stderr: Some(stderr), stdout: Some(stdout), told }
    }

    /// The address of the next listener, behind the first.
    pub(crate) fn next_address(&self) -> String {
        self.announced.recv_timeout(GUARD).expect("one more start-up line")
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Waits for a line on standard error that holds this, after those that were waited for before.
    pub(crate) fn told(&self, part: &str) -> String {
        loop {
            let line = self.told.recv_timeout(GUARD).unwrap_or_else(|_| panic!("it does not tell {part:?}"));
            if line.contains(part) {
                return line;
            }
        }
    }

    /// Sends a signal: `TERM`, `INT`.
    pub(crate) fn signal(&self, name: &str) {
        let status = command("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status().unwrap();
        assert!(status.success());
    }

    /// Waits for the end: status, standard output, standard error.
    pub(crate) fn wait(mut self) -> (ExitStatus, String, String) {
        let status = wait(&mut self.child);
        (status, self.stdout.take().unwrap().join().unwrap(), self.stderr.take().unwrap().join().unwrap())
    }

    /// Stops it the way an operator does.
    pub(crate) fn stop(self) -> (ExitStatus, String, String) {
        self.signal("TERM");
        self.wait()
    }

    /// What it has used of the processors, in ticks of 10 ms.
    pub(crate) fn ticks(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // proc_pid_stat(5): utime and stime are the fields 14 and 15; the name, which may hold anything, ends with the last `)`.
        let (_, fields) = stat.rsplit_once(')').unwrap();
        fields.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum()
    }

    /// The number of the process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// A line of /proc/PID/status, in KiB.
    pub(crate) fn memory(&self, field: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        line.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap()
    }
}

impl Drop for Chaski {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for the end of a program.
pub(crate) fn wait(child: &mut Child) -> ExitStatus {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(started.elapsed() < GUARD, "the program does not end");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// A command with the directories of servers on its path, and no proxy from the environment.
pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let path = format!("{}:/usr/local/sbin:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new(program);
    command.env("PATH", path).stdin(Stdio::null());
    for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"] {
        command.env_remove(name);
    }
    command
}

/// Whether a foreign program is there, or a module of Python's (`python3:requests`). Without it a test is skipped, unless it
/// is required.
pub(crate) fn has(test: &str, program: &str) -> bool {
    let probe = match program.split_once(':') {
        Some((python, module)) => format!("{python} -c 'import {module}'"),
        None => format!("command -v {program}"),
    };
    let found = command("sh").args(["-c", &probe]).output().unwrap().status.success();
    if found {
        return true;
    }
    assert!(
        std::env::var("CHASKI_PEERS").as_deref() != Ok("required"),
        "{test} needs {program}, and CHASKI_PEERS=required"
    );
    let line = format!("skipped: {test} needs {program}\n");
    print!("{line}");
    if let Some(log) = std::env::var_os("CHASKI_SKIP_LOG") {
        fs::OpenOptions::new().append(true).create(true).open(log).unwrap().write_all(line.as_bytes()).unwrap();
    }
    false
}

/// Leaves the test, with a line that says so, where a foreign program is missing.
macro_rules! needs {
    ($test:expr, $($program:expr),+) => {
        if !($($crate::support::has($test, $program))&&+) {
            return;
        }
    };
}
pub(crate) use needs;

/// curl through a proxy, quiet, with a guard against hanging.
pub(crate) fn curl(proxy: &Chaski, args: &[&str]) -> Output {
    command("curl").args(["-sS", "--max-time", "60", "-x", &proxy.url()]).args(args).output().unwrap()
}

/// What curl wrote, after it has succeeded.
pub(crate) fn text(output: Output) -> String {
    assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A new folder for a test's files.
pub(crate) fn folder(name: &str) -> PathBuf {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}-{number}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// A certificate for `localhost` and 127.0.0.1, and its key.
pub(crate) fn certificate(folder: &Path) -> (PathBuf, PathBuf) {
    let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    let made = command("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30"])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&cert)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    (cert, key)
}

/// nginx, serving a folder in clear and over TLS.
pub(crate) struct Nginx {
    child: Child,
    pub(crate) http: u16,
    pub(crate) https: u16,
    pub(crate) folder: PathBuf,
    // Bound but never listening: they keep the ports from being given to somebody else before nginx has them.
    _reserved: [socket2::Socket; 2],
}

impl Nginx {
    pub(crate) fn start(name: &str) -> Self {
        let folder = folder(name);
        let (cert, key) = certificate(&folder);
        let (http, reserved_http) = reserve();
        let (https, reserved_https) = reserve();
        let f = folder.display();
        let (cert, key) = (cert.display(), key.display());
        fs::create_dir(folder.join("www")).unwrap();
        // Uploads go through `proxy_pass` to a server of nginx's own: its static files take no bodies.
        let http_block = format!(
            "access_log off; client_max_body_size 0; default_type text/plain; keepalive_timeout 60;\n\
             server {{ listen 127.0.0.1:{http} reuseport; listen 127.0.0.1:{https} ssl reuseport;\n\
             ssl_certificate {cert}; ssl_certificate_key {key};\n\
             location / {{ root {f}/www; }}\n\
             location /slow/ {{ alias {f}/www/; limit_rate 200k; }}\n\
             location /upload {{ proxy_pass http://127.0.0.1:{http}/sink; proxy_request_buffering on; }}\n\
             location /sink {{ return 200 \"$request_method $content_length $http_expect\\n\"; }}\n\
             location /headers {{ return 200 \"via=$http_via auth=$http_proxy_authorization conn=$http_connection \
             secret=$http_x_secret host=$http_host\\n\"; }} }}"
        );
        let child = nginx(&folder, &http_block);
        let mut nginx = Self { child, http, https, folder, _reserved: [reserved_http, reserved_https] };
        wait_until_up(&mut nginx.child, https, &nginx.folder);
        nginx
    }

    pub(crate) fn file(&self, name: &str, bytes: &[u8]) {
        fs::write(self.folder.join("www").join(name), bytes).unwrap();
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.http)
    }

    pub(crate) fn tls_url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.https)
    }

    pub(crate) fn cert(&self) -> String {
        self.folder.join("cert.pem").display().to_string()
    }

    /// Pulls the plug.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// nginx in one process, its files in a folder, with this as the `http` block of its configuration.
pub(crate) fn nginx(folder: &Path, http_block: &str) -> Child {
    let f = folder.display();
    let conf = format!(
        "daemon off; master_process off; worker_processes 1; pid {f}/pid; error_log {f}/error.log;\n\
         events {{ worker_connections 512; }}\n\
         http {{ client_body_temp_path {f}/b; proxy_temp_path {f}/p; fastcgi_temp_path {f}/f; uwsgi_temp_path {f}/u;\n\
         scgi_temp_path {f}/s;\n\
         {http_block} }}\n"
    );
    fs::write(folder.join("nginx.conf"), conf).unwrap();
    command("nginx")
        .arg("-c")
        .arg(folder.join("nginx.conf"))
        .arg("-e")
        .arg(folder.join("error.log"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Waits until a program listens. Of one that ends instead, what it has logged in its folder is shown.
pub(crate) fn wait_until_up(child: &mut Child, port: u16, folder: &Path) {
    let started = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if let Some(status) = child.try_wait().unwrap() {
            let log = fs::read_to_string(folder.join("error.log")).unwrap_or_default();
            panic!("the program ended with {status}: {log}");
        }
        assert!(started.elapsed() < GUARD, "the program does not come up");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// A port that the system chose and keeps: whoever binds it with SO_REUSEPORT gets it. Until then nobody listens there.
pub(crate) fn reserve() -> (u16, socket2::Socket) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_reuse_port(true).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let port = socket.local_addr().unwrap().as_socket().unwrap().port();
    (port, socket)
}

/// An origin of one connection, written in the test: `serve` gets the accepted connection.
pub(crate) fn origin<T: Send + 'static>(
    serve: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (SocketAddr, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        guard(&stream);
        serve(stream)
    });
    (addr, thread)
}

/// A connection to the program under test.
pub(crate) fn dial(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(addr).unwrap();
    guard(&stream);
    stream
}

fn guard(stream: &TcpStream) {
    stream.set_read_timeout(Some(GUARD)).unwrap();
    stream.set_write_timeout(Some(GUARD)).unwrap();
}

/// Reads through the end of a head.
pub(crate) fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            other => panic!("{other:?} in the middle of a head: {}", String::from_utf8_lossy(&head)),
        }
    }
    String::from_utf8(head).unwrap()
}

/// Opens a tunnel through the proxy.
pub(crate) fn tunnel(proxy: &Chaski, target: SocketAddr) -> TcpStream {
    let mut stream = dial(proxy.addr);
    write!(stream, "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n").unwrap();
    let head = read_head(&mut stream);
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    stream
}
