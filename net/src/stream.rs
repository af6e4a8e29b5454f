//! How a TCP connection is kept: options of its socket, and dialling with them.
//!
//! What a listener has, the kernel gives to every connection that it accepts: only dialled sockets
//! cost calls of their own. Small messages leave at once (`TCP_NODELAY`), always.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpSocket, TcpStream};

/// When a peer that vanished is noticed (`reliability 2.7`); none: by the kernel's own defaults.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct StreamOptions {
    /// A probe after this long without a word, and each as long after the one before.
    pub keepalive: Option<Duration>,
    /// What was sent, probes too, must be confirmed within this time.
    pub user_timeout: Option<Duration>,
}

impl StreamOptions {
    /// Sets the options of a socket, listening or not; one that the system does not have is left out.
    pub fn apply(&self, socket: &impl AsFd) {
        let socket = SockRef::from(socket);
        let _ = socket.set_tcp_nodelay(true);
        if let Some(every) = self.keepalive {
            let probes = TcpKeepalive::new().with_time(every).with_interval(every);
            let _ = socket.set_tcp_keepalive(&probes);
        }
        #[cfg(target_os = "linux")]
        if self.user_timeout.is_some() {
            let _ = socket.set_tcp_user_timeout(self.user_timeout);
        }
    }

    /// Opens a connection that has the options; the caller brings the time it may take.
    pub async fn dial(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        }?;
        self.apply(&socket);
        socket.connect(address).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn accepted_and_dialled_connections_have_the_options() {
        let options = StreamOptions {
            keepalive: Some(Duration::from_secs(30)),
            user_timeout: Some(Duration::from_secs(60)),
        };
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        options.apply(&listener);
        let near = options.dial(listener.local_addr().unwrap()).await.unwrap();
        let far = listener.accept().unwrap().0;
        for socket in [SockRef::from(&near), SockRef::from(&far)] {
            assert!(socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap());
            assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(30));
            assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(30));
            assert_eq!(socket.tcp_user_timeout().unwrap(), options.user_timeout);
        }
    }

    #[tokio::test]
    async fn without_times_the_kernel_decides() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let near = StreamOptions::default().dial(address).await.unwrap();
        let socket = SockRef::from(&near);
        assert!(socket.tcp_nodelay().unwrap() && !socket.keepalive().unwrap());
    }
}
