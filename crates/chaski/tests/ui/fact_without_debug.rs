//! A fact has to be printable.

use chaski::Extensions;

struct Tenant(String);

fn main() {
    Extensions::new().insert(Tenant("acme".to_owned()));
}
