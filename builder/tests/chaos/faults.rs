//! What can go wrong between the builder and a registry.
//! In: nothing. Out: faults as plain data, their names, and what may be demanded of a run that met them.

use soci_testing::fake_registry::Route;

/// A place in a message, however long it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place(pub(crate) u32);

impl Place {
    pub(crate) fn of(self, bytes: &[u8]) -> usize {
        self.0 as usize % bytes.len()
    }
}

/// Which way a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    ToRegistry,
    ToBuilder,
}

/// What happens to the bytes of a message.
#[derive(Clone, Debug)]
pub(crate) enum Hurt {
    /// The connection ends there.
    Cut { at: Place, reset: bool },
    /// Nothing comes any more, and the connection stays.
    Silence { at: Place },
    /// From there on the bytes come one by one.
    Drip { at: Place },
    /// The bytes come in pieces, with pauses between.
    Pauses { at: Vec<Place>, ms: u8 },
    /// Bits are turned over.
    Flip { at: Vec<(Place, u8)> },
    /// A piece comes twice.
    Repeat { at: Place, length: u16 },
    /// Two pieces change places.
    Swap { at: Place, length: u16 },
}

/// What goes wrong.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// The bytes of a message.
    Bytes(Way, Hurt),
    /// The registry gets the request twice; the second answer is given.
    Twice,
    /// The registry does what it is asked for, and the answer is lost.
    Lost,
    /// The answer is one that was given to another request of the same kind.
    Other { pick: u16 },
    /// The registry is not asked; the answer is this status.
    Refused { status: u16, retry_after: bool },
    /// The answer says that it is longer or shorter than it is.
    Length { by: i16 },
    /// The request waits until others, that came later, are done.
    Late { others: u8 },
    /// The whole blob comes where a part was asked for.
    WholeBlob,
    /// The answer says that another part comes than was asked for.
    OtherPart { by: u8 },
}

impl Fault {
    /// Its kind, in a word or two.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Bytes(_, Hurt::Cut { .. }) => "cut",
            Self::Bytes(_, Hurt::Silence { .. }) => "silence",
            Self::Bytes(_, Hurt::Drip { .. }) => "dripping answer",
            Self::Bytes(_, Hurt::Pauses { .. }) => "pauses",
            Self::Bytes(_, Hurt::Flip { .. }) => "flipped bits",
            Self::Bytes(_, Hurt::Repeat { .. }) => "repeated piece",
            Self::Bytes(_, Hurt::Swap { .. }) => "swapped pieces",
            Self::Twice => "request sent twice",
            Self::Lost => "answer lost",
            Self::Other { .. } => "answer to another request",
            Self::Refused { .. } => "429, 500 or 503",
            Self::Length { .. } => "wrong length",
            Self::Late { .. } => "request out of order",
            Self::WholeBlob => "range ignored",
            Self::OtherPart { .. } => "another range",
        }
    }

    /// How many tries of a request it spoils, where no more than that is wrong; none where it tells the builder something
    /// that is not so.
    pub(crate) fn tries_spoiled(&self) -> Option<u32> {
        match self {
            Self::Bytes(_, Hurt::Pauses { .. })
            | Self::Twice
            | Self::Late { .. }
            | Self::WholeBlob => Some(0),
            Self::Bytes(_, Hurt::Cut { .. } | Hurt::Silence { .. } | Hurt::Drip { .. })
            | Self::Lost
            | Self::Refused { .. } => Some(1),
            _ => None,
        }
    }
}

/// A fault, where it strikes, and how often.
#[derive(Clone, Debug)]
pub(crate) struct Planned {
    /// Requests of one kind only.
    pub(crate) route: Option<Route>,
    /// So many of them pass before.
    pub(crate) after: u16,
    pub(crate) fault: Fault,
    pub(crate) times: u8,
}
