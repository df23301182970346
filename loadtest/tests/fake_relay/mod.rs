//! A relay of one process that speaks just enough of the protocol, and can be told to break its promises.
#![expect(clippy::expect_used, reason = "a test that cannot go on says so")]
#![expect(
    clippy::disallowed_methods,
    reason = "a fake that lives as long as its test bounds and drains nothing"
)]

pub(crate) mod fault;
pub(crate) mod hub;

use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use relay_protocol::server::{Limits, Welcome};
use relay_protocol::{Address, ClientFrame, Data, Encoding, ServerFrame, decode_client};
use serde::Deserialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

use crate::fake_relay::fault::Fault;
use crate::fake_relay::hub::{Hub, Mailbox, Who};

/// Signs the tokens that it accepts.
pub(crate) const SECRET: &str = "0123456789abcdef0123456789abcdef";

const FRAMES_MAX: usize = 8;
const LIMITS: Limits = Limits {
    payload: 65_536,
    message: 100_000,
    frames: FRAMES_MAX as u64,
    subscriptions: 256,
    in_flight: 1_000,
    rate_messages: 1_000,
    rate_burst: 1_000,
    rate_bytes: 1_000_000,
    queue_messages: 1_000,
    queue_bytes: 1_000_000,
};

#[derive(Debug, Deserialize)]
struct Claims {
    sub: String,
    tid: String,
}

/// Starts one; returns its URL.
pub(crate) async fn start(fault: Fault) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let url = format!("ws://{}/ws", listener.local_addr().expect("its address"));
    let hub = Arc::new(Hub::new(fault));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // Else small messages wait for acknowledgements that are put off.
            stream.set_nodelay(true).expect("a socket");
            tokio::spawn(connection(stream, Arc::clone(&hub)));
        }
    });
    url
}

#[expect(clippy::result_large_err, reason = "tungstenite's signature")]
async fn connection(stream: TcpStream, hub: Arc<Hub>) {
    let mut encoding = Encoding::Json;
    let choose = |request: &Request, mut response: Response| {
        let offered = &request.headers()["sec-websocket-protocol"];
        encoding = Encoding::from_subprotocol(offered.to_str().expect("text")).expect("ours");
        response.headers_mut().insert("sec-websocket-protocol", offered.clone());
        Ok(response)
    };
    let socket = accept_hdr_async(stream, choose).await.expect("an upgrade");
    let (sender, outgoing) = unbounded_channel();
    let mut peer = Peer { hub, mailbox: Mailbox(sender), who: None };
    peer.talk(socket, encoding, outgoing).await;
    if let Some(who) = &peer.who {
        peer.hub.leave(who);
    }
}

struct Peer {
    hub: Arc<Hub>,
    mailbox: Mailbox,
    who: Option<Who>,
}

impl Peer {
    async fn talk(
        &mut self,
        mut socket: WebSocketStream<TcpStream>,
        encoding: Encoding,
        mut outgoing: UnboundedReceiver<Arc<relay_protocol::SharedFrame>>,
    ) {
        loop {
            tokio::select! {
                message = socket.next() => {
                    let Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) = message else { return };
                    let data = message.into_data();
                    let mut over = false;
                    let read = decode_client(Data::new(encoding, &data).expect("text"), FRAMES_MAX, |frame| {
                        over |= !self.obey(frame.expect("a good frame"));
                    });
                    read.expect("good frames");
                    if over {
                        return;
                    }
                }
                Some(frame) = outgoing.recv() => {
                    let bytes = frame.get(encoding).bytes.clone();
                    let last = bytes.windows(9).any(|window| window == b"\"closing\"");
                    let message = match encoding {
                        Encoding::Json => Message::Text(bytes.try_into().expect("text")),
                        Encoding::Msgpack => Message::Binary(bytes),
                    };
                    if socket.send(message).await.is_err() || last {
                        return;
                    }
                }
            }
        }
    }

    /// Carries out a frame; false if it was the last.
    fn obey(&mut self, frame: &ClientFrame<'_>) -> bool {
        match (frame, &self.who) {
            (ClientFrame::Hello { id, token: Some(token), .. }, None) => {
                let who = identify(token);
                self.mailbox.put(&ServerFrame::Welcome(Box::new(welcome(*id, &who.1))));
                self.hub.join(who.clone(), self.mailbox.clone());
                self.who = Some(who);
            }
            (ClientFrame::Subscribe { id, topic, .. }, Some(who)) => {
                self.hub.subscribe(who, topic);
                self.mailbox.put(&ServerFrame::Ok { id: *id });
            }
            (ClientFrame::Send(send), Some(who)) => self.hub.send(who, &self.mailbox, send),
            (ClientFrame::Bye, _) => return false,
            (frame, _) => panic!("not expected: {frame:?}"),
        }
        true
    }
}

fn identify(token: &str) -> Who {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_audience(&["agent-relay"]);
    validation.set_issuer(&["relay-loadtest"]);
    let key = DecodingKey::from_secret(SECRET.as_bytes());
    let claims = jsonwebtoken::decode::<Claims>(token, &key, &validation).expect("a good token").claims;
    (claims.tid, claims.sub)
}

fn welcome(id: u64, agent: &str) -> Welcome<'static> {
    let address = |text: String| Address::parse(text.into()).expect("an address");
    Welcome {
        id,
        protocol: 1,
        agent: address(format!("agent/{agent}")),
        session: address(format!("session/{agent}~{}", "s".repeat(22))),
        generation: 1,
        resumed: false,
        ticket: None,
        heartbeat_ms: 25_000,
        lease_ms: None,
        token_expires_in_ms: 60_000,
        server_time_ms: 0,
        limits: LIMITS,
    }
}
