//! The values that job functions are given by type.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::Arc;

/// At most one value of each type.
#[derive(Clone, Default)]
pub(crate) struct ContextMap(HashMap<TypeId, Arc<dyn Kept>>);

/// A value that can be cloned without its type being named: the check that it is `Clone` was made when it came in.
trait Kept: Send + Sync {
    fn cloned(&self) -> Box<dyn Any>;
}

impl<C: Clone + Send + Sync + 'static> Kept for C {
    fn cloned(&self) -> Box<dyn Any> {
        Box::new(self.clone())
    }
}

impl ContextMap {
    /// Keeps `value`, in place of an earlier one of its type.
    pub(crate) fn insert<C: Clone + Send + Sync + 'static>(&mut self, value: C) {
        self.0.insert(TypeId::of::<C>(), Arc::new(value));
    }

    /// Returns a clone of the value of type `C`.
    pub(crate) fn get<C: 'static>(&self) -> Option<C> {
        let kept: &dyn Kept = &**self.0.get(&TypeId::of::<C>())?;
        kept.cloned().downcast::<C>().ok().map(|value| *value)
    }

    /// Returns whether there is a value of type `C`.
    pub(super) fn has<C: 'static>(&self) -> bool {
        self.0.contains_key(&TypeId::of::<C>())
    }
}
