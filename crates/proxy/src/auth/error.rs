use std::{
    fmt, io,
    path::{Path, PathBuf},
};

/// Why a users file cannot be used: which file, which line, and what is wrong with it.
///
/// Neither `Display` nor `Debug` quotes a hash, or what might be a password.
#[derive(Debug, thiserror::Error)]
#[error("users file {}{}: {kind}", path.display(), Line(*line))]
pub struct UsersFileError {
    path: PathBuf,
    line: Option<usize>,
    kind: UsersFileErrorKind,
    source: Option<io::Error>,
}

impl UsersFileError {
    pub(super) fn new(path: &Path, line: Option<usize>, kind: UsersFileErrorKind) -> Self {
        Self { path: path.into(), line, kind, source: None }
    }

    pub(super) fn read(path: &Path, error: io::Error) -> Self {
        Self { source: Some(error), ..Self::new(path, None, UsersFileErrorKind::Read) }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The line that is at fault, counted from 1; `None` when it is the whole file.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        self.line
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> UsersFileErrorKind {
        self.kind
    }
}

struct Line(Option<usize>);

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |line| write!(f, ", line {line}"))
    }
}

/// What is wrong with a users file or one of its lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UsersFileErrorKind {
    /// The system does not let it be read; the source says why.
    #[error("cannot be read")]
    Read,
    /// It is a folder, a pipe or a device: nothing that can be read again.
    #[error("not a regular file")]
    NotAFile,
    /// It has more than [`UsersFile::MAX_BYTES`](crate::UsersFile::MAX_BYTES).
    #[error("has more than {max} bytes")]
    TooLarge {
        /// The limit in bytes.
        max: usize,
    },
    /// It has more than [`UsersFile::MAX_USERS`](crate::UsersFile::MAX_USERS).
    #[error("has more than {max} users")]
    TooManyUsers {
        /// The limit.
        max: usize,
    },
    /// The line has more than [`UsersFile::MAX_LINE`](crate::UsersFile::MAX_LINE) bytes.
    #[error("has more than {max} bytes")]
    LineTooLong {
        /// The limit in bytes.
        max: usize,
    },
    /// The line is not UTF-8.
    #[error("is not UTF-8")]
    NotUtf8,
    /// No colon parts name and hash.
    #[error("a line is NAME:HASH, and there is no colon")]
    MissingColon,
    /// Nothing stands before the colon.
    #[error("the name is empty")]
    EmptyName,
    /// A control character in the name (RFC 7617 section 2).
    #[error("the name holds a control character")]
    ControlCharacter,
    /// The name leaves no room for a password in [`Credentials::MAX_LEN`](crate::Credentials::MAX_LEN).
    #[error("the name has more than {max} bytes")]
    NameTooLong {
        /// The limit in bytes.
        max: usize,
    },
    /// The name stands in an earlier line too.
    #[error("the name is that of line {first}")]
    Duplicate {
        /// The earlier line.
        first: usize,
    },
    /// Nothing stands behind the colon.
    #[error("the hash is missing")]
    MissingHash,
    /// A scheme that is not taken, or no hash at all.
    #[error("{scheme} is not taken, only bcrypt ($2y$, $2b$, $2a$) and sha512-crypt ($6$)")]
    Unsupported {
        /// What it looks like.
        scheme: &'static str,
    },
    /// The hash is not what its scheme writes.
    #[error("not a hash as {scheme} writes it")]
    Malformed {
        /// What its first characters say that it is.
        scheme: &'static str,
    },
    /// The cost is less than 4, or more than [`UsersFile::MAX_BCRYPT_COST`](crate::UsersFile::MAX_BCRYPT_COST).
    #[error("a bcrypt cost of {cost}, which is not one of 4 to {max}")]
    Cost {
        /// What the line has.
        cost: u32,
        /// The limit.
        max: u32,
    },
    /// Less than 1,000 rounds, or more than [`UsersFile::MAX_SHA512_ROUNDS`](crate::UsersFile::MAX_SHA512_ROUNDS).
    #[error("{rounds} rounds of sha512-crypt, which are not 1000 to {max}")]
    Rounds {
        /// What the line has.
        rounds: u32,
        /// The limit.
        max: u32,
    },
}
