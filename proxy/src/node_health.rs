//! The answers of `healthCheckNodePort`: whether this node has endpoints of a Service
//! (`services 4.8`).
//!
//! ```text
//! connection ─▶ head, at most 8 KiB in 10 s ─▶ 200 │ 503 with the number of local endpoints ─▶ close
//! ```
//!
//! What kube-proxy answers, to any method and path: load balancers send traffic to nodes that say 200
//! alone. Invariants: one answer a connection; a client that says nothing ends by its deadline; the
//! count is that of the view at the time of the answer, and no answer is 200 once the process ends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use portico_config::model::ObjectName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::view::View;

/// Answers one connection to a health check.
pub(crate) async fn serve(
    mut stream: TcpStream,
    address: SocketAddr,
    view: impl Fn() -> Arc<View>,
    healthy: &AtomicBool,
) {
    let answered = tokio::time::timeout(DEADLINE, async {
        let head = read_head(&mut stream).await?;
        let view = view();
        // The Service left while its check was asked: as good as no endpoint, and the port closes.
        let Some((service, endpoints)) = view.health(address) else { return Some(()) };
        let text = answer(&head, service, endpoints, healthy.load(Ordering::Relaxed));
        stream.write_all(text.as_bytes()).await.ok()?;
        stream.shutdown().await.ok()?;
        // What the client still sends would turn the answer into a reset.
        let mut rest = [0; 512];
        while stream.read(&mut rest).await.ok()? > 0 {}
        Some(())
    });
    // Whoever comes too late, or breaks off, asks again.
    let _ = answered.await;
}

/// The head of a request; none for a client that breaks off or says too much.
async fn read_head(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    loop {
        if stream.read_buf(&mut head).await.ok()? == 0 {
            return None;
        }
        if head.windows(4).any(|end| end == b"\r\n\r\n") {
            return Some(head);
        }
        if head.len() > MAX_HEAD_BYTES {
            return None;
        }
    }
}

fn answer(head: &[u8], service: &ObjectName, endpoints: usize, healthy: bool) -> String {
    let status = match endpoints > 0 && healthy {
        true => "200 OK",
        false => "503 Service Unavailable",
    };
    // The names are DNS labels: nothing in them wants escaping.
    let body = format!(
        "{{\n\t\"service\": {{\n\t\t\"namespace\": \"{}\",\n\t\t\"name\": \"{}\"\n\t}},\n\t\
         \"localEndpoints\": {endpoints},\n\t\"serviceProxyHealthy\": {healthy}\n}}",
        service.namespace, service.name
    );
    let sent = if head.starts_with(b"HEAD ") { "" } else { &*body };
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nX-Content-Type-Options: nosniff\r\n\
         X-Load-Balancing-Endpoint-Weight: {endpoints}\r\nContent-Length: {}\r\nConnection: close\r\n\
         \r\n{sent}",
        body.len()
    )
}

const DEADLINE: Duration = Duration::from_secs(10);
const MAX_HEAD_BYTES: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_those_of_kube_proxy() {
        let service = ObjectName { namespace: "default".into(), name: "web".into() };
        for (method, endpoints, healthy, status) in [
            ("GET", 2, true, "200 OK"),
            ("POST", 1, true, "200 OK"),
            ("GET", 0, true, "503 Service Unavailable"),
            ("GET", 2, false, "503 Service Unavailable"),
            ("HEAD", 2, true, "200 OK"),
        ] {
            let head = format!("{method} /any HTTP/1.1\r\n\r\n");
            let text = answer(head.as_bytes(), &service, endpoints, healthy);
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{text}");
            let weight = format!("X-Load-Balancing-Endpoint-Weight: {endpoints}");
            assert!(head.contains(&weight), "services 4.8: {text}");
            assert!(head.contains("Content-Type: application/json"));
            assert!(head.contains("X-Content-Type-Options: nosniff"));
            if method == "HEAD" {
                assert_eq!(body, "");
                continue;
            }
            let body: serde_json::Value = serde_json::from_str(body).unwrap();
            let want = serde_json::json!({
                "service": {"namespace": "default", "name": "web"},
                "localEndpoints": endpoints,
                "serviceProxyHealthy": healthy,
            });
            assert_eq!(body, want);
        }
    }
}
