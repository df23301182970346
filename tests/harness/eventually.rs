//! The one place where a test waits in steps, and not for ever.

use std::time::Duration;

use anyhow::bail;
use tokio::time::Instant;

/// Short enough not to be felt, long enough to leave two cores to those who are waited for.
const STEP: Duration = Duration::from_millis(20);

/// Looks until there is something to see, at most for `within`. An error of `look` ends it.
pub async fn eventually<T>(
    what: &str,
    within: Duration,
    mut look: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let begun = Instant::now();
    loop {
        if let Some(seen) = look().await? {
            return Ok(seen);
        }
        if begun.elapsed() >= within {
            bail!("not within {} ms: {what}", within.as_millis());
        }
        tokio::time::sleep(STEP).await;
    }
}
