//! The few of protobuf's wire forms that the echo protocol needs, and gRPC's frames around them.

use crate::protobuf::{Held, take_field};

/// A message that is being written.
#[derive(Clone, Debug, Default)]
pub(super) struct Message(Vec<u8>);

impl Message {
    /// Adds bytes, a text or another message; also where it is empty.
    pub(super) fn put(&mut self, number: u8, bytes: &[u8]) -> &mut Self {
        self.key(number, 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    /// Adds a text, unless it is empty.
    pub(super) fn text(&mut self, number: u8, text: &str) -> &mut Self {
        match text {
            "" => self,
            text => self.put(number, text.as_bytes()),
        }
    }

    /// Adds a number, unless it is 0.
    pub(super) fn number(&mut self, number: u8, value: u64) -> &mut Self {
        if value > 0 {
            self.key(number, 0);
            self.varint(value);
        }
        self
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Behind a frame's head: not compressed, its length.
    pub(super) fn framed(&self) -> Vec<u8> {
        let length = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        [&[0], &length.to_be_bytes()[..], &self.0].concat()
    }

    fn key(&mut self, number: u8, kind: u8) {
        self.varint(u64::from(number) << 3 | u64::from(kind));
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.0.push(value.to_le_bytes()[0]);
    }
}

/// The first field of a message that holds bytes: its number and what it holds; none where the
/// message is no such.
pub(super) fn first_bytes(message: &[u8], numbers: &[u64]) -> Option<(u64, Vec<u8>)> {
    let mut rest = message;
    while !rest.is_empty() {
        if let (number, Held::Bytes(bytes)) = take_field(&mut rest)?
            && numbers.contains(&number)
        {
            return Some((number, bytes.to_vec()));
        }
    }
    None
}

/// Takes a whole frame off the front of what came; an error: it is compressed or too long.
pub(super) fn frame(inbox: &mut Vec<u8>) -> Result<Option<Vec<u8>>, ()> {
    let Some((&[compressed, a, b, c, d], _)) = inbox.split_first_chunk() else { return Ok(None) };
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).map_err(|_| ())?;
    if compressed != 0 || length > MAX_FRAME_BYTES {
        return Err(());
    }
    if inbox.len() < 5 + length {
        return Ok(None);
    }
    let message = inbox.drain(..5 + length).skip(5).collect();
    Ok(Some(message))
}

/// Of a message that is sent here.
const MAX_FRAME_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_written_and_read() {
        let mut message = Message::default();
        message.text(1, "").number(2, 300).put(3, b"").text(7, "*");
        assert_eq!(message.bytes(), [0x10, 0xac, 0x02, 0x1a, 0, 0x3a, 1, b'*']);
        assert_eq!(first_bytes(message.bytes(), &[7]), Some((7, b"*".to_vec())));
        assert_eq!(first_bytes(message.bytes(), &[3, 7]), Some((3, Vec::new())));
        assert_eq!(first_bytes(&[0x3a, 9, 1], &[7]), None, "cut");
        assert_eq!(first_bytes(&[0xff; 12], &[7]), None, "endless");
        let mut inbox = message.framed();
        inbox.extend([0, 0, 0]);
        assert_eq!(frame(&mut inbox), Ok(Some(message.bytes().to_vec())));
        assert_eq!((frame(&mut inbox), inbox.len()), (Ok(None), 3));
        assert_eq!(frame(&mut vec![1, 0, 0, 0, 0]), Err(()), "compressed");
        assert_eq!(frame(&mut vec![0, 9, 0, 0, 0]), Err(()), "too long");
    }
}
