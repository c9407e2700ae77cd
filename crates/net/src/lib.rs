//! TCP and in-memory listeners and connectors: where connections come from.
