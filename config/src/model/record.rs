//! Names that a person writes for the resolver: lines of a zone file and of a hosts file.
//!
//! Invariants: pure; a name is in lower case without its last dot, `*.` alone may stand in front of it;
//! what a record says always fits a message. `dns.record` is one line each; `dns.hosts` names files.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use ipnet::IpNet;

/// One record of a name that a person wrote.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StaticRecord {
    /// Its name: `db.corp.test`, or `*.dev.test` for everything below `dev.test`.
    pub name: Arc<str>,
    /// Its TTL, `0..=2147483647`; none: that of every local record.
    pub ttl_seconds: Option<u32>,
    /// What it says.
    pub data: RecordData,
    /// The network whose clients alone are told; none: everybody.
    pub view: Option<IpNet>,
    /// The hosts file that it is from; none: the settings.
    pub file: Option<Arc<PathBuf>>,
}

/// What a record says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RecordData {
    /// A or AAAA.
    Address(IpAddr),
    /// CNAME: the name that is meant.
    Alias(Arc<str>),
    /// TXT: texts of at most 255 octets each.
    Text(Vec<Arc<str>>),
    /// SRV.
    Service {
        /// Lower ones first.
        priority: u16,
        /// The share among those of one priority.
        weight: u16,
        /// Where it listens.
        port: u16,
        /// Its host.
        target: Arc<str>,
    },
    /// MX.
    Mail {
        /// Lower ones first.
        preference: u16,
        /// The host that takes mail.
        exchange: Arc<str>,
    },
}

impl StaticRecord {
    /// The suffix below which it answers, where its name begins with `*.`.
    pub fn wildcard(&self) -> Option<&str> {
        self.name.strip_prefix("*.")
    }
}

impl FromStr for StaticRecord {
    type Err = String;

    /// Reads `[@CIDR] NAME [TTL] [IN] TYPE DATA`.
    fn from_str(line: &str) -> Result<Self, String> {
        if let Some((network, rest)) = line.trim_start().strip_prefix('@').and_then(word) {
            let network: Result<IpNet, _> = network.parse();
            let network =
                network.map_err(|_| "expected a network behind @, such as @10.0.0.0/8")?;
            if rest.trim_start().starts_with('@') {
                return Err("one network is enough: write a record for each".to_owned());
            }
            return Ok(Self { view: Some(network.trunc()), ..rest.parse()? });
        }
        let (owner, rest) = word(line).ok_or(EXPECTED)?;
        let name = domain(owner, true).ok_or_else(|| format!("`{owner}` is no domain name"))?;
        let (mut kind, mut rest) = word(rest).ok_or(EXPECTED)?;
        let mut ttl_seconds = None;
        if let Ok(seconds) = kind.parse::<u32>() {
            if seconds > MAX_TTL {
                return Err(format!("{seconds} is no TTL: at most {MAX_TTL}"));
            }
            ttl_seconds = Some(seconds);
            (kind, rest) = word(rest).ok_or(EXPECTED)?;
        }
        if kind.eq_ignore_ascii_case("IN") {
            (kind, rest) = word(rest).ok_or(EXPECTED)?;
        }
        let data = data(&kind.to_ascii_uppercase(), rest.trim())?;
        Ok(Self { name, ttl_seconds, data, view: None, file: None })
    }
}

impl fmt::Display for StaticRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(view) = self.view {
            write!(f, "@{view} ")?;
        }
        write!(f, "{} ", self.name)?;
        if let Some(ttl) = self.ttl_seconds {
            write!(f, "{ttl} ")?;
        }
        match &self.data {
            RecordData::Address(address) if address.is_ipv4() => write!(f, "A {address}"),
            RecordData::Address(address) => write!(f, "AAAA {address}"),
            RecordData::Alias(target) => write!(f, "CNAME {target}"),
            RecordData::Text(texts) => {
                f.write_str("TXT")?;
                texts.iter().try_for_each(|text| {
                    write!(f, " \"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
                })
            }
            RecordData::Service { priority, weight, port, target } => {
                write!(f, "SRV {priority} {weight} {port} {target}")
            }
            RecordData::Mail { preference, exchange } => write!(f, "MX {preference} {exchange}"),
        }
    }
}

/// The records of a hosts file, and which of its lines, from 1, cannot be read for what reason.
///
/// As everywhere: an address, then its names; `#` begins a comment. `localhost` has its own rule
/// (`dns 4.4`) and is passed over, as are the groups of addresses that such files begin with.
pub(crate) fn hosts_file(
    file: &Arc<PathBuf>,
    text: &str,
) -> (Vec<StaticRecord>, Vec<(usize, String)>) {
    let (mut records, mut wrong) = (Vec::new(), Vec::new());
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let Some(first) = words.next() else { continue };
        // A zone of a link-local address says nothing to others.
        let Ok(address) = first
            .split('%')
            .next()
            .unwrap_or_default()
            .parse::<IpAddr>()
        else {
            wrong.push((number, format!("`{first}` is no IP address")));
            continue;
        };
        if address.is_multicast() {
            continue;
        }
        let mut is_alone = true;
        for name in words {
            is_alone = false;
            let Some(known) = domain(name, true) else {
                wrong.push((number, format!("`{name}` is no domain name")));
                continue;
            };
            if is_local(&known) {
                continue;
            }
            let data = RecordData::Address(address);
            let file = Some(Arc::clone(file));
            records.push(StaticRecord { name: known, ttl_seconds: None, data, view: None, file });
        }
        if is_alone {
            wrong.push((number, format!("{first} has no name behind it")));
        }
    }
    (records, wrong)
}

fn is_local(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost") || NOT_HOSTS.contains(&name)
}

fn data(kind: &str, text: &str) -> Result<RecordData, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let name =
        |text: &str| domain(text, false).ok_or_else(|| format!("`{text}` is no domain name"));
    let number = |text: &str| {
        text.parse::<u16>()
            .map_err(|_| format!("`{text}` is no number from 0 to 65535"))
    };
    match (kind, words.as_slice()) {
        ("A", [text]) => match text.parse() {
            Ok(address) => Ok(RecordData::Address(IpAddr::V4(address))),
            Err(_) => Err(format!("`{text}` is no IPv4 address")),
        },
        ("AAAA", [text]) => match text.parse() {
            Ok(address) => Ok(RecordData::Address(IpAddr::V6(address))),
            Err(_) => Err(format!("`{text}` is no IPv6 address")),
        },
        ("CNAME", [target]) => Ok(RecordData::Alias(name(target)?)),
        ("TXT", [_, ..]) => texts(text).map(RecordData::Text),
        ("SRV", [priority, weight, port, target]) => Ok(RecordData::Service {
            priority: number(priority)?,
            weight: number(weight)?,
            port: number(port)?,
            target: name(target)?,
        }),
        ("MX", [preference, exchange]) => {
            Ok(RecordData::Mail { preference: number(preference)?, exchange: name(exchange)? })
        }
        ("A" | "AAAA" | "CNAME" | "TXT" | "SRV" | "MX", _) => Err(EXPECTED.to_owned()),
        _ => Err(format!("{kind} is none of A, AAAA, CNAME, TXT, SRV and MX")),
    }
}

/// Texts in quotes, in which `\` takes the next letter as it is, or single words.
fn texts(mut rest: &str) -> Result<Vec<Arc<str>>, String> {
    let (mut texts, mut total) = (Vec::new(), 0);
    while !rest.is_empty() {
        let mut text = String::new();
        let is_quoted = rest.starts_with('"');
        let mut letters = rest.char_indices().skip(usize::from(is_quoted));
        let end = loop {
            match letters.next() {
                Some((_, '\\')) => text.extend(letters.next().map(|(_, letter)| letter)),
                Some((at, '"')) if is_quoted => break at + 1,
                Some((at, blank)) if !is_quoted && blank.is_whitespace() => break at,
                Some((_, letter)) => text.push(letter),
                None if is_quoted => return Err("a quote is not closed".to_owned()),
                None => break rest.len(),
            }
        };
        total += text.len() + 1;
        if text.len() > MAX_TEXT || total > MAX_TEXTS {
            return Err(format!(
                "a text is longer than {MAX_TEXT}, or all than {MAX_TEXTS} octets"
            ));
        }
        texts.push(text.into());
        rest = rest.get(end..).unwrap_or_default().trim_start();
    }
    Ok(texts)
}

/// The first word, and what stands behind it.
fn word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start();
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    text.split_at_checked(end)
        .filter(|(word, _)| !word.is_empty())
}

/// A domain name in lower case.
fn domain(text: &str, may_be_wildcard: bool) -> Option<Arc<str>> {
    let name = text.strip_suffix('.').unwrap_or(text);
    let below = match name.strip_prefix("*.") {
        Some(below) if may_be_wildcard => below,
        _ => name,
    };
    let is_label = |label: &str| {
        let is_plain = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
        (1..=63).contains(&label.len()) && label.bytes().all(is_plain)
    };
    let is_name = name.len() <= MAX_NAME && below.split('.').all(is_label);
    is_name.then(|| name.to_ascii_lowercase().into())
}

const EXPECTED: &str = "expected NAME [TTL] TYPE DATA, such as `db.corp.test A 192.0.2.1` or \
                        `_sql._tcp.corp.test SRV 0 100 5432 db.corp.test`";
/// What such files come with, and is no host's name.
const NOT_HOSTS: [&str; 5] =
    ["ip6-localhost", "ip6-loopback", "ip6-localnet", "ip6-mcastprefix", "broadcasthost"];
const MAX_NAME: usize = 253;
const MAX_TTL: u32 = i32::MAX as u32;
const MAX_TEXT: usize = 255;
const MAX_TEXTS: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_is_shown() {
        for (text, want) in [
            ("db.corp.test A 192.0.2.1", "db.corp.test A 192.0.2.1"),
            ("DB.Corp.Test.  300 in a 192.0.2.1 ", "db.corp.test 300 A 192.0.2.1"),
            ("*.dev.test AAAA 2001:db8::1", "*.dev.test AAAA 2001:db8::1"),
            ("www.corp.test CNAME Web.Corp.Test.", "www.corp.test CNAME web.corp.test"),
            (
                "a.test TXT word \"two, words\" \"a \\\" b\"",
                "a.test TXT \"word\" \"two, words\" \"a \\\" b\"",
            ),
            (
                "_sql._tcp.a.test SRV 0 100 5432 db.a.test",
                "_sql._tcp.a.test SRV 0 100 5432 db.a.test",
            ),
            ("a.test MX 10 mail.a.test", "a.test MX 10 mail.a.test"),
        ] {
            let record: StaticRecord = text.parse().unwrap();
            assert_eq!(record.to_string(), want, "{text}");
            assert_eq!(want.parse::<StaticRecord>().unwrap(), record, "{text} again");
        }
    }

    #[test]
    fn what_is_no_record_is_refused_with_the_way_out() {
        for (text, want) in [
            ("", "expected NAME [TTL] TYPE DATA"),
            ("db.corp.test", "expected NAME"),
            ("db.corp.test A", "expected NAME"),
            ("db..test A 192.0.2.1", "`db..test` is no domain name"),
            ("a.*.test A 192.0.2.1", "is no domain name"),
            ("db.test A 2001:db8::1", "is no IPv4 address"),
            ("db.test 9999999999 A 192.0.2.1", "9999999999 is none of A"),
            ("db.test 4000000000 A 192.0.2.1", "is no TTL"),
            ("db.test HINFO a b", "HINFO is none of A, AAAA"),
            ("db.test SRV 0 0 99999 a.test", "is no number from 0 to 65535"),
            ("db.test TXT \"open", "a quote is not closed"),
            ("db.test CNAME *.a.test", "is no domain name"),
        ] {
            let error = text.parse::<StaticRecord>().unwrap_err();
            assert!(error.contains(want), "{text}: {error}");
        }
    }

    #[test]
    fn a_hosts_file_is_read_line_by_line() {
        let file = Arc::new(PathBuf::from("hosts"));
        let text = "127.0.0.1 localhost\n::1 localhost ip6-localhost\nff02::1 ip6-allnodes\n\
                    # nothing\n192.0.2.1\tDB.corp.test db # both\n\nfe80::1%eth0 link.test\nhere db\n192.0.2.2\n\
                    192.0.2.3 a..b ok.test\n";
        let (records, wrong) = hosts_file(&file, text);
        let shown: Vec<_> = records.iter().map(ToString::to_string).collect();
        let want = [
            "db.corp.test A 192.0.2.1",
            "db A 192.0.2.1",
            "link.test AAAA fe80::1",
            "ok.test A 192.0.2.3",
        ];
        assert_eq!(shown, want);
        let lines: Vec<_> = wrong.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [8, 9, 10], "{wrong:?}");
    }
}
