//! The users of a file, as they were read.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::BuildHasher,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use subtle::ConstantTimeEq;
use tokio::time::Instant;

use super::{UsersFileErrorKind as Kind, hash::PasswordHash};
use crate::Credentials;

pub(super) const MAX_USERS: usize = 10_000;
pub(super) const MAX_LINE: usize = 1024;

/// The keyed digest of a name and a password.
pub(super) type Digest = [u8; 32];

/// Users by their names.
pub(super) struct Table {
    users: Vec<FileUser>,
    places: HashMap<Arc<str>, usize>,
}

impl Table {
    /// Reads `NAME:HASH` lines. The error's number is that of the line.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, (usize, Kind)> {
        // Some editors write a mark in front of UTF-8, which would be taken for a part of the first name.
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut table = Self { users: Vec::new(), places: HashMap::new() };
        let mut lines = Vec::new();
        for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
            let Some((name, hash)) = parse_line(line).map_err(|kind| (number, kind))? else { continue };
            if table.users.len() == MAX_USERS {
                return Err((number, Kind::TooManyUsers { max: MAX_USERS }));
            }
            let name: Arc<str> = name.into();
            match table.places.entry(Arc::clone(&name)) {
                Entry::Occupied(place) => return Err((number, Kind::Duplicate { first: lines[*place.get()] })),
                Entry::Vacant(place) => place.insert(table.users.len()),
            };
            lines.push(number);
            table.users.push(FileUser { name, hash, good: Mutex::default() });
        }
        Ok(table)
    }

    pub(super) fn len(&self) -> usize {
        self.users.len()
    }

    /// The place of a user, and whether it is that of the name. For an unknown name it is that of somebody else, always
    /// the same one: to verify a password against their hash takes the time that a known name would. `None` when there is
    /// nobody.
    pub(super) fn find(&self, name: &[u8]) -> Option<(usize, bool)> {
        let known = str::from_utf8(name).ok().and_then(|name| self.places.get(name));
        match known {
            Some(place) => Some((*place, true)),
            None => {
                // The map's own hasher, which is seeded at random: nobody can tell who stands in for a name.
                let number = self.places.hasher().hash_one(name).checked_rem(self.users.len() as u64)?;
                Some((usize::try_from(number).ok()?, false))
            }
        }
    }

    pub(super) fn user(&self, place: usize) -> &FileUser {
        &self.users[place]
    }
}

/// A user of the file.
pub(super) struct FileUser {
    pub(super) name: Arc<str>,
    pub(super) hash: PasswordHash,
    /// The password that was found right. The hash does not change, so neither does the result; that it is forgotten
    /// after a while only limits what can be read from the memory of the process.
    good: Mutex<Option<Good>>,
}

struct Good {
    digest: Digest,
    used: Instant,
}

impl FileUser {
    /// Whether these are the credentials that were [found right](Self::remember) at most `keep` ago, or were asked for
    /// since.
    pub(super) fn is_good(&self, digest: &Digest, keep: Duration) -> bool {
        let mut good = self.good();
        let now = Instant::now();
        match &mut *good {
            Some(good) if now - good.used < keep => {
                let is_same: bool = good.digest.ct_eq(digest).into();
                if is_same {
                    good.used = now;
                }
                is_same
            }
            _ => {
                *good = None;
                false
            }
        }
    }

    pub(super) fn remember(&self, digest: Digest) {
        *self.good() = Some(Good { digest, used: Instant::now() });
    }

    fn good(&self) -> std::sync::MutexGuard<'_, Option<Good>> {
        // Nothing panics while the lock is held.
        self.good.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name and the hash of a line; `None` for a comment or a blank one.
fn parse_line(line: &[u8]) -> Result<Option<(&str, PasswordHash)>, Kind> {
    /// A colon and one byte of a password have to fit behind it.
    const MAX_NAME: usize = Credentials::MAX_LEN - 2;

    if line.len() > MAX_LINE {
        return Err(Kind::LineTooLong { max: MAX_LINE });
    }
    let line = str::from_utf8(line).map_err(|_| Kind::NotUtf8)?.trim_ascii();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (name, rest) = line.split_once(':').ok_or(Kind::MissingColon)?;
    if name.is_empty() {
        return Err(Kind::EmptyName);
    }
    if name.chars().any(char::is_control) {
        return Err(Kind::ControlCharacter);
    }
    if name.len() > MAX_NAME {
        return Err(Kind::NameTooLong { max: MAX_NAME });
    }
    // Web servers take what follows another colon for a remark, and no hash has one.
    let hash = rest.split_once(':').map_or(rest, |(hash, _)| hash);
    Ok(Some((name, PasswordHash::parse(hash)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Passwords "secret" and "hunter2", see `hash.rs`.
    const BCRYPT: &str = "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW";
    const SHA512: &str = "$6$rounds=1000$abcdefgh$t5NmrWOyohJ8f73CiI.ipwnmEO82Ymv802ja2TZrmBnj00Hvr2YrP2TDI7aBzNhjsP40J3Yd13Z66StlJAayI1";

    fn parse(text: impl AsRef<[u8]>) -> Result<Vec<String>, (usize, Kind)> {
        let table = Table::parse(text.as_ref())?;
        for (place, user) in table.users.iter().enumerate() {
            assert_eq!(table.find(user.name.as_bytes()), Some((place, true)));
        }
        Ok(table.users.iter().map(|user| user.name.to_string()).collect())
    }

    #[test]
    fn users_stand_one_in_a_line_among_comments() {
        assert_eq!(parse(format!("ana:{BCRYPT}\nben:{SHA512}")).unwrap(), ["ana", "ben"]);
        let text = format!("\u{feff}# users\r\n\r\n  ana:{BCRYPT}  \r\n\t#ben:secret\nzoë x:{SHA512}:since 2020:\n\n");
        assert_eq!(parse(text).unwrap(), ["ana", "zoë x"]);
        for empty in ["", "\n", "# nobody", "\u{feff}"] {
            assert_eq!(parse(empty).unwrap(), [""; 0]);
            assert_eq!(Table::parse(empty.as_bytes()).ok().unwrap().find(b"ana"), None);
        }
    }

    #[test]
    fn an_error_tells_its_line_and_the_whole_file_is_refused() {
        let long = "a".repeat(255);
        for (line, kind) in [
            ("ana".to_owned(), Kind::MissingColon),
            (format!(":{BCRYPT}"), Kind::EmptyName),
            (format!("a\u{7f}na:{BCRYPT}"), Kind::ControlCharacter),
            (format!("{long}:{BCRYPT}"), Kind::NameTooLong { max: 254 }),
            (format!("ben:{SHA512}"), Kind::Duplicate { first: 2 }),
            ("ana:".to_owned(), Kind::MissingHash),
            ("ana::x".to_owned(), Kind::MissingHash),
            ("ana:secret".to_owned(), Kind::Unsupported { scheme: "plain text" }),
            (format!("ana:{BCRYPT}{}", ":".repeat(1024)), Kind::LineTooLong { max: 1024 }),
            (format!("#{}", "x".repeat(1024)), Kind::LineTooLong { max: 1024 }),
        ] {
            let text = format!("# users\nben:{BCRYPT}\n\n{line}\n");
            assert_eq!(parse(text), Err((4, kind)), "{line}");
        }
        assert_eq!(parse(b"ana:\xff"), Err((1, Kind::NotUtf8)));
        assert_eq!(parse(format!("{}:{BCRYPT}", &long[..254])).unwrap(), [&long[..254]]);
    }

    #[test]
    fn names_are_told_apart_byte_by_byte() {
        assert_eq!(parse(format!("ana:{BCRYPT}\nAna:{BCRYPT}\nan a:{BCRYPT}")).unwrap(), ["ana", "Ana", "an a"]);
    }

    #[test]
    fn no_more_users_than_the_limit() {
        let lines = |n: usize| (0..n).map(|n| format!("user{n}:{BCRYPT}\n")).collect::<String>();
        assert_eq!(parse(lines(10_000)).unwrap().len(), 10_000);
        assert_eq!(parse(lines(10_001)), Err((10_001, Kind::TooManyUsers { max: 10_000 })));
    }

    #[test]
    fn somebody_stands_in_for_an_unknown_name_and_always_the_same() {
        let table = Table::parse(format!("ana:{BCRYPT}\nben:{SHA512}\ncleo:{BCRYPT}").as_bytes()).ok().unwrap();
        let mut seen = [false; 3];
        for n in 0..100 {
            let name = format!("nobody{n}").into_bytes();
            let (place, is_known) = table.find(&name).unwrap();
            assert!(!is_known);
            assert_eq!(table.find(&name), Some((place, false)));
            seen[place] = true;
        }
        assert_eq!(seen, [true; 3]);
        assert!(!table.find(b"\xff").unwrap().1);
    }
}
