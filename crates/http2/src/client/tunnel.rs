//! The stream of a CONNECT request, as a connection.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use chaski_core::Io;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::shared::Slot;
use crate::engine::Tunnel;

/// A tunnel that holds its slot for as long as it lives.
pub(super) struct ClientTunnel {
    tunnel: Tunnel,
    // Last, so that the stream is gone when the slot is free.
    _slot: Slot,
}

impl ClientTunnel {
    pub(super) fn new(tunnel: Tunnel, slot: Slot) -> Self {
        Self { tunnel, _slot: slot }
    }
}

impl Io for ClientTunnel {}

impl AsyncRead for ClientTunnel {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tunnel).poll_read(cx, buf)
    }
}

impl AsyncWrite for ClientTunnel {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tunnel).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tunnel).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.tunnel.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tunnel).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tunnel).poll_shutdown(cx)
    }
}
