//! Networks whose hosts are neighbours: whom a service answers that is not for everybody.

use ipnet::IpNet;

/// Loopback, private, shared and link-local networks and unique local addresses (RFC 1918, 3927,
/// 4193, 6598).
pub fn private_networks() -> Vec<IpNet> {
    let networks = [
        "127.0.0.0/8",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "169.254.0.0/16",
        "::1/128",
        "fc00::/7",
        "fe80::/10",
    ];
    networks.iter().filter_map(|it| it.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_network_of_the_list_is_one() {
        let networks = private_networks();
        assert_eq!(networks.len(), 9);
        for (address, want) in [
            ("127.0.0.53", true),
            ("172.31.255.1", true),
            ("172.32.0.1", false),
            ("100.127.0.1", true),
            ("8.8.8.8", false),
            ("fd00::1", true),
            ("fe80::1", true),
            ("2001:db8::1", false),
        ] {
            let address: std::net::IpAddr = address.parse().unwrap();
            let found = networks.iter().any(|network| network.contains(&address));
            assert_eq!(found, want, "{address}");
        }
    }
}
