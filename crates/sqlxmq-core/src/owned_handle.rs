//! A background task that ends with its handle.

use tokio::task::JoinHandle;

/// A handle to a background task, which is aborted when the handle is dropped.
///
/// [`OwnedHandle::into_inner`] gives the task its freedom back.
#[derive(Debug)]
pub struct OwnedHandle(Option<JoinHandle<()>>);

impl OwnedHandle {
    /// Returns a handle that owns `task`.
    pub fn new(task: JoinHandle<()>) -> Self {
        Self(Some(task))
    }

    /// Returns the task's own handle; the task is not aborted any more.
    pub fn into_inner(mut self) -> JoinHandle<()> {
        self.0
            .take()
            .unwrap_or_else(|| unreachable!("BUG: an owned handle without a task"))
    }

    /// Aborts the task and waits until it has ended.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe. The task is aborted at the first poll; dropping the future only ends the waiting.
    pub async fn stop(self) {
        let task = self.into_inner();
        task.abort();
        // An error says that the task was aborted or panicked: it has ended either way.
        let _ = task.await;
    }
}

impl Drop for OwnedHandle {
    fn drop(&mut self) {
        if let Some(task) = self.0.take() {
            task.abort();
        }
    }
}

#[cfg(test)]
#[allow(
    clippy::disallowed_methods,
    reason = "the task under test is owned by its handle"
)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_ends_with_its_handle_unless_it_was_taken_out() {
        let (kept_alive, mut is_alive) = tokio::sync::mpsc::channel::<()>(1);
        let handle = OwnedHandle::new(tokio::spawn(async move {
            std::future::pending::<()>().await;
            drop(kept_alive);
        }));
        drop(handle);
        assert_eq!(is_alive.recv().await, None);

        let task = OwnedHandle::new(tokio::spawn(tokio::task::yield_now())).into_inner();
        task.await.unwrap();

        OwnedHandle::new(tokio::spawn(std::future::pending()))
            .stop()
            .await;
    }
}
