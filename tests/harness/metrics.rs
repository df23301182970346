//! Metrics as a scraper sees them.

use std::collections::BTreeMap;

/// The series of one or more relays.
#[derive(Debug, Clone, Default)]
pub struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    /// Reads the text format.
    pub fn read(page: &str) -> Metrics {
        let lines = page.lines().filter(|line| !line.starts_with('#'));
        let series = lines.filter_map(|line| line.rsplit_once(' '));
        Metrics(series.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?))).collect())
    }

    /// Adds those of another relay.
    pub fn add(&mut self, other: &Metrics) {
        for (name, value) in &other.0 {
            *self.0.entry(name.clone()).or_default() += value;
        }
    }

    /// The sum over all labels.
    pub fn sum(&self, name: &str) -> f64 {
        self.having(name, "")
    }

    /// The sum over the series whose labels contain `label`.
    pub fn having(&self, name: &str, label: &str) -> f64 {
        let labels = |series: &str| match series.strip_prefix(name) {
            Some("") => label.is_empty(),
            Some(labels) => labels.starts_with('{') && labels.contains(label),
            None => false,
        };
        self.0.iter().filter(|(series, _)| labels(series)).map(|(_, value)| value).sum()
    }

    /// What of the accounting identities does not hold for relays at rest, in words.
    pub fn broken_identities(&self) -> Vec<String> {
        let dropped = self.sum("relay_deliveries_dropped_total");
        let pairs = [
            ("sends = outcomes", self.sum("relay_sends_total"), self.sum("relay_send_outcomes_total")),
            ("queued bytes = 0", self.sum("relay_queued_bytes"), 0.0),
            ("sends in flight = 0", self.sum("relay_sends_in_flight"), 0.0),
            (
                "deliveries queued = written + dropped",
                self.sum("relay_deliveries_queued_total"),
                self.sum("relay_deliveries_written_total") + dropped,
            ),
        ];
        let differing = pairs.into_iter().filter(|(_, left, right)| (left - right).abs() > 0.5);
        differing.map(|(name, left, right)| format!("{name}: {left} and {right}")).collect()
    }
}
