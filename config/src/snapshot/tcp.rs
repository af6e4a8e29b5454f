//! What every TCP connection through a front is told by the settings, whichever Service it is for.

use std::time::Duration;

use crate::model;

/// How connections of Services are treated.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Tcp {
    /// How long one may carry nothing; none: for ever.
    pub idle_timeout: Option<Duration>,
    /// The same once one side has ended its half.
    pub half_closed_timeout: Option<Duration>,
}

impl Tcp {
    /// Out of the settings; those that count from the next start alone are not here.
    pub(crate) fn of(settings: &model::Settings) -> Self {
        let model::Tcp { idle_timeout, half_closed_timeout, .. } = settings.tcp;
        Self { idle_timeout, half_closed_timeout }
    }
}
