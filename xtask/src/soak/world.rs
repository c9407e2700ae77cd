//! Who talks to whom, and what all jobs do alike.

use std::net::SocketAddr;

use super::content::Content;
use super::random::Random;
use super::tally::Tally;
use super::wire::{End, Head, Wire};
use crate::Result;

/// `Basic ana:secret`, who is always in the users file.
pub(super) const ANA: &str = "YW5hOnNlY3JldA==";

/// `Basic ben:secret`, who comes and goes.
pub(super) const BEN: &str = "YmVuOnNlY3JldA==";

/// Everybody's address, and the counts.
#[derive(Debug)]
pub(super) struct World {
    pub(super) proxy: SocketAddr,
    pub(super) echo: SocketAddr,
    /// An HTTP origin.
    pub(super) origin: SocketAddr,
    /// The far end of tunnels.
    pub(super) far: SocketAddr,
    /// An HTTP origin that is killed now and then.
    pub(super) mortal: SocketAddr,
    /// Nobody listens there.
    pub(super) nobody: SocketAddr,
    pub(super) tally: Tally,
}

/// A request for `/what/length/start` at an origin, through the proxy.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    pub(super) origin: SocketAddr,
    pub(super) what: &'a str,
    pub(super) length: u64,
    pub(super) start: u64,
    /// Further fields, each with its line's end.
    pub(super) fields: &'a str,
}

impl<'a> Request<'a> {
    pub(super) fn get(origin: SocketAddr, what: &'a str, length: u64, random: &mut Random) -> Self {
        Self { method: "GET", origin, what, length, start: random.below(1 << 20), fields: "" }
    }

    /// The same with a body.
    pub(super) fn post(self, fields: &'a str) -> Self {
        Self { method: "POST", fields, ..self }
    }

    pub(super) fn head(&self) -> String {
        let Self { method, origin, what, length, start, fields } = self;
        format!(
            "{method} http://{origin}/{what}/{length}/{start} HTTP/1.1\r\nHost: {origin}\r\n\
             Proxy-Authorization: Basic {ANA}\r\n{fields}\r\n"
        )
    }
}

/// The head of an answer, which has to have this status.
pub(super) fn answer(wire: &mut Wire, status: u16) -> Result<Head> {
    let head = wire.head()?.ok_or_else(|| format!("the connection ended where an answer with {status} was due"))?;
    if head.status() == status { Ok(head) } else { Err(format!("{:?} where {status} was due", head.first).into()) }
}

/// An answer that is all there, and right.
pub(super) fn whole(wire: &mut Wire, request: &Request<'_>) -> Result {
    let head = answer(wire, 200)?;
    let mut content = Content::from(request.start);
    let end = wire.body(&head, |bytes| content.check(bytes))?;
    if end == End::Cut || content.passed != request.length {
        return Err(format!("{} of {} bytes arrived, and then the end", content.passed, request.length).into());
    }
    Ok(())
}

/// An answer that breaks off: what came of it is right, and nobody can take it for all of it.
pub(super) fn cut(wire: &mut Wire, request: &Request<'_>) -> Result {
    let head = answer(wire, 200)?;
    let mut content = Content::from(request.start);
    match wire.body(&head, |bytes| content.check(bytes))? {
        End::Cut => Ok(()),
        End::Complete => {
            Err(format!("an answer cut at the origin looks complete after {} bytes", content.passed).into())
        }
    }
}

/// An answer of the proxy's own, to its end.
pub(super) fn refusal(wire: &mut Wire, status: u16) -> Result {
    let head = answer(wire, status)?;
    match wire.body(&head, |_| Ok(()))? {
        End::Complete => Ok(()),
        End::Cut => Err(format!("the proxy's own answer with {status} was cut").into()),
    }
}

/// A tunnel to this target.
pub(super) fn tunnel(world: &World, target: SocketAddr) -> Result<Wire> {
    let mut wire = Wire::dial(world.proxy)?;
    wire.send(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nProxy-Authorization: Basic {ANA}\r\n\r\n"))?;
    answer(&mut wire, 200)?;
    Ok(wire)
}
