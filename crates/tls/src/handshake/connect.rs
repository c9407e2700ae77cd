//! A client's handshake.

use chaski_core::{Conn, Domain, Io};
use rustls::{ClientConnection, pki_types::ServerName};

use super::{in_time, record};
use crate::{TlsError, TlsStream, config::CompiledClient, stats::Counts};

/// Does the handshake with a server of this name, in the time that it has.
pub(crate) async fn connect<I: Io>(
    client: &CompiledClient,
    counts: &Counts,
    conn: Conn<I>,
    name: ServerName<'static>,
    alpn: Vec<Vec<u8>>,
) -> Result<Conn<TlsStream<I>>, TlsError> {
    let Conn { io, ext } = conn;
    let sent = match &name {
        ServerName::DnsName(name) => name.as_ref().parse::<Domain>().ok(),
        _ => None,
    };
    let tls = ClientConnection::new_with_alpn(client.config.clone(), name, alpn).map_err(TlsError::from_rustls)?;
    let mut stream = TlsStream::new(io, tls);
    in_time(client.settings.handshake_timeout, stream.handshake()).await??;
    record(&stream, sent, counts, &ext);
    Ok(Conn { io: stream, ext })
}
