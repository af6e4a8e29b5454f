//! Why a connection to an endpoint did not come to be, in the kinds that proxies tell apart: for
//! metrics and the log, since one of them alone says what is to be done about it.
//!
//! Pure. Whose fault it was is for who dialled to say.

use std::io::{self, ErrorKind};

use portico_net::limit::is_exhausted;

/// Why there is no connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum DialError {
    /// Nobody listens there.
    Refused,
    /// Nobody said anything in time.
    Timeout,
    /// It broke off while it was made.
    Reset,
    /// No way leads there.
    Unreachable,
    /// The handshake of TLS came to nothing.
    Tls,
    /// This host has no descriptor, memory or port for it.
    Local,
    /// Anything else, such as an endpoint that should speak HTTP/2 and does not.
    Other,
}

impl DialError {
    /// In the order of their numbers.
    pub(crate) const ALL: [Self; 7] = [
        Self::Refused,
        Self::Timeout,
        Self::Reset,
        Self::Unreachable,
        Self::Tls,
        Self::Local,
        Self::Other,
    ];

    /// What `connect`, or the first bytes over a connection, failed with.
    pub(crate) fn of(error: &io::Error) -> Self {
        match error.kind() {
            _ if is_exhausted(error) => Self::Local,
            ErrorKind::AddrInUse | ErrorKind::AddrNotAvailable => Self::Local,
            ErrorKind::ConnectionRefused => Self::Refused,
            ErrorKind::TimedOut => Self::Timeout,
            ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
                Self::Reset
            }
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => {
                Self::Unreachable
            }
            _ => Self::Other,
        }
    }

    /// As metrics have it.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Timeout => "timeout",
            Self::Reset => "reset",
            Self::Unreachable => "unreachable",
            Self::Tls => "tls",
            Self::Local => "local",
            Self::Other => "other",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_system_have_their_kind() {
        for (number, want) in [
            (111, DialError::Refused),
            (110, DialError::Timeout),
            (104, DialError::Reset),
            (32, DialError::Reset),
            (113, DialError::Unreachable),
            (101, DialError::Unreachable),
            (100, DialError::Unreachable),
            (24, DialError::Local),
            (99, DialError::Local),
            (13, DialError::Other),
        ] {
            let error = io::Error::from_raw_os_error(number);
            assert_eq!(DialError::of(&error), want, "http-proxy 9.4: {error}");
        }
    }

    #[test]
    fn each_has_its_own_place_and_name() {
        for (place, error) in DialError::ALL.into_iter().enumerate() {
            assert_eq!(error as usize, place);
        }
        let mut names = DialError::ALL.map(DialError::label).to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), DialError::ALL.len());
    }
}
