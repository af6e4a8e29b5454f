//! How backends are spoken to (`ingress 2.4`).

use super::reader::Reader;
use crate::diagnostic::Code;

impl Reader<'_> {
    /// Plain HTTP is what backends are spoken to.
    pub(super) fn backend_protocol(&mut self) {
        let Some((name, text)) = self.first(&["backend-protocol"]) else { return };
        match &*text.to_ascii_uppercase() {
            "HTTP" | "AUTO_HTTP" => {}
            "HTTPS" | "GRPC" | "GRPCS" | "FCGI" => {
                self.close(name, "backends are spoken to by HTTP/1.1 without TLS alone");
            }
            _ => {
                let text = "is no known protocol: `HTTP` counts";
                self.find(Code::InvalidIngressAnnotation, name, text, None);
            }
        }
    }
}
