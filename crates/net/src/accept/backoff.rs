//! What an accept loop does about errors: it never exits, and it never spins.

use std::{io, time::Duration};

/// The first pause. Long enough for a busy server to close something, too short for a client to notice.
const FIRST_PAUSE: Duration = Duration::from_millis(5);

/// The longest pause. Clients wait that long at most after descriptors are free again.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// So many errors of single connections may follow each other without a pause. Each costs its peer a handshake, so more
/// in a row means that the error does not come from a connection after all.
const LOST_IN_A_ROW: u32 = 64;

/// The pauses after errors, doubling from one to the next.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    pause: Option<Duration>,
    lost: u32,
}

impl Backoff {
    /// How long to pause after `error`; `None` is not at all.
    pub(super) fn after(&mut self, error: &io::Error) -> Option<Duration> {
        if of_one_connection(error) && self.lost < LOST_IN_A_ROW {
            self.lost += 1;
            return None;
        }
        let pause = self.pause.map_or(FIRST_PAUSE, |last| (last * 2).min(LONGEST_PAUSE));
        self.pause = Some(pause);
        Some(pause)
    }

    /// A connection was accepted.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }
}

/// Whether the error is of a connection that died in the backlog, or of its network, so that the next one may be fine:
/// accept(2), "Error handling". All others (`EMFILE`, `ENFILE`, `ENOBUFS`, `ENOMEM`, and what nobody thought of) would come
/// back at once.
fn of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;

    let by_kind = matches!(
        error.kind(),
        Kind::ConnectionAborted
            | Kind::ConnectionReset
            | Kind::Interrupted
            | Kind::WouldBlock
            | Kind::TimedOut
            | Kind::NetworkDown
            | Kind::NetworkUnreachable
            | Kind::HostUnreachable
            // `EPERM`: a firewall rule forbids this connection.
            | Kind::PermissionDenied
    );
    by_kind || is_protocol_error(error)
}

/// Those without an [`io::ErrorKind`] of their own.
#[cfg(unix)]
fn is_protocol_error(error: &io::Error) -> bool {
    use rustix::io::Errno;

    let codes = [Errno::PROTO, Errno::NOPROTOOPT, Errno::OPNOTSUPP, Errno::HOSTDOWN];
    error.raw_os_error().is_some_and(|code| codes.iter().any(|known| known.raw_os_error() == code))
}

#[cfg(not(unix))]
fn is_protocol_error(_: &io::Error) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn net_14_errors_of_the_machine_pause_and_those_of_a_connection_do_not() {
        use rustix::io::Errno;

        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM, Errno::INVAL, Errno::BADF] {
            let error = io::Error::from(errno);
            assert_eq!(Backoff::default().after(&error), Some(Duration::from_millis(5)), "{error}");
        }
        for errno in [
            Errno::CONNABORTED,
            Errno::INTR,
            Errno::PROTO,
            Errno::NETDOWN,
            Errno::NOPROTOOPT,
            Errno::HOSTDOWN,
            Errno::HOSTUNREACH,
            Errno::OPNOTSUPP,
            Errno::NETUNREACH,
            Errno::PERM,
        ] {
            let error = io::Error::from(errno);
            assert_eq!(Backoff::default().after(&error), None, "{error}");
        }
    }

    #[test]
    fn net_14_pauses_double_up_to_a_second_and_start_again_after_a_success() {
        let error = io::Error::from(io::ErrorKind::OutOfMemory);
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = (0..10).filter_map(|_| backoff.after(&error)).map(|pause| pause.as_millis()).collect();
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000]);
        backoff.reset();
        assert_eq!(backoff.after(&error), Some(Duration::from_millis(5)));
    }

    #[test]
    fn net_14_even_errors_of_connections_do_not_spin_for_ever() {
        let error = io::Error::from(io::ErrorKind::ConnectionAborted);
        let mut backoff = Backoff::default();
        let at_once = (0..1000).filter(|_| backoff.after(&error).is_none()).count();
        assert_eq!(at_once, 64);
    }
}
