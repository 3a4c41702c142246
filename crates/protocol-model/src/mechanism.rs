//! The mechanisms that the protocol consists of. Each can be taken out, and then the checker must find what it is for.

/// One mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// `mq_complete` names the token of the attempt, not only the job.
    CompleteIsFenced,
    /// `mq_fence` locks the running row. Joining it is not enough.
    FenceIsLocked,
    /// `mq_fail` names the token.
    FailIsFenced,
    /// `mq_checkpoint` names the token.
    CheckpointIsFenced,
    /// The token has the number of the claim, not only the runner.
    TokenHasClaim,
    /// `mq_hold_lease` locks the runner's row until the claim has committed.
    ClaimLocksRunner,
    /// `mq_hold_lease` refuses a runner that is gone or whose lease is over.
    ClaimRefusesEndedLease,
    /// `mq_hold_lease` refuses a claim that an audit has left behind.
    ClaimRefusesLeftBehind,
    /// `mq_audit` leaves no claim behind while one is at work.
    AuditWaitsForClaims,
    /// The audit looks only before the oldest claim in flight.
    AuditSparesClaimsInFlight,
    /// Each renewal is followed by an audit.
    Audit,
    /// A reaper has watched the beat stand still.
    SecondWitness,
    /// `mq_reap` keeps the runner's row while it has running ones.
    ReapKeepsRunnerWithRows,
    /// `mq_renew` refuses a lease that is over.
    RenewalRefusesEndedLease,
    /// A runner ends its incarnation at its own deadline, before the database's.
    LocalDeadline,
    /// Claims of second and later attempts are committed durably.
    DurableRetries,
    /// What became of a commit without an answer is asked, not guessed.
    UnknownIsResolved,
    /// `mq_cancel` looks until it has the state row.
    CancelLoops,
    /// A claim locks the head of the line that it starts.
    ClaimLocksHead,
    /// A completion locks the next in line that it starts.
    CompletionLocksNext,
    /// Who expires a held job, and who commits it, look at it again under the lock.
    HeldIsRechecked,
    /// One claim at a time looks at an ordered channel.
    ChannelIsLocked,
    /// The head of a channel is looked for in a new statement, after the channel has been locked.
    HeadIsFresh,
    /// A head that is not due holds the others back.
    HeadHoldsBack,
    /// Each spawn into an ordered channel gives a turn, whoever else is in line.
    SpawnGivesTurn,
    /// Each end in an ordered channel gives a turn.
    EndGivesTurn,
    /// A claim that finds the head locked leaves the turn.
    BusyHeadKeepsTurn,
    /// A claim leaves the turn while an open transaction ends, cancels or expires what it waits for: the turn that this one gives
    /// may be under names that nobody knows any more.
    EndingHeadKeepsTurn,
    /// An attempt that ends without ending the job gives a turn under the name of the head too, which may be another job by now: one
    /// with a lower number, committed late.
    RetryGivesHeadTurn,
    /// A head with a name that is unknown here is given a turn under that name.
    UnknownHeadGetsTurn,
}
