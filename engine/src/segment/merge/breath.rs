//! [`Breath`]: where a merge can be held up.

use crate::error::Result;

/// What a merge calls every few milliseconds: it may wait, and ends the merge by an error.
pub(crate) type Breath<'a> = dyn FnMut() -> Result<()> + 'a;
