//! Whole networks as addresses of this host: `ip route add local CIDR dev lo`, over netlink.
//!
//! With such a route (Linux calls it AnyIP) every address of the network can be bound and reached
//! from this host, without being on an interface. Invariants: routes carry a protocol number of our own, and only
//! such routes are removed; a route that is there already is used as it is; where a crash left ours
//! behind, the next run adopts it and removes it in the end. Needs `CAP_NET_ADMIN`.

use std::io;
use std::net::{IpAddr, Ipv6Addr};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

/// A network: its first address and the length of its prefix.
pub type Network = (IpAddr, u8);

/// Makes every address of a network this host's; says whether it was not so before.
///
/// # Errors
/// `PermissionDenied` without `CAP_NET_ADMIN`; what else the kernel says, e.g. while `lo` is down.
pub fn add(network: Network) -> io::Result<bool> {
    let message = RouteNetlinkMessage::NewRoute(route(network)?);
    match ask(message, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// Ends that; a route that somebody else made stays. Says whether there was one of ours.
///
/// # Errors
/// As [`add`].
pub fn remove(network: Network) -> io::Result<bool> {
    let message = RouteNetlinkMessage::DelRoute(route(network)?);
    match ask(message, NLM_F_REQUEST | NLM_F_ACK) {
        Ok(()) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether a local route makes `address` this host's. A socket of IPv4 finds that out by itself; one
/// of IPv6 binds what is on an interface, and all else with `IPV6_FREEBIND` alone.
pub(crate) fn is_routed(address: Ipv6Addr) -> bool {
    let table = std::fs::read_to_string("/proc/net/ipv6_route").unwrap_or_default();
    table
        .lines()
        .filter_map(local_network)
        .any(|(network, prefix)| {
            let shift = 128 - u32::from(prefix.min(128));
            let same = network ^ u128::from(address);
            same.checked_shr(shift).unwrap_or(0) == 0
        })
}

/// The network of a line of `/proc/net/ipv6_route`, where it is a local one: destination, length of
/// the prefix in hexadecimal, six more, flags.
fn local_network(line: &str) -> Option<(u128, u8)> {
    let mut fields = line.split_whitespace();
    let network = u128::from_str_radix(fields.next()?, 16).ok()?;
    let prefix = u8::from_str_radix(fields.next()?, 16).ok()?;
    let flags = u32::from_str_radix(fields.nth(6)?, 16).ok()?;
    (flags & RTF_LOCAL != 0).then_some((network, prefix))
}

fn route((address, prefix): Network) -> io::Result<RouteMessage> {
    let (family, destination) = match address {
        IpAddr::V4(v4) => (AddressFamily::Inet, RouteAddress::Inet(v4)),
        IpAddr::V6(v6) => (AddressFamily::Inet6, RouteAddress::Inet6(v6)),
    };
    let mut message = RouteMessage::default();
    message.header = RouteHeader {
        address_family: family,
        destination_prefix_length: prefix,
        table: LOCAL_TABLE,
        protocol: RouteProtocol::Other(OURS),
        scope: RouteScope::Host,
        kind: RouteType::Local,
        ..RouteHeader::default()
    };
    message
        .attributes
        .push(RouteAttribute::Destination(destination));
    message.attributes.push(RouteAttribute::Oif(loopback()?));
    Ok(message)
}

/// The index of `lo`, 1 wherever nobody made it anew.
fn loopback() -> io::Result<u32> {
    let text = std::fs::read_to_string("/sys/class/net/lo/ifindex");
    match text {
        Ok(text) => text.trim().parse().map_err(io::Error::other),
        Err(_) => Ok(1),
    }
}

/// Sends one request and takes the kernel's answer, which comes before `send` returns.
fn ask(message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
    let mut request = NetlinkMessage::from(message);
    request.header.flags = flags;
    request.finalize();
    let mut bytes = vec![0; request.buffer_len()];
    request.serialize(&mut bytes);
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.send(&bytes, 0)?;
    let (answer, _) = socket.recv_from_full()?;
    let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&answer);
    match answer.map_err(io::Error::other)?.payload {
        NetlinkPayload::Error(error) => match error.code {
            None => Ok(()),
            Some(_) => Err(error.to_io()),
        },
        other => Err(io::Error::other(format!("the kernel answered with {other:?}"))),
    }
}

/// The kernel's table of addresses that are its own.
const LOCAL_TABLE: u8 = 255;
/// In the flags of a route: its addresses are this host's (linux/ipv6_route.h).
const RTF_LOCAL: u32 = 0x8000_0000;
/// What marks routes as ours among those of `ip route`, where it says `proto 112`; no number that
/// iproute2 names.
const OURS: u8 = 112;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_networks_are_told_from_other_routes() {
        let zero = "00000000000000000000000000000000";
        for (destination, prefix, flags, want) in [
            ("fd000096000000000000000000000000", "6c", "80200001", Some(108)),
            ("00000000000000000000000000000001", "80", "80200001", Some(128)),
            ("fe800000000000000000000000000000", "40", "00000001", None),
            ("nonsense", "40", "80200001", None),
        ] {
            let line = format!(
                "{destination} {prefix} {zero} 00 {zero} 00000400 00000001 00000000 {flags}       lo"
            );
            assert_eq!(local_network(&line).map(|(_, prefix)| prefix), want, "{line}");
        }
        assert!(
            is_routed(Ipv6Addr::LOCALHOST) || !std::path::Path::new("/proc/net/if_inet6").exists()
        );
        assert!(!is_routed("2001:db8::1".parse().unwrap()));
    }

    #[test]
    fn networks_become_local_routes_of_our_own() {
        for (network, family, destination) in [
            ("10.96.0.0", AddressFamily::Inet, RouteAddress::Inet("10.96.0.0".parse().unwrap())),
            ("fd00:96::", AddressFamily::Inet6, RouteAddress::Inet6("fd00:96::".parse().unwrap())),
        ] {
            let message = route((network.parse().unwrap(), 64)).unwrap();
            assert_eq!(message.header.address_family, family, "{network}");
            assert_eq!(message.header.kind, RouteType::Local);
            assert_eq!(message.header.table, 255);
            assert_eq!(message.header.protocol, RouteProtocol::Other(112));
            assert!(
                message
                    .attributes
                    .contains(&RouteAttribute::Destination(destination))
            );
        }
    }
}
