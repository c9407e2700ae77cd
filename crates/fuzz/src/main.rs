//! Under `cargo xtask fuzz`, libFuzzer with the target that `CHASKI_FUZZ_TARGET` names. Built in the ordinary way, it runs
//! files through a target, once each: `chaski-fuzz TARGET FILE...`.

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
mod fuzzing {
    use std::sync::OnceLock;

    use chaski_fuzz::Target;

    /// One binary for all targets: it is built and linked once.
    fn target() -> &'static Target {
        static TARGET: OnceLock<&Target> = OnceLock::new();
        TARGET.get_or_init(|| {
            let name = std::env::var("CHASKI_FUZZ_TARGET").unwrap_or_default();
            chaski_fuzz::target(&name).unwrap_or_else(|| panic!("CHASKI_FUZZ_TARGET names no target: {name:?}"))
        })
    }

    libfuzzer_sys::fuzz_target!(|data: &[u8]| (target().run)(data));
}

#[cfg(not(fuzzing))]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().ok_or("usage: chaski-fuzz TARGET FILE...")?;
    let target = chaski_fuzz::target(&name).ok_or_else(|| format!("no target is called `{name}`"))?;
    for path in arguments {
        (target.run)(&std::fs::read(path)?);
    }
    Ok(())
}
