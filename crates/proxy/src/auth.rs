//! Basic authentication of a proxy's clients (RFC 7617, RFC 9110 section 11.7).

use std::sync::Arc;

use chaski_core::{
    Description, Layer, Service, SocketAddrs, User,
    http::{Message, Request, Response},
};
use http::{HeaderValue, StatusCode, header};

use crate::{Pseudonym, answer::Refusal, status::ProxyError};

mod basic;
mod credentials;
mod error;
mod file;
mod flights;
mod hash;
mod table;
mod turns;
mod users;

pub use credentials::Credentials;
pub use error::{UsersFileError, UsersFileErrorKind};
pub use file::UsersFile;
pub use users::Users;

use basic::Offered;
use turns::Busy;

const CHALLENGE: HeaderValue = HeaderValue::from_static(r#"Basic realm="chaski", charset="UTF-8""#);

/// Lets only those requests through that carry the credentials of a known user.
///
/// Others are answered with 407 and a challenge, and the service below does not see them. A request that passes has
/// the fact [`User`] in its scope and no Proxy-Authorization field any more, so that no layer below can leak it.
///
/// Credentials travel in clear: over anything but loopback and TLS, whoever listens has them. Guesses are not limited
/// here, but for what [`UsersFile`] says about its own.
///
/// With no users at all, nobody gets through.
///
/// With a [`UsersFile`] it runs on tokio alone. While too many passwords wait to be verified, the answer is 503 with
/// Retry-After, without a challenge: the credentials may be right.
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
    users: Arc<Users>,
    name: Option<Pseudonym>,
}

impl ProxyAuthLayer {
    /// Lets these users through.
    pub fn new(users: impl Into<Users>) -> Self {
        Self { users: Arc::new(users.into()), name: None }
    }

    /// Names the proxy in the Proxy-Status of answers. Give it the [name of the proxy](crate::ForwardProxy::with_pseudonym)
    /// below. Default: none, and no Proxy-Status.
    #[must_use]
    pub fn with_pseudonym(mut self, name: Pseudonym) -> Self {
        self.name = Some(name);
        self
    }
}

impl<S> Layer<S> for ProxyAuthLayer {
    type Service = ProxyAuth<S>;

    fn layer(&self, inner: S) -> ProxyAuth<S> {
        ProxyAuth { users: Arc::clone(&self.users), name: self.name.clone(), inner }
    }
}

/// The service of [`ProxyAuthLayer`].
#[derive(Clone, Debug)]
pub struct ProxyAuth<S> {
    users: Arc<Users>,
    name: Option<Pseudonym>,
    inner: S,
}

impl<S> Service<Request> for ProxyAuth<S>
where
    S: Service<Request, Output = Response>,
{
    type Output = Response;
    type Error = S::Error;

    async fn serve(&self, mut request: Request) -> Result<Response, S::Error> {
        let user = match Offered::of(request.headers()) {
            Some(offered) => self.users.find(offered, &request).await,
            None => Ok(None),
        };
        let user = match user {
            Ok(Some(user)) => user,
            Ok(None) => {
                let offered = request.headers().contains_key(header::PROXY_AUTHORIZATION);
                tracing::debug!(offered, "a request without valid proxy credentials is refused");
                return Ok(challenge(self.name.as_ref()));
            }
            Err(Busy) => {
                tracing::debug!("a request is refused because too many passwords wait to be verified");
                return Ok(busy(self.name.as_ref()));
            }
        };
        request.headers_mut().remove(header::PROXY_AUTHORIZATION);
        request.scope().insert(User(user));
        self.inner.serve(request).await
    }

    fn describe(&self) -> Description {
        let mut node = Description::of::<Self>().setting("users", self.users.listed());
        if let Some(file) = self.users.file() {
            node = node.setting("file", file.path().display()).setting("file_users", file.len());
            node = node.setting("verifications_at_once", file.at_once()).may_read::<SocketAddrs>();
        }
        node.writes::<User>().child(self.inner.describe())
    }
}

/// RFC 9110 section 15.5.8. Credentials that cannot be read get the same answer as wrong ones and none: a client has to
/// do the same about each.
fn challenge(by: Option<&Pseudonym>) -> Response {
    let refusal = Refusal::new(
        StatusCode::PROXY_AUTHENTICATION_REQUIRED,
        ProxyError::HttpRequestDenied,
        "proxy authentication required",
    );
    let mut response = refusal.into_response(by);
    response.headers_mut().insert(header::PROXY_AUTHENTICATE, CHALLENGE);
    response
}

fn busy(by: Option<&Pseudonym>) -> Response {
    let refusal = Refusal::new(
        StatusCode::SERVICE_UNAVAILABLE,
        ProxyError::ProxyInternalResponse,
        "too many passwords are being verified, try again",
    );
    refusal.into_response(by)
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, time::Duration};

    use base64::{Engine as _, prelude::BASE64_STANDARD};
    use chaski_core::{http::Body, service_fn, stack};
    use tokio::time::timeout;

    use super::*;

    fn request(password: &str) -> Request {
        let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("ana:{password}")));
        Request::builder().header("proxy-authorization", basic).body(Body::empty()).unwrap()
    }

    /// Nothing is verified here, so the queue of the one address that there is fills up.
    #[tokio::test(start_paused = true)]
    async fn who_finds_no_place_to_wait_is_told_to_come_again() {
        let path = std::env::temp_dir().join(format!("chaski-users-busy-{}", std::process::id()));
        std::fs::write(&path, "ana:$2a$04$zyxwvutsrqponmlkjihgfeOr7dgAtBcVeOZN5Y3mVBGSU0FZWExrq").unwrap();
        let file = UsersFile::load_with(path.clone(), 0);
        std::fs::remove_file(&path).unwrap();
        let inner = service_fn(async |_: Request| Ok::<_, Infallible>(Response::new(Body::empty())));
        let guarded = stack(ProxyAuthLayer::new(Users::new().with_file(file.unwrap())), inner);
        let mut waiting = Vec::new();
        for n in 0..256 {
            let mut serving = Box::pin(guarded.serve(request(&format!("guess{n}"))));
            assert!(timeout(Duration::ZERO, &mut serving).await.is_err());
            waiting.push(serving);
        }
        let Ok(answer) = guarded.serve(request("one more")).await;
        assert_eq!((answer.status().as_u16(), &answer.headers()["retry-after"]), (503, &HeaderValue::from_static("1")));
        assert!(!answer.headers().contains_key("proxy-authenticate"));
    }

    #[test]
    fn no_debug_output_shows_a_password() {
        let users =
            ["ana:secret", "ben:a:b", "ben:new", "zoë:pässwörd"].map(|text| text.parse::<Credentials>().unwrap());
        let layer = ProxyAuthLayer::new(users.clone());
        let text = format!("{layer:?} {:?} {users:#?}", layer.layer(()));
        assert!(text.contains("ana"));
        for password in ["secret", "a:b", "new", "pässwörd", "115, 101, 99"] {
            assert!(!text.contains(password), "{password} in {text}");
        }
    }
}
