//! `relay-copy PORT THREADS connect|socks5 BUFFER`: a proxy for tunnels that are copied with tokio's `copy_bidirectional`,
//! through a buffer of so many bytes for each direction.

use std::{error::Error, io};

use limit::{Opening, open};
use tokio::{
    io::copy_bidirectional_with_sizes,
    net::{TcpListener, TcpStream},
};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [port, threads, opening, buffer] = args.as_slice() else {
        return Err("usage: relay-copy PORT THREADS connect|socks5 BUFFER".into());
    };
    let opening = Opening::parse(opening).ok_or("an opening is connect or socks5")?;
    limit::run(threads.parse()?, serve(port.parse()?, opening, buffer.parse()?))
}

async fn serve(port: u16, opening: Opening, buffer: usize) -> io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    loop {
        let (client, _) = listener.accept().await?;
        tokio::spawn(relay(client, opening, buffer));
    }
}

async fn relay(mut client: TcpStream, opening: Opening, buffer: usize) -> io::Result<()> {
    let mut server = open(opening, &mut client).await?;
    copy_bidirectional_with_sizes(&mut client, &mut server, buffer, buffer).await?;
    Ok(())
}
