//! The handshake of either side, once the library has a connection.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use chaski_core::Io;

use super::{State, TlsStream};
use crate::TlsError;

impl<S: Io> TlsStream<S> {
    /// Does the handshake, to the last byte that this side has to write.
    ///
    /// On an error the alert that tells the peer has been written as far as the IO takes it at once.
    pub(crate) async fn handshake(&mut self) -> Result<(), TlsError> {
        poll_fn(|cx| self.poll_handshake(cx)).await
    }

    fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TlsError>> {
        loop {
            // Written to the end before more is read. That holds behind the last message too, where a server's tickets
            // follow: whoever only reads from then on would never send them.
            ready!(self.poll_send(cx)).map_err(TlsError::Io)?;
            ready!(Pin::new(&mut self.io).poll_flush(cx)).map_err(TlsError::Io)?;
            if !self.tls.is_handshaking() {
                self.state = State::Open;
                return Poll::Ready(Ok(()));
            }
            if ready!(self.poll_receive(cx))? == 0 {
                return Poll::Ready(Err(TlsError::ClosedInHandshake));
            }
        }
    }

    /// Writes what is left of the alert of a failed handshake, and gives the IO.
    pub(crate) async fn send_alert(&mut self) -> io::Result<&mut S> {
        poll_fn(|cx| self.poll_send(cx)).await?;
        Ok(&mut self.io)
    }
}
