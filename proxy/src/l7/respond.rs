//! Answers of our own: one line of text with the code, never a name from the configuration.

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HeaderValue, SERVER};
use http::{Response, StatusCode};

use super::body::ResponseBody;
use super::forward;

/// The answer with this status; `close`: the last one on its connection.
pub(crate) fn answer(status: StatusCode, close: bool) -> Response<ResponseBody> {
    let reason = status.canonical_reason().unwrap_or("Error");
    let text = match status {
        StatusCode::OK => None,
        _ => Some(Bytes::from(format!("{} {reason}\n", status.as_u16()))),
    };
    let mut response = Response::new(ResponseBody::Own(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(SERVER, forward::SERVER);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    if close {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
