//! How much one client may ask, and a backend say (`ingress 2.4`: `limit-rps`, `limit-rpm`,
//! `limit-connections`, `proxy-buffer-size`).
//!
//! What is about clients guards: a number that cannot be read closes, since without it nobody is limited.

use super::reader::Reader;
use super::values::size;
use crate::diagnostic::Code;
use crate::model::{ClientLimits, DownloadRate, ObjectName, Rate, Rates};

impl Reader<'_> {
    /// The limits of the Ingress `name`, if it has any.
    pub(super) fn limits(&mut self, name: &ObjectName) -> Option<ClientLimits> {
        let second = self.value("limit-rps", number).unwrap_or(0);
        let minute = self.value("limit-rpm", number).unwrap_or(0);
        let connections = self.value("limit-connections", number).unwrap_or(0);
        let multiplier = self.value("limit-burst-multiplier", |text| match number(text) {
            Ok(0) | Err(_) => Err("is no number from 1 on"),
            Ok(multiplier) => Ok(multiplier),
        });
        let multiplier = multiplier.unwrap_or(BURST_MULTIPLIER);
        let exempt = self.sources(&["limit-allowlist", "limit-whitelist"]);
        let rate = |requests: u32| {
            let burst = u64::from(requests) * u64::from(multiplier);
            (requests > 0).then_some(Rate { requests, burst })
        };
        let rates = Rates { per_second: rate(second), per_minute: rate(minute) };
        let any = connections > 0 || rates != Rates::default();
        let status = STATUS;
        any.then(|| ClientLimits { ingress: name.clone(), rates, connections, status, exempt })
    }

    /// `proxy-buffer-size`, where it is more than there is anyway.
    pub(super) fn max_head_bytes(&mut self) -> Option<u32> {
        let asked = self.value(HEAD, |text| size(text).ok_or("is no size such as 128k"))?;
        if asked > MAX_HEAD_BYTES.into() {
            let text = "is more than the head of an answer may have: 1m counts";
            self.find(Code::InvalidIngressAnnotation, HEAD, text, None);
        }
        let bytes = u32::try_from(asked).map_or(MAX_HEAD_BYTES, |it| it.min(MAX_HEAD_BYTES));
        (bytes > ROOM_BYTES).then_some(bytes)
    }

    /// `limit-rate` and `limit-rate-after`, in KiB.
    pub(super) fn download_rate(&mut self) -> Option<DownloadRate> {
        let rate = self.value("limit-rate", kibibytes).unwrap_or(0);
        let free_bytes = self.value("limit-rate-after", kibibytes).unwrap_or(0);
        (rate > 0).then_some(DownloadRate { bytes_per_second: rate, free_bytes })
    }
}

fn kibibytes(text: &str) -> Result<u64, &'static str> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse::<u32>().ok().filter(|_| plain);
    number
        .map(|number| u64::from(number) << 10)
        .ok_or("is no number of KiB")
}

/// A count; 0 is none.
fn number(text: &str) -> Result<u32, &'static str> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| plain);
    number.ok_or("is no number of requests")
}

/// Where settings say nothing.
const STATUS: u16 = 429;
/// As in ingress-nginx.
const BURST_MULTIPLIER: u32 = 5;
const HEAD: &str = "proxy-buffer-size";
/// What the head of an answer may have anyway (`http-proxy 3`).
const ROOM_BYTES: u32 = 64 << 10;
/// A worker holds as much of it for each request whose answer comes in pieces.
const MAX_HEAD_BYTES: u32 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::super::tests::of;
    use super::*;

    #[test]
    fn a_burst_is_a_limit_times_its_multiplier() {
        let rates = |pairs: &[(&str, &str)]| of(pairs).policy.limits.map(|it| it.rates);
        let rate = |requests, burst| Some(Rate { requests, burst });
        for (pairs, per_second, per_minute) in [
            (&[("limit-rps", "5")][..], rate(5, 25), None),
            (&[("limit-rps", "5"), ("limit-burst-multiplier", "2")], rate(5, 10), None),
            (&[("limit-rps", "5"), ("limit-burst-multiplier", "0")], rate(5, 25), None),
            (&[("limit-rpm", "30")], None, rate(30, 150)),
            (&[("limit-rps", "1"), ("limit-rpm", "30")], rate(1, 5), rate(30, 150)),
        ] {
            let want = Rates { per_second, per_minute };
            assert_eq!(rates(pairs), Some(want), "ingress 2.4: {pairs:?}");
        }
        assert_eq!(rates(&[("limit-rps", "0"), ("limit-burst-multiplier", "9")]), None);
        let told = of(&[("limit-rps", "5"), ("limit-burst-multiplier", "0")]).findings;
        assert_eq!(told[0].code, Code::InvalidIngressAnnotation, "ingress 2.1: it tunes");
        let read = of(&[("limit-connections", "3")]).policy.limits.unwrap();
        assert_eq!((read.connections, read.status), (3, 429), "ingress 2.4: limit-connections");
    }

    #[test]
    fn the_newer_name_of_a_list_counts() {
        let pairs = [
            ("limit-rps", "5"),
            ("limit-allowlist", "10.0.0.0/8, 192.0.2.1"),
            ("limit-whitelist", "ten"),
        ];
        let read = of(&pairs);
        assert_eq!(read.policy.limits.unwrap().exempt.len(), 2, "ingress 2.1");
        assert_eq!(read.policy.closed, None, "ingress 2.1");
        let read = of(&[("limit-rps", "5"), ("limit-whitelist", "10.0.0.0/8")]);
        assert_eq!(read.policy.limits.unwrap().exempt.len(), 1, "ingress 2.5: limit-allowlist");
    }

    #[test]
    fn a_rate_of_answers_is_in_kibibytes() {
        let rate = |pairs: &[(&str, &str)]| of(pairs).policy.download_rate;
        let want = DownloadRate { bytes_per_second: 2_048, free_bytes: 1_024 };
        assert_eq!(rate(&[("limit-rate", "2"), ("limit-rate-after", "1")]), Some(want));
        for pairs in [[("limit-rate", "0")], [("limit-rate", "2k")], [("limit-rate-after", "1")]] {
            assert_eq!(rate(&pairs), None, "ingress 2.5: {pairs:?}");
        }
    }

    #[test]
    fn room_for_the_head_of_an_answer_only_grows_and_has_an_end() {
        for (value, want, found) in [
            ("4k", None, false),
            ("64k", None, false),
            ("65537", Some(65_537), false),
            ("128k", Some(128 << 10), false),
            ("1m", Some(1 << 20), false),
            ("2m", Some(1 << 20), true),
            ("8g", Some(1 << 20), true),
            ("16 k", None, true),
            ("much", None, true),
        ] {
            let read = of(&[(HEAD, value)]);
            let codes: Vec<_> = read.findings.iter().map(|it| it.code).collect();
            let wanted = if found { vec![Code::InvalidIngressAnnotation] } else { vec![] };
            assert_eq!((read.policy.max_head_bytes, codes), (want, wanted), "ingress 2.4: {value}");
        }
    }
}
