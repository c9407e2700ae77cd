//! How services wrap services.

use std::{fmt, marker::PhantomData};

use crate::{BoxService, Service};

/// Wraps a service in another.
///
/// A tuple of layers, up to 16, is a layer: the first is the outermost. `()` changes nothing.
///
/// ```
/// use chaski_core::{Service, ServiceExt, layer_fn, service_fn, stack};
/// use std::convert::Infallible;
///
/// # async fn example() -> Result<(), Infallible> {
/// let twice = stack(
///     (
///         layer_fn(|inner| ServiceExt::map_input(inner, |n: u32| n + 1)),
///         layer_fn(|inner| ServiceExt::map_input(inner, |n: u32| n * 2)),
///     ),
///     service_fn(async |n: u32| Ok::<_, Infallible>(n)),
/// );
/// assert_eq!(twice.serve(20).await?, 42);
/// # Ok(()) }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(example()).unwrap();
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a layer around `{S}`",
    label = "not a `Layer`: in `stack((layers..), service)` the service stands last; `layer_fn(|inner| ..)` makes a layer of a closure"
)]
pub trait Layer<S> {
    /// The service that the layer makes of `S`.
    type Service;

    /// Wraps `inner`.
    fn layer(&self, inner: S) -> Self::Service;
}

/// Builds a stack: the layers, outermost first, and the service that they wrap.
#[inline]
pub fn stack<L: Layer<S>, S>(layers: L, service: S) -> L::Service {
    layers.layer(service)
}

/// Makes a layer of a function from a service to a service.
pub const fn layer_fn<F>(function: F) -> LayerFn<F> {
    LayerFn { function }
}

/// A layer made by [`layer_fn`].
#[derive(Clone, Copy)]
pub struct LayerFn<F> {
    function: F,
}

impl<S, Out, F: Fn(S) -> Out> Layer<S> for LayerFn<F> {
    type Service = Out;

    fn layer(&self, inner: S) -> Out {
        (self.function)(inner)
    }
}

impl<F> fmt::Debug for LayerFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LayerFn").finish_non_exhaustive()
    }
}

/// A layer that may be absent.
///
/// Both cases end in a [`BoxService`]: an enum of "with" and "without" would double the type of the stack, and its
/// compile time more than that, at every optional layer.
pub const fn optional<L, Input>(layer: Option<L>) -> Optional<L, Input> {
    Optional { layer, input: PhantomData }
}

/// Made by [`optional`].
pub struct Optional<L, Input> {
    layer: Option<L>,
    input: PhantomData<fn(Input)>,
}

impl<L, Input, S> Layer<S> for Optional<L, Input>
where
    Input: Send + 'static,
    S: Service<Input>,
    L: Layer<S>,
    L::Service: Service<Input, Output = S::Output, Error = S::Error>,
{
    type Service = BoxService<Input, S::Output, S::Error>;

    fn layer(&self, inner: S) -> Self::Service {
        match &self.layer {
            Some(layer) => BoxService::new(layer.layer(inner)),
            None => BoxService::new(inner),
        }
    }
}

impl<L: Clone, Input> Clone for Optional<L, Input> {
    fn clone(&self) -> Self {
        Self { layer: self.layer.clone(), input: PhantomData }
    }
}

impl<L: fmt::Debug, Input> fmt::Debug for Optional<L, Input> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Optional").field(&self.layer).finish()
    }
}

impl<S> Layer<S> for () {
    type Service = S;

    fn layer(&self, inner: S) -> S {
        inner
    }
}

impl<S, L: Layer<S>> Layer<S> for &L {
    type Service = L::Service;

    fn layer(&self, inner: S) -> L::Service {
        (**self).layer(inner)
    }
}

/// Implements `Layer` for tuples of growing length: a tuple, its innermost layer, the pairs of each layer and the next
/// one inside it; then the layers to put outside, one after the other.
macro_rules! tuple_layers {
    ([$first:ident $($more:ident)*] $last:ident [$(($outer:ident $inside:ident))*] $($rest:ident)*) => {
        impl<Inner, $first, $($more),*> Layer<Inner> for ($first, $($more,)*)
        where
            $last: Layer<Inner>,
            $($outer: Layer<$inside::Service>,)*
        {
            type Service = $first::Service;

            #[expect(non_snake_case, reason = "the macro names values after their type parameters")]
            fn layer(&self, inner: Inner) -> Self::Service {
                let ($first, $($more,)*) = self;
                let service = $last.layer(inner);
                $(let service = $outer.layer(service);)*
                service
            }
        }
        tuple_layers!(@next [$first $($more)*] $last [$(($outer $inside))*] $($rest)*);
    };
    (@next [$first:ident $($more:ident)*] $last:ident [$($pairs:tt)*] $next:ident $($rest:ident)*) => {
        tuple_layers!([$next $first $($more)*] $last [$($pairs)* ($next $first)] $($rest)*);
    };
    (@next [$($all:ident)*] $last:ident [$($pairs:tt)*]) => {};
}

tuple_layers!([A] A [] B C D E F G H I J K L M N O P);

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, future::Future};

    use super::*;
    use crate::{Description, describe, service_fn};

    /// Appends its letter on the way in.
    struct Letter(char);

    impl<S: Service<String>> Layer<S> for Letter {
        type Service = Lettered<S>;

        fn layer(&self, inner: S) -> Lettered<S> {
            Lettered { letter: self.0, inner }
        }
    }

    struct Lettered<S> {
        letter: char,
        inner: S,
    }

    impl<S: Service<String>> Service<String> for Lettered<S> {
        type Output = S::Output;
        type Error = S::Error;

        fn serve(&self, mut text: String) -> impl Future<Output = Result<S::Output, S::Error>> + Send {
            text.push(self.letter);
            self.inner.serve(text)
        }

        fn describe(&self) -> Description {
            Description::of::<Self>().child(self.inner.describe())
        }
    }

    fn leaf() -> impl Service<String, Output = String, Error = Infallible> {
        service_fn(async |text: String| Ok::<_, Infallible>(text))
    }

    #[tokio::test]
    async fn the_first_layer_is_the_outermost() {
        let abc = stack((Letter('a'), Letter('b'), Letter('c')), leaf());
        assert_eq!(abc.serve(String::new()).await.unwrap(), "abc");
        let none = stack((), leaf());
        assert_eq!(none.serve(String::new()).await.unwrap(), "");
    }

    #[tokio::test]
    async fn sixteen_layers_make_one() {
        let l = Letter;
        let layers = (
            l('0'),
            l('1'),
            l('2'),
            l('3'),
            l('4'),
            l('5'),
            l('6'),
            l('7'),
            l('8'),
            l('9'),
            l('a'),
            l('b'),
            l('c'),
            l('d'),
            l('e'),
            l('f'),
        );
        assert_eq!(stack(layers, leaf()).serve(String::new()).await.unwrap(), "0123456789abcdef");
    }

    #[tokio::test]
    async fn an_optional_layer_is_there_or_not() {
        for (layer, expected) in [(Some(Letter('x')), "x"), (None, "")] {
            let service = stack(optional(layer), leaf());
            assert_eq!(service.serve(String::new()).await.unwrap(), expected);
        }
    }

    #[test]
    fn layers_show_what_they_wrap() {
        let text = describe::<String, _>(&stack((Letter('a'), Letter('b')), leaf())).to_string();
        assert!(text.starts_with("Lettered\n└─ Lettered\n   └─ service_fn"), "{text}");
    }
}
