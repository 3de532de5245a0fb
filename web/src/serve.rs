//! The HTTP/1.1 server: caps on connections, a limit on slow heads, and an orderly end.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tower::ServiceExt as _;

/// Connections at once, in all and from one address. A browser opens six.
const CONNECTIONS: usize = 256;
const PER_CLIENT: usize = 32;
/// A request's head must be complete after so long, and an idle connection is closed.
const HEAD_TIMEOUT: Duration = Duration::from_secs(20);
/// What running requests get when the daemon stops.
const GRACE: Duration = Duration::from_secs(3);
/// The pause when the system has no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// The two ends of the connection a request came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Connection {
    pub(crate) client: SocketAddr,
    pub(crate) local: SocketAddr,
}

/// Serves `router` on all `listeners` until `shutdown` is ready; then lets running requests end
/// (for 3 s at most). Fails only when there is no listener.
pub async fn serve(
    listeners: Vec<TcpListener>,
    router: Router,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    if listeners.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no address to serve pages on"));
    }
    let (stop, stopped) = watch::channel(false);
    let seats = Arc::new(Seats::default());
    let mut tasks = tokio::task::JoinSet::new();
    for listener in listeners {
        tasks.spawn(accept(listener, router.clone(), seats.clone(), stopped.clone()));
    }
    drop(stopped);
    shutdown.await;
    stop.send_replace(true);
    while tasks.join_next().await.is_some() {}
    // Every connection holds a receiver until it is done.
    let _ = tokio::time::timeout(GRACE, stop.closed()).await;
    Ok(())
}

async fn accept(
    listener: TcpListener,
    router: Router,
    seats: Arc<Seats>,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = told(&mut stop) => return,
        };
        match accepted {
            Ok((stream, client)) => {
                // No seat: the connection is closed at once, which a browser retries.
                if let Some(seat) = Seats::take(&seats, client.ip()) {
                    let (router, stop) = (router.clone(), stop.clone());
                    tokio::spawn(async move {
                        talk(stream, client, router, stop).await;
                        drop(seat);
                    });
                }
            }
            Err(error) if transient(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept web connections for the moment");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Ready once the daemon stops.
async fn told(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|&stop| stop).await;
}

fn transient(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

async fn talk(
    stream: TcpStream,
    client: SocketAddr,
    router: Router,
    mut stop: watch::Receiver<bool>,
) {
    let Ok(local) = stream.local_addr() else { return };
    let _ = stream.set_nodelay(true);
    let ends = Connection { client, local };
    let service = router.map_request(move |mut request: axum::http::Request<_>| {
        request.extensions_mut().insert(ends);
        request
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(64 * 1024);
    let connection =
        builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = told(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::trace!(%client, %error, "web connection ended");
    }
}

/// Who holds how many connections.
#[derive(Default)]
struct Seats {
    taken: Mutex<(usize, HashMap<IpAddr, usize>)>,
}

struct Seat {
    of: Arc<Seats>,
    client: IpAddr,
}

impl Seats {
    fn take(seats: &Arc<Seats>, client: IpAddr) -> Option<Seat> {
        let mut taken = seats.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, each) = &mut *taken;
        if *all >= CONNECTIONS || each.get(&client).is_some_and(|&n| n >= PER_CLIENT) {
            return None;
        }
        *all += 1;
        *each.entry(client).or_default() += 1;
        Some(Seat { of: seats.clone(), client })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.of.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, each) = &mut *taken;
        *all = all.saturating_sub(1);
        if let Some(n) = each.get_mut(&self.client) {
            *n -= 1;
            if *n == 0 {
                each.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[test]
    fn one_client_cannot_take_all_seats() {
        let seats = Arc::new(Seats::default());
        let greedy = IpAddr::from([10, 0, 0, 66]);
        let held: Vec<_> = (0..PER_CLIENT).filter_map(|_| Seats::take(&seats, greedy)).collect();
        assert_eq!(held.len(), PER_CLIENT);
        assert!(Seats::take(&seats, greedy).is_none());
        assert!(Seats::take(&seats, IpAddr::from([10, 0, 0, 1])).is_some());
        drop(held);
        assert!(Seats::take(&seats, greedy).is_some());
        assert_eq!(seats.taken.lock().unwrap().0, 0);
    }

    #[tokio::test]
    async fn a_running_request_ends_well_when_the_daemon_stops() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let router = Router::new().route(
            "/",
            axum::routing::get(async || {
                tokio::time::sleep(Duration::from_millis(200)).await;
                "done"
            }),
        );
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let server = tokio::spawn(serve(vec![listener], router, async move {
            let _ = stopped.await;
        }));
        let mut client = TcpStream::connect(addr).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        stop.send(()).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("done"), "{answer}");
        server.await.unwrap().unwrap();
    }
}
