//! Wrong command lines, and the commands that only print.

use std::net::TcpListener;

use crate::support::{Chaski, command};

fn chaski(args: &[&str]) -> (Option<i32>, String, String) {
    let output = command(env!("CARGO_BIN_EXE_chaski")).args(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn wrong_command_lines_exit_with_2_and_name_what_is_wrong() {
    for (args, named) in [
        (&["proxy", "--bind", "nowhere"][..], "nowhere"),
        (&["proxy", "--bind", "unix:"], "needs a path"),
        (&["proxy", "--allow", "10.0.0.0/33"], "10.0.0.0/33"),
        (&["proxy", "--deny", "*:90-80"], "range of ports"),
        (&["proxy", "--user", "nobody"], "--user"),
        (&["proxy", "--max-per-user", "0"], "--max-per-user"),
        (&["proxy", "--rate-per-user", "often"], "10/s"),
        (&["proxy", "--rate-per-user", "0/s"], "--rate-per-user"),
        (&["proxy", "--connect-timeout", "soon"], "soon"),
        (&["proxy", "--connect-timeout", "0s", "--explain"], "--connect-timeout"),
        (&["proxy", "--idle-timeout", "0s", "--explain"], "--idle-timeout"),
        (&["proxy", "--client-timeout", "0s", "--explain"], "--client-timeout"),
        (&["proxy", "--max-connections", "0"], "--max-connections"),
        (&["proxy", "--threads", "0"], "--threads"),
        (&["proxy", "--frobnicate"], "--frobnicate"),
        (&["--log-level", "chaski=loud", "proxy"], "loud"),
        (&["--log-level", "chatty", "proxy"], "error, warn, info, debug, trace, off"),
        (&["--log-level", "warn,chaski_net", "proxy"], "\"chaski_net\""),
        (&["prxy"], "prxy"),
        (&[], "Usage"),
    ] {
        let (code, _, stderr) = chaski(args);
        assert_eq!(code, Some(2), "{args:?}: {stderr}");
        assert!(stderr.contains(named), "{args:?}: {stderr}");
    }
}

/// What a service manager writes to its log must not hold what was meant to be a secret.
#[test]
fn a_password_is_not_repeated_in_the_error() {
    for (args, env, named) in [
        (&["proxy", "--user", ":hunter2"][..], None, "the name is empty"),
        (&["proxy"], Some("hunter2"), "no colon"),
        (&["proxy"], Some("ana:hunter2\n"), "control character"),
    ] {
        let mut command = command(env!("CARGO_BIN_EXE_chaski"));
        let output = command.args(args).envs(env.map(|value| ("CHASKI_PROXY_USER", value))).output().unwrap();
        let told = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains(named) && told.contains("--user") && told.contains("CHASKI_PROXY_USER"), "{told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[test]
fn an_open_proxy_has_to_be_asked_for() {
    let (code, _, stderr) = chaski(&["proxy", "--bind", "0.0.0.0:0"]);
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("--open") && stderr.contains("--user"), "{stderr}");

    for (args, env) in [
        (&["proxy", "--bind", "0.0.0.0:0", "--open"][..], &[][..]),
        (&["proxy", "--bind", "0.0.0.0:0"], &[("CHASKI_PROXY_USER", "ana:secret")]),
    ] {
        let proxy = Chaski::start_with(args, env);
        let (status, _, stderr) = proxy.stop();
        assert_eq!(status.code(), Some(0), "{stderr}");
        assert!(!stderr.contains("secret"), "{stderr}");
    }
}

#[test]
fn an_address_in_use_is_told_and_exits_with_1() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let (code, _, stderr) = chaski(&["proxy", "--bind", &addr]);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains(&addr) && stderr.contains("in use"), "{stderr}");
    assert_eq!(stderr.matches("cannot listen").count(), 1, "told twice: {stderr}");
}

#[test]
fn help_and_version_go_to_standard_output() {
    let (code, stdout, _) = chaski(&["--version"]);
    assert_eq!(code, Some(0));
    assert_eq!(stdout.trim(), "chaski 0.1.0");
    let (code, stdout, _) = chaski(&["--help"]);
    assert_eq!(code, Some(0));
    assert!(stdout.contains("Examples:") && stdout.contains("Exit codes:"), "{stdout}");
}

/// As under `| head`.
#[test]
fn explain_to_a_reader_that_has_gone_is_no_failure() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = command(env!("CARGO_BIN_EXE_chaski"));
    let output = command.args(["proxy", "--bind", "127.0.0.1:0", "--explain"]).stdout(writer).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn explain_prints_the_stack_and_no_secret() {
    let (code, stdout, stderr) =
        chaski(&["proxy", "--bind", "127.0.0.1:0", "--user", "ana:hunter2", "--allow", "10.0.0.0/8", "--explain"]);
    assert_eq!(code, Some(0), "{stderr}");
    for part in [
        "TcpListener",
        "Http1Server",
        "ForwardProxy",
        "Dialer",
        "policy: Rules first_match=[allow 10.0.0.0/8, allow public, deny *]",
        "relay",
    ] {
        assert!(stdout.contains(part), "{part} is missing:\n{stdout}");
    }
    assert!(!stdout.contains("hunter2"), "{stdout}");
}

/// As they stand, whichever option each of them is.
#[test]
fn rules_keep_the_order_of_the_command_line() {
    let rules = ["--deny", "*:25", "--allow=10.0.0.0/8", "--allow", "*:443", "--deny=*"];
    let (code, stdout, stderr) = chaski(&[&["proxy", "--bind", "127.0.0.1:0", "--explain"], &rules[..]].concat());
    assert_eq!(code, Some(0), "{stderr}");
    let list = "first_match=[deny *:25, allow 10.0.0.0/8, allow *:443, deny *, allow public, deny *]";
    assert!(stdout.contains(list), "{stdout}");
}
