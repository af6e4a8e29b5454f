//! Texts with variables of the request, as annotations have them (`ingress 2.3`).
//!
//! Read once, when compiled; what a request puts in is never read again as a template. Invariant: a
//! template holds visible ASCII and blanks alone, so with values that hold no line break it makes none.

use std::fmt;

/// A text with places for variables.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Template(Box<[Part]>);

/// A piece of a template.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Part {
    /// As it is.
    Text(Box<str>),
    /// What the request has for it.
    Variable(Variable),
}

/// What a template can ask of a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Variable {
    /// `$scheme`, `$pass_access_scheme`: `http` or `https`.
    Scheme,
    /// `$host`: the name that was asked for, without port.
    Host,
    /// `$http_host`, `$best_http_host`: Host as it was sent.
    HttpHost,
    /// `$request_uri`: path and query.
    RequestUri,
    /// `$uri`: the path.
    Uri,
    /// `$args`, `$query_string`: what follows the `?`.
    Args,
    /// `$is_args`: `?` where there is a query.
    IsArgs,
    /// `$escaped_request_uri`: path and query, so that they can stand in a query.
    EscapedRequestUri,
    /// `$request_method`.
    RequestMethod,
    /// `$remote_addr`: the client's address.
    RemoteAddr,
    /// `$request_id`, `$req_id`: what the client calls the request, or else what it is called here.
    RequestId,
    /// `$server_port`: the port of the listener.
    ServerPort,
    /// `$namespace`: that of the Ingress; with the next three, text since the manifest was compiled.
    Namespace,
    /// `$ingress_name`.
    IngressName,
    /// `$service_name`: the Service of the path.
    ServiceName,
    /// `$service_port`: its port, as the Ingress names it.
    ServicePort,
    /// `$http_NAME`: a field of the request; in `NAME` stands `_` for `-`.
    Field(Box<str>),
    /// `$cookie_NAME`.
    Cookie(Box<str>),
    /// `$arg_NAME`: a parameter of the query.
    Argument(Box<str>),
    /// `$1` to `$9`: what a group of the path's pattern took.
    Capture(u8),
}

/// Why a text is no template.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum TemplateError {
    /// It names a variable that does not exist here.
    Unknown(String),
    /// It holds something other than visible ASCII.
    NotVisible,
    /// It is longer than a template may be, or has more variables.
    TooLong,
}

impl Template {
    /// Reads a text; `known` says which variables may stand in it, one capture for all.
    pub fn parse(text: &str, known: &[Variable]) -> Result<Self, TemplateError> {
        Self::parse_with(text, |variable| match variable {
            Variable::Capture(_) => known.contains(&Variable::Capture(1)),
            variable => known.contains(variable),
        })
    }

    /// Reads a text in which every variable of a request may stand, and no capture.
    pub(crate) fn of_any(text: &str) -> Result<Self, TemplateError> {
        Self::parse_with(text, |variable| !matches!(variable, Variable::Capture(_)))
    }

    fn parse_with(
        text: &str,
        may_stand: impl Fn(&Variable) -> bool,
    ) -> Result<Self, TemplateError> {
        match text.bytes().all(|byte| byte.is_ascii_graphic()) {
            true => Self::read(text, may_stand),
            false => Err(TemplateError::NotVisible),
        }
    }

    /// The same as [`Self::of_any`] for a text that may hold blanks, such as the value of a field.
    pub(crate) fn phrase(text: &str) -> Result<Self, TemplateError> {
        Self::read(text, |variable| !matches!(variable, Variable::Capture(_)))
    }

    fn read(text: &str, may_stand: impl Fn(&Variable) -> bool) -> Result<Self, TemplateError> {
        if !text
            .bytes()
            .all(|byte| byte == b' ' || byte.is_ascii_graphic())
        {
            return Err(TemplateError::NotVisible);
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            if !before.is_empty() {
                parts.push(Part::Text(before.into()));
            }
            let (name, next) = variable(after);
            let found = Variable::named(name).filter(&may_stand);
            let variable = found.ok_or_else(|| TemplateError::Unknown(name.to_owned()))?;
            parts.push(Part::Variable(variable));
            rest = next;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.into()));
        }
        let variables = parts
            .iter()
            .filter(|part| matches!(part, Part::Variable(_)));
        if text.len() > MAX_BYTES || variables.count() > MAX_VARIABLES {
            return Err(TemplateError::TooLong);
        }
        Ok(Self(parts.into()))
    }

    /// The same with text for the variables that `known` knows.
    pub(crate) fn with(&self, known: impl Fn(&Variable) -> Option<Box<str>>) -> Self {
        let part = |part: &Part| match part {
            Part::Variable(variable) => known(variable).map_or_else(|| part.clone(), Part::Text),
            Part::Text(_) => part.clone(),
        };
        Self(self.0.iter().map(part).collect())
    }

    /// Its pieces in order.
    pub fn parts(&self) -> &[Part] {
        &self.0
    }
}

/// As it is written, each name in braces: `https://${host}/`.
impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            Part::Text(text) => f.write_str(text),
            Part::Variable(variable) => write!(f, "${{{variable}}}"),
        })
    }
}

/// Its name, without the `$`.
impl fmt::Display for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheme => "scheme",
            Self::Host => "host",
            Self::HttpHost => "http_host",
            Self::RequestUri => "request_uri",
            Self::Uri => "uri",
            Self::Args => "args",
            Self::IsArgs => "is_args",
            Self::EscapedRequestUri => "escaped_request_uri",
            Self::RequestMethod => "request_method",
            Self::RemoteAddr => "remote_addr",
            Self::RequestId => "request_id",
            Self::ServerPort => "server_port",
            Self::Namespace => "namespace",
            Self::IngressName => "ingress_name",
            Self::ServiceName => "service_name",
            Self::ServicePort => "service_port",
            Self::Field(name) => return write!(f, "http_{name}"),
            Self::Cookie(name) => return write!(f, "cookie_{name}"),
            Self::Argument(name) => return write!(f, "arg_{name}"),
            Self::Capture(number) => return write!(f, "{number}"),
        })
    }
}

impl Variable {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "scheme" | "pass_access_scheme" => Self::Scheme,
            "host" => Self::Host,
            "http_host" | "best_http_host" => Self::HttpHost,
            "request_uri" => Self::RequestUri,
            "escaped_request_uri" => Self::EscapedRequestUri,
            "request_method" => Self::RequestMethod,
            "remote_addr" | "binary_remote_addr" => Self::RemoteAddr,
            "request_id" | "req_id" => Self::RequestId,
            "server_port" => Self::ServerPort,
            "namespace" => Self::Namespace,
            "ingress_name" => Self::IngressName,
            "service_name" => Self::ServiceName,
            "service_port" => Self::ServicePort,
            "uri" => Self::Uri,
            "args" | "query_string" => Self::Args,
            "is_args" => Self::IsArgs,
            _ if is_name_of("http_", name) => Self::Field(name.get(5..)?.into()),
            _ if is_name_of("cookie_", name) => Self::Cookie(name.get(7..)?.into()),
            _ if is_name_of("arg_", name) => Self::Argument(name.get(4..)?.into()),
            _ => match name.as_bytes() {
                [digit @ b'1'..=b'9'] => Self::Capture(digit - b'0'),
                _ => return None,
            },
        })
    }
}

/// Whether a variable is one of a kind, and has a name.
fn is_name_of(kind: &str, name: &str) -> bool {
    name.strip_prefix(kind).is_some_and(|rest| !rest.is_empty())
}

/// The name behind a `$`, with or without braces, and what follows it.
fn variable(text: &str) -> (&str, &str) {
    if let Some(braced) = text.strip_prefix('{') {
        // Without its other brace it has no name.
        return braced.split_once('}').unwrap_or(("{", ""));
    }
    if text.starts_with(|first: char| first.is_ascii_digit()) {
        return text.split_at(1);
    }
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let end = text
        .bytes()
        .position(|byte| !is_name(byte))
        .unwrap_or(text.len());
    text.split_at(end)
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => write!(f, "`${name}` is no variable that may stand here"),
            Self::NotVisible => write!(f, "holds a blank, a control or something beyond ASCII"),
            Self::TooLong => {
                write!(f, "is longer than {MAX_BYTES} bytes or has over {MAX_VARIABLES} variables")
            }
        }
    }
}

/// `ingress 6.9`.
const MAX_BYTES: usize = 4_096;
const MAX_VARIABLES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use Variable::{Args, Capture, Host, IsArgs, RequestUri};

    const KNOWN: &[Variable] = &[Host, RequestUri, Args, IsArgs, Capture(1)];

    #[test]
    fn texts_and_variables_take_turns() {
        let text = |text: &str| Part::Text(text.into());
        let variable = Part::Variable;
        for (template, want) in [
            ("", vec![]),
            ("/a", vec![text("/a")]),
            ("$host", vec![variable(Host)]),
            (
                "https://${host}x$is_args$args",
                vec![text("https://"), variable(Host), text("x"), variable(IsArgs), variable(Args)],
            ),
            ("$request_uri/", vec![variable(RequestUri), text("/")]),
            ("/$12${3}", vec![text("/"), variable(Capture(1)), text("2"), variable(Capture(3))]),
        ] {
            let parsed = Template::parse(template, KNOWN);
            assert_eq!(parsed.unwrap().parts(), want, "ingress 2.3: {template}");
        }
    }

    #[test]
    fn what_is_written_is_read_as_the_same() {
        let text = "${scheme}://${host}${http_host}${request_uri}${uri}${args}${is_args}\
                    ${escaped_request_uri}${request_method}${remote_addr}${request_id}${server_port}\
                    ${namespace}${ingress_name}${service_name}${service_port}${http_a_b}${cookie_c}${arg_d}";
        let template = Template::of_any(text).unwrap();
        assert_eq!(template.to_string(), text, "ingress 2.3");
        let captures = Template::parse("/$1x${2}", KNOWN).unwrap();
        assert_eq!(captures.to_string(), "/${1}x${2}");
    }

    #[test]
    fn what_is_no_variable_or_not_allowed_is_an_error() {
        let unknown = |name: &str| TemplateError::Unknown(name.to_owned());
        for (template, want) in [
            ("$hos", unknown("hos")),
            ("a$", unknown("")),
            ("$0", unknown("0")),
            ("${host", unknown("{")),
            ("$scheme", unknown("scheme")),
            ("a b", TemplateError::NotVisible),
            ("a\r\nb: c", TemplateError::NotVisible),
            ("ä", TemplateError::NotVisible),
            (&"a".repeat(MAX_BYTES + 1), TemplateError::TooLong),
            (&"$host".repeat(MAX_VARIABLES + 1), TemplateError::TooLong),
        ] {
            let got = Template::parse(template, KNOWN).unwrap_err();
            assert_eq!(got, want, "ingress 2.3: {template}");
        }
        assert!(Template::parse(&"$host".repeat(MAX_VARIABLES), KNOWN).is_ok());
    }
}
