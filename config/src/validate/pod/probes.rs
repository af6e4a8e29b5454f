//! Probes and readiness gates of a Pod (`services 3`, `services 6`), as an API server takes them.
//!
//! Containers and restartable init containers may have probes; each has exactly one handler. A named
//! port that the container does not have is a warning: an API server takes it, and the kubelet finds
//! out when it probes.

use std::sync::Arc;
use std::time::Duration;

use crate::api::IntOrString;
use crate::api::core_v1::{Container, ContainerPort, HttpHeader, PodSpec, Probe};
use crate::diagnostic::Code;
use crate::location::FieldPath;
use crate::model::{self, ContainerProbes, HttpProbe, Pace, ProbeAction, Purpose};
use crate::validate::check::invalid;
use crate::validate::{Check, names};

/// Checks every probe and readiness gate of a Pod.
pub(super) fn check(spec: &PodSpec, check: &mut Check<'_>) {
    let field = FieldPath::from("spec");
    for (index, container) in spec.containers.iter().enumerate() {
        probes(container, &field.key("containers").index(index), check);
    }
    for (index, container) in spec.init_containers.iter().enumerate() {
        let field = field.key("initContainers").index(index);
        if container.restart_policy.as_deref() == Some("Always") {
            probes(container, &field, check);
            continue;
        }
        for (key, probe, _) in of(container) {
            if probe.is_some() {
                let text = "may not be set for init containers without restartPolicy=Always";
                check.report(Code::InvalidProbe, &field.key(key), text);
            }
        }
    }
    for (index, gate) in spec.readiness_gates.iter().enumerate() {
        let field = field
            .key("readinessGates")
            .index(index)
            .key("conditionType");
        if let Err(fault) = names::qualified(&gate.condition_type) {
            check.invalid(Code::InvalidQualifiedName, &field, &gate.condition_type, fault);
        }
    }
}

/// The probes of a container by their field.
fn of(container: &Container) -> [(&'static str, Option<&Probe>, Purpose); 3] {
    [
        ("livenessProbe", container.liveness_probe.as_deref(), Purpose::Liveness),
        ("readinessProbe", container.readiness_probe.as_deref(), Purpose::Readiness),
        ("startupProbe", container.startup_probe.as_deref(), Purpose::Startup),
    ]
}

fn probes(container: &Container, field: &FieldPath, check: &mut Check<'_>) {
    for (key, found, purpose) in of(container) {
        if let Some(found) = found {
            probe(found, purpose, &field.key(key), check);
            named_port(found, container, &field.key(key), check);
        }
    }
}

fn probe(probe: &Probe, purpose: Purpose, field: &FieldPath, check: &mut Check<'_>) {
    handler(probe, field, check);
    for (key, value) in [
        ("initialDelaySeconds", probe.initial_delay_seconds),
        ("timeoutSeconds", probe.timeout_seconds),
        ("periodSeconds", probe.period_seconds),
        ("successThreshold", probe.success_threshold),
        ("failureThreshold", probe.failure_threshold),
    ] {
        let value = value.unwrap_or(0);
        let fault = match value {
            ..0 => "must be greater than or equal to 0",
            value if value > i64::from(i32::MAX) => "must be less than or equal to 2147483647",
            _ => continue,
        };
        number(value, fault, &field.key(key), check);
    }
    // 0 is filled in with 1.
    if let Some(value @ 2..) = probe.success_threshold
        && purpose != Purpose::Readiness
    {
        number(value, "must be 1", &field.key("successThreshold"), check);
    }
    if let Some(value) = probe.termination_grace_period_seconds {
        let field = field.key("terminationGracePeriodSeconds");
        if value <= 0 {
            number(value, "must be greater than 0", &field, check);
        }
        if purpose == Purpose::Readiness {
            number(value, "must not be set for readinessProbes", &field, check);
        }
    }
}

/// A probe that names a port finds it among those of its own container.
fn named_port(probe: &Probe, container: &Container, field: &FieldPath, check: &mut Check<'_>) {
    let http = probe.http_get.as_ref().map(|it| ("httpGet", &it.port));
    let tcp = probe.tcp_socket.as_ref().map(|it| ("tcpSocket", &it.port));
    for (key, port) in [http, tcp].into_iter().flatten() {
        let Some(IntOrString::String(name)) = port else { continue };
        let names = container.ports.iter().filter_map(|it| it.name.as_deref());
        if names::port_name(name).is_err() || names.clone().any(|it| *it == **name) {
            continue;
        }
        let field = field.key(key).key("port");
        let text = format!("this container has no port named {name:?}");
        let names: Vec<_> = names.collect();
        let help = match names.is_empty() {
            true => "name one of its ports, or write the number".to_owned(),
            false => format!("its ports are named {}", names.join(", ")),
        };
        check.advise(Code::ProbePortMissing, &field, text, help);
    }
}

/// Exactly one handler, and what it needs.
fn handler(probe: &Probe, field: &FieldPath, check: &mut Check<'_>) {
    let given = [
        ("exec", probe.exec.is_some()),
        ("httpGet", probe.http_get.is_some()),
        ("tcpSocket", probe.tcp_socket.is_some()),
        ("grpc", probe.grpc.is_some()),
    ];
    let mut given = given.iter().filter(|(_, is_given)| *is_given);
    if given.next().is_none() {
        check.report(Code::Required, field, "required value: must specify a handler type");
    }
    for (key, _) in given {
        let text = "may not specify more than 1 handler type";
        check.report(Code::InvalidProbe, &field.key(key), text);
    }
    if let Some(exec) = &probe.exec
        && exec.command.is_empty()
    {
        check.required(&field.key("exec").key("command"));
    }
    if let Some(http) = &probe.http_get {
        let field = field.key("httpGet");
        port(http.port.as_ref(), &field.key("port"), check);
        let schemes = [("HTTP", ()), ("HTTPS", ())];
        check.choice(&field.key("scheme"), http.scheme.as_deref(), &schemes);
        for (index, header) in http.http_headers.iter().enumerate() {
            let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            if header.name.is_empty() || !header.name.bytes().all(known) {
                let field = field.key("httpHeaders").index(index).key("name");
                check.invalid(Code::InvalidProbe, &field, &header.name, HEADER_NAME);
            }
        }
    }
    if let Some(tcp) = &probe.tcp_socket {
        port(tcp.port.as_ref(), &field.key("tcpSocket").key("port"), check);
    }
    if let Some(grpc) = &probe.grpc {
        check.port(&field.key("grpc").key("port"), grpc.port.unwrap_or(0));
    }
}

/// A number, or the name of one of the container's ports; absent is 0, which is no port.
fn port(port: Option<&IntOrString>, field: &FieldPath, check: &mut Check<'_>) {
    match port {
        Some(IntOrString::String(name)) => {
            let Err(fault) = names::port_name(name) else { return };
            match name.parse::<u16>() {
                Ok(number) => {
                    let help = format!("write {number} without quotes");
                    check.advise(Code::InvalidProbe, field, invalid(name, fault), help);
                }
                Err(_) => check.invalid(Code::InvalidProbe, field, name, fault),
            }
        }
        Some(IntOrString::Int(number)) => drop(check.port(field, *number)),
        None => drop(check.port(field, 0)),
    }
}

fn number(value: i64, fault: &str, field: &FieldPath, check: &mut Check<'_>) {
    check.report(Code::InvalidProbe, field, format!("invalid value: {value}: {fault}"));
}

/// The probes of every container that has some, to be carried out; of a Pod that is right.
pub(super) fn read(spec: &PodSpec) -> Vec<ContainerProbes> {
    let stays = |it: &&Container| it.restart_policy.as_deref() == Some("Always");
    let init = spec.init_containers.iter().filter(stays);
    let containers = spec.containers.iter().chain(init);
    let read = containers.map(|container| ContainerProbes {
        name: container.name.as_str().into(),
        probes: of(container)
            .into_iter()
            .filter_map(|(_, probe, purpose)| read_probe(probe?, purpose, container))
            .collect(),
    });
    read.filter(|container| !container.probes.is_empty())
        .collect()
}

/// Absent and 0 are filled in (`services 6`).
fn read_probe(probe: &Probe, purpose: Purpose, container: &Container) -> Option<model::Probe> {
    let or = |value: Option<i64>, default: u32| match u32::try_from(value.unwrap_or(0)) {
        Ok(value @ 1..) => value,
        _ => default,
    };
    let seconds = |value, default| Duration::from_secs(or(value, default).into());
    Some(model::Probe {
        purpose,
        pace: Pace {
            initial_delay: seconds(probe.initial_delay_seconds, 0),
            period: seconds(probe.period_seconds, 10),
            success_threshold: or(probe.success_threshold, 1),
            failure_threshold: or(probe.failure_threshold, 3),
        },
        timeout: seconds(probe.timeout_seconds, 1),
        action: action(probe, container)?,
    })
}

fn action(probe: &Probe, container: &Container) -> Option<ProbeAction> {
    let text = |text: &Option<String>| text.as_deref().filter(|it| !it.is_empty()).map(Arc::from);
    let action = if let Some(http) = &probe.http_get {
        let header = |it: &HttpHeader| (it.name.as_str().into(), it.value.as_str().into());
        ProbeAction::Http(HttpProbe {
            tls: http.scheme.as_deref() == Some("HTTPS"),
            host: text(&http.host),
            port: port_of(http.port.as_ref(), container),
            path: text(&http.path).unwrap_or_else(|| "/".into()),
            headers: http.http_headers.iter().map(header).collect(),
        })
    } else if let Some(tcp) = &probe.tcp_socket {
        ProbeAction::Tcp { host: text(&tcp.host), port: port_of(tcp.port.as_ref(), container) }
    } else if let Some(grpc) = &probe.grpc {
        ProbeAction::Grpc {
            port: u16::try_from(grpc.port?).ok()?,
            service: text(&grpc.service).unwrap_or_default(),
        }
    } else {
        probe.exec.as_ref().map(|_| ProbeAction::Exec)?
    };
    Some(action)
}

/// A number, or that of this container's port of the name.
fn port_of(port: Option<&IntOrString>, container: &Container) -> Option<u16> {
    let number = match port? {
        IntOrString::Int(number) => *number,
        IntOrString::String(name) => {
            let same = |port: &&ContainerPort| port.name.as_deref() == Some(&**name);
            container.ports.iter().find(same)?.container_port?
        }
    };
    u16::try_from(number).ok().filter(|&number| number != 0)
}

const HEADER_NAME: &str = "a valid HTTP header must consist of alphanumeric characters or '-' \
                           (e.g. 'X-Header-Name')";
