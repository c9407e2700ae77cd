//! A log in memory.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use chaski_telemetry::{AccessLogFormat, AccessLogGuard, AccessLogLayer, AccessLogSink};

#[derive(Clone, Default)]
pub(crate) struct Memory(Arc<Mutex<Vec<u8>>>);

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A layer, and what it wrote once the log is finished.
pub(crate) struct Log {
    pub(crate) layer: AccessLogLayer,
    memory: Memory,
    guard: AccessLogGuard,
}

impl Log {
    pub(crate) fn new() -> Self {
        Self::of(AccessLogFormat::Text)
    }

    pub(crate) fn json() -> Self {
        Self::of(AccessLogFormat::Json)
    }

    fn of(format: AccessLogFormat) -> Self {
        let memory = Memory::default();
        let (sink, guard) = AccessLogSink::to(memory.clone()).unwrap();
        Self { layer: AccessLogLayer::new(sink.with_format(format)).with_time_of_day(noon), memory, guard }
    }

    /// All that was written.
    pub(crate) fn text(self) -> String {
        assert!(self.guard.finish());
        String::from_utf8(self.memory.0.lock().unwrap().clone()).unwrap()
    }

    /// The lines, without the time.
    pub(crate) fn lines(self) -> Vec<String> {
        let text = self.text();
        assert!(text.is_empty() || text.ends_with('\n'));
        text.lines().map(|line| line.strip_prefix("time=2026-11-22T12:00:00.000Z ").unwrap().to_owned()).collect()
    }
}

fn noon() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_795_348_800)
}
