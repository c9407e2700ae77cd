use std::{
    env, fmt,
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// Writes the secrets of connections into a file, so that tools such as Wireshark can read what was recorded of them.
///
/// **Who reads the file can read the connections.** Nothing is logged unless a configuration is given a `KeyLog`, the
/// environment says nothing by itself, and logging can be switched off and on while running, by any clone.
///
/// The lines are those of the [SSLKEYLOGFILE format](https://datatracker.ietf.org/doc/draft-ietf-tls-keylogfile/). They are
/// written within the handshake, by the thread that does it: this is for finding mistakes, not for production.
///
/// ```
/// use chaski_tls::KeyLog;
///
/// # fn example() -> std::io::Result<()> {
/// let log = KeyLog::to_file("/run/user/1000/keys.log")?;
/// log.set_enabled(false);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct KeyLog {
    inner: Arc<Inner>,
}

struct Inner {
    enabled: AtomicBool,
    path: PathBuf,
    file: Mutex<File>,
}

impl KeyLog {
    /// The variable that other programs go by too: `SSLKEYLOGFILE`.
    pub const VARIABLE: &str = "SSLKEYLOGFILE";

    /// Appends to a file, which is made if it is missing. On Unix nobody but its owner may read and write it from then on,
    /// whatever it was before.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened for writing.
    pub fn to_file(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path)?;
        #[cfg(unix)]
        if file.metadata()?.is_file() {
            file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        }
        let inner = Inner { enabled: AtomicBool::new(true), path: path.to_owned(), file: Mutex::new(file) };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Appends to the file that the environment names in [`VARIABLE`](Self::VARIABLE); `None` when it names none.
    ///
    /// # Errors
    ///
    /// As those of [`to_file`](Self::to_file).
    pub fn from_env() -> io::Result<Option<Self>> {
        env::var_os(Self::VARIABLE).filter(|path| !path.is_empty()).map(Self::to_file).transpose()
    }

    /// Switches logging on or off, for the handshakes that come after.
    pub fn set_enabled(&self, enabled: bool) {
        self.inner.enabled.store(enabled, Ordering::Relaxed);
    }

    /// Whether it logs.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.inner.enabled.load(Ordering::Relaxed)
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.inner.path
    }
}

/// The face that the library knows.
#[derive(Debug)]
pub(crate) struct Logger(pub(crate) KeyLog);

impl rustls::KeyLog for Logger {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let Self(log) = self;
        if !log.is_enabled() {
            return;
        }
        // In one piece, so that lines of several programs that append do not mix.
        let line = format!("{label} {} {}\n", Hex(client_random), Hex(secret));
        // Nothing panics while the lock is held.
        let mut file = log.inner.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = file.write_all(line.as_bytes()) {
            tracing::warn!(path = %log.inner.path.display(), %error, "cannot write to the key log");
        }
    }

    fn will_log(&self, _: &str) -> bool {
        self.0.is_enabled()
    }
}

impl fmt::Debug for KeyLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyLog")
            .field("path", &self.inner.path)
            .field("enabled", &self.is_enabled())
            .finish_non_exhaustive()
    }
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
