//! How the poller sleeps: it says so, so that spawns notify, and looks after those that did not see it.

use std::time::Instant;

use super::poll::Poller;
use super::session::{STATEMENT_DEADLINE, within};
use crate::store::runner as store;

impl Poller {
    pub(super) async fn fall_asleep(&mut self) -> Result<(), sqlx::Error> {
        let mut connection = self.take().await?;
        let answer = within(STATEMENT_DEADLINE, async {
            if !store::sleep(&mut connection, &self.buckets).await? {
                return Ok(None);
            }
            store::in_flight(&mut connection).await.map(Some)
        })
        .await;
        match self.session.settle(connection, answer)? {
            Some(in_flight) => {
                self.in_flight = in_flight;
                self.plan.fell_asleep(Instant::now(), !self.in_flight.is_empty());
                // Spawns with a short delay did not notify while we were awake.
                self.shared.schedule_changed.notify_one();
            }
            None => self.plan.stays_awake(Instant::now()),
        }
        Ok(())
    }

    /// Before the claim, so that it sees what those that are gone have left.
    pub(super) async fn look_after_in_flight(&mut self) -> Result<(), sqlx::Error> {
        let mut connection = self.take().await?;
        let answer = within(STATEMENT_DEADLINE, store::in_flight(&mut connection)).await;
        let now_in_flight = self.session.settle(connection, answer)?;
        self.in_flight
            .retain(|transaction| now_in_flight.contains(transaction));
        if self.in_flight.is_empty() {
            self.plan.none_in_flight();
        } else {
            self.plan.still_in_flight();
        }
        Ok(())
    }

    pub(super) async fn awaken(&mut self) -> Result<(), sqlx::Error> {
        let mut connection = self.take().await?;
        if self.plan.is_asleep() {
            let answer = within(STATEMENT_DEADLINE, store::awaken(&mut connection, &self.buckets)).await;
            self.session.settle(connection, answer)?;
            self.plan.woke();
        } else {
            self.session.put_back(connection);
        }
        Ok(())
    }
}

/// The wake buckets of a runner: by channel names if it has them, else by names.
pub(super) fn wake_buckets(name_keys: Option<&[i64]>, channel_name_keys: Option<&[i64]>) -> Vec<i32> {
    let bucket = |key: &i64| (key & 63) as i32;
    let mut buckets: Vec<i32> = match (channel_name_keys, name_keys) {
        (Some(channels), _) => channels.iter().map(|key| 64 + bucket(key)).collect(),
        (None, Some(names)) => names.iter().map(bucket).collect(),
        (None, None) => (0..64).collect(),
    };
    buckets.sort_unstable();
    buckets.dedup();
    buckets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runner_sleeps_on_its_channels_or_else_on_its_names() {
        assert_eq!(wake_buckets(Some(&[1, 65, -1]), None), [1, 63]);
        assert_eq!(wake_buckets(Some(&[1]), Some(&[2, 66])), [66]);
        assert_eq!(wake_buckets(None, None).len(), 64);
    }
}
