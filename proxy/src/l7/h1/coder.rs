//! A response's body in another coding, as it streams (`portico.dev/compression`).
//!
//! Invariants: what a body holds before its end reaches the client once nothing more is at hand, so
//! that events are not kept waiting; levels and windows are small, and so is the number of coders of a
//! worker, so that all of them together are bounded. Who has none gets the body as it is.

#[cfg(feature = "bench")]
pub(crate) mod bench;

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll};

use brotli::enc::StandardAlloc;
use brotli::enc::backward_references::BrotliEncoderParams;
use brotli::enc::encode::{BrotliEncoderOperation, BrotliEncoderStateStruct};
use flate2::{Compress, FlushCompress, Status};
use portico_config::model::Coding;
use tokio::task::coop::poll_proceed;
use zstd::stream::raw::{CParameter, InBuffer, Operation, OutBuffer};

use super::chunked::append;

/// The coders of one worker.
#[derive(Debug, Default)]
pub(crate) struct Coders {
    open: Rc<Cell<usize>>,
}

/// One body on its way.
pub(super) struct Coder {
    encoder: Encoder,
    /// Whether it holds back something of what it was given.
    holds: bool,
    /// What the encoder writes into.
    room: Box<[u8]>,
    open: Rc<Cell<usize>>,
}

/// What brings bytes into a coding.
enum Encoder {
    Gzip(Compress),
    Brotli(Box<BrotliEncoderStateStruct<StandardAlloc>>),
    Zstd(zstd::stream::raw::Encoder<'static>),
}

/// What an encoder is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Wish {
    /// To take bytes.
    Take,
    /// To hold nothing back.
    Flush,
    /// To end.
    Finish,
}

/// What came of it: bytes that it took and gave, and whether nothing is left to be done.
struct Step {
    taken: usize,
    given: usize,
    done: bool,
}

impl Coders {
    /// A coder; none where the worker has too many already.
    pub(super) fn begin(&self, coding: Coding) -> Option<Box<Coder>> {
        if self.open.get() >= MOST_OPEN {
            return None;
        }
        let encoder = Encoder::new(coding).ok()?;
        self.open.set(self.open.get() + 1);
        let room = vec![0; ROOM_BYTES].into();
        let open = Rc::clone(&self.open);
        Some(Box::new(Coder { encoder, holds: false, room, open }))
    }
}

impl Coder {
    /// Takes data, and puts what comes of it behind `out` as chunks; `last`: and the body's end.
    pub(super) fn code(&mut self, out: &mut Vec<u8>, data: &[u8], last: bool) -> io::Result<usize> {
        let before = out.len();
        let mut rest = data;
        while !rest.is_empty() {
            self.holds = true;
            rest = &rest[self.step(out, Wish::Take, rest)?.taken..];
        }
        if last {
            while !self.step(out, Wish::Finish, &[])?.done {}
            self.holds = false;
            append(out, &[], true);
        }
        Ok(out.len() - before)
    }

    /// Puts what it holds back behind `out`; whether that is anything.
    pub(super) fn give_up(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        if !std::mem::take(&mut self.holds) {
            return Ok(false);
        }
        while !self.step(out, Wish::Flush, &[])?.done {}
        Ok(true)
    }

    fn step(&mut self, out: &mut Vec<u8>, wish: Wish, data: &[u8]) -> io::Result<Step> {
        let step = self.encoder.step(wish, data, &mut self.room)?;
        append(out, &self.room[..step.given], false);
        match step {
            // Nobody may wait for an encoder that does nothing.
            Step { taken: 0, given: 0, done: false } => Err(io::Error::other("encoder is stuck")),
            step => Ok(step),
        }
    }
}

impl Drop for Coder {
    fn drop(&mut self) {
        self.open.set(self.open.get().saturating_sub(1));
    }
}

impl Encoder {
    fn new(coding: Coding) -> io::Result<Self> {
        Ok(match coding {
            Coding::Gzip => {
                Self::Gzip(Compress::new_gzip(flate2::Compression::new(GZIP_LEVEL), GZIP_BITS))
            }
            Coding::Brotli => {
                let mut state = BrotliEncoderStateStruct::new(StandardAlloc::default());
                state.params = BrotliEncoderParams {
                    quality: BROTLI_LEVEL,
                    lgwin: WINDOW_BITS,
                    ..BrotliEncoderParams::default()
                };
                Self::Brotli(Box::new(state))
            }
            Coding::Zstd => {
                let mut encoder = zstd::stream::raw::Encoder::new(ZSTD_LEVEL)?;
                encoder.set_parameter(CParameter::WindowLog(WINDOW_BITS.unsigned_abs()))?;
                Self::Zstd(encoder)
            }
        })
    }

    fn step(&mut self, wish: Wish, data: &[u8], room: &mut [u8]) -> io::Result<Step> {
        match self {
            Self::Gzip(encoder) => gzip(encoder, wish, data, room),
            Self::Brotli(encoder) => brotli(encoder, wish, data, room),
            Self::Zstd(encoder) => zstd(encoder, wish, data, room),
        }
    }
}

fn gzip(encoder: &mut Compress, wish: Wish, data: &[u8], room: &mut [u8]) -> io::Result<Step> {
    let flush = match wish {
        Wish::Take => FlushCompress::None,
        Wish::Flush => FlushCompress::Sync,
        Wish::Finish => FlushCompress::Finish,
    };
    let before = (encoder.total_in(), encoder.total_out());
    let status = encoder.compress(data, room, flush)?;
    let count = |now: u64, before: u64| usize::try_from(now - before).unwrap_or(usize::MAX);
    let taken = count(encoder.total_in(), before.0);
    let given = count(encoder.total_out(), before.1);
    let done = match wish {
        Wish::Take => taken == data.len(),
        // Room that is left says that nothing more was to be written.
        Wish::Flush => given < room.len(),
        Wish::Finish => status == Status::StreamEnd,
    };
    Ok(Step { taken, given, done })
}

fn brotli(
    encoder: &mut BrotliEncoderStateStruct<StandardAlloc>,
    wish: Wish,
    data: &[u8],
    room: &mut [u8],
) -> io::Result<Step> {
    let operation = match wish {
        Wish::Take => BrotliEncoderOperation::BROTLI_OPERATION_PROCESS,
        Wish::Flush => BrotliEncoderOperation::BROTLI_OPERATION_FLUSH,
        Wish::Finish => BrotliEncoderOperation::BROTLI_OPERATION_FINISH,
    };
    let (mut taken, mut given) = (0, 0);
    let is_well = encoder.compress_stream(
        operation,
        &mut data.len(),
        data,
        &mut taken,
        &mut room.len(),
        room,
        &mut given,
        &mut None,
        &mut |_, _, _, _| (),
    );
    if !is_well {
        return Err(io::Error::other("brotli cannot go on"));
    }
    let done = match wish {
        Wish::Take => taken == data.len(),
        Wish::Flush => !encoder.has_more_output(),
        Wish::Finish => encoder.is_finished(),
    };
    Ok(Step { taken, given, done })
}

fn zstd(
    encoder: &mut zstd::stream::raw::Encoder<'static>,
    wish: Wish,
    data: &[u8],
    room: &mut [u8],
) -> io::Result<Step> {
    let (mut input, mut output) = (InBuffer::around(data), OutBuffer::around(room));
    let left = match wish {
        Wish::Take => encoder
            .run(&mut input, &mut output)
            .map(|_| data.len() - input.pos())?,
        Wish::Flush => encoder.flush(&mut output)?,
        Wish::Finish => encoder.finish(&mut output, true)?,
    };
    Ok(Step { taken: input.pos(), given: output.pos(), done: left == 0 })
}

/// Has a task pay for the time that it took to code so many bytes, so that others of the worker get
/// their turn: once it has used up its own, its next read waits.
pub(super) fn pay(cx: &mut Context<'_>, bytes: usize) {
    for _ in 0..=bytes / BYTES_PER_TURN {
        match poll_proceed(cx) {
            Poll::Ready(turn) => turn.made_progress(),
            Poll::Pending => return,
        }
    }
}

/// Where a level more begins to cost much more than it saves.
const GZIP_LEVEL: u32 = 5;
const BROTLI_LEVEL: i32 = 4;
const ZSTD_LEVEL: i32 = 3;
/// What gzip remembers, at most and here.
const GZIP_BITS: u8 = 15;
/// What zstd and brotli remember: 128 KiB.
const WINDOW_BITS: i32 = 17;
/// What an encoder gets to write into at a time.
const ROOM_BYTES: usize = 16 << 10;
/// Of one worker; each has up to about a megabyte.
const MOST_OPEN: usize = 128;
/// Of the 128 turns that a task has before it gives way: some milliseconds of coding in all.
const BYTES_PER_TURN: usize = 2 << 10;

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::super::chunked::Decoder;
    use super::*;

    /// What a client makes of what was sent: the chunks' data, decoded; and whether it saw the end.
    fn decoded(coding: Coding, sent: &[u8]) -> (Vec<u8>, bool) {
        let (mut chunks, mut sent) = (Decoder::default(), sent.to_vec());
        let data = chunks.decode(&mut sent).unwrap().data;
        let data = &sent[data];
        let mut text = Vec::new();
        let mut decoder: Box<dyn Read + '_> = match coding {
            Coding::Gzip => Box::new(flate2::read::GzDecoder::new(data)),
            Coding::Brotli => Box::new(brotli::Decompressor::new(data, 4096)),
            Coding::Zstd => Box::new(zstd::stream::read::Decoder::new(data).unwrap()),
        };
        // What is not whole ends in an error, behind all that can be read.
        let mut piece = [0; 4096];
        let whole = loop {
            match decoder.read(&mut piece) {
                Ok(0) => break true,
                Ok(count) => text.extend_from_slice(&piece[..count]),
                Err(_) => break false,
            }
        };
        (text, whole && chunks.is_done())
    }

    #[test]
    fn a_body_becomes_shorter_behind_every_coding() {
        let coders = Coders::default();
        let body: Vec<u8> = (0..300_000_usize)
            .map(|n| b"a small alphabet "[n % 17])
            .collect();
        for coding in Coding::ALL {
            let mut coder = coders.begin(coding).unwrap();
            let mut sent = Vec::new();
            for part in body.chunks(7_000) {
                coder.code(&mut sent, part, false).unwrap();
            }
            coder.code(&mut sent, &[], true).unwrap();
            assert!(sent.len() < body.len() / 10, "{coding:?} {}", sent.len());
            assert!(decoded(coding, &sent) == (body.clone(), true), "{coding:?}");
        }
    }

    #[test]
    fn what_was_given_up_can_be_read() {
        let coders = Coders::default();
        for coding in Coding::ALL {
            let mut coder = coders.begin(coding).unwrap();
            let mut sent = Vec::new();
            for (number, event) in ["data: 1\n\n", "data: 2\n\n", "data: 3\n\n"]
                .into_iter()
                .enumerate()
            {
                coder.code(&mut sent, event.as_bytes(), false).unwrap();
                assert!(coder.give_up(&mut sent).unwrap(), "{coding:?}");
                assert!(!coder.give_up(&mut sent).unwrap(), "nothing is left");
                let (text, whole) = decoded(coding, &sent);
                assert_eq!(text.len(), 9 * (number + 1), "{coding:?}");
                assert!(text.ends_with(event.as_bytes()) && !whole, "{coding:?}");
            }
        }
    }

    #[test]
    fn a_body_without_a_byte_has_an_end() {
        for coding in Coding::ALL {
            let mut sent = Vec::new();
            let mut coder = Coders::default().begin(coding).unwrap();
            assert!(coder.code(&mut sent, &[], true).unwrap() > 5, "{coding:?}");
            assert_eq!(decoded(coding, &sent), (Vec::new(), true), "{coding:?}");
        }
    }

    #[test]
    fn a_worker_has_so_many_coders_and_no_more() {
        let coders = Coders::default();
        let mut all: Vec<_> = (0..MOST_OPEN).map(|_| coders.begin(Coding::Gzip)).collect();
        assert!(all.iter().all(Option::is_some) && coders.begin(Coding::Gzip).is_none());
        all.pop();
        assert!(coders.begin(Coding::Gzip).is_some());
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

        #[test]
        fn a_body_is_the_same_however_it_is_split_and_flushed(
            coding in proptest::sample::select(&Coding::ALL),
            // Runs and noise, in pieces of which some are waited behind.
            pieces in proptest::collection::vec(
                (proptest::prelude::any::<u8>(), 0_usize..40_000, proptest::bool::ANY, proptest::bool::ANY),
                0..8,
            ),
        ) {
            let coders = Coders::default();
            let mut coder = coders.begin(coding).unwrap();
            let (mut body, mut sent) = (Vec::new(), Vec::new());
            for (byte, count, noisy, waits) in pieces {
                let mut state = u32::from(byte) | 1;
                let piece: Vec<u8> = (0..count)
                    .map(|_| {
                        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        if noisy { state.to_le_bytes()[3] } else { byte }
                    })
                    .collect();
                coder.code(&mut sent, &piece, false).unwrap();
                body.extend_from_slice(&piece);
                if waits {
                    coder.give_up(&mut sent).unwrap();
                    proptest::prop_assert!(decoded(coding, &sent).0 == body);
                }
            }
            coder.code(&mut sent, &[], true).unwrap();
            proptest::prop_assert!(decoded(coding, &sent) == (body, true));
        }
    }
}
