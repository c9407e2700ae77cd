use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    hash::Hash,
    num::{NonZeroU32, NonZeroUsize},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chaski_core::{Description, Layer, Service};
use tokio::time::Instant;

use crate::LayerError;

/// How often calls may happen: so many in a period, and so many at once after a pause.
///
/// A token bucket: it holds `burst` tokens, a call takes one, and one comes back every `period / calls`. Whatever the
/// callers do, no window as long as the period sees more than `calls + burst` of them. The time for one token is
/// rounded up to a whole nanosecond. A period of zero limits nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    calls: NonZeroU32,
    period: Duration,
    burst: NonZeroU32,
}

impl Rate {
    /// The longest period, a year of 365 days: what is longer counts as this.
    pub const MAX_PERIOD: Duration = Duration::from_secs(365 * 24 * 60 * 60);

    /// So many calls in each period, and as many at once after a pause.
    #[must_use]
    pub fn new(calls: NonZeroU32, period: Duration) -> Self {
        Self { calls, period: period.min(Self::MAX_PERIOD), burst: calls }
    }

    /// How many calls may come at once after a pause. With 1 they are spread evenly.
    #[must_use]
    pub const fn with_burst(mut self, calls: NonZeroU32) -> Self {
        self.burst = calls;
        self
    }

    /// The time that one token takes to come back; rounded up, so that the rate is never exceeded.
    fn interval(&self) -> Duration {
        let nanos = self.period.as_nanos().div_ceil(u128::from(self.calls.get()));
        // A year fits, with room for five hundred more.
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Takes a token at `now` from a bucket that is full again at `full_at`; gives the new time at which it will be.
    ///
    /// The bucket is this one instant (the generic cell rate algorithm), so nothing has to refill it: a bucket is empty
    /// when it is full again only after `burst` intervals.
    fn take(&self, full_at: Option<Instant>, now: Instant) -> Result<Instant, RateLimited> {
        // A century of tokens is more than anybody saves up, and keeps the sums below in range.
        let century = Self::MAX_PERIOD * 100;
        let ahead = self.interval().saturating_mul(self.burst.get() - 1).min(century);
        let full_at = full_at.unwrap_or(now).max(now);
        match (full_at - now).checked_sub(ahead) {
            None | Some(Duration::ZERO) => Ok(full_at + self.interval()),
            Some(retry_after) => Err(RateLimited { retry_after }),
        }
    }

    fn describe(&self, node: Description) -> Description {
        node.setting("rate", format_args!("{}/{:?}", self.calls, self.period)).setting("burst", self.burst)
    }
}

/// The rate was exceeded. The call was not begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many calls, the next one in {retry_after:?}")]
#[non_exhaustive]
pub struct RateLimited {
    /// When a call would pass, if no other comes before it: what HTTP calls `Retry-After`.
    pub retry_after: Duration,
}

/// Bounds how often the service below is called, by all callers together.
///
/// The limit belongs to the layer: the services that one layer and its clones make share it.
///
/// ```
/// use chaski_core::{Service, service_fn, stack};
/// use chaski_middleware::{LayerError, Rate, RateLimitLayer};
/// use std::{convert::Infallible, num::NonZeroU32, time::Duration};
///
/// # async fn example() {
/// let once_an_hour = Rate::new(NonZeroU32::MIN, Duration::from_secs(3600));
/// let service = stack(RateLimitLayer::new(once_an_hour), service_fn(async |n: u8| Ok::<_, Infallible>(n)));
/// assert_eq!(service.serve(1).await, Ok(1));
///
/// let Err(LayerError::Layer(limited)) = service.serve(2).await else { unreachable!() };
/// assert!(limited.retry_after > Duration::from_secs(3500));
/// # }
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(example());
/// ```
///
/// # Errors
///
/// [`LayerError::Layer`] with [`RateLimited`] when the rate is exceeded; nothing waits. [`LayerError::Inner`] is the
/// inner service's error.
///
/// # Cancel safety
///
/// The token is taken when the call is first polled and does not come back when the call is dropped or fails.
///
/// # Order
///
/// Outside of whatever is dear. Outside a concurrency limit what that sheds has cost a token, inside it has not.
///
/// # Limits
///
/// One instant in memory, behind a lock that is held for a comparison.
#[derive(Clone, Debug)]
pub struct RateLimitLayer {
    rate: Rate,
    full_at: Arc<Mutex<Option<Instant>>>,
}

impl RateLimitLayer {
    /// A bucket that starts full.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self { rate, full_at: Arc::default() }
    }
}

impl<S> Layer<S> for RateLimitLayer {
    type Service = RateLimit<S>;

    fn layer(&self, inner: S) -> RateLimit<S> {
        RateLimit { inner, limit: self.clone() }
    }
}

/// A service with a bound on how often it is called; made by [`RateLimitLayer`], where the contract stands.
#[derive(Clone, Debug)]
pub struct RateLimit<S> {
    inner: S,
    limit: RateLimitLayer,
}

impl<S> RateLimit<S> {
    fn take(&self) -> Result<(), RateLimited> {
        // Nothing panics while the lock is held.
        let mut full_at = self.limit.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        *full_at = Some(self.limit.rate.take(*full_at, Instant::now())?);
        Ok(())
    }
}

impl<Input, S> Service<Input> for RateLimit<S>
where
    Input: Send + 'static,
    S: Service<Input>,
{
    type Output = S::Output;
    type Error = LayerError<RateLimited, S::Error>;

    async fn serve(&self, input: Input) -> Result<S::Output, Self::Error> {
        self.take().map_err(LayerError::Layer)?;
        self.inner.serve(input).await.map_err(LayerError::Inner)
    }

    fn describe(&self) -> Description {
        self.limit.rate.describe(Description::of::<Self>()).child(self.inner.describe())
    }
}

/// Bounds how often the service below is called by each of many, told apart by a function of the input: the peer's
/// address, the user.
///
/// The buckets belong to the layer: the services that one layer and its clones make share them.
///
/// Errors, cancellation and order are those of [`RateLimitLayer`].
///
/// # Limits
///
/// At most `max_keys` buckets are in memory, each with two copies of its key. A bucket that is full again is as good as
/// none, and each new key throws out up to two such. When there is no room even so, the bucket goes that is full again
/// soonest: its key starts anew, and those who have asked most stay limited. Whoever can call under any number of keys
/// is bounded only by a [`RateLimitLayer`] outside of this one, and a peer's IPv6 address is such a key: take its /64.
///
/// One lock for all keys, held for a look-up in a hash map and a change of a tree; the key's `Hash`, `Eq` and `Clone`
/// run under it and should be cheap.
pub struct KeyedRateLimitLayer<F, K> {
    rate: Rate,
    key: F,
    buckets: Arc<Mutex<Buckets<K>>>,
}

impl<F, K> KeyedRateLimitLayer<F, K> {
    /// A bucket for each key, at most `max_keys` of them.
    #[must_use]
    pub fn new<Input>(rate: Rate, max_keys: NonZeroUsize, key: F) -> Self
    where
        F: Fn(&Input) -> K,
    {
        Self { rate, key, buckets: Arc::new(Mutex::new(Buckets::new(max_keys))) }
    }
}

impl<S, F: Clone, K> Layer<S> for KeyedRateLimitLayer<F, K> {
    type Service = KeyedRateLimit<S, F, K>;

    fn layer(&self, inner: S) -> KeyedRateLimit<S, F, K> {
        KeyedRateLimit { inner, limit: self.clone() }
    }
}

impl<F: Clone, K> Clone for KeyedRateLimitLayer<F, K> {
    fn clone(&self) -> Self {
        Self { rate: self.rate, key: self.key.clone(), buckets: Arc::clone(&self.buckets) }
    }
}

impl<F, K> fmt::Debug for KeyedRateLimitLayer<F, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedRateLimitLayer").field("rate", &self.rate).finish_non_exhaustive()
    }
}

/// A service with a bound on how often each key calls it; made by [`KeyedRateLimitLayer`], where the contract stands.
pub struct KeyedRateLimit<S, F, K> {
    inner: S,
    limit: KeyedRateLimitLayer<F, K>,
}

// Written out, because a closure is no `Debug`, and neither trait is needed of the key.
impl<S: Clone, F: Clone, K> Clone for KeyedRateLimit<S, F, K> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), limit: self.limit.clone() }
    }
}

impl<S: fmt::Debug, F, K> fmt::Debug for KeyedRateLimit<S, F, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedRateLimit").field("inner", &self.inner).field("limit", &self.limit).finish()
    }
}

impl<Input, S, F, K> Service<Input> for KeyedRateLimit<S, F, K>
where
    Input: Send + 'static,
    S: Service<Input>,
    F: Fn(&Input) -> K + Send + Sync + 'static,
    K: Hash + Eq + Clone + Send + 'static,
{
    type Output = S::Output;
    type Error = LayerError<RateLimited, S::Error>;

    async fn serve(&self, input: Input) -> Result<S::Output, Self::Error> {
        let KeyedRateLimitLayer { rate, key, buckets } = &self.limit;
        let key = key(&input);
        // A key whose `Hash` panicked leaves at worst a bucket that is found on one side only; it is passed over.
        let taken = buckets.lock().unwrap_or_else(PoisonError::into_inner).take(key, rate, Instant::now());
        taken.map_err(LayerError::Layer)?;
        self.inner.serve(input).await.map_err(LayerError::Inner)
    }

    fn describe(&self) -> Description {
        let max_keys = self.limit.buckets.lock().unwrap_or_else(PoisonError::into_inner).max_keys;
        let node = self.limit.rate.describe(Description::of::<Self>()).setting("max_keys", max_keys);
        node.child(self.inner.describe())
    }
}

/// When a bucket is full again, and a number that tells those of one instant apart.
type Place = (Instant, u64);

/// Buckets by key, and in the order in which they are full again.
struct Buckets<K> {
    max_keys: NonZeroUsize,
    places: HashMap<K, Place>,
    order: BTreeMap<Place, K>,
    serial: u64,
}

impl<K> Buckets<K> {
    fn new(max_keys: NonZeroUsize) -> Self {
        Self { max_keys, places: HashMap::new(), order: BTreeMap::new(), serial: 0 }
    }
}

impl<K: Hash + Eq + Clone> Buckets<K> {
    fn take(&mut self, key: K, rate: &Rate, now: Instant) -> Result<(), RateLimited> {
        let known = self.places.get(&key).copied();
        let full_at = rate.take(known.map(|(full_at, _)| full_at), now)?;
        self.serial += 1;
        let place = (full_at, self.serial);
        if let Some(old) = known {
            let stored = self.order.remove(&old).unwrap_or_else(|| key.clone());
            self.order.insert(place, stored);
        } else {
            self.make_room(now);
            self.order.insert(place, key.clone());
        }
        self.places.insert(key, place);
        Ok(())
    }

    fn make_room(&mut self, now: Instant) {
        // Two for one: the map shrinks when the crowd has left, and no call pays for all of it.
        for _ in 0..2 {
            let full = self.order.first_key_value().is_some_and(|(&(full_at, _), _)| full_at <= now);
            if !full && self.places.len() < self.max_keys.get() {
                break;
            }
            if let Some((_, key)) = self.order.pop_first() {
                self.places.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use chaski_core::{describe, service_fn, stack, test_util::mock};
    use tokio::time::{advance, sleep};

    use super::*;

    type Answer<T> = Result<T, LayerError<RateLimited, Infallible>>;

    fn rate(calls: u32, millis: u64, burst: u32) -> Rate {
        let some = |n| NonZeroU32::new(n).unwrap();
        Rate::new(some(calls), Duration::from_millis(millis)).with_burst(some(burst))
    }

    fn keys(n: usize) -> NonZeroUsize {
        NonZeroUsize::new(n).unwrap()
    }

    fn refused<T>(millis: u64) -> Answer<T> {
        Err(LayerError::Layer(RateLimited { retry_after: Duration::from_millis(millis) }))
    }

    fn echo<T: Send + 'static>() -> impl Service<T, Output = T, Error = Infallible> {
        service_fn(async |input: T| Ok::<_, Infallible>(input))
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_and_then_one_call_for_each_token() {
        // A token every 100 ms, three of them saved up.
        let service = stack(RateLimitLayer::new(rate(10, 1000, 3)), echo::<u8>());
        for n in 0..3 {
            assert_eq!(service.serve(n).await, Ok(n));
        }
        assert_eq!(service.serve(3).await, refused(100));
        advance(Duration::from_millis(40)).await;
        assert_eq!(service.serve(3).await, refused(60), "a refused call costs nothing");
        advance(Duration::from_millis(60)).await;
        assert_eq!(service.serve(3).await, Ok(3));
        assert_eq!(service.serve(4).await, refused(100));
        // However long the pause, no more than the burst is saved up.
        sleep(Duration::from_secs(100)).await;
        for n in 0..3 {
            assert_eq!(service.serve(n).await, Ok(n));
        }
        assert_eq!(service.serve(3).await, refused(100));
    }

    #[tokio::test(start_paused = true)]
    async fn services_of_one_layer_share_its_bucket() {
        let layer = RateLimitLayer::new(rate(1, 1000, 1));
        let (first, second) = (stack(&layer, echo::<u8>()), stack(layer.clone(), echo::<u8>()));
        assert_eq!(first.serve(1).await, Ok(1));
        assert_eq!(second.serve(2).await, refused(1000));
    }

    #[tokio::test(start_paused = true)]
    async fn extreme_rates_overflow_nothing() {
        let never = Rate::new(NonZeroU32::MIN, Duration::MAX).with_burst(NonZeroU32::MAX);
        let always = Rate::new(NonZeroU32::MAX, Duration::ZERO).with_burst(NonZeroU32::MIN);
        for rate in [never, always] {
            let service = stack(RateLimitLayer::new(rate), echo::<u8>());
            for n in 0..100 {
                assert_eq!(service.serve(n).await, Ok(n));
            }
        }
    }

    /// Callers that come at random times, in crowds and after pauses, against rates whose tokens do not divide evenly.
    #[test]
    fn no_window_of_a_period_sees_more_than_the_calls_and_the_burst() {
        let start = Instant::now();
        for (calls, period, burst) in
            [(3, 10, 1), (3, 10, 5), (7, 1_000, 2), (1, 999, 4), (1_000, 1_001, 10), (5, 2, 3)]
        {
            let some = |n| NonZeroU32::new(n).unwrap();
            let limit = Rate::new(some(calls), Duration::from_nanos(period)).with_burst(some(burst));
            let (mut now, mut full_at, mut passed, mut random) = (0_u64, None, Vec::new(), u64::from(burst));
            for _ in 0..20_000 {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                now += [0, 0, 0, 1, period / u64::from(calls), 3 * period][(random >> 33) as usize % 6];
                let at = |nanos| start + Duration::from_nanos(nanos);
                match limit.take(full_at, at(now)) {
                    Ok(next) => {
                        full_at = Some(next);
                        passed.push(now);
                    }
                    Err(RateLimited { retry_after }) => {
                        let due = now + u64::try_from(retry_after.as_nanos()).unwrap();
                        assert!(limit.take(full_at, at(due)).is_ok(), "a call passes when it was told to come again");
                        assert!(limit.take(full_at, at(due - 1)).is_err(), "and not before");
                    }
                }
            }
            let most = (calls + burst) as usize;
            for window in passed.windows(most + 1) {
                assert!(window[most] - window[0] > period, "{calls}/{period} ns, burst {burst}: {window:?}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_key_has_its_own_bucket() {
        let layer = KeyedRateLimitLayer::new(rate(1, 1000, 1), keys(10), |input: &(char, u8)| input.0);
        let service = stack(layer, echo());
        assert_eq!(service.serve(('a', 1)).await, Ok(('a', 1)));
        assert_eq!(service.serve(('a', 2)).await, refused(1000));
        assert_eq!(service.serve(('b', 3)).await, Ok(('b', 3)));
        advance(Duration::from_millis(1000)).await;
        assert_eq!(service.serve(('a', 4)).await, Ok(('a', 4)));
        assert_eq!(service.serve(('a', 5)).await, refused(1000));
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_buckets_than_allowed_and_who_asked_most_stays() {
        let layer = KeyedRateLimitLayer::new(rate(1, 1000, 2), keys(3), |n: &u32| *n);
        let count = || {
            let buckets = layer.buckets.lock().unwrap();
            assert_eq!(buckets.places.len(), buckets.order.len());
            buckets.places.len()
        };
        let service = stack(&layer, echo());
        for _ in 0..2 {
            assert_eq!(service.serve(0).await, Ok(0));
        }
        for n in 1..1000 {
            assert_eq!(service.serve(n).await, Ok(n));
            assert!(count() <= 3);
        }
        assert_eq!(service.serve(0).await, refused(1000), "a crowd of keys does not wash out the one that is limited");
        // Those that are full again go two at a time.
        sleep(Duration::from_secs(10)).await;
        let before = count();
        assert_eq!(service.serve(5000).await, Ok(5000));
        assert_eq!(count(), before - 1);
    }

    /// Neither the function nor the key has to be printable, and the key of a service that is cloned only comparable.
    #[tokio::test(start_paused = true)]
    async fn a_keyed_service_is_printed_and_cloned_with_its_buckets() {
        let layer = KeyedRateLimitLayer::new(rate(1, 1000, 1), keys(2), |input: &u8| *input);
        let service = stack(layer, mock::<u8, u8, Infallible>().0);
        assert!(format!("{service:?}").starts_with("KeyedRateLimit"), "{service:?}");

        let layer = KeyedRateLimitLayer::new(rate(1, 1000, 1), keys(2), |input: &u8| *input);
        let service = stack(layer, service_fn(async |input: u8| Ok::<_, Infallible>(input)));
        assert_eq!(service.serve(1).await, Ok(1));
        assert_eq!(service.clone().serve(1).await, refused(1000));
    }

    #[test]
    fn they_show_their_settings_and_what_they_wrap() {
        let global = describe::<u8, _>(&stack(RateLimitLayer::new(rate(10, 1000, 3)), echo::<u8>())).to_string();
        assert!(global.starts_with("RateLimit rate=10/1s burst=3\n└─ service_fn"), "{global}");
        let layer = KeyedRateLimitLayer::new(rate(10, 1000, 3), keys(7), |n: &u8| *n);
        let keyed = describe::<u8, _>(&stack(layer, echo::<u8>())).to_string();
        assert!(keyed.starts_with("KeyedRateLimit rate=10/1s burst=3 max_keys=7\n└─ service_fn"), "{keyed}");
    }
}
