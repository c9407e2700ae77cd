use std::convert::Infallible;

use chaski_core::{Bridge, Description, Io, Service};
use chaski_net::{Relay, RelayCounters, RelayOutcome, RelayReport};
use chaski_telemetry::TunnelRecord;

/// A relay that tells the access log and the counters what it has moved, at its end or when it is cut.
///
/// Neither of the two crates knows of the other: the record is a fact of the request that asked for the tunnel, the counters
/// are a fact for the relay.
pub(crate) struct RecordedRelay {
    relay: Relay,
}

impl RecordedRelay {
    pub(crate) const fn new(relay: Relay) -> Self {
        Self { relay }
    }
}

impl<A: Io, B: Io> Service<Bridge<A, B>> for RecordedRelay {
    type Output = RelayReport;
    type Error = Infallible;

    fn serve(&self, bridge: Bridge<A, B>) -> impl Future<Output = Result<RelayReport, Infallible>> + Send {
        let record = bridge.a.ext.get::<TunnelRecord>().cloned();
        if let Some(record) = &record {
            let counters = RelayCounters::default();
            bridge.a.ext.insert(counters.clone());
            record.watch(move || (counters.a_to_b(), counters.b_to_a()));
        }
        let mut relaying = self.relay.serve(bridge);
        async move {
            // By reference, as what is moved within a future is kept in it twice for as long as the tunnel lives.
            let report = (&mut relaying).await?;
            if let Some(record) = record {
                let outcome = match report.outcome {
                    RelayOutcome::Complete => "ok".to_owned(),
                    outcome => outcome.to_string(),
                };
                record.finish(report.a_to_b, report.b_to_a, &outcome);
            }
            Ok(report)
        }
    }

    fn describe(&self) -> Description {
        Service::<Bridge<A, B>>::describe(&self.relay).may_read::<TunnelRecord>().writes::<RelayCounters>()
    }
}
