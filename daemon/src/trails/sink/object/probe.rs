//! Whether a store takes an object and gives it back.

use bytes::Bytes;

use crate::trails::sink::fault::Fault;
use crate::trails::sink::object::store::{Object, ObjectStore};

/// Where a probe is written, under the prefix of the sink.
const PROBE: &str = "traild-probe";

/// Puts an object, reads it back and removes it; lists, as every start of a trail does.
///
/// # Errors
/// With what must be mended.
pub async fn probe(store: &dyn ObjectStore) -> Result<(), Fault> {
    let bytes = Bytes::from_static(b"written by traild to find out whether it may\n");
    let object = Object { key: PROBE.into(), bytes: bytes.clone(), content_type: "text/plain", metadata: Vec::new() };
    store.put(&object).await?;
    let read = store.get(PROBE).await?;
    if read.as_ref() != Some(&bytes) {
        return Err(Fault::setup(format!("what was written to {} did not come back as it was", store.place())));
    }
    store.remove(PROBE).await?;
    // What is under a name that no object has: nothing, from whoever may be asked.
    store.list(&format!("{PROBE}/"), "").await.map(drop)
}
