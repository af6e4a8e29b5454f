//! What our own generators over TCP exchange: 64 bytes that nobody has sent before, and the same back.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// One request, and the answer that it wants.
#[derive(Debug)]
pub(crate) struct Message([u8; MESSAGE_BYTES]);

impl Message {
    /// Unlike that of any other number: an answer to another one is then seen.
    pub(crate) fn new(number: u64) -> Self {
        let mut bytes = [b'.'; MESSAGE_BYTES];
        for (place, byte) in bytes.iter_mut().zip(number.to_be_bytes()) {
            *place = byte;
        }
        Self(bytes)
    }

    /// Sends it.
    pub(crate) fn send(&self, stream: &mut TcpStream) -> io::Result<()> {
        stream.write_all(&self.0)
    }

    /// Takes the answer; fails where it is not that of this message.
    pub(crate) fn receive(&self, stream: &mut TcpStream) -> io::Result<()> {
        let mut answer = [0; MESSAGE_BYTES];
        stream.read_exact(&mut answer)?;
        if answer == self.0 {
            Ok(())
        } else {
            Err(io::Error::other("an answer to another request"))
        }
    }
}

pub(crate) const MESSAGE_BYTES: usize = 64;
/// How long a connect, a request or an answer may take.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(5);
