//! Transport protocols of a ServicePort.

use std::fmt;

/// `core/v1 ServicePort.protocol`; TCP where the manifest is silent.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Protocol {
    /// Carried by `proxy::l4::tcp`, and by L7 for Ingress backends.
    #[default]
    Tcp,
    /// Known to names and to checks; carried by `proxy::l4::udp`.
    Udp,
    /// Read and named in diagnostics, never carried.
    Sctp,
}

impl Protocol {
    /// The label of an SRV owner name without its underscore: `tcp`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Sctp => "SCTP",
        })
    }
}
