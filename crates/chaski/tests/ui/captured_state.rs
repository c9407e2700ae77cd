//! An async closure that captures: state goes through `service_fn_with`.

use std::{convert::Infallible, sync::Arc};

use chaski::{check, service_fn};

fn main() {
    let greeting = Arc::new(String::from("hello"));
    let greet = service_fn(async move |name: String| Ok::<_, Infallible>(format!("{greeting}, {name}")));
    let _ = check::<String, _>(greet);
}
