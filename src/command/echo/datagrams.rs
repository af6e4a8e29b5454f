//! The echo server over UDP: each datagram comes back in a text that says who had it (`ingress 4`).

use serde_json::json;
use tokio::net::UdpSocket;

use super::EchoOptions;

/// Answers until it is dropped.
pub(super) async fn serve(socket: &UdpSocket, options: &EchoOptions) -> std::io::Result<()> {
    let mut buffer = [0; MAX_BYTES];
    loop {
        let (length, from) = socket.recv_from(&mut buffer).await?;
        let said = json!({
            "request": String::from_utf8_lossy(buffer.get(..length).unwrap_or_default()),
            "namespace": options.namespace,
            "ingress": options.ingress,
            "service": options.service,
            "pod": options.name,
        });
        // Nobody may be there any more, which an error of the next datagram must not tell.
        let _ = socket.send_to(said.to_string().as_bytes(), from).await;
    }
}

/// What of a datagram is read.
const MAX_BYTES: usize = 1024;
