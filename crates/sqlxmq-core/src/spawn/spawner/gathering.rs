//! What gathers for the next flush. Pure.

use std::collections::{HashSet, VecDeque};

use super::kept::Waiting;

/// So many jobs at most are stored together. More would not be cheaper each, and the first would wait longer.
const FLUSH_AT_MOST: usize = 512;

/// So many bytes at most are stored together, or one job: 8 MiB. Small jobs must not wait for many large ones.
const FLUSH_BYTES_AT_MOST: usize = 8 * 1024 * 1024;

/// The jobs that wait for a flush, in the order in which they came, and whether somebody flushes.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    waiting: VecDeque<Waiting>,
    is_flushing: bool,
}

impl Gathering {
    /// Adds a job. Returns whether nobody flushes: then the caller is to see to it.
    #[must_use]
    pub(super) fn add(&mut self, waiting: Waiting) -> bool {
        self.waiting.push_back(waiting);
        !std::mem::replace(&mut self.is_flushing, true)
    }

    /// Takes the jobs of the next flush. `None`: there are none, and whoever asked flushes no more.
    pub(super) fn next_flush(&mut self) -> Option<Vec<Waiting>> {
        let mut flush = Vec::new();
        let mut ids = HashSet::new();
        let mut bytes = 0;
        while flush.len() < FLUSH_AT_MOST
            && let Some(next) = self.waiting.pop_front()
        {
            // Who has given up before anything was sent has spawned nothing.
            if next.is_given_up() {
                continue;
            }
            bytes += next.row().size();
            // Of two with one id the later is answered when it is known what became of the earlier.
            if !flush.is_empty() && (bytes > FLUSH_BYTES_AT_MOST || ids.contains(&next.id())) {
                self.waiting.push_front(next);
                break;
            }
            ids.insert(next.id());
            flush.push(next);
        }
        self.is_flushing = !flush.is_empty();
        self.is_flushing.then_some(flush)
    }

    /// Takes all jobs that wait, when nobody will flush them.
    pub(super) fn give_up(&mut self) -> VecDeque<Waiting> {
        self.is_flushing = false;
        std::mem::take(&mut self.waiting)
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;
    use uuid::Uuid;

    use super::super::kept::KeptJob;
    use super::*;
    use crate::error::SpawnError;
    use crate::spawn::row::Row;
    use crate::{JobBuilder, NewJob};

    type Answer = oneshot::Receiver<Result<(), SpawnError>>;

    fn waiting(job: &NewJob<'_>) -> (Waiting, Answer) {
        let (reply, answer) = oneshot::channel();
        (Waiting::new(KeptJob::of(Row::of(job).unwrap()), reply), answer)
    }

    /// Adds jobs of these ids and payloads.
    fn add(gathering: &mut Gathering, jobs: &[(u128, usize)]) -> Vec<Answer> {
        let added = jobs.iter().map(|&(id, bytes)| {
            let payload = vec![0; bytes];
            let mut job = JobBuilder::new_with_id(Uuid::from_u128(id), "mail");
            job.set_raw_bytes(&payload).set_payload_limit(16 << 20);
            let (waiting, answer) = waiting(job.as_ref());
            let _ = gathering.add(waiting);
            answer
        });
        added.collect()
    }

    fn ids(flush: Option<Vec<Waiting>>) -> Option<Vec<u128>> {
        flush.map(|flush| flush.iter().map(|waiting| waiting.id().as_u128()).collect())
    }

    #[test]
    fn whoever_comes_first_is_to_flush_until_nobody_waits() {
        let mut gathering = Gathering::default();
        let (first, _first_answer) = waiting(JobBuilder::new("first").as_ref());
        let (second, _second_answer) = waiting(JobBuilder::new("second").as_ref());
        let (third, _third_answer) = waiting(JobBuilder::new("third").as_ref());
        assert!(gathering.add(first));
        assert!(!gathering.add(second));
        assert_eq!(gathering.next_flush().unwrap().len(), 2);
        assert!(!gathering.add(third));
        assert_eq!(gathering.next_flush().unwrap().len(), 1);
        assert!(gathering.next_flush().is_none());
        let (fourth, _fourth_answer) = waiting(JobBuilder::new("fourth").as_ref());
        assert!(gathering.add(fourth));
    }

    #[test]
    fn a_flush_is_bounded_and_keeps_the_order() {
        let mut gathering = Gathering::default();
        let many: Vec<(u128, usize)> = (1..=700).map(|id| (id, 0)).collect();
        let _answers = add(&mut gathering, &many);
        assert_eq!(ids(gathering.next_flush()), Some((1..=512).collect()));
        assert_eq!(ids(gathering.next_flush()), Some((513..=700).collect()));

        let mib = 1 << 20;
        let _answers = add(
            &mut gathering,
            &[(1, 5 * mib), (2, 2 * mib), (3, 5 * mib), (4, 12 * mib), (5, 0)],
        );
        for flush in [vec![1, 2], vec![3], vec![4], vec![5]] {
            assert_eq!(ids(gathering.next_flush()), Some(flush));
        }
        assert_eq!(ids(gathering.next_flush()), None);
    }

    #[test]
    fn an_id_is_in_a_flush_once() {
        let mut gathering = Gathering::default();
        let _answers = add(&mut gathering, &[(1, 0), (2, 0), (1, 0), (3, 0), (1, 0)]);
        for flush in [vec![1, 2], vec![1, 3], vec![1]] {
            assert_eq!(ids(gathering.next_flush()), Some(flush));
        }
    }

    #[test]
    fn who_has_given_up_spawns_nothing() {
        let mut gathering = Gathering::default();
        let mut answers = add(&mut gathering, &[(1, 0), (2, 0), (3, 0)]);
        answers.remove(1);
        assert_eq!(ids(gathering.next_flush()), Some(vec![1, 3]));
        drop(add(&mut gathering, &[(4, 0)]));
        assert_eq!(ids(gathering.next_flush()), None);
        let (next, _answer) = waiting(JobBuilder::new("next").as_ref());
        assert!(gathering.add(next));
    }
}
