//! One worker: a thread with its runtime, on which both planes run.
//!
//! A panic of one connection's task stays in that task: the runtime isolates it. If the thread
//! itself ends before it was asked to, `failed` is cancelled and the process ends with 70.

use std::io;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::thread::JoinHandle;
use std::time::Duration;

use http::StatusCode;
use portico_proxy::{Answered, Answering, Resolver};
use tokio::runtime::{Builder, LocalOptions};
use tokio_util::sync::CancellationToken;
use tracing::error;

/// When a worker ends, and whom it tells if it ends too early.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    /// Stop accepting and drain.
    pub(crate) stop: CancellationToken,
    /// How long open connections may go on after `stop`.
    pub(crate) drain_timeout: Duration,
    /// Cancelled by a worker that dies.
    pub(crate) failed: CancellationToken,
}

/// Starts worker `index`; fails where the system gives no thread or no event queue.
pub(crate) fn start(
    index: usize,
    proxy: portico_proxy::Worker,
    dns: portico_dns::Worker,
    life: Life,
) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name(format!("portico-w{index}"))
        .spawn(move || {
            let end = catch_unwind(AssertUnwindSafe(|| serve(proxy, dns, &life)));
            match end {
                Ok(Ok(())) if life.stop.is_cancelled() => return,
                Ok(Ok(())) => error!(worker = index, "a worker ended before it was asked to"),
                Ok(Err(error)) => error!(worker = index, %error, "a worker could not start"),
                Err(_) => error!(worker = index, "a worker died of a panic"),
            }
            life.failed.cancel();
        })
}

/// The resolver of this thread, asked over HTTPS: the planes do not know each other.
struct Queries(portico_dns::Resolver);

impl Resolver for Queries {
    fn answer(&self, message: Vec<u8>, client: IpAddr, local: IpAddr) -> Answering {
        let resolver = self.0.clone();
        Box::pin(async move {
            let answered = resolver.answer(&message, client, local).await?;
            let portico_dns::Answered { message, max_age_seconds } = answered;
            Some(Answered { message, max_age_seconds })
        })
    }

    fn told(&self, status: StatusCode) {
        self.0.told(status.as_u16());
    }
}

fn serve(proxy: portico_proxy::Worker, dns: portico_dns::Worker, life: &Life) -> io::Result<()> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())?;
    runtime.block_on(async {
        let dns = dns.on_thread();
        let resolver: Rc<dyn Resolver> = Rc::new(Queries(dns.resolver()));
        let proxy = proxy.run(life.stop.clone(), life.drain_timeout, Some(resolver));
        let dns = dns.run(life.stop.clone(), life.drain_timeout);
        tokio::join!(Box::pin(proxy), Box::pin(dns));
    });
    Ok(())
}
