//! Headers as the specification has them, as it has them not, cut at every place, and anything else
//! (`http-proxy 3.4`).

use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::*;

fn header(source: &str, destination: &str) -> Preface {
    let [source, destination] = [source, destination].map(|it| it.parse().unwrap());
    Preface::Proxied(Header { source, destination })
}

/// A binary header of this command and family over `rest`.
fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [V2_SIGNATURE, &[command, family], &length, rest].concat()
}

const ADDRESSES: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 2, 0x30, 0x39, 0, 80];

#[test]
fn lines_are_read_as_the_specification_writes_them() {
    for (line, want) in [
        ("PROXY TCP4 192.0.2.1 198.51.100.2 12345 80\r\n", Some(V4)),
        (
            "PROXY TCP4 255.255.255.255 0.0.0.0 65535 0\r\n",
            Some(("255.255.255.255:65535", "0.0.0.0:0")),
        ),
        (
            "PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n",
            Some(("[2001:db8::1]:1", "[2001:db8::2]:2")),
        ),
        ("PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.2 12345 80\r\n", Some(V4)),
        ("PROXY TCP4 192.0.2.1 198.51.100.2 12345 80\n", None),
        ("PROXY TCP4 192.0.2.1 198.51.100.2 12345 80 \r\n", None),
        ("PROXY TCP4  192.0.2.1 198.51.100.2 12345 80\r\n", None),
        ("PROXY TCP4 192.0.2.1 198.51.100.2 12345\r\n", None),
        ("PROXY TCP4 192.0.2.01 198.51.100.2 12345 80\r\n", None),
        ("PROXY TCP4 192.0.2.1 2001:db8::2 12345 80\r\n", None),
        ("PROXY TCP4 192.0.2.1 198.51.100.2 012345 80\r\n", None),
        ("PROXY TCP4 192.0.2.1 198.51.100.2 +1234 80\r\n", None),
        ("PROXY TCP4 192.0.2.1 198.51.100.2 65536 80\r\n", None),
        ("PROXY TCP6 192.0.2.1 198.51.100.2 12345 80\r\n", None),
        ("PROXY TCP6 fe80::1%eth0 fe80::2 1 2\r\n", None),
        ("PROXY TCP5 192.0.2.1 198.51.100.2 12345 80\r\n", None),
        ("PROXY tcp4 192.0.2.1 198.51.100.2 12345 80\r\n", None),
        ("PROXY UNKNOWNX\r\n", None),
        ("PROXY \r\n", None),
        ("PROXY \u{e9}\r\n", None),
    ] {
        let got = parse(line.as_bytes());
        let want = match want {
            Some((source, destination)) => Ok(Some((header(source, destination), line.len()))),
            None => Err(Malformed::Line),
        };
        assert_eq!(got, want, "{line:?}");
    }
}

#[test]
fn a_proxy_may_speak_for_itself() {
    for bytes in [
        b"PROXY UNKNOWN\r\n".to_vec(),
        b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n".to_vec(),
        v2(0x20, 0x00, &[]),
        v2(0x20, 0x11, &ADDRESSES),
        v2(0x20, 0xff, b"whatever"),
        v2(0x21, 0x00, &[1, 2, 3]),
        v2(0x21, 0x31, &[0; 216]),
        v2(0x21, 0x12, &ADDRESSES),
    ] {
        assert_eq!(parse(&bytes), Ok(Some((Preface::Local, bytes.len()))), "{bytes:?}");
    }
}

#[test]
fn binary_headers_are_read_as_the_specification_writes_them() {
    let six = [[1; 16], [2; 16]].concat();
    let six = [&six[..], &[0, 1, 0, 2]].concat();
    let with = |values: &[u8]| v2(0x21, 0x11, &[&ADDRESSES, values].concat());
    let mut summed = with(&[CHECKSUM_TYPE, 0, 4, 0, 0, 0, 0]);
    let place = summed.len() - 4;
    let sum = checksum(&summed, place..place + 4).to_be_bytes();
    summed[place..].copy_from_slice(&sum);
    let mut forged = summed.clone();
    forged[V2_HEAD_BYTES] ^= 1;
    let four = header(V4.0, V4.1);
    let large = |length: u16| [V2_SIGNATURE, &[0x21, 0x11], &length.to_be_bytes()].concat();
    for (case, bytes, want) in [
        ("IPv4", with(&[]), Ok(Some(four))),
        (
            "IPv6",
            v2(0x21, 0x21, &six),
            Ok(Some(header(
                "[101:101:101:101:101:101:101:101]:1",
                "[202:202:202:202:202:202:202:202]:2",
            ))),
        ),
        ("values", with(&[0x01, 0, 2, b'h', b'2', 0x04, 0, 0]), Ok(Some(four))),
        ("a checksum", summed, Ok(Some(four))),
        ("a wrong one", forged, Err(Malformed::Checksum)),
        ("a short one", with(&[CHECKSUM_TYPE, 0, 3, 0, 0, 0]), Err(Malformed::Short)),
        ("a value that is cut", with(&[0x01, 0, 3, 0]), Err(Malformed::Short)),
        ("a type without length", with(&[0x01]), Err(Malformed::Short)),
        ("no room for addresses", v2(0x21, 0x11, &ADDRESSES[..11]), Err(Malformed::Short)),
        ("IPv6 without room", v2(0x21, 0x21, &six[..35]), Err(Malformed::Short)),
        ("version 1 in binary", v2(0x11, 0x11, &ADDRESSES), Err(Malformed::Kind)),
        ("version 3", v2(0x31, 0x11, &ADDRESSES), Err(Malformed::Kind)),
        ("an unknown command", v2(0x22, 0x11, &ADDRESSES), Err(Malformed::Kind)),
        ("an unknown family", v2(0x21, 0x41, &ADDRESSES), Err(Malformed::Kind)),
        ("the largest, not yet whole", large(4096), Ok(None)),
        ("beyond the largest", large(4097), Err(Malformed::TooLong)),
    ] {
        let got = parse(&bytes).map(|found| found.map(|(preface, _)| preface));
        assert_eq!(got, want, "{case}");
    }
}

#[test]
fn what_begins_otherwise_is_no_header() {
    let long = [b"PROXY TCP4 ".to_vec(), vec![b'1'; MAX_V1_BYTES]].concat();
    for (bytes, want) in [
        (&b"GET / HTTP/1.1\r\n"[..], Err(Malformed::Missing)),
        (b"PROXX", Err(Malformed::Missing)),
        (b" PROXY TCP4", Err(Malformed::Missing)),
        (b"\r\n\r\n\0\r\nQUIT\r", Err(Malformed::Missing)),
        (b"\x16\x03\x01", Err(Malformed::Missing)),
        (b"", Ok(None)),
        (&long[..MAX_V1_BYTES - 1], Ok(None)),
        (&long[..MAX_V1_BYTES], Err(Malformed::LineTooLong)),
    ] {
        assert_eq!(parse(bytes), want, "{bytes:?}");
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_and_its_beginning_asks_for_more(
        ips: [[u8; 16]; 2], ports: [u16; 2], four: [bool; 2], text: bool, behind: Vec<u8>,
    ) {
        let address = |at: usize| {
            let ip = Ipv6Addr::from_octets(ips[at]);
            let short = *ips[at].first_chunk::<4>().expect("sixteen are there");
            let ip = if four[at] { IpAddr::V4(short.into()) } else { ip.to_canonical() };
            SocketAddr::new(ip, ports[at])
        };
        let header = Header { source: address(0), destination: address(1) };
        let version = if text { Version::V1 } else { Version::V2 };
        let mut bytes = encode(&header, version);
        let length = bytes.len();
        for end in 0..length {
            prop_assert_eq!(parse(&bytes[..end]), Ok(None));
        }
        bytes.extend(behind);
        prop_assert_eq!(parse(&bytes), Ok(Some((Preface::Proxied(header), length))));
    }

    #[test]
    fn any_bytes_are_a_header_or_refused(bytes: Vec<u8>, signed: bool, rest in any::<[u8; 24]>()) {
        let bytes = if signed { [V2_SIGNATURE, &rest, &bytes].concat() } else { bytes };
        if let Ok(Some((_, length))) = parse(&bytes) {
            prop_assert!(length <= bytes.len());
        }
    }
}

#[tokio::test]
async fn a_header_is_taken_from_a_connection_and_not_a_byte_more() {
    let large = v2(0x21, 0x11, &[&ADDRESSES[..], &[0x04, 0x0f, 0xf1], &[0; 0xff1]].concat());
    for head in [
        b"PROXY TCP4 192.0.2.1 198.51.100.2 12345 80\r\n".to_vec(),
        v2(0x21, 0x11, &ADDRESSES),
        large,
    ] {
        for cut in [1, 5, 14, 15, 16, 20, head.len() - 1, head.len()] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let client = TcpStream::connect(listener.local_addr().unwrap()).await;
            let (mut client, mut server) = (client.unwrap(), listener.accept().await.unwrap().0);
            client.set_nodelay(true).unwrap();
            let (first, second) = head.split_at(cut);
            let write = async {
                client.write_all(first).await.unwrap();
                tokio::task::yield_now().await;
                client.write_all(second).await.unwrap();
                client.write_all(b"hello\n").await.unwrap();
                client.shutdown().await.unwrap();
            };
            let (preface, ()) = tokio::join!(receive(&mut server), write);
            assert_eq!(preface.unwrap(), header(V4.0, V4.1), "{cut}");
            let mut rest = String::new();
            server.read_to_string(&mut rest).await.unwrap();
            assert_eq!(rest, "hello\n", "{cut}");
        }
    }
}

const V4: (&str, &str) = ("192.0.2.1:12345", "198.51.100.2:80");
