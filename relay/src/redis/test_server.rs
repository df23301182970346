//! A real Redis for tests: started on a free loopback port without persistence, stopped by its process id.
//!
//! The program is the one `RELAY_TEST_REDIS_SERVER` names, else `redis-server` on the path.

use std::net::TcpListener;
use std::ops::Range;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::bus::conformance::eventually;
use crate::redis::{Redis, RedisSettings};

/// Below those that systems give to connections, any of which could take it before a server is started.
const PORTS: Range<u16> = 12_000..32_000;

/// A port of this machine that nobody listens on.
pub(crate) fn free_port() -> u16 {
    loop {
        let port = rand::random_range(PORTS);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Runs until it is dropped.
pub(crate) struct TestServer {
    port: u16,
    folder: TempDir,
    process: Option<Child>,
    further: Vec<String>,
}

impl TestServer {
    /// A server that answers.
    pub(crate) async fn start() -> TestServer {
        let mut server = TestServer::absent();
        server.restart().await;
        server
    }

    /// The address of a server that does not run yet.
    pub(crate) fn absent() -> TestServer {
        TestServer::absent_with([])
    }

    /// The same, to be started with further arguments.
    pub(crate) fn absent_with(further: impl IntoIterator<Item = String>) -> TestServer {
        let further = further.into_iter().collect();
        TestServer { port: free_port(), folder: TempDir::new().unwrap(), process: None, further }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// A connection to it as a relay has, until `token` ends it.
    pub(crate) async fn open_until(&self, token: &CancellationToken) -> Redis {
        Redis::open(&self.url(), RedisSettings::default(), TaskTracker::new(), token.clone()).await.unwrap()
    }

    /// A connection to it as a relay has.
    pub(crate) async fn open(&self) -> Redis {
        self.open_until(&CancellationToken::new()).await
    }

    /// How many keys it holds that have no end.
    pub(crate) async fn keys_for_good(&self) -> usize {
        let script = "local n = 0 for _, key in ipairs(redis.call('KEYS', '*')) do \
            if redis.call('PTTL', key) < 0 then n = n + 1 end end return n";
        let said = self.say(&format!("EVAL \"{script}\" 0")).await;
        said.trim().trim_start_matches(':').parse().unwrap()
    }

    /// Starts it, empty.
    pub(crate) async fn restart(&mut self) {
        let program = std::env::var_os("RELAY_TEST_REDIS_SERVER").unwrap_or_else(|| "redis-server".into());
        let process = Command::new(&program)
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--daemonize", "no"])
            .args(&self.further)
            .current_dir(self.folder.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}; apt-get install redis-server", program.display()));
        self.process = Some(process);
        eventually("Redis answers", async || {
            self.try_say("PING").await.is_ok_and(|said| said == "+PONG\r\n")
        })
        .await;
    }

    /// Ends it at once, as by the loss of its machine.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Holds it still: it keeps its connections and answers nobody.
    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let process = self.process.as_ref().expect("a server that runs");
        kill_process(Pid::from_child(process), signal).unwrap();
    }

    /// What it answers to a command that is written as one line.
    pub(crate) async fn say(&self, command: &str) -> String {
        self.try_say(command).await.unwrap()
    }

    async fn try_say(&self, command: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.write_all(format!("{command}\r\nQUIT\r\n").as_bytes()).await?;
        let mut said = String::new();
        tokio::time::timeout(Duration::from_secs(5), stream.read_to_string(&mut said)).await??;
        // What it said to QUIT.
        Ok(said.strip_suffix("+OK\r\n").unwrap_or(&said).to_owned())
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if self.process.is_some() {
            self.resume();
            self.kill();
        }
    }
}
