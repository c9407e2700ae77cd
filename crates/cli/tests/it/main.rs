//! The binary against real programs, all on loopback. The modules say that they are tests, so that the lints for tests hold
//! in their helpers too.

#[cfg(test)]
mod access_log;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod descriptors;
#[cfg(test)]
mod echo;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod floods;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod listeners;
#[cfg(test)]
mod programs;
#[cfg(test)]
mod proxy_auth;
#[cfg(test)]
mod proxy_forward;
#[cfg(test)]
mod proxy_large;
#[cfg(test)]
mod proxy_status;
#[cfg(test)]
mod proxy_trouble;
#[cfg(test)]
mod proxy_tunnel;
#[cfg(test)]
mod proxy_users;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod slow_clients;
#[cfg(test)]
mod smuggling;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tls;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod tunnel_pumps;
#[cfg(test)]
mod usage;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod vitals;
