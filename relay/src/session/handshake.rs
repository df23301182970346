//! From an upgraded socket to a session: `hello` within its time, a token that holds, a place in the router.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use relay_protocol::server::Welcome;
use relay_protocol::{Address, Chunk, ClientFrame, CloseCode, ErrorCode, ServerFrame, decode_client, limit};
use tokio::time::Instant;

use crate::auth::AuthError;
use crate::auth::Principal;
use crate::clock;
use crate::directory::Card;
use crate::limits::SessionLimits;
use crate::outbound::{CloseSignal, Outbound, Told};
use crate::resilience::{Shed, Standing};
use crate::router::Turn;
use crate::session::Over;
use crate::session::Session;
use crate::session::Socket;
use crate::session::context::{SessionContext, SessionSettings, Upgraded};
use crate::session::moment::{Moment, Tally};
use crate::session::opening::{Claim, OpenedSession, place};
use crate::session::presence::Seen;
use crate::session::pulse::Pulse;
use crate::session::renewal::refused;
use crate::session::replies::ReplyRights;
use crate::session::subscriptions::Subscriptions;
use crate::session::transport::{End, Frames, Inbound, Transport};
use crate::telemetry::limit::Limit;

/// What a `hello` says.
struct Hello {
    id: u64,
    token: Option<String>,
    resume: Option<Claim>,
    card: Option<Box<Card>>,
}

/// Opens a session, or says on which transport to end it and why.
pub(super) async fn open<S: Socket, P>(
    context: &Arc<SessionContext>,
    upgraded: Upgraded<S, P>,
) -> Result<(Box<Session<S>>, Frames), (Transport<S>, Over)> {
    let settings = &context.settings;
    let message_bytes_max = settings.limits.message_bytes();
    let mut transport =
        Transport::new(upgraded.socket, upgraded.encoding, settings.read_buffer_bytes, message_bytes_max)
            .await;
    let deadline = upgraded.since + Duration::from_millis(limit::HELLO_TIMEOUT_MS);
    let first = tokio::time::timeout_at(deadline, first_frames(&mut transport)).await;
    let frames = match first {
        Ok(Ok(frames)) => frames,
        Ok(Err(over)) => return Err((transport, over)),
        Err(_) => return Err((transport, close(CloseCode::HelloExpected, "no hello in time"))),
    };
    let mut hello = match hello(&frames, settings.limits.frames_per_message) {
        Ok(hello) => hello,
        Err(over) => return Err((transport, over)),
    };
    let principal = match authenticate(context, hello.token.take().or(upgraded.token)).await {
        Ok(principal) => principal,
        Err(over) => return Err((transport, over)),
    };
    drop(upgraded.unauthenticated);
    transport.allow();
    let limits = SessionLimits::enter(&context.limits, upgraded.place, principal.tenant(), principal.agent());
    let limits = match limits {
        Ok(limits) => limits,
        Err(limit) => return Err((transport, over(limit))),
    };
    let session = admit(context, transport, principal, limits, hello).await?;
    context.metrics.handshake_seconds.record(upgraded.since.elapsed().as_secs_f64());
    Ok((session, frames))
}

async fn first_frames<S: Socket>(transport: &mut Transport<S>) -> Result<Frames, Over> {
    loop {
        match std::future::poll_fn(|cx| transport.poll_read(cx)).await {
            Ok(Inbound::Frames(frames)) => return Ok(frames),
            Ok(Inbound::Life) => {}
            Err(End::Gone) => return Err(Over::Left),
            Err(End::Fault(code, message)) => return Err(close(code, message)),
        }
    }
}

fn hello(frames: &Frames, frames_max: usize) -> Result<Hello, Over> {
    let mut first = None;
    let decoded = decode_client(frames.data(), frames_max, |frame| {
        if first.is_none() {
            first = Some(match frame {
                Ok(ClientFrame::Hello { id, token, resume, card, .. }) => Ok(Hello {
                    id: *id,
                    token: token.take().map(|token| token.0.into_owned()),
                    resume: resume.take().map(|resume| Claim::of(&resume)),
                    card: card.take().map(|card| Box::new(Card::of(&card))),
                }),
                Ok(_) => Err(close(CloseCode::HelloExpected, "the first frame must be hello")),
                Err(error) if error.code == ErrorCode::TooLarge && *error.what == *"token" => {
                    Err(close(CloseCode::TokenInvalid, AuthError::TooLong.label()))
                }
                Err(error) if *error.what == *"card" => Err(close(
                    CloseCode::BadFrame,
                    match error.code {
                        ErrorCode::TooLarge => "too_large: card",
                        ErrorCode::LimitExceeded => "limit_exceeded: card",
                        _ => "invalid_frame: card",
                    },
                )),
                Err(_) => Err(close(CloseCode::BadFrame, "the first frame must be a well-formed hello")),
            });
        }
    });
    match (first, decoded) {
        (Some(first), _) => first,
        (None, _) => Err(close(CloseCode::BadFrame, "not a frame or a batch of frames")),
    }
}

async fn authenticate(context: &SessionContext, token: Option<String>) -> Result<Principal, Over> {
    let token = token.ok_or(close(CloseCode::TokenInvalid, "a token is needed"))?;
    let authenticated = context.authenticator.authenticate(&token, clock::now()).await;
    authenticated.map_err(|error| Over::Close(refused(error)))
}

/// Gives the session its name, its queue and its place, and welcomes it.
async fn admit<S: Socket>(
    context: &Arc<SessionContext>,
    mut transport: Transport<S>,
    principal: Principal,
    limits: SessionLimits,
    hello: Hello,
) -> Result<Box<Session<S>>, (Transport<S>, Over)> {
    let (settings, Hello { id: hello_id, resume: claim, card, .. }) = (&context.settings, hello);
    let outbound = Arc::new(Outbound::new(transport.encoding(), settings.queue));
    let (registration, opened) = match place(context, &principal, claim.as_ref(), card, &outbound).await {
        Ok(placed) => placed,
        Err(over) => return Err((transport, over)),
    };
    let (Some(agent), Some(address)) = (
        Address::parse(Cow::Owned(format!("agent/{}", principal.agent()))),
        Address::parse(Cow::Owned(format!("session/{}", opened.session))),
    ) else {
        return Err((transport, close(CloseCode::Internal, "no session could be named")));
    };
    // News that came between the check and the registration found nobody.
    if let Err(error) = context.authenticator.recheck(&principal) {
        return Err((transport, Over::Close(refused(error))));
    }
    let left = principal.expires_at().duration_since(clock::now()).unwrap_or_default();
    let pulse = Pulse::new(settings, left, Instant::now());
    let welcome = welcome(settings, hello_id, (&agent, &address), left, &pulse, &opened);
    let welcome = Chunk::of(&welcome, transport.encoding());
    if let Err(end) = transport.send(welcome).await {
        tracing::trace!(?end, "gone before its welcome");
        return Err((transport, Over::Left));
    }
    let standing = context.standing.borrow().clone();
    let resume = opened.resume_frame().map(|frame| Chunk::of(&frame, transport.encoding()));
    let degraded = (standing != Standing::NORMAL).then(|| Chunk::of(&standing.frame(), transport.encoding()));
    let OpenedSession { ticket, reliable, marks, .. } = opened;
    let mut session = Box::new(Session {
        context: Arc::clone(context),
        outbound,
        registration,
        agent,
        address,
        limits,
        subscriptions: Subscriptions::default(),
        seen: Seen::default(),
        replies: ReplyRights::default(),
        pulse,
        timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
        last_id: hello_id,
        shed: Shed::new(&context.overload),
        strikes: 0,
        answers: degraded.into_iter().chain(resume).collect(),
        told: Told::default(),
        needs_flush: true,
        moment: Moment::now(),
        turn: Turn::default(),
        tally: Tally::default(),
        renewal: None,
        ticket,
        reliable,
        principal,
        transport,
    });
    if let Some(marks) = marks {
        session.begin_inbox(&marks, claim.is_some());
    }
    Ok(session)
}

/// Too many connections of its agent, or of its tenant.
fn over(limit: Limit) -> Over {
    let code = match limit {
        Limit::TenantConnections => CloseCode::Quota,
        _ => CloseCode::ConnectionLimit,
    };
    close(code, limit.name())
}

fn welcome<'a>(
    settings: &SessionSettings,
    hello_id: u64,
    (agent, session): (&'a Address<'_>, &'a Address<'_>),
    token_left: Duration,
    pulse: &Pulse,
    opened: &OpenedSession,
) -> ServerFrame<'a> {
    ServerFrame::Welcome(Box::new(Welcome {
        id: hello_id,
        protocol: 1,
        agent: agent.borrowed(),
        session: session.borrowed(),
        generation: opened.generation,
        resumed: opened.resumed,
        ticket: opened.ticket_text().map(Into::into),
        heartbeat_ms: millis(settings.heartbeat),
        lease_ms: pulse.lease_left(Instant::now()).map(millis),
        token_expires_in_ms: millis(token_left),
        server_time_ms: clock::unix_ms(),
        limits: settings.announced(),
    }))
}

fn close(code: CloseCode, message: &'static str) -> Over {
    Over::Close(CloseSignal { code, message, reconnect_after_ms: None })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
