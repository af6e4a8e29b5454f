//! Fills in the `{{name}}` places of a peer's configuration.
//!
//! Invariant: what comes out holds no place that was not filled, so a misspelt name is an error
//! here and not a riddle in a peer's log.

use anyhow::{Context, Result, bail};

/// `template` with each `{{name}}` replaced by its value; fails for a name without a value.
pub(crate) fn render(template: &str, values: &[(&str, &str)]) -> Result<String> {
    let mut rendered = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").context("a {{ without its }}")?;
        let Some((_, value)) = values.iter().find(|(known, _)| *known == name) else {
            bail!("no value for {{{{{name}}}}}");
        };
        rendered.push_str(before);
        rendered.push_str(value);
        rest = after;
    }
    rendered.push_str(rest);
    Ok(rendered)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::{
        BACKEND, CADDY, DNSMASQ, GRPC_BACKEND, HAPROXY_HTTP, HAPROXY_TCP, KNOT, NGINX, NGINX_GRPC,
        NGINX_STREAM, NGINX_WEBSOCKET, NSD, PORTICO, UNBOUND,
    };
    use crate::soak::SOAK;

    #[test]
    fn every_place_is_filled_and_nothing_else_changes() {
        for (case, template, want) in [
            ("none", "a { b }", "a { b }"),
            ("one", "listen {{port}};", "listen 80;"),
            ("twice and at the ends", "{{port}} {{dir}} {{port}}", "80 /tmp/x 80"),
            ("empty value", "[{{user}}]", "[]"),
        ] {
            let values = [("port", "80"), ("dir", "/tmp/x"), ("user", "")];
            assert_eq!(render(template, &values).unwrap(), want, "{case}");
        }
    }

    #[test]
    fn a_place_without_a_value_is_named() {
        let error = render("{{prot}}", &[("port", "80")]).unwrap_err();
        assert_eq!(error.to_string(), "no value for {{prot}}");
        assert!(render("{{port", &[("port", "80")]).is_err());
    }

    #[test]
    fn the_templates_use_known_names_alone() {
        let values = [
            ("user", ""),
            ("dir", "D"),
            ("port", "1"),
            ("backend", "2"),
            ("backends", "127.0.0.1:2"),
            ("clients", "4096"),
            ("descriptors", "4096"),
            ("options", "option splice-auto"),
            ("servers", "server backend1 127.0.0.1:2"),
            ("node_port", "30003"),
            ("protocol", "TCP"),
            ("tls", ""),
            ("upstreams", "server 127.0.0.1:2;"),
            ("body", "B"),
            ("name", "backend"),
            ("web", "http=127.0.0.1:3"),
            ("bytes", "main=127.0.0.1:5"),
            ("scheme", "https"),
            ("stream_module", "M"),
            ("log", "access_log off;"),
            ("more", ""),
        ];
        for template in [
            BACKEND,
            GRPC_BACKEND,
            NGINX,
            NGINX_STREAM,
            NGINX_GRPC,
            NGINX_WEBSOCKET,
            HAPROXY_HTTP,
            HAPROXY_TCP,
            CADDY,
            PORTICO,
            KNOT,
            NSD,
            DNSMASQ,
            UNBOUND,
            SOAK,
        ] {
            let rendered = render(template, &values).unwrap();
            assert!(!rendered.contains("{{"), "{rendered}");
        }
    }
}
