use std::pin::Pin;

/// The future of a call to the service, in a box that serves one request after the other: an idle connection has no room for
/// what may be large.
pub(super) struct Call<F> {
    room: Option<Pin<Box<Option<F>>>>,
    /// Requests that were called, up to [`BUSY`](Self::BUSY).
    calls: u8,
}

impl<F> Default for Call<F> {
    fn default() -> Self {
        Self { room: None, calls: 0 }
    }
}

impl<F> Call<F> {
    /// A connection that has served so many requests keeps the room between them: more are likely to come, and taking it anew
    /// for each costs more than all else that is done for a wait.
    const BUSY: u8 = 16;

    /// Where the next future goes.
    #[inline]
    pub(super) fn room(&mut self) -> Pin<&mut Option<F>> {
        if self.calls < Self::BUSY {
            self.calls += 1;
        }
        self.room.get_or_insert_with(|| Box::pin(None)).as_mut()
    }

    #[inline]
    pub(super) fn future(&mut self) -> Option<Pin<&mut F>> {
        self.room.as_mut()?.as_mut().as_pin_mut()
    }

    /// Drops the future, and keeps the room for the next one.
    #[inline]
    pub(super) fn end(&mut self) {
        if let Some(room) = &mut self.room {
            room.set(None);
        }
    }

    /// There is nothing to do for now.
    #[inline]
    pub(super) fn rest(&mut self) {
        if self.calls < Self::BUSY {
            self.room = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_connection_has_no_room_for_a_call_unless_it_is_a_busy_one() {
        let mut call = Call::default();
        for request in 1..=20 {
            call.room().set(Some(std::future::ready(())));
            assert!(call.future().is_some());
            call.end();
            assert!(call.future().is_none() && call.room.is_some());
            call.rest();
            assert_eq!(call.room.is_some(), request >= 16, "{request}");
        }
    }
}
