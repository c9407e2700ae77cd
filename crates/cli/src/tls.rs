//! `--tls-cert` and its like: clients come over TLS.

use std::path::PathBuf;

use chaski_core::{BoxError, BoxIo, Conn, Description, Layer, Service, display_chain, optional, stack};
use chaski_stacks::HttpServer;
use chaski_tls::{AcceptLayer, CertifiedKey, ServerConfig, TlsStream};

use crate::{
    listen::{Bind, boxed},
    reload::Reloading,
    run::Failure,
};

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct TlsArgs {
    /// Speaks TLS to clients, with this certificate and those between it and its issuer (PEM or DER), in HTTP/2 or HTTP/1.1 as
    /// they agree. SIGHUP has it read again, with its key.
    #[arg(long, value_name = "PATH", requires = "tls_key", conflicts_with = "tls_self_signed")]
    tls_cert: Option<PathBuf>,

    /// The key of --tls-cert (PEM or DER), not encrypted.
    #[arg(long, value_name = "PATH", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// Speaks TLS to clients, with a certificate made at this start for localhost and the addresses of --bind. Nobody has a
    /// reason to trust it: it is for trying things.
    #[arg(long)]
    tls_self_signed: bool,
}

/// TLS as the command line has it.
#[derive(Clone)]
pub(crate) struct Tls {
    layer: AcceptLayer,
    files: Option<(PathBuf, PathBuf)>,
    /// Whether the hellos of clients are to be facts.
    hello: bool,
}

impl TlsArgs {
    /// Reads the files, or makes the certificate; `None` where clients come in clear.
    pub(crate) fn load(&self, binds: &[Bind], hello: bool) -> Result<Option<Tls>, Failure> {
        let files = self.tls_cert.clone().zip(self.tls_key.clone());
        let key = match &files {
            Some((chain, key)) => CertifiedKey::from_files(chain, key)
                .map_err(|error| Failure::System(display_chain(&error).to_string()))?,
            None if self.tls_self_signed => self_signed(binds)?,
            None => return Ok(None),
        };
        let layer = AcceptLayer::new(config(key, hello)).map_err(|error| Failure::system("TLS", &error))?;
        Ok(Some(Tls { layer, files, hello }))
    }
}

impl Tls {
    /// Has certificate and key read again with everything else that is, for the connections to come. An error leaves those read
    /// before.
    pub(crate) fn reload_with(self, reloading: &mut Reloading) {
        let Some((chain, key)) = self.files else { return };
        let (layer, hello) = (self.layer, self.hello);
        reloading.add(chain.display().to_string(), move || {
            let stays = |error: &(dyn std::error::Error + 'static)| {
                format!("{}; the certificate read before stays", display_chain(error))
            };
            let key = CertifiedKey::from_files(&chain, &key).map_err(|error| stays(&error))?;
            let subject = key.subject().unwrap_or_else(|| "no subject".to_owned());
            layer.replace(config(key, hello)).map_err(|error| stays(&error))?;
            Ok(format!("the certificate of {subject}"))
        });
    }
}

fn config(key: CertifiedKey, hello: bool) -> ServerConfig {
    ServerConfig::new(key).with_alpn(HttpServer::<()>::ALPN).with_client_hello(hello)
}

fn self_signed(binds: &[Bind]) -> Result<CertifiedKey, Failure> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    for bind in binds {
        if let Bind::Tcp(addr) = bind
            && !addr.ip().is_unspecified()
            && !names.contains(&addr.ip().to_string())
        {
            names.push(addr.ip().to_string());
        }
    }
    CertifiedKey::self_signed(names.iter().map(String::as_str))
        .map_err(|error| Failure::system("--tls-self-signed", &error))
}

/// The service for connections in clear, below TLS if there is any.
pub(crate) fn below<S>(
    tls: Option<&Tls>,
    service: S,
) -> impl Service<Conn<BoxIo>, Output = S::Output, Error = BoxError> + use<S>
where
    S: Service<Conn<BoxIo>, Error = BoxError>,
{
    let layer = tls.map(|tls| Unboxed(tls.layer.clone()));
    stack(optional(layer), service)
}

/// TLS around a service that takes any IO, so that all below is compiled for one.
#[derive(Clone, Debug)]
struct Unboxed(AcceptLayer);

impl<S> Layer<S> for Unboxed
where
    S: Service<Conn<BoxIo>>,
{
    type Service = <AcceptLayer as Layer<Boxing<S>>>::Service;

    fn layer(&self, inner: S) -> Self::Service {
        self.0.layer(Boxing(inner))
    }
}

/// Gives the service below it connections of one type.
#[derive(Debug)]
pub(crate) struct Boxing<S>(S);

impl<S: Service<Conn<BoxIo>>> Service<Conn<TlsStream<BoxIo>>> for Boxing<S> {
    type Output = S::Output;
    type Error = S::Error;

    async fn serve(&self, conn: Conn<TlsStream<BoxIo>>) -> Result<S::Output, S::Error> {
        self.0.serve(conn.map_io(boxed)).await
    }

    fn describe(&self) -> Description {
        self.0.describe()
    }
}
