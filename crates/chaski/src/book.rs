//! The pages of the guide, so that their examples are compiled and run as doctests of this crate.

#[doc = include_str!("../../../book/src/introduction.md")]
struct Introduction;

#[doc = include_str!("../../../book/src/why.md")]
struct Why;

#[doc = include_str!("../../../book/src/services.md")]
struct Services;

#[doc = include_str!("../../../book/src/layers.md")]
struct Layers;

#[doc = include_str!("../../../book/src/stacks.md")]
struct Stacks;

#[doc = include_str!("../../../book/src/connections.md")]
struct Connections;

#[doc = include_str!("../../../book/src/extensions.md")]
struct FactsAndScopes;

#[doc = include_str!("../../../book/src/errors.md")]
struct Errors;

#[doc = include_str!("../../../book/src/shutdown.md")]
struct ShuttingDown;

#[doc = include_str!("../../../book/src/testing.md")]
struct Testing;

#[doc = include_str!("../../../book/src/writing.md")]
struct Writing;

#[doc = include_str!("../../../book/src/proxy.md")]
struct TheProxy;

#[doc = include_str!("../../../book/src/performance.md")]
struct Performance;

#[doc = include_str!("../../../book/src/limits.md")]
struct Limits;

#[doc = include_str!("../../../book/src/coming-from.md")]
struct ComingFrom;

#[doc = include_str!("../../../book/src/architecture.md")]
struct Architecture;

#[doc = include_str!("../README.md")]
struct Readme;

#[doc = include_str!("../../../book/src/tls.md")]
struct Tls;

#[doc = include_str!("../../../book/src/http2.md")]
struct Http2;
