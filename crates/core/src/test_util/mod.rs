//! Tests without infrastructure: pipes with chosen faults, mock services, scripted peers.
