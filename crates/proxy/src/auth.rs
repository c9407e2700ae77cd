//! Basic authentication of a proxy's clients (RFC 7617, RFC 9110 section 11.7).

use std::{fmt, str::FromStr, sync::Arc};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use chaski_core::{
    Description, Layer, Service, User,
    http::{Message, Request, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use crate::{CredentialsError, answer::Refusal};

const CHALLENGE: HeaderValue = HeaderValue::from_static(r#"Basic realm="chaski", charset="UTF-8""#);

/// Lets only those requests through that carry the credentials of a known user.
///
/// Others are answered with 407 and a challenge, and the service below does not see them. A request that passes has
/// the fact [`User`] in its scope and no Proxy-Authorization field any more, so that no layer below can leak it.
///
/// Credentials travel in clear: over anything but loopback and TLS, whoever listens has them. Guesses are not limited
/// here.
///
/// With no users at all, nobody gets through.
///
/// ```
/// use chaski_core::{Service, User, http::{Body, Message, Request, Response}, service_fn, stack};
/// use chaski_proxy::{Credentials, ProxyAuthLayer};
/// use std::convert::Infallible;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let greet = service_fn(async |request: Request| {
///     let name = request.fact::<User>().map_or("nobody", |user| &user.0).to_owned();
///     Ok::<_, Infallible>(Response::new(Body::full(name)))
/// });
/// let guarded = stack(ProxyAuthLayer::new(["ana:secret".parse::<Credentials>()?]), greet);
///
/// let stranger = guarded.serve(Request::new(Body::empty())).await?;
/// assert_eq!(stranger.status(), 407);
///
/// let known = Request::builder().header("proxy-authorization", "Basic YW5hOnNlY3JldA==").body(Body::empty())?;
/// assert_eq!(guarded.serve(known).await?.into_body().collect(10).await.unwrap(), "ana");
/// # Ok(()) }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(example()).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct ProxyAuthLayer {
    users: Arc<[Credentials]>,
}

impl ProxyAuthLayer {
    /// Lets these users through. A name may stand there with more than one password, as while one is replaced.
    pub fn new(users: impl IntoIterator<Item = Credentials>) -> Self {
        Self { users: users.into_iter().collect() }
    }
}

impl<S> Layer<S> for ProxyAuthLayer {
    type Service = ProxyAuth<S>;

    fn layer(&self, inner: S) -> ProxyAuth<S> {
        ProxyAuth { users: Arc::clone(&self.users), inner }
    }
}

/// The service of [`ProxyAuthLayer`].
#[derive(Clone, Debug)]
pub struct ProxyAuth<S> {
    users: Arc<[Credentials]>,
    inner: S,
}

impl<S> Service<Request> for ProxyAuth<S>
where
    S: Service<Request, Output = Response>,
{
    type Output = Response;
    type Error = S::Error;

    async fn serve(&self, mut request: Request) -> Result<Response, S::Error> {
        let Some(user) = authenticate(&self.users, request.headers()) else {
            let offered = request.headers().contains_key(header::PROXY_AUTHORIZATION);
            tracing::debug!(offered, "a request without valid proxy credentials is refused");
            return Ok(challenge());
        };
        request.headers_mut().remove(header::PROXY_AUTHORIZATION);
        request.scope().insert(User(user));
        self.inner.serve(request).await
    }

    fn describe(&self) -> Description {
        Description::of::<Self>().setting("users", self.users.len()).writes::<User>().child(self.inner.describe())
    }
}

/// RFC 9110 section 15.5.8. Credentials that cannot be read get the same answer as wrong ones and none: a client has to
/// do the same about each.
fn challenge() -> Response {
    let mut response =
        Refusal::new(StatusCode::PROXY_AUTHENTICATION_REQUIRED, "proxy authentication required").into_response();
    response.headers_mut().insert(header::PROXY_AUTHENTICATE, CHALLENGE);
    response
}

/// The name of the user whose credentials these are.
///
/// All users are compared, each in the same time, so that the answer's delay tells nothing but the length of what was
/// sent.
fn authenticate(users: &[Credentials], headers: &HeaderMap) -> Option<Arc<str>> {
    let mut values = headers.get_all(header::PROXY_AUTHORIZATION).iter();
    // Of two fields, another proxy might take the other.
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let offered = Padded::new(&basic(value.as_bytes())?)?;
    let mut found = u32::MAX;
    for (n, user) in (0_u32..).zip(users) {
        found.conditional_assign(&n, user.secret.ct_eq(&offered));
    }
    users.get(usize::try_from(found).ok()?).map(|user| Arc::clone(&user.name))
}

/// `Basic SP token68`, the scheme in any case (RFC 9110 section 11.4, RFC 7617 section 2).
fn basic(value: &[u8]) -> Option<Vec<u8>> {
    let (scheme, encoded) = value.split_at_checked("Basic ".len())?;
    if !scheme.eq_ignore_ascii_case(b"Basic ") {
        return None;
    }
    BASE64_STANDARD.decode(encoded.trim_ascii_start()).ok()
}

/// A user's name and password. Parses from `NAME:PASSWORD`; neither `Debug` nor any error shows the password.
///
/// Names and passwords are compared byte by byte, in UTF-8: the same letter written in two ways of Unicode is two.
///
/// ```
/// use chaski_proxy::Credentials;
///
/// let ana: Credentials = "ana:se:cret".parse()?;
/// assert_eq!(ana.name(), "ana");
/// assert!(!format!("{ana:?}").contains("cret"));
/// # Ok::<(), chaski_proxy::CredentialsError>(())
/// ```
#[derive(Clone)]
pub struct Credentials {
    name: Arc<str>,
    secret: Padded,
}

impl Credentials {
    /// The most bytes that name, colon and password may have together. Every comparison takes the time of that many.
    pub const MAX_LEN: usize = 256;

    /// From a name and a password.
    ///
    /// # Errors
    ///
    /// See [`CredentialsError`].
    pub fn new(name: &str, password: &str) -> Result<Self, CredentialsError> {
        // RFC 7617 section 2: the first colon ends the name.
        if name.contains(':') {
            return Err(CredentialsError::ColonInName);
        }
        if name.is_empty() {
            return Err(CredentialsError::EmptyName);
        }
        if password.is_empty() {
            return Err(CredentialsError::EmptyPassword);
        }
        if name.chars().chain(password.chars()).any(char::is_control) {
            return Err(CredentialsError::ControlCharacter);
        }
        let secret = Padded::new(format!("{name}:{password}").as_bytes());
        let secret = secret.ok_or(CredentialsError::TooLong { max: Self::MAX_LEN })?;
        Ok(Self { name: name.into(), secret })
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl FromStr for Credentials {
    type Err = CredentialsError;

    fn from_str(text: &str) -> Result<Self, CredentialsError> {
        let (name, password) = text.split_once(':').ok_or(CredentialsError::MissingColon)?;
        Self::new(name, password)
    }
}

// By hand: a password is not for logs.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("name", &self.name).field("password", &"..").finish()
    }
}

/// Bytes beside their length, filled up with zeros, so that two are compared in a time that depends on neither.
#[derive(Clone)]
struct Padded {
    bytes: [u8; Credentials::MAX_LEN],
    len: u64,
}

impl Padded {
    fn new(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; Credentials::MAX_LEN];
        bytes.get_mut(..text.len())?.copy_from_slice(text);
        Some(Self { bytes, len: text.len() as u64 })
    }
}

impl ConstantTimeEq for Padded {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.bytes.ct_eq(&other.bytes) & self.len.ct_eq(&other.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users() -> Vec<Credentials> {
        ["ana:secret", "ben:a:b", "ben:new", "zoë:pässwörd"].map(|text| text.parse().unwrap()).into()
    }

    fn check(fields: &[&[u8]], expected: Option<&str>) {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(header::PROXY_AUTHORIZATION, HeaderValue::from_bytes(field).unwrap());
        }
        let name = authenticate(&users(), &headers);
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

    #[test]
    fn credentials_are_checked_when_they_are_made() {
        let parse = |text: &str| text.parse::<Credentials>().map(|user| user.name().to_owned());
        assert_eq!(parse("ana:se:cret"), Ok("ana".to_owned()));
        assert_eq!(parse("ana"), Err(CredentialsError::MissingColon));
        assert_eq!(parse(""), Err(CredentialsError::MissingColon));
        assert_eq!(parse(":secret"), Err(CredentialsError::EmptyName));
        assert_eq!(parse("ana:"), Err(CredentialsError::EmptyPassword));
        assert_eq!(parse("ana:secret\n"), Err(CredentialsError::ControlCharacter));
        assert_eq!(parse("a\u{7f}na:secret"), Err(CredentialsError::ControlCharacter));
        assert_eq!(parse(&format!("ana:{}", "x".repeat(252))), Ok("ana".to_owned()));
        assert_eq!(parse(&format!("ana:{}", "x".repeat(253))), Err(CredentialsError::TooLong { max: 256 }));
        assert_eq!(Credentials::new("a:b", "c").unwrap_err(), CredentialsError::ColonInName);
    }

    #[test]
    fn no_debug_output_shows_a_password() {
        let layer = ProxyAuthLayer::new(users());
        let text = format!("{layer:?} {:?} {:#?}", layer.layer(()), users());
        assert!(text.contains("ana"));
        for password in ["secret", "a:b", "new", "pässwörd", "115, 101, 99"] {
            assert!(!text.contains(password), "{password} in {text}");
        }
    }
}
