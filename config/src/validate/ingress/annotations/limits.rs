//! How much one client may ask (`ingress 2.4`: `limit-rps`, `limit-rpm`, `limit-connections`).
//!
//! Guards: a number that cannot be read closes, since without it nobody is limited.

use super::reader::Reader;
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
