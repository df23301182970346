//! Waiting until something that was started answers.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::bail;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use crate::launch::child::Child;

/// How long something may take to start: a debug build with a cold disk.
const START_TIMEOUT: Duration = Duration::from_secs(20);
const ASK_EVERY: Duration = Duration::from_millis(20);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// A loopback port that nothing listens on. Whoever it is for should take it soon.
pub async fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0)).await?.local_addr()?.port())
}

/// Waits until what listens at `address` answers `question` with something that begins with `expected`.
pub async fn until_answers(
    child: &mut Child,
    address: SocketAddr,
    question: &str,
    expected: &str,
) -> anyhow::Result<()> {
    let begun = Instant::now();
    while begun.elapsed() < START_TIMEOUT {
        if answers(address, question, expected).await {
            return Ok(());
        }
        if let Some(status) = child.exited()? {
            bail!("it ended with {status} instead of getting ready:\n{}", child.log_end());
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
    bail!("not ready within {} s:\n{}", START_TIMEOUT.as_secs(), child.log_end())
}

async fn answers(address: SocketAddr, question: &str, expected: &str) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(question.as_bytes()).await?;
        let mut answer = vec![0; expected.len()];
        stream.read_exact(&mut answer).await?;
        Ok::<_, std::io::Error>(answer == expected.as_bytes())
    };
    matches!(tokio::time::timeout(ANSWER_TIMEOUT, ask).await, Ok(Ok(true)))
}
