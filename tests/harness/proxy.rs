//! A network between two processes that can be made a bad one: it delays, throttles, swallows one way or both, closes half
//! of a connection, resets, and leaves connections half open.
//!
//! What is swallowed while nothing passes is delivered when it passes again, as TCP does it: a partition loses no bytes of a
//! connection that lives through it.

use std::net::SocketAddr;
use std::time::Duration;

use relay_loadtest::launch::ready::free_port;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval_at};

/// What is carried at once: small enough for a throttle to be even.
const CHUNK_BYTES: usize = 4 * 1024;

/// How the network is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conduct {
    /// How long a chunk takes.
    pub delay: Duration,
    /// The most bytes a second each way, of each connection; 0 for as many as come.
    pub bytes_per_s: u32,
    /// Nothing passes from those who connect.
    pub is_deaf: bool,
    /// Nothing passes to those who connect.
    pub is_mute: bool,
}

/// A good one.
pub const CLEAR: Conduct = Conduct { delay: Duration::ZERO, bytes_per_s: 0, is_deaf: false, is_mute: false };

/// What happens to connections that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Blows {
    /// Those up to this number end by a reset.
    reset: u64,
    /// Those up to this number say nothing more to the server's side, which hears their end.
    half_closed: u64,
    /// Every second one up to this number carries nothing more, and neither end hears of it.
    abandoned: u64,
}

#[derive(Debug, Clone, Copy)]
struct State {
    conduct: Conduct,
    blows: Blows,
}

/// A proxy on a loopback port. Dropped, it and its connections are gone.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    state: watch::Sender<State>,
    accepted: watch::Receiver<u64>,
    _tasks: JoinSet<()>,
}

/// One direction of a connection.
struct Pump<'a> {
    from: ReadHalf<'a>,
    to: WriteHalf<'a>,
    number: u64,
    /// From those who connect.
    is_up: bool,
    state: watch::Receiver<State>,
}

impl Proxy {
    /// A proxy before what listens, now or later, on a loopback port.
    pub async fn before(port: u16) -> anyhow::Result<Proxy> {
        let own = free_port().await?;
        let listener = TcpListener::bind(("127.0.0.1", own)).await?;
        let (state, watched) = watch::channel(State { conduct: CLEAR, blows: Blows::default() });
        let (count, accepted) = watch::channel(0);
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, SocketAddr::from(([127, 0, 0, 1], port)), watched, count));
        Ok(Proxy { port: own, state, accepted, _tasks: tasks })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on the network is like this.
    pub fn set(&self, conduct: Conduct) {
        self.state.send_modify(|state| state.conduct = conduct);
    }

    /// Ends every connection by a reset.
    pub fn reset(&self) {
        let now = *self.accepted.borrow();
        self.state.send_modify(|state| state.blows.reset = now);
    }

    /// Ends the way from those who connect, of every connection; the other goes on.
    pub fn half_close(&self) {
        let now = *self.accepted.borrow();
        self.state.send_modify(|state| state.blows.half_closed = now);
    }

    /// Leaves every second connection half open, for good.
    pub fn abandon(&self) {
        let now = *self.accepted.borrow();
        self.state.send_modify(|state| state.blows.abandoned = now);
    }
}

async fn serve(
    listener: TcpListener,
    target: SocketAddr,
    state: watch::Receiver<State>,
    count: watch::Sender<u64>,
) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        count.send_modify(|count| *count += 1);
        let number = *count.borrow();
        connections.spawn(carry(client, target, number, state.clone()));
        // Those that have ended are not kept.
        while connections.try_join_next().is_some() {}
    }
}

async fn carry(mut client: TcpStream, target: SocketAddr, number: u64, mut state: watch::Receiver<State>) {
    // While nothing passes, a connection is not made either.
    if state.wait_for(|state| !state.conduct.is_deaf && !state.conduct.is_mute).await.is_err() {
        return;
    }
    let Ok(mut server) = TcpStream::connect(target).await else {
        let _ = client.set_zero_linger();
        return;
    };
    for side in [&client, &server] {
        let _ = side.set_nodelay(true);
    }
    let is_reset = {
        // Halves that own would say the end when they are dropped.
        let ((client_read, client_write), (server_read, server_write)) = (client.split(), server.split());
        let up = Pump { from: client_read, to: server_write, number, is_up: true, state: state.clone() };
        let down = Pump { from: server_read, to: client_write, number, is_up: false, state: state.clone() };
        let both = async {
            tokio::join!(up.run(), down.run());
        };
        tokio::select! {
            _ = state.wait_for(|state| number <= state.blows.reset) => true,
            () = both => false,
        }
    };
    for side in [&client, &server].into_iter().filter(|_| is_reset) {
        let _ = side.set_zero_linger();
    }
}

impl Pump<'_> {
    async fn run(mut self) {
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let read = tokio::select! {
                read = self.from.read(&mut chunk) => read,
                () = half_closed(self.state.clone(), self.number, self.is_up) => Ok(0),
            };
            let length = read.unwrap_or(0);
            self.may_pass().await;
            let conduct = self.state.borrow().conduct;
            let takes = conduct.delay + time_of(length, conduct.bytes_per_s);
            if !takes.is_zero() {
                interval_at(Instant::now() + takes, takes).tick().await;
                self.may_pass().await;
            }
            if length == 0 || self.to.write_all(&chunk[..length]).await.is_err() {
                // The end of one way is told to the other side, which may still say something.
                let _ = self.to.shutdown().await;
                return;
            }
        }
    }

    async fn may_pass(&mut self) {
        let (number, is_up) = (self.number, self.is_up);
        let passes = self.state.wait_for(|State { conduct, blows }| {
            let is_swallowed = if is_up { conduct.is_deaf } else { conduct.is_mute };
            let is_abandoned = number <= blows.abandoned && number.is_multiple_of(2);
            !is_swallowed && !is_abandoned
        });
        if passes.await.is_err() {
            // The proxy is gone, and this with it.
            std::future::pending::<()>().await;
        }
    }
}

async fn half_closed(mut state: watch::Receiver<State>, number: u64, is_up: bool) {
    if state.wait_for(|state| is_up && number <= state.blows.half_closed).await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn time_of(bytes: usize, bytes_per_s: u32) -> Duration {
    if bytes_per_s == 0 {
        return Duration::ZERO;
    }
    Duration::from_micros(bytes as u64 * 1_000_000 / u64::from(bytes_per_s))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(200);

    /// A server's end and a client's end, joined by a proxy.
    async fn joined() -> anyhow::Result<(Proxy, TcpStream, TcpStream)> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let proxy = Proxy::before(listener.local_addr()?.port()).await?;
        let client = TcpStream::connect(("127.0.0.1", proxy.port())).await?;
        let (server, _) = listener.accept().await?;
        Ok((proxy, client, server))
    }

    async fn passes(from: &mut TcpStream, to: &mut TcpStream) -> anyhow::Result<bool> {
        from.write_all(b"x").await?;
        let mut byte = [0];
        Ok(tokio::time::timeout(SOON, to.read_exact(&mut byte)).await.is_ok_and(|read| read.is_ok()))
    }

    #[tokio::test]
    async fn one_way_is_swallowed_and_what_was_comes_later() -> anyhow::Result<()> {
        let (proxy, mut client, mut server) = joined().await?;
        assert!(passes(&mut client, &mut server).await? && passes(&mut server, &mut client).await?);
        proxy.set(Conduct { is_deaf: true, ..CLEAR });
        assert!(!passes(&mut client, &mut server).await?);
        assert!(passes(&mut server, &mut client).await?);
        proxy.set(CLEAR);
        let mut byte = [0];
        server.read_exact(&mut byte).await?;
        assert!(passes(&mut client, &mut server).await?);
        Ok(())
    }

    #[tokio::test]
    async fn a_reset_is_heard_by_both() -> anyhow::Result<()> {
        let (proxy, mut client, mut server) = joined().await?;
        assert!(passes(&mut client, &mut server).await?);
        proxy.reset();
        for side in [&mut client, &mut server] {
            let read = side.read(&mut [0]).await;
            assert!(read.is_err(), "{read:?}");
        }
        Ok(())
    }

    #[tokio::test]
    async fn of_a_half_closed_connection_the_other_way_goes_on() -> anyhow::Result<()> {
        let (proxy, mut client, mut server) = joined().await?;
        assert!(passes(&mut client, &mut server).await?);
        proxy.half_close();
        assert_eq!(server.read(&mut [0]).await?, 0);
        assert!(passes(&mut server, &mut client).await?);
        Ok(())
    }

    #[tokio::test]
    async fn every_second_connection_is_abandoned_without_a_word() -> anyhow::Result<()> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let proxy = Proxy::before(listener.local_addr()?.port()).await?;
        let mut first = TcpStream::connect(("127.0.0.1", proxy.port())).await?;
        let (mut first_server, _) = listener.accept().await?;
        let mut second = TcpStream::connect(("127.0.0.1", proxy.port())).await?;
        let (mut second_server, _) = listener.accept().await?;
        proxy.abandon();
        assert!(passes(&mut first, &mut first_server).await?);
        assert!(!passes(&mut second, &mut second_server).await?);
        Ok(())
    }

    #[tokio::test]
    async fn a_slow_network_takes_its_time() -> anyhow::Result<()> {
        let (proxy, mut client, mut server) = joined().await?;
        proxy.set(Conduct { delay: 3 * SOON / 4, ..CLEAR });
        let begun = Instant::now();
        assert!(passes(&mut client, &mut server).await?);
        assert!(begun.elapsed() >= SOON / 2);
        assert_eq!(time_of(1_000, 10_000), Duration::from_millis(100));
        Ok(())
    }
}
