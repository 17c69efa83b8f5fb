//! Making a workload by name and handing it, with its type, to who runs it.

use std::sync::Arc;

use manyhands_contract::{Catalogue, Code, Context, Erased, Handover, InputError, Map, Watcher};

/// What is done with a prepared workload, whatever its type.
pub(crate) trait Visitor {
    /// What comes of it.
    type Output;

    /// Receives the workload, what worker processes must know of it, and its lines for the
    /// fairness card.
    fn visit<M: Map>(
        self,
        work: M,
        handover: Handover,
        card: Vec<(&'static str, String)>,
    ) -> Self::Output;
}

/// Prepares the workload `name` and hands it to `visitor`.
///
/// Workloads whose tasks can be as short as the hand-over itself are instantiated in full; all
/// others go behind one indirect call per chunk, so that each executor is compiled three times
/// and not once per workload. So do those whose tasks a `watcher` sees.
///
/// # Errors
/// When the name is unknown or the input is wrong.
pub(crate) fn prepare<V: Visitor>(
    catalogue: &Catalogue,
    name: &str,
    context: &Context<'_>,
    watcher: Option<Arc<dyn Watcher>>,
    visitor: V,
) -> Result<V::Output, InputError> {
    let entry = catalogue.get(name).map_err(InputError)?;
    #[cfg(feature = "workloads")]
    if watcher.is_none() {
        use std::any::TypeId;

        use manyhands_contract::Workload;
        use manyhands_workloads::{cpu::squares::Squares, overhead::spin::Spin};
        let is = (entry.type_id)();
        if is == TypeId::of::<Spin>() {
            return Ok(visit_in_full(Spin::prepare(context)?, visitor));
        }
        if is == TypeId::of::<Squares>() {
            return Ok(visit_in_full(Squares::prepare(context)?, visitor));
        }
    }
    let Code::Map { prepare, watched } = entry.code else {
        return Err(InputError(format!("{name} is no list of tasks; it runs by itself")));
    };
    let work: Erased = match watcher {
        None => prepare(context)?,
        Some(watcher) => watched(context, watcher)?,
    };
    let (handover, card) = (work.handover(), work.card());
    Ok(visitor.visit(work, handover, card))
}

#[cfg(feature = "workloads")]
fn visit_in_full<W: manyhands_contract::Workload, V: Visitor>(work: W, visitor: V) -> V::Output {
    let (handover, card) = (work.handover(), work.card());
    visitor.visit(work, handover, card)
}
