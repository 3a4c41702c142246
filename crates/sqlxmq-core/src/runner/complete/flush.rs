//! The flushes of failures and releases, many in one statement; and what any flush has left out.

use std::collections::HashSet;
use std::time::Duration;

use uuid::Uuid;

use super::completer::Completer;
use super::order::{AsTold, Pending, What};
use crate::runner::error::Refusal;
use crate::runner::session::{STATEMENT_DEADLINE, within};
use crate::store::runner::{self as store, Locked};

impl Completer {
    pub(super) async fn fail(&mut self, runner: Uuid, group: Vec<Pending>) {
        let group = self.give_up_late(group);
        if group.is_empty() {
            return;
        }
        let (ids, claims): (Vec<Uuid>, Vec<i64>) = group.iter().map(Pending::key).unzip();
        let (errors, as_told): (Vec<String>, Vec<Option<AsTold>>) = group
            .iter()
            .map(|pending| match &pending.order.what {
                What::Fail { error, as_told } => (error.clone(), *as_told),
                _ => unreachable!("BUG: only failures are flushed as failures"),
            })
            .unzip();
        let answer = match self.wire.take().await {
            Ok(mut connection) => {
                let sent = async {
                    match as_told.iter().all(Option::is_none) {
                        true => {
                            store::fail(&mut connection, runner, &ids, &claims, &errors, Locked::Skip).await
                        }
                        false => {
                            let told = fails_as_told(&as_told);
                            store::fail_as(
                                &mut connection,
                                runner,
                                &ids,
                                &claims,
                                &errors,
                                &told,
                                Locked::Skip,
                            )
                            .await
                        }
                    }
                };
                let answer = within(STATEMENT_DEADLINE, sent).await;
                self.wire.session.settle(connection, answer)
            }
            Err(error) => Err(error),
        };
        match answer {
            Ok(answer) => {
                self.backoff.succeeded();
                let failed = HashSet::<Uuid>::from_iter(answer.failed);
                let (done, rest): (Vec<_>, Vec<_>) = group
                    .into_iter()
                    .partition(|pending| failed.contains(&pending.order.attempt.id));
                for pending in done {
                    let attempt = &pending.order.attempt;
                    attempt.incarnation.forget(attempt);
                    let dead = answer.dead.contains(&attempt.id);
                    tracing::debug!(
                        job.id = %attempt.id, job.name = attempt.name(), job.attempt = attempt.number, dead,
                        "failed attempt stored"
                    );
                }
                // The next attempt may be due before anybody would look.
                self.shared.schedule_changed.notify_one();
                self.sort_out(runner, rest).await;
            }
            Err(error) => self.retry("store failed attempts", group, error).await,
        }
    }

    pub(super) async fn release(&mut self, runner: Uuid, delay: Duration, group: Vec<Pending>) {
        let group = self.give_up_late(group);
        if group.is_empty() {
            return;
        }
        let (ids, claims): (Vec<Uuid>, Vec<i64>) = group.iter().map(Pending::key).unzip();
        let answer = match self.wire.take().await {
            Ok(mut connection) => {
                let sent = store::release(&mut connection, runner, &ids, &claims, delay);
                let answer = within(STATEMENT_DEADLINE, sent).await;
                self.wire.session.settle(connection, answer)
            }
            Err(error) => Err(error),
        };
        match answer {
            Ok(released) => {
                self.backoff.succeeded();
                let released = HashSet::<Uuid>::from_iter(released);
                let (done, rest): (Vec<_>, Vec<_>) = group
                    .into_iter()
                    .partition(|pending| released.contains(&pending.order.attempt.id));
                for pending in done {
                    pending.order.attempt.incarnation.forget(&pending.order.attempt);
                }
                self.sort_out(runner, rest).await;
            }
            Err(error) => self.retry("give jobs back", group, error).await,
        }
    }

    /// What a flush left out is either gone or locked by somebody. An audit of nothing but these tells which.
    pub(super) async fn sort_out(&mut self, runner: Uuid, rest: Vec<Pending>) {
        if rest.is_empty() {
            return;
        }
        match self.fates(runner, &rest).await {
            Ok(fates) => {
                for pending in rest {
                    let id = &pending.order.attempt.id;
                    if !fates.gone.contains(id) {
                        self.waiting.push(pending.later_for_lock());
                    } else if pending.unanswered && !fates.still_there.contains(id) {
                        // By us, or by whoever has cancelled it: no one waits to be told which.
                        self.accept(vec![pending]);
                    } else {
                        self.refuse(pending, Refusal::LeaseLost);
                    }
                }
            }
            Err(error) => self.retry("look after jobs", rest, error).await,
        }
    }

    async fn fates(&mut self, runner: Uuid, rest: &[Pending]) -> Result<Fates, sqlx::Error> {
        let (ids, claims): (Vec<Uuid>, Vec<i64>) = rest.iter().map(Pending::key).unzip();
        let gone = self.gone(runner, ids, claims).await?;
        let unanswered: Vec<Uuid> = rest
            .iter()
            .filter(|pending| pending.unanswered)
            .map(|pending| pending.order.attempt.id)
            .filter(|id| gone.contains(id))
            .collect();
        if unanswered.is_empty() {
            return Ok(Fates {
                gone,
                still_there: Vec::new(),
            });
        }
        let mut connection = self.wire.take().await?;
        let answer = within(STATEMENT_DEADLINE, store::present(&mut connection, &unanswered)).await;
        let still_there = self.wire.session.settle(connection, answer)?;
        Ok(Fates { gone, still_there })
    }

    pub(super) async fn gone(
        &mut self,
        runner: Uuid,
        ids: Vec<Uuid>,
        claims: Vec<i64>,
    ) -> Result<Vec<Uuid>, sqlx::Error> {
        let mut connection = self.wire.take().await?;
        // Before claim 0 there is nothing, so this audit fails no job.
        let answer = within(
            STATEMENT_DEADLINE,
            store::audit(&mut connection, runner, &ids, &claims, 0),
        )
        .await;
        Ok(self.wire.session.settle(connection, answer)?.lost)
    }
}

/// What has become of jobs that a flush has left out.
struct Fates {
    /// Their attempts are over.
    gone: Vec<Uuid>,
    /// Those of them that exist although a completion of theirs was sent, and not answered: a lease of their own was over, say, and
    /// they are to run again, or dead.
    still_there: Vec<Uuid>,
}

fn fails_as_told(as_told: &[Option<AsTold>]) -> store::FailAs {
    store::FailAs {
        deadly: as_told.iter().map(|told| *told == Some(AsTold::Dead)).collect(),
        waits: as_told
            .iter()
            .map(|told| match told {
                Some(AsTold::After(wait)) => Some(*wait),
                _ => None,
            })
            .collect(),
        linear: as_told.iter().map(|told| *told == Some(AsTold::Linear)).collect(),
    }
}
