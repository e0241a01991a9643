//! Who computes when. A layer needs a core only while its bytes are at hand: one that waits for the network lets others go on.
//! In: how many cores and layers there are. Out: permissions to use a core.

use std::{
    io::{self, Read},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use soci_format::layer::SpareCore;
use soci_store::{registry::Connections, store::LayerReader};
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
};

/// Layers that are read at once at most, however many cores there are: each takes about 3 MiB and its checkpoints. More of them
/// than cores, because a registry sends one layer more slowly than a core inflates it.
const AT_ONCE_MAX: usize = 8;

/// The same where layers are copied, which takes another 2 MiB of each: what is on its way to the other registry.
const COPIED_AT_ONCE_MAX: usize = 6;

/// The cores of this machine, as far as a run uses them.
pub(super) struct Cores {
    count: usize,
    /// Connections that layers are read over, one for each layer that is read; where fewer layers are left, some of them get
    /// several.
    pub(super) connections: Connections,
    /// Layers that may be computed on at once.
    computing: Arc<Semaphore>,
    /// Cores that no layer is left for: they can take the digests of one that still has others.
    spare: Arc<Semaphore>,
    layers_left: AtomicUsize,
}

/// The cores of a run that goes on.
pub(super) struct InUse(pub(super) Arc<Cores>);

impl Cores {
    pub(super) fn new(layers: usize, is_copying: bool) -> Self {
        let count = std::thread::available_parallelism()
            .map_or(1, usize::from)
            .min(AT_ONCE_MAX);
        Self {
            count,
            connections: Connections::new(match is_copying {
                true => COPIED_AT_ONCE_MAX,
                false => AT_ONCE_MAX,
            }),
            computing: Arc::new(Semaphore::new(count)),
            spare: Arc::new(Semaphore::new(count.saturating_sub(layers))),
            layers_left: AtomicUsize::new(layers),
        }
    }

    /// A core that no layer is left for.
    pub(super) fn spare(&self) -> Option<SpareCore> {
        let core = Arc::clone(&self.spare).try_acquire_owned().ok()?;
        Some(Box::new(core))
    }

    /// One layer less; its core is spare when no other layer needs it.
    pub(super) fn layer_done(&self) {
        let left = self.layers_left.fetch_sub(1, Ordering::Relaxed) - 1;
        if left < self.count {
            self.spare.add_permits(1);
        }
    }
}

impl Drop for InUse {
    /// Threads cannot be aborted: those that still read a layer of a run that was given up find no core any more, and end.
    fn drop(&mut self) {
        self.0.computing.close();
    }
}

/// Reads a layer, with a core whenever bytes are at hand.
pub(super) struct WithCore {
    reader: LayerReader,
    computing: Arc<Semaphore>,
    core: Option<OwnedSemaphorePermit>,
}

impl WithCore {
    pub(super) fn new(reader: LayerReader, cores: &Cores) -> Self {
        Self {
            reader,
            computing: Arc::clone(&cores.computing),
            core: None,
        }
    }
}

impl Read for WithCore {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.computing.is_closed() {
            return Err(given_up());
        }
        if !self.reader.is_ready() {
            self.core = None;
            self.reader.wait();
        }
        if self.core.is_none() {
            let core = Arc::clone(&self.computing).acquire_owned();
            let core = Handle::current().block_on(core);
            self.core = Some(core.map_err(|_| given_up())?);
        }
        self.reader.read(into)
    }
}

fn given_up() -> io::Error {
    io::Error::other("the run was cancelled")
}
