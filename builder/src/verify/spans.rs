//! The spans of a gzip layer, each inflated from its own checkpoint, beside another inflater that reads the whole layer.
//! In: the layer's compressed bytes, once. Out: every span that gives other bytes.

use std::{
    cell::RefCell,
    io::{self, Read, Write},
};

use flate2::write::MultiGzDecoder;
use soci_index::run::chain;

use crate::reader::{Span, Spans};

/// Compressed bytes that both inflaters get at once: deflate makes 1,032 times as many of them at most, and the one that is ahead
/// keeps them.
const PIECE: usize = 8 << 10;

/// Uncompressed bytes by which one inflater may be ahead of the other. More of them belong to no span, or contradict the other's.
const AHEAD_MAX: usize = 16 << 20;

/// What both inflaters gave and is not compared yet; one may be ahead of the other.
struct Both {
    judge: MultiGzDecoder<Vec<u8>>,
    ours: Vec<u8>,
    /// Uncompressed bytes compared.
    at: u64,
    /// The first difference in the span that is being read.
    difference: Option<u64>,
    broken: Option<io::Error>,
}

impl Both {
    fn feed(&mut self, stored: &[u8]) {
        if self.broken.is_some() {
            return;
        }
        let fed = self
            .judge
            .write_all(stored)
            .and_then(|()| self.judge.flush());
        self.broken = fed.err();
        self.compare();
    }

    fn take(&mut self, plain: &[u8]) {
        self.ours.extend_from_slice(plain);
        self.compare();
    }

    fn compare(&mut self) {
        let theirs = self.judge.get_mut();
        let common = theirs.len().min(self.ours.len());
        if theirs[..common] != self.ours[..common] && self.difference.is_none() {
            let mut bytes = theirs.iter().zip(&self.ours);
            let first = bytes.position(|(theirs, ours)| theirs != ours);
            self.difference = first.map(|first| self.at + first as u64);
        }
        theirs.drain(..common);
        self.ours.drain(..common);
        self.at += common as u64;
        if self.ours.len() > AHEAD_MAX {
            self.difference.get_or_insert(self.at);
        }
        if self.difference.is_some() {
            self.ours.clear();
        }
        // The span ended early, or its bytes differ: the next one is judged for itself.
        if theirs.len() > AHEAD_MAX {
            self.at += theirs.len() as u64;
            theirs.clear();
        }
    }

    /// Goes on at uncompressed byte `start`, whatever the span before it gave: each span is judged for itself.
    fn start(&mut self, start: u64) {
        self.ours.clear();
        self.difference = None;
        let there = self.judge.get_mut();
        let behind = start.saturating_sub(self.at);
        let behind = usize::try_from(behind)
            .unwrap_or(usize::MAX)
            .min(there.len());
        there.drain(..behind);
        self.at += behind as u64;
    }
}

/// Reads all of `source`, the layer's compressed bytes, and says what is wrong with its spans.
pub(super) fn problems(source: &mut impl Read, spans: &Spans) -> io::Result<Vec<String>> {
    let both = RefCell::new(Both {
        judge: MultiGzDecoder::new(Vec::new()),
        ours: Vec::new(),
        at: 0,
        difference: None,
        broken: None,
    });
    let mut problems = Vec::new();
    let mut at = 0;
    let mut last = 0;
    if let Some(first) = spans.list().first() {
        let mut header = Part {
            source: &mut *source,
            both: &both,
            again: None,
            left: first.stored.start,
            last: &mut last,
        };
        io::copy(&mut header, &mut io::sink())?;
        at = first.stored.start;
    }
    for (id, span) in spans.list().iter().enumerate() {
        both.borrow_mut().start(span.plain.start);
        let is_aligned = both.borrow().at == span.plain.start;
        let mut part = Part {
            source: &mut *source,
            both: &both,
            again: (span.stored.start < at).then_some(last),
            left: span.stored.end - at,
            last: &mut last,
        };
        let read = spans.read(id, &mut part, |plain| both.borrow_mut().take(plain));
        at = span.stored.end;
        problems.extend(
            read.err()
                .map(|error| format!("span {id}: {}", chain(&error))),
        );
        problems.extend(verdict(id, span, is_aligned, &both.borrow()));
    }
    io::copy(
        &mut Part {
            source: &mut *source,
            both: &both,
            again: None,
            left: u64::MAX,
            last: &mut last,
        },
        &mut io::sink(),
    )?;
    if let Some(error) = &both.borrow().broken {
        problems.push(format!("flate2 cannot inflate the layer: {error}"));
    }
    Ok(problems)
}

fn verdict(id: usize, span: &Span, is_aligned: bool, both: &Both) -> Option<String> {
    if both.broken.is_some() {
        // Told once, at the end.
        return None;
    }
    if !is_aligned {
        return Some(format!(
            "the checkpoint of span {id} says uncompressed byte {}, but the layer is at uncompressed byte {} there",
            span.plain.start, both.at
        ));
    }
    let difference = both
        .difference
        .or((!both.ours.is_empty()).then_some(both.at))?;
    Some(format!(
        "span {id}: inflated from its checkpoint, it differs from the layer from uncompressed byte {difference} on"
    ))
}

/// A part of the layer. Each byte goes to the other inflater once; the one that two spans share is read again by the second.
struct Part<'a, R> {
    source: &'a mut R,
    both: &'a RefCell<Both>,
    again: Option<u8>,
    left: u64,
    last: &'a mut u8,
}

impl<R: Read> Read for Part<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if let Some(byte) = self.again.take() {
            buffer[0] = byte;
            return Ok(1);
        }
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX);
        let wanted = wanted.min(buffer.len()).min(PIECE);
        let n = self.source.read(&mut buffer[..wanted])?;
        self.left -= n as u64;
        if let Some(&byte) = buffer[..n].last() {
            *self.last = byte;
            self.both.borrow_mut().feed(&buffer[..n]);
        }
        Ok(n)
    }
}
