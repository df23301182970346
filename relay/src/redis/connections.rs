//! Connections of one's own, beside the one for commands, to all servers or to one of a Cluster.

use std::time::Duration;

use fred::clients::{Client, WithOptions};
use fred::interfaces::ClientLike as _;
use fred::types::config::{Config, Server, ServerConfig};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::redis::options::{self, Purpose};

/// How long a client may take to say goodbye: half of what a leaving instance gives everything that is not a session.
const GOODBYE: Duration = Duration::from_millis(500);

/// Makes and keeps them. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Connections {
    server: Config,
    tracker: TaskTracker,
    token: CancellationToken,
}

impl Connections {
    pub(super) fn new(server: Config, tracker: TaskTracker, token: CancellationToken) -> Connections {
        Connections { server, tracker, token }
    }

    /// The servers.
    pub(super) fn server(&self) -> &Config {
        &self.server
    }

    /// A client that receives, not connected before [`Connections::keep`]; of a Cluster, to this node alone.
    pub(crate) fn subscriber(&self, node: Option<&Server>) -> WithOptions<Client> {
        let mut server = self.server.clone();
        if let Some(node) = node {
            server.server = ServerConfig::Centralized { server: node.clone() };
        }
        options::client(&server, Purpose::Subscriber).with_options(&options::at_most_once())
    }

    /// Connects a client and keeps it connected until `token` ends it.
    pub(crate) fn keep(&self, client: Client, token: CancellationToken) {
        self.keep_for(client, token, std::future::ready(()));
    }

    /// The same; before the client says goodbye `last` is waited for.
    pub(super) fn keep_for(
        &self,
        client: Client,
        token: CancellationToken,
        last: impl Future<Output = ()> + Send + 'static,
    ) {
        let mut connection = client.connect();
        self.tracker.spawn(async move {
            token.cancelled().await;
            let goodbye = async {
                last.await;
                tokio::select! {
                    // fred may end the connection without answering, seen on an idle subscriber.
                    _ = &mut connection => return,
                    // The answer does not matter: without one the task is stopped.
                    _ = client.quit() => {}
                }
                drop((&mut connection).await);
            };
            if tokio::time::timeout(GOODBYE, goodbye).await.is_err() {
                connection.abort();
            }
        });
    }

    /// Where tasks of these connections are spawned.
    pub(crate) fn tracker(&self) -> &TaskTracker {
        &self.tracker
    }

    /// What ends them all.
    pub(crate) fn token(&self) -> &CancellationToken {
        &self.token
    }
}
