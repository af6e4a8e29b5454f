//! What a service manager is told: that the start is over, and that the end has begun.
//!
//! systemd's protocol, `sd_notify(3)`: a datagram to the socket that `NOTIFY_SOCKET` names, nothing where there is
//! none. Invariants: never waits, and a manager that does not listen keeps nobody from serving. When is whose business
//! the process runs is `command`'s.

use std::ffi::OsStr;
use std::io;
#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt;
#[cfg(target_os = "linux")]
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use tracing::warn;

/// What is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum News {
    /// The first snapshot serves, and every listener was tried.
    Ready,
    /// The process has been told to end.
    Stopping,
}

/// Tells the manager that started this process, if it asked for that.
pub(crate) fn tell(news: News) {
    let Some(name) = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
        return;
    };
    if let Err(error) = send(&name, news) {
        warn!(%error, "the service manager at NOTIFY_SOCKET cannot be told");
    }
}

fn send(name: &OsStr, news: News) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    let text = match news {
        News::Ready => "READY=1",
        News::Stopping => "STOPPING=1",
    };
    socket
        .send_to_addr(text.as_bytes(), &address(name)?)
        .map(|_| ())
}

/// A path, or behind an `@` a name that Linux keeps outside of all folders.
fn address(name: &OsStr) -> io::Result<SocketAddr> {
    #[cfg(target_os = "linux")]
    if let [b'@', name @ ..] = name.as_bytes() {
        return SocketAddr::from_abstract_name(name);
    }
    SocketAddr::from_pathname(name)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn sockets_of_files_and_abstract_ones_are_reached_and_others_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("notify");
        let abstract_name = format!("portico-notify-{}", std::process::id());
        let abstract_address = SocketAddr::from_abstract_name(&abstract_name).unwrap();
        let at_file = UnixDatagram::bind(&file).unwrap();
        let at_name = UnixDatagram::bind_addr(&abstract_address).unwrap();
        let named = format!("@{abstract_name}");
        for (name, socket, news, want) in [
            (file.as_os_str(), &at_file, News::Ready, "READY=1"),
            (named.as_ref(), &at_name, News::Stopping, "STOPPING=1"),
        ] {
            send(name, news).unwrap();
            let mut told = [0; 64];
            let length = socket.recv(&mut told).unwrap();
            assert_eq!(&told[..length], want.as_bytes());
        }
        assert!(send("/nowhere/at/all".as_ref(), News::Ready).is_err());
        assert!(send("\0".as_ref(), News::Ready).is_err());
    }
}
