//! gRPC as other people speak it: a client and a server of grpcio with portico between them
//! (`http-proxy 6.6` to `6.9`).
//!
//! Left out with a message where grpcio is not installed; `.ci/run` installs it.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};

use crate::annotations::annotated;
use crate::backend_tls::Authority;
use crate::harness::portico::Portico;

/// The script, running.
struct Script {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Script {
    /// Starts the server half, with these PEM texts; none: there is no grpcio.
    fn start(key: &str, certificate: &str, authority: &str) -> Option<(Self, u16, u16)> {
        let child = Command::new(PYTHON)
            .args(["-c", SCRIPT, key, certificate, authority])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let required = std::env::var_os("CI").is_some_and(|it| it == "true");
        let mut child = match child {
            Ok(child) => child,
            Err(error) => {
                assert!(!required, "python3: {error}");
                eprintln!("skipped: python3 is not installed ({error})");
                return None;
            }
        };
        let out = child.stdout.take().unwrap();
        let mut script = Self { child, lines: BufReader::new(out).lines() };
        let Some(Ok(ports)) = script.lines.next() else {
            let error = script.error();
            assert!(error.contains("No module named") && !required, "grpcio: {error}");
            eprintln!("skipped: grpcio is not installed");
            return None;
        };
        let mut ports = ports.split(' ').map(|port| port.parse().unwrap());
        let (plain, secure) = (ports.next().unwrap(), ports.next().unwrap());
        Some((script, plain, secure))
    }

    /// What it has to say of its own end.
    fn error(&mut self) -> String {
        let mut error = String::new();
        let stderr = self.child.stderr.as_mut().unwrap();
        let _ = stderr.read_to_string(&mut error);
        error
    }

    /// Runs the client half; what it says, line by line, and what went wrong.
    fn ask(mut self, http: u16, https: u16) -> (Vec<String>, String) {
        let mut input = self.child.stdin.take().unwrap();
        writeln!(input, "{http} {https}").unwrap();
        let said = self.lines.by_ref().map_while(Result::ok).collect();
        (said, self.error())
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn service(name: &str, port: u16) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\n  annotations:\n    \
         portico.dev/endpoints: \"127.0.0.1:{port}\"\nspec:\n  ports:\n  - port: 80\n"
    )
}

#[test]
fn a_client_and_a_server_of_grpcio_understand_each_other() {
    let authority = Authority::new();
    let pair = authority.sign("grpc.test");
    let (key, certificate) = (pair.1.serialize_pem(), pair.0.pem());
    let Some((script, plain, secure)) = Script::start(&key, &certificate, &authority.pem()) else {
        return;
    };
    let entry = "  tls:\n  - hosts: [grpc.test]\n    secretName: pair\n";
    let manifests = [
        service("web", plain),
        service("secure", secure),
        service("nobody", 1).replace("127.0.0.1:1", ""),
        authority.secret("pair", Some(&pair)),
        annotated(
            "plain",
            "grpc.test",
            &[("backend-protocol", "GRPC"), ("ssl-redirect", "false")],
            entry,
        ),
        annotated("secure", "grpcs.test", &[("backend-protocol", "GRPCS")], "")
            .replace("name: web,", "name: secure,"),
        annotated("nobody", "nobody.test", &[("backend-protocol", "GRPC")], "")
            .replace("name: web,", "name: nobody,"),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)])
        .workers(1)
        .start();
    let (said, error) = script.ask(portico.http().port(), portico.https().port());
    let want = [
        "plain: unary b'one' first=1 last=2",
        "plain: abort NOT_FOUND no such thing/50%",
        "plain: many 1000",
        "plain: sum 499500",
        "plain: ping-pong 50",
        "plain: late DEADLINE_EXCEEDED",
        "plain: the server heard of it",
        "plain: long 600000",
        "tls: unary b'one' first=1 last=2",
        "tls: ping-pong 50",
        "grpcs: unary b'one' first=1 last=2",
        "grpcs: many 1000",
        "other: UNIMPLEMENTED",
        "nobody: UNAVAILABLE",
    ];
    assert_eq!(said, want, "http-proxy 6.6 to 6.9: {error}");
}

/// That of the system, which has the packages of the system.
const PYTHON: &str = "/usr/bin/python3";
const SCRIPT: &str = r#"
import concurrent.futures, sys, threading
import grpc
key, certificate, authority = (text.encode() for text in sys.argv[1:4])
same = lambda it: it
gone = threading.Event()

def unary(request, context):
    sent = dict(context.invocation_metadata())
    context.send_initial_metadata((('first', '1'),))
    context.set_trailing_metadata((('last', '2'),))
    return request if sent.get('asked') == 'yes' else b'not asked'

def abort(request, context):
    context.abort(grpc.StatusCode.NOT_FOUND, 'no such thing/50%')

def many(request, context):
    for number in range(int(request)):
        yield str(number).encode()

def total(requests, context):
    return str(sum(int(request) for request in requests)).encode()

def pong(requests, context):
    for request in requests:
        yield request

def late(request, context):
    context.add_callback(gone.set)
    gone.wait(30)
    return b''

class Handler(grpc.GenericRpcHandler):
    def service(self, call):
        kinds = {
            '/it.Test/Unary': grpc.unary_unary_rpc_method_handler(unary),
            '/it.Test/Abort': grpc.unary_unary_rpc_method_handler(abort),
            '/it.Test/Many': grpc.unary_stream_rpc_method_handler(many),
            '/it.Test/Sum': grpc.stream_unary_rpc_method_handler(total),
            '/it.Test/Pong': grpc.stream_stream_rpc_method_handler(pong),
            '/it.Test/Late': grpc.unary_unary_rpc_method_handler(late),
        }
        return kinds.get(call.method)

server = grpc.server(concurrent.futures.ThreadPoolExecutor(8), handlers=(Handler(),))
plain = server.add_insecure_port('127.0.0.1:0')
secure = server.add_secure_port(
    '127.0.0.1:0', grpc.ssl_server_credentials(((key, certificate),)))
server.start()
print(plain, secure, flush=True)
http, https = sys.stdin.readline().split()

def status(call):
    try:
        call()
        return 'OK'
    except grpc.RpcError as error:
        return error.code().name

def opened(name, port, host, credentials=None):
    options = [('grpc.default_authority', host), ('grpc.enable_http_proxy', 0)]
    target = '127.0.0.1:' + port
    if credentials is None:
        return grpc.insecure_channel(target, options)
    options.append(('grpc.ssl_target_name_override', 'grpc.test'))
    return grpc.secure_channel(target, credentials, options)

def of_unary(name, channel):
    call = channel.unary_unary('/it.Test/Unary')
    answer, rpc = call.with_call(b'one', timeout=30, metadata=(('asked', 'yes'),))
    first, last = dict(rpc.initial_metadata()), dict(rpc.trailing_metadata())
    print(f"{name}: unary {answer} first={first.get('first')} last={last.get('last')}")

def of_many(name, channel):
    numbers = channel.unary_stream('/it.Test/Many')(b'1000', timeout=30)
    print(f'{name}: many {sum(1 for _ in numbers)}')

def of_pong(name, channel):
    ready, turns = threading.Semaphore(1), 50
    def asks():
        for turn in range(turns):
            # The next goes out only once the answer before has come.
            ready.acquire()
            yield b'%d' % turn
    count = 0
    for turn, answer in enumerate(channel.stream_stream('/it.Test/Pong')(asks(), timeout=30)):
        count += answer == b'%d' % turn
        ready.release()
    print(f'{name}: ping-pong {count}')

channel = opened('plain', http, 'grpc.test')
of_unary('plain', channel)
try:
    channel.unary_unary('/it.Test/Abort')(b'', timeout=30)
except grpc.RpcError as error:
    print('plain: abort', error.code().name, error.details())
of_many('plain', channel)
numbers = (b'%d' % number for number in range(1000))
print('plain: sum', channel.stream_unary('/it.Test/Sum')(numbers, timeout=30).decode())
of_pong('plain', channel)
print('plain: late', status(lambda: channel.unary_unary('/it.Test/Late')(b'', timeout=0.5)))
print('plain: the server heard of it' if gone.wait(30) else 'plain: nobody told the server')
long = channel.unary_unary('/it.Test/Unary')(
    b'x' * 600_000, timeout=30, metadata=(('asked', 'yes'),))
print('plain: long', len(long))
tls = opened('tls', https, 'grpc.test', grpc.ssl_channel_credentials(authority))
of_unary('tls', tls)
of_pong('tls', tls)
grpcs = opened('grpcs', http, 'grpcs.test')
of_unary('grpcs', grpcs)
of_many('grpcs', grpcs)
for host in ['other', 'nobody']:
    channel = opened(host, http, host + '.test')
    print(f'{host}:', status(lambda: channel.unary_unary('/it.Test/Unary')(b'', timeout=30)))
server.stop(None)
"#;
