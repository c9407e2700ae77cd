//! What a stack tells of itself.

use crate::Description;

/// Asserts that a layer shows what it wraps: that a node named `child` stands somewhere below `description`.
///
/// ```
/// use chaski_core::{ServiceExt, describe, service_fn, test_util::{assert_describes_child, mock}};
///
/// let (inner, _handle) = mock::<u8, u8, String>();
/// let layered = inner.map_output(|n| n + 1);
/// assert_describes_child(&describe::<u8, _>(&layered), "MockService");
/// ```
///
/// # Panics
///
/// When there is no such node; the message shows the tree.
#[track_caller]
pub fn assert_describes_child(description: &Description, child: &str) {
    fn shows(description: &Description, child: &str) -> bool {
        description.children().iter().any(|node| node.name() == child || shows(node, child))
    }
    assert!(shows(description, child), "no node named {child:?} stands below the first:\n{description}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_at_any_depth_is_found() {
        let tree = Description::named("outer").child(Description::named("middle").child(Description::named("leaf")));
        assert_describes_child(&tree, "middle");
        assert_describes_child(&tree, "leaf");
    }

    #[test]
    #[should_panic(expected = "no node named \"outer\" stands below the first:\nouter\n")]
    fn the_node_itself_is_not_its_child() {
        assert_describes_child(&Description::named("outer"), "outer");
    }
}
