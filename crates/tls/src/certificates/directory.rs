//! A folder with the certificates of a server, by name.

use std::{
    ffi::OsString,
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use rustls::{client::verify_server_name, pki_types::ServerName, server::ParsedCertificate};
use tokio::time::{MissedTickBehavior, interval};

use super::{Certificates, CertifiedKey, LoadError, LoadErrorCause};
use crate::names::{NameError, NameTable};

/// The certificates in a folder, chosen by the name that a client asks for, and read again while the server runs.
///
/// What a certificate is for stands in the name of its file:
///
/// | file | what |
/// |---|---|
/// | `example.com.pem` or `example.com.crt` | the chain for `example.com`, its certificate first |
/// | `example.com.key` | its key; without this file the key is in that of the chain |
/// | `_wildcard.example.com.pem`, or with `*` for `_wildcard` | for all names with one label in front of `example.com` that have no file of their own |
/// | `default.pem` | for clients that name no server, or one that has no file; without it they are refused |
///
/// Files that end otherwise are left alone.
///
/// ```no_run
/// use chaski_tls::{AcceptLayer, CertificateDirectory, ServerConfig};
/// use std::{sync::Arc, time::Duration};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// let certificates = Arc::new(CertificateDirectory::open("/etc/chaski/certificates")?);
/// let layer = AcceptLayer::new(ServerConfig::new(Arc::clone(&certificates)))?;
///
/// // When a file changes, within a minute; or at SIGHUP, by `certificates.reload()`.
/// tokio::spawn(certificates.watch(Duration::from_secs(60)));
/// # Ok(()) }
/// ```
///
/// # Reading again
///
/// [`reload`](Self::reload) takes what there is now as a whole, or, when anything is wrong with it, none of it: then the server goes
/// on with what it has. So a certificate and its key may be replaced one after the other. A certificate that has not changed
/// stays the same one, and sessions of its clients can be resumed.
pub struct CertificateDirectory {
    folder: PathBuf,
    current: ArcSwap<Loaded>,
    /// The files as they were at the last attempt, however it ended. Held while one is under way.
    seen: Mutex<Vec<FileState>>,
}

struct Loaded {
    names: NameTable<CertifiedKey>,
    default: Option<CertifiedKey>,
}

/// By what it shows that a file was changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct FileState {
    name: OsString,
    length: u64,
    modified: Option<SystemTime>,
}

/// The stem of the file for everybody who has none.
const DEFAULT: &str = "default";

/// What stands for `*`, which not every system lets be in the name of a file.
const WILDCARD: &str = "_wildcard.";

impl CertificateDirectory {
    /// Reads the certificates in `folder`. Blocks while it reads.
    ///
    /// # Errors
    ///
    /// [`LoadError`], which names the file and what is wrong with it: a certificate that is not for the name of its file, too. A
    /// folder without certificates is an error.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, LoadError> {
        let folder = folder.into();
        let seen = states(&folder)?;
        let nothing = Loaded { names: NameTable::new(), default: None };
        let loaded = Loaded::read(&folder, &seen, &nothing)?;
        Ok(Self { folder, current: ArcSwap::from_pointee(loaded), seen: Mutex::new(seen) })
    }

    /// Reads all files again, for a server that is told to. Blocks while it reads.
    ///
    /// # Errors
    ///
    /// [`LoadError`]; what was read before stays then.
    pub fn reload(&self) -> Result<(), LoadError> {
        self.read_again(true).map(drop)
    }

    /// Looks at the files every so often, and reads them again when one was changed, added or removed. What goes wrong is
    /// logged, and tried again after the next change. It never ends; dropping the future ends it.
    ///
    /// # Panics
    ///
    /// When `every` is zero, and outside of a tokio runtime with time enabled.
    pub async fn watch(self: Arc<Self>, every: Duration) {
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let this = Arc::clone(&self);
            match tokio::task::spawn_blocking(move || this.read_again(false)).await {
                Ok(Ok(false)) => {}
                Ok(Ok(true)) => tracing::info!(folder = %self.folder.display(), "read the certificates again"),
                Ok(Err(error)) => {
                    let error = chaski_core::display_chain(&error);
                    tracing::warn!(folder = %self.folder.display(), %error, "the certificates stay as they are");
                }
                // The runtime stops, or reading has panicked, which was told where it happened.
                Err(_) => return,
            }
        }
    }

    /// The names that have certificates, as in the names of the files, sorted; `*.` stands for any label.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.current.load().names.iter().map(|(name, _)| name.to_owned()).collect();
        names.sort_unstable();
        names
    }

    /// Whether there was anything to read.
    fn read_again(&self, always: bool) -> Result<bool, LoadError> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // Before the files are read, so that what changes meanwhile is noticed the next time.
        let states = states(&self.folder)?;
        if !always && *seen == states {
            return Ok(false);
        }
        seen.clone_from(&states);
        let loaded = Loaded::read(&self.folder, &states, &self.current.load())?;
        self.current.store(Arc::new(loaded));
        Ok(true)
    }
}

impl Certificates for CertificateDirectory {
    fn find(&self, server_name: Option<&str>) -> Option<CertifiedKey> {
        let current = self.current.load();
        server_name.and_then(|name| current.names.find(name)).or(current.default.as_ref()).cloned()
    }
}

impl fmt::Debug for CertificateDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateDirectory").field("folder", &self.folder).field("names", &self.names()).finish()
    }
}

impl Loaded {
    fn read(folder: &Path, files: &[FileState], before: &Self) -> Result<Self, LoadError> {
        let mut loaded = Self { names: NameTable::new(), default: None };
        for file in files {
            let path = folder.join(&file.name);
            let Some((stem, "pem" | "crt")) = parts(&path) else { continue };
            let key = path.with_file_name(format!("{stem}.key"));
            let has_key = files.iter().any(|other| Some(&*other.name) == key.file_name());
            let read = CertifiedKey::from_files(&path, if has_key { &key } else { &path })?;
            let name = stem.strip_prefix(WILDCARD).map_or_else(|| stem.to_owned(), |parent| format!("*.{parent}"));
            let old = if name == DEFAULT {
                before.default.as_ref()
            } else {
                check(&read, &name).map_err(|cause| LoadError::from(cause).in_file(&path))?;
                before.names.iter().find(|(known, _)| *known == name).map(|(_, key)| key)
            };
            let read = old.filter(|old| old.chain().eq(read.chain())).cloned().unwrap_or(read);
            if name == DEFAULT {
                if loaded.default.replace(read).is_some() {
                    return Err(LoadError::from(LoadErrorCause::FileName(NameError::Twice(name.into()))).in_file(&path));
                }
            } else {
                let inserted = loaded.names.insert(&name, read);
                inserted.map_err(|error| LoadError::from(LoadErrorCause::FileName(error)).in_file(&path))?;
            }
        }
        if loaded.default.is_none() && loaded.names.iter().next().is_none() {
            return Err(LoadError::from(LoadErrorCause::NoCertificate).in_file(folder));
        }
        Ok(loaded)
    }
}

/// The name of a file without its end, and its end.
fn parts(path: &Path) -> Option<(&str, &str)> {
    Some((path.file_stem()?.to_str()?, path.extension()?.to_str()?))
}

/// The certificate is for this name: one that is not would be refused by every client.
fn check(key: &CertifiedKey, name: &str) -> Result<(), LoadErrorCause> {
    // Any label does for the `*`.
    let example = name.strip_prefix("*.").map_or_else(|| name.to_owned(), |parent| format!("any.{parent}"));
    let leaf = key.signing().cert.first().ok_or(LoadErrorCause::NoCertificate)?;
    let leaf = ParsedCertificate::try_from(leaf).map_err(|error| LoadErrorCause::BadCertificate(error.into()))?;
    // A name that is none is told by the table, in its own words.
    match ServerName::try_from(example) {
        Ok(server) if verify_server_name(&leaf, &server).is_err() => {
            Err(LoadErrorCause::NotFor { name: name.to_owned(), subject: key.subject() })
        }
        _ => Ok(()),
    }
}

/// The files that count, in the order of their names.
fn states(folder: &Path) -> Result<Vec<FileState>, LoadError> {
    let list = || -> io::Result<Vec<FileState>> {
        let mut states = Vec::new();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let Some((_, "pem" | "crt" | "key")) = parts(&path) else { continue };
            let (Some(name), metadata) = (path.file_name(), fs::metadata(&path)?) else { continue };
            states.push(FileState {
                name: name.to_owned(),
                length: metadata.len(),
                modified: metadata.modified().ok(),
            });
        }
        states.sort_unstable();
        Ok(states)
    };
    list().map_err(|error| LoadError::from(LoadErrorCause::Read(error)).in_file(folder))
}
