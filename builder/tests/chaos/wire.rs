//! HTTP messages as the bytes that they are: taken off a connection one by one, and put on another, hurt on the way.
//! In: connections. Out: heads and bodies. Understands no more than where a message ends.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::sleep,
};

use crate::faults::{Hurt, Place};

/// A layer would take an hour.
const BETWEEN_DROPS: Duration = Duration::from_millis(50);

/// A request or an answer.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Message {
    pub(crate) fn new(first_line: &str, headers: &[(&str, String)], body: Vec<u8>) -> Self {
        let mut head = format!("{first_line}\r\n");
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += &format!("content-length: {}\r\n\r\n", body.len());
        Self { head, body }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        [self.head.as_bytes(), &self.body].concat()
    }

    /// The words of the first line.
    pub(crate) fn first_line(&self) -> Vec<&str> {
        let line = self.head.lines().next().unwrap_or_default();
        line.split(' ').collect()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// With a header changed, or taken out.
    pub(crate) fn with(&self, name: &str, value: Option<&str>) -> Self {
        let mut head = format!("{}\r\n", self.head.lines().next().unwrap_or_default());
        for (found, kept) in self.headers() {
            let is_it = found.eq_ignore_ascii_case(name);
            if let Some(value) = if is_it { value } else { Some(kept) } {
                head += &format!("{found}: {value}\r\n");
            }
        }
        Self {
            head: head + "\r\n",
            body: self.body.clone(),
        }
    }

    /// With another text in its head.
    pub(crate) fn rewritten(mut self, from: &str, to: &str) -> Self {
        self.head = self.head.replace(from, to);
        self
    }

    fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(": "))
    }
}

/// How a message came through.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Came {
    Whole,
    /// The connection is to end.
    Broken,
}

/// A connection.
pub(crate) struct Wire {
    stream: TcpStream,
    /// What came after the last message.
    ahead: Vec<u8>,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Self {
        // A message may be sent in pieces, none of which is to wait for the other's receipt.
        let _ = stream.set_nodelay(true);
        Self {
            stream,
            ahead: Vec::new(),
        }
    }

    /// The next request; none where the connection ended before one.
    pub(crate) async fn request(&mut self) -> io::Result<Option<Message>> {
        if self.ahead.is_empty() && !self.more().await? {
            return Ok(None);
        }
        let head = self.head().await?;
        self.body(head, false).await.map(Some)
    }

    /// The next answer, to a request that may have been for its head alone.
    pub(crate) async fn answer(&mut self, without_body: bool) -> io::Result<Message> {
        let head = self.head().await?;
        self.body(head, without_body).await
    }

    async fn head(&mut self) -> io::Result<String> {
        loop {
            let end = self.ahead.windows(4).position(|four| four == b"\r\n\r\n");
            if let Some(end) = end {
                let head: Vec<u8> = self.ahead.drain(..end + 4).collect();
                return String::from_utf8(head).map_err(io::Error::other);
            }
            self.must_have_more().await?;
        }
    }

    async fn body(&mut self, head: String, without_body: bool) -> io::Result<Message> {
        let mut message = Message {
            head,
            body: Vec::new(),
        };
        let length = message.header("content-length").map(str::parse);
        if without_body {
            return Ok(message);
        }
        let end = match length {
            Some(length) => {
                let length = length.map_err(io::Error::other)?;
                while self.ahead.len() < length {
                    self.must_have_more().await?;
                }
                length
            }
            // The last of its pieces is empty.
            None if message.header("transfer-encoding").is_some() => {
                while !self.ahead.ends_with(b"0\r\n\r\n") {
                    self.must_have_more().await?;
                }
                self.ahead.len()
            }
            None => 0,
        };
        message.body = self.ahead.drain(..end).collect();
        Ok(message)
    }

    async fn must_have_more(&mut self) -> io::Result<()> {
        if self.more().await? {
            return Ok(());
        }
        Err(io::ErrorKind::UnexpectedEof.into())
    }

    async fn more(&mut self) -> io::Result<bool> {
        Ok(self.stream.read_buf(&mut self.ahead).await? > 0)
    }

    /// Sends a message, as it is or hurt.
    pub(crate) async fn send(&mut self, bytes: &[u8], hurt: Option<&Hurt>) -> io::Result<Came> {
        match hurt {
            None => self.stream.write_all(bytes).await?,
            Some(Hurt::Cut { at, reset }) => {
                self.stream.write_all(&bytes[..at.of(bytes)]).await?;
                if *reset {
                    // A connection that is dropped at once, and not said goodbye to.
                    self.stream.set_zero_linger()?;
                }
                return Ok(Came::Broken);
            }
            Some(Hurt::Silence { at }) => {
                self.stream.write_all(&bytes[..at.of(bytes)]).await?;
                // Until the other side has had enough.
                while self.more().await? {}
                return Ok(Came::Broken);
            }
            Some(Hurt::Drip { at }) => {
                let (start, drops) = bytes.split_at(at.of(bytes));
                self.stream.write_all(start).await?;
                for &drop in drops {
                    self.stream.write_all(&[drop]).await?;
                    sleep(BETWEEN_DROPS).await;
                }
            }
            Some(Hurt::Pauses { at, ms }) => {
                let mut sent = 0;
                for place in at {
                    let next = place.of(bytes).max(sent);
                    self.stream.write_all(&bytes[sent..next]).await?;
                    sleep(Duration::from_millis(u64::from(*ms))).await;
                    sent = next;
                }
                self.stream.write_all(&bytes[sent..]).await?;
            }
            Some(hurt) => {
                self.stream.write_all(&damaged(bytes, hurt)).await?;
                return Ok(Came::Broken);
            }
        }
        Ok(Came::Whole)
    }
}

/// The bytes with other bytes among them.
pub(crate) fn damaged(bytes: &[u8], hurt: &Hurt) -> Vec<u8> {
    let mut new = bytes.to_vec();
    let piece = |at: &Place, length: &u16| {
        let start = at.of(bytes);
        start..bytes.len().min(start + usize::from(*length))
    };
    match hurt {
        Hurt::Flip { at } => {
            for (place, bit) in at {
                new[place.of(bytes)] ^= 1 << (bit % 8);
            }
        }
        Hurt::Repeat { at, length } => {
            let piece = piece(at, length);
            new.splice(piece.end..piece.end, bytes[piece].iter().copied());
        }
        Hurt::Swap { at, length } => {
            let piece = piece(at, length);
            let half = piece.len() / 2;
            new[piece].rotate_left(half);
        }
        Hurt::Cut { .. } | Hurt::Silence { .. } | Hurt::Drip { .. } | Hurt::Pauses { .. } => {}
    }
    new
}
