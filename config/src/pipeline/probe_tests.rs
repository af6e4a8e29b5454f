//! Verdicts about Pods on their way through the pipeline.

use super::*;
use crate::diagnostic::Severity;
use crate::model::{ExecProbe, ObjectName, ProbedPod, Probes};

const SERVICES: &str = "{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {selector: {app: \
                        web}, ports: [{port: 80}]}}\n---\n{apiVersion: v1, kind: Service, metadata: {name: \
                        other}, spec: {selector: {app: other}, ports: [{port: 80}]}}\n";

/// A Pod of `app: web` with more metadata, probes and status.
fn pod(metadata: &str, probes: &str, status: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: web, labels: {{app: web}}{metadata}}}, spec: \
         {{readinessGates: [], containers: [{{name: web, {probes}}}]}}, status: {{podIP: \
         10.0.0.1{status}}}}}\n"
    )
}

fn file(name: &str, text: &str) -> (Arc<PathBuf>, Arc<[u8]>) {
    (Arc::new(PathBuf::from(name)), text.as_bytes().into())
}

fn changes(files: &[(&str, &str)]) -> Changes {
    let written = files.iter().map(|(name, text)| file(name, text)).collect();
    Changes { written, ..Changes::default() }
}

/// A pipeline before somebody who probes.
fn probing(settings: Settings) -> Pipeline {
    let facts = HostFacts::default();
    let mut pipeline = Pipeline::new(Arc::new(settings), facts, Assignments::default());
    pipeline.expect_probes();
    pipeline.apply(changes(&[("services.yaml", SERVICES)]), 0);
    pipeline
}

fn write(pipeline: &mut Pipeline, pod: &str) {
    pipeline.apply(changes(&[("pod.yaml", pod)]), 1);
}

/// Whether the Pod stands behind its Service.
fn is_ready(pipeline: &Pipeline) -> bool {
    let service = &pipeline.previous.services[&ObjectName::new("default", "web")];
    service.ports[0].endpoints.iter().any(|it| it.ready)
}

fn probed(pipeline: &mut Pipeline) -> Vec<ProbedPod> {
    pipeline.take_probed().expect("it has changed").pods
}

fn tell(pipeline: &mut Pipeline, pod: &ProbedPod, is_ready: bool) -> Update {
    let ProbedPod { name, probes, .. } = pod.clone();
    pipeline.take_verdicts(vec![ProbeVerdict { pod: name, probes, is_ready }]);
    pipeline.compile(2)
}

const READINESS: &str = "readinessProbe: {tcpSocket: {port: 80}}";

#[test]
fn a_pod_is_what_its_verdict_says_and_the_other_services_stay_as_they_are() {
    let mut pipeline = probing(Settings::default());
    write(&mut pipeline, &pod("", READINESS, ""));
    assert!(!is_ready(&pipeline), "services 6: before any answer");
    let web = probed(&mut pipeline);
    assert!(web.len() == 1 && !web[0].is_ready);
    assert!(pipeline.take_probed().is_none(), "nothing has changed");
    let other = ObjectName::new("default", "other");
    for verdict in [true, false, true] {
        let before = Arc::clone(&pipeline.previous.services[&other]);
        let update = tell(&mut pipeline, &web[0], verdict);
        assert!(update.changed);
        assert_eq!(is_ready(&pipeline), verdict);
        assert!(Arc::ptr_eq(&before, &pipeline.previous.services[&other]));
    }
    assert!(!tell(&mut pipeline, &web[0], true).changed, "it says so already");
    assert!(pipeline.take_probed().is_none(), "a verdict changes nobody's probes");
}

#[test]
fn a_verdict_counts_for_the_pod_that_it_is_about() {
    let mut pipeline = probing(Settings::default());
    write(&mut pipeline, &pod("", READINESS, ""));
    let first = probed(&mut pipeline).remove(0);
    tell(&mut pipeline, &first, true);
    for (case, metadata, probes, status, want) in [
        ("an annotation", ", annotations: {a: b}", READINESS, "", true),
        ("as it was", "", READINESS, "", true),
        ("another uid", ", uid: u", READINESS, "", false),
        ("back again", "", READINESS, "", false),
    ] {
        write(&mut pipeline, &pod(metadata, probes, status));
        assert_eq!(is_ready(&pipeline), want, "{case}");
    }
    tell(&mut pipeline, &first, true);
    assert!(is_ready(&pipeline), "it is the first one again");
    write(&mut pipeline, &pod("", "readinessProbe: {tcpSocket: {port: 81}}", ""));
    assert!(!is_ready(&pipeline), "other probes");
    assert!(!tell(&mut pipeline, &first, true).changed, "a late verdict about the old ones");
    let removed = vec![Arc::new(PathBuf::from("pod.yaml"))];
    pipeline.apply(Changes { removed, ..Changes::default() }, 3);
    assert!(probed(&mut pipeline).is_empty());
    assert!(!tell(&mut pipeline, &first, true).changed, "a late verdict about nobody");
}

#[test]
fn who_is_probed_follows_from_the_pod_and_the_setting() {
    let ready = ", conditions: [{type: Ready, status: 'True'}]";
    let liveness = "livenessProbe: {tcpSocket: {port: 80}}";
    let init = "image: x}], initContainers: [{name: i, restartPolicy: Always, startupProbe: {exec: \
                {command: [x]}}";
    for (case, mode, probes, status, is_probed, want) in [
        ("auto", Probes::Auto, READINESS, "", true, false),
        ("a condition", Probes::Auto, READINESS, ready, false, true),
        ("on", Probes::On, READINESS, ready, true, false),
        ("off", Probes::Off, READINESS, "", false, true),
        ("no probes", Probes::On, "image: x", "", false, true),
        ("liveness alone", Probes::Auto, liveness, "", true, true),
        ("an init container that stays", Probes::Auto, init, "", true, false),
        ("it has ended", Probes::Auto, READINESS, ", phase: Succeeded", false, false),
    ] {
        let mut pipeline = probing(Settings { probes: mode, ..Settings::default() });
        write(&mut pipeline, &pod("", probes, status));
        assert_eq!(probed(&mut pipeline).len(), usize::from(is_probed), "services 6: {case}");
        assert_eq!(is_ready(&pipeline), want, "services 6: {case}");
    }
}

#[test]
fn every_readiness_gate_has_to_be_true_beside_the_verdict() {
    let gated = |status: &str| {
        pod("", READINESS, status)
            .replace("readinessGates: []", "readinessGates: [{conditionType: a.b/c}]")
    };
    for (case, conditions, want) in [
        ("absent", "", false),
        ("false", ", conditions: [{type: a.b/c, status: 'False'}]", false),
        ("true", ", conditions: [{type: a.b/c, status: 'True'}]", true),
    ] {
        let mut pipeline = probing(Settings::default());
        write(&mut pipeline, &gated(conditions));
        let web = probed(&mut pipeline).remove(0);
        tell(&mut pipeline, &web, true);
        assert_eq!(is_ready(&pipeline), want, "services 6: {case}");
        assert_eq!(web.closed_gates.is_empty(), want, "services 6: {case}");
    }
}

#[test]
fn verdicts_are_forgotten_where_nobody_probes_any_more() {
    let mut pipeline = probing(Settings::default());
    write(&mut pipeline, &pod("", READINESS, ""));
    let web = probed(&mut pipeline).remove(0);
    tell(&mut pipeline, &web, true);
    for (mode, ready, is_probed) in
        [(Probes::Off, true, false), (Probes::On, false, true), (Probes::Auto, false, true)]
    {
        pipeline.reconfigure(Arc::new(Settings { probes: mode, ..Settings::default() }));
        pipeline.compile(3);
        assert_eq!(is_ready(&pipeline), ready, "{mode:?}");
        assert_eq!(probed(&mut pipeline).len(), usize::from(is_probed), "{mode:?}");
    }
    tell(&mut pipeline, &web, true);
    pipeline.reconfigure(Arc::new(Settings { dns_ttl_seconds: 77, ..Settings::default() }));
    pipeline.compile(4);
    assert!(is_ready(&pipeline), "another setting is no reason");
    assert!(probed(&mut pipeline)[0].is_ready);
}

#[test]
fn notes_say_what_is_not_carried_out() {
    let exec = "readinessProbe: {exec: {command: [x]}}";
    let settings = Settings { exec_probe: ExecProbe::Unready, ..Settings::default() };
    let notes = |pipeline: &mut Pipeline| {
        let update = pipeline.apply(changes(&[("pod.yaml", &pod("", exec, ""))]), 1);
        let notes = update
            .diagnostics
            .iter()
            .filter(|it| it.severity() == Severity::Note);
        notes
            .map(|it| (it.code, it.message.clone()))
            .collect::<Vec<_>>()
    };
    let command = "the readiness probe of container web is a command, which is not run: it comes to \
                   failure (--exec-probe)";
    let command = (Code::ExecProbe, command.to_owned());
    assert_eq!(notes(&mut probing(settings.clone())), vec![command.clone()]);
    let facts = HostFacts::default();
    let mut checking = Pipeline::new(Arc::new(settings), facts, Assignments::default());
    let unprobed = "has probes, which `portico run` carries out; here it counts as ready";
    assert_eq!(notes(&mut checking), [command, (Code::NotProbed, unprobed.to_owned())]);
}
