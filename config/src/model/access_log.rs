//! The log of requests: where it goes and what a line says (`accessLog`, `accessLogFormat`).
//!
//! A format is read once; a plane writes what it asks for. Invariants: no text of a format can end
//! its line; what authenticates a client can be named in none.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

/// The log of requests.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AccessLog {
    /// `accessLog`: where it goes.
    pub target: LogTarget,
    /// `accessLogFormat`: what a line says.
    pub format: LogFormat,
}

/// Where a log goes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum LogTarget {
    /// Nowhere.
    #[default]
    Off,
    /// To standard output.
    Stdout,
    /// To the end of a file.
    File(PathBuf),
}

/// What a line says.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum LogFormat {
    /// An object of JSON with everything that is known.
    #[default]
    Json,
    /// A text with variables.
    Text(LogTemplate),
}

/// A text with variables, as nginx's `log_format` has it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogTemplate {
    /// As it was written: `common`, `combined`, `upstreaminfo` or the text.
    source: Box<str>,
    parts: Arc<[LogPart]>,
}

/// A piece of a line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum LogPart {
    /// As it is.
    Text(Box<str>),
    /// What the request had for it; `-` where there is nothing.
    Variable(LogVariable),
}

/// What a line can say of a request, by nginx's names and those of its Ingress controller.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum LogVariable {
    /// `$remote_addr`: the client.
    RemoteAddr,
    /// `$remote_port`: its port, where the connection came from.
    RemotePort,
    /// `$remote_user`: nobody's name is kept.
    RemoteUser,
    /// `$time_local`: `26/Nov/2026:09:35:27 +0000`.
    TimeLocal,
    /// `$time_iso8601`: `2026-11-26T09:35:27+00:00`.
    TimeIso,
    /// `$msec`: seconds since 1970, with milliseconds.
    Msec,
    /// `$request`: the first line.
    Request,
    /// `$request_method`.
    Method,
    /// `$request_uri`: path and query as they came.
    RequestUri,
    /// `$uri`: the path as it came, without the query.
    Uri,
    /// `$args`, `$query_string`: what follows the `?`.
    Args,
    /// `$server_protocol`: `HTTP/1.1`.
    Protocol,
    /// `$scheme`: `http` or `https`.
    Scheme,
    /// `$host`, `$http_host`: Host as it was sent.
    Host,
    /// `$server_addr`: the listener's address.
    ServerAddr,
    /// `$server_port`: its port.
    ServerPort,
    /// `$status`; 499 where the client left before it had an answer.
    Status,
    /// `$bytes_sent`: all bytes to the client.
    BytesSent,
    /// `$body_bytes_sent`: those behind the head.
    BodyBytesSent,
    /// `$request_length`: bytes of the client's head and body.
    RequestLength,
    /// `$request_time`: seconds with milliseconds.
    RequestTime,
    /// `$request_id`, `$req_id`.
    RequestId,
    /// `$trace_id`: out of `traceparent`, where that is one.
    TraceId,
    /// `$upstream_…`: of every endpoint that was asked, with commas.
    Try(LogTry),
    /// `$ssl_…`: of the client's connection, where it came over TLS.
    Tls(LogTls),
    /// `$namespace` of the Ingress.
    Namespace,
    /// `$ingress_name`.
    IngressName,
    /// `$location_path`: the path of its rule.
    LocationPath,
    /// `$service_name`.
    ServiceName,
    /// `$service_port`: its name, or its number where it has none.
    ServicePort,
    /// `$proxy_upstream_name`: `namespace-service-port`.
    UpstreamName,
    /// `$proxy_alternative_upstream_name`: the same, where it is a canary's.
    AlternativeName,
    /// `$http_NAME`: a field of the request, `-` for `_`; by its lower-case name.
    Field(Box<str>),
}

/// What a line can say of an endpoint that was asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogTry {
    /// `$upstream_addr`.
    Addr,
    /// `$upstream_status`: what it said; 502 or 504 where it failed.
    Status,
    /// `$upstream_connect_time`: seconds until there was a connection, 0 where one was kept.
    ConnectTime,
    /// `$upstream_header_time`: seconds until the head of its answer.
    HeaderTime,
    /// `$upstream_response_time`: seconds until the end of it.
    ResponseTime,
    /// `$upstream_response_length`: bytes of its body.
    ResponseLength,
}

/// What a line can say of TLS.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogTls {
    /// `$ssl_protocol`: `TLSv1.3`.
    Protocol,
    /// `$ssl_cipher`, by OpenSSL's name.
    Cipher,
    /// `$ssl_server_name`: the name that the client asked for.
    ServerName,
    /// `$ssl_session_reused`: `r` where a session of before went on, else `.`.
    SessionReused,
    /// `$ssl_client_s_dn`: whom the client's certificate names.
    ClientSubject,
    /// `$ssl_client_i_dn`: who signed it.
    ClientIssuer,
    /// `$ssl_client_verify`: `SUCCESS`, `NONE` or `FAILED:` and why.
    ClientVerify,
}

impl LogFormat {
    /// The fields of requests that lines quote, by their lower-case names.
    pub fn fields(&self) -> Vec<&str> {
        match self {
            Self::Json => vec![USER_AGENT, REFERER],
            Self::Text(template) => {
                let mut fields: Vec<&str> = Vec::new();
                for part in &*template.parts {
                    if let LogPart::Variable(LogVariable::Field(name)) = part
                        && !fields.contains(&&**name)
                    {
                        fields.push(name);
                    }
                }
                fields
            }
        }
    }
}

impl LogTemplate {
    /// Its pieces in order.
    pub fn parts(&self) -> &[LogPart] {
        &self.parts
    }
}

impl FromStr for LogTarget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "" => Err("is empty: name a file, - for standard output, or off".to_owned()),
            "off" => Ok(Self::Off),
            "-" => Ok(Self::Stdout),
            file => Ok(Self::File(file.into())),
        }
    }
}

impl fmt::Display for LogTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Stdout => f.write_str("-"),
            Self::File(file) => write!(f, "{}", file.display()),
        }
    }
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let template = match text {
            "json" => return Ok(Self::Json),
            "common" => COMMON,
            "combined" => COMBINED,
            "upstreaminfo" => UPSTREAM_INFO,
            other if other.contains('$') => other,
            _ => {
                return Err(
                    "expected common, combined, upstreaminfo, json or a text with variables such as \
                     $status"
                        .to_owned(),
                );
            }
        };
        Ok(Self::Text(LogTemplate { source: text.into(), parts: parts(template)?.into() }))
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json => f.write_str("json"),
            Self::Text(template) => f.write_str(&template.source),
        }
    }
}

fn parts(text: &str) -> Result<Vec<LogPart>, String> {
    if text.len() > MAX_BYTES || text.chars().any(char::is_control) {
        return Err(format!("is longer than {MAX_BYTES} bytes or holds a control character"));
    }
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        if !before.is_empty() {
            parts.push(LogPart::Text(before.into()));
        }
        let (name, next) = name(after);
        parts.push(LogPart::Variable(variable(name)?));
        rest = next;
    }
    if !rest.is_empty() {
        parts.push(LogPart::Text(rest.into()));
    }
    if parts.len() > MAX_PARTS {
        return Err("has more than 64 variables".to_owned());
    }
    Ok(parts)
}

/// The name behind a `$`, with or without braces, and what follows it.
fn name(text: &str) -> (&str, &str) {
    if let Some(braced) = text.strip_prefix('{') {
        return braced.split_once('}').unwrap_or(("", ""));
    }
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let end = text.bytes().position(|byte| !is_name(byte));
    text.split_at(end.unwrap_or(text.len()))
}

fn variable(name: &str) -> Result<LogVariable, String> {
    if let Some((_, variable)) = VARIABLES.iter().find(|(known, _)| *known == name) {
        return Ok(variable.clone());
    }
    let field = name.strip_prefix("http_").filter(|field| !field.is_empty());
    let field = field.map(|field| field.replace('_', "-").to_ascii_lowercase());
    match field {
        Some(field) if SECRET.contains(&&*field) => {
            Err(format!("`${name}` authenticates a client and is never logged"))
        }
        Some(field) => Ok(LogVariable::Field(field.into())),
        None => Err(format!("`${name}` is no variable of requests")),
    }
}

const COMMON: &str =
    "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent";
const COMBINED: &str = "$remote_addr - $remote_user [$time_local] \"$request\" $status \
     $body_bytes_sent \"$http_referer\" \"$http_user_agent\"";
/// The default of ingress-nginx.
const UPSTREAM_INFO: &str = "$remote_addr - $remote_user [$time_local] \"$request\" $status \
     $body_bytes_sent \"$http_referer\" \"$http_user_agent\" $request_length $request_time \
     [$proxy_upstream_name] [$proxy_alternative_upstream_name] $upstream_addr \
     $upstream_response_length $upstream_response_time $upstream_status $req_id";
const VARIABLES: &[(&str, LogVariable)] = &[
    ("remote_addr", LogVariable::RemoteAddr),
    ("remote_port", LogVariable::RemotePort),
    ("remote_user", LogVariable::RemoteUser),
    ("time_local", LogVariable::TimeLocal),
    ("time_iso8601", LogVariable::TimeIso),
    ("msec", LogVariable::Msec),
    ("request", LogVariable::Request),
    ("request_method", LogVariable::Method),
    ("request_uri", LogVariable::RequestUri),
    ("uri", LogVariable::Uri),
    ("args", LogVariable::Args),
    ("query_string", LogVariable::Args),
    ("server_protocol", LogVariable::Protocol),
    ("scheme", LogVariable::Scheme),
    ("host", LogVariable::Host),
    ("http_host", LogVariable::Host),
    ("server_addr", LogVariable::ServerAddr),
    ("server_port", LogVariable::ServerPort),
    ("status", LogVariable::Status),
    ("bytes_sent", LogVariable::BytesSent),
    ("body_bytes_sent", LogVariable::BodyBytesSent),
    ("request_length", LogVariable::RequestLength),
    ("request_time", LogVariable::RequestTime),
    ("request_id", LogVariable::RequestId),
    ("req_id", LogVariable::RequestId),
    ("trace_id", LogVariable::TraceId),
    ("upstream_addr", LogVariable::Try(LogTry::Addr)),
    ("upstream_status", LogVariable::Try(LogTry::Status)),
    ("upstream_connect_time", LogVariable::Try(LogTry::ConnectTime)),
    ("upstream_header_time", LogVariable::Try(LogTry::HeaderTime)),
    ("upstream_response_time", LogVariable::Try(LogTry::ResponseTime)),
    ("upstream_response_length", LogVariable::Try(LogTry::ResponseLength)),
    ("ssl_protocol", LogVariable::Tls(LogTls::Protocol)),
    ("ssl_cipher", LogVariable::Tls(LogTls::Cipher)),
    ("ssl_server_name", LogVariable::Tls(LogTls::ServerName)),
    ("ssl_session_reused", LogVariable::Tls(LogTls::SessionReused)),
    ("ssl_client_s_dn", LogVariable::Tls(LogTls::ClientSubject)),
    ("ssl_client_i_dn", LogVariable::Tls(LogTls::ClientIssuer)),
    ("ssl_client_verify", LogVariable::Tls(LogTls::ClientVerify)),
    ("namespace", LogVariable::Namespace),
    ("ingress_name", LogVariable::IngressName),
    ("location_path", LogVariable::LocationPath),
    ("service_name", LogVariable::ServiceName),
    ("service_port", LogVariable::ServicePort),
    ("proxy_upstream_name", LogVariable::UpstreamName),
    ("proxy_alternative_upstream_name", LogVariable::AlternativeName),
];
const USER_AGENT: &str = "user-agent";
const REFERER: &str = "referer";
/// `http-proxy 9.3`.
const SECRET: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];
const MAX_BYTES: usize = 2_048;
/// Texts and variables.
const MAX_PARTS: usize = 129;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_read_as_they_are_shown() {
        for text in
            ["common", "combined", "upstreaminfo", "json", "$status ${uri}-$http_x_forwarded_for!"]
        {
            let format: LogFormat = text.parse().unwrap();
            assert_eq!(format.to_string(), text, "http-proxy 9.1");
        }
        for text in ["off", "-", "/var/log/access.log"] {
            assert_eq!(text.parse::<LogTarget>().unwrap().to_string(), text);
        }
        assert!("".parse::<LogTarget>().is_err());
    }

    #[test]
    fn a_template_is_texts_and_variables() {
        let format: LogFormat = "a$status ${uri}b$http_X_Y$http_x_y".parse().unwrap();
        assert_eq!(format.fields(), ["x-y"]);
        let LogFormat::Text(template) = format else { panic!("a template") };
        let field = LogPart::Variable(LogVariable::Field("x-y".into()));
        let want = [
            LogPart::Text("a".into()),
            LogPart::Variable(LogVariable::Status),
            LogPart::Text(" ".into()),
            LogPart::Variable(LogVariable::Uri),
            LogPart::Text("b".into()),
            field.clone(),
            field,
        ];
        assert_eq!(template.parts(), want);
        let combined: LogFormat = "combined".parse().unwrap();
        assert_eq!(combined.fields(), [REFERER, USER_AGENT]);
    }

    #[test]
    fn what_is_no_format_is_refused() {
        let many = "$status".repeat(130);
        let long = format!("$status{}", "x".repeat(MAX_BYTES));
        for (text, want) in [
            ("combine", "expected common"),
            ("", "expected common"),
            ("$nothing", "`$nothing` is no variable"),
            ("$http_", "`$http_` is no variable"),
            ("${status", "`$` is no variable"),
            ("$", "`$` is no variable"),
            ("$http_cookie", "never logged"),
            ("$http_Authorization", "never logged"),
            ("$status\n", "control character"),
            (&long, "longer than"),
            (&many, "more than 64"),
        ] {
            let error = text.parse::<LogFormat>().unwrap_err();
            assert!(error.contains(want), "http-proxy 9.3: {text}: {error}");
        }
    }
}
