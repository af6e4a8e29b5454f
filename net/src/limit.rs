//! Limits of the process: descriptors, connections that share them, and memory.

mod connections;
mod memory;
mod sources;

use std::fs::File;
use std::io;

pub use self::connections::{ConnectionLimit, Place};
pub use self::memory::{Memory, MemoryLimit};
pub use self::sources::{Seat, Source, SourceLimit};

/// Raises the soft limit of open descriptors to the hard one; returns the limit that is in force.
#[expect(unsafe_code, reason = "no safe call in the dependencies reads or sets a resource limit")]
pub fn raise_descriptor_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid, writable rlimit for the whole call, which keeps no pointer to it.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return ASSUMED_DESCRIPTORS;
    }
    let raised = libc::rlimit { rlim_cur: limit.rlim_max, rlim_max: limit.rlim_max };
    // SAFETY: `raised` is a valid rlimit for the whole call, which only reads it.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const raised) } == 0 {
        raised.rlim_cur
    } else {
        limit.rlim_cur
    }
}

/// How many connections may be open at once (`reliability 4`): `min(descriptors/2 − 64, 50,000)`, or
/// as many as are `asked` for, as far as descriptors go.
pub fn connections_for(descriptors: u64, asked: Option<usize>) -> usize {
    let half = (descriptors / 2).saturating_sub(64).max(16);
    usize::try_from(half)
        .unwrap_or(MAX_CONNECTIONS)
        .min(asked.unwrap_or(MAX_CONNECTIONS))
}

/// How many UDP sessions may be open at once (`reliability 4`): `min(descriptors/8, 65,536)`.
pub fn sessions_for(descriptors: u64) -> usize {
    usize::try_from(descriptors / 8)
        .unwrap_or(MAX_SESSIONS)
        .clamp(16, MAX_SESSIONS)
}

/// Whether the system had no descriptor or no memory to give: nobody's fault but this host's, and
/// sooner or later over.
pub fn is_exhausted(error: &io::Error) -> bool {
    let errors = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM];
    error
        .raw_os_error()
        .is_some_and(|code| errors.contains(&code))
}

/// Descriptors that are held so that one can be given up when no other is left.
#[derive(Debug, Default)]
pub struct Reserve {
    held: Vec<File>,
    most: usize,
}

impl Reserve {
    /// Holds `most`, as far as the system gives them.
    pub fn new(most: usize) -> Self {
        let mut reserve = Self { held: Vec::with_capacity(most), most };
        reserve.refill();
        reserve
    }

    /// Takes what was given up, as far as the system gives it back.
    pub fn refill(&mut self) {
        while self.held.len() < self.most {
            let Ok(file) = File::open("/dev/null") else { return };
            self.held.push(file);
        }
    }

    /// Gives one up; false where none is left.
    pub fn spend(&mut self) -> bool {
        self.held.pop().is_some()
    }
}

const MAX_CONNECTIONS: usize = 50_000;
const MAX_SESSIONS: usize = 65_536;
/// Where the limit cannot be read.
const ASSUMED_DESCRIPTORS: u64 = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let raised = raise_descriptor_limit();
        assert!(raised >= 256, "{raised}");
        assert_eq!(raise_descriptor_limit(), raised);
    }

    #[test]
    fn connections_leave_descriptors_for_the_other_side() {
        for (descriptors, asked, want) in [
            (256, None, 64),
            (1024, None, 448),
            (20_000, None, 9936),
            (1 << 20, None, 50_000),
            (20_000, Some(1), 1),
            (20_000, Some(9936), 9936),
            (20_000, Some(9937), 9936),
            (1 << 20, Some(100_000), 100_000),
        ] {
            assert_eq!(connections_for(descriptors, asked), want, "{descriptors} {asked:?}");
        }
    }

    #[test]
    fn sessions_take_an_eighth_of_the_descriptors() {
        for (descriptors, want) in [(64, 16), (1024, 128), (20_000, 2500), (1 << 20, 65_536)] {
            assert_eq!(sessions_for(descriptors), want, "{descriptors}");
        }
    }

    #[test]
    fn a_reserve_gives_up_what_it_holds_and_takes_it_back() {
        let mut reserve = Reserve::new(2);
        assert_eq!([(); 3].map(|()| reserve.spend()), [true, true, false]);
        reserve.refill();
        assert!(reserve.spend());
        assert!(!Reserve::default().spend());
    }

    #[test]
    fn want_of_descriptors_is_told_from_what_a_peer_does() {
        for (code, want) in [
            (libc::EMFILE, true),
            (libc::ENFILE, true),
            (libc::ENOBUFS, true),
            (libc::ENOMEM, true),
            (libc::ECONNREFUSED, false),
            (libc::ECONNABORTED, false),
        ] {
            assert_eq!(is_exhausted(&io::Error::from_raw_os_error(code)), want, "{code}");
        }
    }
}
