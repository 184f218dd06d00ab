//! The table that is printed.

use crate::peers::Peer;

/// Values of every peer, one for each round.
#[derive(Debug)]
pub struct Row {
    title: &'static str,
    unit: &'static str,
    limit: Option<f64>,
    values: Vec<Vec<f64>>,
}

impl Row {
    pub fn new(title: &'static str, unit: &'static str, limit: Option<f64>, peers: usize) -> Self {
        Self { title, unit, limit, values: vec![Vec::new(); peers] }
    }

    pub fn add(&mut self, peer: usize, value: f64) {
        if let Some(values) = self.values.get_mut(peer) {
            values.push(value);
        }
    }

    pub fn medians(&self) -> Vec<f64> {
        self.values.iter().map(|values| median(values)).collect()
    }

    /// Greatest over least value.
    pub fn spreads(&self) -> Vec<f64> {
        let spread = |values: &Vec<f64>| {
            let most = values.iter().copied().fold(f64::MIN, f64::max);
            most / values.iter().copied().fold(f64::MAX, f64::min)
        };
        self.values.iter().map(spread).collect()
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Rows for all peers; the first is the gateway itself.
#[derive(Debug)]
pub struct Table {
    peers: Vec<Peer>,
    rows: Vec<Row>,
}

impl Table {
    pub fn new(peers: &[Peer]) -> Self {
        Self { peers: peers.to_vec(), rows: Vec::new() }
    }

    pub fn push(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// As Markdown, with the ratio to the better proxy.
    pub fn render(&self) -> String {
        let names: Vec<_> = self.peers.iter().map(|peer| peer.name).collect();
        let mut out = format!("| | {} | of the better proxy | limit |\n", names.join(" | "));
        out.push_str(&format!("|---|{}\n", "---|".repeat(names.len() + 2)));
        for row in &self.rows {
            let medians = row.medians();
            let values: Vec<_> =
                medians.iter().map(|value| format!("{value:.1} {}", row.unit)).collect();
            let proxies = self.peers.iter().zip(&medians).filter(|(peer, _)| peer.is_proxy());
            let better = proxies.map(|(_, value)| *value).fold(f64::INFINITY, f64::min);
            let ratio = medians.first().map_or(f64::NAN, |own| own / better);
            let limit = row.limit.map_or_else(String::new, |limit| format!("{limit:.2}"));
            let values = values.join(" | ");
            out.push_str(&format!("| {} | {values} | {ratio:.2} | {limit} |\n", row.title));
        }
        out
    }
}
