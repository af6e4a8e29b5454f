//! Pods: small servers that answer with their name, over HTTP or as a plain TCP line.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A running pod; it dies with this value.
pub(crate) struct Pod {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    stopped: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

impl Pod {
    /// Answers every HTTP/1.1 request with `200` and its name; keeps connections alive; a request
    /// body comes back behind the name.
    pub(crate) fn http(name: &'static str) -> Self {
        Self::serve(Ipv4Addr::LOCALHOST.into(), move |stream| serve_http(stream, name))
    }

    /// [`Pod::http`] whose connections can be cut.
    pub(crate) fn mortal(name: &'static str) -> (Self, Connections) {
        let connections = Connections::default();
        let kept = connections.clone();
        let pod = Self::serve(Ipv4Addr::LOCALHOST.into(), move |stream| {
            kept.keep(&stream);
            serve_http(stream, name);
        });
        (pod, connections)
    }

    /// [`Pod::http`] behind TLS; its name ends in the name that it was called by, and in how many
    /// certificates it was shown.
    pub(crate) fn https(name: &'static str, tls: &Arc<ServerConfig>) -> Self {
        let tls = Arc::clone(tls);
        Self::serve(Ipv4Addr::LOCALHOST.into(), move |stream| {
            let Ok(session) = ServerConnection::new(Arc::clone(&tls)) else { return };
            let mut stream = StreamOwned::new(session, stream);
            while stream.conn.is_handshaking() {
                if stream.conn.complete_io(&mut stream.sock).is_err() {
                    return;
                }
            }
            let called = stream.conn.server_name().unwrap_or("nobody").to_owned();
            let shown = stream.conn.peer_certificates().map_or(0, <[_]>::len);
            serve_http(stream, &format!("{name} {called} {shown}"));
        })
    }

    /// Sends its name and a line end to whoever connects, then echoes bytes until the client
    /// closes its half.
    pub(crate) fn tcp(name: &'static str) -> Self {
        Self::tcp_at(name, Ipv4Addr::LOCALHOST.into())
    }

    /// [`Pod::tcp`] on a given address.
    pub(crate) fn tcp_at(name: &'static str, ip: IpAddr) -> Self {
        Self::serve(ip, move |mut stream| {
            let _ = stream.write_all(format!("{name}\n").as_bytes());
            let mut buffer = [0; 16_384];
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                if stream.write_all(&buffer[..count]).is_err() {
                    return;
                }
            }
            let _ = stream.shutdown(Shutdown::Write);
        })
    }

    /// Runs `serve` on a thread of its own for each connection.
    pub(crate) fn serve(ip: IpAddr, serve: impl Fn(TcpStream) + Clone + Send + 'static) -> Self {
        let listener = TcpListener::bind((ip, 0)).expect("a free port");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let connections = Arc::new(AtomicUsize::new(0));
        let stopped = Arc::new(AtomicBool::new(false));
        let (count, stop) = (Arc::clone(&connections), Arc::clone(&stopped));
        let acceptor = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                let Ok(stream) = stream else { continue };
                count.fetch_add(1, Ordering::SeqCst);
                let _ = stream.set_nodelay(true);
                let serve = serve.clone();
                std::thread::spawn(move || serve(stream));
            }
        });
        Self { address, connections, stopped, acceptor: Some(acceptor) }
    }

    /// How many connections it has accepted.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// The open connections of a pod.
#[derive(Clone, Default)]
pub(crate) struct Connections(Arc<Mutex<Vec<TcpStream>>>);

impl Connections {
    fn keep(&self, stream: &TcpStream) {
        let mut streams = self.0.lock().expect("nobody panics with it");
        streams.extend(stream.try_clone());
    }

    /// Cuts all of them, whatever is on its way.
    pub(crate) fn cut(&self) {
        for stream in self.0.lock().expect("nobody panics with it").drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

/// The head of the next request, as it came; none: there is no more.
pub(crate) fn head(reader: &mut impl BufRead) -> Option<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    Some(head)
}

/// The next request: its head, and as much of a body as that says.
pub(crate) fn request(reader: &mut impl BufRead) -> Option<(String, Vec<u8>)> {
    let head = head(reader)?;
    let length = head.lines().find_map(|line| {
        let line = line.to_ascii_lowercase();
        line.strip_prefix("content-length:")?.trim().parse().ok()
    });
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    Some((head, body))
}

fn serve_http(stream: impl Read + Write, name: &str) {
    let mut reader = BufReader::new(stream);
    while let Some((head, body)) = request(&mut reader) {
        let echo = match head.strip_suffix("\r\n") {
            Some(head) if head.starts_with("GET /headers ") => head.as_bytes().to_vec(),
            _ => body,
        };
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nX-Pod: {name}\r\n\r\n{name}",
            name.len() + echo.len()
        );
        let answer = [answer.as_bytes(), &echo].concat();
        let writer = reader.get_mut();
        if writer.write_all(&answer).is_err() || writer.flush().is_err() {
            return;
        }
    }
}
