//! One server to compare the relay with, found on this machine and configured here; `loadtest/PEERS.md` says why so.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;

use crate::launch::RedisChoice;
use crate::launch::child::Child;
use crate::launch::ready::{free_port, until_answers};
use crate::launch::redis::RedisServer;
use crate::peer::Peer;
use crate::process::Process;
use crate::target::Target;
use crate::token::Minter;

/// Where the server of Socket.IO is, from the top of the repository.
const SOCKETIO_FOLDER: &str = "loadtest/peers/socketio";
/// What speaks HTTP answers so, whatever it thinks of a WebSocket's path without an upgrade.
const ANSWER: &str = "HTTP/1.1 ";

/// A server started here; dropped, it is killed.
#[derive(Debug)]
pub struct PeerServer {
    /// Where agents connect.
    pub target: Target,
    /// Signs tokens that it accepts.
    pub minter: Minter,
    child: Child,
    redis: Option<RedisServer>,
    // Last, so that it outlives what writes into it.
    _folder: TempDir,
}

impl Peer {
    /// What to start: the program, or for Socket.IO the folder with its packages. Nothing if it is not installed.
    ///
    /// `RELAY_PEER_CENTRIFUGO`, `RELAY_PEER_NATS` and `RELAY_PEER_SOCKETIO` name it; else programs are looked for in `PATH`.
    pub fn installed(self) -> Option<PathBuf> {
        let (variable, program) = match self {
            Peer::Centrifugo => ("RELAY_PEER_CENTRIFUGO", "centrifugo"),
            Peer::Nats => ("RELAY_PEER_NATS", "nats-server"),
            Peer::SocketIo => ("RELAY_PEER_SOCKETIO", SOCKETIO_FOLDER),
        };
        let named = std::env::var_os(variable).map(PathBuf::from);
        match self {
            Peer::SocketIo => {
                let folder = named.unwrap_or_else(|| program.into());
                folder.join("node_modules/socket.io").is_dir().then_some(folder)
            }
            Peer::Centrifugo | Peer::Nats => {
                let folders = std::env::var_os("PATH").unwrap_or_default();
                let found = std::env::split_paths(&folders).map(|folder| folder.join(program));
                named.into_iter().chain(found).find(|path| path.is_file())
            }
        }
    }
}

impl PeerServer {
    /// Starts one and waits until it answers.
    pub async fn start(peer: Peer, tuned: bool, redis: RedisChoice) -> anyhow::Result<PeerServer> {
        let installed = peer.installed().with_context(|| {
            format!("{} is not installed here (loadtest/PEERS.md); or give --url", peer.name())
        })?;
        let folder = TempDir::with_prefix("relay-loadtest-")?;
        let (redis, redis_url) = match redis {
            RedisChoice::None => (None, None),
            RedisChoice::Url(url) => (None, Some(url)),
            RedisChoice::Own => {
                let server = RedisServer::start(folder.path(), &[]).await?;
                let url = server.url();
                (Some(server), Some(url))
            }
        };
        let secret = format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>());
        let setup = Setup { port: free_port().await?, secret, redis_url, tuned };
        let command = setup.command(peer, &installed, folder.path())?;
        let target = Target::local_at(setup.port, peer.path())?;
        let mut child = Child::spawn(peer.name(), command, folder.path())?;
        let question =
            format!("GET {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", peer.path());
        until_answers(&mut child, target.address, &question, ANSWER).await.context(peer.name())?;
        let minter = Minter::new(&setup.secret, super::ISSUER, super::AUDIENCE);
        Ok(PeerServer { target, minter, child, redis, _folder: folder })
    }

    /// Its process.
    pub fn process(&self) -> Process {
        self.child.process()
    }

    /// The process of the Redis behind it, if that was started here.
    pub fn redis_process(&self) -> Option<Process> {
        self.redis.as_ref().map(|redis| redis.child.process())
    }
}

/// What a server is told.
struct Setup {
    port: u16,
    secret: String,
    redis_url: Option<String>,
    tuned: bool,
}

impl Setup {
    fn command(&self, peer: Peer, installed: &Path, folder: &Path) -> anyhow::Result<Command> {
        if self.tuned && peer != Peer::Centrifugo {
            bail!("{} is always started as its authors advise", peer.name());
        }
        let configuration = folder.join("configuration.json");
        let mut command = Command::new(installed);
        match peer {
            Peer::Centrifugo => {
                fs::write(&configuration, self.centrifugo())?;
                command.arg("--config").arg(&configuration);
            }
            Peer::Nats if self.redis_url.is_some() => bail!("nats has no use for Redis"),
            Peer::Nats => {
                fs::write(&configuration, self.nats())?;
                command.arg("--config").arg(&configuration);
            }
            Peer::SocketIo => {
                command = Command::new("node");
                command.arg(installed.join("server.mjs")).env("NODE_ENV", "production");
                command.env("PORT", self.port.to_string()).env("TOKEN_SECRET", &self.secret);
                if let Some(url) = &self.redis_url {
                    command.env("REDIS_URL", url);
                }
            }
        }
        Ok(command)
    }

    /// Defaults, but for what agents may do, the address, and that it reports to nobody.
    fn centrifugo(&self) -> String {
        let mut configuration = json!({
            "http_server": { "address": "127.0.0.1", "port": self.port.to_string() },
            "log": { "level": "error" },
            "usage_stats": { "disabled": true },
            "client": { "token": { "hmac_secret_key": self.secret } },
            "channel": {
                "without_namespace": {
                    "allow_subscribe_for_client": true,
                    "allow_publish_for_client": true
                }
            }
        });
        if let Some(url) = &self.redis_url {
            configuration["engine"] = json!({ "type": "redis", "redis": { "address": url } });
        }
        if self.tuned {
            configuration["websocket"] = json!({ "use_write_buffer_pool": true, "read_buffer_size": 1024 });
        }
        configuration.to_string()
    }

    /// Defaults; the port for plain TCP, which cannot be left out, is any free one.
    fn nats(&self) -> String {
        let websocket = json!({ "host": "127.0.0.1", "port": self.port, "no_tls": true });
        json!({ "host": "127.0.0.1", "port": -1, "websocket": websocket }).to_string()
    }
}
