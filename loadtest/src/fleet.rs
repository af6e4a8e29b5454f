//! Backends that come and go, and the servers that are led from one to another.
//!
//! Invariant: a backend keeps its port, so that one that comes back is found where it was.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use rustix::process::Signal;

use crate::process::{free_port, local};
use crate::server::{Kind, Server, Site};

/// The backends of a scenario, by number.
#[derive(Debug)]
pub(crate) struct Fleet {
    places: Vec<(u16, Option<Server>)>,
}

/// Something that happens while a server is measured.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Event {
    /// A backend starts.
    Start(usize),
    /// A backend ends at once, with what it has under way.
    Kill(usize),
    /// A backend ends as a pod does: it finishes what it has under way.
    Stop(usize),
    /// The configuration names these backends from now on.
    Lead(&'static [usize]),
}

impl Event {
    /// What it is called in the report.
    pub(crate) fn text(self) -> String {
        match self {
            Self::Start(number) => format!("backend {} starts", number + 1),
            Self::Kill(number) => format!("backend {} is killed", number + 1),
            Self::Stop(number) => format!("backend {} ends", number + 1),
            Self::Lead(numbers) => {
                let numbers: Vec<String> = numbers
                    .iter()
                    .map(|number| (number + 1).to_string())
                    .collect();
                format!("leads to {}", numbers.join(" and "))
            }
        }
    }
}

impl Fleet {
    /// Room for as many backends as have a name, none of them started.
    pub(crate) fn new() -> Result<Self> {
        let places = NAMES
            .iter()
            .map(|_| Ok((free_port()?, None)))
            .collect::<Result<_>>()?;
        Ok(Self { places })
    }

    /// Where these backends are.
    pub(crate) fn addresses(&self, numbers: &[usize]) -> Vec<SocketAddr> {
        numbers
            .iter()
            .filter_map(|number| self.places.get(*number))
            .map(|(port, _)| local(*port))
            .collect()
    }

    /// Has `event` happen to the backends, or to the server.
    pub(crate) fn happen(
        &mut self,
        event: Event,
        site: &Site,
        (kind, server): (Kind, &Server),
    ) -> Result<()> {
        match event {
            Event::Start(number) => self.start(site, number),
            Event::Kill(number) => {
                // To drop a program is to kill it.
                self.places
                    .get_mut(number)
                    .and_then(|(_, running)| running.take());
                Ok(())
            }
            Event::Stop(number) => match self.places.get(number) {
                Some((_, Some(running))) => running.process.signal(Signal::QUIT),
                _ => Ok(()),
            },
            Event::Lead(numbers) => site.lead(kind, server, &self.addresses(numbers)),
        }
    }

    pub(crate) fn start(&mut self, site: &Site, number: usize) -> Result<()> {
        let name = NAMES.get(number).context("a backend without a name")?;
        let (port, place) = self
            .places
            .get_mut(number)
            .context("a backend without a place")?;
        // The one before has to be gone, since two would share the port.
        drop(place.take());
        *place = Some(site.start_http_backend(name, *port)?);
        Ok(())
    }
}

const NAMES: [&str; 4] = ["backend-1", "backend-2", "backend-3", "backend-4"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_said_in_words() {
        for (event, want) in [
            (Event::Start(0), "backend 1 starts"),
            (Event::Kill(1), "backend 2 is killed"),
            (Event::Stop(2), "backend 3 ends"),
            (Event::Lead(&[1, 2]), "leads to 2 and 3"),
        ] {
            assert_eq!(event.text(), want);
        }
    }

    #[test]
    fn backends_have_ports_of_their_own() {
        let fleet = Fleet::new().unwrap();
        let mut all = fleet.addresses(&[0, 1, 2, 3]);
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 4);
        assert!(fleet.addresses(&[4]).is_empty());
    }
}
