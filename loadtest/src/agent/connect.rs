//! From an address and a token to a welcomed agent.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use relay_protocol::client::Resume;
use relay_protocol::server::Welcome;
use relay_protocol::{ClientFrame, Encoding, ServerFrame};
use tokio_tungstenite::tungstenite::client::ClientRequestBuilder;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Response;
use tokio_tungstenite::tungstenite::http::Uri;

use crate::agent::dialect::Dialect;
use crate::agent::ended::ConnectError;
use crate::agent::line::Line;
use crate::agent::socket::Socket;
use crate::agent::{Agent, Greeting};

/// A storm on two cores takes seconds; whatever takes longer is not coming.
const WELCOME_TIMEOUT_S: u64 = 30;

/// How an agent connects.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// Which subprotocol it offers.
    pub encoding: Encoding,
    /// How many frames it puts into a WebSocket message.
    pub batch: usize,
    /// The address it connects from.
    pub source: Option<IpAddr>,
    /// What the kernel may hold for it.
    pub receive_buffer: Option<u32>,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        ConnectOptions { encoding: Encoding::Json, batch: 1, source: None, receive_buffer: None }
    }
}

impl Agent {
    /// Connects to `uri`, which resolves to `address`, and says `hello` with `token`.
    pub async fn connect(
        address: SocketAddr,
        uri: &Uri,
        token: &str,
        options: &ConnectOptions,
    ) -> Result<Agent, ConnectError> {
        Agent::resume(address, uri, token, options, None, |_| {}).await
    }

    /// The same, going on with a session; `each` hears what comes with the `welcome`.
    pub async fn resume(
        address: SocketAddr,
        uri: &Uri,
        token: &str,
        options: &ConnectOptions,
        resume: Option<Resume<'_>>,
        each: impl FnMut(&ServerFrame<'_>),
    ) -> Result<Agent, ConnectError> {
        in_time(connect(address, uri, token, options, resume, each)).await
    }

    /// Connects to a server that speaks something else.
    pub async fn connect_in(
        dialect: Dialect,
        address: SocketAddr,
        uri: &Uri,
        token: &str,
        options: &ConnectOptions,
    ) -> Result<Agent, ConnectError> {
        let connect = async {
            let request = uri.clone().into_client_request().map_err(ConnectError::Upgrade)?;
            let (socket, _) = Socket::open(address, options.source, options.receive_buffer, request).await?;
            greet(Line::foreign(socket, dialect, options.batch), token, None, |_| {}).await
        };
        in_time(connect).await
    }
}

async fn in_time(
    connecting: impl Future<Output = Result<Agent, ConnectError>>,
) -> Result<Agent, ConnectError> {
    tokio::time::timeout(Duration::from_secs(WELCOME_TIMEOUT_S), connecting)
        .await
        .map_err(|_| ConnectError::Timeout(WELCOME_TIMEOUT_S))?
}

async fn connect(
    address: SocketAddr,
    uri: &Uri,
    token: &str,
    options: &ConnectOptions,
    resume: Option<Resume<'_>>,
    each: impl FnMut(&ServerFrame<'_>),
) -> Result<Agent, ConnectError> {
    let subprotocol = options.encoding.subprotocol();
    let request = ClientRequestBuilder::new(uri.clone())
        .with_sub_protocol(subprotocol)
        .into_client_request()
        .map_err(ConnectError::Upgrade)?;
    let (socket, response) = Socket::open(address, options.source, options.receive_buffer, request).await?;
    if chosen(&response) != Some(subprotocol) {
        return Err(ConnectError::Subprotocol(subprotocol));
    }
    greet(Line::new(socket, options.encoding, options.batch), token, resume, each).await
}

/// Says `hello` and waits for the `welcome`.
async fn greet(
    mut line: Line,
    token: &str,
    resume: Option<Resume<'_>>,
    mut each: impl FnMut(&ServerFrame<'_>),
) -> Result<Agent, ConnectError> {
    let id = line.outbox.next_id();
    let client = Some("relay-loadtest".into());
    line.outbox.push(&ClientFrame::Hello { id, token: Some(token.into()), client, resume, card: None });
    let greeting = line
        .wait_for(|frame| {
            each(frame);
            match frame {
                ServerFrame::Welcome(welcome) => Some(Ok(Greeting::of(welcome))),
                ServerFrame::Error { code, .. } => Some(Err(*code)),
                _ => None,
            }
        })
        .await?
        .map_err(|code| ConnectError::Command { command: "hello", code })?;
    line.limit(greeting.limits.frames, greeting.limits.message);
    Ok(Agent { line, greeting })
}

fn chosen(response: &Response) -> Option<&str> {
    response.headers().get("sec-websocket-protocol").and_then(|value| value.to_str().ok())
}

impl Greeting {
    fn of(welcome: &Welcome<'_>) -> Greeting {
        Greeting {
            agent: welcome.agent.clone().into_owned(),
            session: welcome.session.clone().into_owned(),
            generation: welcome.generation,
            resumed: welcome.resumed,
            ticket: welcome.ticket.as_ref().map(ToString::to_string),
            heartbeat: Duration::from_millis(welcome.heartbeat_ms),
            limits: welcome.limits,
        }
    }
}
