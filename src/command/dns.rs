//! `portico dns setup`: how this host is told to ask portico. Prints, never changes anything.

use std::net::SocketAddr;

use portico_config::model::Settings;

use super::{complain, reachable, say};
use crate::exit::Exit;

/// Runs `setup`.
pub(super) fn setup(settings: &Settings) -> Exit {
    let Some(listen) = settings.dns.first() else {
        complain("--dns off: there is nobody to ask");
        return Exit::Usage;
    };
    say(text(settings, *listen).trim_end());
    Exit::Fine
}

fn text(settings: &Settings, listen: SocketAddr) -> String {
    let server = reachable(listen);
    let (ip, port) = (server.ip(), server.port());
    let suffixes = settings.names.host_suffixes.iter();
    let mut zones: Vec<&str> = Vec::new();
    for zone in settings
        .cluster_domains
        .iter()
        .chain(&settings.alias_zones)
        .chain(suffixes)
    {
        if !zones.contains(&&**zone) {
            zones.push(zone);
        }
    }
    let each =
        |line: &dyn Fn(&str) -> String| -> String { zones.iter().map(|zone| line(zone)).collect() };
    let routed: Vec<_> = zones.iter().map(|zone| format!("~{zone}")).collect();
    let rebind: String = each(&|zone| format!("{zone}/"));
    let port_53 = "# takes no port: start portico with --dns 127.0.0.1:53\n";
    let needs_53 = if port == 53 { "" } else { port_53 };
    let resolved_port = if port == 53 { String::new() } else { format!(":{port}") };
    let in_brackets = if ip.is_ipv6() { format!("[{ip}]") } else { ip.to_string() };
    let resolved = if resolved_port.is_empty() { ip.to_string() } else { in_brackets };
    [
        "# systemd-resolved 246 or newer: /etc/systemd/resolved.conf.d/portico.conf, then\n\
         # systemctl restart systemd-resolved\n[Resolve]\n"
            .to_owned(),
        format!("DNS={resolved}{resolved_port}\nDomains={}\n", routed.join(" ")),
        format!("\n# /etc/resolv.conf, in front of other lines; portico forwards all other names\n{needs_53}nameserver {ip}\n"),
        "\n# dnsmasq: /etc/dnsmasq.d/portico.conf\n".to_owned(),
        each(&|zone| format!("server=/{zone}/{ip}#{port}\n")),
        format!("rebind-domain-ok=/{rebind}\n"),
        "\n# macOS: a file for each zone; dig does not read them, scutil --dns shows them\n".to_owned(),
        if zones.iter().any(|zone| zone.ends_with(".local")) { LOCAL } else { "" }.to_owned(),
        "sudo mkdir -p /etc/resolver\n".to_owned(),
        each(&|zone| {
            format!("sudo sh -c 'printf \"nameserver {ip}\\nport {port}\\n\" > /etc/resolver/{zone}'\n")
        }),
        format!("\n# Windows, PowerShell as administrator\n{needs_53}"),
        each(&|zone| format!("Add-DnsClientNrptRule -Namespace \".{zone}\" -NameServers \"{ip}\"\n")),
    ]
    .concat()
}

/// RFC 6762 gives them to multicast.
const LOCAL: &str = "# programs need the Local Network permission for names that end in .local\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_system_gets_its_lines_for_every_zone() {
        let settings = Settings::default();
        let shown = text(&settings, settings.dns[0]);
        for want in [
            "DNS=127.0.0.1:1053\nDomains=~cluster.local ~portico.test\n",
            "--dns 127.0.0.1:53\nnameserver 127.0.0.1\n",
            "server=/cluster.local/127.0.0.1#1053\nserver=/portico.test/127.0.0.1#1053\n",
            "rebind-domain-ok=/cluster.local/portico.test/\n",
            "permission for names that end in .local\nsudo mkdir -p /etc/resolver\nsudo sh -c",
            "'printf \"nameserver 127.0.0.1\\nport 1053\\n\" > /etc/resolver/portico.test'\n",
            "-Namespace \".portico.test\" -NameServers \"127.0.0.1\"\n",
        ] {
            assert!(shown.contains(want), "dns 5.2: {want}: {shown}");
        }
        let shown = text(&settings, "[::]:53".parse().unwrap());
        assert!(shown.contains("DNS=::1\n") && !shown.contains("takes no port"), "{shown}");
    }
}
