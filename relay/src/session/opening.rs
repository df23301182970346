//! A session as the store knows it: a fresh one, or the one that a ticket is of.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use relay_protocol::client::{Position, Resume};
use relay_protocol::{CloseCode, ServerFrame};

use crate::auth::Principal;
use crate::bus::InstanceId;
use crate::directory::{About, Card, Entry, OwnEntry};
use crate::entropy;
use crate::outbound::{CloseSignal, Outbound};
use crate::router::Registration;
use crate::session::Over;
use crate::session::context::SessionContext;
use crate::session::duplicates;
use crate::session::moment::Moment;
use crate::session::reliable::Reliable;
use crate::session::ticket::Ticket;
use crate::streams::{Marks, Opened, Opening, StreamKey};

/// How long a `welcome` waits for the store: without it the session works, but for reliable delivery.
const OPEN_PATIENCE: Duration = Duration::from_secs(2);

/// What a client wants to go on with.
pub(super) struct Claim {
    ticket: String,
    streams: Vec<(Box<str>, Box<str>, u64)>,
}

impl Claim {
    /// What a `hello` says.
    pub(super) fn of(resume: &Resume<'_>) -> Claim {
        let stream = |at: &Position<'_>| ((*at.stream.0).into(), (*at.epoch.0).into(), at.seq);
        Claim { ticket: resume.ticket.0.to_string(), streams: resume.streams.iter().map(stream).collect() }
    }
}

/// A session that may be welcomed.
pub(super) struct OpenedSession {
    pub(super) session: Arc<str>,
    pub(super) generation: u64,
    pub(super) resumed: bool,
    /// Where another connection of it may live.
    before: Option<InstanceId>,
    pub(super) ticket: Ticket,
    pub(super) reliable: Box<Reliable>,
    /// How the stream of its agent stands.
    pub(super) marks: Option<Marks>,
    /// Where that goes on, for a client that asked.
    going_on: Option<GoingOn>,
}

/// Where the stream of the agent goes on.
struct GoingOn {
    stream: Arc<str>,
    epoch: Arc<str>,
    seq: u64,
    /// Why something may be missing.
    reason: Option<&'static str>,
}

impl OpenedSession {
    /// The ticket as the client is told it; nothing while the store does not know it.
    pub(super) fn ticket_text(&self) -> Option<String> {
        self.reliable.inbox.as_ref().map(|_| self.ticket.text(&self.session))
    }

    /// Tells where the stream of the agent goes on.
    pub(super) fn resume_frame(&self) -> Option<ServerFrame<'_>> {
        let GoingOn { stream, epoch, seq, reason } = self.going_on.as_ref()?;
        let position = Position { stream: (&**stream).into(), epoch: (&**epoch).into(), seq: *seq };
        Some(ServerFrame::Resume { position, recovered: reason.is_none(), reason: reason.map(Into::into) })
    }
}

/// Opens a session in the store and gives it its place in the router, or says why the client is to come back later.
pub(super) async fn place(
    context: &SessionContext,
    principal: &Principal,
    claim: Option<&Claim>,
    card: Option<Box<Card>>,
    outbound: &Arc<Outbound>,
) -> Result<(Registration, OpenedSession), Over> {
    let bits: [u8; 16] = entropy::random();
    let name: Arc<str> = format!("{}~{}", principal.agent(), URL_SAFE_NO_PAD.encode(bits)).into();
    let about = Arc::new(About { since_ms: Moment::now().unix_ms, card });
    let enter = |session: &Arc<str>, generation| {
        let entry = OwnEntry {
            tenant: Arc::clone(principal.tenant()),
            agent: Arc::clone(principal.agent()),
            session: Arc::clone(session),
            generation,
            about: Some(Arc::clone(&about)),
        };
        Registration::enter(&context.router, entry, principal.token_key(), Arc::clone(outbound))
    };
    if claim.is_none() {
        // Entered first, which takes no time, so that no hint finds nobody here.
        let ((registration, before), opened) =
            tokio::join!(enter(&name, 1), open(context, principal, &name, None));
        let opened = opened?;
        settle(context, &registration, &before, &opened)?;
        return Ok((registration, opened));
    }
    let opened = open(context, principal, &name, claim).await?;
    let (registration, before) = enter(&opened.session, opened.generation).await;
    settle(context, &registration, &before, &opened)?;
    if let Some(before) = &opened.before {
        registration.replace(before);
    }
    Ok((registration, opened))
}

/// What becomes of the agent's other sessions. One that is refused leaves nothing in the store, unless it was there before.
fn settle(
    context: &SessionContext,
    registration: &Registration,
    before: &[Entry],
    opened: &OpenedSession,
) -> Result<(), Over> {
    let settled = duplicates::settle(context.settings.duplicate_agents, registration, before);
    if settled.is_err() && !opened.resumed {
        registration.end_session(&Arc::default(), opened.generation);
    }
    settled
}

async fn open(
    context: &SessionContext,
    principal: &Principal,
    name: &Arc<str>,
    claim: Option<&Claim>,
) -> Result<OpenedSession, Over> {
    let session = Arc::clone(name);
    let (ticket, inbox) = (Ticket::random(), StreamKey::agent(principal.tenant(), principal.agent()));
    let shown = claim.and_then(|claim| Ticket::shown(&claim.ticket, principal.agent()));
    let opening = Opening {
        inbox: inbox.clone(),
        session: Arc::clone(&session),
        generation: 1,
        ticket: ticket.hash(),
        resume: shown.as_ref().map(|shown| (Arc::clone(&shown.session), shown.hash)),
        instance: context.router.instance().clone(),
    };
    let opened = tokio::time::timeout(OPEN_PATIENCE, context.router.streams().open(opening)).await;
    let Ok(Ok(opened)) = opened else {
        // A session of its own now would leave behind what waits for the one it goes on with.
        if claim.is_some_and(|claim| !claim.streams.is_empty()) {
            let message = "what the session goes on with is away";
            let code = CloseCode::Unavailable;
            return Err(Over::Close(CloseSignal { code, message, reconnect_after_ms: None }));
        }
        return Ok(OpenedSession {
            session,
            generation: 1,
            resumed: false,
            before: None,
            ticket,
            reliable: Box::default(),
            marks: None,
            going_on: claim.map(|_| GoingOn {
                stream: inbox.address,
                epoch: "".into(),
                seq: 0,
                reason: Some("unavailable"),
            }),
        });
    };
    let shown = shown.filter(|_| opened.resumed);
    let (position, reason) = begin(&opened, &inbox, claim, shown.as_ref().map(|shown| &*shown.epoch));
    let session = shown.map_or(session, |shown| shown.session);
    let ticket = ticket.given_in(&opened.marks.epoch);
    let going_on = claim.map(|_| GoingOn {
        stream: inbox.address,
        epoch: Arc::clone(&opened.marks.epoch),
        seq: position.unwrap_or(opened.marks.head),
        reason,
    });
    Ok(OpenedSession {
        session,
        generation: opened.generation,
        resumed: opened.resumed,
        before: opened.before.clone(),
        ticket,
        reliable: Box::new(position.map_or_else(Reliable::default, |at| Reliable::opened(&opened, at))),
        marks: position.map(|_| opened.marks),
        going_on,
    })
}

/// Where the stream of the agent goes on, and why something may be missing.
/// `given_in` is the epoch of the ticket of one that goes on.
fn begin(
    opened: &Opened,
    inbox: &StreamKey,
    claim: Option<&Claim>,
    given_in: Option<&str>,
) -> (Option<u64>, Option<&'static str>) {
    let Some(position) = opened.position else { return (None, Some("too_many_sessions")) };
    let marks = &opened.marks;
    let claimed =
        claim.and_then(|claim| claim.streams.iter().find(|(stream, ..)| **stream == *inbox.address));
    let Some((_, epoch, seq)) = claimed else {
        // One that was known and has heard nothing since another epoch began lacks what that of before has lost.
        let is_behind = marks.former.as_ref().is_some_and(|(_, last)| position <= *last);
        // The same of one whose stream is another than when it was welcomed: it has not heard so.
        let is_another =
            given_in.is_some_and(|epoch| !epoch.is_empty() && marks.translate(epoch, position).is_none());
        let reason = if opened.resumed {
            (is_behind || is_another).then_some("epoch")
        } else {
            Some("unknown_ticket")
        };
        return (Some(position), reason);
    };
    let Some(seq) = marks.translate(epoch, *seq) else { return (Some(position), Some("epoch")) };
    // The store has lost the session since it was welcomed, and begun it again behind what others have presented.
    let is_again = given_in.is_some_and(|given_in| !given_in.is_empty() && *given_in != *marks.epoch);
    let is_ahead = opened.resumed && seq < position;
    // Of a session that is known, what it has acknowledged counts too.
    let seq = if is_ahead { position } else { seq };
    let reason = match () {
        () if **epoch != *marks.epoch || (is_ahead && is_again) => Some("epoch"),
        () if seq + 1 < marks.first => Some("expired"),
        () => None,
    };
    (Some(seq), reason)
}
