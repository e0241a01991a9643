//! A start through the index beside one after a full pull: bytes, requests and times, as the page shows them.

use super::text::{counted, size, time};
use crate::start::{Fetched, Network, Traffic};

/// Both ways to start.
pub(super) struct Comparison {
    pub(super) lazy: Way,
    pub(super) full: Way,
    /// What is fetched, by what it is.
    pub(super) rows: Vec<PartRow>,
    pub(super) bandwidth: String,
    pub(super) latency: u32,
}

/// A way to start.
pub(super) struct Way {
    pub(super) bytes: String,
    pub(super) requests: String,
    pub(super) time: String,
    /// Percent of the longer of both times.
    pub(super) bar: String,
}

/// A part of what is fetched.
pub(super) struct PartRow {
    pub(super) name: &'static str,
    pub(super) lazy: Part,
    pub(super) full: Part,
}

/// Requests and bytes.
pub(super) struct Part {
    pub(super) requests: String,
    pub(super) bytes: String,
}

impl Comparison {
    pub(super) fn of(lazy: &Fetched, full: &Fetched, network: Network) -> Self {
        let seconds = [lazy, full].map(|way| way.total().seconds(network));
        let longer = seconds[0].max(seconds[1]);
        let way = |fetched: &Fetched, seconds: f64| Way {
            bytes: size(fetched.total().bytes),
            requests: requests(fetched.total()),
            time: time(seconds),
            bar: format!("{:.1}", 100.0 * seconds / longer.max(f64::MIN_POSITIVE)),
        };
        let row = |name, of: fn(&Fetched) -> Traffic| PartRow {
            name,
            lazy: Part::of(of(lazy)),
            full: Part::of(of(full)),
        };
        let rows = vec![
            row("manifests and config", |of| of.manifests),
            row("SOCI index", |of| of.index),
            row("ztocs", |of| of.ztocs),
            row("spans that contain the files", |of| of.spans),
            row("layers, in full", |of| of.layers),
            row("total", Fetched::total),
        ];
        Self {
            lazy: way(lazy, seconds[0]),
            full: way(full, seconds[1]),
            rows,
            bandwidth: size(network.bandwidth.get()),
            latency: network.latency,
        }
    }
}

impl Part {
    fn of(traffic: Traffic) -> Self {
        match traffic.requests {
            0 => Self {
                requests: String::new(),
                bytes: "–".to_owned(),
            },
            _ => Self {
                requests: requests(traffic),
                bytes: size(traffic.bytes),
            },
        }
    }
}

fn requests(traffic: Traffic) -> String {
    counted(traffic.requests, "request", "requests")
}
