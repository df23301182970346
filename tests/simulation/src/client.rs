//! A client of the protocol: it sends, presents, acknowledges when it likes, leaves in every way there is, comes back on
//! any instance, and sends again under the same `mid` what may not be stored.

use std::sync::Arc;
use std::time::Duration;

use relay_protocol::client::{Point, Position, Qos, ReceiptMode, Resume};
use relay_protocol::{Address, ClientFrame, Encoding, Send, ServerFrame};
use relay_tests::history::Witness;
use relay_tests::seed::Chance;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::grounds::{Grounds, Stage};
use crate::letters::{Letters, Outcome};
use crate::line::{Heard, Line, Over};

/// Sent to at `qos` 1, and at `qos` 0.
const NEWS: &str = "news";
pub(crate) const CHAT: &str = "chat";
/// How long a client waits for its welcome.
const WELCOME_PATIENCE: Duration = Duration::from_secs(6);
/// The most that PROTOCOL.md §10 lets it wait before its first attempts.
const BACK_OFF_MS: u32 = 500;
/// Between two things that a client does, when it is busy and when it only waits.
const BUSY_MS: u32 = 30;
const IDLE_MS: u32 = 400;
/// Room on a socket, which is small so that it fills up.
const ROOM_BYTES: (u32, u32) = (4_096, 60_000);

/// A client.
pub(crate) struct Client {
    grounds: Arc<Grounds>,
    token: String,
    agents: Arc<[String]>,
    witness: Witness,
    chance: Chance,
    encoding: Encoding,
    ticket: Option<String>,
    letters: Letters,
    /// Subscriptions that were asked for, by command.
    asked: Vec<(u64, (&'static str, Qos))>,
    /// Those that it is to have and has not.
    wanted: Vec<(&'static str, Qos)>,
    /// What was presented is not acknowledged yet.
    owes_ack: bool,
    /// The relay has asked whether it lives.
    owes_pong: bool,
    come_back_ms: Option<u64>,
}

/// Why a client leaves its connection.
#[derive(Debug, PartialEq, Eq)]
enum Left {
    /// It is to go on.
    No,
    /// It broke.
    Cut,
    /// The client said goodbye.
    Bye,
    /// The client's process ended.
    Died,
}

impl Client {
    /// The client of that number, which is `agent` and sends to `agents`.
    pub(crate) fn new(
        grounds: &Arc<Grounds>,
        number: u32,
        tenant: &str,
        agent: &str,
        agents: Arc<[String]>,
    ) -> Client {
        Client {
            grounds: Arc::clone(grounds),
            token: format!("{tenant}/{agent}"),
            agents,
            witness: Witness::new(&grounds.history, tenant, agent),
            chance: grounds.plan.chance(100 + number),
            encoding: if number.is_multiple_of(2) { Encoding::Json } else { Encoding::Msgpack },
            ticket: None,
            letters: Letters::new(number),
            asked: Vec::new(),
            wanted: Vec::new(),
            owes_ack: false,
            owes_pong: false,
            come_back_ms: None,
        }
    }

    /// Lives until everybody is to be gone; returns what it could not get stored.
    pub(crate) async fn run(mut self) -> Vec<String> {
        while self.stage() != Stage::Leave {
            match self.connect().await {
                Some((line, dead)) => self.live(line, dead).await,
                None => self.rest(BACK_OFF_MS).await,
            }
            let told = self.come_back_ms.take().unwrap_or(0);
            tokio::time::sleep(Duration::from_millis(told)).await;
        }
        self.letters.left()
    }

    fn stage(&self) -> Stage {
        *self.grounds.stage.borrow()
    }

    async fn rest(&mut self, most_ms: u32) {
        tokio::time::sleep(Duration::from_millis(self.chance.below(most_ms).into())).await;
    }

    /// Connects to some instance and waits for its welcome.
    async fn connect(&mut self) -> Option<(Line, CancellationToken)> {
        let instance = self.grounds.any(&mut self.chance)?;
        let room = ROOM_BYTES.0 + self.chance.below(ROOM_BYTES.1);
        let socket = instance.accept(self.encoding, room as usize).ok()?;
        let mut line = Line::new(socket, self.encoding).await;
        let id = line.next_id();
        let streams = self.witness.positions();
        let resume = self.ticket.clone().map(|ticket| Resume { ticket: ticket.into(), streams });
        let token = Some(self.token.clone().into());
        let welcomed = async {
            line.write(&[ClientFrame::Hello { id, token, client: None, resume, card: None }]).await?;
            let mut is_welcome = false;
            while !is_welcome {
                let heard = line.read().await?;
                heard.each(|frame| is_welcome |= self.welcome(frame));
                if is_welcome {
                    self.hear(&heard);
                }
            }
            self.asked.clear();
            self.wanted = vec![(NEWS, Qos::AtLeastOnce), (CHAT, Qos::AtMostOnce)];
            self.subscribe(&mut line).await
        };
        let dead = instance.dead.clone();
        tokio::select! {
            biased;
            () = dead.cancelled() => None,
            welcomed = tokio::time::timeout(WELCOME_PATIENCE, welcomed) => match welcomed {
                Ok(Ok(())) => Some((line, dead)),
                _ => None,
            }
        }
    }

    fn welcome(&mut self, frame: &ServerFrame<'_>) -> bool {
        let ServerFrame::Welcome(welcome) = frame else { return false };
        self.ticket = welcome.ticket.as_ref().map(|ticket| ticket.0.to_string());
        self.letters.reconnected();
        self.witness.welcomed(welcome.session.name(), welcome.resumed, welcome.ticket.is_some());
        true
    }

    /// Subscribes to what it has not, from where it was.
    async fn subscribe(&mut self, line: &mut Line) -> Result<(), Over> {
        let known = self.witness.positions().into_iter().find(|at| *at.stream.0 == *format!("topic/{NEWS}"));
        let from = known.map(|Position { epoch, seq, .. }| Point { epoch, seq });
        for (topic, qos) in std::mem::take(&mut self.wanted) {
            let (id, rewind, present) = (line.next_id(), None, false);
            let from = from.clone().filter(|_| qos == Qos::AtLeastOnce);
            self.asked.push((id, (topic, qos)));
            self.witness.subscribes(id, topic, qos);
            let topic = topic.into();
            line.write(&[ClientFrame::Subscribe { id, topic, qos, rewind, from, present }]).await?;
        }
        Ok(())
    }

    /// Lives on a connection until it is over.
    async fn live(&mut self, mut line: Line, dead: CancellationToken) {
        let mut next = Instant::now();
        let left = loop {
            let busy = matches!(self.stage(), Stage::Disturbed | Stage::Talk);
            let over = tokio::select! {
                biased;
                () = dead.cancelled() => Some((Left::Cut, None)),
                heard = line.read() => match heard {
                    Ok(heard) => {
                        self.hear(&heard);
                        None
                    }
                    Err(Over(code)) => Some((Left::Cut, code)),
                },
                () = tokio::time::sleep_until(next) => {
                    let pause = 1 + self.chance.below(if busy { BUSY_MS } else { IDLE_MS });
                    next = Instant::now() + Duration::from_millis(pause.into());
                    // A relay that ends while it is written to does not read it.
                    let acted = tokio::select! {
                        biased;
                        () = dead.cancelled() => Ok(Left::Cut),
                        acted = self.act(&mut line) => acted,
                    };
                    match acted {
                        Ok(Left::No) => None,
                        Ok(left) => Some((left, None)),
                        Err(Over(code)) => Some((Left::Cut, code)),
                    }
                }
            };
            if let Some(over) = over {
                break over;
            }
        };
        let (left, code) = left;
        if left == Left::Bye {
            let _ = line.write(&[ClientFrame::Bye]).await;
        }
        self.witness.closed(code, left != Left::Cut);
        if left != Left::Cut {
            self.ticket = None;
        }
        if left == Left::Died {
            self.witness.forget();
            self.letters.forget();
        }
    }

    fn hear(&mut self, heard: &Heard) {
        heard.each(|frame| {
            // Both are answered by what is done next.
            self.owes_pong |= matches!(frame, ServerFrame::Ping);
            if let ServerFrame::Drain { reconnect_after_ms, .. } = frame {
                self.come_back_ms = Some(*reconnect_after_ms);
            }
            if let ServerFrame::Error { id: Some(id), .. } = frame {
                let refused = self.asked.extract_if(.., |(asked, _)| asked == id);
                self.wanted.extend(refused.map(|(_, subscription)| subscription));
            }
            Outcome::each(frame, |id, outcome| self.letters.settle(id, outcome));
            let shown = self.witness.hears(frame);
            self.owes_ack |= shown.is_some_and(|shown| shown.at.is_some());
        });
    }

    /// Does one thing.
    async fn act(&mut self, line: &mut Line) -> Result<Left, Over> {
        let stage = self.stage();
        if stage == Stage::Leave {
            return Ok(Left::Bye);
        }
        if std::mem::take(&mut self.owes_pong) {
            line.write(&[ClientFrame::Pong]).await?;
        }
        let what = match stage {
            Stage::Disturbed => self.chance.below(100),
            // Of the first only.
            Stage::Talk => self.chance.below(75),
            _ => 80,
        };
        match what {
            0..35 => self.send_agent(line, Qos::AtLeastOnce, false).await?,
            35..50 => self.send_agent(line, Qos::AtLeastOnce, true).await?,
            50..62 => self.send(line, format!("topic/{NEWS}"), Qos::AtLeastOnce, false).await?,
            62..70 => self.send_agent(line, Qos::AtMostOnce, false).await?,
            70..75 => self.send(line, format!("topic/{CHAT}"), Qos::AtMostOnce, false).await?,
            75..95 => {
                self.subscribe(line).await?;
                self.send_again(line).await?;
            }
            _ if !self.grounds.plan.faults => {}
            95 | 96 => return Ok(Left::Cut),
            97 => return Ok(Left::Bye),
            98 => return Ok(Left::Died),
            // Reads nothing for a while.
            _ => self.rest(2_000).await,
        }
        // Late, as a handler takes its time.
        if self.owes_ack && (stage != Stage::Disturbed || self.chance.below(3) == 0) {
            self.owes_ack = false;
            let acks: Vec<_> = self.witness.acknowledges().into_iter().map(ClientFrame::Ack).collect();
            line.write(&acks).await?;
        }
        Ok(Left::No)
    }

    async fn send_agent(&mut self, line: &mut Line, qos: Qos, counted: bool) -> Result<(), Over> {
        // What is counted goes to one: to others it would be counted apart.
        let which =
            if counted { 0 } else { self.chance.below(u32::try_from(self.agents.len()).unwrap_or(1)) };
        let to = format!("agent/{}", self.agents[which as usize]);
        self.send(line, to, qos, counted).await
    }

    async fn send(&mut self, line: &mut Line, to: String, qos: Qos, counted: bool) -> Result<(), Over> {
        match self.letters.write(to, qos, counted) {
            Some(number) => self.post(line, number).await,
            // Behind what was refused it would be out of order.
            None => self.send_again(line).await,
        }
    }

    async fn send_again(&mut self, line: &mut Line) -> Result<(), Over> {
        for number in self.letters.due() {
            self.post(line, number).await?;
        }
        Ok(())
    }

    async fn post(&mut self, line: &mut Line, number: u64) -> Result<(), Over> {
        let id = line.next_id();
        let Some(letter) = self.letters.posted(number, id) else { return Ok(()) };
        let Some(to) = Address::parse(letter.to.into()) else { return Ok(()) };
        let mut send = Send::new(id, to, self.witness.payload(&letter.mid));
        (send.receipt, send.qos, send.counter) = (ReceiptMode::All, letter.qos, letter.counter);
        send.settled = letter.counter.map(|_| self.letters.settled());
        send.mid = Some(letter.mid.into());
        self.witness.sends(&send);
        line.write(&[ClientFrame::Send(send)]).await
    }
}
