//! A server's handshake.

use std::{
    future::{Future, poll_fn},
    io,
    pin::pin,
    sync::Arc,
    task::Poll,
};

use chaski_core::{BoxError, BoxService, Conn, Domain, Extensions, Io, Service, ShutdownSignal, display_chain};
use rustls::{
    Connection, Error, PeerIncompatible,
    server::{Accepted, AcceptedAlert},
};
use tokio::{io::AsyncWriteExt, time::timeout};

use super::{in_time, record};
use crate::{
    Alert, CertifiedKey, ServerConfig, TlsError, TlsStream,
    config::{CompiledServer, Source},
    hello::{ClientHello, ClientHelloDecoder, ClientHelloError},
    refusal::{self, TLS_1_2},
    stats::Counts,
    stream::Reader,
};

/// Does the handshake, in the time that it has, unless the server stops meanwhile.
pub(crate) async fn accept<I: Io>(
    server: Arc<CompiledServer>,
    counts: &Counts,
    conn: Conn<I>,
) -> Result<Conn<TlsStream<I>>, TlsError> {
    let accepted = accept_uncounted(&server, counts, conn).await;
    accepted.inspect_err(|error| {
        counts.failed();
        tracing::debug!(error = %display_chain(error), "refused a TLS client");
    })
}

async fn accept_uncounted<I: Io>(
    server: &CompiledServer,
    counts: &Counts,
    conn: Conn<I>,
) -> Result<Conn<TlsStream<I>>, TlsError> {
    let Conn { io, ext } = conn;
    let handshake = in_time(server.settings.handshake_timeout, handshake(server, io, &ext));
    let done = unless_draining(ext.get::<ShutdownSignal>().cloned(), handshake).await;
    match done.ok_or(TlsError::Draining)?? {
        Ok(stream) => {
            record(&stream, server_name(stream.connection()), counts, &ext);
            Ok(Conn { io: stream, ext })
        }
        Err(refused) => Err(refused.tell().await),
    }
}

async fn handshake<I: Io>(server: &CompiledServer, mut io: I, scope: &Extensions) -> Result<TlsStream<I>, Refused<I>> {
    let CompiledServer { base, turns, settings } = server;
    let mut tap = Tap::new(settings, scope);
    let hello = match read_hello(&mut io, &mut tap).await {
        Ok(hello) => hello,
        Err((error, alert)) => return Err(Refused { error, left: Left::Io(io, alert) }),
    };
    if settings.client_hello
        && let Some(seen) = &tap.hello
    {
        scope.insert(seen.clone());
    }
    // From here on a client costs more than the bytes that it has sent. Nobody closes the semaphore.
    let _turn = turns.acquire().await;
    let name = hello.client_hello().server_name().map(str::to_ascii_lowercase);
    let key = match &settings.source {
        Source::Certificates(certificates) => match certificates.find(name.as_deref()) {
            Some(key) => key,
            None => {
                let error = TlsError::NoServerCertificate { server_name: name };
                return Err(Refused { error, left: Left::Io(io, fatal(Alert::UNRECOGNIZED_NAME)) });
            }
        },
        Source::Issuer(issuer) => match tap.issue(issuer, scope).await {
            Ok(key) => key,
            Err((error, alert)) => return Err(Refused { error, left: Left::Io(io, fatal(alert)) }),
        },
    };
    match hello.into_connection(key.server_config(base)) {
        Ok(tls) => {
            let mut stream = TlsStream::new(io, tls);
            match stream.handshake().await {
                Ok(()) => Ok(stream),
                Err(error) => Err(Refused { error, left: Left::Stream(stream) }),
            }
        }
        Err(failed) => {
            let (error, alert) = told(failed);
            Err(Refused { error, left: Left::Io(io, alert) })
        }
    }
}

/// Reads the client's hello; an error comes with the alert that answers it.
async fn read_hello<I: Io>(io: &mut I, tap: &mut Tap) -> Result<Accepted, (TlsError, Vec<u8>)> {
    let mut acceptor = rustls::server::Acceptor::default();
    poll_fn(|cx| {
        loop {
            let mut tapped = Tapped { reader: Reader { io, cx }, tap, failed: false };
            match acceptor.read_tls(&mut tapped) {
                Ok(0) => return Poll::Ready(Err((TlsError::ClosedInHandshake, Vec::new()))),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                Err(error) if tapped.failed => return Poll::Ready(Err((TlsError::Io(error), Vec::new()))),
                // The library's own word: its buffer is full, and the hello has no end.
                Err(error) => {
                    return Poll::Ready(Err((TlsError::Protocol(error.into()), fatal(Alert::DECODE_ERROR))));
                }
            }
            if let Some(done) = acceptor.accept().map_err(told).transpose() {
                return Poll::Ready(done);
            }
        }
    })
    .await
}

/// Reads the hello too, as it passes by: the library tells little of it.
struct Tap {
    decoder: Option<ClientHelloDecoder>,
    hello: Option<ClientHello>,
    error: Option<ClientHelloError>,
}

impl Tap {
    /// Reads nothing where nobody wants it, or where somebody has done it before.
    fn new(settings: &ServerConfig, scope: &Extensions) -> Self {
        let wanted = settings.client_hello || matches!(settings.source, Source::Issuer(_));
        let decoder = (wanted && known(scope).is_none()).then(ClientHelloDecoder::new);
        Self { decoder, hello: None, error: None }
    }

    fn see(&mut self, bytes: &[u8]) {
        if let Some(decoder) = &mut self.decoder {
            match decoder.decode(bytes) {
                Ok(None) => return,
                Ok(hello) => self.hello = hello,
                Err(error) => self.error = Some(error),
            }
            self.decoder = None;
        }
    }

    async fn issue(
        self,
        issuer: &BoxService<ClientHello, CertifiedKey, BoxError>,
        scope: &Extensions,
    ) -> Result<CertifiedKey, (TlsError, Alert)> {
        match self.hello.or_else(|| known(scope).cloned()) {
            Some(hello) => issuer.serve(hello).await.map_err(|error| (TlsError::Issuer(error), Alert::INTERNAL_ERROR)),
            None => {
                // The library has read it, so it is nearly one.
                let why = self.error.map_or_else(|| "there is no ClientHello".into(), BoxError::from);
                Err((TlsError::Protocol(why), Alert::DECODE_ERROR))
            }
        }
    }
}

/// The hello of this connection, if somebody has read it before. In a tunnel that of the connection to the proxy is found too.
fn known(scope: &Extensions) -> Option<&ClientHello> {
    scope.get().filter(|_| scope.distance::<ClientHello>() == Some(0))
}

struct Tapped<'a, R> {
    reader: R,
    tap: &'a mut Tap,
    /// The reader has failed.
    failed: bool,
}

impl<R: io::Read> io::Read for Tapped<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.reader.read(buf).inspect_err(|_| self.failed = true)?;
        self.tap.see(&buf[..n]);
        Ok(n)
    }
}

fn told((error, mut alert): (Error, AcceptedAlert)) -> (TlsError, Vec<u8>) {
    if error == Error::PeerIncompatible(PeerIncompatible::SignatureAlgorithmsExtensionRequired) {
        // RFC 5246 appendix E.1: what a client of an older version is told. The library says handshake_failure.
        return (TlsError::from_rustls(error), fatal(Alert::PROTOCOL_VERSION));
    }
    let mut bytes = Vec::new();
    // Into memory, which takes all of it.
    let _ = alert.write_all(&mut bytes);
    if bytes.is_empty() {
        // The library has none for a hello that is announced as longer than any.
        bytes = fatal(Alert::DECODE_ERROR);
    }
    (TlsError::from_rustls(error), bytes)
}

/// What answers before there are keys.
fn fatal(alert: Alert) -> Vec<u8> {
    refusal::record(TLS_1_2, alert).to_vec()
}

/// The name in the client's hello. One that cannot be looked up is none that anything here goes by.
fn server_name(tls: &Connection) -> Option<Domain> {
    match tls {
        Connection::Server(server) => server.server_name()?.parse().ok(),
        Connection::Client(_) => None,
    }
}

/// A client that is refused, and has to be told.
struct Refused<I: Io> {
    error: TlsError,
    left: Left<I>,
}

enum Left<I: Io> {
    /// The IO, and what is to be written to it.
    Io(I, Vec<u8>),
    /// A stream, in which that is.
    Stream(TlsStream<I>),
}

impl<I: Io> Refused<I> {
    /// Writes the alert, and closes in a way that lets it arrive.
    async fn tell(self) -> TlsError {
        let Self { error, left } = self;
        if !matches!(error, TlsError::Io(_) | TlsError::ClosedInHandshake) {
            // Whether it arrives changes nothing here.
            let _ = timeout(refusal::LINGER, left.tell()).await;
        }
        error
    }
}

impl<I: Io> Left<I> {
    async fn tell(mut self) -> io::Result<()> {
        let io = match &mut self {
            Self::Io(io, alert) => {
                io.write_all(alert).await?;
                io
            }
            Self::Stream(stream) => stream.send_alert().await?,
        };
        refusal::hang_up(io).await
    }
}

/// `None` when draining begins before `handshake` is done.
async fn unless_draining<T>(signal: Option<ShutdownSignal>, handshake: impl Future<Output = T>) -> Option<T> {
    let Some(signal) = signal else { return Some(handshake.await) };
    let (mut handshake, mut draining) = (pin!(handshake), pin!(signal.draining()));
    poll_fn(|cx| match handshake.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => draining.as_mut().poll(cx).map(|()| None),
    })
    .await
}
