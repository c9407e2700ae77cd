use std::{
    future::Future,
    pin::Pin,
    sync::atomic::{AtomicUsize, Ordering},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{HeaderMap, HeaderValue, header};
use tokio::time::{advance, timeout};

use super::*;

type Verifying = Pin<Box<dyn Future<Output = Result<Option<Arc<str>>, Busy>>>>;

// Hashes of "secret", "a:b" and "hunter2", see `hash.rs`.
const ANA: &str = "ana:$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW\n";
const BEN: &str = "ben:$2y$04$abcdefghijklmnopqrstuuIQ9AyrP6qHpzJiEKQ5zxtEz3TPNwuMe\n";
const CLEO: &str = "cleo:$6$rounds=1000$abcdefgh$t5NmrWOyohJ8f73CiI.ipwnmEO82Ymv802ja2TZrmBnj00Hvr2YrP2TDI7aBzNhjsP40J3Yd13Z66StlJAayI1\n";

/// A users file that goes away with the test. One verification runs at a time.
struct Fixture {
    users: UsersFile,
    path: PathBuf,
}

impl Fixture {
    fn new(text: &str) -> Self {
        let path = new_path();
        fs::write(&path, text).unwrap();
        Self { users: UsersFile::load_with(path.clone(), 1).unwrap(), path }
    }

    fn write(&self, text: &str) {
        fs::write(&self.path, text).unwrap();
    }

    fn verify(&self, credentials: &str) -> Verifying {
        self.verify_for(credentials, Caller::Unknown)
    }

    fn verify_for(&self, credentials: &str, caller: Caller) -> Verifying {
        let (users, offered) = (self.users.clone(), offered(credentials));
        Box::pin(async move { users.verify(offered, caller).await })
    }

    /// Polled until it waits.
    async fn waiting(&self, credentials: &str) -> Verifying {
        let mut verifying = self.verify(credentials);
        assert!(timeout(Duration::ZERO, &mut verifying).await.is_err(), "{credentials}");
        verifying
    }

    /// Holds the one slot, so that nothing can be verified.
    async fn block(&self) -> Turn {
        self.users.0.turns.take(Caller::Unknown).await.unwrap()
    }

    fn under_way(&self) -> (usize, usize) {
        (self.users.0.turns.under_way().0, self.users.loaded().flights.len())
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn new_path() -> PathBuf {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("chaski-users-file-{}-{number}", std::process::id()))
}

fn offered(credentials: &str) -> Offered {
    let value = format!("Basic {}", BASE64_STANDARD.encode(credentials));
    let value = HeaderValue::try_from(value).unwrap();
    Offered::of(&HeaderMap::from_iter([(header::PROXY_AUTHORIZATION, value)])).unwrap()
}

fn yes(name: &str) -> Result<Option<Arc<str>>, Busy> {
    Ok(Some(name.into()))
}

#[tokio::test]
async fn right_passwords_are_known_and_others_are_not() {
    let file = Fixture::new(&format!("{ANA}{BEN}{CLEO}"));
    // Twice, because what was found out at first is remembered.
    for _ in 0..2 {
        for (credentials, name) in [("ana:secret", "ana"), ("ben:a:b", "ben"), ("cleo:hunter2", "cleo")] {
            assert_eq!(file.verify(credentials).await, yes(name));
        }
        for wrong in ["ana:wrong", "ana:a:b", "ana:secret2", "ben:a", "cleo:secret", "Ana:secret", "dan:secret"] {
            assert_eq!(file.verify(wrong).await, Ok(None), "{wrong}");
        }
    }
    assert_eq!(file.under_way(), (0, 0));
}

/// Of an unknown name a hash is computed all the same, and it is that of somebody: their password must not let it in.
#[tokio::test(start_paused = true)]
async fn an_unknown_name_takes_a_turn_and_never_gets_in() {
    let file = Fixture::new(ANA);
    let turn = file.block().await;
    let unknown = file.waiting("dan:secret").await;
    drop(turn);
    assert_eq!(unknown.await, Ok(None));
    // Nor was that remembered as somebody's password.
    let _turn = file.block().await;
    drop(file.waiting("ana:secret").await);
    drop(file.waiting("dan:secret").await);
}

#[tokio::test]
async fn a_file_without_users_lets_nobody_in() {
    let file = Fixture::new("# nobody\n");
    assert!(file.users.is_empty());
    let _turn = file.block().await;
    assert_eq!(file.verify("ana:secret").await, Ok(None));
}

/// A flood of guesses fills every place, and whoever was verified before does not notice.
#[tokio::test(start_paused = true)]
async fn who_was_verified_waits_for_nobody() {
    let file = Fixture::new(&format!("{ANA}{BEN}"));
    assert_eq!(file.verify("ana:secret").await, yes("ana"));
    let _turn = file.block().await;
    let mut guesses = Vec::new();
    for n in 1..256 {
        guesses.push(file.waiting(&format!("ana:guess{n}")).await);
    }
    assert_eq!(file.verify("ana:one too many").await, Err(Busy));
    assert_eq!(file.verify("ben:a:b").await, Err(Busy));
    assert_eq!(timeout(Duration::ZERO, file.verify("ana:secret")).await, Ok(yes("ana")));
    // From another address there is room.
    let other = Caller::Address([10, 0, 0, 1].into());
    assert!(timeout(Duration::ZERO, file.verify_for("ben:a:b", other)).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_right_password_is_forgotten_five_minutes_after_its_last_use() {
    let file = Fixture::new(ANA);
    assert_eq!(file.verify("ana:secret").await, yes("ana"));
    let turn = file.block().await;
    for _ in 0..3 {
        advance(Duration::from_secs(299)).await;
        assert_eq!(timeout(Duration::ZERO, file.verify("ana:secret")).await, Ok(yes("ana")));
    }
    advance(Duration::from_secs(300)).await;
    let again = file.waiting("ana:secret").await;
    drop(turn);
    assert_eq!(again.await, yes("ana"));
}

/// Nor does it bring the right one to be forgotten.
#[tokio::test(start_paused = true)]
async fn a_wrong_password_is_not_remembered() {
    let file = Fixture::new(ANA);
    assert_eq!(file.verify("ana:secret").await, yes("ana"));
    assert_eq!(file.verify("ana:wrong").await, Ok(None));
    let _turn = file.block().await;
    drop(file.waiting("ana:wrong").await);
    assert_eq!(timeout(Duration::ZERO, file.verify("ana:secret")).await, Ok(yes("ana")));
}

#[tokio::test(start_paused = true)]
async fn what_is_read_again_replaces_users_and_what_was_remembered() {
    let file = Fixture::new(&format!("{ANA}{BEN}"));
    assert_eq!(file.verify("ana:secret").await, yes("ana"));
    // The hash is ben's: ana's password is now "a:b".
    file.write(&BEN.replace("ben:", "ana:"));
    file.users.reload().unwrap();
    assert_eq!(file.users.len(), 1);
    assert_eq!(file.verify("ana:secret").await, Ok(None));
    assert_eq!(file.verify("ben:a:b").await, Ok(None));
    assert_eq!(file.verify("ana:a:b").await, yes("ana"));
}

/// A result that comes after the file was read again is not remembered for the new users.
#[tokio::test(start_paused = true)]
async fn a_late_result_is_one_about_the_old_users() {
    let file = Fixture::new(ANA);
    let turn = file.block().await;
    let late = file.waiting("ana:secret").await;
    file.write(&BEN.replace("ben:", "ana:"));
    file.users.reload().unwrap();
    drop(turn);
    assert_eq!(late.await, yes("ana"), "it was under way");
    assert_eq!(file.verify("ana:secret").await, Ok(None));
}

#[test]
fn a_file_with_an_error_changes_nothing() {
    let file = Fixture::new(&format!("{ANA}{BEN}"));
    file.write(&format!("{ANA}ben:hunter2\n"));
    let error = file.users.reload().unwrap_err();
    assert_eq!((error.line(), error.kind()), (Some(2), Kind::Unsupported { scheme: "plain text" }));
    assert_eq!(file.users.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_same_credentials_are_verified_once_at_a_time() {
    let file = Fixture::new(ANA);
    let turn = file.block().await;
    let mut waiting = Vec::new();
    for _ in 0..1000 {
        waiting.push(file.waiting("ana:secret").await);
    }
    assert_eq!(file.under_way(), (2, 1), "the blocked slot, and one for all of these");
    // The one that verifies for the others goes: the next one takes over.
    drop(waiting.remove(0));
    assert_eq!(file.under_way().1, 1);
    drop(turn);
    for verifying in waiting {
        assert_eq!(verifying.await, yes("ana"));
    }
    assert_eq!(file.under_way(), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_dropped_requests_leave_nothing() {
    let file = Fixture::new(&format!("{ANA}{BEN}"));
    for round in 0..100 {
        let turn = file.block().await;
        let mut waiting = Vec::new();
        for n in 0..100 {
            waiting.push(file.waiting(&format!("ana:guess{}", n % 60)).await);
        }
        assert_eq!(file.under_way(), (61, 60));
        if round % 2 == 0 {
            drop(turn);
        }
        drop(waiting);
    }
    assert_eq!(file.under_way(), (0, 0));
    assert_eq!(file.verify("ben:a:b").await, yes("ben"));
}

/// The thread is busy until it is done, whoever waits for it: only then is the turn over, and by then the result is kept.
#[tokio::test(start_paused = true)]
async fn a_verification_that_was_abandoned_keeps_its_turn_and_its_result() {
    let file = Fixture::new(ANA);
    let mut verifying = file.verify("ana:secret");
    let _ = poll_once(&mut verifying).await;
    drop(verifying);
    let _turn = file.block().await;
    assert_eq!(timeout(Duration::ZERO, file.verify("ana:secret")).await, Ok(yes("ana")));
}

async fn poll_once(verifying: &mut Verifying) {
    std::future::poll_fn(|cx| {
        let _ = verifying.as_mut().poll(cx);
        std::task::Poll::Ready(())
    })
    .await;
}

#[test]
fn what_is_no_file_of_users_is_refused() {
    let path = new_path();
    let error = UsersFile::load(&path).unwrap_err();
    assert_eq!((error.line(), error.kind()), (None, Kind::Read));
    assert_eq!(error.to_string(), format!("users file {}: cannot be read", path.display()));
    assert!(std::error::Error::source(&error).is_some());

    assert_eq!(UsersFile::load(std::env::temp_dir()).unwrap_err().kind(), Kind::NotAFile);

    let large = Fixture::new("");
    large.write(&"#\n".repeat(UsersFile::MAX_BYTES / 2));
    large.users.reload().unwrap();
    large.write(&format!("\n{}", "#\n".repeat(UsersFile::MAX_BYTES / 2)));
    assert_eq!(large.users.reload().unwrap_err().kind(), Kind::TooLarge { max: UsersFile::MAX_BYTES });
}

#[test]
fn no_output_shows_a_hash_or_a_password() {
    let file = Fixture::new(ANA);
    let mut shown = format!("{:?} {:?}", file.users, offered("ana:hunter2"));
    for text in ["ana:hunter2", "hunter2", "ana:$2y$99$hunter2", "ana:$6$hunter2", "ana:{SHA}hunter2", "\u{1}hunter2:x"]
    {
        file.write(text);
        let error = file.users.reload().unwrap_err();
        assert_eq!(error.path(), file.path);
        shown.push_str(&format!("{error} {error:?} {error:#?}"));
    }
    assert!(shown.contains("line 1"), "{shown}");
    for secret in ["hunter2", "OfJnf", "\u{1}"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}

#[cfg(unix)]
#[test]
fn a_file_that_all_may_read_is_told_of() {
    use std::os::unix::fs::PermissionsExt as _;
    let file = Fixture::new(ANA);
    for (mode, is_open) in [(0o600, false), (0o640, false), (0o644, true), (0o602, true)] {
        fs::set_permissions(&file.path, fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(is_open_to_all(&fs::metadata(&file.path).unwrap()), is_open, "{mode:o}");
    }
}
