use std::io;

use chaski_core::{display_chain, find_cause};
use socket2::{Domain, Socket, Type};

use super::*;
use crate::SocketOptionError;

fn socket() -> Socket {
    Socket::new(Domain::IPV4, Type::STREAM, None).unwrap()
}

/// How the refusal of an option prints, and its kind.
fn refusal(options: &SocketOptions) -> (String, io::ErrorKind) {
    let error = options.apply(&socket()).unwrap_err();
    assert!(find_cause::<SocketOptionError>(&error).is_some());
    (display_chain(&error).to_string(), error.kind())
}

#[test]
fn the_defaults_are_set_and_told() {
    let socket = socket();
    let effective = SocketOptions::default().apply(&socket).unwrap();
    assert!(effective.nodelay && socket.tcp_nodelay().unwrap());
    assert_eq!(effective.keepalive, Some(Duration::from_secs(60)));
    assert!(socket.keepalive().unwrap());
    assert_eq!((effective.user_timeout, effective.recv_buffer, effective.send_buffer), (None, None, None));
}

#[cfg(target_os = "linux")]
#[test]
fn every_option_reaches_the_kernel() {
    let socket = socket();
    let options = SocketOptions::new()
        .with_nodelay(false)
        .with_keepalive(Duration::from_millis(7_900))
        .with_keepalive_probes(Duration::from_secs(3), 5)
        .with_user_timeout(Duration::from_millis(2_500))
        .with_recv_buffer(65_536)
        .with_send_buffer(32_768);
    let effective = options.apply(&socket).unwrap();

    assert!(!socket.tcp_nodelay().unwrap());
    assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(7));
    assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(3));
    assert_eq!(socket.tcp_keepalive_retries().unwrap(), 5);
    assert_eq!(socket.tcp_user_timeout().unwrap(), Some(Duration::from_millis(2_500)));
    assert_eq!(effective.keepalive, Some(Duration::from_secs(7)));
    assert_eq!(effective.user_timeout, Some(Duration::from_millis(2_500)));
    // Linux doubles what is asked, for its own bookkeeping (socket(7)).
    assert_eq!((effective.recv_buffer, effective.send_buffer), (Some(131_072), Some(65_536)));
}

#[test]
fn times_that_would_round_to_zero_are_the_shortest_possible() {
    let socket = socket();
    let nanosecond = Duration::from_nanos(1);
    let options = SocketOptions::new().with_keepalive(nanosecond).with_keepalive_probes(nanosecond, 0);
    let effective = options.apply(&socket).unwrap();
    assert_eq!(effective.keepalive, Some(Duration::from_secs(1)));
    #[cfg(target_os = "linux")]
    {
        options.with_user_timeout(nanosecond).apply(&socket).unwrap();
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(Duration::from_millis(1)));
    }
}

/// Kernels refuse what is beyond their range, and a socket whose options are refused is closed: every one, then.
#[test]
fn times_beyond_what_kernels_take_are_the_longest_possible() {
    let socket = socket();
    let options = SocketOptions::new().with_keepalive(Duration::MAX).with_keepalive_probes(Duration::MAX, u32::MAX);
    let effective = options.apply(&socket).unwrap();
    assert_eq!(effective.keepalive, Some(Duration::from_secs(32_767)));
    #[cfg(target_os = "linux")]
    {
        assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(32_767));
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 127);
        let effective = options.with_user_timeout(Duration::MAX).apply(&socket).unwrap();
        assert_eq!(effective.user_timeout, socket.tcp_user_timeout().unwrap());
    }
}

#[test]
fn keepalive_can_be_turned_off() {
    let socket = socket();
    socket.set_keepalive(true).unwrap();
    let effective = SocketOptions::new().with_keepalive(None).apply(&socket).unwrap();
    assert_eq!(effective.keepalive, None);
    assert!(!socket.keepalive().unwrap());
}

/// The lower two bits are ECN's, and not set.
#[cfg(target_os = "linux")]
#[test]
fn the_traffic_class_is_that_of_the_sockets_family() {
    let options = SocketOptions::new().with_traffic_class(0xbb);
    let socket = socket();
    assert_eq!(options.apply(&socket).unwrap().traffic_class, Some(0xb8));
    assert_eq!(socket.tos_v4().unwrap(), 0xb8);

    let Ok(socket) = Socket::new(Domain::IPV6, Type::STREAM, None) else {
        println!("skipped: the_traffic_class_is_that_of_the_sockets_family needs IPv6");
        return;
    };
    assert_eq!(options.apply(&socket).unwrap().traffic_class, Some(0xb8));
    assert_eq!((socket.tclass_v6().unwrap(), socket.tos_v4().unwrap()), (0xb8, 0xb8));
}

#[cfg(target_os = "linux")]
#[test]
fn a_socket_is_bound_to_a_device() {
    let socket = socket();
    let options = SocketOptions::new().with_device("lo");
    for _ in 0..2 {
        // The second time nothing is left to do, and nothing is asked for that would take a privilege.
        assert_eq!(options.apply(&socket).unwrap().device.as_deref(), Some("lo"));
        assert_eq!(socket.device().unwrap().as_deref(), Some(&b"lo"[..]));
    }
}

/// A name that the kernel would cut short, or read as none, binds to nothing else instead.
#[cfg(target_os = "linux")]
#[test]
fn a_device_that_does_not_exist_is_named_in_the_error() {
    let options = SocketOptions::new().with_device("nowhere9");
    let text = "SO_BINDTODEVICE nowhere9: No such device (os error 19)".to_owned();
    assert_eq!(refusal(&options).0, text);
    for name in ["", "lo\0", "an-interface-of-more-than-15-bytes"] {
        let (text, kind) = refusal(&SocketOptions::new().with_device(name));
        assert_eq!(kind, io::ErrorKind::InvalidInput);
        assert_eq!(
            text,
            format!("SO_BINDTODEVICE {name}: the name of an interface has 1 to 15 bytes, none of them zero")
        );
    }
}

/// With the privilege it is set, without it the error names option and value: one of them holds for whoever runs this.
#[cfg(target_os = "linux")]
#[test]
fn a_mark_is_set_or_refused_by_name() {
    let socket = socket();
    let options = SocketOptions::new().with_mark(7);
    match options.apply(&socket) {
        Ok(effective) => {
            assert_eq!((effective.mark, socket.mark().unwrap()), (Some(7), 7));
        }
        Err(error) => {
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
            assert_eq!(display_chain(&error).to_string(), "SO_MARK 7: Operation not permitted (os error 1)");
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[test]
fn what_the_system_lacks_is_an_error_that_names_it() {
    let second = Duration::from_secs(1);
    for (options, text) in [
        (SocketOptions::new().with_mark(7), "SO_MARK 7: this system has no such option"),
        (SocketOptions::new().with_device("lo"), "SO_BINDTODEVICE lo: this system has no such option"),
        (SocketOptions::new().with_user_timeout(second), "TCP_USER_TIMEOUT 1000: this system has no such option"),
    ] {
        assert_eq!(refusal(&options), (text.to_owned(), io::ErrorKind::Unsupported));
    }
}

/// Whatever the system's default is: the socket is set to the opposite first.
#[test]
fn dual_stack_is_set_explicitly_on_listeners_of_the_unspecified_address() {
    let Ok(socket) = Socket::new(Domain::IPV6, Type::STREAM, None) else {
        println!("skipped: dual_stack_is_set_explicitly_on_listeners_of_the_unspecified_address needs IPv6");
        return;
    };
    let set = |dual_stack: bool, addr: &str| {
        socket.set_only_v6(dual_stack).unwrap();
        let options = SocketOptions::new().with_dual_stack(dual_stack);
        options.apply_to_listener(&socket, addr.parse().unwrap()).unwrap();
        socket.only_v6().unwrap()
    };
    #[cfg(not(target_os = "openbsd"))]
    assert!(!set(true, "[::]:0"));
    assert!(set(false, "[::]:0"));
    assert!(!set(false, "[::1]:0"), "it has no meaning there, and is left alone");
}

/// What a listener answers to a SYN goes the same way as what its connections send.
#[cfg(target_os = "linux")]
#[test]
fn a_listener_has_what_decides_about_the_way_of_packets() {
    let socket = socket();
    let options = SocketOptions::new().with_traffic_class(0x28).with_device("lo");
    options.apply_to_listener(&socket, "127.0.0.1:0".parse().unwrap()).unwrap();
    assert_eq!((socket.tos_v4().unwrap(), socket.device().unwrap().as_deref()), (0x28, Some(&b"lo"[..])));
}
