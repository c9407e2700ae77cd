//! `relay-splice PORT THREADS connect|socks5 PIPE`: a proxy for tunnels that are spliced, so that their bytes never enter
//! the process, through a pipe of so many bytes for each direction.

use std::{error::Error, io};

use limit::{Opening, open};
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use tokio::{
    io::Interest,
    net::{TcpListener, TcpStream},
};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [port, threads, opening, pipe] = args.as_slice() else {
        return Err("usage: relay-splice PORT THREADS connect|socks5 PIPE".into());
    };
    let opening = Opening::parse(opening).ok_or("an opening is connect or socks5")?;
    limit::run(threads.parse()?, serve(port.parse()?, opening, pipe.parse()?))
}

async fn serve(port: u16, opening: Opening, pipe: usize) -> io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    loop {
        let (client, _) = listener.accept().await?;
        tokio::spawn(relay(client, opening, pipe));
    }
}

async fn relay(mut client: TcpStream, opening: Opening, pipe: usize) -> io::Result<()> {
    let server = open(opening, &mut client).await?;
    tokio::try_join!(one_way(&client, &server, pipe), one_way(&server, &client, pipe))?;
    Ok(())
}

async fn one_way(from: &TcpStream, to: &TcpStream, size: usize) -> io::Result<()> {
    // A direction that never carried anything holds no pipe.
    from.readable().await?;
    let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
    let (exit, entry) = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC)?;
    fcntl_setpipe_size(&entry, size)?;
    loop {
        let read = || Ok(splice(from, None, &entry, None, size, flags)?);
        let mut held = from.async_io(Interest::READABLE, read).await?;
        if held == 0 {
            return Ok(rustix::net::shutdown(to, rustix::net::Shutdown::Write)?);
        }
        while held > 0 {
            let write = || Ok(splice(&exit, None, to, None, held, flags)?);
            held -= to.async_io(Interest::WRITABLE, write).await?;
        }
    }
}
