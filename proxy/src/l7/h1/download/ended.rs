//! How a try to have an answer ended.

use http::StatusCode;

use crate::l7::failure::Failure;

/// How it ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::l7::h1) enum Ended {
    /// The client has all of the response.
    Sent,
    /// The client has the 101.
    Upgraded,
    /// There is no response; nothing was passed on. `silent`: the backend said nothing at all.
    Failed { failure: Failure, silent: bool },
    /// Part of a response was passed on and no more will be, or nobody is there to take it.
    Cut,
    /// There is a response that another endpoint may do better than; nothing was passed on.
    Rejected(StatusCode),
    /// There is a response that another backend's takes the place of; nothing was passed on.
    Replaced(StatusCode),
    /// What the client sends makes an end of it; nothing was passed on.
    Refused(StatusCode),
}

impl Ended {
    /// The same, or the end where the client has part of something that nothing may follow.
    pub(in crate::l7::h1) fn or_cut(self, midway: bool) -> Self {
        match self {
            Self::Failed { .. } | Self::Rejected(_) | Self::Replaced(_) | Self::Refused(_)
                if midway =>
            {
                Self::Cut
            }
            ended => ended,
        }
    }
}
