//! Our own backend for HTTP: `web`, a thread for each connection, the same small answer to each request.
//!
//! For runs whose backends die and come back, on machines without nginx; what is measured against
//! peers has nginx behind it.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use anyhow::{Context, Result};

/// Serves at `address` until the process is ended.
pub(crate) fn serve(address: SocketAddr) -> Result<()> {
    let listener = TcpListener::bind(address).with_context(|| format!("listening on {address}"))?;
    for stream in listener.incoming() {
        match stream {
            Ok(stream) => drop(thread::spawn(move || answer(stream))),
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => return Err(error).context("accepting a connection"),
        }
    }
    Ok(())
}

/// Answers requests without a body until the client closes.
fn answer(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut head, mut buffer) = (Vec::new(), [0; 2_048]);
    loop {
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        head.extend_from_slice(buffer.get(..read).unwrap_or_default());
        if head.ends_with(b"\r\n\r\n") {
            head.clear();
            stream.write_all(ANSWER)?;
        } else if head.len() > MAX_HEAD_BYTES {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
}

const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 3\r\n\r\nok\n";
const MAX_HEAD_BYTES: usize = 16 * 1_024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::Answer;

    #[test]
    fn every_request_of_a_connection_is_answered() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        thread::spawn(move || answer(stream));
        for _ in 0..2 {
            client
                .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
                .unwrap();
            let mut got = [0; ANSWER.len()];
            client.read_exact(&mut got).unwrap();
            let answer = Answer::read(&got).unwrap().unwrap();
            assert_eq!((answer.status, answer.length), (200, ANSWER.len()));
        }
    }
}
