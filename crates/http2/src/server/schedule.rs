//! Which of a connection's parts have to be polled.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    task::Waker,
};

/// The parts of a connection that were woken, in the order in which they were: the connection itself is part 0, its
/// streams have the other numbers. A part is polled when its turn comes, so one that is always ready stands behind all
/// others that are.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    woken: Vec<usize>,
    /// By number, whether a part is in `woken`.
    is_woken: Vec<bool>,
    /// The connection's task, and whether it is running or was woken: then it comes back by itself.
    task: Option<Waker>,
    awake: bool,
}

impl Schedule {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic between lock and unlock would be a bug of this crate; what the state holds is still sound.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a part polled. The task is woken unless it is awake: what its own parts do to each other costs no wake-up.
    pub(super) fn wake(&self, part: usize) {
        let mut state = self.lock();
        if state.is_woken.len() <= part {
            state.is_woken.resize(part + 1, false);
        }
        if !std::mem::replace(&mut state.is_woken[part], true) {
            state.woken.push(part);
        }
        if std::mem::replace(&mut state.awake, true) {
            return;
        }
        let task = state.task.clone();
        // Outside the lock: waking a task may run foreign code.
        drop(state);
        if let Some(task) = task {
            task.wake();
        }
    }

    /// The task runs.
    pub(super) fn begin(&self, task: &Waker) {
        let mut state = self.lock();
        state.awake = true;
        match &mut state.task {
            Some(known) => known.clone_from(task),
            none => *none = Some(task.clone()),
        }
    }

    /// Moves the parts that were woken to `batch`, which is empty. Without any, the task rests: `false`.
    pub(super) fn take(&self, batch: &mut Vec<usize>) -> bool {
        let mut state = self.lock();
        let state = &mut *state;
        std::mem::swap(&mut state.woken, batch);
        for part in &*batch {
            state.is_woken[*part] = false;
        }
        state.awake = !batch.is_empty();
        state.awake
    }

    /// Puts parts back that were taken and not polled, in front.
    pub(super) fn put_back(&self, parts: &[usize]) {
        let mut state = self.lock();
        let state = &mut *state;
        let mut woken: Vec<usize> = parts.iter().copied().filter(|part| !state.is_woken[*part]).collect();
        for part in &woken {
            state.is_woken[*part] = true;
        }
        woken.append(&mut state.woken);
        state.woken = woken;
    }
}
