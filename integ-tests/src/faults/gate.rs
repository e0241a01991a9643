//! A gate: someone waits at it until a test opens it. So that nothing has to be slow, or to sleep, in order to be late.

use tokio::sync::watch;

/// A gate; its clones are the same gate.
#[derive(Clone, Debug)]
pub struct Gate(watch::Sender<State>);

#[derive(Clone, Copy, Debug)]
struct State {
    open: bool,
    /// How many have come to it, those that are through included.
    arrived: usize,
    /// How many questions until it opens by itself.
    knocks_left: Option<usize>,
}

impl Gate {
    /// One that only [`Self::open`] opens.
    pub fn closed() -> Self {
        Self::with(None)
    }

    /// One that opens by itself when what waits at it has been asked for so many times: a build that stays in a phase for
    /// five `BatchGetBuilds`.
    pub fn after(questions: usize) -> Self {
        Self::with(Some(questions))
    }

    fn with(knocks_left: Option<usize>) -> Self {
        Self(watch::Sender::new(State {
            open: knocks_left == Some(0),
            arrived: 0,
            knocks_left,
        }))
    }

    /// Lets everyone through, now and later.
    pub fn open(&self) {
        self.0.send_modify(|state| state.open = true);
    }

    /// Waits until someone waits here.
    pub async fn reached(&self) {
        self.until(|state| state.arrived > 0).await;
    }

    /// Waits here until the gate is open.
    pub async fn pass(&self) {
        self.0.send_modify(|state| state.arrived += 1);
        self.until(|state| state.open).await;
    }

    /// Someone asks for what waits here.
    pub(crate) fn knock(&self) {
        self.0.send_modify(|state| {
            if let Some(left) = &mut state.knocks_left {
                *left = left.saturating_sub(1);
                state.open |= *left == 0;
            }
        });
    }

    async fn until(&self, reached: impl FnMut(&State) -> bool) {
        let mut receiver = self.0.subscribe();
        // The sender lives in `self`, so this ends only when the state is reached.
        let _ = receiver.wait_for(reached).await;
    }
}
