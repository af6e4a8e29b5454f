//! The tables of `services.md`: worlds in manifests, flows, and what becomes of them.
//!
//! Read twice: `config/tests/decide` asks the one decision about every row, `tests/it/decide.rs` runs
//! those whose case begins with `*` over real sockets as well. A row is one line of a table; it may
//! ask about several flows.

mod fronts;
mod hints;
mod mirrored;
mod pods;
mod sets;
mod slices;
mod sources;
mod verdicts;
mod world;

use portico_config::model::Protocol;
use portico_config::snapshot::{Decision, Flow, Snapshot, decide};

pub(crate) use world::World;

/// One line of a table.
pub(crate) struct Row {
    /// The rule, and the case in words.
    pub(crate) case: String,
    /// Whether it runs over real sockets too.
    pub(crate) on_sockets: bool,
    /// What there is; several worlds where it must not matter which of them it is.
    pub(crate) worlds: Vec<World>,
    /// The node at which it is decided; empty: none that is known.
    pub(crate) node: &'static str,
    /// What is asked.
    pub(crate) checks: Vec<Check>,
}

/// One flow, and what is to become of it.
pub(crate) struct Check {
    /// `DESTINATION SOURCE`, over TCP, or another protocol before it.
    pub(crate) flow: String,
    /// What is looked at.
    pub(crate) aspect: Aspect,
    /// What it must be.
    pub(crate) want: String,
}

/// What of a decision is looked at, and how it is written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Aspect {
    /// `Verdict Rule`.
    Verdict,
    /// The last number of each endpoint, `|`, and those that are left out with the reason.
    Endpoints,
    /// `Kind service:port`, or the rule where no front is.
    Front,
    /// `Rule source`: by which rule, and whether the endpoint sees the source.
    Policy,
    /// `kept` or `masqueraded`.
    Source,
}

/// All rows of all tables.
pub(crate) fn rows() -> Vec<Row> {
    let tables = [
        slices::rows(),
        pods::rows(),
        mirrored::rows(),
        hints::rows(),
        sets::rows(),
        verdicts::rows(),
        sources::rows(),
        fronts::rows(),
    ];
    tables.into_iter().flatten().collect()
}

impl Row {
    /// A row of `services RULE`, decided at n1. A case that begins with `*` runs over sockets too.
    fn new(rule: &str, case: &str, world: World) -> Self {
        let on_sockets = case.starts_with('*');
        let case = format!("services {rule}: {}", case.trim_start_matches('*'));
        Self { case, on_sockets, worlds: vec![world], node: "n1", checks: Vec::new() }
    }

    /// Decided at another node.
    fn at(mut self, node: &'static str) -> Self {
        self.node = node;
        self
    }

    /// The same in another world.
    fn and_in(mut self, world: World) -> Self {
        self.worlds.push(world);
        self
    }

    /// Asks about a flow.
    fn expect(mut self, aspect: Aspect, flow: impl Into<String>, want: impl Into<String>) -> Self {
        self.checks
            .push(Check { flow: flow.into(), aspect, want: want.into() });
        self
    }
}

impl Check {
    /// The flow itself.
    pub(crate) fn flow(&self) -> Flow {
        let (protocol, ends) = match self.flow.split(' ').collect::<Vec<_>>()[..] {
            ["udp", to, from] => (Protocol::Udp, [to, from]),
            ["sctp", to, from] => (Protocol::Sctp, [to, from]),
            [to, from] => (Protocol::Tcp, [to, from]),
            _ => panic!("{}", self.flow),
        };
        Flow {
            protocol,
            destination: ends[0].parse().expect("an address and a port"),
            source: ends[1].parse().expect("an address"),
        }
    }
}

impl Aspect {
    /// It, of a decision.
    pub(crate) fn of(self, decision: &Decision<'_>) -> String {
        let source = if decision.masqueraded { "masqueraded" } else { "kept" };
        match self {
            Self::Verdict => format!("{:?} {:?}", decision.verdict, decision.rule),
            Self::Endpoints => endpoints(decision),
            Self::Front => match (decision.front, decision.port) {
                (Some(kind), Some(port)) => {
                    format!("{} {}:{}", kind.label(), port.id.service.name, port.id.name)
                }
                _ => format!("{:?}", decision.rule),
            },
            Self::Policy => format!("{:?} {source}", decision.rule),
            Self::Source => source.to_owned(),
        }
    }
}

/// Decides about a flow at a node.
pub(crate) fn decided<'a>(snapshot: &'a Snapshot, node: &str, flow: &Flow) -> Decision<'a> {
    let node = (!node.is_empty()).then(|| node.into());
    decide(snapshot, &snapshot.cluster.place(node.as_ref()), flow)
}

/// The last number of each endpoint of a decision; what is left out, with the reason.
fn endpoints(decision: &Decision<'_>) -> String {
    let Some(port) = decision.port else { return String::new() };
    let number = |at: usize| {
        let address = port.endpoints[at].address.ip().to_string();
        let number = address.rsplit(['.', ':']).next().unwrap_or_default();
        if address.contains(':') { format!("6:{number}") } else { number.to_owned() }
    };
    let mut words: Vec<String> = decision.endpoints().iter().map(|at| number(*at)).collect();
    if !decision.excluded.is_empty() {
        words.push("|".to_owned());
    }
    let excluded = decision.excluded.iter();
    words.extend(excluded.map(|(at, why)| format!("{}:{why:?}", number(*at))));
    words.join(" ")
}
