//! Answers and how their bodies come: whole, cut, or never to the end.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
    thread,
    time::Duration,
};

use bytes::Bytes;
use hyper::{
    Response,
    body::{Body, Frame, SizeHint},
    header::CONTENT_LENGTH,
};
use serde_json::json;
use soci_format::digest::Digest;
use tokio::time::{Sleep, sleep};

use super::{Line, State, faults::Fault};

/// Small, so that a blob comes in several pieces.
const CHUNK: usize = 8 << 10;
/// The same where each one is waited for.
const SLOW_CHUNK: usize = 64 << 10;

/// Far shorter than any silence that a client calls one.
const BETWEEN_DROPS: Duration = Duration::from_millis(10);

/// Polls before a break, in which the server flushes what it has.
const POLLS_BEFORE_BREAK: u32 = 4;

pub(super) type Answer = Response<Scripted>;

/// A body that follows a script.
pub(super) struct Scripted {
    bytes: Bytes,
    end: End,
    announced: bool,
    polls_left: u32,
    /// Where the bytes of a blob are counted.
    counter: Option<(Arc<Mutex<State>>, Digest)>,
    pace: Option<Pace>,
}

/// When the next bytes of a slow body are due.
struct Pace {
    line: Line,
    due: Pin<Box<Sleep>>,
}

enum End {
    Proper,
    Break,
    Silence,
    Drip(Bytes),
}

impl Scripted {
    /// Without a word about its length.
    pub(super) fn unannounced(&mut self) {
        self.announced = false;
    }

    /// As slow as that from now on.
    pub(super) fn over(&mut self, line: Line) {
        let due = Box::pin(sleep(line.first_byte));
        self.pace = Some(Pace { line, due });
    }

    pub(super) fn counted(&mut self, state: &Arc<Mutex<State>>, digest: Digest) {
        self.counter = Some((Arc::clone(state), digest));
    }
}

impl From<Bytes> for Scripted {
    fn from(bytes: Bytes) -> Self {
        Self {
            bytes,
            end: End::Proper,
            announced: true,
            polls_left: POLLS_BEFORE_BREAK,
            counter: None,
            pace: None,
        }
    }
}

impl Body for Scripted {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if !self.bytes.is_empty() {
            let mut length = self.bytes.len().min(CHUNK);
            if self.pace.is_some() {
                length = self.bytes.len().min(SLOW_CHUNK);
            }
            if let Some(Pace { line, due }) = &mut self.pace {
                ready!(due.as_mut().poll(context));
                let takes = Duration::from_secs(1) * u32::try_from(length).unwrap();
                let takes = takes / u32::try_from(line.bytes_per_second).unwrap();
                // From when it was due, not from now: a late timer is made up for.
                let next = due.deadline() + takes;
                due.as_mut().reset(next);
            }
            let chunk = self.bytes.split_to(length);
            if let Some((state, digest)) = &self.counter {
                *state.lock().unwrap().served.entry(*digest).or_default() += length as u64;
            }
            return Poll::Ready(Some(Ok(Frame::data(chunk))));
        }
        if let End::Drip(left) = &mut self.end
            && !left.is_empty()
        {
            let drop = left.split_to(1);
            let waker = context.waker().clone();
            thread::spawn(move || {
                thread::sleep(BETWEEN_DROPS);
                waker.wake();
            });
            self.bytes = drop;
            return Poll::Pending;
        }
        match self.end {
            End::Proper | End::Drip(_) => Poll::Ready(None),
            End::Silence => Poll::Pending,
            End::Break if self.polls_left > 0 => {
                self.polls_left -= 1;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            End::Break => Poll::Ready(Some(Err(io::ErrorKind::ConnectionReset.into()))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty() && matches!(self.end, End::Proper)
    }

    fn size_hint(&self) -> SizeHint {
        match self.end {
            End::Proper if self.announced => SizeHint::with_exact(self.bytes.len() as u64),
            _ => SizeHint::default(),
        }
    }
}

/// An answer without a body.
pub(super) fn empty(status: u16) -> Answer {
    of(status, Bytes::new())
}

pub(super) fn of(status: u16, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Scripted::from(body.into()));
    *answer.status_mut() = status.try_into().unwrap();
    answer
}

/// An error as the specification writes it.
pub(super) fn error(status: u16, code: &str, message: &str) -> Answer {
    let body = json!({"errors": [{"code": code, "message": message, "detail": null}]});
    with(
        of(status, body.to_string()),
        "content-type",
        "application/json",
    )
}

/// `answer` with a header.
pub(super) fn with(mut answer: Answer, name: &'static str, value: impl AsRef<str>) -> Answer {
    let value = value.as_ref().parse().unwrap();
    answer.headers_mut().insert(name, value);
    answer
}

/// What becomes of a proper answer under a fault that leaves the request itself alone.
pub(super) fn spoil(answer: Answer, fault: Fault) -> Answer {
    match fault {
        Fault::Status {
            status,
            code,
            message,
            retry_after,
        } => {
            let answer = error(status, code, &message);
            match retry_after {
                Some(seconds) => with(answer, "retry-after", seconds.to_string()),
                None => answer,
            }
        }
        Fault::Html => with(
            of(200, "<html><h1>Welcome to the hotel's network</h1></html>"),
            "content-type",
            "text/html; charset=utf-8",
        ),
        Fault::SentOn(path) => with(empty(303), "location", path),
        Fault::Cut { after } => cut(answer, after, End::Break),
        Fault::Silence { after } => cut(answer, after, End::Silence),
        Fault::Drip { after } => {
            let left = answer.body().bytes.slice(after..);
            cut(answer, after, End::Drip(left))
        }
        Fault::Body { bytes, announced } => {
            let mut answer = answer.map(|_| Scripted::from(bytes));
            answer.headers_mut().remove(CONTENT_LENGTH);
            answer.body_mut().announced = announced;
            answer
        }
        Fault::Header(name, value) => with(answer, name, value),
        Fault::IgnoreRange
        | Fault::ExpireTokens
        | Fault::OverwrittenBy(_)
        | Fault::Damaged(_)
        | Fault::Lost
        | Fault::Together(_) => answer,
    }
}

/// The length that was announced stays.
fn cut(answer: Answer, after: usize, end: End) -> Answer {
    let length = answer.body().bytes.len().to_string();
    let mut answer = with(answer, "content-length", length);
    let body = answer.body_mut();
    body.bytes.truncate(after);
    body.end = end;
    answer
}
