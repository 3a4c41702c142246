//! The values that job functions are given by type.

use std::any::{Any, TypeId};
use std::collections::HashMap;

/// At most one value of each type.
#[derive(Default)]
pub(super) struct ContextMap(HashMap<TypeId, Box<dyn Any + Send + Sync>>);

impl ContextMap {
    /// Keeps `value`, in place of an earlier one of its type.
    pub(super) fn insert<C: Clone + Send + Sync + 'static>(&mut self, value: C) {
        self.0.insert(TypeId::of::<C>(), Box::new(value));
    }

    /// Returns a clone of the value of type `C`.
    pub(super) fn get<C: Clone + Send + Sync + 'static>(&self) -> Option<C> {
        self.0.get(&TypeId::of::<C>())?.downcast_ref::<C>().cloned()
    }

    /// Returns whether there is a value of type `C`.
    pub(super) fn has<C: 'static>(&self) -> bool {
        self.0.contains_key(&TypeId::of::<C>())
    }
}
