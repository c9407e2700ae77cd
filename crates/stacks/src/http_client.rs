use chaski_client::Client;
use chaski_http_core::{Http1ClientConfig, Http1Connector};
use chaski_net::Dialer;

/// The type of [`http_client`].
pub type HttpClient = Client<Http1Connector<Dialer>>;

/// An HTTP client over TCP, with the defaults of its parts. It dials whatever address it is asked for: a service that takes
/// URLs from strangers gives its [`Dialer`] an address policy.
///
/// ```no_run
/// use chaski_core::{Service, http::{Body, Request}};
///
/// # async fn example() -> Result<(), chaski_core::BoxError> {
/// let client = chaski_stacks::http_client();
/// let response = client.serve(Request::get("http://example.com/").body(Body::empty())?).await?;
/// println!("{}", response.status());
/// # Ok(()) }
/// ```
#[must_use]
pub fn http_client() -> HttpClient {
    // From the request down: connections kept by target, HTTP/1.1 on each, TCP under it.
    Client::new(Http1Connector::new(Dialer::new(), Http1ClientConfig::default()))
}
