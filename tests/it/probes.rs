//! Probes: what Pods say about themselves decides whether they stand behind their Service
//! (`services 6`), in names, L4 and L7 alike.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use hickory_proto::rr::RecordType;
use portico_config::model::{ExecProbe, Probes};
use serde_json::Value;

use crate::harness::pod::Pod;
use crate::harness::portico::Portico;
use crate::harness::{dns, eventually, h2, http, secure};

/// What a Pod answers to a request head: a status line's end, and header lines.
type Answers = dyn Fn(&str) -> String + Send + Sync;

/// A Pod that reads one request head of each connection and answers it.
fn answering(answers: impl Fn(&str) -> String + Send + Sync + 'static) -> Pod {
    let answers: Arc<Answers> = Arc::new(answers);
    Pod::serve(Ipv4Addr::LOCALHOST.into(), move |mut stream| answer(&mut stream, &*answers))
}

fn answer(stream: &mut (impl Read + Write), answers: &Answers) {
    let mut head = Vec::new();
    let mut buffer = [0; 4_096];
    while !head.windows(4).any(|it| it == b"\r\n\r\n") {
        match stream.read(&mut buffer) {
            Ok(count @ 1..) => head.extend_from_slice(&buffer[..count]),
            _ => return,
        }
    }
    let answer = answers(&String::from_utf8_lossy(&head));
    let answer = format!("HTTP/1.1 {answer}\r\nContent-Length: 2\r\n\r\nok");
    let _ = stream.write_all(answer.as_bytes());
}

fn good_while(good: &Arc<AtomicBool>) -> impl Fn(&str) -> String + Send + Sync + 'static {
    let good = Arc::clone(good);
    move |_| if good.load(Ordering::SeqCst) { "200 OK" } else { "500 Oh" }.to_owned()
}

fn switch(on: bool) -> Arc<AtomicBool> {
    Arc::new(AtomicBool::new(on))
}

/// A Service (above the ports that need a privilege), a headless one and an Ingress, all before the Pods of `app: web`.
fn services(port: u16) -> String {
    format!(
        "{{apiVersion: v1, kind: Service, metadata: {{name: web}}, spec: {{selector: {{app: web}}, \
         ports: [{{port: 8080, targetPort: {port}}}]}}}}\n---\n{{apiVersion: v1, kind: Service, metadata: \
         {{name: all}}, spec: {{clusterIP: None, selector: {{app: web}}}}}}\n---\n{{apiVersion: \
         networking.k8s.io/v1, kind: Ingress, metadata: {{name: web}}, spec: {{defaultBackend: \
         {{service: {{name: web, port: {{number: 8080}}}}}}}}}}\n"
    )
}

/// A Pod on this host with one container, what is said of it, and its status.
fn pod(name: &str, address: &str, port: u16, container: &str, status: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, labels: {{app: web}}}}\nspec:\n  \
         containers: [{{name: web, ports: [{{name: http, containerPort: {port}}}], {container}}}]\n\
         status: {{podIP: {address}{status}}}\n"
    )
}

/// The probe `what`, each second, where one answer counts.
fn readiness(what: &str) -> String {
    probe("readinessProbe", what)
}

fn probe(field: &str, what: &str) -> String {
    format!("{field}: {{{what}, periodSeconds: 1, timeoutSeconds: 10, failureThreshold: 1}}")
}

/// An instance with the Services before one Pod, which has these probes.
fn start(port: u16, container: &str) -> Portico {
    start_with(port, container, "", |_| {})
}

fn start_with(
    port: u16,
    container: &str,
    status: &str,
    adjust: fn(&mut portico_config::model::Settings),
) -> Portico {
    let pod = pod("web", "127.0.0.1", port, container, status);
    let files = [("services.yaml", &*services(port)), ("pod.yaml", &*pod)];
    Portico::with(&files).adjust(adjust).start()
}

/// Whether the Pod is there for the resolver.
fn named(portico: &Portico) -> bool {
    let named = dns::ask(portico.dns(), "all.default.svc.cluster.local.", RecordType::A);
    !named.answers.is_empty()
}

/// Whether the Pod is there for all planes, where they agree.
fn is_there(portico: &Portico) -> Option<bool> {
    let named = named(portico);
    let mut stream = TcpStream::connect(portico.cluster_ip("default/web", 8080)).ok()?;
    let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: web\r\n\r\n");
    let connected = stream.read_exact(&mut [0; 4]).is_ok();
    let served = http::get(portico.http(), "web.test", "/").status != 503;
    (named == connected && connected == served).then_some(named)
}

#[track_caller]
fn becomes(portico: &Portico, there: bool) {
    let what = if there { "the Pod comes" } else { "the Pod leaves" };
    eventually(what, || is_there(portico).filter(|found| *found == there));
}

/// What `/api/v1/probes` says of the first probe of the only Pod.
fn report(portico: &Portico) -> Value {
    reports(portico)["pods"][0]["probes"][0].clone()
}

fn reports(portico: &Portico) -> Value {
    let admin = portico.admin();
    let answer = http::get(admin, &admin.to_string(), "/api/v1/probes");
    serde_json::from_slice(&answer.body).unwrap()
}

/// Waits until the probe of the only Pod has run, and says its result and message.
#[track_caller]
fn heard(portico: &Portico) -> (String, String) {
    let report = eventually("the probe has run", || {
        Some(report(portico)).filter(|report| report["lastResult"].is_string())
    });
    let text = |key: &str| report[key].as_str().unwrap().to_owned();
    (text("lastResult"), text("message"))
}

/// Waits until the probe of the only Pod has this result and message.
#[track_caller]
fn says(portico: &Portico, result: &str, message: &str) {
    eventually(&format!("{result}: {message}"), || {
        let report = report(portico);
        (report["lastResult"] == result && report["message"] == message).then_some(())
    });
}

#[test]
fn a_pod_comes_and_goes_for_names_l4_and_l7_in_one_generation() {
    let good = switch(true);
    let web = answering(good_while(&good));
    let portico = start(web.address.port(), &readiness("httpGet: {port: http}"));
    for state in [true, false, true] {
        good.store(state, Ordering::SeqCst);
        let before = portico.generation();
        becomes(&portico, state);
        assert!(portico.generation() <= before + 1, "services 6");
    }
    let count =
        portico.metric("portico_prober_probe_total{probe_type=\"Readiness\",result=\"failed\"}");
    assert!(count >= 1);
    assert_eq!(portico.metric("portico_prober_pods{ready=\"true\"}"), 1);
}

#[test]
fn a_pod_that_is_written_again_stays_and_one_that_is_made_anew_begins_anew() {
    let good = switch(true);
    let web = answering(good_while(&good));
    let port = web.address.port();
    let portico = start(port, &readiness("httpGet: {port: http}"));
    becomes(&portico, true);
    // So that nothing that comes later makes it ready.
    let rare = readiness("httpGet: {port: http}").replace("periodSeconds: 1", "periodSeconds: 999");
    portico.edit("pod.yaml", &pod("web", "127.0.0.1", port, &rare, ""));
    becomes(&portico, true);
    good.store(false, Ordering::SeqCst);
    let again = pod("web", "127.0.0.1", port, &rare, "");
    portico.edit("pod.yaml", &again.replace("app: web", "app: web, note: edited"));
    assert_eq!(is_there(&portico), Some(true), "the same Pod keeps its result");
    portico.edit("pod.yaml", &again.replace("{name: web, labels", "{name: web, uid: u2, labels"));
    becomes(&portico, false);
    good.store(true, Ordering::SeqCst);
    portico.edit("pod.yaml", &again.replace("{name: web, labels", "{name: web, uid: u3, labels"));
    becomes(&portico, true);
}

#[test]
fn a_probe_that_is_changed_is_asked_anew() {
    let web = answering(|head| {
        if head.starts_with("GET /good ") { "200 OK" } else { "404 Not Found" }.to_owned()
    });
    let port = web.address.port();
    let portico = start(port, &readiness("httpGet: {port: http, path: /bad}"));
    let text = "HTTP probe failed with statuscode: 404";
    assert_eq!(heard(&portico), ("failure".to_owned(), text.to_owned()));
    assert_eq!(is_there(&portico), Some(false));
    for (path, there) in [("/good", true), ("/worse", false), ("/good", true)] {
        let container = readiness(&format!("httpGet: {{port: http, path: {path}}}"));
        portico.edit("pod.yaml", &pod("web", "127.0.0.1", port, &container, ""));
        becomes(&portico, there);
    }
}

#[test]
fn a_pod_that_is_gone_is_not_asked_any_more() {
    let web = answering(|_| "200 OK".to_owned());
    let portico = start(web.address.port(), &readiness("httpGet: {port: http}"));
    becomes(&portico, true);
    portico.remove("pod.yaml");
    eventually("the prober forgets it", || {
        let pods = reports(&portico)["pods"].as_array().cloned();
        pods.is_some_and(|pods| pods.is_empty()).then_some(())
    });
    assert_eq!(is_there(&portico), Some(false));
    assert_eq!(portico.metric("portico_prober_pods{ready=\"true\"}"), 0);
}

#[test]
fn who_is_probed_follows_from_the_setting_and_the_condition() {
    let ready = ", conditions: [{type: Ready, status: 'True'}]";
    let unready = ", conditions: [{type: Ready, status: 'False'}]";
    let auto: fn(&mut portico_config::model::Settings) = |it| it.probes = Probes::Auto;
    let on: fn(&mut portico_config::model::Settings) = |it| it.probes = Probes::On;
    let off: fn(&mut portico_config::model::Settings) = |it| it.probes = Probes::Off;
    for (case, setting, condition, probed, there) in [
        ("auto, nobody says", auto, "", true, false),
        ("auto, it is ready", auto, ready, false, true),
        ("auto, it is not", auto, unready, false, false),
        ("on, it is ready", on, ready, true, false),
        ("off, nobody says", off, "", false, true),
        ("off, it is not ready", off, unready, false, false),
    ] {
        // It listens, and its probe finds nobody.
        let web = answering(|_| "200 OK".to_owned());
        let container = readiness("tcpSocket: {port: 1}");
        let portico = start_with(web.address.port(), &container, condition, setting);
        if probed {
            assert_eq!(heard(&portico).0, "failure", "{case}");
        }
        assert_eq!(
            reports(&portico)["pods"].as_array().unwrap().len(),
            usize::from(probed),
            "{case}"
        );
        assert_eq!(is_there(&portico), Some(there), "services 6: {case}");
    }
}

#[test]
fn a_readiness_gate_that_is_closed_is_said_once_all_containers_are_ready() {
    let web = answering(|_| "200 OK".to_owned());
    let gate = "readinessGates: [{conditionType: portico.dev/gate}], containers: [";
    let gated = |container: &str, status: &str| {
        let text = pod("web", "127.0.0.1", web.address.port(), container, status);
        let text = text.replacen("spec:\n  containers: [", &format!("spec: {{{gate}"), 1);
        text.replacen("]\nstatus", "]}\nstatus", 1)
    };
    let container = readiness("httpGet: {port: http}");
    let portico = start(web.address.port(), &container);
    portico.edit("pod.yaml", &gated(&container, ""));
    let condition = |reason: &str, message: &str| {
        eventually(reason, || {
            let pod = reports(&portico)["pods"][0].clone();
            (pod["reason"] == reason && pod["message"] == message).then_some(())
        });
    };
    let absent =
        "corresponding condition of pod readiness gate \"portico.dev/gate\" does not exist.";
    condition("ReadinessGatesNotReady", absent);
    assert_eq!(is_there(&portico), Some(false));
    let open = ", conditions: [{type: portico.dev/gate, status: 'True'}]";
    portico.edit("pod.yaml", &gated(&container, open));
    becomes(&portico, true);
}

#[test]
fn what_a_pod_is_asked_with_is_what_the_kubelet_asks_with() {
    let heads = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&heads);
    let web = answering(move |head| {
        seen.lock().unwrap().push(head.to_owned());
        "200 OK".to_owned()
    });
    let headers = "httpHeaders: [{name: X-One, value: a}, {name: X-One, value: b}]";
    let portico = start(
        web.address.port(),
        &readiness(&format!("httpGet: {{port: http, path: 'health?full=1', {headers}}}")),
    );
    assert_eq!(heard(&portico).0, "success");
    let head = heads.lock().unwrap()[0].clone();
    let mut lines: Vec<_> = head.trim_end().lines().collect();
    assert_eq!(lines.remove(0), "GET /health?full=1 HTTP/1.1");
    lines.sort_unstable();
    let host = format!("Host: 127.0.0.1:{}", web.address.port());
    assert_eq!(
        lines,
        [
            "Accept: */*",
            "Connection: close",
            &host,
            "User-Agent: kube-probe/1.36",
            "X-One: a",
            "X-One: b"
        ],
        "services 6"
    );
}

#[test]
fn redirects_are_followed_on_the_same_host_alone() {
    for (case, location, want) in [
        ("to a good page", "/good", ("success", "")),
        ("to a bad page", "/bad", ("failure", "HTTP probe failed with statuscode: 500")),
        (
            "to another host",
            "http://elsewhere.test/bad",
            ("success", "redirected to another host, elsewhere.test: not followed"),
        ),
        ("in a circle", "/", ("failure", "stopped after 10 redirects")),
    ] {
        let web = answering(move |head| match head.split(' ').nth(1) {
            Some("/good") => "204 No Content".to_owned(),
            Some("/bad") => "500 Oh".to_owned(),
            _ => format!("302 Found\r\nLocation: {location}"),
        });
        let portico = start(web.address.port(), &readiness("httpGet: {port: http}"));
        let (result, message) = heard(&portico);
        assert_eq!((&*result, &*message), want, "services 6: {case}");
    }
}

#[test]
fn https_is_asked_whatever_its_certificate() {
    let good = switch(true);
    let answers = good_while(&good);
    let answers: Arc<Answers> = Arc::new(answers);
    let config = secure::server(&[b"http/1.1"]);
    let web = Pod::serve(Ipv4Addr::LOCALHOST.into(), move |stream| {
        let tls = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
        answer(&mut rustls::StreamOwned::new(tls, stream), &*answers);
    });
    let portico = start(web.address.port(), &readiness("httpGet: {port: http, scheme: HTTPS}"));
    says(&portico, "success", "");
    good.store(false, Ordering::SeqCst);
    says(&portico, "failure", "HTTP probe failed with statuscode: 500");
}

#[test]
fn a_server_in_tls_may_speak_http2_alone() {
    let good = switch(true);
    let is_good = Arc::clone(&good);
    let web = h2::Server::serve(Some(secure::server(&[b"h2"])), move |request, _| {
        let asked = request.uri().path() == "/ready"
            && request.headers()["user-agent"] == "kube-probe/1.36"
            && request.uri().host() == Some("web.test");
        let good = asked && is_good.load(Ordering::SeqCst);
        h2::Answer { status: if good { 200 } else { 500 }, body: vec![0; 40_000], trailers: vec![] }
    });
    let host = "httpHeaders: [{name: Host, value: web.test}]";
    let probe = format!("httpGet: {{port: http, scheme: HTTPS, path: /ready, {host}}}");
    let portico = start(web.address.port(), &readiness(&probe));
    says(&portico, "success", "");
    good.store(false, Ordering::SeqCst);
    says(&portico, "failure", "HTTP probe failed with statuscode: 500");
}

#[test]
fn a_grpc_server_is_ready_while_the_service_that_is_named_is_serving() {
    let status = Arc::new(AtomicUsize::new(1));
    let of_db = Arc::clone(&status);
    let pod = h2::Server::health(move |service| match service {
        "" => Some(2),
        "db" => u8::try_from(of_db.load(Ordering::SeqCst)).ok(),
        _ => None,
    });
    let port = pod.address.port();
    let portico = start(port, &readiness(&format!("grpc: {{port: {port}, service: db}}")));
    says(&portico, "success", "");
    eventually("the Pod comes", || named(&portico).then_some(()));
    status.store(2, Ordering::SeqCst);
    says(&portico, "failure", "service unhealthy (responded with \"NOT_SERVING\")");
    eventually("the Pod leaves", || (!named(&portico)).then_some(()));
    for (service, message) in [
        ("", "service unhealthy (responded with \"NOT_SERVING\")"),
        (", service: nobody", "health rpc probe failed: code 5: unknown service"),
    ] {
        let container = readiness(&format!("grpc: {{port: {port}{service}}}"));
        portico.edit("pod.yaml", &self::pod("web", "127.0.0.1", port, &container, ""));
        says(&portico, "failure", message);
    }
    // Whoever speaks no HTTP/2 is no such server.
    let web = answering(|_| "200 OK".to_owned());
    let container = readiness(&format!("grpc: {{port: {}}}", web.address.port()));
    portico.edit("pod.yaml", &self::pod("web", "127.0.0.1", port, &container, ""));
    eventually("services 6", || {
        let report = report(&portico);
        let message = report["message"].as_str()?;
        message
            .starts_with("health rpc probe failed: ")
            .then_some(())
    });
}

#[test]
fn a_port_without_a_number_and_one_of_portico_are_no_port_to_probe() {
    let web = answering(|_| "200 OK".to_owned());
    let port = web.address.port();
    let portico = start(port, &readiness("httpGet: {port: nobody}"));
    let (result, message) = heard(&portico);
    let want = "the container has no port of that name";
    assert_eq!((&*result, &*message), ("error", want), "services 6");
    let admin = portico.admin();
    let container = readiness(&format!("tcpSocket: {{port: {}}}", admin.port()));
    portico.edit("pod.yaml", &pod("web", "127.0.0.1", port, &container, ""));
    let want = format!("dial {admin}: it is portico's admin listener");
    says(&portico, "failure", &want);
    assert_eq!(is_there(&portico), Some(false));
}

#[test]
fn whoever_does_not_answer_is_not_ready_and_holds_up_neither_others_nor_the_end() {
    let silent = Pod::serve(Ipv4Addr::LOCALHOST.into(), |mut stream| {
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let good = answering(|_| "200 OK".to_owned());
    let asked = |field: &str, port: u16, seconds: u16| {
        format!(
            "{field}: {{httpGet: {{port: {port}}}, timeoutSeconds: {seconds}, failureThreshold: 1}}"
        )
    };
    // One gives up, the other would wait for longer than anybody runs this.
    let probes = [
        asked("livenessProbe", silent.address.port(), 1),
        asked("readinessProbe", good.address.port(), 1),
    ];
    let patient = asked("readinessProbe", silent.address.port(), 36_000);
    let pods = [
        pod("web", "127.0.0.1", good.address.port(), &probes.join(", "), ""),
        pod("patient", "127.0.0.1", good.address.port(), &patient, ""),
    ];
    let services = services(good.address.port());
    let portico =
        Portico::with(&[("services.yaml", &*services), ("pods.yaml", &pods.join("---\n"))]).start();
    eventually("services 6: it gives up", || {
        let pods = reports(&portico)["pods"].clone();
        let web = pods
            .as_array()?
            .iter()
            .find(|it| it["pod"] == "web")?
            .clone();
        let liveness = web["probes"]
            .as_array()?
            .iter()
            .find(|it| it["kind"] == "liveness")?
            .clone();
        (liveness["message"] == "no answer within the timeout").then_some(())
    });
    assert_eq!(portico.metric("portico_prober_probes_active"), 1, "the patient one");
    drop(portico);
}

#[test]
fn commands_come_to_what_the_setting_says() {
    let unready: fn(&mut portico_config::model::Settings) = |it| it.exec_probe = ExecProbe::Unready;
    for (setting, result, there) in
        [((|_| {}) as fn(&mut _), "success", true), (unready, "failure", false)]
    {
        let web = answering(|_| "200 OK".to_owned());
        let container = readiness("exec: {command: ['true']}");
        let portico = start_with(web.address.port(), &container, "", setting);
        assert_eq!(heard(&portico).0, result, "services 6");
        becomes(&portico, there);
    }
}

#[test]
fn nothing_else_is_asked_before_the_start_and_a_dead_container_is_not_ready() {
    let [started, alive] = [switch(false), switch(true)];
    let (start_up, life) = (Arc::clone(&started), Arc::clone(&alive));
    let early = Arc::new(AtomicUsize::new(0));
    let asked_early = Arc::clone(&early);
    let web = answering(move |head| {
        let is_started = start_up.load(Ordering::SeqCst);
        let good = match head.split(' ').nth(1) {
            Some("/started") => is_started,
            Some("/alive") => life.load(Ordering::SeqCst),
            _ => true,
        };
        if head.contains("kube-probe") && !head.starts_with("GET /started ") && !is_started {
            asked_early.fetch_add(1, Ordering::SeqCst);
        }
        if good { "200 OK" } else { "503 Not Yet" }.to_owned()
    });
    let probes = [
        probe("startupProbe", "httpGet: {port: http, path: /started}"),
        probe("livenessProbe", "httpGet: {port: http, path: /alive}"),
        readiness("httpGet: {port: http, path: /ready}"),
    ];
    let portico = start(web.address.port(), &probes.join(", "));
    eventually("it has not started", || {
        let reports = reports(&portico)["pods"][0]["probes"].clone();
        let startup = reports
            .as_array()?
            .iter()
            .find(|it| it["kind"] == "startup")?
            .clone();
        (startup["state"] == "failure").then_some(())
    });
    assert_eq!(is_there(&portico), Some(false));
    started.store(true, Ordering::SeqCst);
    becomes(&portico, true);
    assert_eq!(early.load(Ordering::SeqCst), 0, "services 6");
    alive.store(false, Ordering::SeqCst);
    becomes(&portico, false);
    alive.store(true, Ordering::SeqCst);
    becomes(&portico, true);
}

#[test]
fn many_pods_that_become_ready_make_few_generations() {
    const PODS: usize = 200;
    let web = Pod::serve(IpAddr::from([0, 0, 0, 0]), |mut stream| {
        answer(&mut stream, &|_| "200 OK".to_owned());
    });
    let port = web.address.port();
    let container = readiness("httpGet: {port: http}");
    let pods =
        (1..=PODS).map(|n| pod(&format!("p{n}"), &format!("127.9.0.{n}"), port, &container, ""));
    let pods = pods.collect::<Vec<_>>().join("---\n");
    let portico =
        Portico::with(&[("services.yaml", &*services(port)), ("pods.yaml", &*pods)]).start();
    eventually("all are ready", || {
        let endpoints =
            portico.metric("portico_endpoints{port=\"\",protocol=\"tcp\",service=\"default/web\"}");
        (endpoints == PODS as u64).then_some(())
    });
    let generation = portico.generation();
    assert!(generation <= 20, "{PODS} verdicts made {generation} generations");
}
