//! `limit-epoll PORT`: answers every blank line from one thread on epoll, and reads nothing else of a request.

use std::{
    error::Error,
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    os::fd::AsRawFd,
};

use limit::{Answer, heads};
use rustix::{
    buffer::spare_capacity,
    event::epoll::{self, CreateFlags, EventData, EventFlags},
};

fn main() -> Result<(), Box<dyn Error>> {
    let port: u16 = std::env::args().nth(1).ok_or("usage: limit-epoll PORT")?.parse()?;
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    rustix::net::listen(&listener, 4096)?;
    listener.set_nonblocking(true)?;

    let queue = epoll::create(CreateFlags::CLOEXEC)?;
    let listening = listener.as_raw_fd() as u64;
    epoll::add(&queue, &listener, EventData::new_u64(listening), EventFlags::IN)?;
    let mut connections: Vec<Option<Connection>> = Vec::new();
    let mut answer = Answer::new();
    let mut events = Vec::with_capacity(512);
    loop {
        epoll::wait(&queue, spare_capacity(&mut events), None)?;
        for event in events.drain(..) {
            let id = event.data.u64();
            if id != listening {
                let place = &mut connections[id as usize];
                if place.as_mut().is_some_and(|connection| connection.serve(&mut answer).is_err()) {
                    *place = None;
                }
                continue;
            }
            while let Ok((stream, _)) = listener.accept() {
                stream.set_nodelay(true)?;
                stream.set_nonblocking(true)?;
                let id = stream.as_raw_fd() as usize;
                epoll::add(&queue, &stream, EventData::new_u64(id as u64), EventFlags::IN | EventFlags::ET)?;
                if connections.len() <= id {
                    connections.resize_with(id + 1, || None);
                }
                connections[id] = Some(Connection { stream, input: vec![0; 4096], held: 0 });
            }
        }
    }
}

struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
    held: usize,
}

impl Connection {
    /// Reads what is there and answers it. An error, the end of the stream among them, is the end of the connection.
    fn serve(&mut self, answer: &mut Answer) -> io::Result<()> {
        loop {
            let room = self.input.len() - self.held;
            let read = match self.stream.read(&mut self.input[self.held..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            self.held += read;
            let (count, end) = heads(&self.input[..self.held]);
            match count {
                0 => {}
                1 => self.stream.write_all(answer.bytes())?,
                _ => self.stream.write_all(&answer.bytes().repeat(count))?,
            }
            self.input.copy_within(end..self.held, 0);
            self.held -= end;
            // What arrives after a short read is a new event.
            if read < room {
                return Ok(());
            }
        }
    }
}
