//! The layers on the page: each with a map of its spans, a square for one, and a list of them.
//! In: an outline, and the spans that a start needs. Out: what the template shows.

use std::collections::BTreeSet;

use soci_format::printable::printable;

use super::text::{counted, size, span_range, sum};
use crate::{
    reader::{Access, LayerOutline, Outline, Span},
    start::Start,
};

/// Squares on a page: 40 GiB of uncompressed bytes in spans of 4 MiB, and a page of some MB. Of more spans, several share a square.
const SQUARES_MAX: usize = 10_000;

/// Rows in the lists of spans, all layers together.
const ROWS_MAX: usize = 10_000;

/// All layers.
pub(super) struct Layers {
    pub(super) list: Vec<LayerView>,
    /// Spans that a square stands for.
    pub(super) spans_per_square: usize,
}

pub(super) struct LayerView {
    /// From 1, as errors count.
    pub(super) number: usize,
    pub(super) digest: String,
    pub(super) media_type: String,
    pub(super) size: String,
    /// None where the layer has no ztoc.
    pub(super) spans: Option<SpansView>,
    /// Whether the files of a layer without a ztoc are on the page.
    pub(super) is_known: bool,
}

/// The spans of a layer.
pub(super) struct SpansView {
    pub(super) ztoc_digest: String,
    pub(super) ztoc_size: String,
    /// `12 spans`.
    pub(super) count: String,
    /// `3 of 12 spans (1.2 MiB) are needed`; none where nobody asked for a start.
    pub(super) needed: Option<String>,
    pub(super) squares: Vec<Square>,
    pub(super) rows: Vec<Row>,
    /// How many have no row.
    pub(super) left_out: usize,
}

/// A square of the map.
pub(super) struct Square {
    pub(super) is_needed: bool,
    pub(super) title: String,
}

/// A span in the list.
pub(super) struct Row {
    pub(super) id: usize,
    pub(super) stored: String,
    pub(super) plain: String,
    pub(super) is_needed: bool,
    pub(super) digest: String,
}

impl Layers {
    pub(super) fn of(outline: &Outline, start: Option<&Start>) -> Self {
        let all: usize = outline
            .layers
            .iter()
            .map(|layer| spans_of(layer).len())
            .sum();
        let spans_per_square = all.div_ceil(SQUARES_MAX).max(1);
        let mut room = ROWS_MAX;
        let mut list = Vec::with_capacity(outline.layers.len());
        for (at, layer) in outline.layers.iter().enumerate() {
            let needed = start.map(|start| &start.spans[at]);
            let spans = match &layer.access {
                Access::Whole { .. } => None,
                Access::Spans { ztoc, spans } => Some(SpansView {
                    ztoc_digest: ztoc.digest.to_string(),
                    ztoc_size: size(ztoc.size),
                    ..SpansView::of(spans.list(), needed, spans_per_square, &mut room)
                }),
            };
            list.push(LayerView {
                number: at + 1,
                digest: layer.descriptor.digest.to_string(),
                media_type: printable(&layer.descriptor.media_type),
                size: size(layer.descriptor.size),
                is_known: !matches!(layer.access, Access::Whole { is_known: false }),
                spans,
            });
        }
        Self {
            list,
            spans_per_square,
        }
    }
}

impl SpansView {
    fn of(
        spans: &[Span],
        needed: Option<&BTreeSet<usize>>,
        spans_per_square: usize,
        room: &mut usize,
    ) -> Self {
        let count = counted(spans.len() as u64, "span", "spans");
        let is_needed = |id: usize| needed.is_some_and(|needed| needed.contains(&id));
        let rows = spans.iter().enumerate().take(*room).map(|(id, span)| Row {
            id,
            stored: size(stored(span)),
            plain: size(plain(span)),
            is_needed: is_needed(id),
            digest: span.digest.to_string(),
        });
        let rows: Vec<_> = rows.collect();
        *room -= rows.len();
        let squares = spans.chunks(spans_per_square).enumerate();
        Self {
            ztoc_digest: String::new(),
            ztoc_size: String::new(),
            needed: needed.map(|needed| {
                let bytes = sum(needed.iter().map(|&id| stored(&spans[id])));
                let are = if needed.len() == 1 { "is" } else { "are" };
                format!("{} of {count} ({}) {are} needed", needed.len(), size(bytes))
            }),
            count,
            squares: squares
                .map(|(at, chunk)| square(at * spans_per_square, chunk, &is_needed))
                .collect(),
            left_out: spans.len() - rows.len(),
            rows,
        }
    }
}

fn square(first: usize, spans: &[Span], is_needed: &impl Fn(usize) -> bool) -> Square {
    let end = first + spans.len();
    let needed = (first..end).filter(|&id| is_needed(id)).count();
    let sizes = format!(
        "{} compressed, {} uncompressed",
        size(sum(spans.iter().map(stored))),
        size(sum(spans.iter().map(plain)))
    );
    let numbers = span_range(first, end);
    let title = match (spans, needed) {
        ([span], 0) => format!("span {numbers}: {sizes}, {}", span.digest),
        ([span], _) => format!("span {numbers}, needed: {sizes}, {}", span.digest),
        (_, 0) => format!("spans {numbers}: {sizes}"),
        _ => format!("spans {numbers}, {needed} needed: {sizes}"),
    };
    Square {
        is_needed: needed > 0,
        title,
    }
}

fn spans_of(layer: &LayerOutline) -> &[Span] {
    match &layer.access {
        Access::Spans { spans, .. } => spans.list(),
        Access::Whole { .. } => &[],
    }
}

fn stored(span: &Span) -> u64 {
    span.stored.end - span.stored.start
}

fn plain(span: &Span) -> u64 {
    span.plain.end - span.plain.start
}
