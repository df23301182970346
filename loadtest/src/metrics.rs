//! What relays say about themselves at `/metrics`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::target::Target;

/// A relay that is busy still answers in milliseconds.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// HTTP/1.0, so that the answer is one piece and ends with the connection.
const QUESTION: &str = "GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n";
/// Far more than a relay has to say.
const PAGE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The series of one or more relays, summed.
#[derive(Debug, Clone, Default)]
pub struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    /// Asks all of `targets`.
    pub async fn of(targets: &[Target]) -> anyhow::Result<Metrics> {
        let mut all = Metrics::default();
        for target in targets {
            let page = tokio::time::timeout(ANSWER_TIMEOUT, get(target.address)).await;
            all.add(&page.context("no metrics in time")??);
        }
        Ok(all)
    }

    fn add(&mut self, page: &str) {
        let lines = page.lines().filter(|line| !line.starts_with('#'));
        for (name, value) in lines.filter_map(|line| line.rsplit_once(' ')) {
            if let Ok(value) = value.parse::<f64>() {
                *self.0.entry(name.to_owned()).or_default() += value;
            }
        }
    }

    /// The sum of a metric over all labels.
    pub fn sum(&self, name: &str) -> f64 {
        self.having(name, "")
    }

    /// The sum over the series whose labels contain `label`.
    pub fn having(&self, name: &str, label: &str) -> f64 {
        let counts = |series: &str| match series.strip_prefix(name) {
            Some("") => label.is_empty(),
            Some(labels) => labels.starts_with('{') && labels.contains(label),
            None => false,
        };
        self.0.iter().filter(|(series, _)| counts(series)).map(|(_, value)| value).sum()
    }
}

async fn get(address: SocketAddr) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(QUESTION.as_bytes()).await?;
    let mut answer = String::new();
    stream.take(PAGE_BYTES_MAX).read_to_string(&mut answer).await?;
    let (head, page) = answer.split_once("\r\n\r\n").context("no HTTP")?;
    let status = head.lines().next().unwrap_or_default();
    anyhow::ensure!(status.contains(" 200 "), "/metrics answers {status}");
    Ok(page.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_of_relays_are_summed_by_name_and_label() {
        let mut metrics = Metrics::default();
        let page = "# HELP a b\na 1\na_total{x=\"1\"} 2\na_total{x=\"2\"} 3\n";
        metrics.add(page);
        metrics.add(page);
        let figures = (metrics.sum("a"), metrics.sum("a_total"), metrics.having("a_total", "x=\"2\""));
        assert_eq!(figures, (2.0, 10.0, 6.0));
    }
}
