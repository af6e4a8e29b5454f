//! All servers of a scenario side by side, and the rounds that they run.
//!
//! Rounds are many and short. Within a round each server is measured in turn, and every other round
//! goes backwards (A B C C B A …), so that a core that gets slower does so for all. Servers are
//! warmed up once and stay for the whole scenario; those that are not in turn cost nothing.

use anyhow::{Context, Result, ensure};

use crate::outcome::{Measured, Outcome};
use crate::server::{Kind, Server, Site};

/// All servers of a scenario at once, and the backend behind them.
pub(crate) struct Field {
    backend: Option<Server>,
    pub(crate) servers: Vec<(Kind, Server)>,
    /// Servers that did not start, and why.
    skipped: Vec<(Kind, String)>,
}

impl Field {
    /// Starts them; fails where none starts.
    pub(crate) fn start(site: &Site) -> Result<Self> {
        let backend = site.start_backend()?;
        let (mut servers, mut skipped) = (Vec::new(), Vec::new());
        for kind in site.kinds() {
            match site.start(kind, backend.as_ref()) {
                Ok(server) => servers.push((kind, server)),
                Err(error) => {
                    println!("  {} is left out: {error:#}", kind.name());
                    skipped.push((kind, format!("{error:#}")));
                }
            }
        }
        ensure!(!servers.is_empty(), "no server to measure");
        Ok(Self { backend, servers, skipped })
    }

    /// Gives every server one `turn` in each round, and says by `progress` what came of it.
    pub(crate) fn rounds<R>(
        &mut self,
        site: &Site,
        rounds: u16,
        turn: impl Fn(Kind, &Server) -> Result<R>,
        progress: fn(Kind, &R) -> String,
    ) -> Result<Outcome<R>> {
        let mut measured: Vec<Measured<R>> = self
            .servers
            .iter()
            .map(|(kind, _)| Measured {
                kind: *kind,
                version: site.version(*kind),
                runs: Vec::new(),
            })
            .collect();
        for round in 1..=rounds {
            for index in order(round, self.servers.len()) {
                let (Some((kind, server)), Some(measured)) =
                    (self.servers.get(index), measured.get_mut(index))
                else {
                    continue;
                };
                let run = turn(*kind, server)
                    .with_context(|| format!("{} in round {round}", kind.name()))?;
                println!("  round {round}/{rounds} {}", progress(*kind, &run));
                measured.runs.push(run);
                self.ensure_alive()?;
            }
        }
        let skipped = std::mem::take(&mut self.skipped);
        Ok(Outcome { scenario: site.scenario, measured, skipped })
    }

    /// Fails if one of them has ended.
    fn ensure_alive(&mut self) -> Result<()> {
        for (_, server) in &mut self.servers {
            server.process.ensure_alive()?;
        }
        match &mut self.backend {
            Some(backend) => backend.process.ensure_alive(),
            None => Ok(()),
        }
    }
}

/// The turns of a round: forwards in odd ones, backwards in even ones.
fn order(round: u16, servers: usize) -> Vec<usize> {
    match round % 2 {
        1 => (0..servers).collect(),
        _ => (0..servers).rev().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_other_round_goes_backwards() {
        assert_eq!([order(1, 3), order(2, 3)].concat(), [0, 1, 2, 2, 1, 0]);
    }
}
