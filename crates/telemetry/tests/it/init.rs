use chaski_telemetry::{InitError, LogConfig, init};

#[test]
fn a_second_set_up_is_refused() {
    init(LogConfig::default().with_filter("off")).unwrap();
    assert!(matches!(init(LogConfig::default().with_filter("off")), Err(InitError::AlreadySet)));
}
