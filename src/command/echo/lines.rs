//! The echo server over plain TCP: it greets, and answers a few words, one a line (`ingress 4`).

use std::rc::Rc;

use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};

use super::http::Shared;
use super::secure::Seen;

/// Serves one connection until the client ends it.
pub(super) async fn serve<S>(
    stream: S,
    shared: Rc<Shared>,
    tls: Option<Seen>,
) -> std::io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut stream = BufReader::new(stream);
    stream.write_all(b"Gateway API Test TCP Server\n").await?;
    stream.flush().await?;
    loop {
        let mut line = Vec::new();
        let mut piece = (&mut stream).take(MAX_LINE_BYTES);
        if piece.read_until(b'\n', &mut line).await? == 0 {
            return stream.shutdown().await;
        }
        let answer = match line.trim_ascii() {
            b"TEST" => said(&shared, tls.as_ref()),
            b"IS_TLS" => tls.is_some().to_string(),
            b"PING" => "PONG".to_owned(),
            _ => continue,
        };
        stream.write_all(format!("{answer}\n").as_bytes()).await?;
        stream.flush().await?;
    }
}

fn said(shared: &Shared, tls: Option<&Seen>) -> String {
    let options = &shared.options;
    let mut said = json!({
        "namespace": options.namespace,
        "ingress": options.ingress,
        "service": options.service,
        "pod": options.name,
        "tcpport": shared.port.to_string(),
        "tlsport": shared.tls_port.to_string(),
        "isTLS": tls.is_some(),
    });
    if let (Some(tls), Some(said)) = (tls, said.as_object_mut()) {
        let tls = json!({
            "version": tls.version,
            "serverName": tls.server_name,
            "negotiatedProtocol": tls.protocol,
            "curves": tls.group,
            "cipherSuite": tls.suite,
        });
        said.insert("tls".to_owned(), tls);
    }
    said.to_string()
}

/// A longer line is none that is known, and is read in pieces.
const MAX_LINE_BYTES: u64 = 1024;
