//! The short set, which runs in `make test`: what a proxy does, by a handful of seeds.

use relay_tests::turn;

use crate::fault::Means;
use crate::soak;

const SEEDS: [u32; 4] = [1, 2, 3, 4];
/// They wait more than they work.
const AT_ONCE: usize = 2;

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stderr, reason = "the seeds, shown with a failure")]
async fn bad_networks_break_no_promise() -> anyhow::Result<()> {
    let _machine = turn::alone().await;
    let means = Means { links_only: true, ..Means::default() };
    let results = soak::run(SEEDS.into_iter(), AT_ONCE, means, false, |line| eprintln!("{line}")).await?;
    results.ensure()
}
