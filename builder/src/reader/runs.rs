//! Which spans are fetched together: neighbours that are needed soon after each other come with one request.
//! In: spans in the order in which they are needed. Out: runs of neighbours in the order of their first need. Pure.

use std::{collections::HashMap, ops::Range};

/// A span that is needed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Need {
    pub(super) layer: usize,
    pub(super) span: usize,
    /// Its uncompressed bytes.
    pub(super) bytes: u64,
}

/// Neighbouring spans of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) layer: usize,
    pub(super) spans: Range<usize>,
    /// Their uncompressed bytes.
    pub(super) bytes: u64,
    /// The place of the last of them in the order of needs.
    pub(super) last_need: usize,
}

/// Runs of at most `run_bytes` uncompressed bytes, or of one span. A span that is needed again counts as being there still, unless
/// `kept_bytes` of others came in between. Spans larger than `span_bytes` are in no run.
pub(super) fn runs_of(
    needs: impl IntoIterator<Item = Need>,
    span_bytes: u64,
    run_bytes: u64,
    kept_bytes: u64,
) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    // By layer: its latest run, and how many bytes were planned before it.
    let mut latest = HashMap::<usize, (usize, u64)>::new();
    // By span: how many bytes were planned at its last need.
    let mut needed = HashMap::<(usize, usize), u64>::new();
    let mut planned = 0;
    for (at, need) in needs.into_iter().enumerate() {
        let Need { layer, span, bytes } = need;
        if bytes > span_bytes {
            continue;
        }
        let before = needed.insert((layer, span), planned);
        if before.is_some_and(|before| planned - before <= kept_bytes) {
            continue;
        }
        let joins = latest.get(&layer).filter(|&&(run, start)| {
            runs[run].spans.end == span && planned + bytes - start <= run_bytes
        });
        match joins {
            Some(&(run, _)) => {
                let run = &mut runs[run];
                run.spans.end += 1;
                run.bytes += bytes;
                run.last_need = at;
            }
            None => {
                latest.insert(layer, (runs.len(), planned));
                runs.push(Run {
                    layer,
                    spans: span..span + 1,
                    bytes,
                    last_need: at,
                });
            }
        }
        planned += bytes;
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The runs of spans of 10 bytes, as `(layer, spans, last_need)`: runs have 30 bytes, and 50 are kept.
    fn runs(needs: &[(usize, usize)]) -> Vec<(usize, Range<usize>, usize)> {
        let needs = needs.iter().map(|&(layer, span)| Need {
            layer,
            span,
            bytes: 10,
        });
        let runs = runs_of(needs, 20, 30, 50);
        runs.into_iter()
            .map(|run| {
                assert_eq!(run.bytes, 10 * run.spans.len() as u64);
                (run.layer, run.spans, run.last_need)
            })
            .collect()
    }

    #[test]
    fn neighbours_come_together_up_to_the_size_of_a_run() {
        assert_eq!(runs(&[]), []);
        let needs = [(0, 3), (0, 4), (0, 5), (0, 6), (0, 8)];
        let found = runs(&needs);
        assert_eq!(found, [(0, 3..6, 2), (0, 6..7, 3), (0, 8..9, 4)]);
        // Backwards there are none.
        assert_eq!(runs(&[(0, 4), (0, 3)]), [(0, 4..5, 0), (0, 3..4, 1)]);
    }

    #[test]
    fn neighbours_of_several_layers_may_take_turns() {
        let found = runs(&[(0, 0), (1, 7), (0, 1), (1, 8)]);
        assert_eq!(found, [(0, 0..2, 2), (1, 7..9, 3)]);
        // One that is needed much later comes later.
        let found = runs(&[(0, 0), (1, 7), (2, 7), (0, 1)]);
        assert_eq!(found.len(), 4);
    }

    #[test]
    fn what_is_still_there_is_not_fetched_again() {
        // Ten files in one span, and one that also takes the next.
        let mut needs = vec![(0, 0); 10];
        needs.extend([(0, 1), (0, 0)]);
        assert_eq!(runs(&needs), [(0, 0..2, 10)]);
        // Sixty bytes later it is not.
        let others = (0..6).map(|span| (1, 2 * span));
        let needs: Vec<_> = [(0, 0)].into_iter().chain(others).chain([(0, 0)]).collect();
        let found = runs(&needs);
        assert_eq!((found.len(), &found[7]), (8, &(0, 0..1, 7)));
    }

    #[test]
    fn a_span_too_large_to_keep_is_in_no_run() {
        let need = |span, bytes| Need {
            layer: 0,
            span,
            bytes,
        };
        let found = runs_of([need(0, 10), need(1, 21), need(2, 20)], 20, 30, 50);
        let spans: Vec<_> = found.iter().map(|run| run.spans.clone()).collect();
        assert_eq!(spans, [0..1, 2..3]);
        // One span may be larger than a run.
        let found = runs_of([need(0, 20), need(1, 20)], 20, 15, 50);
        assert_eq!(found.len(), 2);
    }
}
