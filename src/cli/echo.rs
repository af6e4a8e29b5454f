//! `portico echo`: a backend that stands in for a pod.
//!
//! Its variables are those of the images that it stands in for, so they have no prefix of ours.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

/// `portico echo`.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct EchoArgs {
    /// Where to listen
    #[arg(long, value_name = "ADDR:PORT", env = "PORTICO_LISTEN")]
    pub listen: Option<SocketAddr>,
    /// The port on 127.0.0.1, where --listen does not say more
    #[arg(long, value_name = "PORT", default_value_t = 3000, env = "HTTP_PORT")]
    pub http_port: u16,
    /// A port beside it for HTTP/2 alone: with prior knowledge, or by Upgrade: h2c
    #[arg(long, value_name = "PORT", env = "H2C_PORT")]
    pub h2c_port: Option<u16>,
    /// The port for TLS, where there is a certificate
    #[arg(long, value_name = "PORT", default_value_t = 8443, env = "HTTPS_PORT")]
    pub https_port: u16,
    /// Certificate chain for TLS, in PEM
    #[arg(long, value_name = "FILE", env = "TLS_SERVER_CERT")]
    pub tls_server_cert: Option<PathBuf>,
    /// Its key, in PEM
    #[arg(long, value_name = "FILE", env = "TLS_SERVER_PRIVKEY")]
    pub tls_server_privkey: Option<PathBuf>,
    /// The same, as others spell it
    #[arg(long, value_name = "FILE", env = "TLS_SERVER_PRIV_KEY", hide = true)]
    pub tls_server_priv_key: Option<PathBuf>,
    /// Who signs client certificates, which are verified if they are shown, in PEM
    #[arg(long, value_name = "FILE", env = "TLS_CLIENT_CACERTS")]
    pub tls_client_cacerts: Option<PathBuf>,
    /// Be a service of gRPC instead, on the same ports
    #[arg(long, value_name = "ANY", num_args = 0..=1, default_missing_value = "1")]
    #[arg(env = "GRPC_ECHO_SERVER")]
    pub grpc_echo_server: Option<String>,
    /// Answer lines over TCP instead: TEST, IS_TLS and PING
    #[arg(long, value_name = "ANY", num_args = 0..=1, default_missing_value = "1")]
    #[arg(env = "TCP_ECHO_SERVER")]
    pub tcp_echo_server: Option<String>,
    /// Its port
    #[arg(long, value_name = "PORT", default_value_t = 3000, env = "TCP_PORT")]
    pub tcp_port: u16,
    /// Its port for TLS
    #[arg(long, value_name = "PORT", default_value_t = 8443, env = "TLS_PORT")]
    pub tls_port: u16,
    /// Answer datagrams over UDP instead
    #[arg(long, value_name = "ANY", num_args = 0..=1, default_missing_value = "1")]
    #[arg(env = "UDP_ECHO_SERVER")]
    pub udp_echo_server: Option<String>,
    /// Its port
    #[arg(long, value_name = "PORT", default_value_t = 8080, env = "UDP_PORT")]
    pub udp_port: u16,
    /// The pod's name in answers
    #[arg(long, value_name = "NAME", default_value = "", env = "POD_NAME")]
    pub name: String,
    /// The namespace in answers
    #[arg(long, value_name = "NAME", default_value = "default", env = "NAMESPACE")]
    pub namespace: String,
    /// The Service in answers
    #[arg(long, value_name = "NAME", default_value = "", env = "SERVICE_NAME")]
    pub service: String,
    /// The Ingress in answers
    #[arg(long, value_name = "NAME", default_value = "", env = "INGRESS_NAME")]
    pub ingress: String,
    /// Send back bytes as they come, instead of HTTP
    #[arg(long)]
    pub tcp: bool,
}

const EXAMPLES: &str = "\
Examples:
  portico echo --name wp-1 --listen 127.0.10.101:8080
  portico echo --tcp --name mariadb --listen 127.0.10.103:3306

Answers HTTP with what it was asked, as JSON. Also: /health, /status/503, ?delay=250ms, /ws,
/retry/x?uuid=1&succeedAfter=2&responseCode=503, request header X-Echo-Set-Header: Name:value.";
