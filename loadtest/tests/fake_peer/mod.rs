//! Servers of one process that speak what peers' documentation says, just enough for an agent.
#![expect(clippy::expect_used, reason = "a test that cannot go on says so")]
#![expect(
    clippy::disallowed_methods,
    reason = "a fake that lives as long as its test bounds and drains nothing"
)]

mod centrifugo;
mod nats;
mod socketio;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::{SinkExt, StreamExt};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use parking_lot::Mutex;
use relay_loadtest::peer::Peer;
use serde::Deserialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

/// Signs the tokens that are accepted.
pub(crate) const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// Who is subscribed to what, and what happens to publications.
#[derive(Debug)]
pub(crate) struct Exchange {
    subscribers: Mutex<HashMap<String, Vec<Subscriber>>>,
    /// Each of that number is dropped; 0 for none.
    drop_every: u64,
    published: AtomicU64,
}

/// Its own name for what it is subscribed to, and where its messages go.
type Subscriber = (String, UnboundedSender<Message>);

/// One side of a connection: what a server makes of what it is told.
pub(crate) trait Session: Send {
    /// What the server says first.
    fn greeting(&self) -> Option<Message>;

    /// Understands a message; what is answered goes into the mailbox.
    fn hear(&mut self, message: &Message);
}

/// What a session acts on.
#[derive(Debug, Clone)]
pub(crate) struct Desk {
    exchange: Arc<Exchange>,
    mailbox: UnboundedSender<Message>,
}

impl Desk {
    pub(crate) fn say(&self, message: impl Into<Message>) {
        let _ = self.mailbox.send(message.into());
    }

    /// Subscribes, under the subscriber's own name for it.
    pub(crate) fn subscribe(&self, subject: &str, name: &str) {
        let entry = (name.to_owned(), self.mailbox.clone());
        self.exchange.subscribers.lock().entry(subject.to_owned()).or_default().push(entry);
    }

    /// Delivers what `write` makes for each subscriber's name, message by message.
    pub(crate) fn publish(&self, subject: &str, write: impl Fn(&str) -> Vec<Message>) {
        let number = self.exchange.published.fetch_add(1, Ordering::Relaxed) + 1;
        if self.exchange.drop_every > 0 && number.is_multiple_of(self.exchange.drop_every) {
            return;
        }
        for (name, mailbox) in self.exchange.subscribers.lock().get(subject).into_iter().flatten() {
            for message in write(name) {
                let _ = mailbox.send(message);
            }
        }
    }
}

/// What a token says, if it is one of ours.
#[derive(Debug, Deserialize)]
pub(crate) struct Claims {
    pub(crate) sub: String,
    pub(crate) tid: String,
}

pub(crate) fn claims(token: &str) -> Option<Claims> {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_audience(&["agent-relay"]);
    let key = DecodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::decode(token, &key, &validation).ok().map(|decoded| decoded.claims)
}

/// Starts one that drops each of that number; returns its URL, without a path.
pub(crate) async fn start(peer: Peer, drop_every: u64) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let url = format!("ws://{}", listener.local_addr().expect("its address"));
    let exchange =
        Arc::new(Exchange { subscribers: Mutex::default(), drop_every, published: AtomicU64::new(0) });
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // Else small messages wait for acknowledgements that are put off.
            stream.set_nodelay(true).expect("a socket");
            tokio::spawn(connection(stream, peer, Arc::clone(&exchange)));
        }
    });
    url
}

#[expect(clippy::result_large_err, reason = "tungstenite's signature")]
async fn connection(stream: TcpStream, peer: Peer, exchange: Arc<Exchange>) {
    let path = |request: &Request, response: Response| {
        assert_eq!(request.uri().path_and_query().expect("a path").as_str(), peer.path());
        Ok(response)
    };
    let socket = accept_hdr_async(stream, path).await.expect("an upgrade");
    let (mailbox, mut outgoing) = unbounded_channel();
    let desk = Desk { exchange, mailbox };
    let mut session: Box<dyn Session> = match peer {
        Peer::Centrifugo => Box::new(centrifugo::session(desk.clone())),
        Peer::Nats => Box::new(nats::session(desk.clone())),
        Peer::SocketIo => Box::new(socketio::session(desk.clone())),
    };
    if let Some(greeting) = session.greeting() {
        desk.say(greeting);
    }
    let (mut sink, mut stream) = socket.split();
    loop {
        tokio::select! {
            told = stream.next() => match told {
                Some(Ok(message)) if message.is_text() || message.is_binary() => session.hear(&message),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return,
            },
            Some(message) = outgoing.recv() => if sink.send(message).await.is_err() {
                return;
            },
        }
    }
}
