use std::sync::Arc;

use chaski_core::{
    Caller,
    http::{Message, Request},
};
use subtle::{ConditionallySelectable, ConstantTimeEq};

use super::{
    basic::Offered,
    credentials::{Credentials, Padded},
    file::UsersFile,
    turns::Busy,
};

/// Who may use a proxy: credentials given one by one, those of a [`UsersFile`], or both. The default is nobody.
///
/// A list or an array of [`Credentials`] turns into it.
#[derive(Clone, Debug, Default)]
pub struct Users {
    listed: Vec<Credentials>,
    file: Option<UsersFile>,
}

impl Users {
    /// Nobody.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// And these. A name may stand there with more than one password, as while one is replaced.
    #[must_use]
    pub fn with_credentials(mut self, users: impl IntoIterator<Item = Credentials>) -> Self {
        self.listed.extend(users);
        self
    }

    /// And those of this file, instead of any file named before.
    #[must_use]
    pub fn with_file(mut self, file: UsersFile) -> Self {
        self.file = Some(file);
        self
    }

    /// How many users are listed, not counting those of the file.
    pub(super) fn listed(&self) -> usize {
        self.listed.len()
    }

    pub(super) fn file(&self) -> Option<&UsersFile> {
        self.file.as_ref()
    }

    /// The name of the user whose credentials these are. The file is asked last: only its passwords can take time.
    pub(super) async fn find(&self, offered: Offered, request: &Request) -> Result<Option<Arc<str>>, Busy> {
        match (find_listed(&self.listed, &offered), &self.file) {
            (None, Some(file)) => {
                // The user is not known yet: the address counts.
                let caller = request.existing_scope().map_or(Caller::Unknown, Caller::address_in_scope);
                file.verify(offered, caller).await
            }
            (found, _) => Ok(found),
        }
    }
}

impl<const N: usize> From<[Credentials; N]> for Users {
    fn from(users: [Credentials; N]) -> Self {
        Self::new().with_credentials(users)
    }
}

impl From<Vec<Credentials>> for Users {
    fn from(users: Vec<Credentials>) -> Self {
        Self::new().with_credentials(users)
    }
}

/// All users are compared, each in the same time, so that the answer's delay tells nothing but the length of what was
/// sent.
fn find_listed(users: &[Credentials], offered: &Offered) -> Option<Arc<str>> {
    let offered = Padded::new(offered.text())?;
    let mut found = u32::MAX;
    for (n, user) in (0_u32..).zip(users) {
        found.conditional_assign(&n, user.secret.ct_eq(&offered));
    }
    users.get(usize::try_from(found).ok()?).map(|user| Arc::clone(&user.name))
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    use http::{HeaderMap, HeaderValue, header};

    use super::*;

    fn users() -> Vec<Credentials> {
        ["ana:secret", "ben:a:b", "ben:new", "zoë:pässwörd"].map(|text| text.parse().unwrap()).into()
    }

    fn check(fields: &[&[u8]], expected: Option<&str>) {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(header::PROXY_AUTHORIZATION, HeaderValue::from_bytes(field).unwrap());
        }
        let name = Offered::of(&headers).and_then(|offered| find_listed(&users(), &offered));
        assert_eq!(name.as_deref(), expected, "{fields:?}");
    }

    // The encoded forms are what `printf %s NAME:PASSWORD | base64` prints.
    #[test]
    fn known_users_are_found_and_others_are_not() {
        check(&[b"Basic YW5hOnNlY3JldA=="], Some("ana"));
        check(&[b"bASIC   YW5hOnNlY3JldA=="], Some("ana"));
        check(&[b"Basic YmVuOmE6Yg=="], Some("ben"));
        check(&[b"Basic YmVuOm5ldw=="], Some("ben"));
        check(&["Basic em/Dqzpww6Rzc3fDtnJk".as_bytes()], Some("zoë"));

        check(&[], None);
        check(&[b"Basic YW5hOnNlY3JldA==", b"Basic YW5hOnNlY3JldA=="], None);
        check(&[b""], None);
        check(&[b"Basic"], None);
        check(&[b"Basic "], None);
        check(&[b"BasicYW5hOnNlY3JldA=="], None);
        check(&[b"Bearer YW5hOnNlY3JldA=="], None);
        check(&[b"Basic YW5hOnNlY3JldA="], None); // padding cut
        check(&[b"Basic YW5hOnNlY3JldA== x"], None);
        check(&[b"Basic YW5hOnNlY3JldB=="], None); // stray bits at the end
        check(&[b"Basic \xff\xfe"], None);
        check(&[b"Basic YW5hOnNlY3Jl"], None); // ana:secre
        check(&[b"Basic YW5hOnNlY3JldA0="], None); // ana:secret\r
        check(&[b"Basic YW5hOnNlY3JldAA="], None); // ana:secret\0
        check(&[b"Basic YW5h"], None); // ana
        check(&[b"Basic YW5hOg=="], None); // ana:
        check(&[b"Basic OnNlY3JldA=="], None); // :secret
        check(&[b"Basic QU5BOnNlY3JldA=="], None); // ANA:secret
        check(&[b"Basic YW5hOmE6Yg=="], None); // ana:a:b, ben's password
    }

    #[test]
    fn longer_credentials_than_any_user_can_have_are_wrong() {
        let long = BASE64_STANDARD.encode([b'a'; 5000]);
        check(&[format!("Basic {long}").as_bytes()], None);
    }
}
