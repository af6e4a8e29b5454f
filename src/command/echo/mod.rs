//! `portico echo`: a backend that answers what it was asked, to stand in for a pod.
//!
//! The echo protocol of Gateway API's conformance tests (`ingress 4`): HTTP/1.1, HTTP/2 with prior
//! knowledge and both over TLS, WebSocket, delays and failures on request; or gRPC, lines over TCP or
//! datagrams; and bytes that come back as they are. Each is on a thread of its own and ends with its
//! [`EchoServer`], so that the demo and the tests use it in their process.

mod io;
mod secure;
mod retry;
mod http;
mod upgrade;
mod protobuf;
mod reflection;
mod grpc;
mod lines;
mod datagrams;
mod connection;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::Context;
use rustls::ServerConfig;
use tokio::net::UdpSocket;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::connection::{Way, accept};
use self::http::Shared;
use self::retry::Retries;
use super::{complain, say};
use crate::cli::EchoArgs;
use crate::exit::Exit;
use crate::signal::{Event, Signals};
use crate::telemetry;

/// What an echo server is told.
#[derive(Clone, Debug)]
pub struct EchoOptions {
    /// Where to listen; port 0 lets the kernel choose.
    pub listen: SocketAddr,
    /// Where to listen for HTTP/2 alone: with prior knowledge, or by `Upgrade: h2c`.
    pub h2c: Option<SocketAddr>,
    /// Where to listen for TLS, and how it is made.
    pub tls: Option<(SocketAddr, Arc<ServerConfig>)>,
    /// What is served.
    pub serves: Serves,
    /// The pod's name in answers.
    pub name: String,
    /// The namespace in answers.
    pub namespace: String,
    /// The Service in answers.
    pub service: String,
    /// The Ingress in answers.
    pub ingress: String,
}

/// The echo over HTTP on a free port of 127.0.0.1, of a pod without a name.
impl Default for EchoOptions {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            h2c: None,
            tls: None,
            serves: Serves::Http,
            name: String::new(),
            namespace: "default".to_owned(),
            service: String::new(),
            ingress: String::new(),
        }
    }
}

/// What an echo server serves.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Serves {
    /// The echo over HTTP.
    #[default]
    Http,
    /// The same as a service of gRPC.
    Grpc,
    /// Bytes, which come back as they are.
    Bytes,
    /// Lines, some of which are answered.
    Lines,
    /// Datagrams over UDP.
    Datagrams,
}

/// A running echo server; it ends when dropped, with every connection.
#[derive(Debug)]
pub struct EchoServer {
    /// Where it really listens.
    pub address: SocketAddr,
    /// The same for HTTP/2 alone.
    pub h2c: Option<SocketAddr>,
    /// The same for TLS.
    pub tls: Option<SocketAddr>,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Drop for EchoServer {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Runs the command.
pub(super) fn echo(arguments: &EchoArgs) -> anyhow::Result<Exit> {
    let mut signals = Signals::new().context("take over signals")?;
    let server = match options(arguments).and_then(start) {
        Ok(server) => server,
        Err(error) => {
            complain(&telemetry::escape(&format!("{error:#}")));
            return Ok(Exit::Usage);
        }
    };
    let kind = if serves(arguments) == Serves::Datagrams { "udp" } else { "tcp" };
    say(&format!("listening: echo {}/{kind}", server.address));
    for (name, address) in [("h2c", server.h2c), ("tls", server.tls)] {
        if let Some(address) = address {
            say(&format!("listening: echo {name} {address}/tcp"));
        }
    }
    while !matches!(signals.wait(&server.stop), Event::End(_) | Event::Failed) {}
    Ok(Exit::Fine)
}

/// In the order of echo-basic; an empty text asks for nothing.
fn serves(arguments: &EchoArgs) -> Serves {
    let asks = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.is_empty());
    match () {
        () if asks(&arguments.grpc_echo_server) => Serves::Grpc,
        () if asks(&arguments.tcp_echo_server) => Serves::Lines,
        () if asks(&arguments.udp_echo_server) => Serves::Datagrams,
        () if arguments.tcp => Serves::Bytes,
        () => Serves::Http,
    }
}

/// What the command's flags come to.
fn options(arguments: &EchoArgs) -> anyhow::Result<EchoOptions> {
    let serves = serves(arguments);
    let (port, tls_port): (u16, u16) = match serves {
        Serves::Lines => (arguments.tcp_port, arguments.tls_port),
        Serves::Datagrams => (arguments.udp_port, arguments.tls_port),
        Serves::Http | Serves::Grpc | Serves::Bytes => (arguments.http_port, arguments.https_port),
    };
    let listen = arguments
        .listen
        .unwrap_or_else(|| (Ipv4Addr::LOCALHOST, port).into());
    let beside = |port| SocketAddr::new(listen.ip(), port);
    let protocols: &[&[u8]] = match serves {
        Serves::Http => &[b"h2", b"http/1.1"],
        Serves::Grpc => &[b"h2"],
        Serves::Bytes | Serves::Lines | Serves::Datagrams => &[],
    };
    // echo-basic spells it in two ways.
    let key = &arguments.tls_server_privkey;
    let key = key.as_ref().or(arguments.tls_server_priv_key.as_ref());
    let tls = match (&arguments.tls_server_cert, key) {
        (Some(certificate), Some(key)) => {
            let authorities = arguments.tls_client_cacerts.as_deref();
            Some((beside(tls_port), secure::config(certificate, key, authorities, protocols)?))
        }
        _ => None,
    };
    Ok(EchoOptions {
        listen,
        h2c: arguments
            .h2c_port
            .filter(|_| serves == Serves::Http)
            .map(beside),
        tls,
        serves,
        name: arguments.name.clone(),
        namespace: arguments.namespace.clone(),
        service: arguments.service.clone(),
        ingress: arguments.ingress.clone(),
    })
}

/// Sockets that are bound.
struct Bound {
    main: Main,
    h2c: Option<TcpListener>,
    tls: Option<(TcpListener, Arc<ServerConfig>)>,
}

enum Main {
    Streams(TcpListener),
    Datagrams(std::net::UdpSocket),
}

/// Starts a server; fails where one of its addresses cannot be bound.
pub fn start(options: EchoOptions) -> anyhow::Result<EchoServer> {
    let tcp = |address| {
        let socket = portico_net::bind::tcp(address, 1)?.pop();
        socket.context("one socket was asked for")
    };
    let (main, address) = match options.serves {
        Serves::Datagrams => {
            let socket = std::net::UdpSocket::bind(options.listen)?;
            socket.set_nonblocking(true)?;
            let address = socket.local_addr()?;
            (Main::Datagrams(socket), address)
        }
        _ => {
            let socket = tcp(options.listen)?;
            let address = socket.local_addr()?;
            (Main::Streams(socket), address)
        }
    };
    let h2c = options.h2c.map(tcp).transpose()?;
    let h2c_address = h2c.as_ref().map(TcpListener::local_addr).transpose()?;
    let tls = match &options.tls {
        Some((address, config)) => Some((tcp(*address)?, Arc::clone(config))),
        None => None,
    };
    let tls_address = tls.as_ref().map(|(socket, _)| socket.local_addr());
    let tls_address = tls_address.transpose()?;
    let bound = Bound { main, h2c, tls };
    let stop = CancellationToken::new();
    let ended = stop.clone();
    let ports = (address.port(), tls_address.map_or(0, |address| address.port()));
    let thread = std::thread::Builder::new()
        .name("portico-echo".to_owned())
        .spawn(move || {
            if let Err(error) = serve(bound, options, ports, &ended) {
                tracing::error!(%error, "the echo server ended");
            }
            ended.cancel();
        })?;
    Ok(EchoServer { address, h2c: h2c_address, tls: tls_address, stop, thread: Some(thread) })
}

fn serve(
    bound: Bound,
    options: EchoOptions,
    (port, tls_port): (u16, u16),
    stop: &CancellationToken,
) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())?;
    let (retries, tasks) = (Retries::default(), TaskTracker::new());
    let shared = Rc::new(Shared { options, port, tls_port, retries, tasks });
    runtime.block_on(async {
        let mut beside = Vec::new();
        beside.extend(bound.h2c.map(|socket| (socket, Way::PriorKnowledge)));
        beside.extend(bound.tls.map(|(socket, config)| {
            let way = Way::Tls(TlsAcceptor::from(config));
            (socket, way)
        }));
        for (socket, way) in beside {
            let listening = accept(socket, Rc::clone(&shared), way, stop.clone());
            shared.tasks.spawn_local(listening);
        }
        match bound.main {
            Main::Streams(socket) => {
                accept(socket, Rc::clone(&shared), Way::Plain, stop.clone()).await;
                Ok(())
            }
            Main::Datagrams(socket) => {
                let socket = UdpSocket::from_std(socket)?;
                tokio::select! {
                    result = datagrams::serve(&socket, &shared.options) => result,
                    () = stop.cancelled() => Ok(()),
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    #[test]
    fn what_is_served_is_the_first_that_is_asked_for() {
        let [grpc, lines, datagrams] =
            ["--grpc-echo-server=1", "--tcp-echo-server=1", "--udp-echo-server=1"];
        for (flags, want) in [
            (&[][..], Serves::Http),
            (&[grpc, lines, datagrams], Serves::Grpc),
            (&[lines, datagrams], Serves::Lines),
            (&[datagrams], Serves::Datagrams),
            (&["--grpc-echo-server=", lines], Serves::Lines),
        ] {
            let line = [&["portico", "echo"], flags].concat();
            let Command::Echo(arguments) = Cli::parse_from(line).command else {
                panic!("not echo")
            };
            assert_eq!(serves(&arguments), want, "ingress 4: {flags:?}");
        }
    }
}
