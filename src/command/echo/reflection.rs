//! Server reflection: what the echo service is made of, for clients that ask (`ingress 4`).
//!
//! Pure. The descriptor is written here with the numbers of `descriptor.proto`, so that no compiler
//! is needed; `grpc.reflection.v1` and its older name say the same.

use super::protobuf::{Message, first_bytes};

/// The package and service that are described.
pub(super) const SERVICE: &str = "gateway_api_conformance.echo_basic.grpcecho.GrpcEcho";
/// Services that describe others.
pub(super) const REFLECTION: [&str; 2] =
    ["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"];

/// The answer to one `ServerReflectionRequest`.
pub(super) fn answer(request: &[u8]) -> Message {
    let mut response = Message::default();
    response.put(2, request);
    match first_bytes(request, &[BY_FILE, BY_SYMBOL, LIST]) {
        Some((LIST, _)) => {
            let mut list = Message::default();
            for name in [SERVICE].iter().chain(&REFLECTION) {
                list.put(1, Message::default().text(1, name).bytes());
            }
            response.put(6, list.bytes());
        }
        Some((BY_FILE, name)) if name == FILE.as_bytes() => {
            response.put(4, Message::default().put(1, file().bytes()).bytes());
        }
        Some((BY_SYMBOL, name)) if name.starts_with(PACKAGE.as_bytes()) => {
            response.put(4, Message::default().put(1, file().bytes()).bytes());
        }
        _ => {
            let mut error = Message::default();
            error.number(1, NOT_FOUND).text(2, "not known here");
            response.put(7, error.bytes());
        }
    }
    response
}

/// The `FileDescriptorProto`.
fn file() -> Message {
    let mut file = Message::default();
    file.text(1, FILE).text(2, PACKAGE);
    for (name, fields) in MESSAGES {
        let mut message = Message::default();
        message.text(1, name);
        for (at, &(name, repeated, kind)) in fields.iter().enumerate() {
            let mut field = Message::default();
            field
                .text(1, name)
                .number(3, at as u64 + 1)
                .number(4, if repeated { 3 } else { 1 })
                .number(5, if kind.is_empty() { TEXT } else { MESSAGE });
            if !kind.is_empty() {
                field.text(6, &format!(".{PACKAGE}.{kind}"));
            }
            message.put(2, field.bytes());
        }
        file.put(4, message.bytes());
    }
    let mut service = Message::default();
    service.text(1, "GrpcEcho");
    for name in ["Echo", "EchoTwo", "EchoThree"] {
        let mut method = Message::default();
        method
            .text(1, name)
            .text(2, &format!(".{PACKAGE}.EchoRequest"))
            .text(3, &format!(".{PACKAGE}.EchoResponse"));
        service.put(2, method.bytes());
    }
    file.put(6, service.bytes()).text(12, "proto3");
    file
}

/// A field: its name, whether there may be many, and which message it is; none: a text.
type Field = (&'static str, bool, &'static str);

/// In the order of their numbers.
const MESSAGES: [(&str, &[Field]); 6] = [
    ("Header", &[("key", false, ""), ("value", false, "")]),
    (
        "Context",
        &[
            ("namespace", false, ""),
            ("ingress", false, ""),
            ("service_name", false, ""),
            ("pod", false, ""),
        ],
    ),
    (
        "TLSAssertions",
        &[
            ("version", false, ""),
            ("negotiated_protocol", false, ""),
            ("server_name", false, ""),
            ("cipher_suite", false, ""),
            ("peer_certificates", true, ""),
        ],
    ),
    (
        "Assertions",
        &[
            ("fully_qualified_method", false, ""),
            ("headers", true, "Header"),
            ("authority", false, ""),
            ("context", false, "Context"),
            ("tls_assertions", false, "TLSAssertions"),
        ],
    ),
    ("EchoRequest", &[]),
    ("EchoResponse", &[("assertions", false, "Assertions"), ("request", false, "EchoRequest")]),
];

const FILE: &str = "grpcecho.proto";
const PACKAGE: &str = "gateway_api_conformance.echo_basic.grpcecho";
const BY_FILE: u64 = 3;
const BY_SYMBOL: u64 = 4;
const LIST: u64 = 7;
const TEXT: u64 = 9;
const MESSAGE: u64 = 11;
const NOT_FOUND: u64 = 5;
