//! The opening of a tunnel, as far as a reference needs it: well-meaning clients on loopback.

use std::io::{Error, ErrorKind, Result};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// How a client says where it wants to go.
#[derive(Clone, Copy)]
pub enum Opening {
    Connect,
    Socks5,
}

impl Opening {
    /// Of a program's argument.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "connect" => Some(Self::Connect),
            "socks5" => Some(Self::Socks5),
            _ => None,
        }
    }
}

/// Reads where `client` wants to go, dials it and tells the client so.
pub async fn open(opening: Opening, client: &mut TcpStream) -> Result<TcpStream> {
    client.set_nodelay(true)?;
    let target = match opening {
        Opening::Connect => read_connect(client).await?,
        Opening::Socks5 => read_socks5(client).await?,
    };
    let server = TcpStream::connect(target).await?;
    server.set_nodelay(true)?;
    let answer: &[u8] = match opening {
        Opening::Connect => b"HTTP/1.1 200 OK\r\n\r\n",
        Opening::Socks5 => &[5, 0, 0, 1, 127, 0, 0, 1, 0, 0],
    };
    client.write_all(answer).await?;
    Ok(server)
}

async fn read_connect(client: &mut TcpStream) -> Result<String> {
    let mut head = Vec::with_capacity(2048);
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= 2048 || client.read_buf(&mut head).await? == 0 {
            return Err(ErrorKind::InvalidData.into());
        }
    }
    let text = std::str::from_utf8(&head).map_err(Error::other)?;
    let target = text.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next());
    target.map(str::to_owned).ok_or_else(|| ErrorKind::InvalidData.into())
}

async fn read_socks5(client: &mut TcpStream) -> Result<String> {
    let mut bytes = [0; 255];
    client.read_exact(&mut bytes[..2]).await?;
    let methods = usize::from(bytes[1]);
    client.read_exact(&mut bytes[..methods]).await?;
    client.write_all(&[5, 0]).await?;
    // Version, command, nothing, the kind of address: only IPv4 is spoken here.
    client.read_exact(&mut bytes[..10]).await?;
    let [a, b, c, d] = [bytes[4], bytes[5], bytes[6], bytes[7]];
    Ok(format!("{a}.{b}.{c}.{d}:{}", u16::from_be_bytes([bytes[8], bytes[9]])))
}
