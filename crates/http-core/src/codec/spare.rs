//! A header map that is used again.

use http::HeaderMap;

use super::error::{HeadError, HeadFault};

/// Maps larger than this are not kept: one unusual message shall not decide
/// what its connection holds from then on.
const MAX_CAPACITY: usize = 64;

/// At most one cleared map.
#[derive(Debug, Default)]
pub(super) struct Spare(Option<HeaderMap>);

impl Spare {
    /// Clears a map and keeps it if its size is worth it.
    #[inline]
    pub(super) fn put(&mut self, mut map: HeaderMap) {
        if map.capacity() > 0 && map.capacity() <= MAX_CAPACITY {
            map.clear();
            self.0 = Some(map);
        }
    }

    /// An empty map with room for `count` names.
    #[inline]
    pub(super) fn take(&mut self, count: usize, limit: usize) -> Result<HeaderMap, HeadError> {
        if let Some(map) = self.0.take_if(|map| map.capacity() >= count) {
            return Ok(map);
        }
        HeaderMap::try_with_capacity(count).map_err(|_| HeadError::new(HeadFault::TooManyHeaders { limit }, 0))
    }
}
