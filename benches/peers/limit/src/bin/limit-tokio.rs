//! `limit-tokio PORT THREADS`: answers every blank line on tokio, and reads nothing else of a request.

use std::{cell::RefCell, error::Error, io};

use limit::{Answer, heads};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

thread_local!(static ANSWER: RefCell<Answer> = RefCell::default());

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(port), Some(threads)) = (args.next(), args.next()) else {
        return Err("usage: limit-tokio PORT THREADS".into());
    };
    limit::run(threads.parse()?, serve(port.parse()?))
}

async fn serve(port: u16) -> io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(answer(stream));
    }
}

async fn answer(mut stream: TcpStream) -> io::Result<()> {
    let (mut input, mut held) = (vec![0; 4096], 0);
    let mut output = Vec::with_capacity(4096);
    loop {
        match stream.read(&mut input[held..]).await? {
            0 => return Ok(()),
            read => held += read,
        }
        let (count, end) = heads(&input[..held]);
        if count == 0 {
            continue;
        }
        output.clear();
        ANSWER.with_borrow_mut(|answer| (0..count).for_each(|_| output.extend_from_slice(answer.bytes())));
        input.copy_within(end..held, 0);
        held -= end;
        stream.write_all(&output).await?;
    }
}
