//! Raw requests, byte for byte: what is refused, with which status, and what of the rest a pod sees
//! (`http-proxy 1.14–1.17, 1.20, 1.22, 1.23, 1.31, 2.1, 2.2, 2.4, 3.5, 4.6`, `reliability 2.1`).

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::{Arc, Mutex};

use crate::front_door::ingress;
use crate::harness::http::Client;
use crate::harness::pod::Pod;
use crate::harness::portico::Portico;
use crate::services::service;

/// Name, bytes, the statuses of the answers, and what the pod saw of each request, without the lines
/// that portico adds: `line|line|+body`. A last status of 400 and more closes the connection.
type Case = (&'static str, &'static str, &'static [u16], &'static [&'static str]);

const PLAIN: &str = "GET / HTTP/1.1|Host: a";

/// Start lines and fields.
const HEADS: &[Case] = &[
    ("plain", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", &[200], &[PLAIN]),
    ("one empty line before", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", &[200], &[PLAIN]),
    ("two empty lines before", "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", &[400], &[]),
    ("line feed before", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", &[400], &[]),
    ("blank before", " GET / HTTP/1.1\r\nHost: a\r\n\r\n", &[400], &[]),
    ("two blanks", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", &[400], &[]),
    ("two blanks before the version", "GET /  HTTP/1.1\r\nHost: a\r\n\r\n", &[400], &[]),
    ("tab", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", &[400], &[]),
    ("blank behind the version", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", &[400], &[]),
    ("return in the request line", "GET /\r HTTP/1.1\r\nHost: a\r\n\r\n", &[400], &[]),
    ("HTTP/0.9", "GET /\r\n\r\n", &[400], &[]),
    ("no version but a blank", "GET / \r\nHost: a\r\n\r\n", &[400], &[]),
    ("HTTP/1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", &[400], &[]),
    ("HTTP/1.10", "GET / HTTP/1.10\r\nHost: a\r\n\r\n", &[400], &[]),
    ("HTTP/2.0", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", &[505], &[]),
    ("HTTP/3.0", "GET / HTTP/3.0\r\nHost: a\r\n\r\n", &[505], &[]),
    ("lower case version", "GET / http/1.1\r\nHost: a\r\n\r\n", &[400], &[]),
    ("other protocol", "GET / ICAP/1.1\r\nHost: a\r\n\r\n", &[400], &[]),
    (
        "not quite the preface of HTTP/2",
        "PRI * HTTP/2.0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        &[400],
        &[],
    ),
    ("TLS", "\x16\x03\x01\x00\x05hello", &[400], &[]),
    ("PROXY", "PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", &[400], &[]),
    ("fragment", "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", &[400], &[]),
    ("backslash", "GET /a\\b HTTP/1.1\r\nHost: a\r\n\r\n", &[400], &[]),
    ("beyond ASCII in the target", "GET /ä HTTP/1.1\r\nHost: a\r\n\r\n", &[400], &[]),
    ("NUL in the target", "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", &[400], &[]),
    ("bad escape", "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", &[400], &[]),
    ("NUL escape", "GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", &[400], &[]),
    ("climbing", "GET /../x HTTP/1.1\r\nHost: a\r\n\r\n", &[400], &[]),
    ("climbing by escapes", "GET /%2e%2e/x HTTP/1.1\r\nHost: a\r\n\r\n", &[400], &[]),
    ("escaped slash that climbs", "GET /..%2fx HTTP/1.1\r\nHost: a\r\n\r\n", &[400], &[]),
    ("no slash", "GET x HTTP/1.1\r\nHost: a\r\n\r\n", &[400], &[]),
    ("authority form", "GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n", &[400], &[]),
    ("asterisk", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", &[400], &[]),
    ("OPTIONS asterisk", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", &[200], &[]),
    ("one form", "GET /x/../y HTTP/1.1\r\nHost: a\r\n\r\n", &[200], &["GET /y HTTP/1.1|Host: a"]),
    (
        "odd query",
        "GET /?%zz\\ HTTP/1.1\r\nHost: a\r\n\r\n",
        &[200],
        &["GET /?%zz\\ HTTP/1.1|Host: a"],
    ),
    ("CONNECT", "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\nGET / HTTP/1.1\r\n\r\n", &[405], &[]),
    ("CONNECT /", "CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", &[405], &[]),
    ("TRACE", "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", &[405], &[]),
    ("lower case method", "get / HTTP/1.1\r\nHost: a\r\n\r\n", &[200], &["get / HTTP/1.1|Host: a"]),
    ("odd method", "G(T / HTTP/1.1\r\nHost: a\r\n\r\n", &[400], &[]),
    ("long method", "ABCDEFGHABCDEFGHABCDEFGHABCDEFGHI / HTTP/1.1\r\nHost: a\r\n\r\n", &[501], &[]),
    ("line feed alone", "GET / HTTP/1.1\nHost: a\r\n\r\n", &[400], &[]),
    ("line feed alone behind a field", "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", &[400], &[]),
    ("line feed alone at the end", "GET / HTTP/1.1\r\nHost: a\r\n\n", &[400], &[]),
    ("line feeds only", "GET / HTTP/1.1\nHost: a\n\n", &[400], &[]),
    ("return alone in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: y\rZ: 1\r\n\r\n", &[400], &[]),
    ("NUL in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n", &[400], &[]),
    ("DEL in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: \x7f\r\n\r\n", &[400], &[]),
    ("control in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: \x0b\r\n\r\n", &[400], &[]),
    ("fold", "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n", &[400], &[]),
    ("fold by tab", "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\tz\r\n\r\n", &[400], &[]),
    ("blank-led first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", &[400], &[]),
    ("blank before the colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", &[400], &[]),
    ("tab before the colon", "GET / HTTP/1.1\r\nHost: a\r\nX\t: y\r\n\r\n", &[400], &[]),
    ("no name", "GET / HTTP/1.1\r\nHost: a\r\n: y\r\n\r\n", &[400], &[]),
    ("no colon", "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", &[400], &[]),
    ("odd name", "GET / HTTP/1.1\r\nHost: a\r\nX{}: y\r\n\r\n", &[400], &[]),
    ("beyond ASCII in a name", "GET / HTTP/1.1\r\nHost: a\r\nÄ: y\r\n\r\n", &[400], &[]),
    (
        "beyond ASCII in a value",
        "GET / HTTP/1.1\r\nHost: a\r\nY: ä\r\n\r\n",
        &[200],
        &["GET / HTTP/1.1|Host: a|Y: ä"],
    ),
    (
        "tab in a value",
        "GET / HTTP/1.1\r\nHost: a\r\nY: b\tc \r\n\r\n",
        &[200],
        &["GET / HTTP/1.1|Host: a|Y: b\tc"],
    ),
    ("underscore", "GET / HTTP/1.1\r\nHost: a\r\nContent_Length: 5\r\n\r\n", &[200], &[PLAIN]),
    ("no Host", "GET / HTTP/1.1\r\n\r\n", &[400], &[]),
    ("two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", &[400], &[]),
    ("two equal Hosts", "GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", &[400], &[]),
    ("empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", &[400], &[]),
    ("userinfo in Host", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", &[400], &[]),
    ("list in Host", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", &[400], &[]),
    ("path in Host", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", &[400], &[]),
    ("percent in Host", "GET / HTTP/1.1\r\nHost: a%62\r\n\r\n", &[400], &[]),
    ("port beyond all", "GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", &[400], &[]),
    ("port 0", "GET / HTTP/1.1\r\nHost: a:0\r\n\r\n", &[400], &[]),
    (
        "absolute form",
        "GET http://b/x HTTP/1.1\r\nHost: a\r\n\r\n",
        &[200],
        &["GET /x HTTP/1.1|Host: b"],
    ),
    ("absolute form and a bad Host", "GET http://b/ HTTP/1.1\r\nHost: u@a\r\n\r\n", &[400], &[]),
    ("absolute form with userinfo", "GET http://u@b/ HTTP/1.1\r\nHost: a\r\n\r\n", &[400], &[]),
    ("absolute form of another scheme", "GET ftp://b/ HTTP/1.1\r\nHost: a\r\n\r\n", &[400], &[]),
    ("Expect of something else", "POST / HTTP/1.1\r\nHost: a\r\nExpect: gold\r\n\r\n", &[417], &[]),
    (
        "Expect twice",
        "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nExpect: 100-continue\r\n\r\n",
        &[417],
        &[],
    ),
    (
        "Expect without a body",
        "GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
        &[200],
        &[PLAIN],
    ),
    (
        "h2c",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n",
        &[200],
        &[PLAIN],
    ),
    (
        "fields that Connection names",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: Host, Cookie, Y\r\nCookie: c\r\nY: y\r\n\r\n",
        &[200],
        &["GET / HTTP/1.1|Host: a|Cookie: c"],
    ),
];

/// Lengths and bodies.
const BODIES: &[Case] = &[
    (
        "length",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
        &[200],
        &["POST / HTTP/1.1|Host: a|Content-Length: 3|+abc"],
    ),
    (
        "length of nothing",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        &[200],
        &["POST / HTTP/1.1|Host: a|Content-Length: 0"],
    ),
    (
        "leading zeros",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 003\r\n\r\nabc",
        &[200],
        &["POST / HTTP/1.1|Host: a|Content-Length: 3|+abc"],
    ),
    (
        "GET with content",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
        &[200],
        &["GET / HTTP/1.1|Host: a|Content-Length: 3|+abc"],
    ),
    (
        "length twice",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        &[400],
        &[],
    ),
    (
        "lengths that differ",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        &[400],
        &[],
    ),
    (
        "list of lengths",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc",
        &[400],
        &[],
    ),
    ("sign", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc", &[400], &[]),
    ("minus", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\nabc", &[400], &[]),
    ("hexadecimal", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x3\r\n\r\nabc", &[400], &[]),
    ("empty length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\nabc", &[400], &[]),
    (
        "length with a point",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3.0\r\n\r\nabc",
        &[400],
        &[],
    ),
    (
        "length beyond 64 bits",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\nabc",
        &[400],
        &[],
    ),
    (
        "length beyond the limit",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\nabc",
        &[413],
        &[],
    ),
    (
        "largest length",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551615\r\n\r\nabc",
        &[413],
        &[],
    ),
    (
        "CL.TE",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG",
        &[400],
        &[],
    ),
    (
        "TE.CL",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n1\r\nZ\r\n0\r\n\r\n",
        &[400],
        &[],
    ),
    (
        "CL of 0 and TE",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        &[400],
        &[],
    ),
    (
        "CL and unknown TE",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: x\r\n\r\nabc",
        &[400],
        &[],
    ),
    (
        "TE in odd case",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: cHuNkEd\r\n\r\n1\r\nZ\r\n0\r\n\r\n",
        &[200],
        &["POST / HTTP/1.1|Host: a|Transfer-Encoding: chunked|+Z"],
    ),
    (
        "TE.TE",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n",
        &[400],
        &[],
    ),
    (
        "TE twice",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        &[400],
        &[],
    ),
    (
        "chunked twice",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        &[400],
        &[],
    ),
    (
        "chunked and a comma",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked,\r\n\r\n0\r\n\r\n",
        &[400],
        &[],
    ),
    (
        "chunked with a parameter",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n",
        &[400],
        &[],
    ),
    (
        "chunked, not last",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
        &[400],
        &[],
    ),
    (
        "chunked behind a control byte",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
        &[400],
        &[],
    ),
    (
        "chunked behind a fold",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
        &[400],
        &[],
    ),
    (
        "chunked and a blank before the colon",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        &[400],
        &[],
    ),
    ("identity", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", &[400], &[]),
    ("empty TE", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n", &[400], &[]),
    (
        "gzip and chunked",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        &[501],
        &[],
    ),
    (
        "unknown coding",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        &[501],
        &[],
    ),
    (
        "TE on HTTP/1.0",
        "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        &[400],
        &[],
    ),
    (
        "chunks",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n",
        &[200],
        &["POST / HTTP/1.1|Host: a|Transfer-Encoding: chunked|+abc"],
    ),
    (
        "extensions",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;x=\"y\"\r\na\r\n0;z\r\n\r\n",
        &[200],
        &["POST / HTTP/1.1|Host: a|Transfer-Encoding: chunked|+a"],
    ),
    (
        "trailers",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nHost: b\r\nContent-Length: 9\r\n\r\n",
        &[200],
        &["POST / HTTP/1.1|Host: a|Transfer-Encoding: chunked"],
    ),
    (
        "trailer ended by a line feed",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\n\r\n",
        &[400],
        &[],
    ),
    (
        "request as a trailer",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nGET /x HTTP/1.1\r\n\r\n",
        &[400],
        &[],
    ),
    (
        "size with a sign",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n+1\r\na\r\n0\r\n\r\n",
        &[400],
        &[],
    ),
    (
        "size with a prefix",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n",
        &[400],
        &[],
    ),
    (
        "size and a blank",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1 \r\na\r\n0\r\n\r\n",
        &[400],
        &[],
    ),
    (
        "size beyond 64 bits",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000001\r\na\r\n0\r\n\r\n",
        &[400],
        &[],
    ),
    (
        "size ended by a line feed",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n",
        &[400],
        &[],
    ),
    (
        "size ended by a return",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\ra\r\n0\r\n\r\n",
        &[400],
        &[],
    ),
    (
        "return in an extension",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;\ra\r\na\r\n0\r\n\r\n",
        &[400],
        &[],
    ),
    (
        "line feed in an extension",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;\na\r\na\r\n0\r\n\r\n",
        &[400],
        &[],
    ),
    (
        "chunk longer than said",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
        &[400],
        &[],
    ),
    (
        "no end of the chunk",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na0\r\n\r\n",
        &[400],
        &[],
    ),
    (
        "two in a row",
        "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
        &[200, 200],
        &["GET /1 HTTP/1.1|Host: a", "GET /2 HTTP/1.1|Host: a"],
    ),
    (
        "a body between",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nGETGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        &[200, 200],
        &["POST / HTTP/1.1|Host: a|Content-Length: 3|+GET", PLAIN],
    ),
    (
        "chunks between",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        &[200, 200],
        &["POST / HTTP/1.1|Host: a|Transfer-Encoding: chunked|+a", PLAIN],
    ),
    (
        "an answer of our own between",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        &[200, 200],
        &[PLAIN],
    ),
    (
        "the second is bad",
        "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/9\r\n\r\n",
        &[200, 400],
        &[PLAIN],
    ),
    (
        "an empty line between",
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        &[200, 200],
        &[PLAIN, PLAIN],
    ),
    (
        "a body that was not announced",
        "GET / HTTP/1.1\r\nHost: a\r\n\r\nx=1\r\n\r\n",
        &[200, 400],
        &[PLAIN],
    ),
];

/// A pod that notes what it sees of each request, as a [`Case`] says it.
fn pod(seen: &Arc<Mutex<Vec<String>>>) -> Pod {
    let seen = Arc::clone(seen);
    Pod::serve(Ipv4Addr::LOCALHOST.into(), move |stream| {
        let Ok(mut writer) = stream.try_clone() else { return };
        let mut reader = BufReader::new(stream);
        while let Some(request) = note(&mut reader) {
            seen.lock().unwrap().push(request);
            if writer
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                .is_err()
            {
                return;
            }
        }
    })
}

fn note(reader: &mut BufReader<TcpStream>) -> Option<String> {
    let (mut noted, mut length, mut chunked) = (Vec::new(), 0, false);
    loop {
        let mut line = Vec::new();
        reader.read_until(b'\n', &mut line).ok()?;
        let line = String::from_utf8(line).ok()?;
        let line = line.strip_suffix("\r\n")?.to_owned();
        if line.is_empty() {
            break;
        }
        length = line
            .strip_prefix("Content-Length: ")
            .map_or(length, |n| n.parse().unwrap());
        chunked |= line == "Transfer-Encoding: chunked";
        if !line.starts_with("X-") && !line.starts_with("Via: ") {
            noted.push(line);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    while chunked {
        let mut size = String::new();
        reader.read_line(&mut size).ok()?;
        let size = usize::from_str_radix(size.trim_end(), 16).ok()?;
        let mut chunk = vec![0; size + 2];
        reader.read_exact(&mut chunk).ok()?;
        body.extend_from_slice(&chunk[..size]);
        chunked = size > 0;
    }
    if !body.is_empty() {
        noted.push(format!("+{}", String::from_utf8_lossy(&body)));
    }
    Some(noted.join("|"))
}

fn start(seen: &Arc<Mutex<Vec<String>>>) -> (Pod, Portico) {
    let pod = pod(seen);
    let rules = [("", "Prefix", "/", "web")];
    let manifests = [service("web", "ClusterIP", 80, &[&pod]), ingress("i", &rules, "")]
        .join("---\n")
        .replace("host: \"\"\n    http", "http");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    (pod, portico)
}

/// Sends the pieces and holds portico to the case; a connection that lives on must still be in step.
fn run(portico: &Portico, seen: &Mutex<Vec<String>>, case: &Case, pieces: &[&[u8]]) {
    let (name, raw, statuses, backend) = case;
    let cut = pieces[0].len();
    seen.lock().unwrap().clear();
    let mut client = Client::connect(portico.http());
    for piece in pieces {
        // The end may have come already where the begin was enough to refuse it.
        let _ = client.send(piece);
    }
    for &status in *statuses {
        let answer = client.answer();
        let answer =
            answer.unwrap_or_else(|error| panic!("{name}, cut at {cut}: {error}, {raw:?}"));
        assert_eq!(answer.status, status, "{name}, cut at {cut}: {raw:?}");
        if status >= 400 {
            assert_eq!(answer.header("connection"), Some("close"), "{name}, cut at {cut}");
            assert!(client.answer().is_err(), "{name}, cut at {cut}: nothing follows");
        }
    }
    let mut want: Vec<&str> = backend.to_vec();
    if statuses.iter().all(|&status| status < 400) {
        let last = "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        let answer = client.request(last, b"").unwrap();
        assert_eq!(answer.status, 200, "{name}, cut at {cut}: the connection lives on");
        assert!(client.answer().is_err(), "{name}, cut at {cut}: and ends when told to");
        want.push("GET /last HTTP/1.1|Host: a");
    }
    assert_eq!(*seen.lock().unwrap(), want, "{name}, cut at {cut}");
}

#[test]
fn a_corpus_of_raw_requests_is_refused_or_passed_on_in_one_form() {
    let seen = Arc::default();
    let (_pod, portico) = start(&seen);
    let cases = || HEADS.iter().chain(BODIES);
    assert!(cases().count() >= 100);
    for case in cases() {
        run(&portico, &seen, case, &[case.1.as_bytes()]);
    }
}

#[test]
fn where_requests_are_cut_never_decides_what_they_mean() {
    let seen = Arc::default();
    let (_pod, portico) = start(&seen);
    for case in HEADS.iter().step_by(9).chain(BODIES.iter().step_by(5)) {
        let bytes = case.1.as_bytes();
        for cut in 1..bytes.len() {
            let (begin, end) = bytes.split_at(cut);
            run(&portico, &seen, case, &[begin, end]);
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        run(&portico, &seen, case, &single);
    }
}

#[test]
fn heads_have_limits() {
    let seen = Arc::default();
    let (_pod, portico) = start(&seen);
    let target =
        |bytes: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "t".repeat(bytes - 1));
    let fields = |count: usize, value: usize| {
        let lines = format!("Y: {}\r\n", "v".repeat(value)).repeat(count - 1);
        format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n")
    };
    for (case, head, status) in [
        ("target at its limit", target(8192), 200),
        ("target beyond it", target(8193), 414),
        ("fields at their limit", fields(100, 1), 200),
        ("fields beyond it", fields(101, 1), 431),
        ("line at its limit", fields(2, 16 * 1024 - 3), 200),
        ("line beyond it", fields(2, 16 * 1024 - 2), 431),
        ("head beyond its limit", fields(9, 8192), 431),
        ("a line that does not end", format!("GET / HTTP/1.1\r\nY: {}", "v".repeat(20_000)), 431),
        ("a target that does not end", format!("GET /{}", "t".repeat(9_000)), 414),
    ] {
        let answer = Client::connect(portico.http()).request(&head, b"").unwrap();
        assert_eq!(answer.status, status, "http-proxy 3: {case}");
        seen.lock().unwrap().clear();
    }
}
