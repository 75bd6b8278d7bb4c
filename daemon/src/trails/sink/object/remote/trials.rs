//! What a store is tried for before it is believed: that it honours create-only puts, and that it looks at the sums which come with bodies.
//!
//! Both are promised by the protocol, and servers that speak it break either in silence: moto takes any MD5, one gateway overwrites what a create-only put must
//! leave. Each trial is a few small requests at the first object of a sink. Limits: parts of an upload are believed to be looked at as whole objects are.

use bytes::Bytes;
use opendal::options::WriteOptions;
use opendal::{Error, ErrorKind, Operator};

use crate::trails::sink::fault::Fault;
use crate::trails::sink::object::remote::blame::says_altered;
use crate::trails::sink::object::remote::bucket::Bucket;

/// What is put several times to find out whether create-only is honoured.
const CREATE: &str = "traild-probe-create";
/// How often it is put: two would do, if nobody else did the same.
const TIMES: usize = 4;
/// What is put with the sum of other bytes.
const ALTERED: &str = "traild-probe-sum";
/// What a probe holds.
const BYTES: Bytes = Bytes::from_static(b"probe\n");

impl Bucket {
    /// Whether the store refuses a create-only put where something is already.
    pub(super) async fn is_create_only(&self) -> Result<bool, Fault> {
        self.create_only.get_or_try_init(|| self.try_create_only()).await.copied()
    }

    async fn try_create_only(&self) -> Result<bool, Fault> {
        let options = WriteOptions { if_not_exists: true, ..WriteOptions::default() };
        let mut honoured = false;
        // Whoever else tries the same at this moment removes the object in between: once is no proof that the condition does not hold.
        for _ in 0..TIMES {
            match self.ways.operator.write_options(CREATE, BYTES, options.clone()).await {
                Ok(_) => {}
                Err(e) if matches!(e.kind(), ErrorKind::ConditionNotMatch | ErrorKind::AlreadyExists) => {
                    honoured = true;
                    break;
                }
                // The store knows no such condition.
                Err(e) if is_unknown(&e) => break,
                Err(e) => return Err(self.fault(&e, "put an object into")),
            }
        }
        self.take_away(CREATE).await;
        if !honoured {
            tracing::warn!(place = self.ways.words.place, "the store does not honour create-only puts: a repeat overwrites the object");
        }
        Ok(honoured)
    }

    /// Whether the store refuses a body that was altered on its way, as the operator does to all.
    pub(super) async fn refuses_altered(&self, altering: &Operator) -> Result<bool, Fault> {
        self.refuses_altered.get_or_try_init(|| self.try_altered(altering)).await.copied()
    }

    async fn try_altered(&self, altering: &Operator) -> Result<bool, Fault> {
        let refused = match altering.write(ALTERED, BYTES).await {
            Ok(_) => false,
            Err(e) if says_altered(&e) => true,
            // What it says otherwise for good, as of a header that it does not know, proves nothing.
            Err(e) if e.kind() == ErrorKind::Unexpected && !e.is_temporary() => false,
            Err(e) => return Err(self.fault(&e, "put an object into")),
        };
        if !refused {
            self.take_away(ALTERED).await;
            tracing::warn!(place = self.ways.words.place, "the store takes bodies with the sum of other bytes: each object is read back");
        }
        Ok(refused)
    }

    /// Removes a probe. One that a key may not remove stays, and says the same the next time.
    async fn take_away(&self, key: &str) {
        let _ = self.ways.operator.delete(key).await;
        self.ways.asked.forget();
    }
}

/// Whether a store says that it knows no such condition.
fn is_unknown(error: &Error) -> bool {
    error.kind() == ErrorKind::Unsupported || error.message().contains("NotImplemented")
}
