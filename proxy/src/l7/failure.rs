//! Why no endpoint answered, and what the client hears of that (`http-proxy 0.4`).
//!
//! Why a dial failed is `upstream`'s `DialError`: that is for who runs portico, this for clients.

use http::StatusCode;

/// Why no endpoint answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Failure {
    /// There is none to ask.
    NoEndpoint,
    /// All of them are full, and as many wait as may.
    Full,
    /// It refused, broke off, or answered with something that is no response.
    Bad,
    /// It did not answer in time.
    TimedOut,
    /// It did not answer in the time that the client gave for all of it (`http-proxy 6.9`).
    Deadline,
}

impl Failure {
    /// `http-proxy 0.4`.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::NoEndpoint | Self::Full => StatusCode::SERVICE_UNAVAILABLE,
            Self::Bad => StatusCode::BAD_GATEWAY,
            Self::TimedOut | Self::Deadline => StatusCode::GATEWAY_TIMEOUT,
        }
    }
}
