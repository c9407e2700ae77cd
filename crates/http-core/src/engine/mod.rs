//! What the two sides of the engine share: buffers, extensions, deadlines, output and the clock.

mod buffers;
mod carriers;
mod date;
mod output;

pub(crate) use buffers::{ReadBuf, poll_fill};
pub(crate) use carriers::{put_extensions, take_extensions};
pub(crate) use date::Date;
pub(crate) use output::Output;
