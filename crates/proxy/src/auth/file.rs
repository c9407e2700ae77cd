use std::{
    fmt,
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use chaski_core::Caller;
use sha2::{Digest as _, Sha256};

use super::{
    basic::Offered,
    error::{UsersFileError, UsersFileErrorKind as Kind},
    flights::Flights,
    hash,
    table::{self, Digest, Table},
    turns::{self, Busy, Turn, Turns},
};

/// Users with hashed passwords, from a file in the form that `htpasswd` writes. A clone is the same users.
///
/// A line is `NAME:HASH`; what follows another colon is a remark. Blank lines and those that begin with `#` are passed
/// over. The hash is bcrypt (`$2y$`, `$2b$`, `$2a$`; `htpasswd -B`) or sha512-crypt (`$6$`; `openssl passwd -6`). Every
/// other scheme is refused, and plain text above all: a file is copied more often than its owner knows. No name may stand
/// there twice. A file with an error in any line is not used at all.
///
/// ```
/// use chaski_proxy::{ProxyAuthLayer, Users, UsersFile};
///
/// # fn example(path: &std::path::Path) -> Result<(), Box<dyn std::error::Error>> {
/// std::fs::write(path, "# openssl passwd -6\nana:$6$Zm9vYmFy$TYP94ZO8jJpFgvMoa4q01T8NWtgFBvGQ27gNcHhHYrX4UE0Dsh7W7Q0wIEUHQj4gXagztwN39/qlnDZHAOf.J.\n")?;
/// let file = UsersFile::load(path)?;
/// let layer = ProxyAuthLayer::new(Users::new().with_file(file.clone()));
/// # let _ = layer;
///
/// std::fs::write(path, "ana:secret\n")?;
/// let error = file.reload().unwrap_err();
/// assert_eq!(error.line(), Some(1));
/// assert!(error.to_string().contains("plain text is not taken"));
/// assert_eq!(file.len(), 1, "the users that were read before stay");
/// # Ok(()) }
/// # let path = std::env::temp_dir().join(format!("chaski-users-{}", std::process::id()));
/// # let result = example(&path);
/// # std::fs::remove_file(&path).unwrap();
/// # result.unwrap();
/// ```
///
/// # How a password is verified
///
/// On one of tokio's threads for blocking work, half as many at a time as the machine has cores (one at least), so the
/// threads that serve connections are never held up. Others wait; with 1,024 under way, or 256 for one network address,
/// [`ProxyAuthLayer`](crate::ProxyAuthLayer) answers 503. Callers take turns by their network address: who guesses holds
/// up others of the same address, and hardly anybody else. The same credentials that come again while they are verified
/// wait for that result, without a place of their own.
///
/// A password that was right is known again for five minutes after its last use, or until the file is read again, by a
/// digest under a random key. Such a request waits for nothing and nobody, however many are guessing. Wrong passwords are
/// not remembered.
///
/// For a name that is not in the file, the hash of somebody who is there is computed: the delay does not tell which names
/// there are. It does where hashes differ in cost, so give all the same.
///
/// bcrypt reads 72 bytes of a password and ignores the rest, here as everywhere.
#[derive(Clone)]
pub struct UsersFile(Arc<Shared>);

struct Shared {
    path: PathBuf,
    loaded: RwLock<Arc<Loaded>>,
    /// What the digests of credentials begin with. They are never told, so that a plain prefix makes a key.
    key: [u8; 32],
    turns: Turns,
}

/// What was read at one time, and what was found out about it since.
struct Loaded {
    table: Table,
    flights: Flights,
}

impl UsersFile {
    /// The most bytes a file may have.
    pub const MAX_BYTES: usize = 4 * 1024 * 1024;

    /// The most users a file may have.
    pub const MAX_USERS: usize = table::MAX_USERS;

    /// The most bytes a line may have.
    pub const MAX_LINE: usize = table::MAX_LINE;

    /// The highest cost of bcrypt, about a second of one core for each verification.
    pub const MAX_BCRYPT_COST: u32 = hash::MAX_BCRYPT_COST;

    /// The most rounds of sha512-crypt, about half a second of one core.
    pub const MAX_SHA512_ROUNDS: u32 = hash::MAX_SHA512_ROUNDS;

    /// How many verifications may run or wait at a time.
    pub const MAX_VERIFICATIONS: usize = turns::MAX_PLACES;

    /// How many of them may be for one network address. Those over Unix sockets count as one address.
    pub const MAX_VERIFICATIONS_PER_ADDRESS: usize = turns::MAX_PLACES_OF_ONE;

    /// How long after its last use a password that was right is known again without being verified.
    pub const REMEMBERED: Duration = Duration::from_secs(5 * 60);

    /// Reads the file. Logs a warning when it has no users, or when everybody on the machine may read or change it.
    ///
    /// Blocks the thread while it reads.
    ///
    /// # Errors
    ///
    /// See [`UsersFileErrorKind`](crate::UsersFileErrorKind).
    pub fn load(path: impl Into<PathBuf>) -> Result<Self, UsersFileError> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::load_with(path.into(), cores.div_ceil(2))
    }

    /// The same with a number of verifications that may run at a time.
    pub(super) fn load_with(path: PathBuf, at_once: usize) -> Result<Self, UsersFileError> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|error| UsersFileError::read(&path, error.into()))?;
        let loaded = RwLock::new(Arc::new(Loaded::read(&path)?));
        Ok(Self(Arc::new(Shared { path, loaded, key, turns: Turns::new(at_once) })))
    }

    /// Reads the file again. From then on its users get in and no others; requests and tunnels under way go on.
    ///
    /// Blocks the thread while it reads. Logs as [`load`](Self::load) does.
    ///
    /// # Errors
    ///
    /// See [`UsersFileErrorKind`](crate::UsersFileErrorKind). The users that were read before stay.
    pub fn reload(&self) -> Result<(), UsersFileError> {
        let loaded = Arc::new(Loaded::read(&self.0.path)?);
        // Nothing panics while the lock is held.
        *self.0.loaded.write().unwrap_or_else(PoisonError::into_inner) = loaded;
        Ok(())
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// How many users it had when it was read last.
    #[must_use]
    pub fn len(&self) -> usize {
        self.loaded().table.len()
    }

    /// Whether it had none. Then it lets nobody in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn loaded(&self) -> Arc<Loaded> {
        Arc::clone(&self.0.loaded.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The name of the user whose credentials these are.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives its place in the queue up. A verification that has begun goes on to its end, with its
    /// turn, and its result is kept.
    pub(super) async fn verify(&self, offered: Offered, caller: Caller) -> Result<Option<Arc<str>>, Busy> {
        let loaded = self.loaded();
        let Some((place, is_known)) = loaded.table.find(offered.name()) else { return Ok(None) };
        let user = loaded.table.user(place);
        let digest = self.digest(&offered);
        let is_good = || is_known && user.is_good(&digest, Self::REMEMBERED);
        if is_good() {
            return Ok(Some(Arc::clone(&user.name)));
        }
        let flight = loaded.flights.join(digest);
        let verification = async {
            let turn = self.0.turns.take(caller).await?;
            // A flight that was abandoned has perhaps come to its result all the same.
            if is_good() {
                return Ok(true);
            }
            run(Arc::clone(&loaded), place, is_known.then_some(digest), offered, turn).await
        };
        let is_right = *flight.result().get_or_try_init(|| verification).await?;
        Ok(is_right.then(|| Arc::clone(&user.name)))
    }

    fn digest(&self, offered: &Offered) -> Digest {
        Sha256::new().chain_update(self.0.key).chain_update(offered.text()).finalize().into()
    }

    pub(super) fn at_once(&self) -> usize {
        self.0.turns.at_once()
    }
}

/// Verifies off the reactor. Without a digest, because the name is not known, nothing is right.
async fn run(
    loaded: Arc<Loaded>,
    place: usize,
    digest: Option<Digest>,
    offered: Offered,
    turn: Turn,
) -> Result<bool, Busy> {
    let verifying = tokio::task::spawn_blocking(move || {
        let user = loaded.table.user(place);
        let is_right = user.hash.matches(offered.password());
        if let (true, Some(digest)) = (is_right, digest) {
            user.remember(digest);
        }
        // The turn ends here and not with the request, which may have been dropped: a thread is busy until now.
        drop(turn);
        is_right && digest.is_some()
    });
    // It fails when the runtime stops.
    verifying.await.map_err(|_| Busy)
}

impl Loaded {
    fn read(path: &Path) -> Result<Self, UsersFileError> {
        let read_error = |error| UsersFileError::read(path, error);
        // Asked first, because opening a pipe waits for somebody to write.
        let metadata = fs::metadata(path).map_err(read_error)?;
        if !metadata.is_file() {
            return Err(UsersFileError::new(path, None, Kind::NotAFile));
        }
        let mut bytes = Vec::new();
        let limit = UsersFile::MAX_BYTES as u64 + 1;
        File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes)).map_err(read_error)?;
        if bytes.len() > UsersFile::MAX_BYTES {
            return Err(UsersFileError::new(path, None, Kind::TooLarge { max: UsersFile::MAX_BYTES }));
        }
        let table = Table::parse(&bytes).map_err(|(line, kind)| UsersFileError::new(path, Some(line), kind))?;
        let path = path.display();
        if table.len() == 0 {
            tracing::warn!(%path, "the users file has no users: it lets nobody in");
        }
        if is_open_to_all(&metadata) {
            tracing::warn!(%path, "everybody on this machine may read or change the users file");
        }
        Ok(Self { table, flights: Flights::default() })
    }
}

#[cfg(unix)]
fn is_open_to_all(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o006 != 0
}

/// Other systems have other ways to say who may read a file.
#[cfg(not(unix))]
fn is_open_to_all(_: &fs::Metadata) -> bool {
    false
}

impl fmt::Debug for UsersFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UsersFile").field("path", &self.0.path).field("users", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
