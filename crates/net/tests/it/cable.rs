//! Two network namespaces with a cable between them: machines of their own, in which this test binary runs itself again.

use crate::support::{Again, command, skip};

/// The address of the near end, and that of the far one.
pub(crate) const NEAR: &str = "10.255.255.1";
pub(crate) const FAR: &str = "10.255.255.2";

/// The name of the interface at both ends.
pub(crate) const INTERFACE: &str = "cable";

/// Tells a process that it was started here, and what it is to do.
const ROLE: &str = "CHASKI_NET_CABLE_ROLE";

/// What this process is to do, if it was started by a test.
pub(crate) fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// The two namespaces, removed when this is dropped.
pub(crate) struct Cable {
    test: &'static str,
    near: String,
    far: String,
}

impl Cable {
    /// For a test with this path. Where namespaces or their interfaces cannot be made, the test is counted as skipped.
    pub(crate) fn lay(test: &'static str) -> Option<Self> {
        match Self::try_lay(test) {
            Ok(cable) => Some(cable),
            Err(refusal) => {
                let name = test.rsplit("::").next().unwrap_or(test);
                skip(name, &format!("permission to make network namespaces ({refusal})"));
                None
            }
        }
    }

    /// Fails with the words of `ip`.
    fn try_lay(test: &'static str) -> Result<Self, String> {
        let name = |end| format!("chaski-{}-{end}", std::process::id());
        let cable = Self { test, near: name("near"), far: name("far") };
        ip(&["netns", "add", &cable.near])?;
        ip(&["netns", "add", &cable.far])?;
        let peer = ["peer", "name", INTERFACE, "netns", &cable.far];
        ip(&[&["link", "add", INTERFACE, "netns", &cable.near, "type", "veth"][..], &peer].concat())?;
        for (namespace, addr) in [(&cable.near, NEAR), (&cable.far, FAR)] {
            ip(&["-n", namespace, "addr", "add", &format!("{addr}/24"), "dev", INTERFACE]).unwrap();
            ip(&["-n", namespace, "link", "set", INTERFACE, "up"]).unwrap();
        }
        Ok(cable)
    }

    /// Adds a link-local address at each end, at once usable. Fails where there is no IPv6.
    pub(crate) fn add_link_local(&self, near: &str, far: &str) -> Result<(), String> {
        for (namespace, addr) in [(&self.near, near), (&self.far, far)] {
            ip(&["-n", namespace, "addr", "add", &format!("{addr}/64"), "dev", INTERFACE, "nodad"])?;
        }
        Ok(())
    }

    /// From now on the frames of the near end are for a machine that is not there. Its link stays up and nobody answers with
    /// an error, as when a peer loses its power behind a router.
    pub(crate) fn lose_what_is_sent(&self) {
        let nobody = ["lladdr", "02:00:00:00:00:99", "dev", INTERFACE, "nud", "permanent"];
        ip(&[&["-n", &self.near, "neigh", "replace", FAR][..], &nobody].concat()).unwrap();
    }

    /// Runs the test again at the near end.
    pub(crate) fn run_near(&self, role: &str) -> Again {
        self.run(&self.near, role)
    }

    /// Runs the test again at the far end.
    pub(crate) fn run_far(&self, role: &str) -> Again {
        self.run(&self.far, role)
    }

    fn run(&self, namespace: &str, role: &str) -> Again {
        let mut again = command("ip");
        again.args(["netns", "exec", namespace]).arg(std::env::current_exe().unwrap());
        Again::start(again.args(["--exact", self.test, "--nocapture"]).env(ROLE, role))
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        // What was never made is no loss.
        let _ = ip(&["netns", "del", &self.near]);
        let _ = ip(&["netns", "del", &self.far]);
    }
}

fn ip(arguments: &[&str]) -> Result<(), String> {
    let done = command("ip").args(arguments).output().unwrap();
    let words = String::from_utf8_lossy(&done.stderr);
    if done.status.success() { Ok(()) } else { Err(words.lines().next().unwrap_or_default().to_owned()) }
}
