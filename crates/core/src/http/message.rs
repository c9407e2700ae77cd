use http::{Request, Response, request, response};

use super::informational::Listening;
use crate::{Extensions, Fact};

/// Empties extensions of which another message is to use the memory; for engines. What chaski itself has in each message's
/// stays there, empty, since every value is an allocation: so the message has to be given a scope.
pub fn empty_extensions(extensions: &mut http::Extensions) {
    let mut known = 0;
    if let Some(scope) = extensions.get_mut::<Extensions>() {
        *scope = Extensions::default();
        known += 1;
    }
    if let Some(listening) = extensions.get_mut::<Listening>() {
        *listening = Listening::default();
        known += 1;
    }
    if extensions.len() > known {
        extensions.clear();
    }
}

/// Facts and scopes on HTTP messages.
///
/// A request's scope is a child of the connection it arrived on, a response's a child of the upstream connection, so that
/// a look-up never crosses from one side of a proxy to the other. A layer that builds a new message moves the scope over
/// with [`take_scope`](Self::take_scope) and [`set_scope`](Self::set_scope).
///
/// ```
/// use chaski_core::{Extensions, http::Message};
///
/// #[derive(Debug, PartialEq)]
/// struct User(&'static str);
///
/// let connection = Extensions::new();
/// connection.insert(User("ana"));
///
/// let mut request = http::Request::new(());
/// assert_eq!(request.fact::<User>(), None);
/// request.set_scope(connection.fork());
/// assert_eq!(request.fact::<User>(), Some(&User("ana")));
/// ```
pub trait Message {
    /// The extensions of the `http` crate that carry the scope.
    fn carrier(&self) -> &http::Extensions;

    /// The same, to change them.
    fn carrier_mut(&mut self) -> &mut http::Extensions;

    /// Looks up what is known about the message or its connection. Never allocates.
    fn fact<T: Fact>(&self) -> Option<&T> {
        self.existing_scope()?.get()
    }

    /// The message's scope; made when it is missing.
    fn scope(&mut self) -> &Extensions {
        self.carrier_mut().get_or_insert_default::<Extensions>()
    }

    /// The message's scope, if it has one.
    fn existing_scope(&self) -> Option<&Extensions> {
        self.carrier().get::<Extensions>()
    }

    /// A child of the message's scope, for an attempt, a dial or an upgrade; a new scope when the message has none.
    fn fork_scope(&self) -> Extensions {
        self.existing_scope().map(Extensions::fork).unwrap_or_default()
    }

    /// Makes two children of the message's scope: one becomes the message's, for an attempt; the other one is for the
    /// attempt after it. `None` when the message has no scope.
    fn split_scope(&mut self) -> Option<Extensions> {
        self.carrier_mut().get_mut::<Extensions>().map(Extensions::split)
    }

    /// Gives the message a scope.
    fn set_scope(&mut self, scope: Extensions) {
        *self.carrier_mut().get_or_insert_default::<Extensions>() = scope;
    }

    /// Takes the scope away, to give it to another message.
    fn take_scope(&mut self) -> Option<Extensions> {
        self.carrier_mut().remove()
    }
}

macro_rules! message {
    ($([$($generics:tt)*] $message:ty, $get:expr, $get_mut:expr;)*) => {$(
        impl<$($generics)*> Message for $message {
            #[inline]
            fn carrier(&self) -> &http::Extensions {
                let get: fn(&Self) -> &http::Extensions = $get;
                get(self)
            }

            #[inline]
            fn carrier_mut(&mut self) -> &mut http::Extensions {
                let get: fn(&mut Self) -> &mut http::Extensions = $get_mut;
                get(self)
            }
        }
    )*};
}

message! {
    [B] Request<B>, |m| m.extensions(), |m| m.extensions_mut();
    [B] Response<B>, |m| m.extensions(), |m| m.extensions_mut();
    [] request::Parts, |m| &m.extensions, |m| &mut m.extensions;
    [] response::Parts, |m| &m.extensions, |m| &mut m.extensions;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::OnInformational;

    #[derive(Debug, PartialEq)]
    struct Peer(u8);
    #[derive(Debug, PartialEq)]
    struct Seen(u8);

    #[test]
    fn messages_of_one_connection_share_its_facts_and_never_each_others() {
        let connection = Extensions::new();
        connection.insert(Peer(1));
        let (mut first, mut second) = (Request::new(()), Request::new(()));
        first.set_scope(connection.fork());
        second.set_scope(connection.fork());

        first.scope().insert(Seen(1));

        assert_eq!(first.fact(), Some(&Seen(1)));
        assert_eq!(second.fact::<Seen>(), None);
        assert_eq!(connection.get::<Seen>(), None);
        assert_eq!(second.fact(), Some(&Peer(1)));
    }

    #[test]
    fn a_scope_survives_parts_and_moves_to_a_new_message() {
        let mut request = Request::new("body");
        request.scope().insert(Seen(2));
        let (mut parts, _) = request.into_parts();
        assert_eq!(parts.fact(), Some(&Seen(2)));
        let mut rebuilt = Request::new(());
        rebuilt.set_scope(parts.take_scope().unwrap());
        assert_eq!(rebuilt.fact(), Some(&Seen(2)));
        assert_eq!(parts.fact::<Seen>(), None);
    }

    #[test]
    fn two_attempts_see_the_request_and_not_each_other() {
        for known_before in [false, true] {
            let connection = Extensions::new();
            connection.insert(Peer(4));
            let mut request = Request::new(());
            assert!(request.split_scope().is_none());
            request.set_scope(connection.fork());
            if known_before {
                request.scope().insert(Seen(5));
            }
            let other = request.split_scope().unwrap();
            request.scope().insert(Seen(6));
            assert_eq!((request.fact(), request.fact()), (Some(&Peer(4)), Some(&Seen(6))));
            assert_eq!((other.get(), other.get()), (Some(&Peer(4)), known_before.then_some(&Seen(5))));
            assert_eq!(connection.get::<Seen>(), None);
        }
    }

    #[test]
    fn an_attempt_sees_the_request_and_not_the_reverse() {
        let mut request = Request::new(());
        request.scope().insert(Seen(3));
        let attempt = request.fork_scope();
        attempt.insert(Peer(9));
        assert_eq!(attempt.get(), Some(&Seen(3)));
        assert_eq!(request.fact::<Peer>(), None);
    }

    #[test]
    fn extensions_that_are_used_again_are_empty() {
        for others in [false, true] {
            let mut request = Request::new(());
            request.scope().insert(Peer(1));
            OnInformational::new(|_| {}).attach(&mut request);
            if others {
                request.extensions_mut().insert(7_u8);
            }
            let mut extensions = std::mem::take(request.extensions_mut());
            empty_extensions(&mut extensions);
            *request.extensions_mut() = extensions;
            assert_eq!((request.fact::<Peer>(), request.extensions().get::<u8>()), (None, None));
            assert!(OnInformational::of(&request).is_none());
            request.set_scope(Extensions::new());
            request.scope().insert(Seen(2));
            assert_eq!((request.fact::<Peer>(), request.fact()), (None, Some(&Seen(2))));
        }
    }
}
