//! A proxy for tests that can keep connections open and swallow what passes on them: what a lost route or a hung
//! middlebox looks like, which the kernel does not notice.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Forwards to one server until the token ends it.
pub(crate) struct SwallowingProxy {
    address: SocketAddr,
    connections: Arc<Mutex<Vec<Arc<Connection>>>>,
}

#[derive(Default)]
struct Connection {
    subscribes: AtomicBool,
    swallowed: AtomicBool,
    unanswered: AtomicBool,
    cut: CancellationToken,
}

impl SwallowingProxy {
    /// A proxy of the server on this loopback port.
    pub(crate) async fn start(
        port: u16,
        tracker: &TaskTracker,
        token: &CancellationToken,
    ) -> SwallowingProxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections: Arc<Mutex<Vec<Arc<Connection>>>> = Arc::default();
        let (accepted, spawner, token) = (connections.clone(), tracker.clone(), token.clone());
        tracker.spawn(async move {
            while let Some(Ok((client, _))) = token.run_until_cancelled(listener.accept()).await {
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else { continue };
                let connection: Arc<Connection> = Arc::default();
                accepted.lock().push(connection.clone());
                let ((from_client, to_client), (from_server, to_server)) =
                    (client.into_split(), server.into_split());
                let cut = connection.cut.clone();
                let forwards = [
                    forward(from_client, to_server, false, connection.clone()),
                    forward(from_server, to_client, true, connection),
                ];
                for forward in forwards {
                    let (token, cut) = (token.clone(), cut.clone());
                    spawner.spawn(async move {
                        token.run_until_cancelled(cut.run_until_cancelled(forward)).await
                    });
                }
            }
        });
        SwallowingProxy { address, connections }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// How many connections were made so far.
    pub(crate) fn accepted(&self) -> usize {
        self.connections.lock().len()
    }

    /// From here on, swallows what passes on the connections that exist and have subscribed.
    pub(crate) fn swallow_subscribed(&self) {
        for connection in &*self.connections.lock() {
            connection.swallowed.fetch_or(connection.subscribes.load(Ordering::Acquire), Ordering::AcqRel);
        }
    }

    /// From here on, swallows what is answered on the connections that exist and have not subscribed.
    pub(crate) fn swallow_answers(&self) {
        for connection in &*self.connections.lock() {
            connection.unanswered.store(!connection.subscribes.load(Ordering::Acquire), Ordering::Release);
        }
    }

    /// Cuts the connections on which answers are swallowed.
    pub(crate) fn cut_unanswered(&self) {
        for connection in &*self.connections.lock() {
            if connection.unanswered.load(Ordering::Acquire) {
                connection.cut.cancel();
            }
        }
    }

    /// From here on, swallows what passes on the connections that exist.
    pub(crate) fn swallow_all(&self) {
        for connection in &*self.connections.lock() {
            connection.swallowed.store(true, Ordering::Release);
        }
    }
}

async fn forward(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    answers: bool,
    connection: Arc<Connection>,
) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        if buffer[..length].windows(9).any(|window| window == b"SUBSCRIBE") {
            connection.subscribes.store(true, Ordering::Release);
        }
        let swallowed = connection.swallowed.load(Ordering::Acquire)
            || (answers && connection.unanswered.load(Ordering::Acquire));
        if !swallowed && to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
