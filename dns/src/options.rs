//! EDNS options that a client brings (`dns 3.2`, `dns 3.5`): a cookie, and the wish for our name, for the
//! time that a stream may idle, for padding.
//!
//! They are added to the OPT record of a reply that is ready, local or forwarded; who brings none
//! costs a look at the end of the message. Invariants: no I/O, no clock (`now_seconds` is an
//! argument); [`RESERVE`] octets were kept free for them; unknown options are never repeated.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use siphasher::sip::SipHasher24;

use crate::answer::Transport;
use crate::forward::message::record;
use crate::question::{HEADER, skip_name};
use crate::serve::Ends;
use crate::wire::u16_at;

/// The secret of cookies, which several servers behind one address share (RFC 9018 §5): 32 hexadecimal
/// digits. It is shown nowhere.
#[derive(Clone, Eq, PartialEq)]
pub struct CookieSecret([u8; 16]);

impl FromStr for CookieSecret {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_whole = text.len() == 32 && text.bytes().all(|octet| octet.is_ascii_hexdigit());
        let number = u128::from_str_radix(text, 16).ok().filter(|_| is_whole);
        let number = number.ok_or("expected 32 hexadecimal digits")?;
        Ok(Self(number.to_be_bytes()))
    }
}

impl fmt::Debug for CookieSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CookieSecret(..)")
    }
}

/// What this process says of itself, and the secret of its cookies.
#[derive(Debug)]
pub(crate) struct Manners {
    secret: CookieSecret,
    /// What NSID is answered with (RFC 5001); none: nothing.
    nsid: Option<Arc<str>>,
}

/// What one client brought, and who it is.
#[derive(Debug)]
pub(crate) struct Extras {
    wanted: Wanted,
    ends: Ends,
    manners: Arc<Manners>,
}

/// The options of a query that mean something.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Wanted {
    /// The client's eight octets, and what we gave it before.
    cookie: Option<([u8; 8], Vec<u8>)>,
    nsid: bool,
    keepalive: bool,
    padding: bool,
}

impl Manners {
    /// With the secret that settings name, else one of its own.
    pub(crate) fn new(nsid: Option<Arc<str>>, secret: Option<CookieSecret>) -> Self {
        Self { secret: secret.unwrap_or_else(random_secret), nsid }
    }

    /// The same secret, another name.
    pub(crate) fn named(&self, nsid: Option<Arc<str>>) -> Option<Self> {
        (self.nsid != nsid).then(|| Self { secret: self.secret.clone(), nsid })
    }

    /// The server cookie of a client (RFC 9018): the one that it has, while that is good and young.
    fn cookie(&self, client: [u8; 8], had: &[u8], ip: IpAddr, now_seconds: u32) -> [u8; 16] {
        let young = had
            .first_chunk::<8>()
            .filter(|_| had.len() == 16 && had.starts_with(&[1, 0, 0, 0]))
            .and_then(|head| {
                let made = u32::from_be_bytes(*head.last_chunk()?);
                let age = now_seconds.wrapping_sub(made).cast_signed();
                (-AHEAD..RENEW_AFTER).contains(&age).then_some(made)
            })
            .map(|made| self.made(client, made, ip));
        match young {
            Some(cookie) if cookie == *had => cookie,
            _ => self.made(client, now_seconds, ip),
        }
    }

    fn made(&self, client: [u8; 8], seconds: u32, ip: IpAddr) -> [u8; 16] {
        let mut cookie = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        for (octet, of_time) in cookie.iter_mut().skip(4).zip(seconds.to_be_bytes()) {
            *octet = of_time;
        }
        let mut input = client.to_vec();
        input.extend(cookie.iter().take(8));
        match ip.to_canonical() {
            IpAddr::V4(v4) => input.extend(v4.octets()),
            IpAddr::V6(v6) => input.extend(v6.octets()),
        }
        let hash = SipHasher24::new_with_key(&self.secret.0).hash(&input);
        for (octet, of_hash) in cookie.iter_mut().skip(8).zip(hash.to_le_bytes()) {
            *octet = of_hash;
        }
        cookie
    }
}

impl Extras {
    /// What `message` brings; none where that is nothing.
    pub(crate) fn of(
        message: &[u8],
        ends: Ends,
        manners: impl FnOnce() -> Arc<Manners>,
    ) -> Option<Self> {
        if !may_have_options(message) {
            return None;
        }
        let wanted = wanted(message).filter(|wanted| *wanted != Wanted::default())?;
        Some(Self { wanted, ends, manners: manners() })
    }

    /// Adds what is due to `reply`, whose OPT record is its last.
    pub(crate) fn add(&self, reply: &mut Vec<u8>, now_seconds: u32) {
        let Some((length_at, length)) = opt_length(reply) else { return };
        let begin = reply.len();
        if let Some((client, had)) = &self.wanted.cookie {
            let cookie = self
                .manners
                .cookie(*client, had, self.ends.peer.ip(), now_seconds);
            put(reply, COOKIE, &[client, &cookie]);
        }
        if let (true, Some(nsid)) = (self.wanted.nsid, &self.manners.nsid) {
            put(reply, NSID, &[nsid.as_bytes()]);
        }
        if self.wanted.keepalive && matches!(self.ends.transport, Transport::Tcp | Transport::Tls) {
            let tenths = u16::try_from(self.ends.idle.as_millis() / 100).unwrap_or(u16::MAX);
            put(reply, KEEPALIVE, &[&tenths.to_be_bytes()]);
        }
        if self.wanted.padding && matches!(self.ends.transport, Transport::Tls | Transport::Https) {
            let whole = (reply.len() + 4).next_multiple_of(BLOCK);
            let padding = vec![0; whole - reply.len() - 4];
            put(reply, PADDING, &[&padding]);
        }
        let length = length + (reply.len() - begin);
        let fits = reply.len() <= usize::from(u16::MAX);
        match (reply.get_mut(length_at..length_at + 2), u16::try_from(length)) {
            (Some(place), Ok(length)) if fits => place.copy_from_slice(&length.to_be_bytes()),
            _ => reply.truncate(begin),
        }
    }
}

/// One that nobody could know, unless the system's random numbers have failed.
fn random_secret() -> CookieSecret {
    let mut secret = [0; 16];
    let random = aws_lc_rs::default_provider().secure_random;
    if random.fill(&mut secret).is_err() {
        tracing::warn!("random numbers have failed: DNS cookies can be guessed");
    }
    CookieSecret(secret)
}

/// Whether there may be options: most queries end in an OPT without any, or have none.
fn may_have_options(message: &[u8]) -> bool {
    let has_records = message.get(10..12).is_some_and(|count| count != [0, 0]);
    let end = message.last_chunk::<11>();
    has_records && !end.is_some_and(|opt| opt.starts_with(&[0, 0, 41]) && opt.ends_with(&[0, 0]))
}

/// Whether `message` holds a cookie.
pub(crate) fn has_cookie(message: &[u8]) -> bool {
    wanted(message).is_some_and(|wanted| wanted.cookie.is_some())
}

fn wanted(message: &[u8]) -> Option<Wanted> {
    let (name_end, _) = skip_name(message, HEADER)?;
    // A message without a question begins with its OPT (RFC 7873 §5.4).
    let begin = if u16_at(message, 4)? == 0 { HEADER } else { name_end + 4 };
    let (mut at, mut wanted) = (begin, Wanted::default());
    let records = u16_at(message, 8)?.saturating_add(u16_at(message, 10)?);
    for _ in 0..records {
        let record = record(message, at)?;
        at = record.end;
        let mut options = match record.kind {
            OPT => message.get(record.data..record.end)?,
            _ => continue,
        };
        while !options.is_empty() {
            let (code, length) = (u16_at(options, 0)?, usize::from(u16_at(options, 2)?));
            let value = options.get(4..4 + length)?;
            options = options.get(4 + length..)?;
            match code {
                COOKIE => {
                    let (client, had) = value.split_first_chunk()?;
                    wanted.cookie = Some((*client, had.to_vec()));
                }
                NSID => wanted.nsid = true,
                KEEPALIVE => wanted.keepalive = true,
                PADDING => wanted.padding = true,
                _ => {}
            }
        }
    }
    Some(wanted)
}

/// Where the length of a reply's last record stands and what it is, if that is an OPT.
pub(crate) fn opt_length(reply: &[u8]) -> Option<(usize, usize)> {
    let (name_end, _) = skip_name(reply, HEADER)?;
    let mut at = if u16_at(reply, 4)? == 0 { HEADER } else { name_end + 4 };
    let count = |at| u16_at(reply, at).map(usize::from);
    for _ in 1..count(6)? + count(8)? + count(10)? {
        at = record(reply, at)?.end;
    }
    let last = record(reply, at)?;
    let is_last = last.kind == OPT && last.end == reply.len();
    is_last.then_some((last.data - 2, last.end - last.data))
}

fn put(out: &mut Vec<u8>, code: u16, value: &[&[u8]]) {
    let length: usize = value.iter().map(|part| part.len()).sum();
    out.extend_from_slice(&code.to_be_bytes());
    out.extend_from_slice(&u16::try_from(length).unwrap_or(0).to_be_bytes());
    value.iter().for_each(|part| out.extend_from_slice(part));
}

/// Octets that are kept free in a reply to who brings options: a cookie and the longest name.
pub(crate) const RESERVE: usize = 28 + 4 + 64;
const OPT: u16 = 41;
const NSID: u16 = 3;
/// The option of cookies (RFC 7873).
pub(crate) const COOKIE: u16 = 10;
const KEEPALIVE: u16 = 11;
const PADDING: u16 = 12;
/// Replies are padded to multiples of this (RFC 8467).
const BLOCK: usize = 468;
/// Seconds after which a cookie is made anew, and by which another clock may be ahead.
const RENEW_AFTER: i32 = 1800;
const AHEAD: i32 = 300;

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "e5e973e5a6b2a43f48e7dc849e37bfcf";
    const CLIENT: [u8; 8] = [0x24, 0x64, 0xc4, 0xab, 0xcf, 0x10, 0xc9, 0x57];
    const NOW: u32 = 1_559_731_985;

    fn manners() -> Arc<Manners> {
        Arc::new(Manners::new(Some("portico-1".into()), Some(SECRET.parse().unwrap())))
    }

    #[test]
    fn a_cookie_is_that_of_rfc_9018() {
        let (manners, ip) = (manners(), "198.51.100.100".parse().unwrap());
        let want =
            [1, 0, 0, 0, 0x5c, 0xf7, 0x9f, 0x11, 0x1f, 0x81, 0x30, 0xc3, 0xee, 0xe2, 0x94, 0x80];
        let fresh = manners.cookie(CLIENT, &[], ip, NOW);
        assert_eq!(fresh, want, "appendix A.1");
        for (case, had, later, is_kept) in [
            ("young", fresh.to_vec(), 1799, true),
            ("old", fresh.to_vec(), 1800, false),
            ("cut", fresh[..15].to_vec(), 1, false),
            ("forged", [&fresh[..15], &[0]].concat(), 1, false),
            ("another version", [&[2], &fresh[1..]].concat(), 1, false),
        ] {
            let next = manners.cookie(CLIENT, &had, ip, NOW + later);
            assert_eq!(next == fresh, is_kept, "{case}");
        }
        let ahead = manners.cookie(CLIENT, &fresh, ip, NOW - 299);
        assert_eq!(ahead, fresh, "another clock");
        let other = "198.51.100.101".parse().unwrap();
        assert_ne!(manners.cookie(CLIENT, &fresh, other, NOW), fresh, "another client");
        let mapped = "::ffff:198.51.100.100".parse().unwrap();
        assert_eq!(manners.cookie(CLIENT, &[], mapped, NOW), want);
    }

    #[test]
    fn a_secret_has_32_digits_and_is_shown_nowhere() {
        let secret: CookieSecret = SECRET.parse().unwrap();
        assert!(!format!("{secret:?}").contains("e5"), "RFC 9018");
        let (short, long) = (&SECRET[1..], format!("{SECRET}0"));
        for text in
            ["", short, &long, "+5e973e5a6b2a43f48e7dc849e37bfcf", &SECRET.replace('a', "g")]
        {
            assert!(text.parse::<CookieSecret>().is_err(), "{text}");
        }
        assert_ne!(
            Manners::new(None, None).secret,
            Manners::new(None, None).secret,
            "each its own"
        );
    }

    /// A query with an OPT that holds these options, and its reply without any.
    fn exchange(options: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let question = b"\x01a\0\0\x01\0\x01";
        let head = |flags| [0, 7, flags, 0, 0, 1, 0, 0, 0, 0, 0, 1];
        let opt = |length: usize| [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, u8::try_from(length).unwrap()];
        let query = [&head(1)[..], question, &opt(options.len()), options].concat();
        (query, [&head(0x81)[..], question, &opt(0)].concat())
    }

    fn added(options: &[u8], transport: Transport) -> Option<Vec<u8>> {
        let (query, mut reply) = exchange(options);
        let peer = "198.51.100.100:4000".parse().unwrap();
        let idle = std::time::Duration::from_secs(10);
        let ends = Ends { peer, local: peer.ip(), transport, idle };
        let before = reply.len();
        Extras::of(&query, ends, manners)?.add(&mut reply, NOW);
        let length = u16_at(&reply, before - 2).unwrap();
        assert_eq!(usize::from(length), reply.len() - before);
        hickory_proto::op::Message::from_vec(&reply).unwrap();
        Some(reply.split_off(before))
    }

    #[test]
    fn options_are_answered_where_they_mean_something() {
        let cookie = [&[0, 10, 0, 8][..], &CLIENT].concat();
        let nsid = b"\x00\x03\x00\x09portico-1";
        for (case, options, transport, want) in [
            ("none", &[][..], Transport::Udp, None),
            ("unknown", &[0xff, 0xff, 0, 1, 7], Transport::Udp, None),
            ("NSID", &[0, 3, 0, 0], Transport::Udp, Some(&nsid[..])),
            ("keepalive in a datagram", &[0, 11, 0, 0], Transport::Udp, Some(&[])),
            ("keepalive", &[0, 11, 0, 0], Transport::Tcp, Some(&[0, 11, 0, 2, 0, 100])),
            ("padding in the clear", &[0, 12, 0, 1, 0], Transport::Tcp, Some(&[])),
        ] {
            assert_eq!(added(options, transport).as_deref(), want, "{case}");
        }
        let both = [&cookie[..], &[0, 3, 0, 0]].concat();
        let told = added(&both, Transport::Udp).unwrap();
        assert_eq!(
            (told.len(), &told[..12]),
            (28 + 13, &[&[0, 10, 0, 24][..], &CLIENT].concat()[..])
        );
        let (_, reply) = exchange(&[]);
        let padded = added(&[0, 12, 0, 1, 0], Transport::Tls).unwrap();
        assert_eq!((reply.len() + padded.len()) % BLOCK, 0, "RFC 8467");
    }

    #[test]
    fn a_reply_without_an_opt_gets_none() {
        let (query, _) = exchange(&[0, 3, 0, 0]);
        let peer = "198.51.100.100:4000".parse().unwrap();
        let idle = std::time::Duration::ZERO;
        let ends = Ends { peer, local: peer.ip(), transport: Transport::Udp, idle };
        let extras = Extras::of(&query, ends, manners).unwrap();
        for reply in [&b""[..], &[0, 7, 0x81, 1, 0, 0, 0, 0, 0, 0, 0, 0]] {
            let mut told = reply.to_vec();
            extras.add(&mut told, NOW);
            assert_eq!(told, reply);
        }
    }
}
